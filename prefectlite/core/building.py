"""How a flow is built: tasks come in, edges are drawn, some are refused. Knows places and rules of form.

Each task has one ``Place`` that knows its edges both ways, so adding one costs the same in a small flow and
in a big one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Unpack

from prefectlite.core.attributes import as_slug
from prefectlite.core.base import AnyTask, Task
from prefectlite.core.binding import argument_edges, as_list, unwrapped, upstream_edges, upstream_of
from prefectlite.core.constants import Collection, Constant, constant_for
from prefectlite.core.edge import Edge, FlowOfEdge, check_key, put_flow, twin
from prefectlite.core.operators import OPERATIONS
from prefectlite.core.options import TaskArgs
from prefectlite.core.order import Ranks
from prefectlite.core.parameter import Parameter
from prefectlite.core.places import Place
from prefectlite.core.unused import UnusedTasks
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import shown


class FlowBuilder(UnusedTasks):
    """What adds tasks and edges to a flow.

    Parameters
    ----------
    name : str
        What the flow is called.
    """

    #: Who is asked when an edge is changed: the flow, also while a copy of it is worked on.
    _me: FlowOfEdge

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._ranks = Ranks()
        # Tasks that may still miss an argument: those that were not put here by a complete call.
        self._incomplete: dict[Task, None] = {}

    def add_task(self, task: AnyTask) -> Task:
        """Take a task in; a second time, do nothing.

        Parameters
        ----------
        task : Task
            The task.

        Returns
        -------
        Task
            The same.

        Raises
        ------
        DefinitionError
            When its slug is taken.
        DefinitionTypeError
            When it is no task.
        """
        if not isinstance(task, Task):
            raise self._no_task(task)
        if task not in self._places:
            self._add(task)
            if task.takes.required:
                self._incomplete[task] = None
        return task

    def next_slug(self, task: Collection) -> str:
        """Return the slug for a collection that is still to come, behind what is in it.

        Parameters
        ----------
        task : Collection
            A new task.

        Returns
        -------
        str
            It is the task's from now on.
        """
        return self._slug_of(task)

    def add_collection(
        self, task: Collection, slug: str, members: Mapping[str, Task], constants: dict[str, Any]
    ) -> None:
        """Take in a collection and its members; calls of tasks do this by themselves.

        Parameters
        ----------
        task : Collection
            A new task.
        slug : str
            What ``next_slug`` returned for it.
        members : mapping of str to Task
            Tasks of the flow, by argument name.
        constants : dict of str to object
            The members that are no tasks, likewise; it is kept.
        """
        place = self._add(task, slug)
        if constants:
            place.constants = constants
        self._connect(task, place, [Edge(member, task, key) for key, member in members.items()])

    def bind(
        self,
        task: Task,
        arguments: Mapping[str, Any],
        *,
        mapped: bool = False,
        upstream_tasks: Iterable[Any] | None = None,
    ) -> None:
        """Take in a task with all its arguments; calls of tasks do this by themselves.

        Parameters
        ----------
        task : Task
            The task.
        arguments : mapping of str to object
            Values by argument name; those without a default are complete.
        mapped : bool
            Whether arguments without an annotation are mapped over.
        upstream_tasks : iterable or None
            What comes first.

        Raises
        ------
        DefinitionError
            When an argument has a value already, or the task would wait for itself.
        """
        # What comes first is taken in first, so that the order of coming is an order to run in.
        before = [] if upstream_tasks is None else upstream_edges(self, task, upstream_tasks, mapped)
        edges, constants = argument_edges(self, task, arguments, mapped)
        edges.extend(before)
        # Only now: the task may be among its own arguments.
        place = self._places.get(task)
        if place is None:
            place = self._add(task)
            if constants:
                place.constants = constants
            self._connect(task, place, edges)
            return
        for key in arguments:
            self._check_free(task, place, key)
        for edge in edges:
            if edge.key is not None or place.held(edge) is None:
                self._insert(edge)
        if constants:
            place.add_constants(constants)

    def add_edge(
        self,
        upstream_task: Any,
        downstream_task: AnyTask,
        key: str | None = None,
        mapped: bool = False,
        flattened: bool = False,
        validate: bool | None = None,
    ) -> Edge:
        """Let one task wait for another; both are taken in.

        Parameters
        ----------
        upstream_task : object
            What comes first: a task, or a value, with or without an annotation.
        downstream_task : Task
            Who waits.
        key : str or None
            The argument of ``downstream_task`` that takes the value; None takes no value.
        mapped : bool
            Whether ``downstream_task`` maps over the value.
        flattened : bool
            Whether the value is unnested by one level first.
        validate : bool or None
            Not looked at: every edge is checked when it is made.

        Returns
        -------
        Edge
            The edge. A constant with a key, neither mapped nor flattened, is kept in ``constants`` instead.

        Raises
        ------
        DefinitionError
            When the argument has a value already, the edge would close a cycle, or ``downstream_task`` takes
            no input.
        DefinitionTypeError
            When ``downstream_task`` is no task or has no such argument.
        """
        downstream = self._waiting(downstream_task, upstream_task, key)
        place = self._places.get(downstream)
        if key is not None and place is not None:
            self._check_free(downstream, place, key)
        value, is_mapped, unnested = unwrapped(upstream_task, mapped)
        unnested = unnested or bool(flattened)
        keyed = key is not None and not is_mapped and not unnested
        source = upstream_of(self, value, keyed=keyed)
        place = self._places[self.add_task(downstream)]
        if source is None:
            assert key is not None  # without a key, a constant is a task too
            constant = value if isinstance(value, Constant) else constant_for(value)
            place.add_constants({key: constant.value})
            return Edge(constant, downstream, key)
        edge = Edge(source, downstream, key, is_mapped, unnested)
        if key is not None or place.held(edge) is None:
            self._insert(edge)
        return edge

    def chain(self, *tasks: AnyTask, validate: bool | None = None) -> list[Edge]:
        """Let each task wait for the one before it.

        Parameters
        ----------
        *tasks : Task
            In the order in which they are to run; all are taken in.
        validate : bool or None
            Not looked at: every edge is checked when it is made.

        Returns
        -------
        list of Edge
            The edges, one fewer than tasks.

        Raises
        ------
        DefinitionError
            When an edge would close a cycle, or a task takes no input.
        """
        if len(tasks) == 1:
            self.add_task(tasks[0])  # Prefect 1 lost it
        return [self.add_edge(earlier, later) for earlier, later in pairwise(tasks)]

    def set_dependencies(
        self,
        task: AnyTask,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[AnyTask] | None = None,
        keyword_tasks: Mapping[str, Any] | None = None,
        mapped: bool = False,
        validate: bool | None = None,
    ) -> None:
        """Say what comes before and after a task; all are taken in.

        Parameters
        ----------
        task : Task
            The task.
        upstream_tasks : iterable or None
            What comes first.
        downstream_tasks : iterable of Task or None
            What comes later.
        keyword_tasks : mapping of str to object or None
            Values by argument name.
        mapped : bool
            Whether the task maps over ``keyword_tasks``, and is paired with those of ``upstream_tasks``
            that are mapped themselves.
        validate : bool or None
            Not looked at: every edge is checked when it is made.

        Raises
        ------
        DefinitionTypeError
            When ``keyword_tasks`` is no mapping, or one of the others no list.
        """
        self.add_task(task)
        by_name: object = keyword_tasks or {}
        if not isinstance(by_name, Mapping):
            raise DefinitionTypeError(
                f"Task {task.name!r} has keyword_tasks={keyword_tasks!r}, which has no names; write "
                "keyword_tasks={'x': task}."
            )
        for edge in upstream_edges(self, task, upstream_tasks or (), mapped):
            self.add_edge(edge.upstream, task, mapped=edge.mapped, flattened=edge.flattened)
        for later in as_list(f"Task {task.name!r}", "downstream_tasks", downstream_tasks):
            self.add_edge(task, later)
        for key, value in by_name.items():
            self.add_edge(value, task, key=key, mapped=mapped)

    def take_over(self, edge: Edge) -> None:
        """Draw an edge of another flow, unless it is here already.

        Parameters
        ----------
        edge : Edge
            Between tasks of this flow.

        Raises
        ------
        DefinitionError
            When the argument has a value already, or the edge would close a cycle.
        """
        place = self._places[edge.downstream]
        if place.held(edge) is None:
            if edge.key is not None:
                self._check_free(edge.downstream, place, edge.key)
            self._insert(self._own(edge))

    def operate(self, kind: str, operands: Iterable[Any], **options: Unpack[TaskArgs]) -> Task:
        """Put the task for an operation into the flow; Python's operators do this by themselves.

        Parameters
        ----------
        kind : str
            The name of a class in ``prefectlite.core.operators``.
        operands : iterable
            What it is done with: tasks or values.
        **options : TaskArgs
            Those of the task.

        Returns
        -------
        Task
            The new task.
        """
        task = OPERATIONS[kind](**options)
        # Behind what an operator gives, GetItem takes a default.
        self.bind(task, dict(zip(task.takes.names, operands, strict=False)))
        return task

    def _add(self, task: Task, slug: str | None = None) -> Place:
        place = self._stand(task, self._slug_of(task) if slug is None else slug)
        if self._unused:
            self._unused.pop(task, None)
        return place

    def _stand(self, task: Task, slug: str) -> Place:
        number = self._came
        self._came = number + 1
        place = Place(slug, number, self._ranks.next())
        self._places[task] = place
        self._roots.add(task, number)
        self._terminals.add(task, number)
        self._sorted = None
        self._has_resources |= task.resource_role is not None
        return place

    def _slug_of(self, task: Task) -> str:
        if task.slug is None:
            return self._slug_book.make(task.name, task.frozen_tags, task)
        slug = task.slug
        self._check_slug(task, slug)
        self._slug_book.claim(slug, task)
        if isinstance(task, Parameter):
            self._parameters[slug] = task
        return slug

    def _check_slug(self, task: Task, slug: str) -> None:
        as_slug(slug, f"Task {task.name!r}")
        if isinstance(task, Parameter) and slug in self._parameters:
            raise DefinitionError(
                f"Flow {self.name!r} has a parameter {slug!r} already; "
                "make it once and use it in several places."
            )
        if self._slug_book.owner(slug) not in (None, task):
            raise DefinitionError(
                f"Flow {self.name!r} has a task with slug {slug!r} already; give this call another one: "
                "task_args={'slug': ...}."
            )

    def _connect(self, task: Task, place: Place, edges: list[Edge]) -> None:
        # A new task waits for older ones: its edges can close no cycle.
        if edges:
            place.into = edges
            self._roots.discard(task)
            places, terminals = self._places, self._terminals
            me = self._me
            for edge in edges:
                put_flow(edge, me)
                places[edge.upstream].add_out(edge)
                terminals.discard(edge.upstream)
                if edge.mapped:
                    place.is_mapped = True

    def _insert(self, edge: Edge) -> None:
        self._admit(edge)
        before, after = self._places[edge.upstream], self._places[edge.downstream]
        put_flow(edge, self._me)
        self._in_order &= before.number < after.number
        before.add_out(edge)
        after.add_into(edge)
        if isinstance(edge.downstream, Collection):
            _arrange(after, edge.downstream)
        self._terminals.discard(edge.upstream)
        self._roots.discard(edge.downstream)
        self._sorted = None

    def _admit(self, edge: Edge) -> None:
        """Refuse an edge that would close a cycle."""
        if not self._ranks.admit(self._places, edge.upstream, edge.downstream):
            before, after = self._places[edge.upstream].slug, self._places[edge.downstream].slug
            raise DefinitionError(
                f"The edge from {before!r} to {after!r} would close a cycle in flow {self.name!r}: "
                f"{before!r} waits for {after!r} already; remove one of the two."
            )

    def _own(self, edge: Edge) -> Edge:
        """Return an edge, or one that says the same where another flow has that one."""
        asked = edge._flow
        # Not `==`: that of two references compares the flows.
        flow = None if asked is None or asked is self._me else asked()
        return edge if flow is None or not flow.holds(edge) else twin(edge)

    def _waiting(self, task: AnyTask, upstream: object, key: str | None) -> Task:
        """Return the task if it may wait, and has such an argument."""
        if not isinstance(task, Task):
            raise self._no_task(task)
        if isinstance(task, Parameter | Constant):
            raise DefinitionError(
                f"{task!r} cannot wait for {upstream!r}: its value is known before anything runs; "
                "let the tasks that use it wait."
            )
        if key is not None:
            check_key(key, upstream, task)
            task.takes.check_name(task.name, key)
        return task

    def _no_task(self, value: object) -> DefinitionTypeError:
        return DefinitionTypeError(
            f"{shown(value)} is no task, so flow {self.name!r} cannot hold it; put @task above the function."
        )

    def _check_free(self, task: Task, place: Place, key: str) -> None:
        if not place.takes_key(key):
            raise DefinitionError(
                f"Task {task.name!r} in flow {self.name!r} has a value for its argument {key!r} already; "
                "call the task once more for a second copy."
            )


def _arrange(place: Place, task: Collection) -> None:
    """Put the edges to a collection in the order of its members, by which it is put together."""
    last = [task.place_of(edge.key) for edge in place.into[-2:]]
    if last != sorted(last):
        place.into = sorted(place.into, key=lambda edge: task.place_of(edge.key))
