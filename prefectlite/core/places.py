"""Where a task stands in a flow: its slug, its edges both ways, its constants. Knows no rules.

There is one of these per task and none per query: edges are found from both ends without a search.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from prefectlite.core.base import Task
from prefectlite.core.edge import Edge, rewrite

NO_EDGES: Final[Sequence[Edge]] = ()
NO_CONSTANTS: Final[Mapping[str, Any]] = MappingProxyType({})
#: Up to here a search through a task's edges is cheaper than keeping an index of them.
_FEW = 16


class Place:
    """One task's place in a flow.

    Parameters
    ----------
    slug : str
        The task's name in the flow.
    number : int
        How many tasks were there before it.
    rank : int
        Where it stands in an order in which each task comes after those that it waits for.
    """

    __slots__ = ("_taken", "constants", "into", "is_mapped", "number", "out", "rank", "slug")

    def __init__(self, slug: str, number: int, rank: int) -> None:
        self.slug = slug
        self.number = number
        self.rank = rank
        #: Edges to the task, in the order in which they were made; a list once there are some.
        self.into: Sequence[Edge] = NO_EDGES
        #: Edges from the task; likewise.
        self.out: Sequence[Edge] = NO_EDGES
        self.constants: dict[str, Any] | None = None
        self.is_mapped = False
        self._taken: dict[object, Edge] | None = None

    def copy(self) -> Place:
        """Return a place with the same edges and constants that can be changed by itself.

        Returns
        -------
        Place
            The copy.
        """
        new = Place(self.slug, self.number, self.rank)
        new.into, new.out = list(self.into) or NO_EDGES, list(self.out) or NO_EDGES
        new.constants = None if self.constants is None else dict(self.constants)
        new.is_mapped = self.is_mapped
        return new

    def keys(self) -> Iterator[str]:
        """Return the arguments that have a value.

        Yields
        ------
        str
            Argument names, constants first.
        """
        yield from self.constants or ()
        for edge in self.into:
            if edge.key is not None:
                yield edge.key

    def takes_key(self, key: str) -> bool:
        """Return whether an argument still has no value.

        Parameters
        ----------
        key : str
            The argument's name.

        Returns
        -------
        bool
            True if it is free.
        """
        if self.constants is not None and key in self.constants:
            return False
        if len(self.into) <= _FEW:
            return all(edge.key != key for edge in self.into)
        return key not in self._index()

    def held(self, edge: Edge) -> Edge | None:
        """Return the edge that is there already and equal to another one.

        Parameters
        ----------
        edge : Edge
            An edge to this place's task.

        Returns
        -------
        Edge or None
            None if the other one would be no double.
        """
        if len(self.into) <= _FEW:
            return self.into[self.into.index(edge)] if edge in self.into else None
        found = self._index().get(_mark(edge))
        return found if found == edge else None

    def add_into(self, edge: Edge) -> None:
        """Note an edge to the task.

        Parameters
        ----------
        edge : Edge
            Its downstream is this place's task.
        """
        if isinstance(self.into, list):
            self.into.append(edge)
        else:
            self.into = [edge]
        self.is_mapped |= edge.mapped
        if self._taken is not None:
            self._taken[_mark(edge)] = edge

    def add_out(self, edge: Edge) -> None:
        """Note an edge from the task.

        Parameters
        ----------
        edge : Edge
            Its upstream is this place's task.
        """
        if isinstance(self.out, list):
            self.out.append(edge)
        else:
            self.out = [edge]

    def rewrite(self, edge: Edge, new: Edge) -> None:
        """Let an edge to the task say something else of how the value is handed over.

        Parameters
        ----------
        edge : Edge
            One that is here.
        new : Edge
            What it is to say; its ends are the same, and it is equal to none that is here.
        """
        maps = edge.mapped
        if self._taken is not None:
            del self._taken[_mark(edge)]
            self._taken[_mark(new)] = edge
        rewrite(edge, new)
        if maps != edge.mapped:
            self.is_mapped = any(one.mapped for one in self.into)

    def drop_into(self, gone: Container[int]) -> bool:
        """Forget edges to the task.

        Parameters
        ----------
        gone : container of int
            The identities of such edges, perhaps among others.

        Returns
        -------
        bool
            Whether none is left.
        """
        if self._taken is not None:
            for edge in self.into:
                if id(edge) in gone:
                    del self._taken[_mark(edge)]
        self.into = [edge for edge in self.into if id(edge) not in gone] or NO_EDGES
        self.is_mapped = any(edge.mapped for edge in self.into)
        return not self.into

    def drop_out(self, gone: Container[int]) -> bool:
        """Forget edges from the task.

        Parameters
        ----------
        gone : container of int
            The identities of such edges, perhaps among others.

        Returns
        -------
        bool
            Whether none is left.
        """
        self.out = [edge for edge in self.out if id(edge) not in gone] or NO_EDGES
        return not self.out

    def add_constants(self, constants: Mapping[str, Any]) -> None:
        """Give arguments values.

        Parameters
        ----------
        constants : mapping of str to object
            Values by argument name, of arguments that are free.
        """
        if self.constants is None:
            self.constants = {}
        self.constants.update(constants)

    def _index(self) -> dict[object, Edge]:
        if self._taken is None:
            self._taken = {_mark(edge): edge for edge in self.into}
        return self._taken


def _mark(edge: Edge) -> object:
    return (edge.upstream, edge.mapped, edge.flattened) if edge.key is None else edge.key


class Rim:
    """The tasks without an edge on one side, in the order in which they came; looking costs what is there."""

    __slots__ = ("_gaps", "_is_late", "_tasks")

    def __init__(self) -> None:
        # With the numbers by which they came.
        self._tasks: dict[Task, int] = {}
        self._gaps = 0
        self._is_late = False

    def copy(self) -> Rim:
        """Return a rim of its own with the same tasks.

        Returns
        -------
        Rim
            The copy.
        """
        new = Rim()
        new._tasks, new._is_late = dict(self._tasks), self._is_late
        return new

    def add(self, task: Task, number: int) -> None:
        """Take a new task in.

        Parameters
        ----------
        task : Task
            A task without edges.
        number : int
            How many came before it.
        """
        self._tasks[task] = number

    def put_back(self, task: Task, number: int) -> None:
        """Take a task in again, where it stood.

        Parameters
        ----------
        task : Task
            A task that lost its edges.
        number : int
            How many came before it.
        """
        self._tasks[task] = number
        self._is_late = True

    def discard(self, task: Task) -> None:
        """Leave a task out from now on, if it is not left out already.

        Parameters
        ----------
        task : Task
            A task that got an edge.
        """
        if task in self._tasks:
            del self._tasks[task]
            self._gaps += 1
            # A dict keeps a gap where something was, and whoever iterates over it looks at each.
            if self._gaps > len(self._tasks) + _FEW:
                self._tasks = dict(self._tasks.items())
                self._gaps = 0

    def __iter__(self) -> Iterator[Task]:
        """Return the tasks."""
        if self._is_late:
            self._tasks = dict(sorted(self._tasks.items(), key=_number))
            self._is_late = False
        return iter(self._tasks)


def _number(one: tuple[Task, int]) -> int:
    return one[1]
