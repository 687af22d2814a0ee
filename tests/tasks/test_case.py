"""Blocks: which tasks they hold, what an error or another thread does to them, what is refused."""

from __future__ import annotations

import threading
from datetime import date
from enum import Enum
from typing import Any

import pytest

import prefectlite
from prefectlite import Flow, LocalExecutor, Parameter, Task, case, context, merge, tags, task, unmapped
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.states import Skipped, Success


class Colour(Enum):
    RED = 1


@task
def inc(x: int = 0) -> int:
    return x + 1


def names_above(flow: Flow, one: Any) -> list[str]:
    return [up.name for up in flow.upstream_tasks(one)]


def test_only_the_roots_of_a_block_get_the_comparison() -> None:
    with Flow("roots") as flow:
        outside = inc(1)
        with case(outside, 2):
            root, free = inc(outside), inc(5)
            child = inc(root)
            through = inc([child])  # type: ignore[arg-type]

    assert names_above(flow, root) == ["inc", "case(2)"]
    assert names_above(flow, free) == ["case(2)"]
    assert names_above(flow, child) == ["inc"]
    assert names_above(flow, through) == ["List"]
    assert names_above(flow, outside) == []
    assert len(flow.get_tasks(name="case(2)")) == 1


def test_what_reads_an_inner_block_depends_on_the_outer_one_itself() -> None:
    with Flow("nested") as flow:
        which = Parameter("which")
        with case(which, 1):
            with case(which, 2):
                value = merge(inc(), 5)
            below = inc(value)
        with case(which, 3):
            with case(which, 4):
                never = inc()
            none = merge(never)
    [first], [third] = flow.get_tasks(name="case(1)"), flow.get_tasks(name="case(3)")

    assert first in flow.upstream_tasks(below)
    assert third in flow.upstream_tasks(none)
    state = flow.run(which=3, executor=LocalExecutor())
    assert state.result[below].is_skipped()
    assert state.result[none].result is None
    assert not state.result[none].is_skipped()


def test_an_inner_comparison_belongs_to_the_outer_block() -> None:
    with Flow("nested") as flow, case(inc(), 1), case(inc(), 2):
        one = inc()
    [inner], [outer] = flow.get_tasks(name="case(2)"), flow.get_tasks(name="case(1)")

    assert names_above(flow, one) == ["case(2)"]
    assert outer in flow.upstream_tasks(flow.get_tasks(name="inc")[1])
    assert inner in flow.upstream_tasks(one)


def test_parameters_constants_and_tasks_that_were_there_before_are_in_no_block() -> None:
    with Flow("exempt") as flow:
        before = inc()
        with case(inc(), 1):
            p = Parameter("p", default=1)
            flow.add_task(p)
            flow.add_task(before)
            mapped = inc.map([1, 2])
    [constant] = flow.get_tasks(name="[1, 2]")

    assert names_above(flow, p) == names_above(flow, before) == names_above(flow, constant) == []
    assert names_above(flow, mapped) == ["[1, 2]", "case(1)"]


def test_a_block_without_tasks_adds_nothing() -> None:
    with Flow("empty") as flow, case(inc(), 1):
        pass

    assert [one.name for one in flow.tasks] == ["inc"]


def test_a_block_without_an_open_flow_takes_the_flow_of_its_tasks() -> None:
    flow = Flow("given")
    with case(inc(flow=flow), 1):
        one = inc(flow=flow)

    assert names_above(flow, one) == ["case(1)"]


def test_an_error_leaves_no_block_open_and_its_tasks_conditional() -> None:
    with Flow("error") as flow:
        with pytest.raises(RuntimeError, match="of the user"), case(inc(), 1), case(inc(), 2):
            one = inc()
            raise RuntimeError("of the user")
        after = inc()

    assert context.get("block") is None
    assert names_above(flow, one) == ["case(2)"]
    assert names_above(flow, after) == []


def test_one_case_may_open_several_blocks_also_in_itself() -> None:
    with Flow("again") as flow:
        same = case(inc(), 1)
        with same:
            one = inc()
            with same:
                two = inc()
        with same:
            three = inc()
    state = flow.run(executor=LocalExecutor())

    assert len(flow.get_tasks(name="case(1)")) == 3
    assert [type(state.result[each]) for each in (one, two, three)] == [Success] * 3


def test_a_task_that_waits_for_one_of_an_earlier_block_of_its_case_follows_it() -> None:
    with Flow("once more") as flow:
        same = case(inc(), 1)
        with same:
            one = inc()
        with same:
            two = inc(one)
        with same:
            three, four = inc(two), inc()
        with case(inc(), 2):
            five = inc(two)
    with Flow("other") as other, same:
        six = inc.copy().bind(one.bind(flow=other), flow=other)

    assert [names_above(flow, each) for each in (one, two, three, four, five)] == [
        ["case(1)"],
        ["inc"],
        ["inc"],
        ["case(1)"],
        ["inc", "case(2)"],
    ]
    assert len(flow.get_tasks(name="case(1)")) == 2
    assert names_above(other, one) == ["case(1)"]
    assert names_above(other, six) == ["inc"]


def test_blocks_of_threads_do_not_see_each_other() -> None:
    ready, flows = threading.Barrier(4), {}

    def build(n: int) -> None:
        with Flow(f"flow-{n}") as flow:
            with case(inc(), n):
                ready.wait(30)
                inside = inc()
                ready.wait(30)
            outside = inc()
        flows[n] = (flow, inside, outside)

    threads = [threading.Thread(target=build, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    for n, (flow, inside, outside) in flows.items():
        assert len(flow.tasks) == 4
        assert names_above(flow, inside) == [f"case({n})"]
        assert names_above(flow, outside) == []
    assert len(flows) == 4


def test_a_block_takes_tasks_of_one_flow() -> None:
    other = Flow("other")
    with Flow("one") as flow, case(inc(), 1):
        inside = inc()
        with pytest.raises(
            DefinitionError, match=r"'inc' goes into flow 'other'.*of flow 'one'; open a block"
        ):
            inc(flow=other)
        with pytest.raises(DefinitionError, match="holds tasks of flow 'one'"), Flow("two"):
            inc()

    assert not other.tasks
    assert names_above(flow, inside) == ["case(1)"]


@pytest.mark.parametrize("value", [Task("t"), Parameter("p"), unmapped(3)])
def test_a_value_that_is_a_task_is_refused(value: Any) -> None:
    with pytest.raises(DefinitionTypeError, match=r"case\(1, .*\) would compare with a task"):
        case(1, value)


def test_a_case_says_what_it_compares() -> None:
    assert repr(case("x", 3)) == "case('x', 3)"
    with Flow("names") as flow:
        for value in (
            "a",
            None,
            1.5,
            [2, 4],
            ("a", "tuple"),
            Colour.RED,
            date(2020, 5, 4),
            "long" * 20,
            "long" * 60,
            [0] * 100,
            10**250,
        ):
            with case(inc(), value):
                inc()

    assert [one.name for one in flow.get_tasks(task_type=type(flow.get_tasks(name="case(a)")[0]))] == [
        "case(a)",
        "case(None)",
        "case(1.5)",
        "case([2, 4])",
        "case(('a', 'tuple'))",
        "case(Colour.RED)",
        "case(2020-05-04)",
        f"case({'long' * 20})",
        "case(a str)",
        "case(a list)",
        "case(a int)",
    ]


def test_a_skip_says_which_value_came_out() -> None:
    with Flow("why") as flow, case("b", "a"):
        inc()
    [compared] = flow.get_tasks(name="case(a)")

    state = flow.run(executor=LocalExecutor()).result[compared]

    assert type(state) is Skipped
    assert state.message == "The value is 'b', so this branch, for 'a', is skipped."


def test_the_tags_of_a_block_are_on_its_tasks_only() -> None:
    with Flow("tags") as flow, case(inc(), 1), tags("x"):
        one = inc()

    assert one.tags == {"x"}  # type: ignore[attr-defined]
    assert flow.get_tasks(name="case(1)")[0].tags == frozenset()


def test_the_names_are_found_where_a_prefect_1_user_looks() -> None:
    from prefectlite.tasks import control_flow
    from prefectlite.tasks.control_flow.case import case as same_case
    from prefectlite.tasks.control_flow.conditional import ifelse, switch
    from prefectlite.tasks.control_flow.conditional import merge as same_merge
    from prefectlite.tasks.control_flow.filter import FilterTask
    from prefectlite.tasks.resource_manager import ResourceManager, resource_manager

    assert prefectlite.tasks.control_flow is control_flow
    assert case is same_case is control_flow.case
    assert merge is same_merge is control_flow.merge
    assert prefectlite.switch is switch is control_flow.switch
    assert prefectlite.ifelse is ifelse is control_flow.ifelse
    assert prefectlite.FilterTask is FilterTask is control_flow.FilterTask
    assert prefectlite.apply_map is control_flow.apply_map
    assert prefectlite.ResourceManager is ResourceManager
    assert prefectlite.resource_manager is resource_manager
