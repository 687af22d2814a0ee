"""Tasks made from functions: the ``task`` decorator. Knows functions; the rest of a task is in ``base``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, Self, TypeVar, Unpack, overload

from prefectlite.core.arguments import RunSignature, run_signature
from prefectlite.core.attributes import HintsOfFunction, OfFunction, OfInstance
from prefectlite.core.base import Task
from prefectlite.core.options import OptionArgs, TaskArgs
from prefectlite.errors import DefinitionTypeError

if TYPE_CHECKING:
    from prefectlite.core.graph import FlowGraph

__all__ = ["FunctionTask", "Task", "task"]

P = ParamSpec("P")
R = TypeVar("R")


class FunctionTask(Task, Generic[P, R]):
    """A task made from a function.

    For a type checker, a call takes what the function takes and gives what it returns: the task that a call
    returns stands for that value.

    Parameters
    ----------
    fn : callable
        The function, plain or async.
    name : str or None
        What the task is called; by default, the function's name.
    **options : OptionArgs
        Retries, trigger, tags and the like.

    Raises
    ------
    DefinitionError
        When the function takes ``*args`` or a reserved name, or an option has a value that cannot work.
    DefinitionTypeError
        When ``fn`` is not callable, takes positional-only arguments or is an async generator, or an option
        does not exist.
    """

    # The function itself lies in the slot ``run``, so a body's traceback has no frame of ours below it.
    __slots__ = ("__dict__", "_own_takes", "run")
    __doc__ = OfFunction(__doc__)
    __annotations__ = HintsOfFunction()

    def __init__(self, fn: Callable[P, R], name: str | None = None, **options: Unpack[OptionArgs]) -> None:
        given: object = fn
        if not callable(given) or isinstance(given, Task):
            raise DefinitionTypeError(
                f"A task is made from a function, not from {fn!r}; write @task above a function, with "
                "options by name: @task(name='load')."
            )
        if name is None:
            name = str(getattr(fn, "__name__", "FunctionTask"))
        self._own_takes: RunSignature | None = run_signature(fn, name)
        self.run = fn  # type: ignore[method-assign]
        # What collects a module's docstrings asks for it.
        self.__module__ = getattr(fn, "__module__", __name__)
        self._set_up(name, options)

    if TYPE_CHECKING:

        def run(self, *args: P.args, **kwargs: P.kwargs) -> R: ...  # noqa: D102  # it is the user's

        # The extras of a call stand in overloads of their own, each with one of them required: one overload
        # that takes them all would take every wrong call too.
        @overload  # type: ignore[override]
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
        @overload
        def __call__(
            self,
            *args: Any,
            mapped: Literal[True],
            upstream_tasks: Iterable[Any] | None = None,
            task_args: TaskArgs | None = None,
            flow: FlowGraph | None = None,
            **kwargs: Any,
        ) -> list[R]: ...
        @overload
        def __call__(
            self,
            *args: Any,
            upstream_tasks: Iterable[Any] | None,
            task_args: TaskArgs | None = None,
            flow: FlowGraph | None = None,
            **kwargs: Any,
        ) -> R: ...
        @overload
        def __call__(
            self, *args: Any, task_args: TaskArgs | None, flow: FlowGraph | None = None, **kwargs: Any
        ) -> R: ...
        @overload
        def __call__(self, *args: Any, flow: FlowGraph | None, **kwargs: Any) -> R: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...  # noqa: D102  # see Task

        def map(  # type: ignore[override]  # noqa: D102  # a TaskArgs is a mapping that is known better
            self,
            *args: Any,
            upstream_tasks: Iterable[Any] | None = None,
            flow: FlowGraph | None = None,
            task_args: TaskArgs | None = None,
            **kwargs: Any,
        ) -> list[R]: ...

    @property
    def takes(self) -> RunSignature:
        """What the task's function takes."""
        if self._own_takes is None:
            self._own_takes = run_signature(self.run, self.name)
        return self._own_takes

    @property
    def __name__(self) -> str:
        """The function's name."""
        return getattr(self.run, "__name__", self.name)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return what the function has under a name that the task has not."""
            # While it is unpickled or copied, there is no function yet.
            if name != "run" and (name == "__qualname__" or name in getattr(self.run, "__dict__", ())):
                return getattr(self.run, name)
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
            )

    @OfInstance
    def __wrapped__(self) -> Callable[P, R]:
        """Return the function."""
        return self.run

    def __getstate__(self) -> Any:
        """Leave out what the function takes: annotations need not be picklable."""
        state: Any = super().__getstate__()
        attributes, slots = state
        return attributes, {**slots, "_own_takes": None}

    def _twin(self, values: Mapping[str, Any]) -> Self:
        if type(self) is not FunctionTask:
            return super()._twin(values)
        # As copy.copy, ten times as fast: every call of a task comes through here.
        new: Any = _new_function_task(FunctionTask)
        new.name = self.name
        new.slug = self.slug
        new.frozen_tags = self.frozen_tags
        new.frozen_options = self.frozen_options
        new.run = self.run
        new._own_takes = self._own_takes
        new.__module__ = self.__module__
        if len(self.__dict__) > 1:
            # What the user wrote on the task.
            new.__dict__.update(self.__dict__)
        if self.slug is not None or "tags" in values:
            new._retag(values)
        return new  # type: ignore[no-any-return]  # made just above


class _Decorator(Protocol):
    """What ``@task(...)`` is for a type checker: the call of an async task gives what it is awaited for."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> FunctionTask[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> FunctionTask[P, R]: ...


@overload
def task(fn: Callable[P, Coroutine[Any, Any, R]], **options: Unpack[TaskArgs]) -> FunctionTask[P, R]: ...
@overload
def task(fn: Callable[P, R], **options: Unpack[TaskArgs]) -> FunctionTask[P, R]: ...
@overload
def task(fn: None = None, **options: Unpack[TaskArgs]) -> _Decorator: ...
def task(fn: Callable[..., Any] | None = None, **options: Unpack[TaskArgs]) -> Any:
    """Make a task from a function: ``@task``, or ``@task(max_retries=3, retry_delay=10)``.

    Parameters
    ----------
    fn : callable or None
        The function, plain or async; None when only options are given.
    **options : TaskArgs
        Name, retries, trigger, tags and the like.

    Returns
    -------
    FunctionTask or callable
        The task, or a decorator that makes it.

    Raises
    ------
    DefinitionError
        When the function takes ``*args`` or a reserved name, or an option has a value that cannot work.
    DefinitionTypeError
        When ``fn`` is not callable, takes positional-only arguments or is an async generator, or an option
        does not exist.

    Examples
    --------
    >>> @task
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double
    <FunctionTask: double>
    >>> double.run(4)
    8
    """
    if fn is None:
        # Options are checked once the function is known, so that errors can name the task.
        return functools.partial(FunctionTask, **options)
    return FunctionTask(fn, **options)


_new_function_task = object.__new__
