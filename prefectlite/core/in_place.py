"""Options that hold several things: a list and a set that can be changed in place. Know no task and no flow.

They hold nothing themselves. What is read is what the owner has at the moment, and what is changed is set as
a whole, so it is checked as whatever is set is, and no two owners share it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, MutableSequence, Sequence
from typing import Any, SupportsIndex, TypeVar, overload

from prefectlite.core.sets import Ordered
from prefectlite.errors import DefinitionTypeError
from prefectlite.faces import passes_for
from prefectlite.kinds import shown

T = TypeVar("T")


class OptionList(MutableSequence[T]):
    """A list that belongs to a task or a flow.

    Parameters
    ----------
    read : callable
        Returns what the owner has.
    write : callable
        Sets what the owner has, or refuses it.
    """

    __slots__ = ("_read", "_write")
    __class__ = passes_for(list)

    def __init__(self, read: Callable[[], Sequence[T]], write: Callable[[list[T]], None]) -> None:
        self._read = read
        self._write = write

    @overload
    def __getitem__(self, place: SupportsIndex) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: Any) -> Any:
        """Return the member at a place, or a list of some."""
        return list(self._read())[place]

    @overload
    def __setitem__(self, place: SupportsIndex, new: T) -> None: ...
    @overload
    def __setitem__(self, place: slice, new: Iterable[T]) -> None: ...
    def __setitem__(self, place: Any, new: Any) -> None:
        """Put something else at a place, or in the place of some."""
        changed = list(self._read())
        changed[place] = new
        self._write(changed)

    def __delitem__(self, place: SupportsIndex | slice) -> None:
        """Leave out the member at a place, or some."""
        changed = list(self._read())
        del changed[place]
        self._write(changed)

    def __len__(self) -> int:
        """Return how many members there are."""
        return len(self._read())

    def insert(self, index: int, value: T) -> None:
        """Put something before the member at a place.

        Parameters
        ----------
        index : int
            The place.
        value : object
            The new member.
        """
        self[index:index] = [value]

    def append(self, value: T) -> None:
        """Put something at the end.

        Parameters
        ----------
        value : object
            The new member.
        """
        self.extend([value])

    def extend(self, values: Iterable[T]) -> None:
        """Put several things at the end, all or none.

        Parameters
        ----------
        values : iterable
            The new members.
        """
        self._write([*self._read(), *values])

    def clear(self) -> None:
        """Leave out all members."""
        self._write([])

    def copy(self) -> list[T]:
        """Return a list of one's own with the same members.

        Returns
        -------
        list
            The copy.
        """
        return list(self._read())

    def __eq__(self, other: object) -> bool:
        """Return whether a list has the same members in the same order."""
        if not isinstance(other, OptionList | list):
            return NotImplemented
        return self.copy() == list(other)

    # As a list, it can be changed.
    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Iterable[T]) -> list[T]:
        """Return a list of these members and those of another one."""
        return self.copy() + list(other) if isinstance(other, OptionList | list) else NotImplemented

    def __radd__(self, other: object) -> list[T]:
        """Return a list of another one's members and these."""
        return other + self.copy() if isinstance(other, list) else NotImplemented

    def __repr__(self) -> str:
        """Return it as a list's text."""
        return repr(self.copy())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the members alone."""
        return list, (self.copy(),)


class OptionSet(Ordered[T]):
    """A set that belongs to a task.

    Parameters
    ----------
    read : callable
        Returns what the owner has, in an order.
    write : callable
        Sets what the owner has, or refuses it.
    """

    __slots__ = ("_read", "_write")

    def __init__(self, read: Callable[[], Collection[T]], write: Callable[[list[T]], None]) -> None:
        self._read = read
        self._write = write

    def __contains__(self, one: object) -> bool:
        """Return whether something is a member."""
        return one in self._read()

    def __iter__(self) -> Iterator[T]:
        """Return the members in order."""
        return iter(self._read())

    def __len__(self) -> int:
        """Return how many members there are."""
        return len(self._read())

    def update(self, *others: Iterable[T]) -> None:
        """Take in the members of others, all or none.

        Parameters
        ----------
        *others : iterable
            More members.

        Raises
        ------
        DefinitionTypeError
            When one is a text, of which each letter would become a member.
        """
        for other in others:
            if isinstance(other, str):
                raise DefinitionTypeError(
                    f"A task's set was to be updated with {shown(other)}, of which each letter would be a "
                    f"member; write update([{shown(other)}])."
                )
        super().update(*others)

    def _take(self, new: Collection[T]) -> None:
        self._write([*self._read(), *new])

    def _drop(self, old: Collection[T]) -> None:
        self._write([one for one in self._read() if one not in old])
