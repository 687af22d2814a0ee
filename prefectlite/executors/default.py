"""The place where a flow runs that says none: what the settings name. Knows executors and settings."""

from __future__ import annotations

from typing import Final

from prefectlite.errors import DefinitionTypeError, ExecutorError
from prefectlite.executors.cluster import import_object, is_daemon
from prefectlite.executors.dask import DaskExecutor, LocalDaskExecutor, active_client
from prefectlite.executors.local import LocalExecutor
from prefectlite.executors.protocol import Executor
from prefectlite.executors.reach import is_address
from prefectlite.executors.submitting import Submitting, as_place
from prefectlite.settings import current

_OURS: Final = (LocalExecutor, DaskExecutor, LocalDaskExecutor)


def place_for(executor: object, flow_name: str) -> Executor:
    """Return where a flow runs.

    Parameters
    ----------
    executor : object
        What a user gave, or the flow has; None for what the settings name.
    flow_name : str
        The flow's name, for error texts.

    Returns
    -------
    Executor
        The place.

    Raises
    ------
    ConfigError
        When the settings cannot be read.
    DefinitionTypeError
        When it is no executor, or has a ``submit`` or ``wait`` that nobody would call.
    ExecutorError
        When the settings name a class of the user's own that cannot be made.
    """
    if executor is None:
        return default_executor()
    _refuse_idle_methods(executor, flow_name)
    place = as_place(executor)
    if place is None:
        raise DefinitionTypeError(
            f"Flow {flow_name!r} was told to run on executor={executor!r}, which is no executor; "
            "pass LocalExecutor() or DaskExecutor(...). "
            "A parameter that is named 'executor' goes into parameters={'executor': ...}."
        )
    return place


def _refuse_idle_methods(executor: object, flow_name: str) -> None:
    """Refuse what builds on an executor of ours by methods that those had in Prefect 1."""
    kind = type(executor)
    ours = [base.__name__ for base in kind.__mro__[1:] if base in _OURS]
    idle = [name for name in ("start", "submit", "wait") if hasattr(kind, name)]
    if ours and idle:
        raise DefinitionTypeError(
            f"Flow {flow_name!r} was told to run on executor={executor!r}, whose {', '.join(idle)} nobody "
            f"would call: {ours[0]} runs attempts by itself. Build {kind.__name__} on "
            "prefectlite.executors.Executor, with start, submit and wait, or take these methods out."
        )


def default_executor() -> Executor:
    """Return a new executor of the kind that the setting ``executor`` names.

    Returns
    -------
    Executor
        ``DaskExecutor()`` unless somebody set another; ``LocalExecutor()`` in a process that may start no
        cluster and knows of none, as a Dask worker with a nanny: a flow that a body runs is run by that body.

    Raises
    ------
    ConfigError
        When the settings cannot be read.
    ExecutorError
        When it is a class of the user's own that cannot be made.
    """
    settings = current()
    name = settings.executor
    if name == "dask":
        dask = settings.dask
        is_alone = not (dask.address or dask.cluster_class) and active_client() is None
        return LocalExecutor() if is_alone and is_daemon() else DaskExecutor()
    if name == "local":
        return LocalExecutor()
    if name == "threads":
        return LocalDaskExecutor("threads")
    if name == "processes":
        return LocalDaskExecutor("processes")
    return _own(name) or DaskExecutor(name)


def _own(name: str) -> Executor | None:
    """Return an executor of the class that an import string names; None if it names something else."""
    if is_address(name):
        return None
    try:
        found = import_object(name)
    except ExecutorError:
        return None  # DaskExecutor says what is wrong, if it is no file either
    if not isinstance(found, type) or not issubclass(found, Executor | Submitting):
        return None
    try:
        return as_place(found())
    except Exception as error:
        raise ExecutorError(
            f"The setting executor is {name!r}, a class that cannot be made without arguments "
            f"({type(error).__name__}: {error}); give them defaults, or pass an executor that was made with "
            "them: flow.run(executor=...)."
        ) from error
