"""What can be asked of a flow: tasks, edges, roots, order. Knows places; changes nothing.

Sets of tasks and edges have an order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prefectlite.core.attributes import Replaceable
from prefectlite.core.base import AnyTask, Task
from prefectlite.core.binding import as_list
from prefectlite.core.context import as_tags
from prefectlite.core.edge import Edge
from prefectlite.core.flow_options import FlowOption, as_flow_name
from prefectlite.core.loggers import get_logger
from prefectlite.core.order import descendants, topological
from prefectlite.core.parameter import Parameter
from prefectlite.core.places import Place, Rim
from prefectlite.core.sets import OrderedSet
from prefectlite.core.slugs import SlugBook
from prefectlite.errors import DefinitionError
from prefectlite.kinds import check_kind, shown
from prefectlite.printable import label


class GraphQueries:
    """The questions that a flow answers about its tasks and edges.

    Parameters
    ----------
    name : str
        What the flow is called.
    """

    #: What the flow is called.
    name = FlowOption(as_flow_name)
    logger = Replaceable("The logger of the flow's own.", lambda flow: get_logger(flow.name))

    def __init__(self, name: str) -> None:
        self.name = name
        self._places: dict[Task, Place] = {}
        self._slug_book: SlugBook[Task] = SlugBook()
        # How many tasks have come so far, those that were taken out again included.
        self._came = 0
        self._roots, self._terminals = Rim(), Rim()
        self._parameters: dict[str, Parameter] = {}
        self._reference: tuple[Task, ...] = ()
        # Whether each edge leads from an earlier task to a later one; then that order is the topological one.
        self._in_order = True
        self._sorted: tuple[Task, ...] | None = None
        # Whether a resource is made or cleaned up.
        self._has_resources = False

    def __contains__(self, task: object) -> bool:
        """Return whether a task is in the flow."""
        return task in self._places

    def __iter__(self) -> Iterator[Task]:
        """Return the tasks, each after those that it waits for."""
        return iter(self.sorted_tasks())

    def __repr__(self) -> str:
        """Return ``<Class: name>``."""
        return f"<{type(self).__name__}: {label(self.name)}>"

    def get_tasks(
        self,
        name: str | None = None,
        slug: str | None = None,
        tags: Iterable[str] | None = None,
        task_type: type[Task] | None = None,
    ) -> list[Task]:
        """Return the tasks that meet all conditions; a slug is looked up, for others each task is looked at.

        Parameters
        ----------
        name : str or None
            Their name.
        slug : str or None
            Their slug.
        tags : iterable of str or None
            Tags that they have, perhaps among others.
        task_type : type or None
            Their class or a base of it.

        Returns
        -------
        list of Task
            In the order in which they came.

        Raises
        ------
        DefinitionTypeError
            When ``name`` or ``slug`` is no text, ``tags`` is one or holds something else, or ``task_type`` is
            no class.
        """
        wanted = as_tags(tags, "get_tasks(...)")
        for option, given, kind, mend in (
            ("name", name, str | None, "a text: name='load'"),
            ("slug", slug, str | None, "a text: slug='load-1'"),
            ("task_type", task_type, type | None, "a class of tasks: task_type=Parameter"),
        ):
            check_kind("get_tasks(...)", option, given, kind, f"give {mend}.")
        candidates: Iterable[Task] = self._places
        if slug is not None:
            owner = self._slug_book.owner(slug)
            candidates = () if owner is None else (owner,)
        return [
            task
            for task in candidates
            if (name is None or task.name == name)
            and wanted <= task.frozen_tags
            and (task_type is None or isinstance(task, task_type))
        ]

    def edges_to(self, task: AnyTask) -> OrderedSet[Edge]:
        """Return the edges to a task.

        Parameters
        ----------
        task : Task
            A task of the flow.

        Returns
        -------
        set of Edge
            In the order in which they were made: arguments first, in the order of the call.

        Raises
        ------
        DefinitionError
            When the task is not in the flow.
        """
        return OrderedSet(self._place(task).into)

    def edges_from(self, task: AnyTask) -> OrderedSet[Edge]:
        """Return the edges from a task.

        Parameters
        ----------
        task : Task
            A task of the flow.

        Returns
        -------
        set of Edge
            In the order in which they were made.

        Raises
        ------
        DefinitionError
            When the task is not in the flow.
        """
        return OrderedSet(self._place(task).out)

    def all_upstream_edges(self) -> dict[Task, OrderedSet[Edge]]:
        """Return the edges to each task.

        Returns
        -------
        dict of Task to set of Edge
            All tasks, in the order in which they came.
        """
        return {task: OrderedSet(place.into) for task, place in self._places.items()}

    def all_downstream_edges(self) -> dict[Task, OrderedSet[Edge]]:
        """Return the edges from each task.

        Returns
        -------
        dict of Task to set of Edge
            All tasks, in the order in which they came.
        """
        return {task: OrderedSet(place.out) for task, place in self._places.items()}

    def upstream_tasks(self, task: AnyTask) -> OrderedSet[Task]:
        """Return the tasks that a task waits for directly.

        Parameters
        ----------
        task : Task
            A task of the flow.

        Returns
        -------
        set of Task
            In the order of the edges.
        """
        return OrderedSet(edge.upstream for edge in self._place(task).into)

    def downstream_tasks(self, task: AnyTask) -> OrderedSet[Task]:
        """Return the tasks that wait for a task directly.

        Parameters
        ----------
        task : Task
            A task of the flow.

        Returns
        -------
        set of Task
            In the order of the edges.
        """
        return OrderedSet(edge.downstream for edge in self._place(task).out)

    def root_tasks(self) -> OrderedSet[Task]:
        """Return the tasks that wait for none.

        Returns
        -------
        set of Task
            In the order in which they came.
        """
        return OrderedSet(self._roots)

    def terminal_tasks(self) -> OrderedSet[Task]:
        """Return the tasks that none waits for.

        Returns
        -------
        set of Task
            In the order in which they came.
        """
        return OrderedSet(self._terminals)

    def reference_tasks(self) -> OrderedSet[Task]:
        """Return the tasks that decide how a run of the flow ends.

        Returns
        -------
        set of Task
            Those that were set, else the terminal ones. That a resource is made or cleaned up decides
            nothing: a task that nothing but a cleanup waits for counts as terminal.
        """
        if self._reference:
            return OrderedSet(self._reference)
        if not self._has_resources:
            return self.terminal_tasks()
        return OrderedSet(
            task
            for task, place in self._places.items()
            if task.resource_role not in ("init", "cleanup")
            and all(edge.downstream.resource_role == "cleanup" for edge in place.out)
        )

    def parameters(self) -> OrderedSet[Task]:
        """Return the flow's parameters.

        Returns
        -------
        set of Parameter
            In the order in which they came.
        """
        return OrderedSet(self._parameters.values())

    def sorted_tasks(self, root_tasks: Iterable[AnyTask] | None = None) -> tuple[Task, ...]:
        """Return the tasks, each after those that it waits for.

        Parameters
        ----------
        root_tasks : iterable of Task or None
            If given, only these and what waits for them.

        Returns
        -------
        tuple of Task
            In the order in which they came, as far as that is possible.

        Raises
        ------
        DefinitionError
            When a root task is not in the flow.
        DefinitionTypeError
            When it is no list, but a single task, say.
        """
        if root_tasks is not None:
            roots = list(as_list(f"Flow {self.name!r}", "root_tasks", root_tasks))
            for task in roots:
                self._place(task)
            return topological(self._places, descendants(self._places, roots))
        if self._sorted is None:
            self._sorted = tuple(self._places) if self._in_order else topological(self._places)
        return self._sorted

    def place_of(self, task: AnyTask) -> Place:
        """Return what the flow holds of a task, as it is kept, which costs nothing.

        Parameters
        ----------
        task : Task
            A task of the flow.

        Returns
        -------
        Place
            Slug, edges and constants; not to be changed.
        """
        return self._place(task)

    def is_mapped(self, task: AnyTask) -> bool:
        """Return whether a task runs once per item of an input.

        Parameters
        ----------
        task : Task
            A task of the flow.

        Returns
        -------
        bool
            True if one of the edges to it is mapped.
        """
        return self._place(task).is_mapped

    def number(self, task: AnyTask) -> int | None:
        """Return how many tasks came into the flow before a task.

        Parameters
        ----------
        task : Task
            Any task.

        Returns
        -------
        int or None
            None if it is not in the flow.
        """
        place = self._places.get(task) if isinstance(task, Task) else None
        return None if place is None else place.number

    def _place(self, task: AnyTask) -> Place:
        place = self._places.get(task) if isinstance(task, Task) else None
        if place is None:
            raise DefinitionError(
                f"{shown(task)} is not in flow {self.name!r}. Calling a task puts a copy of it into the "
                "flow: use what the call returned."
            )
        return place
