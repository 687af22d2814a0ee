"""Sets in an order: what a flow answers when it is asked for tasks or edges. Knows neither.

Whoever ported a flow has sets in mind (Prefect 1 gave those), whoever reads an answer wants it in order.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, MutableSet, Set
from itertools import chain
from typing import Any, Self, TypeVar

from prefectlite.errors import DefinitionTypeError
from prefectlite.faces import passes_for
from prefectlite.kinds import shown

T = TypeVar("T")
U = TypeVar("U")


class Ordered(MutableSet[T]):
    """What sets in an order can do; how each holds its members is its own.

    It compares and combines with any set; a new one comes out as an ``OrderedSet``.
    """

    __slots__ = ()
    __class__ = passes_for(set)

    @abstractmethod
    def _take(self, new: Collection[T]) -> None:
        """Take members in; those that are here already stay where they are."""

    @abstractmethod
    def _drop(self, old: Collection[T]) -> None:
        """Leave members out; what is none is nothing to leave out."""

    @classmethod
    def _from_iterable(cls, it: Iterable[U]) -> OrderedSet[U]:
        return OrderedSet(it)

    def __and__(self, other: object) -> OrderedSet[T]:
        """Return the members that another one has, too, in the order of this one."""
        return self.intersection(other) if isinstance(other, Iterable) else NotImplemented

    __rand__ = __and__

    def __repr__(self) -> str:
        """Return it as a set's text, in order."""
        return f"{{{', '.join(map(repr, self))}}}" if self else "set()"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the members alone."""
        return OrderedSet, (list(self),)

    def copy(self) -> OrderedSet[T]:
        """Return a set of its own with the same members.

        Returns
        -------
        OrderedSet
            The copy.
        """
        return OrderedSet(self)

    def union(self, *others: Iterable[U]) -> OrderedSet[T | U]:
        """Return these members and those of others.

        Parameters
        ----------
        *others : iterable
            More members.

        Returns
        -------
        OrderedSet
            Those that are here first.
        """
        return OrderedSet(chain(self, *others))

    def intersection(self, *others: Iterable[object]) -> OrderedSet[T]:
        """Return the members that others have, too.

        Parameters
        ----------
        *others : iterable
            Each has to have them.

        Returns
        -------
        OrderedSet
            In the order of this one.
        """
        shared = [set(other) for other in others]
        return OrderedSet(one for one in self if all(one in other for other in shared))

    def difference(self, *others: Iterable[object]) -> OrderedSet[T]:
        """Return the members that no other has.

        Parameters
        ----------
        *others : iterable
            None may have them.

        Returns
        -------
        OrderedSet
            In the order of this one.
        """
        gone = set(chain(*others))
        return OrderedSet(one for one in self if one not in gone)

    def symmetric_difference(self, other: Iterable[U]) -> OrderedSet[T | U]:
        """Return what is in one of the two sets alone.

        Parameters
        ----------
        other : iterable
            The other one.

        Returns
        -------
        OrderedSet
            What is here first.
        """
        there = OrderedSet(other)
        return self.difference(there).union(there.difference(self))

    def issubset(self, other: Iterable[object]) -> bool:
        """Return whether all members are there, too.

        Parameters
        ----------
        other : iterable
            The other set.

        Returns
        -------
        bool
            True for an empty set.
        """
        return not self.difference(other)

    def issuperset(self, other: Iterable[object]) -> bool:
        """Return whether all that is there is here.

        Parameters
        ----------
        other : iterable
            The other set.

        Returns
        -------
        bool
            True if the other one is empty.
        """
        return all(one in self for one in other)

    # What changes it in place: all that a set of Python has for that

    def add(self, one: T) -> None:
        """Take something in, if it is not a member yet.

        Parameters
        ----------
        one : object
            The member to be.
        """
        self._take((one,))

    def discard(self, one: T) -> None:
        """Leave something out, if it is a member.

        Parameters
        ----------
        one : object
            Perhaps a member.
        """
        self._drop((one,))

    def clear(self) -> None:
        """Leave out all members."""
        self._drop(list(self))

    def update(self, *others: Iterable[T]) -> None:
        """Take in the members of others.

        Parameters
        ----------
        *others : iterable
            More members.
        """
        self._take(list(chain(*others)))

    def difference_update(self, *others: Iterable[T]) -> None:
        """Leave out the members of others.

        Parameters
        ----------
        *others : iterable
            What may stay no longer.
        """
        self._drop(list(chain(*others)))

    def intersection_update(self, *others: Iterable[object]) -> None:
        """Leave out what others do not have, too.

        Parameters
        ----------
        *others : iterable
            Each has to have what stays.
        """
        self._drop(self - self.intersection(*others))

    def symmetric_difference_update(self, other: Iterable[T]) -> None:
        """Take in what another one has alone, and leave out what both have.

        Parameters
        ----------
        other : iterable
            The other one.
        """
        there = OrderedSet(other)
        shared = self & there
        self._drop(shared)
        self._take(there - shared)

    def __ior__(self, other: Iterable[T]) -> Self:  # type: ignore[override,misc]  # narrower than in typeshed
        """Take in the members of another one."""
        self.update(_as_set(other, "|="))
        return self

    def __isub__(self, other: Iterable[Any]) -> Self:
        """Leave out the members of another one."""
        self.difference_update(_as_set(other, "-="))
        return self

    def __iand__(self, other: Iterable[Any]) -> Self:  # type: ignore[misc]  # as above
        """Leave out what another one does not have, too."""
        self.intersection_update(_as_set(other, "&="))
        return self

    def __ixor__(self, other: Iterable[T]) -> Self:  # type: ignore[override,misc]  # as above
        """Take in what another one has alone, and leave out what both have."""
        self.symmetric_difference_update(_as_set(other, "^="))
        return self


class OrderedSet(Ordered[T]):
    """A set in the order in which its members came.

    Parameters
    ----------
    members : iterable
        What is in it at first.

    Examples
    --------
    >>> letters = OrderedSet("cab")
    >>> letters
    {'c', 'a', 'b'}
    >>> letters == {"a", "b", "c"}, letters | {"d"}
    (True, {'c', 'a', 'b', 'd'})
    """

    __slots__ = ("_held",)

    def __init__(self, members: Iterable[T] = ()) -> None:
        self._held: dict[T, None] = dict.fromkeys(members)

    def __contains__(self, one: object) -> bool:
        """Return whether something is a member."""
        return one in self._held

    def __iter__(self) -> Iterator[T]:
        """Return the members in order."""
        return iter(self._held)

    def __len__(self) -> int:
        """Return how many members there are."""
        return len(self._held)

    def _take(self, new: Collection[T]) -> None:
        self._held.update(dict.fromkeys(new))

    def _drop(self, old: Collection[T]) -> None:
        for one in old:
            self._held.pop(one, None)


def _as_set(other: object, sign: str) -> Set[Any]:
    # As Python's own sets: of a text, `|=` would take the letters.
    if not isinstance(other, Set):
        raise DefinitionTypeError(
            f"{shown(other)} is no set, so it cannot stand behind {sign}; write {{...}}."
        )
    return other
