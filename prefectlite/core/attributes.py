"""How a task's attributes are read: options from what copies share, texts from functions. Knows no flow."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from prefectlite.core.in_place import OptionList, OptionSet
from prefectlite.core.options import TaskOptions
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import shown
from prefectlite.states.keys import RunKey

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class HasOptions(Protocol):
    """What an option is read from, and set on."""

    frozen_options: TaskOptions

    def _change(self, changes: Mapping[str, Any], *, alone: bool = False) -> None: ...


class Option(Generic[T]):
    """An option: read from what the task shares with its copies, and set on this one alone.

    Parameters
    ----------
    doc : str
        What it says.
    shows : callable or None
        Takes the options and returns what is read, where that is not what they hold.
    """

    def __init__(self, doc: str, shows: Callable[[TaskOptions], T] | None = None) -> None:
        self.__doc__ = doc
        self._shows = shows

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, task: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, task: HasOptions, owner: type[Any]) -> T: ...
    def __get__(self, task: HasOptions | None, owner: type[Any]) -> Any:
        return self if task is None else self._shown(task)

    def __set__(self, task: HasOptions, value: Any) -> None:
        if not hasattr(task, "frozen_options"):
            raise AttributeError(
                f"Class {type(task).__name__!r} sets {self._name}={value!r} before super().__init__(), which "
                f"would set it anew; set it after that, or pass it on: super().__init__({self._name}=...)."
            )
        task._change({self._name: value}, alone=True)

    def _shown(self, task: HasOptions) -> Any:
        return self._held(task) if self._shows is None else self._shows(task.frozen_options)

    def _held(self, task: HasOptions) -> Any:
        return getattr(task.frozen_options, self._name)


class ListOption(Option[OptionList[T]]):
    """An option that is a list, which can be changed in place."""

    def _shown(self, task: HasOptions) -> OptionList[T]:
        return OptionList(lambda: self._held(task), functools.partial(setattr, task, self._name))


class SetOption(Option[OptionSet[T] | Callable[..., Any] | None]):
    """An option that is a set, which can be changed in place, unless it is something else altogether."""

    def _shown(self, task: HasOptions) -> Any:
        held = self._held(task)
        if not isinstance(held, tuple):
            return held
        return OptionSet(lambda: self._members(task), functools.partial(setattr, task, self._name))

    def _members(self, task: HasOptions) -> tuple[T, ...]:
        # Somebody may have set the option to something else since.
        held = self._held(task)
        return held if isinstance(held, tuple) else ()


class OfInstance:
    """A property that instances have and the class has not, so that the class can be inspected itself.

    Parameters
    ----------
    read : callable
        Takes the instance.
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self._read = read

    def __get__(self, task: Any, owner: type[Any]) -> Any:
        if task is None:
            raise AttributeError
        return self._read(task)


class Replaceable(Generic[T]):
    """A property in whose place an instance may be given something else.

    Parameters
    ----------
    doc : str
        What it says.
    read : callable
        Takes the instance.
    """

    def __init__(self, doc: str, read: Callable[[Any], T]) -> None:
        self.__doc__ = doc
        self._read = read

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> T: ...
    def __get__(self, instance: Any, owner: type[Any]) -> Any:
        if instance is None:
            return self
        given: Mapping[str, Any] = getattr(instance, "__dict__", _NOTHING)
        return given[self._name] if self._name in given else self._read(instance)

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = value


class OfFunction:
    """A docstring that is the class's for the class, and the function's for its instances.

    Parameters
    ----------
    own : str or None
        The class's.
    """

    __slots__ = ("_own",)

    def __init__(self, own: str | None) -> None:
        self._own = own

    def __get__(self, task: Any, owner: type[Any]) -> str | None:
        if task is None:
            return self._own
        doc: str | None = task.run.__doc__
        return doc


class HintsOfFunction(dict[str, Any]):
    """Annotations that are the function's for instances; the class has none."""

    __slots__ = ()

    def __get__(self, task: Any, owner: type[Any]) -> Any:
        return self if task is None else getattr(task.run, "__annotations__", {})


def defaults_from_attrs(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let arguments of ``run`` that a call does not give come from the task's attributes of the same names.

    Parameters
    ----------
    *names : str
        Arguments of ``run``; they need a default there, which is not used.

    Returns
    -------
    callable
        A decorator for ``run``. A None that is given stays None.

    Raises
    ------
    DefinitionTypeError
        When ``run`` is no function or has no such argument.

    Examples
    --------
    >>> from prefectlite import Task
    >>> class Greet(Task):
    ...     def __init__(self, greeting, **options):
    ...         self.greeting = greeting
    ...         super().__init__(**options)
    ...
    ...     @defaults_from_attrs("greeting")
    ...     def run(self, name, greeting=None):
    ...         return f"{greeting}, {name}!"
    >>> Greet("Hello").run("Ada")
    'Hello, Ada!'
    """

    def decorate(run: Callable[P, R]) -> Callable[P, R]:
        try:
            signature = inspect.signature(run)
        except (TypeError, ValueError) as error:
            raise DefinitionTypeError(
                f"@defaults_from_attrs was put on {run!r}, which has no signature; put it on a method run."
            ) from error
        taken = list(signature.parameters)  # a list takes any question, also of what has no hash
        odd = [name for name in names if name not in taken]
        if odd:
            raise DefinitionTypeError(
                f"@defaults_from_attrs names {odd[0]!r}, but {run.__qualname__} has no such argument; add "
                f"{odd[0]}=None to it, or correct the name."
            )

        @functools.wraps(run)
        def with_defaults(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind_partial(*args, **kwargs).arguments
            kwargs.update({name: getattr(args[0], name) for name in names if name not in given})
            return run(*args, **kwargs)

        return with_defaults

    return decorate


def as_name(name: object) -> str:
    """Return a task's name.

    Parameters
    ----------
    name : object
        What the user gave.

    Returns
    -------
    str
        The name.

    Raises
    ------
    DefinitionTypeError
        When it is no text, or empty.
    """
    if not isinstance(name, str) or not name:
        raise DefinitionTypeError(f"A task has name={shown(name)}; give a text that is not empty.")
    return name


def as_slug(slug: object, owner: str) -> str:
    """Return a slug that run keys can be made from.

    Parameters
    ----------
    slug : object
        What the user gave.
    owner : str
        Whose it is, for the error.

    Returns
    -------
    str
        The slug.

    Raises
    ------
    DefinitionError
        When it is empty, or reads like the name of a map's child or a loop's iteration.
    DefinitionTypeError
        When it is no text.
    """
    if not isinstance(slug, str) or not slug or RunKey.parse(slug) != RunKey(slug):
        refusal = DefinitionError if isinstance(slug, str) else DefinitionTypeError
        raise refusal(
            f"{owner} has slug={shown(slug)}; give a text that is not empty and does not end like '[3]' or "
            "'@2', which name children of a map and iterations of a loop."
        )
    return slug
