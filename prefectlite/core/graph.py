"""The container of a flow: tasks, edges, constants, reference tasks. Knows how to hold, not how to run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, Unpack
from weakref import ref

from prefectlite.core.base import AnyTask, Task
from prefectlite.core.binding import as_list
from prefectlite.core.blocks import Block
from prefectlite.core.changing import ChangeableFlow
from prefectlite.core.collecting import as_task
from prefectlite.core.constants import Collection, Constant
from prefectlite.core.edge import Edge, put_flow, twin
from prefectlite.core.flow_options import (
    UNREAD,
    FlowHandler,
    FlowOption,
    HandlersOption,
    as_flow_schedule,
    as_function,
    as_limit,
    as_limits,
    as_result,
    as_unread,
)
from prefectlite.core.layers import current_layer, pop, push
from prefectlite.core.order import Ranks
from prefectlite.core.parameter import Parameter
from prefectlite.core.places import NO_EDGES, Place, Rim
from prefectlite.errors import DefinitionTypeError, NoOptions, refuse_options
from prefectlite.results.result import Result
from prefectlite.schedules.schedules import Schedule


class FlowGraph(ChangeableFlow):
    """Tasks and what each of them waits for.

    Used in a ``with`` statement, it takes in the tasks that are called inside.

    Parameters
    ----------
    name : str
        What the flow is called.
    schedule : Schedule or None
        When it runs by itself; not followed here.
    executor : object
        Where it runs by default; not looked at here.
    tasks : iterable of Task or None
        Tasks to take in.
    edges : iterable of Edge or None
        Edges to take in, with their tasks.
    reference_tasks : iterable of Task or None
        The tasks that decide how a run of the flow ends; by default, those without a downstream.
    validate : bool or None
        Not looked at: every edge is checked when it is made.
    state_handlers : sequence of callable or None
        Each is called with flow, old and new state when a run begins and when it ends, and may return another
        new state. One that returns a final state at the beginning keeps the run from starting.
    on_failure : callable or None
        Called with flow and state when a run has failed.
    terminal_state_handler : callable or None
        Called with flow, state and the reference tasks' states, children of maps one by one, when a run ends
        by itself, before the ``state_handlers`` are; may return another state.
    max_concurrency : int or None
        How many task runs of a run of the flow may run at once.
    tag_concurrency : mapping of str to int or None
        The same of the task runs that have a tag, by tag. Where a limit is reached, who waits longest starts
        next; what is under a limit travels alone.
    result : Result or None
        Where the values of its tasks are stored that have no ``result`` of their own.

    Raises
    ------
    DefinitionError
        When the name is empty, a limit is less than 1, or an edge or reference task is refused.
    DefinitionTypeError
        When an option is of the wrong kind, or there is no such option.
    """

    #: When it runs by itself.
    schedule = FlowOption(as_flow_schedule)
    #: Called at the flow run's beginning and end.
    state_handlers = HandlersOption()
    #: Called when a flow run has failed.
    on_failure = FlowOption(as_function)
    #: Called when a flow run ends by itself.
    terminal_state_handler = FlowOption(as_function)
    #: How many task runs may run at once.
    max_concurrency = FlowOption(as_limit)
    #: The same by tag.
    tag_concurrency = FlowOption(as_limits)
    #: Where values of tasks are stored.
    result = FlowOption(as_result)
    #: Nothing reads these.
    run_config = FlowOption(as_unread)
    storage = FlowOption(as_unread)

    def __init__(
        self,
        name: str,
        schedule: Schedule | None = None,
        executor: Any = None,
        *,
        tasks: Iterable[AnyTask] | None = None,
        edges: Iterable[Edge] | None = None,
        reference_tasks: Iterable[AnyTask] | None = None,
        validate: bool | None = None,
        state_handlers: Sequence[FlowHandler] | None = None,
        on_failure: Callable[[Any, Any], Any] | None = None,
        terminal_state_handler: FlowHandler | None = None,
        max_concurrency: int | None = None,
        tag_concurrency: Mapping[str, int] | None = None,
        result: Result | None = None,
        **_others: Unpack[NoOptions],
    ) -> None:
        super().__init__(name)
        others: dict[str, Any] = {**_others}
        for option in UNREAD:
            setattr(self, option, others.pop(option, None))
        refuse_options(f"Flow {name!r}", others, FlowGraph, {})
        self.executor = executor
        self.schedule = schedule
        self.state_handlers = state_handlers
        self.on_failure = on_failure
        self.terminal_state_handler = terminal_state_handler
        self.max_concurrency = max_concurrency
        self.tag_concurrency = tag_concurrency
        self.result = result
        me = f"Flow {name!r}"
        for task in as_list(me, "tasks", tasks):
            self.add_task(task)
        for edge in as_list(me, "edges", edges):
            self.draw(edge)
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

    def _add(self, task: Task, slug: str | None = None) -> Place:
        block: Block | None = current_layer().block
        # Constants and the like run nowhere, so no block can hold them back.
        if block is not None and not isinstance(task, Parameter | Constant | Collection):
            block.take(task, self)
        return super()._add(task, slug)

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
            When it is no list, but a single task, say.
        """
        wanted = tuple(as_list(f"Flow {self.name!r}", "reference_tasks", tasks))
        for task in wanted:
            self._place(task)
        self._reference = tuple(dict.fromkeys(wanted))

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
                    "(The task itself was put into the flow, or what gave the value was taken out; calling "
                    "it puts a copy with arguments there.)"
                )
            # Whoever takes an argument away puts it back.
            del self._incomplete[task]

    def __eq__(self, other: object) -> bool:
        """Return whether class, name, tasks, edges and reference tasks are the same."""
        if not isinstance(other, FlowGraph):
            return NotImplemented
        return (
            type(self) is type(other)
            and self.name == other.name
            and self.tasks == other.tasks
            and self.edges == other.edges
            and self.reference_tasks() == other.reference_tasks()
        )

    def __hash__(self) -> int:
        """Return a hash that building the flow does not change."""
        return hash((type(self), self.name))

    # Flows made of flows

    def copy(self) -> Self:
        """Return a flow with the same tasks that can be changed by itself.

        Returns
        -------
        FlowGraph
            It shares the tasks, and nothing that changes when a flow is built.
        """
        new = self._draft()
        new._me = ref(new)
        twins = {id(edge): twin(edge) for edge in self.edges}
        for edge in twins.values():
            put_flow(edge, new._me)
        for place in new._places.values():
            place.into = [twins[id(edge)] for edge in place.into] or NO_EDGES
            place.out = [twins[id(edge)] for edge in place.out] or NO_EDGES
        return new

    __copy__ = copy

    def _draft(self) -> Self:
        new = object.__new__(type(self))
        vars(new).update(vars(self))
        new.state_handlers, new.tag_concurrency = self.state_handlers, self.tag_concurrency
        new._places = {task: place.copy() for task, place in self._places.items()}
        new._slug_book = self._slug_book.copy()
        new._parameters = dict(self._parameters)
        new._roots, new._terminals = self._roots.copy(), self._terminals.copy()
        new._ranks = self._ranks.copy()
        new._incomplete, new._unused = dict(self._incomplete), {}
        return new

    def update(
        self,
        flow: FlowGraph,
        merge_parameters: bool = False,
        validate: bool | None = None,
        merge_reference_tasks: bool = False,
    ) -> None:
        """Take in all tasks, edges and constants of another flow, which stays as it is.

        Parameters
        ----------
        flow : FlowGraph
            The other flow.
        merge_parameters : bool
            Whether its parameters take the place of those of the same name here; else they are refused.
        validate : bool or None
            Not looked at: every edge is checked when it is made.
        merge_reference_tasks : bool
            Whether its reference tasks are added to those here.

        Raises
        ------
        DefinitionError
            When a slug or an argument is taken here by something else, or an edge would close a cycle. The
            flow is as it was then.
        DefinitionTypeError
            When ``flow`` is no flow.
        """
        other: object = flow
        if not isinstance(other, FlowGraph):
            raise DefinitionTypeError(f"Flow {self.name!r} was to be updated with {flow!r}; pass a Flow.")
        mine, theirs = self._parameters, flow._parameters
        swap: dict[Task, Task] = {}
        if merge_parameters:
            swap = {mine[name]: theirs[name] for name in theirs if name in mine}
        if swap or not self.tasks.isdisjoint(flow.tasks):
            united = self._draft()
            united._exchange(swap)
            united._unite(flow)
            self._become(united)
        else:
            # Only slugs can be refused, and are first; so a flow of many small ones costs what they cost.
            self._unite(flow)
        if merge_reference_tasks:
            self.set_reference_tasks([*self.reference_tasks(), *flow.reference_tasks()])

    def replace(self, old: AnyTask, new: Any, validate: bool | None = None) -> None:
        """Put another task in a task's place: it gets its edges, constants and part in the outcome.

        Parameters
        ----------
        old : Task
            A task of the flow, which leaves it.
        new : Task or object
            What comes instead: a task, in the flow or not, or a value, a list of tasks or a parameter, which
            takes over nothing that ``old`` took.
        validate : bool or None
            Not looked at: every edge is checked when it is made.

        Raises
        ------
        DefinitionError
            When ``old`` is not in the flow, or ``new`` has a value for an argument already, would close a
            cycle, or is a parameter where ``old`` waits for tasks. The flow is as it was then.
        DefinitionTypeError
            When ``new`` does not take an argument that ``old`` has.
        """
        self._place(old)
        self._exchange({old: as_task(new, self)})

    def _unite(self, flow: FlowGraph) -> None:
        given = {
            task: task.slug for task in flow._places if task.slug is not None and task not in self._places
        }
        for task, slug in given.items():
            self._check_slug(task, slug)
        for task, slug in given.items():
            # Before another task can be given it.
            self._slug_book.claim(slug, task)
        for task in flow._places:
            self.add_task(task)
        for task, place in flow._places.items():
            for edge in place.into:
                self.take_over(edge)
            held = self._places[task].constants or {}
            for key, value in (place.constants or {}).items():
                if key not in held or held[key] is not value:
                    self._check_free(task, self._places[task], key)
                    self._places[task].add_constants({key: value})

    def _exchange(self, swap: Mapping[Task, Task]) -> None:
        """Put tasks in the places of others, all or none."""
        swap = {old: new for old, new in swap.items() if old is not new}
        if not swap:
            return
        draft = self._draft()
        draft._places, draft._ranks, draft._in_order, draft._came = {}, Ranks(), True, 0
        draft._roots, draft._terminals = Rim(), Rim()
        for old in swap:
            draft._slug_book.release(self._places[old].slug)
            draft._incomplete.pop(old, None)
            if isinstance(old, Parameter):
                del draft._parameters[old.name]
        for task in self._places:
            stands = swap.get(task, task)
            if stands not in draft._places:
                known = self._places.get(stands)
                draft._stand(stands, draft._slug_of(stands) if known is None else known.slug)
            if task is not stands and stands.takes.required:
                draft._incomplete[stands] = None
        for task, place in self._places.items():
            stands = swap.get(task, task)
            if task is not stands and (
                stands.is_stand_in or (isinstance(stands, Parameter) and not place.into)
            ):
                continue  # it has its value without that
            for edge in place.into:
                upstream = swap.get(edge.upstream, edge.upstream)
                if (upstream, stands) == (edge.upstream, task):
                    draft.take_over(edge)
                else:
                    draft.add_edge(upstream, stands, edge.key, edge.mapped, edge.flattened)
            for key, value in (place.constants or {}).items():
                stands.takes.check_name(stands.name, key)
                draft._check_free(stands, draft._places[stands], key)
                draft._places[stands].add_constants({key: value})
        draft._reference = tuple(dict.fromkeys(swap.get(task, task) for task in self._reference))
        draft._parameters = {task.name: task for task in draft._places if isinstance(task, Parameter)}
        self._become(draft)

    def _become(self, draft: FlowGraph) -> None:
        """Take over what a changed copy holds."""
        draft._unused = {task: None for task in self._unused if task not in draft._places}
        # Views of the flow that somebody holds stay true.
        self._places.clear()
        self._places.update(draft._places)
        draft._places = self._places
        vars(self).update(vars(draft))
