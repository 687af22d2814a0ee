"""From a declared flow to a plan: order, policies, constants, collections, and what a map reads of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from prefectlite.core.annotations import flatten, mapped, unmapped
from prefectlite.core.edge import Edge
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import task
from prefectlite.errors import DefinitionError, ParameterError
from prefectlite.lowering.compile import Compiled, compile  # noqa: A004  # its name everywhere
from prefectlite.rules.triggers import any_failed, manual_only


@task
def one() -> Any:
    return 1


@task
def add(x: Any = 0, y: Any = 0) -> Any:
    return x + y


def node(compiled: Compiled, of: Any) -> Any:
    return compiled.plan.nodes[compiled.numbers[of]]


def test_what_waits_for_an_approval_that_is_there_may_start() -> None:
    with FlowGraph("f") as graph:
        asked, other = one(task_args={"trigger": manual_only}), one(task_args={"trigger": manual_only})
    compiled = compile(graph, {}, approves=lambda task: task is asked)
    trigger = node(compiled, asked).policy.trigger
    assert (trigger.name, trigger({})) == ("manual_only", True)
    assert node(compiled, other).policy.trigger is manual_only


def test_nodes_stand_in_topological_order_with_their_edges_both_ways() -> None:
    with FlowGraph("f") as graph:
        a = one()
        b = add(a, 5)
        c = add(x=b, y=a)
    compiled = compile(graph, {})
    a_, b_, c_ = (compiled.numbers[t] for t in (a, b, c))
    assert a_ < b_ < c_
    assert compiled.tasks[b_] is b
    assert compiled.plan.name == "f"
    assert [(e.upstream, e.key) for e in node(compiled, c).ins] == [(b_, "x"), (a_, "y")]
    assert [e.downstream for e in node(compiled, a).outs] == [b_, c_]
    assert compiled.plan.terminal == compiled.plan.reference == frozenset({c_})
    assert dict(compiled.constants[b_]) == {"y": 5}
    assert node(compiled, a).kind == "task"


def test_a_trigger_of_the_users_own_is_shown_edges_that_later_changes_leave_alone() -> None:
    with FlowGraph("f") as graph:
        a = one()
        b = add(a, task_args={"trigger": lambda states: True})
        c = add(b)
    compiled = compile(graph, {})
    [edge] = graph.edges_to(b)
    edge.key = "y"

    assert [e.token for e in node(compiled, b).ins] == [Edge(a, b, "x")]
    # All others need none.
    assert [e.token for e in node(compiled, c).ins] == [None]


def test_reference_tasks_are_the_users() -> None:
    with FlowGraph("f") as graph:
        a = one()
        add(a)
        graph.set_reference_tasks([a])
    compiled = compile(graph, {})
    assert compiled.plan.reference == frozenset({compiled.numbers[a]})


def test_tasks_with_the_same_options_share_a_policy() -> None:
    with FlowGraph("f") as graph:
        a, b = one(), one()
        c = one(task_args={"max_retries": 3, "retry_delay": 2, "trigger": any_failed, "keep_result": True})
    compiled = compile(graph, {})
    assert node(compiled, a).policy is node(compiled, b).policy
    policy = node(compiled, c).policy
    assert policy.trigger is any_failed
    assert policy.retry.max_retries == policy.max_crashes == 3
    assert policy.retry.delays == (2.0,)
    assert policy.keep_result
    assert not policy.handled
    assert not policy.on_failure


def test_a_users_own_trigger_handlers_and_callback_are_asked_on_the_driver() -> None:
    def trigger(states: Any) -> bool:
        return True

    with FlowGraph("f") as graph:
        a = one(task_args={"trigger": trigger, "state_handlers": [trigger], "on_failure": trigger})
    policy = node(compile(graph, {}), a).policy
    assert policy.trigger is None
    assert policy.handled
    assert policy.on_failure


def test_parameters_and_constants_are_values() -> None:
    with FlowGraph("f") as graph:
        p = Parameter("p", default=3)
        add.map(p, [10, 20])
    compiled = compile(graph, {"p": [1, 2]})
    assert node(compiled, p).kind == "value"
    assert compiled.values[compiled.numbers[p]] == [1, 2]
    assert compiled.parameters == {"p": [1, 2]}
    assert sorted(map(str, compiled.values.values())) == ["[1, 2]", "[10, 20]"]


def test_a_parameter_without_a_value_is_refused_by_name() -> None:
    with FlowGraph("f") as graph:
        add(Parameter("p"))
    with pytest.raises(ParameterError, match="'p'"):
        compile(graph, {})


def test_a_tag_that_asks_for_no_amount_is_refused_before_anything_runs() -> None:
    with FlowGraph("f") as graph:
        one(task_args={"tags": ["dask-resource:GPU=much"]})
    with pytest.raises(DefinitionError, match="GPU"):
        compile(graph, {})


def test_values_are_measured_only_where_a_map_reads_them() -> None:
    class Shy(list):  # type: ignore[type-arg]
        def __len__(self) -> int:
            raise AssertionError("nobody should ask")

    with FlowGraph("f") as graph:
        p, q, r, s = Parameter("p"), Parameter("q"), Parameter("r"), Parameter("s")
        add(p)
        add.map(unmapped(p), q)
        add.map(x=flatten(r))
        add.map(s)
    compiled = compile(graph, {"p": Shy(), "q": "abc", "r": [[1, 2], [3]], "s": {1, 2}})
    assert node(compiled, p).length is None
    assert node(compiled, q).length == 3
    assert (node(compiled, r).length, node(compiled, r).flat_length) == (None, 3)
    assert "a set has no order" in node(compiled, s).unmappable


def test_collections_are_put_together_from_their_members() -> None:
    with FlowGraph("f") as graph:
        a, b = one(), one()
        c = add(x=[a, 7, b])
    compiled = compile(graph, {})
    collection = node(compiled, c).ins[0].upstream
    assert compiled.plan.nodes[collection].kind == "collection"
    assert compiled.assemblies[collection].build([1, 2]) == [1, 7, 2]
    assert [e.upstream for e in compiled.plan.nodes[collection].ins] == [
        compiled.numbers[a],
        compiled.numbers[b],
    ]


def test_each_member_of_a_mapped_list_has_a_node_also_one_that_is_no_task() -> None:
    with FlowGraph("f") as graph:
        a, b = one(), one()
        c = add.map(x=mapped([7, a, "two", b]))
    compiled = compile(graph, {})
    collection = node(compiled, c).ins[0].upstream
    members = [e.upstream for e in compiled.plan.nodes[collection].ins]
    assert compiled.plan.nodes[collection].length == 4
    assert [compiled.plan.nodes[m].kind for m in members] == ["value", "task", "value", "task"]
    assert [compiled.values.get(m) for m in members] == [7, None, "two", None]
    assert compiled.assemblies[collection].build([7, 1, "two", 1]) == [7, 1, "two", 1]
    assert max(members) < collection
    assert compiled.numbers[compiled.tasks[members[0]]] == collection
    slugs = [n.slug for n in compiled.plan.nodes]
    assert len(set(slugs)) == len(slugs)


def test_members_of_a_flattened_mapped_list_are_measured_part_by_part() -> None:
    with FlowGraph("f") as graph:
        p = Parameter("p")
        c = add.map(x=flatten([p, [1, 2, 3], one()]))
    compiled = compile(graph, {"p": "ab"})
    collection = node(compiled, c).ins[0].upstream
    lengths = [compiled.plan.nodes[e.upstream].length for e in compiled.plan.nodes[collection].ins]
    assert lengths == [2, 3, None]


@dataclasses.dataclass
class Pair:
    left: Any
    right: Any


def test_sets_dicts_and_dataclasses_of_tasks_do_not_map() -> None:
    with FlowGraph("f") as graph:
        a = one()
        cases = {
            "a set has no order": add.map(x=mapped({a})),
            "a dict is read by key": add.map(x=mapped({"k": a})),
            "a Pair has no elements by position": add.map(x=mapped(Pair(a, 2))),
        }
        good = add.map(x=mapped((a, a)))
    compiled = compile(graph, {})
    for why, t in cases.items():
        assert why in compiled.plan.nodes[node(compiled, t).ins[0].upstream].unmappable
    assert compiled.plan.nodes[node(compiled, good).ins[0].upstream].length == 2
