"""The crash rule: a budget of its own, and no wait."""

from datetime import UTC, datetime

import pytest

from prefectlite.rules.crash import decide_crash
from prefectlite.rules.verdict import Become, Proceed
from prefectlite.states import Crashed, Retrying


@pytest.mark.parametrize("max_crashes", [0, 1, 3])
def test_as_many_crashes_are_forgiven_as_the_task_allows(max_crashes: int) -> None:
    verdicts = [decide_crash(n, max_crashes, Crashed(), 0.0) for n in range(1, max_crashes + 3)]
    assert [isinstance(v, Become) for v in verdicts] == [True] * max_crashes + [False, False]


def test_a_forgiven_crash_is_run_again_at_once() -> None:
    verdict = decide_crash(2, 3, Crashed(cause="out-of-memory", context={"a": 1}), 60.0)
    assert isinstance(verdict, Become)
    state = verdict.state
    assert isinstance(state, Retrying)
    assert state.start_time == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    assert state.run_count == 2
    assert state.context == {"a": 1}
    assert "out-of-memory" in str(state.message)
    assert verdict.why.rule == "crash"
    assert dict(verdict.why.read) == {"cause": "out-of-memory", "crashes": "2", "max_crashes": "3"}


@pytest.mark.parametrize(
    ("max_crashes", "text"),
    [(0, "The task allows no crash."), (2, "All 2 crashes that the task allows are used up.")],
)
def test_a_crash_that_stays_says_why(max_crashes: int, text: str) -> None:
    verdict = decide_crash(max_crashes + 1, max_crashes, Crashed(), 0.0)
    assert isinstance(verdict, Proceed)
    assert verdict.why.text == text
