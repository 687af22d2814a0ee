"""What building and asking costs in a small flow and in a big one, counted in steps of Python, not in time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest

from prefectlite.core.annotations import unmapped
from prefectlite.core.edge import Edge
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task, task


@task
def inc(x: Any) -> Any:
    return x + 1


class Join(Task):
    def run(self, **values: Any) -> None: ...


@pytest.fixture(autouse=True)
def _collector_at_rest() -> Iterator[None]:
    """What others have left behind may have finalizers in Python."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def steps(act: Callable[[], object]) -> int:
    """Count the byte code instructions that an act takes, in whatever function."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


class World:
    """A flow of some size with a part that is as big in each: what is asked about."""

    def __init__(self, size: int, how: str) -> None:
        self.flow = flow = FlowGraph("f")
        with flow:
            self.root = inc(Parameter("n"))
            match how:
                case "chain":
                    last = self.root
                    for _ in range(size):
                        last = inc(last)
                    self.last = last
                case "fan":
                    self.last = Join()(upstream_tasks=[inc(self.root) for _ in range(size)])
                case "backwards":
                    marks = [Join() for _ in range(size)]
                    for late, early in pairwise(marks):
                        flow.add_edge(early, late)
                    flow.add_edge(self.root, marks[-1])
                    self.last = marks[0]
            # Out of order in the same way each time, so that nobody may count on the order of coming.
            self.leaf, self.fresh, self.other = inc(self.last, task_args={"slug": "leaf"}), Join(), Join()
            flow.chain(self.fresh, self.leaf)
            flow.add_task(self.other)
            flow.sorted_tasks()
        self.alike = flow.copy()


def put_in(world: World) -> None:
    flow = world.flow
    flow.tasks.add(Join())
    flow.edges.add(Edge(world.last, world.other))
    flow.edges |= {Edge(world.root, world.other)}
    assert Edge(world.root, world.other) in flow.edges


def take_out(world: World) -> None:
    world.flow.tasks.remove(world.other)
    world.flow.edges.remove(Edge(world.fresh, world.leaf))


def tell(world: World) -> None:
    world.flow.constants[world.fresh]["by"] = 3
    world.flow.slugs[world.leaf] = "last"


def change(world: World) -> None:
    [edge] = world.flow.edges_to(world.leaf) - {Edge(world.fresh, world.leaf)}
    edge.mapped = True
    edge.key = None
    edge.downstream_task = world.other
    edge.upstream_task = world.fresh
    assert edge in world.flow.edges


def draw_anothers(world: World) -> None:
    [its] = world.alike.edges_to(world.leaf) & {Edge(world.fresh, world.leaf)}
    world.flow.edges.remove(its)
    world.flow.edges.add(its)
    assert world.alike.holds(its)


SMALL, BIG = 50, 2000
ACTS: dict[str, Callable[[World], object]] = {
    "a task": lambda world: inc(1, flow=world.flow),
    "a task with an upstream": lambda world: inc(world.last, flow=world.flow),
    "a mapped task": lambda world: inc.map(unmapped(world.last), flow=world.flow),
    "a list of tasks": lambda world: inc([world.last, world.root], flow=world.flow),
    "an edge to a task that has some": lambda world: world.flow.add_edge(world.root, world.leaf),
    "an edge to a task that has none": lambda world: world.flow.add_edge(world.leaf, world.other),
    "an edge from a new task": lambda world: world.flow.add_edge(world.other, world.fresh),
    "an edge to a new task": lambda world: world.flow.add_edge(world.last, world.other),
    "the same edge again": lambda world: world.flow.add_edge(world.fresh, world.leaf),
    "what is put into the sets": put_in,
    "what is taken out of the sets": take_out,
    "what the dicts are told": tell,
    "an edge that is changed": change,
    "an edge of a flow that is alike": draw_anothers,
    "operators": lambda world: world.flow.operate("Add", [world.last, 1]),
    "edges_to": lambda world: world.flow.edges_to(world.leaf),
    "edges_from": lambda world: world.flow.edges_from(world.last),
    "upstream_tasks": lambda world: world.flow.upstream_tasks(world.leaf),
    "downstream_tasks": lambda world: world.flow.downstream_tasks(world.last),
    "root_tasks": lambda world: [*world.flow.root_tasks()],
    "terminal_tasks": lambda world: [*world.flow.terminal_tasks()],
    "reference_tasks": lambda world: [*world.flow.reference_tasks()],
    "parameters": lambda world: world.flow.parameters(),
    "get_tasks by slug": lambda world: world.flow.get_tasks(slug="leaf"),
    "sorted_tasks from a root near the end": lambda world: world.flow.sorted_tasks([world.fresh]),
    "sorted_tasks once more": lambda world: world.flow.sorted_tasks(),
    "slugs of a task": lambda world: world.flow.slugs[world.leaf],
    "constants of a task": lambda world: world.flow.constants[world.leaf],
    "whether a task is mapped": lambda world: world.flow.is_mapped(world.leaf),
}


@pytest.mark.parametrize("how", ["chain", "fan", "backwards"])
@pytest.mark.parametrize("act", ACTS)
def test_an_act_takes_as_many_steps_in_a_big_flow_as_in_a_small_one(act: str, how: str) -> None:
    small, big = (steps(partial(ACTS[act], World(size, how))) for size in (SMALL, BIG))

    assert big <= small + 20


def test_the_last_of_many_edges_takes_as_many_steps_as_the_first_ones() -> None:
    flow = FlowGraph("f")
    hub, keyed = Join(), Join()
    marks = [Join() for _ in range(BIG)]
    taken = []
    for number, mark in enumerate(marks):
        taken.append(
            steps(
                lambda mark=mark, number=number: (
                    flow.add_edge(mark, hub),
                    flow.add_edge(mark, keyed, f"k{number}"),
                )
            )
        )

    # One of them makes an index of what was there; from then on, each costs the same.
    assert max(taken[100:]) <= max(taken[:10]) + 20


def test_what_is_told_of_all_tasks_takes_steps_in_proportion() -> None:
    for ask in ("all_upstream_edges", "all_downstream_edges", "edges"):

        def answer(world: World, ask: str = ask) -> object:
            found = getattr(world.flow, ask)
            return [*(found() if callable(found) else found)]

        small, big = (steps(partial(answer, World(size, "chain"))) for size in (SMALL, BIG))
        # The lower bound shows that steps are counted at all.
        assert 10 < big / small <= 1.5 * BIG / SMALL
