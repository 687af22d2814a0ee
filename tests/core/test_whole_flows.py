"""Flows that are copied, joined and mended, against plain sets of edges."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefectlite.core.edge import Edge
from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import Task
from prefectlite.errors import DefinitionError

Pairs = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16)


class Mark(Task):
    """Do nothing."""


def build(marks: list[Task], pairs: list[tuple[int, int]]) -> FlowGraph:
    flow = FlowGraph("f", tasks=marks)
    for up, down in pairs:
        ends: Any = marks[up], marks[down]
        refusal(lambda ends=ends: flow.add_edge(*ends), "would wait for itself|would close a cycle")
    return flow


def refusal(act: Callable[[], object], text: str) -> bool:
    """Return whether an act is refused, which it may be for one reason only."""
    try:
        act()
    except DefinitionError as error:
        if not re.search(text, str(error)):
            raise
        return True
    return False


def check(flow: FlowGraph, tasks: set[Task], edges: set[Edge]) -> None:
    """Hold all that a flow answers against its tasks and edges."""
    assert flow.tasks == tasks
    assert set(flow.edges) == edges
    assert len(flow.edges) == len(edges)
    assert flow.root_tasks() == tasks - {edge.downstream for edge in edges}
    assert flow.terminal_tasks() == tasks - {edge.upstream for edge in edges}
    order = {task: place for place, task in enumerate(flow.sorted_tasks())}
    assert order.keys() == tasks
    assert all(order[edge.upstream] < order[edge.downstream] for edge in edges)
    for task in tasks:
        assert set(flow.edges_to(task)) == {edge for edge in edges if edge.downstream is task}
        assert set(flow.edges_from(task)) == {edge for edge in edges if edge.upstream is task}
        assert flow.get_tasks(slug=flow.slugs[task]) == [task]
    numbers = [place.number for place in map(flow.place_of, flow.tasks)]
    assert numbers == sorted(set(numbers))
    for rim in (flow.root_tasks(), flow.terminal_tasks()):
        assert [*rim] == [task for task in flow.tasks if task in rim]


@given(Pairs, st.integers(0, 7), st.integers(0, 15), Pairs)
def test_a_replaced_task_leaves_its_edges_to_the_new_one(
    pairs: list[tuple[int, int]], old: int, new: int, more: list[tuple[int, int]]
) -> None:
    marks: list[Task] = [Mark(name=str(number)) for number in range(16)]
    flow = build(marks[:8], pairs)
    check(flow, set(marks[:8]), set(flow.edges))
    before, twin = flow.copy(), flow.copy()
    held = flow.tasks

    def stands(task: Task) -> Task:
        return marks[new] if task is marks[old] else task

    ends = {(stands(edge.upstream), stands(edge.downstream)) for edge in flow.edges}
    if refusal(lambda: flow.replace(marks[old], marks[new]), "would wait for itself|would close a cycle"):
        check(flow, set(before.tasks), set(before.edges))
    else:
        assert list(held) == list(flow.tasks)
        check(flow, {stands(task) for task in before.tasks}, {Edge(up, down) for up, down in ends})
        for up, down in more:
            a: Any = stands(marks[up])
            b: Any = stands(marks[down])
            refusal(lambda a=a, b=b: flow.add_edge(a, b), "would wait for itself|would close a cycle")
        check(flow, set(flow.tasks), set(flow.edges))
    assert twin == before
    check(twin, set(before.tasks), set(before.edges))


@given(Pairs, Pairs)
def test_an_updated_flow_has_the_tasks_and_edges_of_both(
    pairs: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    marks: list[Task] = [Mark(name=str(number)) for number in range(12)]
    mine, theirs = build(marks[:8], pairs), build(marks[4:], others)
    before, was = theirs.copy(), mine.copy()
    united = {*mine.edges, *theirs.edges}

    if refusal(lambda: mine.update(theirs), "would close a cycle"):
        check(mine, set(was.tasks), set(was.edges))
    else:
        check(mine, set(marks), united)
    assert theirs == before


Steps = st.lists(st.tuples(st.sampled_from("TtEe"), st.integers(0, 7), st.integers(0, 7)), max_size=24)


@given(Pairs, Steps)
def test_a_flow_is_what_is_put_into_its_sets_and_taken_out_of_them(
    pairs: list[tuple[int, int]], steps: list[tuple[str, int, int]]
) -> None:
    marks: list[Task] = [Mark(name=str(number)) for number in range(8)]
    flow = build(marks, pairs)
    before, tasks, edges = flow.copy(), set(marks), set(flow.edges)

    for step, one, other in steps:
        task = marks[one]
        match step:
            case "T":
                flow.tasks.add(task)
                tasks.add(task)
            case "t":
                flow.tasks.discard(task)
                tasks.discard(task)
                edges = {edge for edge in edges if task not in edge.tasks}
            case _ if one == other:
                pass
            case "e":
                flow.edges.discard(Edge(task, marks[other]))
                edges.discard(Edge(task, marks[other]))
            case "E":
                edge = Edge(task, marks[other])
                if not refusal(lambda edge=edge: flow.edges.add(edge), "would close a cycle"):
                    edges.add(edge)
                # As of add_edge: both ends are there, whatever came of it.
                tasks |= edge.tasks

    check(flow, tasks, edges)
    twin = before.copy()
    twin.tasks, twin.edges = tasks, edges
    check(twin, tasks, edges)
    check(before, set(marks), set(before.edges))
