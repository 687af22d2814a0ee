"""Which tasks share a limit, and that what is under one travels alone."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import task
from prefectlite.lowering.compile import compile as compile_flow


@task
def free(x: Any = None) -> Any:
    return x


@task(max_concurrency=3)
def limited(x: Any = None) -> Any:
    return x


def under(flow: FlowGraph, **parameters: Any) -> dict[str, list[str]]:
    """For each task under a limit, the limits by name and number, in the order in which it takes places."""
    plan = compile_flow(flow, parameters).plan
    named = [f"{limit.name}: {limit.most}" for limit in plan.limits]
    return {node.slug: [named[place] for place in node.limits] for node in plan.nodes if node.limits}


def test_a_flow_without_limits_has_none() -> None:
    with FlowGraph("f") as flow:
        free()
    assert under(flow) == {}


def test_all_calls_of_a_task_are_under_its_limit_and_it_counts_once() -> None:
    with FlowGraph("f") as flow:
        limited.map([limited(), limited(task_args={"priority": 1})])
        free()
    plan = compile_flow(flow, {}).plan
    assert len(plan.limits) == 1
    assert under(flow) == {f"limited-{n}": ["task 'limited': 3"] for n in (1, 2, 3)}


def test_only_tasks_with_a_body_are_under_the_limits_of_tags_and_flow() -> None:
    with FlowGraph("f", max_concurrency=2, tag_concurrency={"db": 1, "unused": 1}) as flow:
        x = Parameter("x", tags=["db"])
        free([x, free(1, task_args={"tags": ["db", "other"]})])
    assert under(flow, x=1) == {"free-db-other-1": ["tag 'db': 1", "flow 'f': 2"], "free-1": ["flow 'f': 2"]}


def test_places_are_taken_under_the_narrowest_limit_first_and_last_under_the_flows() -> None:
    with FlowGraph("f", max_concurrency=2, tag_concurrency={"a": 5, "b": 2, "c": 1}) as flow:
        limited(task_args={"tags": ["a", "b", "c"]})
    assert under(flow) == {
        "limited-a-b-c-1": ["tag 'c': 1", "tag 'b': 2", "flow 'f': 2", "task 'limited': 3", "tag 'a': 5"]
    }


def test_a_flows_handlers_show_in_its_plan() -> None:
    def handler(*_: Any) -> None: ...

    def said(**options: Any) -> tuple[bool, bool]:
        plan = compile_flow(FlowGraph("f", **options), {}).plan
        return plan.handled, plan.on_failure

    assert said() == (False, False)
    assert said(state_handlers=[handler]) == (True, False)
    assert said(terminal_state_handler=handler) == (True, False)
    assert said(on_failure=handler) == (False, True)


@pytest.mark.parametrize(("most", "travels"), [(None, (7, True)), (2, (1, False))])
def test_what_is_under_a_limit_travels_alone_and_in_one_piece(
    most: int | None, travels: tuple[int, bool], bench: Any
) -> None:
    total = task(lambda xs: sum(xs), name="total", associative=True, bundle_size=7, max_concurrency=most)
    with FlowGraph("f") as flow:
        end = total([free(n) for n in range(20)])
    stand = bench(flow)
    shipped = list(stand.start().shipments)
    for run in range(20):
        shipped += stand.finish(run).shipments
    (one,) = [each for each in shipped if each.run == stand.number(end)]
    assert (one.most, one.fold is not None) == travels
