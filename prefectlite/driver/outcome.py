"""The states that a user gets to see, by task. Knows the board through the engine; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefectlite.core.assembly import Assembly
from prefectlite.core.task import Task
from prefectlite.driver.shown import tagged
from prefectlite.engine.engine import Engine
from prefectlite.engine.plan import PlanEdge
from prefectlite.lowering.compile import Compiled
from prefectlite.lowering.elements import element, flat_element
from prefectlite.states.holders import holding
from prefectlite.states.keys import RunKey
from prefectlite.states.report import ResultRef
from prefectlite.states.state import Mapped, State, Success


@dataclass(frozen=True, slots=True)
class Gathered:
    """The value of a list, tuple, set, dict or dataclass of tasks: put together when somebody asks for it.

    Parameters
    ----------
    assembly : Assembly
        How.
    members : tuple of State or Element
        What became of the tasks in it, in order.
    """

    assembly: Assembly
    members: tuple[State | Element, ...]

    def fetch(self, ref: ResultRef) -> Any:
        """Return the collection.

        Parameters
        ----------
        ref : ResultRef
            The reference in the collection's state.

        Returns
        -------
        object
            A new collection of the members' results.
        """
        return self.assembly.build([member.result for member in self.members])


@dataclass(frozen=True, slots=True)
class Element:
    """What one child of a map takes from a value: looked at when somebody asks.

    Parameters
    ----------
    state : State
        Whose value.
    place : int
        The child's place in its map.
    flat : bool
        Whether the value is unnested first.
    """

    state: State
    place: int
    flat: bool

    @property
    def result(self) -> Any:
        """The element."""
        return (flat_element if self.flat else element)(self.state.result, self.place)


class TaskStates(dict[Task, State]):
    """The states of a flow's tasks; a task that is not among them is told how to be asked for."""

    def __missing__(self, task: Any) -> State:
        """Say what is wrong with a key."""
        raise KeyError(
            f"{task!r} is no task of this flow. Ask for what the call inside the flow returned, as in "
            "`total = add(1, 2)` and `state.result[total]`: the call makes a task of its own."
        )


def task_states(compiled: Compiled, engine: Engine) -> dict[Task, State]:
    """Return the state of each task, as ``state.result`` of a flow shows it.

    Parameters
    ----------
    compiled : Compiled
        The flow's tasks and the values that are known beforehand.
    engine : Engine
        Whose board to read.

    Returns
    -------
    dict of Task to State
        In the plan's order; maps carry their children's states, constants and parameters their values,
        collections a reference that puts them together. The context of each has its task's tags.
    """
    found: list[State] = []
    for number, node in enumerate(compiled.plan.nodes):
        state = engine.state(number)
        if node.kind == "collection" and isinstance(state, Mapped):
            state = _with_values(compiled, number, state, found)
        elif node.kind != "task" and type(state) is Success and not state.has_result:
            state = _with_value(compiled, number, state, found)
        found.append(state)
    return TaskStates(
        {task: tagged(found[number], compiled.tags[number]) for task, number in compiled.numbers.items()}
    )


def _with_value(compiled: Compiled, number: int, state: State, above: Sequence[State]) -> State:
    if number in compiled.values:
        return state.replace(result=holding(compiled.values[number]))
    node = compiled.plan.nodes[number]
    members = tuple(above[edge.upstream] for edge in node.ins if edge.key is not None)
    gathered = Gathered(compiled.assemblies[number], members)
    return state.replace(result=ResultRef(RunKey(node.slug), source=gathered))


def _with_values(compiled: Compiled, number: int, state: Mapped, above: Sequence[State]) -> State:
    """Return the state of a collection that maps, with the values of those children that have one."""
    node, assembly = compiled.plan.nodes[number], compiled.assemblies[number]
    children = list(state.map_states)
    for place, child in enumerate(children):
        if type(child) is Success:
            members = tuple(_member(edge, place, above[edge.upstream]) for edge in node.ins)
            ref = ResultRef(RunKey(node.slug, place), source=Gathered(assembly, members))
            children[place] = child.replace(result=ref)
    return state.replace(map_states=children)


def _member(edge: PlanEdge, place: int, state: State) -> State | Element:
    if not edge.mapped:
        return state
    if isinstance(state, Mapped) and not edge.flattened:
        return state.map_states[place]
    return Element(state, place, edge.flattened)
