"""How a list, tuple, set, dict or dataclass is put together from its members' values. Knows no tasks.

It travels to wherever the consumer of a collection runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, assert_never

#: What is put together; ``record`` is a dataclass, ``namedtuple`` a tuple with names.
AssemblyKind: TypeAlias = Literal["list", "tuple", "set", "frozenset", "dict", "namedtuple", "record"]


@dataclass(frozen=True, slots=True)
class Assembly:
    """The plan of a collection: its kind, its names, and the members that are known beforehand.

    Parameters
    ----------
    kind : {"list", "tuple", "set", "frozenset", "dict", "namedtuple", "record"}
        What is put together.
    size : int
        How many members there are, known ones included. Those of a dict are two: its keys, and its values.
    names : tuple
        The field names of a record, one per member; empty otherwise.
    fixed : tuple of (int, object)
        Place and value of the members that are no tasks, in order of place.
    cls : type or None
        The class of a record or named tuple.

    Examples
    --------
    >>> Assembly("list", 2, fixed=((1, "known"),)).build([10])
    [10, 'known']
    """

    kind: AssemblyKind
    size: int
    names: tuple[Any, ...] = ()
    fixed: tuple[tuple[int, Any], ...] = ()
    cls: type[Any] | None = None

    def build(self, values: Sequence[Any]) -> Any:
        """Return the collection.

        Parameters
        ----------
        values : sequence
            The values of the members that are tasks, in order.

        Returns
        -------
        object
            A new list, tuple, set, frozenset, dict, named tuple or dataclass instance; the latter is made
            by calling its class, so its ``__post_init__`` sees values where the user's own had tasks.
        """
        members = self._members(values)
        match self.kind:
            case "list":
                return members
            case "tuple":
                return tuple(members)
            case "set":
                return set(members)
            case "frozenset":
                return frozenset(members)
            case "dict":
                return dict(zip(*members, strict=True))
            case "namedtuple":
                assert self.cls is not None
                return self.cls(*members)
            case "record":
                assert self.cls is not None
                return self.cls(**dict(zip(self.names, members, strict=True)))
            case _:
                assert_never(self.kind)

    def _members(self, values: Sequence[Any]) -> list[Any]:
        if not self.fixed:
            return list(values)
        members: list[Any] = []
        waiting = iter(values)
        known = iter(self.fixed)
        place, value = next(known)
        for number in range(self.size):
            if number == place:
                members.append(value)
                place, value = next(known, (-1, None))
            else:
                members.append(next(waiting))
        return members
