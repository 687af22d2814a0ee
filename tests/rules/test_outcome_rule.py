"""The outcome rule: how a flow run stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.rules.outcome import decide_flow
from prefectlite.rules.tally import Tally
from prefectlite.states import (
    Cached,
    Cancelled,
    Crashed,
    Failed,
    Mapped,
    Running,
    Skipped,
    State,
    Success,
    TriggerFailed,
)


@pytest.mark.parametrize(
    ("states", "expected", "text"),
    [
        ([], Success, "All reference tasks succeeded."),
        ([Success(), Skipped(), Cached(), Mapped()], Success, "All reference tasks succeeded."),
        ([Success(), Cancelled()], Success, "No reference tasks failed."),
        ([Success(), Failed(), Crashed()], Failed, "Some reference tasks failed: 2 of 3 task runs."),
        ([TriggerFailed(), Cancelled()], Failed, "Some reference tasks failed: 1 of 2 task runs."),
        (
            [Mapped(map_states=[Success(), Failed()])],
            Failed,
            "Some reference tasks failed: 1 of 2 task runs.",
        ),
    ],
)
def test_the_reference_tasks_decide(states: list[State], expected: type[State], text: str) -> None:
    verdict = decide_flow(Tally.of(states), 0, cancelled=False)
    assert type(verdict.state) is expected
    assert verdict.state.message == verdict.why.text == text
    assert verdict.why.rule == "outcome"


counts = st.builds(Tally, total=st.just(9), successful=st.integers(0, 9), failed=st.integers(0, 9))


@given(counts, st.integers(1, 5))
def test_a_flow_run_with_something_unfinished_is_running_whatever_failed(
    reference: Tally, unfinished: int
) -> None:
    verdict = decide_flow(reference, unfinished, cancelled=False)
    assert type(verdict.state) is Running
    assert ("unfinished", str(unfinished)) in verdict.why.read


@given(counts, st.integers(0, 5))
def test_a_flow_run_that_was_called_off_is_cancelled_whatever_else_it_is(
    reference: Tally, unfinished: int
) -> None:
    verdict = decide_flow(reference, unfinished, cancelled=True)
    assert type(verdict.state) is Cancelled
    assert ("cancelled", "True") in verdict.why.read
