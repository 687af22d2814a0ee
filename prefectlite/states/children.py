"""The states of a large map's children, made when looked at. Knows no kind of state by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from prefectlite.errors import DefinitionTypeError
from prefectlite.faces import passes_for
from prefectlite.kinds import check_kind
from prefectlite.states.value import StateValue

if TYPE_CHECKING:
    from prefectlite.states.state import State


class ChildStates(Sequence["State"]):
    """The states of a map's children at one moment; those that ended among many are made when looked at.

    It can do what a list can that nobody changes, and passes for one.

    Parameters
    ----------
    states : list of State
        One for each child; never changed afterwards.
    common : State
        Stands in that list for each child that ended among many.
    complete : callable
        Takes such a child's place, returns its state.
    change : callable or None
        Takes the state of any child, returns what is shown in its place: one of the same class.
    """

    __slots__ = ("_change", "_common", "_complete", "_states")
    __class__ = passes_for(list)

    def __init__(
        self,
        states: Sequence[State],
        common: State | None,
        complete: Callable[[int], State],
        change: Callable[[State], State] | None = None,
    ) -> None:
        self._states = states
        self._common = common
        self._complete = complete
        self._change = change

    @classmethod
    def changed(cls, states: Sequence[State], change: Callable[[State], State]) -> ChildStates:
        """Return states of which others are shown, each made when it is looked at.

        Parameters
        ----------
        states : sequence of State
            Those that nothing was changed of yet.
        change : callable
            As above.

        Returns
        -------
        ChildStates
            As many.
        """
        if isinstance(states, ChildStates):
            return cls(states._states, states._common, states._complete, change)
        return cls(states, None, states.__getitem__, change)

    @classmethod
    def of(cls, states: Iterable[State]) -> ChildStates:
        """Return states that are known.

        Parameters
        ----------
        states : iterable of State
            One for each child.

        Returns
        -------
        ChildStates
            As many; what is one already as it is.
        """
        if isinstance(states, ChildStates):
            return states
        known = tuple(states)
        return cls(known, None, known.__getitem__)

    def __len__(self) -> int:
        """Return how many children there are."""
        return len(self._states)

    @overload
    def __getitem__(self, place: int) -> State: ...

    @overload
    def __getitem__(self, place: slice) -> list[State]: ...

    def __getitem__(self, place: int | slice) -> State | list[State]:
        """Return the state of a child, or a list of some."""
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self._states)))]
        state = self._states[place]
        if state is self._common:
            state = self._complete(place % len(self._states))
        return state if self._change is None else self._change(state)

    def __iter__(self) -> Iterator[State]:
        """Return each child's state, in order."""
        complete, common, change = self._complete, self._common, self._change
        for place, state in enumerate(self._states):
            shown = complete(place) if state is common else state
            yield shown if change is None else change(shown)

    def __eq__(self, other: object) -> bool:
        """Compare child by child, with any sequence of states."""
        if not isinstance(other, ChildStates | tuple | list):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == theirs for mine, theirs in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # it compares by its content, which may be a million states

    def __add__(self, other: object) -> list[State]:
        """Return a list of these states and those of another one."""
        return [*self, *other] if isinstance(other, list) else NotImplemented

    def __radd__(self, other: object) -> list[State]:
        """Return a list of another one's states and these."""
        return [*other, *self] if isinstance(other, list) else NotImplemented

    def copy(self) -> list[State]:
        """Return a list of one's own with the same states.

        Returns
        -------
        list of State
            The copy.
        """
        return list(self)

    def __repr__(self) -> str:
        """Return it as a list's text, with the first few of many."""
        shown = ", ".join(map(repr, self[:5]))
        return f"[{shown}{', ...' if len(self) > 5 else ''}]"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a list: what is looked up here cannot be looked up elsewhere."""
        return list, (list(self),)

    def classes(self) -> Iterator[type[State]]:
        """Return the class of each child's state, without making one.

        Returns
        -------
        iterator of type
            In order.
        """
        return map(type, self._states)


def classes_of(states: Sequence[State]) -> Iterator[type[State]]:
    """Return the class of each state; those of a large map's children are not made for it.

    Parameters
    ----------
    states : sequence of State
        Of whose classes.

    Returns
    -------
    iterator of type
        In order.
    """
    return states.classes() if isinstance(states, ChildStates) else map(type, states)


def count_by_class(states: Sequence[State]) -> dict[str, int]:
    """Count states by the name of their class.

    Parameters
    ----------
    states : sequence of State
        What to count.

    Returns
    -------
    dict of str to int
        In order of first appearance.

    Raises
    ------
    DefinitionTypeError
        When they are no list, or something else is among them.
    """
    check_kind("count_by_class(...)", "states", states, Iterable, "give a list of states.")
    counts: dict[str, int] = {}
    for kind, number in Counter(classes_of(states)).items():
        if not issubclass(kind, StateValue):
            raise DefinitionTypeError(
                f"count_by_class(...) has a {kind.__name__} among its states; give states only."
            )
        counts[kind.__name__] = counts.get(kind.__name__, 0) + number
    return counts
