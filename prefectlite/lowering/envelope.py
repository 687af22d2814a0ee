"""What many attempts share, pickled once: a task's function, a flow run's facts. Knows cloudpickle."""

from __future__ import annotations

import copyreg
import io
import pickle
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from types import CodeType, ModuleType
from typing import Any, Final, TypeAlias

from prefectlite.core.keeping import Keeping
from prefectlite.errors import SerializationError
from prefectlite.late import loaded
from prefectlite.results.location import Location
from prefectlite.results.serializers import keeps_whole

#: Exception types, or a question about the exception; None accepts every failure.
RetryOn: TypeAlias = tuple[type[BaseException], ...] | Callable[[BaseException], bool] | None

_PROTOCOL: Final = 5
_NO_FILE: Final = "<dynamic-code>"
_TBLIB: Final = b"tblib.pickling_support"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A task as a worker sees it.

    Parameters
    ----------
    name : str
        The task's name.
    run : callable
        The body; called with keyword arguments.
    retry_on : tuple of type, callable or None
        Which failures may be tried again.
    log_stdout : bool
        Whether printed lines become log lines.
    tags : frozenset of str
        The task's tags.
    max_retries : int
        How often a failed run is tried again.
    is_secret : bool
        Whether what the body returns is a secret.
    timeout : float or None
        After how many seconds the body is ended.
    isolate : bool
        Whether it runs in a process of its own also without that.
    keeping : Keeping or None
        What is stored of its values, and looked for before its body.
    run_name : str, callable or None
        What a body finds its run called in the context: a template or a function.
    context : mapping
        What the contexts of the task's runs hold more than those of other tasks.
    """

    name: str
    run: Callable[..., Any]
    retry_on: RetryOn = None
    log_stdout: bool = False
    tags: frozenset[str] = frozenset()
    max_retries: int = 0
    is_secret: bool = False
    timeout: float | None = None
    isolate: bool = False
    keeping: Keeping | None = None
    run_name: Location | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What every attempt of a flow run may know of it.

    Parameters
    ----------
    run_id : str
        The flow run's identity.
    flow_name : str
        The flow's name.
    scheduled : float
        When the flow run was to start, in seconds since the epoch.
    parameters : mapping
        The parameters' values.
    log_level : int
        The lowest level of log records that travel to the driver.
    inline_limit : int
        Up to how many pickled bytes a result rides in its report.
    context : mapping
        What the flow run's context holds beside what follows from these.
    hidden : tuple of str
        Secrets in the parameters, as texts that no process writes.
    """

    run_id: str
    flow_name: str
    scheduled: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    log_level: int = 20
    inline_limit: int = 8192
    context: Mapping[str, Any] = field(default_factory=dict)
    hidden: tuple[str, ...] = field(default=(), repr=False)


def travel_by_value(module: ModuleType) -> None:
    """Let what a module defines go to workers by value, since they cannot import it.

    Parameters
    ----------
    module : module
        A module that is in ``sys.modules``.
    """
    _cloudpickle().register_pickle_by_value(module)


def by_value_names() -> tuple[bytes, ...]:
    """Return the modules that other processes cannot import, so that what they define goes by value.

    Returns
    -------
    tuple of bytes
        ``__main__`` and whatever was registered with ``cloudpickle.register_pickle_by_value``.
    """
    cloudpickle: Any = loaded("cloudpickle")
    registered = () if cloudpickle is None else sorted(cloudpickle.list_registry_pickle_by_value())
    return (b"__main__", *[name.encode() for name in registered])


def dumps(value: Any, names: tuple[bytes, ...]) -> bytes:
    """Pickle something that goes to a worker: classes and functions of the user's program go by value.

    Parameters
    ----------
    value : object
        Any value.
    names : tuple of bytes
        From ``by_value_names``. Data that only looks like such a name merely takes the longer way.

    Returns
    -------
    bytes
        What ``pickle.loads`` reads, also where the user's program cannot be imported.

    Raises
    ------
    SerializationError
        When it cannot be pickled; the text says what cloudpickle said.
    """
    try:
        payload = pickle.dumps(value, _PROTOCOL)
        if _TBLIB in payload:
            payload = _with_whole_exceptions(value)
    except Exception:
        return dumps_by_value(value)  # it can do more, and says what it cannot
    for name in names:
        if name in payload:
            return dumps_by_value(value)
    return payload


def dumps_by_value(value: Any) -> bytes:
    """Pickle with cloudpickle.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    bytes
        What ``pickle.loads`` reads.

    Raises
    ------
    SerializationError
        When it cannot be pickled; the text says what cloudpickle said.
    """
    buffer = io.BytesIO()
    try:
        _by_value_pickler()(buffer, protocol=_PROTOCOL).dump(value)
    except Exception as error:
        raise SerializationError(f"{type(error).__name__}: {error}") from error
    return buffer.getvalue()


def dumps_facts(facts: FlowFacts) -> bytes:
    """Pickle a flow run's facts, without the parameters that cannot be pickled.

    The runs that read such a parameter as an argument are refused; the others only miss it in context.

    Parameters
    ----------
    facts : FlowFacts
        What all attempts may know.

    Returns
    -------
    bytes
        What ``pickle.loads`` reads.

    Raises
    ------
    SerializationError
        When a value of the context cannot be pickled; the text names it.
    """
    try:
        return dumps_by_value(facts)
    except SerializationError as error:
        name = what_stays(facts.context)
        if name is not None:
            raise SerializationError(
                f"The context of flow {facts.flow_name!r} cannot be sent to the workers: its {name!r} "
                f"cannot be pickled ({error}). Put into it what can, and make such an object inside the "
                "tasks."
            ) from error
        names = by_value_names()
        travels = {name: value for name, value in facts.parameters.items() if _travels(value, names)}
        return dumps_by_value(replace(facts, parameters=travels))


def what_stays(context: Mapping[str, Any]) -> str | None:
    """Return the name of the first value that cannot be pickled.

    Parameters
    ----------
    context : mapping of str to object
        Values by name.

    Returns
    -------
    str or None
        None when all can.
    """
    names = by_value_names()
    return next((name for name, value in context.items() if not _travels(value, names)), None)


def _travels(value: Any, names: tuple[bytes, ...]) -> bool:
    try:
        dumps(value, names)
    except SerializationError:
        return False
    return True


@lru_cache(maxsize=1)
def _by_value_pickler() -> Any:
    """Return cloudpickle's pickler, made to keep the names of files."""
    base = _cloudpickle().Pickler
    known = base.dispatch_table
    keeps = ChainMap({CodeType: partial(_with_file_name, known[CodeType])}, known)
    return type("_Pickler", (base,), {"dispatch_table": keeps})


def _with_file_name(reduce: Callable[[CodeType], Any], code: CodeType) -> tuple[Any, ...]:
    # From 3.1.3 on, cloudpickle writes a stand-in for the name of the file that a function comes from; then
    # no traceback shows the user's own lines.
    kind, arguments, *rest = reduce(code)
    told = tuple([code.co_filename if one == _NO_FILE else one for one in arguments])
    return kind, told, *rest


def _with_whole_exceptions(value: Any) -> bytes:
    # Distributed has tblib pickle exceptions, which drops what only their constructor sets: a SyntaxError
    # arrives as "None", a UnicodeDecodeError as "" (tblib 3.2). Their own way of being pickled keeps it.
    kinds = copyreg.dispatch_table.items()
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, _PROTOCOL)
    pickler.dispatch_table = {kind: how for kind, how in kinds if keeps_whole(kind, how)}
    pickler.dump(value)
    return buffer.getvalue()


def _cloudpickle() -> Any:
    # Imported when first needed: a flow that stays in this process pickles nothing.
    import cloudpickle

    return cloudpickle
