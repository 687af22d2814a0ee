"""Events that cannot happen: they raise with the run's story, and nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prefectlite.engine.events import (
    Answered,
    AttemptCrashed,
    AttemptFinished,
    AttemptHeld,
    AttemptRefused,
    AttemptStarted,
    Event,
    TimerFired,
)
from prefectlite.engine.ledger import Ledger
from prefectlite.errors import EngineError
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.verdict import Reason
from prefectlite.states.report import Report
from prefectlite.states.state import Pending, Success
from tests.engine.plans import Bench, books, task

MAKERS: list[Callable[[int, int], Event]] = [
    lambda run, submission: AttemptFinished(9.0, run, submission, Report(None, 8.0, 9.0)),
    lambda run, submission: AttemptStarted(9.0, run, submission),
    lambda run, submission: AttemptHeld(9.0, run, submission),
    lambda run, submission: AttemptCrashed(9.0, run, submission, "exited", "gone"),
    lambda run, submission: AttemptRefused(9.0, run, submission, ValueError()),
]


def refused(bench: Bench, event: Event, story: str) -> None:
    before = books(bench.engine)
    with pytest.raises(EngineError, match=story):
        bench.engine.handle(event)
    assert books(bench.engine) == before
    bench.engine.audit()


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("run", [-1, 2, 99])
def test_an_event_about_a_run_that_is_not_there_is_refused(
    make: Callable[[int, int], Event], run: int
) -> None:
    bench = Bench(task("a"), task("b"))
    bench.start()
    refused(bench, make(run, 1), f"there is no run {run}")
    assert bench.succeed("a").moves == ["a Pending > Running", "a Running > Success"]


@pytest.mark.parametrize("make", MAKERS)
def test_an_event_about_a_submission_that_was_never_made_is_refused_with_the_runs_story(
    make: Callable[[int, int], Event],
) -> None:
    bench = Bench(task("a"), task("b"))
    bench.start()
    refused(
        bench, make(0, 2), r"submission 2 of run 0.*a \(run 0\).*flying, attempt 1, submission 1 \(held: 1\)"
    )
    assert bench.succeed("a").moves == ["a Pending > Running", "a Running > Success"]


def test_an_answer_that_nobody_asked_for_is_refused() -> None:
    bench = Bench(task("a"))
    bench.start()
    refused(bench, Answered(9.0, 0, 1, True), "never asked")


def test_an_answer_that_comes_twice_is_refused() -> None:
    bench = Bench(task("a", trigger=None))
    bench.start()
    (ask,) = bench.open_asks()
    bench.answer("a", True)
    refused(bench, Answered(9.0, 0, ask, True), "never asked")


def test_an_answer_in_another_runs_name_is_refused_and_the_question_stays_open() -> None:
    bench = Bench(task("a", trigger=None), task("b"))
    bench.start()
    (ask,) = bench.open_asks()
    refused(bench, Answered(9.0, 1, ask, True), "never asked")
    assert bench.answer("a", True).acts == ["submit a"]


def test_a_timer_of_another_run_is_refused_and_the_timer_stays_set() -> None:
    bench = Bench(task("a", retry=RetryPolicy(1, (5.0,))), task("b"))
    bench.start()
    bench.fail("a")
    (timer,) = bench.engine.board.timers
    refused(bench, TimerFired(9.0, 1, timer), r"belongs to a \(run 0\).*timed.*not to run 1")
    assert bench.fire("a").acts == ["submit a #2.2"]


def test_a_transition_against_the_law_is_refused_with_the_runs_story() -> None:
    bench = Bench(task("a"))
    bench.drive()
    ledger = Ledger(bench.engine.board)
    before = books(bench.engine)
    with pytest.raises(EngineError, match=r"Success cannot become Pending: a \(run 0\)"):
        ledger.commit(0, Pending(), Reason("test", "test"), 1.0)
    assert books(bench.engine) == before
    assert ledger.out == []
    assert isinstance(bench.state("a"), Success)


class Mute(Exception):
    """What user code may raise: its text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("question", ["trigger", "handlers", "delay", "sending"])
def test_an_exception_that_cannot_be_put_in_words_is_no_reason_to_lose_the_flow(question: str) -> None:
    policies: dict[str, dict[str, Any]] = {
        "trigger": {"trigger": None},
        "handlers": {"handled": True},
        "delay": {"retry": RetryPolicy(1, asks_delay=True)},
        "sending": {},
    }
    bench = Bench(task("a", **policies[question]), task("b"))
    bench.start()
    if question == "delay":
        bench.fail("a")
    if question == "sending":
        bench.refuse("a", Mute())
    else:
        bench.answer("a", error=Mute())
    assert bench.state("a").is_failed()
    assert bench.succeed("b").acts == ["end Failed"]
