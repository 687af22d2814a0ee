"""What a flow consists of, as sets and dicts that may be changed. Know the flow's doors; hold nothing.

As in Prefect 1, code may put tasks and edges into a flow, and take them out, by the sets that the flow shows.
What is done to them goes through the flow, so that the graph stays right and nothing is let in that
``add_task`` and ``add_edge`` would refuse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from prefectlite.core.base import AnyTask, Task
from prefectlite.core.edge import Edge
from prefectlite.core.places import NO_CONSTANTS
from prefectlite.core.sets import Ordered
from prefectlite.faces import passes_for

if TYPE_CHECKING:
    from prefectlite.core.changing import ChangeableFlow


class FlowTasks(Ordered[Task]):
    """The tasks of a flow, in the order in which they came: a live view.

    Parameters
    ----------
    flow : ChangeableFlow
        The flow.
    """

    __slots__ = ("flow",)

    def __init__(self, flow: ChangeableFlow) -> None:
        self.flow = flow

    def __contains__(self, task: object) -> bool:
        """Return whether a task is in the flow."""
        return task in self.flow

    def __iter__(self) -> Iterator[Task]:
        """Return the tasks."""
        return iter(self.flow.places)

    def __len__(self) -> int:
        """Return how many tasks there are."""
        return len(self.flow.places)

    def _take(self, new: Collection[Task]) -> None:
        for task in new:
            self.flow.add_task(task)

    if TYPE_CHECKING:
        # For a type checker, what a call returns is the value that it stands for.
        def add(self, one: AnyTask) -> None: ...  # noqa: D102  # told in Ordered, as are the others
        def discard(self, one: AnyTask) -> None: ...  # noqa: D102
        def remove(self, value: AnyTask) -> None: ...  # noqa: D102
        def update(self, *others: Iterable[AnyTask]) -> None: ...  # noqa: D102
        def difference_update(self, *others: Iterable[AnyTask]) -> None: ...  # noqa: D102

    def _drop(self, old: Collection[Task]) -> None:
        self.flow.take_out(old)


class FlowEdges(Ordered[Edge]):
    """The edges of a flow, by downstream task: a live view.

    Parameters
    ----------
    flow : ChangeableFlow
        The flow.
    """

    __slots__ = ("flow",)

    def __init__(self, flow: ChangeableFlow) -> None:
        self.flow = flow

    def __contains__(self, edge: object) -> bool:
        """Return whether an equal edge is in the flow."""
        if not isinstance(edge, Edge):
            return False
        place = self.flow.places.get(edge.downstream)
        return place is not None and place.held(edge) is not None

    def __iter__(self) -> Iterator[Edge]:
        """Return the edges."""
        return chain.from_iterable(place.into for place in self.flow.places.values())

    def __len__(self) -> int:
        """Return how many edges there are."""
        return sum(len(place.into) for place in self.flow.places.values())

    def _take(self, new: Collection[Edge]) -> None:
        for edge in new:
            self.flow.draw(edge)

    def _drop(self, old: Collection[Edge]) -> None:
        self.flow.erase(old)


class Slugs(Mapping[AnyTask, str]):
    """The slugs of a flow's tasks: a live view, in which a task may be given another one.

    Parameters
    ----------
    flow : ChangeableFlow
        The flow.
    """

    __slots__ = ("_flow",)
    __class__ = passes_for(dict)

    def __init__(self, flow: ChangeableFlow) -> None:
        self._flow = flow

    def __getitem__(self, task: AnyTask) -> str:
        """Return a task's slug."""
        return self._flow.places[task].slug

    def __setitem__(self, task: AnyTask, slug: str) -> None:
        """Give a task another slug."""
        self.update({task: slug})

    def __iter__(self) -> Iterator[AnyTask]:
        """Return the tasks, in the order in which they came."""
        return iter(self._flow.places)

    def __len__(self) -> int:
        """Return how many tasks there are."""
        return len(self._flow.places)

    def __repr__(self) -> str:
        """Return it as a dict's text."""
        return repr(self.copy())

    def update(self, slugs: Mapping[AnyTask, str]) -> None:
        """Give tasks other slugs, all or none.

        Parameters
        ----------
        slugs : mapping of Task to str
            Slugs by task.
        """
        self._flow.rename(slugs)

    def copy(self) -> dict[Task, str]:
        """Return the slugs as they are at the moment.

        Returns
        -------
        dict of Task to str
            A dict of one's own.
        """
        return {task: place.slug for task, place in self._flow.places.items()}


class TaskConstants(MutableMapping[str, Any]):
    """The constants that are bound to arguments of a task: a live view.

    Parameters
    ----------
    flow : ChangeableFlow
        The flow.
    task : Task
        A task of the flow.
    """

    __slots__ = ("_flow", "_task")
    __class__ = passes_for(dict)

    def __init__(self, flow: ChangeableFlow, task: Task) -> None:
        self._flow = flow
        self._task = task

    def _held(self) -> Mapping[str, Any]:
        return self._flow.places[self._task].constants or NO_CONSTANTS

    def __getitem__(self, key: str) -> Any:
        """Return the constant of an argument."""
        return self._held()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Give an argument a constant, perhaps in another one's place."""
        self._flow.set_constant(self._task, key, value)

    def __delitem__(self, key: str) -> None:
        """Take an argument its constant."""
        self._flow.drop_constant(self._task, key)

    def __iter__(self) -> Iterator[str]:
        """Return the names of the arguments."""
        return iter(self._held())

    def __len__(self) -> int:
        """Return how many arguments have a constant."""
        return len(self._held())

    def __repr__(self) -> str:
        """Return it as a dict's text."""
        return repr(dict(self._held()))

    def copy(self) -> dict[str, Any]:
        """Return the constants as they are at the moment.

        Returns
        -------
        dict of str to object
            A dict of one's own.
        """
        return dict(self._held())


class Constants(MutableMapping[AnyTask, TaskConstants]):
    """The constants of a flow's tasks, by task and argument: a live view of the tasks that have some.

    Parameters
    ----------
    flow : ChangeableFlow
        The flow.
    """

    __slots__ = ("_flow",)
    __class__ = passes_for(dict)

    def __init__(self, flow: ChangeableFlow) -> None:
        self._flow = flow

    def __getitem__(self, task: AnyTask) -> TaskConstants:
        """Return a task's constants; nothing for a task of the flow that has none."""
        if task not in self._flow:
            raise KeyError(task)
        return TaskConstants(self._flow, task)

    def __setitem__(self, task: AnyTask, constants: Mapping[str, Any]) -> None:
        """Give a task these constants and no others."""
        mine, wanted = self[task], dict(constants)
        for key in mine.keys() - wanted.keys():
            del mine[key]
        mine.update(wanted)

    def __delitem__(self, task: AnyTask) -> None:
        """Take a task its constants."""
        self[task].clear()

    def __iter__(self) -> Iterator[AnyTask]:
        """Return the tasks that have constants."""
        return (task for task, place in self._flow.places.items() if place.constants)

    def __len__(self) -> int:
        """Return how many tasks have constants."""
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Return it as a dict's text."""
        return repr(self.copy())

    def copy(self) -> dict[Task, dict[str, Any]]:
        """Return the constants as they are at the moment.

        Returns
        -------
        dict of Task to dict
            Dicts of one's own.
        """
        return {task: constants.copy() for task, constants in self.items()}
