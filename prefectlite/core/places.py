"""Where a task stands in a flow: its slug, its edges both ways, its constants. Knows no rules.

There is one of these per task and none per query: edges are found from both ends without a search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from prefectlite.core.base import Task
from prefectlite.core.edge import Edge

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

    def has(self, edge: Edge) -> bool:
        """Return whether an equal edge is there already.

        Parameters
        ----------
        edge : Edge
            An edge to this place's task.

        Returns
        -------
        bool
            True if it would be a double.
        """
        if len(self.into) <= _FEW:
            return edge in self.into
        return self._index().get(_mark(edge)) == edge

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
    """The tasks that have no edge on one side, in the order in which they came; looking costs what is there.

    Parameters
    ----------
    tasks : iterable of Task
        Those to begin with.
    """

    __slots__ = ("_gaps", "_tasks")

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self._tasks = dict.fromkeys(tasks)
        self._gaps = 0

    def add(self, task: Task) -> None:
        """Take a new task in.

        Parameters
        ----------
        task : Task
            A task without edges.
        """
        self._tasks[task] = None

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
                self._tasks = dict.fromkeys(self._tasks)
                self._gaps = 0

    def __iter__(self) -> Iterator[Task]:
        """Return the tasks."""
        return iter(self._tasks)


class SlugView(Mapping[Task, str]):
    """The slugs of a flow's tasks, as the flow is at the moment.

    Parameters
    ----------
    places : mapping of Task to Place
        The flow's places.
    """

    __slots__ = ("_places",)

    def __init__(self, places: Mapping[Task, Place]) -> None:
        self._places = places

    def __getitem__(self, task: Task) -> str:
        """Return a task's slug."""
        return self._places[task].slug

    def __iter__(self) -> Iterator[Task]:
        """Return the tasks, in the order in which they came."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return how many tasks there are."""
        return len(self._places)

    def __repr__(self) -> str:
        """Return it as a dict's text."""
        return repr(dict(self))


class ConstantView(Mapping[Task, Mapping[str, Any]]):
    """The constants bound to a flow's tasks, by argument name; iteration gives the tasks that have some.

    Parameters
    ----------
    places : mapping of Task to Place
        The flow's places.
    """

    __slots__ = ("_places",)

    def __init__(self, places: Mapping[Task, Place]) -> None:
        self._places = places

    def __getitem__(self, task: Task) -> Mapping[str, Any]:
        """Return a task's constants; nothing for a task of the flow that has none."""
        constants = self._places[task].constants
        return NO_CONSTANTS if constants is None else MappingProxyType(constants)

    def __iter__(self) -> Iterator[Task]:
        """Return the tasks that have constants."""
        return (task for task, place in self._places.items() if place.constants is not None)

    def __len__(self) -> int:
        """Return how many tasks have constants."""
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Return it as a dict's text."""
        return repr({task: dict(self[task]) for task in self})
