"""A user's flow and its parameters become a plan. Knows what was declared; knows no Dask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, assert_never

from prefectlite.core.assembly import Assembly
from prefectlite.core.constants import Collection, Constant
from prefectlite.core.edge import Edge, twin
from prefectlite.core.graph import FlowGraph
from prefectlite.core.options import TaskOptions
from prefectlite.core.parameter import Parameter
from prefectlite.core.places import NO_CONSTANTS, Place
from prefectlite.core.task import Task
from prefectlite.engine.plan import FlowPlan, PlanEdge, PlanNode, Policy
from prefectlite.errors import ParameterError
from prefectlite.lowering.elements import flat_length_of, length_of
from prefectlite.lowering.limits import limits_of
from prefectlite.results.result import Result
from prefectlite.rules.triggers import Trigger, all_finished, manual_only

_MANUAL: Final = type(manual_only)
#: What becomes of it where the approval is there: whatever its upstreams came to, it lets the run start.
_APPROVED: Final = replace(all_finished, name=manual_only.name)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A flow frozen for one run.

    Parameters
    ----------
    plan : FlowPlan
        What the engine drives.
    tasks : tuple of Task
        The task of each node; a node that stands for a known member of a mapped collection has the
        collection's.
    options : tuple of TaskOptions
        The options of each node's task, as they were when the run began.
    tags : tuple of frozenset of str
        Likewise.
    numbers : mapping of Task to int
        The node of each task.
    values : mapping of int to object
        The values of constants and parameters, by node.
    assemblies : mapping of int to Assembly
        How collections are put together, by node.
    constants : tuple of mapping
        Values bound to arguments when the flow was built, by node.
    parameters : mapping of str to object
        The parameters' final values.
    result : Result or None
        Where values are stored of tasks that have no result of their own.
    """

    plan: FlowPlan
    tasks: tuple[Task, ...]
    options: tuple[TaskOptions, ...]
    tags: tuple[frozenset[str], ...]
    numbers: Mapping[Task, int]
    values: Mapping[int, Any]
    assemblies: Mapping[int, Assembly]
    constants: tuple[Mapping[str, Any], ...]
    parameters: Mapping[str, Any]
    result: Result | None = None


def compile(  # noqa: A001  # its name everywhere
    graph: FlowGraph,
    parameters: Mapping[str, Any],
    handled: bool = False,
    approves: Callable[[Task], bool] = lambda task: False,
) -> Compiled:
    """Freeze a flow for one run.

    Parameters
    ----------
    graph : FlowGraph
        The flow; it is read and not changed.
    parameters : mapping of str to object
        The parameters' final values, as ``FlowGraph.check_parameters`` returns them.
    handled : bool
        Whether the run has state handlers for all of its tasks.
    approves : callable
        Whether a task whose trigger waits for approval has it.

    Returns
    -------
    Compiled
        The plan in topological order, and what the lowering must know beside it.

    Raises
    ------
    DefinitionError
        When the flow has a cycle, or a task asks for an amount of a resource that is no number.
    ParameterError
        When a parameter has no value.
    """
    return _Compiler(graph, parameters, handled, approves).compile()


class _Compiler:
    """The tables of one compilation; all are indexed by the number of a node."""

    def __init__(
        self,
        graph: FlowGraph,
        parameters: Mapping[str, Any],
        handled: bool,
        approves: Callable[[Task], bool],
    ) -> None:
        self.graph = graph
        self.handled = handled
        self.approves = approves
        self.parameters = parameters
        self.numbers: dict[Task, int] = {}
        self.tasks: list[Task] = []
        self.slugs: list[str] = []
        self.ins: list[tuple[PlanEdge, ...]] = []
        self.outs: list[list[PlanEdge] | None] = []
        self.values: dict[int, Any] = {}
        self.assemblies: dict[int, Assembly] = {}
        # What collections wait for beside their members; they are put together where they are read.
        self.waits: dict[Task, list[Task]] = {}
        self.constants: list[Mapping[str, Any]] = []
        self.policies: dict[tuple[TaskOptions | bool, ...], Policy] = {}
        self.limits: dict[int, tuple[int, ...]] = {}

    def compile(self) -> Compiled:
        graph = self.graph
        for task in graph.sorted_tasks():
            self._take(task, graph.place_of(task))
        known = self.values.keys() | self.assemblies.keys()
        run = {number: task for number, task in enumerate(self.tasks) if number not in known}
        limits, self.limits = limits_of(graph, run)
        plan = FlowPlan(
            graph.name,
            tuple([self._node(number) for number in range(len(self.tasks))]),
            frozenset(self.numbers[task] for task in graph.reference_tasks()),
            frozenset(self.numbers[task] for task in graph.terminal_tasks()),
            limits,
            handled=bool(graph.state_handlers) or graph.terminal_state_handler is not None,
            on_failure=graph.on_failure is not None,
        )
        return Compiled(
            plan,
            tuple(self.tasks),
            tuple([task.frozen_options for task in self.tasks]),
            tuple([task.frozen_tags for task in self.tasks]),
            self.numbers,
            self.values,
            self.assemblies,
            tuple(self.constants),
            self.parameters,
            graph.result,
        )

    def _take(self, task: Task, place: Place) -> None:
        if isinstance(task, Collection):
            self._take_collection(task, place)
            return
        edges = self._with_waits(task, place.into) if self.waits else place.into
        number = self._add(task, place.slug, place.constants)
        self.numbers[task] = number
        if edges:
            joined = [PlanEdge(self.numbers[e.upstream], number, e.key, e.mapped, e.flattened) for e in edges]
            if not isinstance(task.frozen_options.trigger, Trigger):
                # A trigger of the user's own is shown edges: as they are now, whatever becomes of the flow's.
                joined = [edge._replace(token=twin(e)) for edge, e in zip(joined, edges, strict=True)]
            self._join(number, joined)
        elif isinstance(task, Constant):
            self.values[number] = task.value
        elif isinstance(task, Parameter):
            if task.name not in self.parameters:
                raise ParameterError(
                    f"Parameter {task.name!r} has no value; pass it to flow.run({task.name}=...)."
                )
            self.values[number] = task.handed_on(self.parameters[task.name])
        if task.frozen_tags:
            _ = (
                task.resources
            )  # refuses a tag that asks for no amount, now rather than on the way to a worker

    def _take_collection(self, task: Collection, place: Place) -> None:
        slug, edges = place.slug, [edge for edge in place.into if edge.key is not None]
        waits = [edge.upstream for edge in place.into if edge.key is None]
        waits += [upstream for edge in edges for upstream in self.waits.get(edge.upstream, ())]
        if waits:
            self.waits[task] = waits
        assembly = task.assembly(place.constants)
        known: list[int] = []
        maps = any(edge.mapped for edge in edges)
        if assembly.fixed and not maps and any(edge.mapped for edge in place.out):
            # A map takes the members one by one, so each needs a node of its own, also one that is no task.
            for at, value in assembly.fixed:
                known.append(self._add(task, f"{slug}.{at}"))
                self.values[known[-1]] = value
        number = self._add(task, slug)
        self.numbers[task] = number
        members = [PlanEdge(self.numbers[e.upstream], number, e.key, e.mapped, e.flattened) for e in edges]
        for upstream, (at, _) in zip(known, assembly.fixed, strict=False):
            members.insert(at, PlanEdge(upstream, number, f"arg_{at + 1}"))
        self._join(number, members)
        self.assemblies[number] = replace(assembly, fixed=()) if known else assembly

    def _with_waits(self, task: Task, edges: Sequence[Edge]) -> list[Edge]:
        """Return the edges to a task, which also waits for what its lists of tasks wait for."""
        more = [Edge(up, task) for edge in edges for up in self.waits.get(edge.upstream, ())]
        return list(dict.fromkeys([*edges, *more]))

    def _add(self, task: Task, slug: str, constants: Mapping[str, Any] | None = None) -> int:
        self.tasks.append(task)
        self.slugs.append(slug)
        self.constants.append(constants or NO_CONSTANTS)
        self.ins.append(())
        self.outs.append(None)
        return len(self.tasks) - 1

    def _join(self, number: int, edges: list[PlanEdge]) -> None:
        self.ins[number] = tuple(edges)
        outs = self.outs
        for edge in edges:
            there = outs[edge.upstream]
            if there is None:
                outs[edge.upstream] = [edge]
            else:
                there.append(edge)

    def _node(self, number: int) -> PlanNode:
        outs = self.outs[number]
        self.outs[number] = None
        slug, ins, out = self.slugs[number], self.ins[number], tuple(outs) if outs else ()
        policy = self._policy(self.tasks[number])
        if number in self.values:
            length, flat_length, why = self._lengths(number, out)
            return PlanNode(slug, policy, "value", ins, out, length, flat_length, why)
        if number in self.assemblies:
            size = _size_of(self.assemblies[number])
            if isinstance(size, int):
                return PlanNode(slug, policy, "collection", ins, out, size)
            return PlanNode(slug, policy, "collection", ins, out, unmappable=size)
        limits, constants = self.limits.get(number, ()), len(self.constants[number])
        return PlanNode(slug, policy, "task", ins, out, limits=limits, constants=constants)

    def _lengths(self, number: int, outs: tuple[PlanEdge, ...]) -> tuple[int | None, int | None, str | None]:
        """Measure a constant or parameter, as far as a map reads it: a large one takes its time."""
        whole = any(edge.mapped and not edge.flattened for edge in outs)
        flat = any(edge.mapped and edge.flattened for edge in outs)
        # A flattened list of tasks is unnested part by part.
        part = any(edge.downstream in self.assemblies for edge in outs)
        length = length_of(self.values[number]) if whole or part else None
        flat_length = flat_length_of(self.values[number]) if flat else None
        why = next((one for one in (length, flat_length) if isinstance(one, str)), None)
        return (
            length if isinstance(length, int) else None,
            flat_length if isinstance(flat_length, int) else None,
            why,
        )

    def _policy(self, task: Task) -> Policy:
        options, cleans_up, is_secret = task.frozen_options, task.resource_role == "cleanup", task.is_secret
        # What only carries a value runs nowhere, so a run's handlers hear nothing of it.
        of_run = self.handled and not isinstance(task, Parameter | Constant | Collection)
        handled = of_run or bool(options.state_handlers)
        approved = type(options.trigger) is _MANUAL and self.approves(task)
        mark = (options, cleans_up, is_secret, handled, approved)
        policy = self.policies.get(mark)
        if policy is None:
            trigger = options.trigger if isinstance(options.trigger, Trigger) else None
            policy = self.policies[mark] = Policy(
                trigger=_APPROVED if approved else trigger,
                skip_on_upstream_skip=options.skip_on_upstream_skip,
                retry=options.retry,
                max_crashes=options.max_crashes,
                idempotent=options.idempotent,
                map_lengths=options.map_lengths,
                handled=handled,
                on_failure=options.on_failure is not None,
                keep_result=None if is_secret else options.keep_result,
                cleans_up=cleans_up,
            )
        return policy


def _size_of(assembly: Assembly) -> int | str:
    """Return over how many members a map of a collection goes, or why there is no such map."""
    match assembly.kind:
        case "list" | "tuple" | "namedtuple":
            return assembly.size
        case "set" | "frozenset":
            return _no_length(set())
        case "dict":
            return _no_length({})
        case "record":
            assert assembly.cls is not None
            name = assembly.cls.__name__
            return f"a {name} has no elements by position; pass a list, or wrap it in unmapped(...)"
        case _:
            assert_never(assembly.kind)


def _no_length(example: Any) -> str:
    why = length_of(example)
    assert isinstance(why, str)
    return why
