"""Sets in an order: what a flow answers when it is asked for tasks or edges. Knows neither.

Whoever ported a flow has sets in mind (Prefect 1 gave those), whoever reads an answer wants it in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableSet, Set
from itertools import chain
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class OrderedView(Set[T]):
    """A set that shows the keys of a mapping in their order, as they are at the moment.

    It compares and combines with any set; a new one comes out as an ``OrderedSet``.

    Parameters
    ----------
    held : mapping
        Has the members as its keys.
    """

    __slots__ = ("_held",)

    def __init__(self, held: Mapping[T, Any]) -> None:
        self._held = held

    @classmethod
    def _from_iterable(cls, it: Iterable[U]) -> OrderedSet[U]:
        return OrderedSet(it)

    def __contains__(self, one: object) -> bool:
        """Return whether something is a member."""
        return one in self._held

    def __iter__(self) -> Iterator[T]:
        """Return the members in order."""
        return iter(self._held)

    def __len__(self) -> int:
        """Return how many members there are."""
        return len(self._held)

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


class OrderedSet(OrderedView[T], MutableSet[T]):
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

    __slots__ = ()
    _held: dict[T, None]

    def __init__(self, members: Iterable[T] = ()) -> None:
        super().__init__(dict.fromkeys(members))

    def add(self, one: T) -> None:
        """Take something in, if it is not a member yet.

        Parameters
        ----------
        one : object
            The member to be.
        """
        self._held[one] = None

    def discard(self, one: T) -> None:
        """Leave something out, if it is a member.

        Parameters
        ----------
        one : object
            Perhaps a member.
        """
        self._held.pop(one, None)

    def update(self, *others: Iterable[T]) -> None:
        """Take in the members of others.

        Parameters
        ----------
        *others : iterable
            More members.
        """
        self._held.update(dict.fromkeys(chain(*others)))
