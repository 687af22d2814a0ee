"""The rule for states that runs begin with: kept, waited in, or gone on from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from prefectlite.rules.given import Standing, decide_given, standing_of, to_go_on_from
from prefectlite.rules.verdict import Become
from prefectlite.states.keys import RunKey
from prefectlite.states.report import ResultRef
from prefectlite.states.state import (
    Cached,
    Cancelled,
    Cancelling,
    Crashed,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
    TriggerFailed,
)

SOON = datetime(2030, 1, 1, tzinfo=UTC)


class Stubborn(Paused):
    """A user's class that takes its own arguments, so that it cannot be copied with others."""

    def __init__(self) -> None:
        super().__init__("stubborn")


@pytest.mark.parametrize(
    "state", [Success(), Skipped(), Failed(), Crashed(), TriggerFailed(), Cancelled(), Finished()]
)
def test_what_is_final_is_kept(state: State) -> None:
    verdict = decide_given(state)
    assert isinstance(verdict, Become)
    assert verdict.state is state
    assert verdict.why.text == "The run was given this state, and keeps it."


@pytest.mark.parametrize("state", [Scheduled(), Retrying(), Paused(), Resume(start_time=SOON)])
def test_a_wait_goes_on(state: State) -> None:
    verdict = decide_given(state)
    assert isinstance(verdict, Become)
    assert verdict.state is state
    assert verdict.why.read == (("state", type(state).__name__),)


@pytest.mark.parametrize("state", [Pending(), Running(), Cancelling(), Looped(), Cached(), Mapped()])
def test_all_else_has_to_be_made(state: State) -> None:
    assert not isinstance(decide_given(state), Become)


@pytest.mark.parametrize(
    ("state", "failures", "lap"),
    [
        (Pending(), 0, 1),
        (Running(context={"task_run_count": 3, "task_loop_count": 3}), 0, 1),
        (Retrying(run_count=2), 2, 1),
        (Paused(context={"task_run_count": 3}), 2, 1),
        (Looped(loop_count=3, result="x"), 0, 4),
        (Retrying(run_count=1, context={"task_loop_count": 3, "task_loop_result": "x"}), 1, 3),
        (Pending(context={"task_loop_count": 2, "task_loop_result": "x"}), 0, 2),
        (Scheduled(context={"task_run_count": "many", "task_loop_count": True}), 0, 1),
        (Scheduled(context={"task_run_count": -1, "task_loop_count": 0}), 0, 1),
    ],
)
def test_it_is_gone_on_from_the_attempt_and_the_iteration_that_a_state_tells_of(
    state: State, failures: int, lap: int
) -> None:
    standing = standing_of(state)
    assert (standing.failures, standing.lap) == (failures, lap)
    assert (standing.looped and standing.looped.result) == ("x" if lap > 1 else None)


def test_a_cached_value_is_one_that_the_cache_rule_is_asked_about() -> None:
    cached = Cached(result=1)
    assert standing_of(cached).cached is cached
    assert standing_of(Success(result=1)).cached is None


@pytest.mark.parametrize(
    ("state", "standing", "context"),
    [
        (Paused(), Standing(), {}),
        (Paused(context={"mine": 1}), Standing(2), {"mine": 1, "task_run_count": 3}),
        (Paused(context={"task_run_count": 3}), Standing(2), {"task_run_count": 3}),
        (Paused(context={"task_run_count": 2}), Standing(), {"task_run_count": 1}),
        (Retrying(run_count=2), Standing(2), {}),
        (
            Retrying(run_count=2),
            Standing(2, 3, Looped(result="x")),
            {"task_loop_count": 3, "task_loop_result": "x"},
        ),
        (Stubborn(), Standing(2), {}),
    ],
)
def test_a_wait_tells_what_another_run_needs_to_go_on(
    state: State, standing: Standing, context: dict[str, Any]
) -> None:
    told = to_go_on_from(state, standing)
    assert dict(told.context) == context
    if context:
        found = standing_of(told)
        assert (found.failures, found.lap) == (standing.failures, standing.lap)


def test_what_an_iteration_hands_on_is_not_fetched_for_that() -> None:
    ref = ResultRef(RunKey("a-1"))
    told = to_go_on_from(Paused(), Standing(0, 2, Looped(result=ref)))
    assert told.context["task_loop_result"] is ref
    looped = standing_of(told).looped
    assert looped is not None
    assert looped.result_ref is ref
