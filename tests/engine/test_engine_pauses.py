"""Pauses and approvals: who waits, who is let go on, and what is left of a run that nobody approves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from prefectlite.engine.events import PlaceChanged, ResumeRequested, TimerFired
from prefectlite.engine.instructions import NO_PAST, SetTimer
from prefectlite.errors import EngineError
from prefectlite.rules.triggers import all_finished, manual_only
from prefectlite.states.state import Paused, Retrying
from tests.engine.plans import Bench, Spec, follows, maps, task, value


def at(seconds: float) -> datetime:
    """A moment of the bench's time."""
    return datetime.fromtimestamp(seconds, tz=UTC)


def paused(*specs: Spec, until: float | None = None) -> Bench:
    """A bench on which ``a`` has paused itself."""
    bench = Bench(task("a"), *specs)
    bench.start()
    bench.report("a", Paused("look at it", start_time=None if until is None else at(until)), forced=True)
    return bench


def test_an_approved_run_starts_again_and_knows_it() -> None:
    bench = paused(task("b", "a"))
    assert bench.turn.acts[-1] == "await Running"
    turn = bench.approve("a", "looks good")
    assert turn.words == ["a Paused > Resume", "submit a #2.2", "submit b ahead #1.2"]
    assert turn.submit("a").past.resumed
    why = turn.why("a", "Resume")
    assert (why.rule, why.text) == ("resume", "The pause is over: looks good.")
    assert bench.succeed("a").words == ["a Resume > Running", "a Running > Success"]
    assert bench.turn.why("a", "Running").rule == "resume"
    assert bench.succeed("b").acts == ["release a.2", "end Success"]


def test_the_approval_holds_for_the_attempts_that_follow() -> None:
    bench = paused()
    bench.approve("a")
    bench.report("a", Retrying("again", start_time=at(0), run_count=2), forced=True)
    assert bench.turn.submit("a").past.resumed


def test_a_pause_that_is_over_by_its_time_counts_as_approved() -> None:
    bench = paused(until=100.0)
    (timer,) = [one for one in bench.log if isinstance(one, SetTimer)]
    turn = bench.handle(TimerFired(100.0, 0, timer.timer))
    assert turn.words == ["submit a #2.2"]
    assert turn.submit("a").past.resumed


def test_a_pause_can_be_ended_before_its_time_and_its_timer_is_let_go_of() -> None:
    bench = paused(until=100.0)
    (timer,) = [one for one in bench.log if isinstance(one, SetTimer)]
    assert "submit a #2.2" in bench.approve("a").words
    assert bench.handle(TimerFired(100.0, 0, timer.timer)).words == []
    assert bench.succeed("a").acts == ["end Success"]


def test_who_waits_for_a_time_alone_knows_of_no_approval() -> None:
    bench = Bench(task("a"))
    bench.start()
    bench.report("a", Retrying("again", start_time=at(0), run_count=1), forced=True)
    assert bench.turn.submit("a").past is NO_PAST


def test_an_approval_of_what_is_not_paused_changes_nothing() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    for name in ("a", "b"):
        assert bench.approve(name).words == []
    bench.succeed("a")
    assert bench.approve("a").words == []


def test_an_approval_that_comes_twice_counts_once() -> None:
    bench = paused()
    bench.approve("a")
    assert bench.approve("a").words == []


def test_an_approval_of_a_run_that_is_not_there_is_an_error() -> None:
    bench = paused()
    for run in (-1, 1):
        with pytest.raises(EngineError, match=f"Run {run} was approved, but there is no such run"):
            bench.engine.handle(ResumeRequested(9.0, run))


def test_a_state_handler_that_is_being_asked_holds_up_an_approval() -> None:
    bench = Bench(task("a", handled=True))
    bench.start()
    bench.answer("a", Paused("not yet"))
    assert bench.engine.attempt(0) == 0
    turn = bench.approve("a")
    assert turn.words == ["a Paused > Resume", "ask a handlers Resume > Running"]
    assert turn.ask("handlers").past.resumed
    assert bench.approve("a").words == []
    assert bench.agree("a").words == ["a Resume > Running", "submit a"]


def test_an_approval_comes_too_late_for_a_pause_whose_time_has_come() -> None:
    bench = Bench(task("a", handled=True))
    bench.start()
    turn = bench.answer("a", Paused("not yet", start_time=at(100.0)))
    (timer,) = [one for one in turn if isinstance(one, SetTimer)]
    assert bench.handle(TimerFired(100.0, 0, timer.timer)).acts == ["ask a handlers Paused > Running"]
    assert bench.approve("a").words == []


def test_children_of_a_map_pause_and_are_approved_one_by_one() -> None:
    bench = Bench(value("x", length=3), task("m", maps("x")), task("n", "m"))
    bench.start()
    for index in range(3):
        bench.report(f"m[{index}]", Paused("look"), forced=True)
    assert bench.turn.acts[-1] == "await Running"
    assert bench.engine.paused() == [3, 4, 5]
    assert "submit m[1] #2.2" in bench.approve("m[1]").words
    assert bench.engine.paused() == [3, 5]
    assert bench.succeed("m[1]").acts[-1] == "await Running"
    for index in (0, 2):
        bench.approve(f"m[{index}]")
        bench.succeed(f"m[{index}]")
    assert bench.succeed("n").acts[-1] == "end Success"


def test_it_is_said_once_that_only_an_approval_lets_a_run_go_on() -> None:
    bench = paused(task("b", trigger=manual_only))
    assert bench.turn.acts[-1] == "await Running"
    assert bench.handle(PlaceChanged(5.0)).words == []
    # Again after each approval, also one that lets nothing go on.
    assert bench.approve("a").acts == ["submit a #2.2"]
    assert bench.succeed("a").acts[-1] == "await Running"
    assert bench.approve("a").words == ["flow Running > Running", "await Running"]


def test_a_run_that_goes_on_elsewhere_reads_former_values_through_the_driver() -> None:
    bench = Bench(task("a"), task("b", "a", trigger=manual_only))
    bench.start()
    bench.succeed("a")
    assert bench.live() == ["a.1"]
    bench.handle(PlaceChanged(5.0))
    assert bench.live() == []
    bench.approve("b")
    assert bench.sources("b") == "driver a"
    assert bench.succeed("b").acts == ["end Success"]
    assert bench.live() == ["b.1"]


def test_the_place_may_not_change_under_a_run_in_flight() -> None:
    bench = Bench(task("a"))
    bench.start()
    with pytest.raises(EngineError, match="changed while 1 submissions were in flight"):
        bench.engine.handle(PlaceChanged(1.0))


def test_a_cancel_ends_a_run_that_awaits_an_approval() -> None:
    bench = paused()
    assert bench.cancel().acts == ["cancel all", "end Cancelled"]
    assert bench.approve("a").words == []


def test_a_run_that_awaits_an_approval_knows_whether_it_has_to_clean_up() -> None:
    bench = Bench(
        task("set", keep_result=True),
        task("a", "set"),
        task("clean", "set", follows("a"), trigger=all_finished, cleans_up=True),
    )
    bench.start()
    assert bench.engine.has_to_clean_up()
    bench.succeed("set")
    assert bench.report("a", Paused("look"), forced=True).acts[-1] == "await Running"
    assert bench.engine.has_to_clean_up()
    assert bench.cancel().acts[-1] == "submit clean"
    bench.succeed("clean")
    assert not bench.engine.has_to_clean_up()
    assert bench.engine.flow_state.is_cancelled()
