"""After a run: retries, their delays, crashes, orders of the body, and what of it shows."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.engine.transitions import Transition
from prefectlite.errors import TaskError
from prefectlite.rules.retry import RetryPolicy
from prefectlite.states.state import (
    Crashed,
    Failed,
    Finished,
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
    TimedOut,
    TriggerFailed,
    ValidationFailed,
)
from tests.engine.plans import Bench, at, reads, task

NOW = RetryPolicy(max_retries=2)
ASKS = RetryPolicy(max_retries=2, asks_delay=True)


class OwnEnd(Finished):
    """A user's own end, neither good nor bad."""

    __slots__ = ()


# Retries


def test_a_failure_waits_for_its_delay_on_a_timer() -> None:
    bench = Bench(task("a", retry=RetryPolicy(max_retries=3, delays=(5.0, 60.0))))
    bench.start()
    turn = bench.fail("a")  # at 1
    assert turn.words == [
        "a Pending > Running",
        "release a.1",
        "a Running > Failed",
        "a Failed > Retrying",
        "timer a at 6",
    ]
    assert bench.fire("a").words == ["submit a #2.2"]
    assert bench.fail("a").acts == ["release a.2", "timer a at 67"]
    bench.fire("a")
    assert bench.fail("a").acts == ["release a.3", "timer a at 128"]  # the last delay repeats
    bench.fire("a")
    assert bench.succeed("a").moves[:2] == ["a Retrying > Running", "a Running > Success"]


def test_a_retrying_state_counts_failures_and_the_reason_tells_what_was_read() -> None:
    bench = Bench(task("a", retry=RetryPolicy(max_retries=1, delays=(5.0,))))
    bench.start()
    bench.fail("a")
    state = bench.state("a")
    assert isinstance(state, Retrying)
    assert (state.run_count, state.start_time) == (1, at(6))
    why = bench.turn.why("a", "Retrying")
    assert why.rule == "retry"
    assert dict(why.read) == {"state": "Failed", "failures": "1", "max_retries": "1", "delay": "5"}


def test_a_retry_without_a_delay_needs_no_timer() -> None:
    bench = Bench(task("a", retry=NOW))
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "submit a #2.2"]
    assert bench.fail("a").acts == ["release a.2", "submit a #3.3"]
    assert bench.fail("a").acts == ["release a.3", "end Failed"]
    assert bench.state("a").message == "boom"


def test_other_branches_go_on_while_a_run_waits() -> None:
    bench = Bench(task("a", retry=RetryPolicy(1, (1000.0,))), task("b"), task("c", "b"), window=1)
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "timer a at 1001", "submit b"]
    assert bench.succeed("b").acts == ["submit c"]
    assert bench.succeed("c").acts == ["release b.1"]
    assert bench.fire("a").acts == ["submit a #2.2"]


def test_the_reason_of_a_retry_that_begins_is_that_its_time_has_come() -> None:
    bench = Bench(task("a", retry=NOW))
    bench.start()
    bench.fail("a")
    assert bench.succeed("a").why("a", "Running").text == "The time that it waited for has come."


def test_jitter_is_a_hash_of_the_flow_run_the_run_and_the_attempt() -> None:
    def starts(run_id: str) -> list[str]:
        bench = Bench(
            task("a", retry=RetryPolicy(2, (100.0,), jitter=0.5)),
            task("b", retry=RetryPolicy(2, (100.0,), jitter=0.5)),
            run_id=run_id,
        )
        bench.start()
        bench.fail("a")
        bench.fail("b")
        return [one for one in bench.log.acts if one.startswith("timer")]

    assert starts("one") == starts("one")
    assert starts("one") != starts("two")
    first, second = (float(one.split()[-1]) for one in starts("one"))
    assert 101 <= first < 151
    assert 102 <= second < 152
    assert first + 1 != second


def test_a_failure_that_retry_on_does_not_accept_stands() -> None:
    bench = Bench(task("a", retry=NOW))
    bench.start()
    assert bench.fail("a", retryable=False).acts == ["release a.1", "end Failed"]


@pytest.mark.parametrize("state", [TimedOut("late"), ValidationFailed("bad")])
def test_kinds_of_failures_are_tried_again(state: State) -> None:
    bench = Bench(task("a", retry=NOW))
    bench.start()
    assert bench.report("a", state).acts == ["release a.1", "submit a #2.2"]


def test_what_its_trigger_refused_is_not_tried_again_and_what_a_body_ends_so_is() -> None:
    bench = Bench(task("a", retry=NOW), task("b", reads("a"), retry=NOW))
    bench.start()
    assert "a TriggerFailed > Retrying" in bench.report("a", TriggerFailed("no")).moves
    bench.report("a", TriggerFailed("no"))
    assert bench.report("a", TriggerFailed("no")).moves[-2:] == [
        "b Pending > TriggerFailed",
        "flow Running > Failed",
    ]


def test_a_failure_that_was_ordered_is_not_tried_again() -> None:
    bench = Bench(task("a", retry=NOW))
    bench.start()
    assert bench.fail("a", forced=True).acts == ["release a.1", "end Failed"]


def test_each_run_has_its_own_budget() -> None:
    bench = Bench(task("a", retry=NOW), task("b", "a", retry=NOW))
    log = bench.drive({"a#1": Failed("x"), "a#2": Failed("x"), "b#1": Failed("x"), "b#2": Failed("x")})
    assert bench.states() == ["Success", "Success"]
    assert [one for one in log.moves if one.endswith("Retrying")] == ["a Failed > Retrying"] * 2 + [
        "b Failed > Retrying"
    ] * 2


# A delay that user code tells


def test_a_callable_delay_is_asked_on_the_driver_with_the_attempt_that_failed() -> None:
    bench = Bench(task("a", retry=ASKS))
    bench.start()
    turn = bench.fail("a")
    assert turn.words == ["a Pending > Running", "release a.1", "a Running > Failed", "ask a delay"]
    assert turn.ask("delay").attempt == 1
    turn = bench.answer("a", 7.5)  # at 2
    assert turn.words == ["a Failed > Retrying", "timer a at 9.5"]
    bench.fire("a")
    assert bench.fail("a").ask("delay").attempt == 2
    assert bench.answer("a", 0).acts == ["submit a #3.3"]
    assert bench.fail("a").acts == ["release a.3", "end Failed"]  # nobody is asked when no retry is left


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (-1, "answered -1"),
        ("soon", "answered str"),
        (None, "answered NoneType"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (True, "answered bool"),
        (10**400, "no time"),
    ],
    ids=["negative", "text", "none", "nan", "infinite", "bool", "huge"],
)
def test_a_delay_that_is_no_time_lets_the_failure_stand(answer: Any, said: str) -> None:
    bench = Bench(task("a", retry=ASKS), task("b"))
    bench.start()
    bench.fail("a", "first")
    bench.answer("a", answer)
    state = bench.state("a")
    assert isinstance(state, Failed)
    assert isinstance(state.result, ValueError)  # the failure itself is not lost
    assert said in str(state.message)
    assert "first" in str(state.message)


def test_a_delay_that_raises_lets_the_failure_stand() -> None:
    bench = Bench(task("a", retry=ASKS))
    bench.start()
    bench.fail("a", "first")
    turn = bench.answer("a", error=KeyError("k"))
    assert turn.words == ["a Failed > Failed", "flow Running > Failed", "end Failed"]
    assert bench.state("a").message == "Its retry_delay raised KeyError: 'k'; the failure stands: first"
    assert turn.why("a", "Failed").rule == "retry"


# Crashes draw on a budget of their own


def test_a_crash_starts_the_run_again_at_once() -> None:
    bench = Bench(task("a", max_crashes=1))
    bench.start()
    turn = bench.crash("a")
    assert turn.words == ["release a.1", "a Pending > Crashed", "a Crashed > Retrying", "submit a #2.2"]
    assert dict(turn.why("a", "Crashed").read) == {"cause": "worker-lost"}
    assert dict(turn.why("a", "Retrying").read) == {
        "cause": "worker-lost",
        "crashes": "1",
        "max_crashes": "1",
    }
    assert bench.crash("a").acts == ["release a.2", "end Failed"]
    assert isinstance(bench.state("a"), Crashed)
    assert isinstance(bench.state("a").result, TaskError)


def test_crashes_and_failures_do_not_eat_each_others_budget() -> None:
    bench = Bench(task("a", retry=RetryPolicy(1), max_crashes=1))
    bench.start()
    bench.crash("a")
    bench.fail("a")
    assert bench.states() == ["Retrying"]
    assert bench.fail("a").acts == ["release a.3", "end Failed"]
    bench = Bench(task("a", retry=RetryPolicy(1), max_crashes=1))
    bench.start()
    bench.fail("a")
    bench.crash("a")
    assert bench.states() == ["Retrying"]
    assert bench.crash("a").acts == ["release a.3", "end Failed"]


def test_a_crash_that_was_seen_to_run_leaves_running() -> None:
    bench = Bench(task("a"))
    bench.start()
    bench.observe("a")
    assert bench.crash("a", "out-of-memory").moves[0] == "a Running > Crashed"
    state = bench.state("a")
    assert isinstance(state, Crashed)
    assert state.cause == "out-of-memory"


def test_a_body_that_exits_draws_on_the_crashes() -> None:
    bench = Bench(task("a", retry=RetryPolicy(5), max_crashes=0))
    bench.start()
    assert bench.report("a", Crashed("exit", cause="exited")).acts == ["release a.1", "end Failed"]


# Orders of the body


def test_a_body_that_asks_for_a_retry_gets_it_without_a_budget() -> None:
    bench = Bench(task("a"))
    bench.start()
    turn = bench.report("a", Retrying("again", start_time=at(30)), forced=True)
    assert turn.words == ["a Pending > Running", "release a.1", "a Running > Retrying", "timer a at 30"]
    assert bench.fire("a").acts == ["submit a #2.2"]
    assert bench.report("a", Retrying("again", start_time=at(30)), forced=True).acts == [
        "release a.2",
        "submit a #3.3",
    ]
    assert bench.fail("a").acts == ["release a.3", "end Failed"]


def test_a_time_that_has_passed_needs_no_timer() -> None:
    bench = Bench(task("a"))
    bench.start()
    assert bench.report("a", Scheduled("later", start_time=at(0.5))).acts == ["release a.1", "submit a #2.2"]


@pytest.mark.parametrize("state", [Success("done", 3), Skipped("no"), OwnEnd("mine")])
def test_an_end_that_the_body_ordered_is_its_end(state: State) -> None:
    bench = Bench(task("a", retry=NOW))
    bench.start()
    assert bench.report("a", state, forced=True).acts[-1] == "end Success"
    assert bench.state("a") is state


def test_a_failure_without_a_result_gets_an_exception_for_its_readers() -> None:
    bench = Bench(task("a"))
    bench.start()
    bench.report("a", Failed("said no"), forced=True)
    error = bench.state("a").result
    assert isinstance(error, TaskError)
    assert str(error) == "Failed: said no"
    bench = Bench(task("a"))
    bench.start()
    bench.report("a", Failed(), forced=True)
    assert str(bench.state("a").result) == "Failed: It failed."


def test_a_users_own_failure_that_cannot_be_copied_is_taken_as_it_is() -> None:
    class Coded(Failed):
        __slots__ = ()

        def __init__(self, code: int) -> None:
            super().__init__(f"code {code}")

    bench = Bench(task("a"))
    bench.start()
    state = Coded(7)
    assert bench.report("a", state, forced=True).acts == ["release a.1", "end Failed"]
    assert bench.state("a") is state


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (Pending("huh"), "asked to be Pending, which cannot follow"),
        (State("huh"), "asked to be State, which cannot follow"),
        (Running("huh"), "left Running for ever"),
    ],
)
def test_a_state_that_nothing_follows_from_fails_the_run(state: State, said: str) -> None:
    bench = Bench(task("a"))
    bench.start()
    bench.report("a", state, forced=True)
    assert bench.states() == ["Failed"]
    assert said in str(bench.state("a").message)
    assert isinstance(bench.state("a").result, TaskError)


@pytest.mark.parametrize("state", [Mapped("huh"), Resume("huh")])
def test_a_state_that_cannot_follow_from_running_fails_the_run_and_not_the_flow(state: State) -> None:
    # ENDRUN(Mapped()): whatever one task does, the flow run ends with a State for every task run.
    bench = Bench(task("a"), task("b", reads("a")))
    bench.start()
    bench.report("a", state, forced=True)
    assert bench.states() == ["Failed", "TriggerFailed"]


def test_a_paused_body_without_a_time_is_parked() -> None:
    bench = Bench(task("a"), task("b"))
    bench.start()
    turn = bench.report("a", Paused("look at it"), forced=True)
    assert turn.words == ["a Pending > Running", "release a.1", "a Running > Paused"]
    assert bench.succeed("b").acts == ["await Running"]


def test_a_report_stands_for_its_own_attempt() -> None:
    bench = Bench(task("a", retry=NOW))
    bench.start()
    bench.fail("a")
    assert [one.attempt for one in bench.log if isinstance(one, Transition)] == [0, 1, 1, 1]
