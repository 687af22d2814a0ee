"""The flow's graph: tasks, edges, slugs, order, reference tasks, and what it refuses."""

from __future__ import annotations

import pickle
import tracemalloc
from itertools import pairwise
from typing import Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.core.annotations import flatten, mapped, unmapped
from prefectlite.core.constants import AutoList, Constant
from prefectlite.core.context import context
from prefectlite.core.edge import Edge
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task, task
from prefectlite.errors import DefinitionError, DefinitionTypeError


@task
def inc(x: Any, by: Any = 1) -> Any:
    return x + by


class Mark(Task):
    """Do nothing."""


class Join(Task):
    """Take any number of values."""

    def run(self, **values: Any) -> int:
        return len(values)


def test_a_flow_needs_a_name() -> None:
    for name, error in (("", DefinitionError), (None, DefinitionError), (3, DefinitionTypeError)):
        with pytest.raises(error, match="give a text that is not empty"):
            FlowGraph(name)


def test_an_open_flow_is_in_the_context_and_flows_nest() -> None:
    with FlowGraph("outer") as outer:
        assert context.flow is outer
        with FlowGraph("inner") as inner:
            assert context.flow is inner
        assert context.flow is outer
    assert "flow" not in context


def test_a_chain_of_calls_is_a_chain_of_edges() -> None:
    with FlowGraph("f") as flow:
        a: Any = inc(1)
        b: Any = inc(a, by=2)
    assert [*flow.edges] == [Edge(a, b, "x")]
    assert [*flow.edges_to(b)] == [*flow.edges_from(a)] == [Edge(a, b, "x")]
    assert flow.edges_to(a) == flow.edges_from(b) == set()
    assert flow.constants == {a: {"x": 1}, b: {"by": 2}}
    assert flow.upstream_tasks(b) == {a}
    assert flow.downstream_tasks(a) == {b}
    assert flow.root_tasks() == {a}
    assert flow.terminal_tasks() == flow.reference_tasks() == {b}
    assert list(flow) == [a, b]
    assert Edge(a, b, "x").tasks == {a, b}
    assert repr(flow) == "<FlowGraph: f>"


def test_slugs_count_per_name_and_tags_and_are_the_same_every_time() -> None:
    def build() -> list[str]:
        with FlowGraph("f") as flow:
            inc(inc(1))
            inc(1, task_args={"tags": ["b", "a"]})
            inc(1, task_args={"name": "other"})
            inc([inc(2)])
        return list(flow.slugs.values())

    assert build() == build() == ["inc-1", "inc-2", "inc-a-b-1", "other-1", "inc-3", "List-1", "inc-4"]


def test_explicit_slugs_are_kept_and_doubles_refused() -> None:
    with FlowGraph("f") as flow:
        first: Any = inc(1, task_args={"slug": "first"})
        assert flow.slugs[first] == "first"
        with pytest.raises(DefinitionError, match=r"slug 'first' already.*task_args=\{'slug'"):
            inc(1, task_args={"slug": "first"})
        inc(1, task_args={"slug": "inc-1"})
        second: Any = inc(2)
        assert flow.slugs[second] == "inc-2"
        with pytest.raises(DefinitionError, match="slug 'inc-2' already"):
            inc(1, task_args={"slug": "inc-2"})
        inc(1, task_args={"slug": "inc-02"})
        inc(1, task_args={"slug": "inc-x"})


def test_adding_a_task_twice_does_nothing_and_a_non_task_is_refused() -> None:
    flow = FlowGraph("f")
    mark = Mark()
    assert flow.add_task(mark) is mark
    flow.add_task(mark)
    assert len(flow.tasks) == 1
    assert mark in flow
    assert flow.number(mark) == 0
    assert flow.number(inc) is None
    for wrong in (len, [mark]):
        with pytest.raises(DefinitionTypeError, match="put @task above the function"):
            flow.add_task(wrong)


def test_a_flow_is_made_from_tasks_edges_and_reference_tasks() -> None:
    a, b, c = Mark(name="a"), Mark(name="b"), Mark(name="c")
    flow = FlowGraph("f", tasks=[c], edges=[Edge(a, b), Edge(b, c)], reference_tasks=[b], executor="here")
    assert flow.tasks == {a, b, c}
    assert flow.sorted_tasks() == (a, b, c)
    assert flow.reference_tasks() == {b}
    assert flow.executor == "here"


def test_reference_tasks_must_be_in_the_flow_and_none_brings_back_the_terminal_ones() -> None:
    with FlowGraph("f") as flow:
        a: Any = inc(1)
        b: Any = inc(a)
    flow.set_reference_tasks([a])
    assert flow.reference_tasks() == {a}
    flow.set_reference_tasks([])
    assert flow.reference_tasks() == {b}
    with pytest.raises(DefinitionError, match="<FunctionTask: inc> is not in flow 'f'"):
        flow.set_reference_tasks([inc])
    with pytest.raises(DefinitionTypeError, match=r"which is no list; write reference_tasks=\[...\]"):
        flow.set_reference_tasks(a)


def test_questions_about_a_task_that_is_not_there_are_refused() -> None:
    flow = FlowGraph("f")
    for ask in (flow.edges_to, flow.edges_from, flow.upstream_tasks, flow.downstream_tasks, flow.is_mapped):
        with pytest.raises(DefinitionError, match="use what the call returned"):
            ask(inc)
    with pytest.raises(DefinitionError, match="not in flow"):
        flow.sorted_tasks([inc])


def test_tasks_are_found_by_name_slug_tags_and_type() -> None:
    with FlowGraph("f") as flow:
        a: Any = inc(1, task_args={"tags": ["x", "y"]})
        b: Any = inc(a)
        mark = Mark()()
    assert flow.get_tasks() == [a, b, mark]
    assert flow.get_tasks(name="inc") == [a, b]
    assert flow.get_tasks(name="inc", tags=["x"]) == [a]
    assert flow.get_tasks(slug="inc-1") == [b]
    assert flow.get_tasks(task_type=Mark) == [mark]


def test_the_views_of_a_flow_are_live_and_print_as_dicts() -> None:
    with FlowGraph("f") as flow:
        slugs, constants = flow.slugs, flow.constants
        a: Any = inc(1)
        b: Any = inc(a)
    assert dict(slugs) == {a: "inc-1", b: "inc-2"}
    assert len(slugs) == 2
    assert len(constants) == 1
    assert constants[b] == {}
    assert repr(constants) == "{<FunctionTask: inc>: {'x': 1}}"
    assert repr(slugs) == "{<FunctionTask: inc>: 'inc-1', <FunctionTask: inc>: 'inc-2'}"


# Imperative building


def test_imperative_edges_in_every_form() -> None:
    flow = FlowGraph("f")
    a, b, c, d = (Mark(name=name) for name in "abcd")
    join = Join()
    b.set_upstream(a, flow=flow)
    b.set_downstream(c, flow=flow)
    join.set_dependencies(flow, upstream_tasks=[c], downstream_tasks=[d], keyword_tasks={"x": a, "y": 3})
    join.set_upstream(b, key="z", flow=flow)
    with flow:
        join.set_upstream(5)
    constant = flow.get_tasks(task_type=Constant)[0]
    assert [*flow.edges_to(b)] == [Edge(a, b)]
    assert [*flow.edges_to(c)] == [Edge(b, c)]
    assert [*flow.edges_to(join)] == [
        Edge(c, join),
        Edge(a, join, "x"),
        Edge(b, join, "z"),
        Edge(constant, join),
    ]
    assert flow.constants == {join: {"y": 3}}
    assert flow.downstream_tasks(join) == {d}


def test_slugs_are_counted_in_the_order_in_which_prefect_1_took_tasks_in() -> None:
    flow = FlowGraph("f")
    one, two, three, four, five = (Mark() for _ in range(5))
    flow.add_edge(one, two)
    three.set_dependencies(flow, upstream_tasks=[four], downstream_tasks=[five])
    join = Join()
    six, seven = Mark(), Mark()
    join.set_dependencies(flow, upstream_tasks=[six], keyword_tasks={"x": seven})
    with flow:
        called = inc.map([1, 2], upstream_tasks=[mapped([1, 2])])
    assert [flow.slugs[task] for task in (one, two, three, four, five, six, seven)] == [
        f"Mark-{number}" for number in range(1, 8)
    ]
    assert {edge.key: flow.slugs[edge.upstream] for edge in flow.edges_to(called)} == {
        None: "[1, 2]-1",
        "x": "[1, 2]-2",
    }


def test_a_constant_with_a_key_is_no_task_and_others_are() -> None:
    flow = FlowGraph("f")
    edge = flow.add_edge(3, inc, key="x")
    assert (edge.key, edge.downstream) == ("x", inc)
    assert isinstance(edge.upstream, Constant)
    flow.add_edge(Constant(4), inc, key="by")
    assert flow.tasks == {inc}
    assert flow.constants == {inc: {"x": 3, "by": 4}}
    other = inc.copy()
    flow.add_edge([1, 2], other, key="x", mapped=True)
    flow.add_edge([[1]], other, key="by", flattened=True)
    assert [task.name for task in flow.upstream_tasks(other)] == ["[1, 2]", "[[1]]"]
    assert flow.is_mapped(other)


def test_an_annotation_beats_the_mapped_argument() -> None:
    flow = FlowGraph("f")
    a, b = Mark(), Mark()
    flow.add_edge(unmapped(a), b, mapped=True)
    flow.add_edge(mapped(flatten(a)), b)
    assert [*flow.edges_to(b)] == [Edge(a, b), Edge(a, b, mapped=True, flattened=True)]


@pytest.mark.parametrize("count", [1, 40])
def test_an_argument_is_bound_once_only(count: int) -> None:
    flow = FlowGraph("f")
    join, mark = Join(), Mark()
    for number in range(count):
        flow.add_edge(mark, join, key=f"k{number}")
    flow.add_edge(1, join, key="constant")
    for key in ("k0", "constant"):
        for value in (mark, 2):
            with pytest.raises(DefinitionError, match=f"has a value for its argument '{key}' already"):
                flow.add_edge(value, join, key=key)
    flow.add_edge(mark, join, key="free")
    with pytest.raises(DefinitionError, match="'free' already"):
        flow.add_edge(mark, join, key="free")
    with pytest.raises(DefinitionError, match="'k0' already"):
        join.bind(k0=1, flow=flow)


@pytest.mark.parametrize("count", [1, 40])
def test_the_same_dependency_twice_is_one_edge(count: int) -> None:
    flow = FlowGraph("f")
    last = Mark()
    firsts = [Mark() for _ in range(count)]
    for _ in range(2):
        for first in firsts:
            last.set_upstream(first, flow=flow)
    assert len(flow.edges_to(last)) == count
    flow.add_edge(firsts[0], last, mapped=True)
    assert len(flow.edges_to(last)) == count + 1
    with flow:
        called = Mark()(upstream_tasks=[*firsts, *firsts])
    assert len(flow.edges_to(called)) == count


def test_edges_that_cannot_be_are_refused() -> None:
    flow = FlowGraph("f")
    a, parameter = Mark(), Parameter("p")
    with pytest.raises(DefinitionError, match="'Mark' would wait for itself"):
        flow.add_edge(a, a)
    with pytest.raises(DefinitionError, match="would wait for itself"):
        Edge(a, a)
    with pytest.raises(DefinitionError, match="<Parameter: p> cannot wait for <Mark: Mark>"):
        flow.add_edge(a, parameter)
    with pytest.raises(DefinitionError, match="cannot wait for"):
        flow.add_edge(a, Constant(1))
    assert parameter not in flow
    with pytest.raises(DefinitionTypeError, match=r"'Mark' takes \(\), so 'x' is no argument"):
        flow.add_edge(parameter, a, key="x")
    with pytest.raises(DefinitionTypeError, match="is no argument"):
        flow.add_edge(a, AutoList("list", 0), key="arg_1")
    for key in ("not a name", "class", ""):
        with pytest.raises(DefinitionError, match="cannot be an argument's name"):
            Edge(parameter, a, key)


def test_binding_a_task_that_is_there_already() -> None:
    with FlowGraph("f") as flow:
        a, b = Mark()(), inc.copy()
        a.set_downstream(b)
        assert b.bind(a, 3) is b
    assert [*flow.edges_to(b)] == [Edge(a, b), Edge(a, b, "x")]
    assert flow.constants == {b: {"by": 3}}
    flow.validate()
    c = inc.copy()
    flow.add_edge(1, c, key="by")
    c.bind(2, flow=flow)
    assert flow.constants[c] == {"by": 1, "x": 2}


def test_a_task_among_its_own_arguments_is_refused() -> None:
    with FlowGraph("f"):
        b = inc.copy()
        with pytest.raises(DefinitionError, match="wait for itself"):
            b.bind(b)
        c = inc.copy()
        with pytest.raises(DefinitionError, match="would close a cycle in flow 'f'"):
            c.bind([c])


# Cycles and order


def test_a_cycle_is_refused_and_leaves_the_flow_as_it_was() -> None:
    with FlowGraph("f") as flow:
        a: Any = inc(1)
        b: Any = inc(a)
        c: Any = inc(b)
    with pytest.raises(
        DefinitionError, match=r"from 'inc-3' to 'inc-2' would close a cycle.*'inc-3' waits for 'inc-2'"
    ):
        flow.add_edge(c, b)
    with pytest.raises(DefinitionError, match="from 'inc-3' to 'inc-1'"):
        a.set_upstream(c, flow=flow)
    assert len(flow.edges) == 2
    assert flow.sorted_tasks() == (a, b, c)


def test_a_flow_built_backwards_is_sorted() -> None:
    flow = FlowGraph("f")
    marks = [Mark(name=str(number)) for number in range(50)]
    for late, early in pairwise(marks):
        flow.add_edge(early, late)
    assert flow.sorted_tasks() == tuple(reversed(marks))
    assert flow.sorted_tasks() is flow.sorted_tasks()
    with pytest.raises(DefinitionError, match="close a cycle"):
        flow.add_edge(marks[0], marks[-1])
    extra = flow.add_task(Mark())
    assert set(flow.sorted_tasks()) == {*marks, extra}


def test_sorting_from_roots_gives_them_and_what_waits_for_them() -> None:
    with FlowGraph("f") as flow:
        a: Any = inc(1)
        b: Any = inc(a)
        c: Any = inc(2)
        d: Any = inc(b, by=c)
    assert flow.sorted_tasks([b]) == (b, d)
    assert flow.sorted_tasks([a, c]) == (a, b, c, d)


@given(st.integers(2, 9), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=40))
def test_edges_in_any_order_never_close_a_cycle(size: int, wishes: list[tuple[int, int]]) -> None:
    flow = FlowGraph("f")
    marks = [flow.add_task(Mark(name=str(number))) for number in range(size)]
    paths: set[tuple[int, int]] = set()  # the naive transitive closure
    for up, down in wishes:
        if up >= size or down >= size or up == down:
            continue
        if (down, up) in paths:
            with pytest.raises(DefinitionError, match="cycle"):
                flow.add_edge(marks[up], marks[down])
            continue
        flow.add_edge(marks[up], marks[down])
        before = {up, *(one for one, other in paths if other == up)}
        after = {down, *(other for one, other in paths if one == down)}
        paths |= {(one, other) for one in before for other in after}
    order = {mark: place for place, mark in enumerate(flow.sorted_tasks())}
    assert len(order) == size
    assert all(order[edge.upstream] < order[edge.downstream] for edge in flow.edges)


# Validation


def test_a_task_that_misses_an_argument_is_found_when_the_flow_is_validated() -> None:
    flow = FlowGraph("f")
    flow.add_edge(Mark(), inc)
    with pytest.raises(
        DefinitionTypeError, match=r"Flow 'f' cannot run: Task 'inc' takes .* 'x' got no value"
    ):
        flow.validate()
    flow.add_edge(Mark(), inc, key="x")
    flow.validate()
    flow.validate()


def test_a_slug_that_was_set_later_is_checked_when_the_task_is_added() -> None:
    called = inc.copy()
    called.slug = "x[1]"
    with pytest.raises(DefinitionError, match=r"Task 'inc' has slug='x\[1\]'; give a text"):
        FlowGraph("f", tasks=[called])


def test_a_task_that_was_called_in_another_flow_is_found_when_the_flow_is_validated() -> None:
    with FlowGraph("one"):
        a: Any = inc(1)
    with FlowGraph("two") as two:
        inc(a)
    with pytest.raises(DefinitionTypeError, match="calling it puts a copy with arguments there"):
        two.validate()


def test_constants_count_as_arguments_when_the_flow_is_validated() -> None:
    flow = FlowGraph("f")
    flow.add_edge(1, inc, key="x")
    flow.validate()


# Mapping


def test_map_maps_over_each_argument_that_is_not_annotated() -> None:
    with FlowGraph("f") as flow:
        a: Any = inc(1)
        m: Any = inc.map(a, by=unmapped(2))
        n: Any = inc.map(flatten(m), unmapped(a))
        o: Any = inc.map(5 * [1])
        p: Any = inc(mapped([1, 2]), mapped=True)
    assert [*flow.edges_to(m)] == [Edge(a, m, "x", mapped=True)]
    assert flow.constants[m] == {"by": 2}
    assert [*flow.edges_to(n)] == [Edge(m, n, "x", mapped=True, flattened=True), Edge(a, n, "by")]
    assert all(flow.is_mapped(one) for one in (m, n, o, p))
    assert not flow.is_mapped(a)
    assert [one.name for one in flow.upstream_tasks(o)] == ["Constant[list]"]


def test_a_plain_call_with_an_annotated_argument_maps_over_that_one() -> None:
    with FlowGraph("f") as flow:
        a: Any = inc(1)
        m: Any = inc(mapped(a), by=5)
    assert [*flow.edges_to(m)] == [Edge(a, m, "x", mapped=True)]
    assert flow.constants[m] == {"by": 5}


def test_upstream_tasks_of_a_map_are_paired_only_with_maps() -> None:
    with FlowGraph("f") as flow:
        plain: Any = inc(1)
        first: Any = inc.map([1, 2])
        second: Any = inc.map([3, 4], upstream_tasks=[plain, first, mapped(plain), unmapped(first)])
        third: Any = inc(1, upstream_tasks=[first, mapped(first)])
    assert [*flow.edges_to(second)][1:] == [
        Edge(plain, second),
        Edge(first, second, mapped=True),
        Edge(plain, second, mapped=True),
        Edge(first, second),
    ]
    assert [*flow.edges_to(third)] == [Edge(first, third), Edge(first, third, mapped=True)]


def test_upstream_tasks_may_be_values_and_collections_but_not_a_single_task() -> None:
    with FlowGraph("f") as flow:
        a: Any = inc(1)
        b: Any = inc(2, upstream_tasks=iter([5, [a]]))
        for wrong in (a, unmapped(a), "abc", 3):
            with pytest.raises(
                DefinitionTypeError, match=r"which is no list; write upstream_tasks=\[\.\.\.\]"
            ):
                inc(1, upstream_tasks=wrong)
    assert [one.name for one in flow.upstream_tasks(b)] == ["5", "List"]
    assert flow.constants[b] == {"x": 2}


def test_set_dependencies_of_a_mapped_task_pairs_it_with_maps() -> None:
    with FlowGraph("f") as flow:
        plain, first = Mark()(), inc.map([1, 2])
        join = Join()
        join.set_dependencies(upstream_tasks=[plain, first], keyword_tasks={"x": first}, mapped=True)
        other = Mark()
        other.set_upstream(plain, mapped=True)
    paired: Any = first
    assert [*flow.edges_to(join)] == [
        Edge(plain, join),
        Edge(paired, join, mapped=True),
        Edge(paired, join, "x", mapped=True),
    ]
    assert [*flow.edges_to(other)] == [Edge(plain, other, mapped=True)]


def test_a_flow_survives_pickling() -> None:
    with FlowGraph("f") as flow:
        a: Any = inc(Parameter("n", default=3, type=int))
        inc([a, 4])
    twin = pickle.loads(cloudpickle.dumps(flow))
    assert list(twin.slugs.values()) == list(flow.slugs.values())
    assert [twin.slugs[edge.upstream] for edge in twin.edges] == [
        flow.slugs[edge.upstream] for edge in flow.edges
    ]
    assert twin.check_parameters({"n": "5"}) == {"n": 5}
    with twin:
        called: Any = inc(1)
    assert twin.slugs[called] == "inc-3"
    assert called not in flow


# Size


@pytest.mark.parametrize("shape", ["fan", "chain"])
def test_a_task_of_a_big_flow_takes_less_than_a_kibibyte(shape: str) -> None:
    count = 20_000
    tracemalloc.start()
    try:
        with FlowGraph("f") as flow:
            if shape == "fan":
                Join()(values=[inc(number) for number in range(count)])
            else:
                value: Any = 0
                for _ in range(count):
                    value = inc(value)
        nbytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(flow.tasks) >= count
    assert nbytes / count < 1024


def test_the_cost_of_an_edge_does_not_grow_with_the_flow() -> None:
    # Each of these would take minutes if an edge looked at all the others.
    flow = FlowGraph("f")
    hub, *marks = (Mark() for _ in range(20_001))
    for mark in marks:
        flow.add_edge(mark, hub)
        flow.add_edge(mark, hub)
    late = Mark()
    for mark in marks:
        flow.add_edge(late, mark)
    assert len(flow.edges_to(hub)) == len(flow.edges_from(late)) == len(marks)
    assert flow.sorted_tasks()[0] is late
