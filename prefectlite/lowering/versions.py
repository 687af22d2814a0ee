"""The version of a task's code: a digest that changes when what its body does changes. Knows functions.

Two runs of one version need not do the same (a body reads the clock, a file, a list that others fill), but
two versions are taken to do different things. What counts is compiled code and what it refers to by name:
functions of the same package, and constants. Comments, line numbers and file names do not.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Callable, Iterator
from hashlib import blake2b
from inspect import getattr_static
from types import CodeType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

from prefectlite.core.task import FunctionTask, Task
from prefectlite.lowering.tokens import token_of

_CONSTANTS: Final = frozenset({bool, int, float, complex, str, bytes, type(None), type(Ellipsis)})
_OF_TASKS: Final = frozenset({"name", "slug", "_tags", "options"})


class Version(NamedTuple):
    """What is known of a task's code.

    Parameters
    ----------
    digest : str
        32 hexadecimal digits.
    reads_parameters : bool
        Whether the code names ``parameters``, so that it may read the flow's from the context.
    """

    digest: str
    reads_parameters: bool


def version_of(task: Task) -> Version:
    """Return the version of a task's code.

    Parameters
    ----------
    task : Task
        The task; attributes that a class of the user's gave it are a part of what it does.

    Returns
    -------
    Version
        The same for the same code, in every process of the same Python version.
    """
    walk = _Walk(task.run)
    facts = walk.of(task.run)
    if not isinstance(task, FunctionTask):
        methods = [walk.of(one) for cls in _own_classes(task) for one in vars(cls).values() if callable(one)]
        own = {name: value for name, value in getattr(task, "__dict__", {}).items() if name not in _OF_TASKS}
        told = [[name, token_of(value) or type(value).__qualname__] for name, value in own.items()]
        facts = [facts, methods, told]
    digest = blake2b(repr(facts).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
    return Version(digest, walk.reads_parameters)


def _own_classes(task: Task) -> Iterator[type[Any]]:
    for cls in type(task).__mro__:
        if cls is Task:
            return
        yield cls


class _Walk:
    """Goes through a function and what it refers to; each function once."""

    def __init__(self, start: Callable[..., Any]) -> None:
        self._package = _package(start)
        self._seen: dict[int, int] = {}
        self.reads_parameters = False

    def of(self, value: Any) -> Any:
        """Return what counts of something that code refers to, as lists of texts."""
        kind = type(value).__qualname__
        if isinstance(value, int) and type(value) in _CONSTANTS:
            return f"{kind} {value:x}"  # a long one has no decimal text
        if type(value) in _CONSTANTS:
            return f"{kind} {value!r}"
        if isinstance(value, tuple):
            return [kind, *map(self.of, value)]
        if isinstance(value, frozenset):
            return [kind, *sorted(repr(self.of(one)) for one in value)]
        if isinstance(value, CodeType):
            return self._code(value)
        if isinstance(value, functools.partial):
            return [kind, self.of(value.func), self.of(value.args), self.of(tuple(value.keywords.items()))]
        if isinstance(value, MethodType):
            return self.of(value.__func__)
        if isinstance(value, FunctionTask):
            return self.of(value.run)
        if isinstance(value, FunctionType) and _package(value) == self._package:
            return self._function(value)
        inner = getattr(value, "__wrapped__", None) or getattr_static(type(value), "__call__", None)
        if isinstance(inner, FunctionType) and inner is not value and not isinstance(value, FunctionType):
            return [kind, self.of(inner)]  # what a decorator hides, or calls of an object
        # Whatever else may change while the program runs, and so says nothing of the code.
        return f"{kind} {getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"

    def _function(self, function: FunctionType) -> Any:
        if id(function) in self._seen:
            return f"function {self._seen[id(function)]}"  # it calls itself, or was met before
        self._seen[id(function)] = len(self._seen)
        code = function.__code__
        changed = set(_changed_names(code))
        found: list[Any] = [self._code(code), self.of(function.__defaults__ or ())]
        found.append(self.of(tuple(sorted((function.__kwdefaults__ or {}).items()))))
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if name not in changed:
                try:
                    found.append([name, self.of(cell.cell_contents)])
                except ValueError:  # it is not filled yet
                    found.append(name)
        known = function.__globals__
        names = sorted((set(_names(code)) - changed) & known.keys())
        return [*found, *([name, self.of(known[name])] for name in names)]

    def _code(self, code: CodeType) -> list[Any]:
        if "parameters" in code.co_names or "parameters" in code.co_consts:
            self.reads_parameters = True
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_flags)
        return [repr(code.co_code), self.of(names), *map(self.of, code.co_consts)]


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a function's code, and that of the functions in it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _codes(const)


def _names(code: CodeType) -> Iterator[str]:
    for one in _codes(code):
        yield from one.co_names


def _changed_names(code: CodeType) -> Iterator[str]:
    """Yield the names outside of itself that code sets: a counter is no part of what it does."""
    for one in _codes(code):
        for step in dis.get_instructions(one):
            if step.opname in ("STORE_GLOBAL", "STORE_DEREF"):
                yield step.argval


def _package(function: Any) -> str:
    return str(getattr(function, "__module__", None)).partition(".")[0]
