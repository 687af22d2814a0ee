"""The retry rule: who is tried again, when, and what the answer says."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.errors import DefinitionError
from prefectlite.rules.retry import RetryPolicy, moment
from prefectlite.rules.verdict import Become, Proceed, Verdict, Wait
from prefectlite.states import Crashed, Failed, Retrying, TimedOut, TriggerFailed, ValidationFailed

NOW = 1_700_000_000.0


def decide(policy: RetryPolicy, failures: int = 1, **changes: Any) -> Verdict:
    given_ = {"state": Failed(), "retryable": True, "now": NOW, "seed": "load-1", **changes}
    return policy.decide(failures, **given_)


def delay_of(verdict: Verdict) -> float:
    assert isinstance(verdict, Become)
    assert isinstance(verdict.state, Retrying)
    assert verdict.state.start_time is not None
    return verdict.state.start_time.timestamp() - NOW


def test_without_retries_a_failure_stays() -> None:
    verdict = decide(RetryPolicy())
    assert isinstance(verdict, Proceed)
    assert verdict.why.text == "The task has no retries."


@pytest.mark.parametrize("max_retries", [1, 2, 5])
def test_as_many_retries_follow_as_are_allowed(max_retries: int) -> None:
    policy = RetryPolicy(max_retries)
    verdicts = [decide(policy, failures) for failures in range(1, max_retries + 3)]
    assert [isinstance(v, Become) for v in verdicts] == [True] * max_retries + [False, False]
    assert verdicts[-1].why.text == f"All {max_retries} retries are used up."


def test_a_retry_says_when_it_starts_and_how_many_attempts_were_made() -> None:
    verdict = decide(RetryPolicy(3, (60.0,)), 2)
    assert isinstance(verdict, Become)
    state = verdict.state
    assert isinstance(state, Retrying)
    assert state.start_time == datetime.fromtimestamp(NOW, tz=UTC) + timedelta(seconds=60)
    assert state.start_time.utcoffset() == timedelta(0)
    assert state.run_count == 2
    assert state.message == verdict.why.text == "Failure 2 (Failed): retry 2 of 3 in 60 s."
    assert verdict.why.rule == "retry"
    assert dict(verdict.why.read) == {"state": "Failed", "failures": "2", "max_retries": "3", "delay": "60"}


def test_delays_come_in_order_and_the_last_one_repeats() -> None:
    policy = RetryPolicy(5, (1.0, 2.0, 8.0))
    assert [delay_of(decide(policy, n)) for n in range(1, 6)] == [1, 2, 8, 8, 8]


def test_without_delays_a_retry_starts_at_once() -> None:
    assert delay_of(decide(RetryPolicy(1))) == 0


@pytest.mark.parametrize("cls", [Failed, TimedOut, ValidationFailed, TriggerFailed])
def test_failures_of_the_code_are_retried(cls: type[Failed]) -> None:
    assert isinstance(decide(RetryPolicy(1), state=cls()), Become)


def test_a_crash_does_not_draw_on_the_retries_of_the_code() -> None:
    verdict = decide(RetryPolicy(9), state=Crashed())
    assert isinstance(verdict, Proceed)
    assert "max_crashes" in verdict.why.text


def test_a_failure_that_retry_on_does_not_accept_stays() -> None:
    verdict = decide(RetryPolicy(9), retryable=False)
    assert isinstance(verdict, Proceed)
    assert ("retryable", "False") in verdict.why.read


def test_the_state_keeps_its_context_through_a_retry() -> None:
    verdict = decide(RetryPolicy(1), state=Failed(context={"tags": ["gpu"]}))
    assert isinstance(verdict, Become)
    assert verdict.state.context == {"tags": ["gpu"]}


class TestAskedDelays:
    policy = RetryPolicy(3, asks_delay=True)

    def test_the_users_function_is_asked_first(self) -> None:
        verdict = decide(self.policy)
        assert isinstance(verdict, Wait)
        assert verdict.what == "answer"

    def test_its_answer_is_the_delay(self) -> None:
        assert delay_of(decide(self.policy, asked=7)) == 7
        assert delay_of(decide(self.policy, asked=0.5)) == 0.5

    def test_it_is_not_asked_when_no_retry_is_left(self) -> None:
        assert isinstance(decide(self.policy, 4), Proceed)
        assert isinstance(decide(self.policy, retryable=False), Proceed)

    @pytest.mark.parametrize(
        ("bad", "told"),
        [
            (-1, "-1"),
            (math.nan, "nan"),
            (math.inf, "inf"),
            (10**400, "an object of type int"),
            (True, "an object of type bool"),
            ("soon", "an object of type str"),
            (timedelta(1), "an object of type timedelta"),
        ],
    )
    def test_an_answer_that_no_clock_can_follow_leaves_the_run_failed(self, bad: Any, told: str) -> None:
        verdict = decide(self.policy, asked=bad)
        assert isinstance(verdict, Proceed)
        assert (
            verdict.why.text
            == f"The task's retry_delay answered {told}, which is no time to wait in seconds."
        )

    def test_an_answer_whose_repr_raises_does_no_harm(self) -> None:
        class Rude:
            def __repr__(self) -> str:
                raise RuntimeError

        assert isinstance(decide(self.policy, asked=Rude()), Proceed)


class TestJitter:
    @given(st.floats(0, 1e6), st.floats(0, 10), st.text(st.characters(), max_size=20), st.integers(1, 5))
    def test_a_delay_grows_by_at_most_its_jitter(
        self, delay: float, jitter: float, seed: str, failures: int
    ) -> None:
        verdict = decide(RetryPolicy(5, (delay,), jitter=jitter), failures, seed=seed, now=0.0)
        assert isinstance(verdict, Become)
        assert isinstance(verdict.state, Retrying)
        assert verdict.state.start_time is not None
        waited = verdict.state.start_time.timestamp()
        assert delay - 1e-6 <= waited <= delay * (1 + jitter) + 1e-5

    def test_the_same_run_waits_the_same_time_again(self) -> None:
        policy = RetryPolicy(2, (10.0,), jitter=0.5)
        assert delay_of(decide(policy)) == delay_of(decide(policy))

    def test_runs_and_attempts_wait_different_times(self) -> None:
        policy = RetryPolicy(2, (10.0,), jitter=0.5)
        delays = {delay_of(decide(policy, n, seed=f"load-1[{i}]")) for i in range(100) for n in (1, 2)}
        assert len(delays) == 200
        assert min(delays) < 10.5 < 14.5 < max(delays)

    def test_it_applies_to_an_asked_delay_too(self) -> None:
        delay = delay_of(decide(RetryPolicy(1, asks_delay=True, jitter=1.0), asked=10))
        assert 10 < delay < 20

    def test_a_seed_that_is_no_unicode_does_no_harm(self) -> None:
        assert delay_of(decide(RetryPolicy(1, (1.0,), jitter=1.0), seed="caf\udce9")) >= 1


class TestPolicy:
    @pytest.mark.parametrize(
        "bad",
        [
            {"max_retries": -1},
            {"delays": (1.0, -1.0)},
            {"delays": (math.nan,)},
            {"delays": (math.inf,)},
            {"delays": ("1",)},
            {"jitter": -0.1},
            {"jitter": math.nan},
        ],
    )
    def test_what_no_clock_can_follow_is_refused(self, bad: dict[str, Any]) -> None:
        with pytest.raises(DefinitionError, match="give"):
            RetryPolicy(**bad)

    def test_equal_policies_are_equal_and_hash_alike(self) -> None:
        assert RetryPolicy(2, (1.0,)) == RetryPolicy(2, (1.0,))
        assert len({RetryPolicy(2, (1.0,)), RetryPolicy(2, (1.0,)), RetryPolicy(2)}) == 2


@given(st.floats(0, allow_nan=False))
def test_every_delay_ends_before_the_end_of_time(delay: float) -> None:
    assert moment(NOW + delay) <= datetime(9999, 12, 31, tzinfo=UTC)
