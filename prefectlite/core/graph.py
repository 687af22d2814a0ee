"""The container of a flow: tasks, edges, constants, reference tasks. Knows how to hold, not how to run them.

Each task has one ``Place`` that knows its edges both ways, so adding one costs the same in a small flow and
in a big one, and a query costs what its answer is long.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Self

from prefectlite.core.base import AnyTask, Task
from prefectlite.core.binding import argument_edges, unwrapped, upstream_edges, upstream_of
from prefectlite.core.constants import Collection, Constant
from prefectlite.core.context import pop, push
from prefectlite.core.edge import Edge
from prefectlite.core.order import leads_to
from prefectlite.core.parameter import Parameter
from prefectlite.core.places import Place
from prefectlite.core.queries import GraphQueries
from prefectlite.core.slugs import SlugBook
from prefectlite.errors import DefinitionError, DefinitionTypeError, ParameterError


class FlowGraph(GraphQueries):
    """Tasks and what each of them waits for.

    Used in a ``with`` statement, it takes in the tasks that are called inside.

    Parameters
    ----------
    name : str
        What the flow is called.
    executor : object
        Where it runs by default; not looked at here.
    tasks : iterable of Task or None
        Tasks to take in.
    edges : iterable of Edge or None
        Edges to take in, with their tasks.
    reference_tasks : iterable of Task or None
        The tasks that decide how a run of the flow ends; by default, those without a downstream.

    Raises
    ------
    DefinitionError
        When the name is empty, or an edge or reference task is refused.
    """

    def __init__(
        self,
        name: str,
        *,
        executor: Any = None,
        tasks: Iterable[AnyTask] | None = None,
        edges: Iterable[Edge] | None = None,
        reference_tasks: Iterable[AnyTask] | None = None,
    ) -> None:
        given: object = name
        if not isinstance(given, str) or not given:
            raise DefinitionError(f"A flow has name={name!r}; give a text that is not empty.")
        super().__init__(name)
        self.executor = executor
        self._slug_book = SlugBook()
        # Tasks that may still miss an argument: those that were not put here by a complete call.
        self._incomplete: dict[Task, None] = {}
        # Tasks that were made while the flow was open and have not been used yet.
        self._unused: dict[Task, None] = {}
        for task in tasks or ():
            self.add_task(task)
        for edge in edges or ():
            self.add_edge(edge.upstream, edge.downstream, edge.key, edge.mapped, edge.flattened)
        if reference_tasks is not None:
            self.set_reference_tasks(reference_tasks)

    def __enter__(self) -> Self:
        """Let calls of tasks put them here."""
        push({"flow": self})
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        """Stop that, and name the tasks that were made and never used."""
        pop()
        unused, self._unused = self._unused, {}
        if exc_type is None:
            for task in unused:
                warnings.warn(
                    f"Task {task.name!r} was made while flow {self.name!r} was open, but was not put into "
                    "it; call it, or make it outside the `with` block.",
                    stacklevel=2,
                )

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
            raise DefinitionTypeError(
                f"{task!r} is no task, so flow {self.name!r} cannot hold it; put @task above the function."
            )
        if task not in self._places:
            self._add(task)
            if task.takes.required:
                self._incomplete[task] = None
        return task

    def add_collection(self, task: Collection, edges: list[Edge]) -> None:
        """Take in a collection and the edges from its members; calls of tasks do this by themselves.

        Parameters
        ----------
        task : Collection
            A new task.
        edges : list of Edge
            Edges from tasks of the flow.
        """
        self._connect(self._add(task), edges)

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
        edges, constants = argument_edges(self, task, arguments, mapped)
        if upstream_tasks is not None:
            edges.extend(upstream_edges(self, task, upstream_tasks, mapped))
        # Only now: the task may be among its own arguments.
        place = self._places.get(task)
        if place is None:
            place = self._add(task)
            if constants:
                place.constants = constants
            self._connect(place, edges)
            return
        for key in arguments:
            self._check_free(task, place, key)
        for edge in edges:
            self._insert(edge)
        if constants:
            place.constants = {**(place.constants or {}), **constants}

    def add_edge(
        self,
        upstream: Any,
        downstream: AnyTask,
        key: str | None = None,
        mapped: bool = False,
        flattened: bool = False,
    ) -> Edge:
        """Let one task wait for another; both are taken in.

        Parameters
        ----------
        upstream : object
            What comes first: a task, or a value, with or without an annotation.
        downstream : Task
            Who waits.
        key : str or None
            The argument of ``downstream`` that takes the value; None takes no value.
        mapped : bool
            Whether ``downstream`` maps over the value.
        flattened : bool
            Whether the value is unnested by one level first.

        Returns
        -------
        Edge
            The edge. A constant with a key, neither mapped nor flattened, is kept in ``constants`` instead.

        Raises
        ------
        DefinitionError
            When the argument has a value already, the edge would close a cycle, or ``downstream`` takes no
            input.
        DefinitionTypeError
            When ``downstream`` is no task or has no such argument.
        """
        if isinstance(downstream, Parameter | Constant):
            raise DefinitionError(
                f"{downstream!r} cannot wait for {upstream!r}: its value is known before anything runs; "
                "let the tasks that use it wait."
            )
        place = self._places[self.add_task(downstream)]
        if key is not None:
            downstream.takes.check_name(downstream.name, key)
            self._check_free(downstream, place, key)
        value, is_mapped, unnested = unwrapped(upstream, mapped)
        unnested |= flattened
        keyed = key is not None and not is_mapped and not unnested
        source = upstream_of(self, value, keyed=keyed)
        if source is None:
            assert key is not None  # without a key, a constant is a task too
            constant = value if isinstance(value, Constant) else Constant(value)
            place.constants = {**(place.constants or {}), key: constant.value}
            return Edge(constant, downstream, key)
        edge = Edge(source, downstream, key, is_mapped, unnested)
        if key is not None or not place.has(edge):
            self._insert(edge)
        return edge

    def set_dependencies(
        self,
        task: AnyTask,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[AnyTask] | None = None,
        keyword_tasks: Mapping[str, Any] | None = None,
        mapped: bool = False,
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
        """
        self.add_task(task)
        for key, value in (keyword_tasks or {}).items():
            self.add_edge(value, task, key=key, mapped=mapped)
        for edge in upstream_edges(self, task, upstream_tasks or (), mapped):
            self.add_edge(edge.upstream, task, mapped=edge.mapped, flattened=edge.flattened)
        for later in downstream_tasks or ():
            self.add_edge(task, later)

    def set_reference_tasks(self, tasks: Iterable[AnyTask]) -> None:
        """Say which tasks decide how a run of the flow ends.

        Parameters
        ----------
        tasks : iterable of Task
            Tasks of the flow; none brings back the terminal ones.

        Raises
        ------
        DefinitionError
            When a task is not in the flow.
        DefinitionTypeError
            When it is a single task.
        """
        if isinstance(tasks, Task):
            raise DefinitionTypeError(
                f"set_reference_tasks takes a list; write flow.set_reference_tasks([...]) for {tasks!r} too."
            )
        wanted = tuple(dict.fromkeys(tasks))
        for task in wanted:
            self._place(task)
        self._reference = wanted

    def validate(self) -> None:
        """Check that every task has all its arguments; edges and cycles are checked when they are made.

        Raises
        ------
        DefinitionTypeError
            When an argument without a default has no value.
        """
        for task in list(self._incomplete):
            missing = task.takes.missing(self._places[task].keys())
            if missing:
                raise DefinitionTypeError(
                    f"Flow {self.name!r} cannot run: {task.takes.miss(task.name, missing)} "
                    "(The task itself was put into the flow; calling it puts a copy with arguments there.)"
                )
            # Arguments are never taken away again.
            del self._incomplete[task]

    def check_parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of every parameter for one run.

        Parameters
        ----------
        given : mapping of str to object
            Values by parameter name.

        Returns
        -------
        dict
            Values by parameter name, defaults filled in.

        Raises
        ------
        ParameterError
            When a name is unknown, a required value is missing, or a value is not what its type asks for.
        """
        for name in given:
            if name not in self._parameters:
                raise ParameterError(self._unknown(name))
        values: dict[str, Any] = {}
        for name, parameter in self._parameters.items():
            if name in given:
                values[name] = parameter.validate(given[name])
            elif parameter.required:
                raise ParameterError(f"Flow {self.name!r} cannot run: {parameter.missing()}")
            else:
                values[name] = parameter.default
        return values

    # Tasks that are made and forgotten

    def note_made(self, task: Task) -> None:
        """Remember a task that was made while the flow was open.

        Parameters
        ----------
        task : Task
            A task that should find its way into the flow.
        """
        self._unused[task] = None

    def note_used(self, task: Task) -> None:
        """Forget a task that was made while the flow was open, and now was copied; its edges are not copied.

        Parameters
        ----------
        task : Task
            The task.
        """
        if self._unused:
            self._unused.pop(task, None)
        place = self._places.get(task)
        if place is not None and (place.into or place.out):
            warnings.warn(
                f"Task {task.name!r} has edges in flow {self.name!r}, which its copy does not get; "
                "use what its call returned as it is, or give the copy arguments of its own.",
                stacklevel=3,
            )

    def note_copied(self, task: Task, new: Task) -> None:
        """Remember a copy in its original's place.

        Parameters
        ----------
        task : Task
            The original.
        new : Task
            The copy.
        """
        self.note_used(task)
        self.note_made(new)

    def _add(self, task: Task) -> Place:
        place = Place(self._slug_of(task), len(self._places))
        self._places[task] = place
        self._sorted = None
        if self._unused:
            self._unused.pop(task, None)
        return place

    def _slug_of(self, task: Task) -> str:
        slug = task.slug
        if slug is None:
            return self._slug_book.make(task.name, task.tags)
        if isinstance(task, Parameter) and slug in self._parameters:
            raise DefinitionError(
                f"Flow {self.name!r} has a parameter {slug!r} already; "
                "make it once and use it in several places."
            )
        if not self._slug_book.claim(slug):
            raise DefinitionError(
                f"Flow {self.name!r} has a task with slug {slug!r} already; give this call another one: "
                "task_args={'slug': ...}."
            )
        if isinstance(task, Parameter):
            self._parameters[slug] = task
        return slug

    def _connect(self, place: Place, edges: list[Edge]) -> None:
        # A new task waits for older ones: its edges can close no cycle.
        if edges:
            place.into = edges
            places = self._places
            for edge in edges:
                places[edge.upstream].add_out(edge)
                if edge.mapped:
                    place.is_mapped = True

    def _insert(self, edge: Edge) -> None:
        before, after = self._places[edge.upstream], self._places[edge.downstream]
        # As long as all edges go from earlier to later tasks, one more of these can close no cycle either.
        if before.number > after.number or not self._in_order:
            if before.into and after.out and leads_to(self._places, edge.downstream, edge.upstream):
                raise DefinitionError(
                    f"The edge from {before.slug!r} to {after.slug!r} would close a cycle in flow "
                    f"{self.name!r}: {before.slug!r} waits for {after.slug!r} already; "
                    "remove one of the two."
                )
            self._in_order &= before.number < after.number
        before.add_out(edge)
        after.add_into(edge)
        self._sorted = None

    def _check_free(self, task: Task, place: Place, key: str) -> None:
        if not place.takes_key(key):
            raise DefinitionError(
                f"Task {task.name!r} in flow {self.name!r} has a value for its argument {key!r} already; "
                "call the task once more for a second copy."
            )

    def _unknown(self, name: str) -> str:
        names = list(self._parameters)
        close = get_close_matches(name, names, n=1)
        if close:
            mend = f"did you mean {close[0]!r}?"
        elif names:
            mend = f"its parameters are {', '.join(names)}."
        else:
            mend = "it has none; add Parameter(...) to the flow, or leave the value away."
        return f"Flow {self.name!r} has no parameter {name!r}; {mend}"
