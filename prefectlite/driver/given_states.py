"""States that a run's tasks begin with, of an earlier run, say. Knows tasks and states; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from prefectlite.core.constants import Collection, Constant
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task
from prefectlite.driver.measuring import measure_of
from prefectlite.engine.events import Measure
from prefectlite.engine.given import Given
from prefectlite.engine.plan import PlanNode
from prefectlite.errors import DefinitionError, DefinitionTypeError, ResultUnavailable
from prefectlite.lowering.compile import Compiled
from prefectlite.rules.given import is_kept
from prefectlite.states.meta import unwrapped
from prefectlite.states.state import Cached, Mapped, Pending, State


class GivenStates:
    """The states that tasks of a run begin with: final ones stay, and those of a wait are gone on from.

    A map takes those of its children. What only carries a value begins anew; so do secrets and what a
    resource manager makes if they had ended, since nobody could use what an earlier run made of them.
    Values are fetched that somebody will read; the others stay where they lie, or are gone, as they were.

    Parameters
    ----------
    graph : FlowGraph
        The flow.
    given : mapping of Task to State, or None
        What was given.

    Raises
    ------
    DefinitionError
        When a task is not of the flow.
    DefinitionTypeError
        When what was given is no mapping of tasks to states.
    ResultUnavailable
        When a result is gone that a task of the run would read.
    """

    def __init__(self, graph: FlowGraph, given: Mapping[Any, Any] | None) -> None:
        self._name = graph.name
        self._states: dict[Task, State] = {}
        found: object = given or {}
        if not isinstance(found, Mapping):
            raise self._wrong(given, "which is no mapping of tasks to states; pass {task: state}")
        for task, told in found.items():
            if task not in graph:
                raise DefinitionError(
                    f"Flow {self._name!r} is given a state for {task!r}, which is not in it; use what the "
                    "call of a task returned."
                )
            if not isinstance(told, State):
                raise self._wrong({task: told}, "which is no state; pass {task: state}")
            state = _unwrapped(told)
            if _is_used(task, state):
                self._states[task] = state
        self._ended = {task for task, state in self._states.items() if _has_ended(state)}
        self._states = {task: self._with_values(graph, task, state) for task, state in self._states.items()}

    def by_node(self, compiled: Compiled) -> dict[int, Given]:
        """Return what the tasks begin with, as an engine takes it.

        Parameters
        ----------
        compiled : Compiled
            The flow; it says who reads the lengths of values.

        Returns
        -------
        dict of int to Given
            By node.
        """
        nodes = compiled.plan.nodes
        found: dict[int, Given] = {}
        for task, state in self._states.items():
            node = nodes[compiled.numbers[task]]
            # A map may also unnest what a list holds.
            reads = any(edge.mapped or nodes[edge.downstream].kind == "collection" for edge in node.outs)
            children = state.map_states if isinstance(state, Mapped) and node.is_mapped else ()
            found[compiled.numbers[task]] = Given(
                state,
                self._measure(compiled, node, state) if reads else None,
                [Given(child, measure_of(child) if reads else None) for child in children],
            )
        return found

    def _measure(self, compiled: Compiled, node: PlanNode, state: State) -> Measure | None:
        """Return the lengths of a value; where it was not fetched, or is left out, the maps over it tell."""
        if state.has_result and not state.result_ref:
            return measure_of(state)
        widths: dict[bool, int] = {}
        for edge in node.outs:
            reader = self._states.get(compiled.tasks[edge.downstream])
            if edge.mapped and isinstance(reader, Mapped):
                widths[edge.flattened] = reader.n_map_states
        return Measure(widths.get(False), widths.get(True)) if widths else measure_of(state)

    def _with_values(self, graph: FlowGraph, task: Task, state: State) -> State:
        readers = list(_readers_of(graph, task))
        if not isinstance(state, Mapped):
            return self._with_value(task, state, readers, None)
        children = enumerate(state.map_states)
        return state.replace(map_states=[self._with_value(task, one, readers, at) for at, one in children])

    def _with_value(self, task: Task, state: State, readers: Iterable[_Reader], index: int | None) -> State:
        """Return a state that holds its value itself, if somebody will read that."""
        is_read = not is_kept(state) or any(self._will_read(reader, index) for reader in readers)
        if state.result_ref is None or not is_read:
            return state
        try:
            return state.load_result()
        except ResultUnavailable as error:
            if isinstance(state, Cached):
                return Pending("What it had cached is gone.")  # as its cache would find
            raise ResultUnavailable(
                f"The result of {task!r} in task_states is gone: {error} Leave the task out, so that it "
                "runs again."
            ) from error

    def _will_read(self, reader: _Reader, index: int | None) -> bool:
        state = self._states.get(reader.task)
        if reader.asks_length:
            return True
        if reader.pairs and isinstance(state, Mapped) and index is not None and index < len(state.map_states):
            return not is_kept(state.map_states[index])
        return reader.task not in self._ended

    def _wrong(self, given: object, why: str) -> DefinitionTypeError:
        return DefinitionTypeError(f"Flow {self._name!r} is given task_states={given!r}, {why}.")


class _Reader(NamedTuple):
    """Who reads a value, itself or in a list.

    Parameters
    ----------
    task : Task
        The reader.
    pairs : bool
        Whether its child i reads that of child i.
    asks_length : bool
        Whether it unnests a list, which takes the length of each part.
    """

    task: Task
    pairs: bool
    asks_length: bool


def _readers_of(graph: FlowGraph, task: Task, pairs: bool = True, is_part: bool = False) -> Iterator[_Reader]:
    for edge in graph.edges_from(task):
        still_pairs = pairs and edge.mapped and not edge.flattened
        if isinstance(edge.downstream, Collection):
            yield from _readers_of(graph, edge.downstream, still_pairs, True)
        elif edge.key is not None:
            yield _Reader(edge.downstream, still_pairs, is_part and edge.flattened)


def _unwrapped(state: State) -> State:
    found = unwrapped(state)
    if not isinstance(found, Mapped):
        return found
    return found.replace(map_states=[unwrapped(one) for one in found.map_states])


def _has_ended(state: State) -> bool:
    if isinstance(state, Mapped):
        return all(_has_ended(one) for one in state.map_states)
    return is_kept(state)


def _is_used(task: Task, state: State) -> bool:
    has_body = not isinstance(task, Parameter | Constant | Collection)
    is_of_its_run = task.is_secret or task.resource_role is not None
    return has_body and not (is_of_its_run and state.is_finished())
