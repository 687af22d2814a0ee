"""Edges that are changed: what they say holds for the flow that they are in."""

from __future__ import annotations

import copy
import gc
from itertools import islice
from typing import Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.core.annotations import mapped
from prefectlite.core.constants import Constant
from prefectlite.core.edge import Edge
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task, task
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.lowering.compile import compile  # noqa: A004  # its name everywhere


@task
def src() -> Any:
    return [1, 2]


@task
def use(x: Any, y: Any = 0) -> Any:
    return x, y


class Mark(Task):
    """Do nothing, with any values."""

    def run(self, **values: Any) -> None:
        """Do nothing."""


class World:
    """A flow of two tasks and the edge between them, and one task beside them."""

    def __init__(self) -> None:
        with FlowGraph("f") as self.flow:
            self.a, self.other = src(), src()
            self.b: Any = use(self.a)
        [self.edge] = self.flow.edges_to(self.b)


def held(flow: FlowGraph) -> dict[str, Any]:
    """Return all that a flow tells of its graph."""
    return {
        "edges": [*flow.edges],
        "into": flow.all_upstream_edges(),
        "out": flow.all_downstream_edges(),
        "mapped": [flow.is_mapped(one) for one in flow.tasks],
        "roots": flow.root_tasks(),
        "terminals": flow.terminal_tasks(),
        "sorted": flow.sorted_tasks(),
    }


def is_whole(flow: FlowGraph) -> bool:
    """Return whether a flow tells what one does that is built of the same parts at once."""
    anew = FlowGraph("f", tasks=flow.tasks, edges=[copy.copy(edge) for edge in flow.edges])
    here, there = held(flow), held(anew)
    order = [*flow.sorted_tasks()]
    return (
        set(here.pop("edges")) == set(there.pop("edges"))
        and all(order.index(edge.upstream) < order.index(edge.downstream) for edge in flow.edges)
        and here == there
    )


# In a flow


def test_an_edge_that_is_changed_says_so_to_its_flow() -> None:
    world = World()
    flow, edge, a, b = world.flow, world.edge, world.a, world.b

    edge.mapped = True
    assert flow.is_mapped(b)
    assert edge in flow.edges
    edge.flattened = True
    edge.mapped = False
    assert not flow.is_mapped(b)
    edge.key = "y"
    assert [*flow.edges] == [*flow.edges_to(b)] == [*flow.edges_from(a)] == [Edge(a, b, "y", False, True)]
    assert Edge(a, b, "x") not in flow.edges
    assert next(iter(flow.edges)) is edge
    assert is_whole(flow)


def test_an_argument_whose_edge_is_another_ones_now_is_free_and_missed() -> None:
    world = World()
    world.edge.key = "y"

    with pytest.raises(DefinitionTypeError, match="argument 'x' got no value"):
        world.flow.validate()
    world.flow.add_edge(world.other, world.b, "x")
    world.flow.validate()
    with pytest.raises(DefinitionError, match="'use' in flow 'f' has a value for its argument 'x' already"):
        world.edge.key = "x"
    assert world.edge.key == "y"
    world.edge.key = None
    assert is_whole(world.flow)


def test_an_edge_may_be_given_other_ends() -> None:
    world = World()
    flow, edge, a, b, other = world.flow, world.edge, world.a, world.b, world.other

    edge.upstream_task = other
    assert (flow.upstream_tasks(b), flow.downstream_tasks(a)) == ({other}, set())
    assert flow.terminal_tasks() == {a, b}
    edge.downstream_task = last = Mark()
    assert (edge.downstream, flow.upstream_tasks(b), flow.upstream_tasks(last)) == (last, set(), {other})
    assert flow.root_tasks() == {a, b, other}
    edge.upstream = first = Mark()
    assert flow.sorted_tasks() == (a, other, b, first, last)
    assert is_whole(flow)
    with pytest.raises(DefinitionTypeError, match="the argument 'x' got no value"):
        flow.validate()


def test_the_order_goes_by_what_the_edges_say_now() -> None:
    flow = FlowGraph("f")
    a, b, c = Mark(name="a"), Mark(name="b"), Mark(name="c")
    [first, second] = flow.chain(a, b, c)

    second.upstream = a
    first.upstream = c

    assert flow.sorted_tasks() == (a, c, b)
    with pytest.raises(DefinitionError, match="from 'b-1' to 'a-1' would close a cycle in flow 'f'"):
        flow.add_edge(b, a)
    with pytest.raises(DefinitionError, match="from 'b-1' to 'c-1' would close a cycle in flow 'f'"):
        second.upstream = b
    assert [*flow.edges] == [first, second] == [Edge(c, b), Edge(a, c)]
    assert is_whole(flow)


@pytest.mark.parametrize(
    ("name", "value", "kind", "text"),
    [
        ("key", "no name", DefinitionError, "has key='no name', which cannot be an argument's name"),
        ("key", "z", DefinitionTypeError, "Task 'use' takes"),
        ("upstream_task", "itself", DefinitionError, "Task 'use' would wait for itself"),
        ("downstream_task", Parameter("n"), DefinitionError, "cannot wait for"),
        ("downstream_task", "other", DefinitionTypeError, "so 'x' is no argument of it"),
        ("weight", 3, AttributeError, "weight"),
    ],
)
def test_what_an_edge_cannot_say_is_refused_and_changes_nothing(
    name: str, value: Any, kind: type[Exception], text: str
) -> None:
    world = World()
    before = held(world.flow)
    value = {"itself": world.b, "other": world.other}.get(value, value) if isinstance(value, str) else value

    with pytest.raises(kind, match=text):
        setattr(world.edge, name, value)
    with pytest.raises(AttributeError, match="The 'key' of an edge cannot be deleted"):
        del world.edge.key

    assert held(world.flow) == before
    world.flow.validate()


def test_a_value_or_an_annotation_may_be_an_edges_upstream_as_when_it_is_made() -> None:
    world = World()

    world.edge.upstream_task = mapped(world.other)
    assert world.flow.is_mapped(world.b)
    world.edge.upstream_task = [1, 2, 3]
    assert isinstance(world.edge.upstream, Constant)
    world.edge.mapped = False
    compiled = compile(world.flow, {})
    assert compiled.values == {compiled.numbers[world.edge.upstream]: [1, 2, 3]}
    world.edge.upstream_task = [world.a, world.other]
    assert world.flow.upstream_tasks(world.edge.upstream) == {world.a, world.other}
    assert is_whole(world.flow)


def test_an_edge_that_says_what_another_one_says_leaves_the_flow_to_that_one() -> None:
    world = World()
    order = world.flow.add_edge(world.a, world.b)

    world.edge.key = None

    assert world.edge == order
    assert [*world.flow.edges] == [order]
    world.edge.key = "y"
    assert [*world.flow.edges] == [Edge(world.a, world.b)]
    assert is_whole(world.flow)


def test_a_member_of_a_list_may_be_another_task() -> None:
    with FlowGraph("f") as flow:
        a, b, c = src(), src(), src()
        [pair] = flow.upstream_tasks(use([a, b]))
    [first, _] = flow.edges_to(pair)

    first.upstream_task = c

    assert [(edge.upstream, edge.key) for edge in flow.edges_to(pair)] == [(c, "arg_1"), (b, "arg_2")]


def test_edges_to_a_task_that_has_many_may_be_changed() -> None:
    flow, hub, marks = FlowGraph("f"), Mark(), [Mark() for _ in range(40)]
    edges = [flow.add_edge(mark, hub, f"k{number}") for number, mark in enumerate(marks)]
    assert edges[5] in flow.edges

    for number, edge in enumerate(edges):
        edge.key = f"v{number}"
    edges[3].key = None
    edges[4].mapped = True

    assert [edge.key for edge in islice(flow.edges, 3)] == ["v0", "v1", "v2"]
    assert all(edge in flow.edges for edge in edges)
    assert Edge(marks[0], hub, "k0") not in flow.edges
    flow.add_edge(marks[0], hub, "k0")
    with pytest.raises(DefinitionError, match="has a value for its argument 'v7' already"):
        edges[0].key = "v7"
    assert flow.is_mapped(hub)
    assert is_whole(flow)


@given(
    st.integers(2, 7).flatmap(
        lambda size: st.tuples(
            st.just(size),
            st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), min_size=1, max_size=8),
            st.lists(
                st.tuples(
                    st.integers(0, 7),
                    st.sampled_from(["upstream", "downstream", "key", "mapped"]),
                    st.integers(0, size - 1),
                ),
                max_size=12,
            ),
        )
    )
)
def test_whatever_edges_are_told_the_graph_is_what_they_say(
    case: tuple[int, list[tuple[int, int]], list[tuple[int, str, int]]],
) -> None:
    size, wishes, changes = case
    marks = [Mark(name=str(number)) for number in range(size)]
    flow = FlowGraph("f", tasks=marks)
    edges = []
    for up, down in wishes:
        try:
            edges.append(flow.add_edge(marks[up], marks[down]))
        except DefinitionError:
            continue
    for which, name, to in changes if edges else ():
        edge = edges[which % len(edges)]
        value = {"key": f"k{to}", "mapped": bool(to % 2)}.get(name, marks[to])
        before = held(flow)
        try:
            setattr(edge, name, value)
        except DefinitionError:
            assert held(flow) == before
        else:
            assert edge in flow.edges or edge not in [*flow.edges]
        assert is_whole(flow)


# Outside of flows, and in which


def test_an_edge_in_no_flow_is_checked_as_when_it_is_made() -> None:
    a, b = src.copy(), use.copy()
    edge = Edge(a, b, "x")

    edge.mapped = 1  # type: ignore[assignment]  # as in Prefect 1
    edge.key = "z"

    assert (edge.mapped, edge.key, edge.upstream_task, edge.downstream_task) == (True, "z", a, b)
    assert {edge} == {Edge(a, b, "z", mapped=True)}
    with pytest.raises(DefinitionError, match="would wait for itself"):
        edge.upstream_task = b


def test_an_edge_that_was_taken_out_or_outlives_its_flow_is_free() -> None:
    world = World()
    world.flow.edges.remove(world.edge)
    world.edge.key = "z"
    assert [*world.flow.edges] == []

    world = World()
    edge = world.edge
    del world
    gc.collect()
    edge.key = "z"
    assert edge.key == "z"


def test_an_edge_that_is_put_into_a_flow_is_that_flows() -> None:
    flow, a, b = FlowGraph("f"), src.copy(), use.copy()
    edge = Edge(a, b, "x")

    flow.edges.add(edge)
    edge.key = "y"

    assert [*flow.edges] == [Edge(a, b, "y")]
    other = FlowGraph("g", edges=[edge])
    united = FlowGraph("h")
    united.update(flow)
    edge.key = "x"
    assert [one.key for flow in (flow, other, united) for one in flow.edges] == ["x", "y", "y"]


def test_a_change_that_a_flow_refuses_as_a_whole_leaves_its_edges_its_own() -> None:
    world = World()

    with pytest.raises(DefinitionError, match="would close a cycle"):
        world.flow.edges = {Edge(world.b, world.a), world.edge}
    world.edge.key = "y"
    assert [*world.flow.edges] == [Edge(world.a, world.b, "y")]
    world.flow.edges = {world.edge, Edge(world.other, world.b, "x")}
    world.flow.update(World().flow)
    world.flow.replace(world.other, src.copy())
    world.edge.mapped = True

    assert world.flow.is_mapped(world.b)
    assert is_whole(world.flow)


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda flow: flow.copy(),
        lambda flow: cloudpickle.loads(cloudpickle.dumps(flow)),
    ],
)
def test_a_copy_of_a_flow_has_edges_of_its_own(again: Any) -> None:
    flow = World().flow
    other = again(flow)
    [edge], [its] = flow.edges, other.edges

    its.mapped = True
    edge.key = "y"

    assert [(one.key, one.mapped) for one in (*flow.edges, *other.edges)] == [("y", False), ("x", True)]
    assert [other.is_mapped(one) for one in other.tasks] == [False, False, True]
    assert is_whole(flow)
    assert is_whole(other)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda edge: cloudpickle.loads(cloudpickle.dumps(edge))]
)
def test_a_copy_of_an_edge_is_in_no_flow(again: Any) -> None:
    world = World()

    edge = again(world.edge)
    edge.key = "y"

    assert [one.key for one in world.flow.edges] == ["x"]
    assert (edge.mapped, edge.flattened) == (False, False)
