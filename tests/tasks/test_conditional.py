"""switch, ifelse, merge and FilterTask: what they put into a flow and what they refuse."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from prefectlite import FilterTask, Flow, LocalExecutor, Parameter, ifelse, merge, switch, task, triggers
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.tasks.control_flow.conditional import Merge


@task
def inc(x: int = 0) -> int:
    return x + 1


def test_the_comparisons_of_a_switch_are_tagged() -> None:
    with Flow("switch") as flow:
        one = inc()
        switch(inc(), {"a": one})
    [compared] = flow.get_tasks(tags=["switch"])

    assert compared.name == 'CompareValue: "a"'
    assert flow.upstream_tasks(one) == {compared}


def test_a_branch_that_was_not_called_comes_into_the_flow_by_the_switch() -> None:
    @task
    def b_branch() -> str:
        return "b"

    @task
    def which() -> str:
        return "b"

    with Flow("imperative") as flow:
        switch(which, {"b": b_branch})

    assert flow.run(executor=LocalExecutor()).result[b_branch].result == "b"


@pytest.mark.parametrize("cases", [["a"], None, inc])
def test_a_switch_without_a_mapping_is_refused(cases: Any) -> None:
    with Flow("bad") as flow, pytest.raises(DefinitionTypeError, match="is no mapping; give the tasks by"):
        switch(inc(), cases)

    assert len(flow.tasks) == 1


@pytest.mark.parametrize("branch", [5, None, "text", Parameter("p"), [inc]])
def test_a_branch_that_cannot_be_skipped_is_refused_and_changes_nothing(branch: Any) -> None:
    with Flow("bad") as flow:
        good, condition = inc(), inc()
        with pytest.raises(DefinitionTypeError, match=r"The branch for 'b' is .*; give what the call"):
            switch(condition, {"a": good, "b": branch})
        if branch is not None:
            with pytest.raises(DefinitionTypeError, match="The branch for False is"):
                ifelse(condition, good, branch)

    assert len(flow.tasks) == 2
    assert not flow.edges


def test_outside_a_flow_they_say_where_they_belong() -> None:
    with pytest.raises(DefinitionError, match="outside a flow; call it inside `with Flow"):
        switch(1, {1: inc})
    with pytest.raises(DefinitionError, match="outside a flow"):
        ifelse(1, inc, None)
    with pytest.raises(DefinitionError, match="outside a flow"):
        merge(inc)


def test_a_merge_takes_a_flow_and_options_and_refuses_to_be_skipped_with_a_branch() -> None:
    flow = Flow("given")
    merged = merge(inc(flow=flow), 3, flow=flow)

    assert merged in flow
    assert merged.name == "Merge"
    assert merged.trigger is triggers.all_successful
    assert merge(inc(flow=flow), flow=flow).trigger is triggers.not_all_skipped
    with pytest.raises(DefinitionError, match=r"skip_on_upstream_skip=True.*leave the option away"):
        Merge(skip_on_upstream_skip=True)


def test_a_filter_logs_what_its_function_says_of_the_kept_values(caplog: pytest.LogCaptureFixture) -> None:
    even = FilterTask(
        filter_func=lambda x: x % 2 == 0, log_func=lambda kept: f"{len(kept)} kept", name="even"
    )
    with Flow("filter") as flow:
        even([1, 2, 4])

    with caplog.at_level(logging.INFO):
        flow.run(executor=LocalExecutor())

    assert ("prefectlite.even", logging.INFO, "2 kept") in caplog.record_tuples
    assert even.run([1, 2]) == [2]


def test_a_merge_has_the_options_of_tasks() -> None:
    with Flow("merge") as flow:
        merged = merge(
            inc(1), inc(2), name="both", tags=["x"], trigger=triggers.all_finished, checkpoint=False
        )
        with pytest.raises(DefinitionError, match="skip_on_upstream_skip=True"):
            merge(inc(1), skip_on_upstream_skip=True)
        with pytest.raises(TypeError, match="colour"):
            merge(inc(1), colour=3)  # type: ignore[call-arg]

    assert (flow.slugs[merged], merged.checkpoint) == ("both-x-1", False)
    assert merged.trigger is triggers.all_finished
