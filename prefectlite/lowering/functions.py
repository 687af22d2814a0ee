"""How a task's function travels: by name where workers can import it, with its code as a spare. Knows tasks.

The name of a decorated function means the task, not the function, so pickle would send the function's code
and all globals that it reads, locks and open files included. What stands in an importable module is better
found there, as it is for plain functions. A worker that cannot import the module takes the code.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

from prefectlite.core.base import Task
from prefectlite.core.task import FunctionTask
from prefectlite.errors import SerializationError
from prefectlite.lowering.awaiting import Awaited
from prefectlite.lowering.envelope import Envelope, by_value_names, dumps_by_value, what_stays

#: Longer code does not travel as a spare.
_SPARE_LIMIT: Final = 4096


class ByName:
    """Stands for a function while it is pickled; unpickling gives the function itself.

    Parameters
    ----------
    module, name : str
        Where the function, or the task made from it, is found.
    spare : bytes
        The pickled function, for workers that cannot import the module; empty if there is none.
    """

    __slots__ = ("module", "name", "spare")

    def __init__(self, module: str, name: str, spare: bytes) -> None:
        self.module = module
        self.name = name
        self.spare = spare

    def __call__(self, **arguments: Any) -> Any:
        """Call the function.

        Parameters
        ----------
        **arguments : object
            Its arguments.

        Returns
        -------
        object
            What it returns.
        """
        return find(self.module, self.name, self.spare)(**arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a search for the function."""
        return find, (self.module, self.name, self.spare)


def dumps_task(envelope: Envelope) -> bytes:
    """Pickle a task.

    Parameters
    ----------
    envelope : Envelope
        With its body as it is.

    Returns
    -------
    bytes
        What ``pickle.loads`` makes an envelope of.

    Raises
    ------
    SerializationError
        When it cannot be pickled; the text names the task.
    """
    try:
        return dumps_by_value(replace(envelope, run=travelling(envelope.run, by_value_names())))
    except SerializationError as error:
        name = what_stays(envelope.context)
        if name is not None:
            raise SerializationError(
                f"Task {envelope.name!r} cannot be sent to a worker: {name!r} in its context cannot be "
                f"pickled ({error}). Put into it what can, and make such an object inside the task."
            ) from error
        raise SerializationError(
            f"Task {envelope.name!r} cannot be sent to a worker: its function or another option that is "
            f"called there cannot be pickled ({error}). Make such objects inside the function, not outside "
            "of it."
        ) from error


def travelling(function: Callable[..., Any], names: tuple[bytes, ...]) -> Callable[..., Any]:
    """Return what to pickle for a task's body.

    Parameters
    ----------
    function : callable
        The user's function, or the method of a task.
    names : tuple of bytes
        Modules that other processes cannot import, from ``by_value_names``.

    Returns
    -------
    callable
        The function itself where it goes by value, else a ``ByName``; a method of what travels of its task.
    """
    if isinstance(function, Awaited):
        return Awaited(travelling(function.body, names))
    owner = getattr(function, "__self__", None)
    if isinstance(owner, Task):
        method: Callable[..., Any] = getattr(owner.for_worker(), function.__name__)
        return method
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or _goes_by_value(module, names):
        return function
    if _found(module, name) is not function:
        return function
    try:
        spare = dumps_by_value(function)
    except SerializationError:
        spare = b""
    return ByName(module, name, spare if len(spare) <= _SPARE_LIMIT else b"")


def find(module: str, name: str, spare: bytes) -> Callable[..., Any]:
    """Return a function by its name.

    Parameters
    ----------
    module, name : str
        Where it, or the task made from it, is found.
    spare : bytes
        The pickled function.

    Returns
    -------
    callable
        The function of that name, else the one in ``spare``.

    Raises
    ------
    ImportError
        When there is neither.
    """
    try:
        import_module(module)
    except ImportError:
        if not spare:
            raise
    else:
        found = _found(module, name)
        if found is not None:
            return found
        if not spare:
            raise ImportError(f"module {module!r} has no task or function {name!r} here")
    function: Callable[..., Any] = pickle.loads(spare)
    return function


def _found(module: str, name: str) -> Callable[..., Any] | None:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, FunctionTask):
        function: Callable[..., Any] = found.run
        return function
    return found if callable(found) else None


def _goes_by_value(module: str, names: tuple[bytes, ...]) -> bool:
    parts = module.encode("utf-8", "surrogatepass").split(b".")
    return any(b".".join(parts[:end]) in names for end in range(1, len(parts) + 1))
