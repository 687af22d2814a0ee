"""What all states are made of: a value that never changes. Knows no kind of state by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Literal,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from prefectlite.errors import ResultUnavailable, refuse_options, warn_of_old
from prefectlite.moments import plainly
from prefectlite.printable import printable
from prefectlite.states.arguments import named, refused
from prefectlite.states.holders import Holder, holding, is_result, result_of, value_of
from prefectlite.states.report import ResultRef
from prefectlite.states.surroundings import Facts, fact_here, settled

if TYPE_CHECKING:
    from prefectlite.states.state import State

_S = TypeVar("_S", bound="StateValue")


class NoResultType(Holder):
    """The type of ``NO_RESULT``, which stands for a result that was never given."""

    __slots__ = ()
    value = None
    location = None
    _only: ClassVar[NoResultType | None] = None

    def __new__(cls) -> NoResultType:
        """Return the one instance."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        """Return the sentinel's name."""
        return "NO_RESULT"

    def __reduce__(self) -> str:
        """Pickle as a reference to the one instance."""
        return "NO_RESULT"


NO_RESULT: Final = NoResultType()


class OldOptions(TypedDict, total=False):
    """What states take because Prefect 1 did; with a warning."""

    cached_inputs: Mapping[str, Any] | None


class StateValue:
    """What all states have in common; ``State`` tells what a user may do with it.

    Parameters
    ----------
    message, result, context
        As for ``State``.

    Raises
    ------
    TypeError
        When ``context`` is no mapping, or what comes by name is nothing that the class takes.
    """

    __slots__ = ("_cached_inputs", "_held", "context", "message")
    color: ClassVar[str] = "#696969"
    #: Names of the attributes that a subclass adds; they are part of equality and of the JSON form.
    extras: ClassVar[tuple[str, ...]] = ()
    #: Those of the ``extras`` that do not count for equality.
    uncompared: ClassVar[frozenset[str]] = frozenset()

    message: str | None
    context: Mapping[str, Any]
    #: The value, or what holds it.
    _held: Any

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        context: Mapping[str, Any] | None = None,
        **_others: Unpack[OldOptions],
    ) -> None:
        if _others:
            self._take_old(dict(_others), warns=type(context) is not Facts)
        # Prefect 1 took anything, and people give the exception itself.
        said: object = message
        # As a text alone: a class of the user's that is made from it could not go everywhere.
        if not (said is None or type(said) is str):
            said = str.__str__(said) if isinstance(said, str) else str(said)
        _put_message(self, said)
        _put_held(self, result)
        # The context of another state is whole; what a user gives has more by itself.
        _put_context(self, context if type(context) is Facts else _facts(type(self), context))

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # As in Prefect 1, what a state was given goes before what its class says of all of them.
        for name in ("message", "context"):
            if name in vars(cls):
                delattr(cls, name)

    @classmethod
    def _facts_here(cls) -> dict[str, Any]:
        """Return what the context has by itself where the state is made."""
        tags = fact_here("task_tags")
        return {"tags": sorted(tags)} if tags else {}

    def _take_old(self, given: dict[str, Any], *, warns: bool) -> None:
        inputs = given.pop("cached_inputs", None)
        refuse_options(f"A {type(self).__name__} state", given, type(self), {})
        if inputs is not None:
            if warns:
                warn_of_old(
                    f"{type(self).__name__}(cached_inputs=...) is kept with the state and read by nobody, as "
                    "Prefect 1 announced; leave it out, or put what you need into context={...}."
                )
            object.__setattr__(self, "_cached_inputs", named(type(self), inputs, "cached_inputs"))

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: a state is a value."""
        raise AttributeError(
            f"{type(self).__name__} is immutable, so its {name!r} cannot be set; "
            f"make a changed copy with state.replace({name}=...)."
        )

    def __delattr__(self, name: str) -> None:
        """Refuse: a state is a value."""
        raise AttributeError(f"{type(self).__name__} is immutable, so its {name!r} cannot be deleted.")

    @property
    def result(self) -> Any:
        """The value that goes with the state, fetched from wherever it lies; None if there is none."""
        return value_of(self._held)

    @property
    def _result(self) -> Holder:
        """The ``Result`` around the value, as in Prefect 1: what was given, or one that fetches the value."""
        held = self._held
        return held if held is NO_RESULT or is_result(held) else result_of(self)

    @property
    def result_ref(self) -> ResultRef | None:
        """Where the value lies; None when the state holds it itself or there is none."""
        return self._held if type(self._held) is ResultRef else None

    @property
    def cached_inputs(self) -> Mapping[str, Any]:
        """What was given as such; empty if nothing was. Prefect 1 announced its end; no JSON form has it."""
        found: Mapping[str, Any] = getattr(self, "_cached_inputs", {})
        return found

    def load_result(self, result: Any = None) -> Self:
        """Return the state with its value fetched, which ``result`` does by itself when it is read.

        Parameters
        ----------
        result : Result or None
            What reads the value of a state that was given a ``Result`` with a location and without a value;
            by default, that one. Not looked at otherwise: the state knows where its value lies.

        Returns
        -------
        State
            A state that holds its value, wherever that lay before.
        """
        held = self._held
        if type(held) is ResultRef:
            return self.replace(result=holding(held.fetch()))
        if is_result(held) and held.value is None and held.location is not None:
            return self.replace(result=(result or held).read(held.location))
        return self

    @property
    def has_result(self) -> bool:
        """Whether a result was given, be it None."""
        return self._held is not NO_RESULT

    def attributes(self) -> dict[str, Any]:
        """Return all that the constructor takes, the result unfetched.

        Returns
        -------
        dict
            ``message``, ``result``, ``context``, the ``extras`` of the class, and ``cached_inputs`` if given.
        """
        found = {"message": self.message, "result": self._held, "context": dict(self.context)}
        for name in self.extras:
            found[name] = plainly(self, name)
        if self.cached_inputs:
            found["cached_inputs"] = self.cached_inputs
        return found

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some attributes changed.

        Parameters
        ----------
        **changes : object
            Constructor arguments and their new values.

        Returns
        -------
        State
            A state of the same class.
        """
        return _rebuild(type(self), {**self.attributes(), "context": self.context, **changes})

    def __eq__(self, other: object) -> bool:
        """Compare class, result and extras; message and context do not count (as in Prefect 1)."""
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, StateValue)
        return all(
            is_same(plainly(self, name), plainly(other, name))
            for name in self.extras
            if name not in self.uncompared
        ) and all(
            is_same(mine, theirs)
            for mine, theirs in (
                (self._held, other._held),
                (self.cached_inputs, other.cached_inputs),
            )
        )

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        """Return ``<Class: "message">``."""
        return (
            f'<{type(self).__name__}: "{printable(self.message)}">'
            if self.message
            else f"<{type(self).__name__}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as class and attributes."""
        return _rebuild, (type(self), self.attributes())

    @overload
    @classmethod
    def children(cls, include_self: bool = ..., names_only: Literal[False] = ...) -> list[type[Self]]: ...

    @overload
    @classmethod
    def children(cls, include_self: bool = ..., *, names_only: Literal[True]) -> list[str]: ...

    @classmethod
    def children(cls, include_self: bool = False, names_only: bool = False) -> list[type[Self]] | list[str]:
        """Return the classes below this one, users' own included, but for those with a private name.

        Parameters
        ----------
        include_self : bool
            Whether the class itself comes last.
        names_only : bool
            Whether their names are wanted.

        Returns
        -------
        list of type, or of str
            Depth first, in order of definition.
        """
        return _shown([*classes_below(cls), *([cls] if include_self else [])], names_only)

    @overload
    @classmethod
    def parents(cls, include_self: bool = ..., names_only: Literal[False] = ...) -> list[type[State]]: ...

    @overload
    @classmethod
    def parents(cls, include_self: bool = ..., *, names_only: Literal[True]) -> list[str]: ...

    @classmethod
    def parents(cls, include_self: bool = False, names_only: bool = False) -> list[type[State]] | list[str]:
        """Return the state classes above this one, nearest first, but for those with a private name.

        Parameters
        ----------
        include_self : bool
            Whether the class itself comes last.
        names_only : bool
            Whether their names are wanted.

        Returns
        -------
        list of type, or of str
            Up to and including ``State``.
        """
        above = [*cls.__mro__[1:], *([cls] if include_self else [])]
        found = [c for c in above if issubclass(c, StateValue) and c is not StateValue]
        return _shown(cast("list[type[State]]", found), names_only)


# The slots' own setters pass by the refusal above, in half the time of ``object.__setattr__``: the driver
# makes a state for each task run.
_put_message: Final = vars(StateValue)["message"].__set__
_put_held: Final = vars(StateValue)["_held"].__set__
_put_context: Final = vars(StateValue)["context"].__set__


def classes_below(cls: type[_S]) -> list[type[_S]]:
    """Return all classes that are made from one.

    Parameters
    ----------
    cls : type
        A class of states.

    Returns
    -------
    list of type
        Depth first, in order of definition; those with a private name too.
    """
    return [found for child in cls.__subclasses__() for found in (child, *classes_below(child))]


def _shown(classes: list[type[_S]], names_only: bool) -> list[type[_S]] | list[str]:
    public = [cls for cls in classes if not cls.__name__.startswith("_")]
    return [cls.__name__ for cls in public] if names_only else public


def _facts(owner: type[StateValue], given: object) -> Facts:
    if not given:
        return settled(owner._facts_here())
    if not isinstance(given, Mapping):
        raise refused(owner, "context", given, "pass a mapping, and what comes behind it by name.")
    return settled({**owner._facts_here(), **given})


def _rebuild(cls: type[_S], attributes: dict[str, Any]) -> _S:
    """Make a state of what another one was made of, wherever that is."""
    context = attributes["context"] or {}
    if type(context) is not Facts and isinstance(context, Mapping):
        attributes["context"] = settled(context)
    return cls(**attributes)


def is_same(mine: Any, theirs: Any) -> bool:
    """Return whether two values are the same to who compares states.

    Parameters
    ----------
    mine, theirs : object
        Any values; references are fetched.

    Returns
    -------
    bool
        False too where one of them is gone.
    """
    if mine is theirs or (type(mine) is ResultRef and type(theirs) is ResultRef and mine == theirs):
        return True
    try:
        mine, theirs = value_of(mine), value_of(theirs)
    except ResultUnavailable:
        return False
    if isinstance(mine, BaseException) and isinstance(theirs, BaseException):
        # Exceptions compare by identity, which does not survive a journey.
        return type(mine) is type(theirs) and is_same(mine.args, theirs.args)
    if getattr(mine, "shape", None) != getattr(theirs, "shape", None):
        return False
    try:
        same = mine == theirs
        if hasattr(same, "shape"):
            # Arrays and tables compare element by element; a table's ``all`` answers once per column.
            same = same.all()
            same = same.all() if hasattr(same, "all") else same
        return bool(same)
    except ValueError:
        # Tables with other labels refuse to compare; a list of arrays has no truth of its own.
        return False
