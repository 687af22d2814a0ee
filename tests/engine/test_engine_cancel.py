"""Cancelling in every stage, and runs that are left with nothing but pauses."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.engine.events import Answered, BrokenOff, TimerFired
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import manual_only
from prefectlite.states.state import Cancelled, Failed, Paused, Running
from tests.engine.plans import Bench, at, listed, maps, task, value


def test_a_cancelled_flow_stops_what_flies_first_and_tells_of_each_run() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c"), window=2)
    bench.start()
    turn = bench.cancel("it is late")
    assert turn.words == [
        "cancel all",
        "a Pending > Cancelled",
        "release a.1",
        "b Pending > Cancelled",
        "release b.1",
        "c Pending > Cancelled",
        "flow Running > Cancelled",
        "end Cancelled",
    ]
    assert turn.why("a", "Cancelled").text == "The flow run was cancelled: it is late."
    assert turn.why("a", "Cancelled").rule == "cancel"
    assert bench.engine.flow_state.is_cancelled()
    assert bench.live() == []


def test_a_flow_run_that_broke_off_stops_nothing_and_tells_of_each_run() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", handled=True), window=1)
    bench.start()
    turn = bench.handle(BrokenOff(1.0, Failed("The run broke off: a bug")))
    assert turn.words == [
        "a Pending > Cancelled",
        "release a.1",
        "b Pending > Cancelled",
        "c Pending > Cancelled",
        "flow Running > Failed",
        "end Failed",
    ]
    assert bench.engine.state(bench.run("b")).message == "It was Pending when the run broke off."
    assert turn.why("a", "Cancelled").text == "The run broke off: a bug"
    assert bench.engine.counts() == {"Cancelled": 3}
    assert bench.cancel().words == []


def test_of_what_is_in_flight_the_state_says_that_its_body_may_run_on() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c"), window=2)
    bench.start()
    bench.cancel("it is late", "It may run on.")
    plain = "The flow run was cancelled: it is late."
    said = [bench.state(name).message for name in ("a", "b", "c")]
    assert said == [f"{plain} It may run on.", f"{plain} It may run on.", plain]


def test_a_flow_can_be_cancelled_before_it_starts() -> None:
    bench = Bench(task("a"), value("x"))
    assert bench.cancel().words == [
        "cancel all",
        "a Pending > Cancelled",
        "x Pending > Cancelled",
        "flow Pending > Cancelled",
        "end Cancelled",
    ]
    assert bench.start().words == []


def test_a_run_that_waits_for_its_upstreams_is_cancelled() -> None:
    bench = Bench(task("h", handled=True), task("b", "h"))
    bench.start()
    assert bench.cancel().moves == [
        "h Pending > Cancelled",
        "b Pending > Cancelled",
        "flow Running > Cancelled",
    ]


def test_a_run_that_waits_for_room_is_cancelled() -> None:
    bench = Bench(task("h", handled=True), task("i", handled=True), window=1)
    bench.start()
    bench.agree("h")
    assert bench.cancel().moves == [
        "h Running > Cancelled",
        "i Pending > Cancelled",
        "flow Running > Cancelled",
    ]


def test_a_run_that_was_seen_to_run_is_cancelled() -> None:
    bench = Bench(task("a"))
    bench.start()
    bench.observe("a")
    assert bench.cancel().words[:3] == ["cancel all", "a Running > Cancelled", "release a.1"]


@pytest.mark.parametrize("question", ["trigger", "handlers", "delay", "on_failure"])
def test_a_run_that_waits_for_user_code_is_cancelled_and_the_answer_comes_too_late(question: str) -> None:
    policies: dict[str, dict[str, Any]] = {
        "trigger": {"trigger": None},
        "handlers": {"handled": True},
        "delay": {"retry": RetryPolicy(1, asks_delay=True)},
        "on_failure": {"on_failure": True},
    }
    bench = Bench(task("a", **policies[question]), task("b"))
    bench.start()
    if question in ("delay", "on_failure"):
        bench.fail("a")
    (ask,) = bench.open_asks()
    old = bench.states("a")[0]
    turn = bench.cancel()
    if question == "on_failure":
        assert bench.states("a") == ["Failed"]  # its failure was final
    else:
        assert turn.moves[0] == f"a {old} > Cancelled"
    assert bench.handle(Answered(9.0, 0, ask, True)).words == []


def test_a_run_that_waits_for_a_time_is_cancelled_and_the_timer_fires_in_vain() -> None:
    bench = Bench(task("a", retry=RetryPolicy(1, (5.0,))))
    bench.start()
    bench.fail("a")
    (timer,) = bench.engine.board.timers
    assert bench.cancel().moves == ["a Retrying > Cancelled", "flow Running > Cancelled"]
    assert bench.handle(TimerFired(6.0, 0, timer)).words == []


def test_a_parked_run_is_cancelled() -> None:
    bench = Bench(task("a", trigger=manual_only), task("b"))
    bench.start()
    assert bench.cancel().moves[0] == "a Paused > Cancelled"


def test_what_has_ended_stays_as_it_is_and_only_values_to_show_are_kept() -> None:
    bench = Bench(task("a"), task("b", "a"), task("k", keep_result=True), task("f"), task("z", "k"))
    bench.start()
    bench.succeed("a")
    bench.succeed("k")
    bench.fail("f")
    turn = bench.cancel()
    assert turn.acts == ["cancel all", "release a.1", "release b.1", "release z.1", "end Cancelled"]
    assert bench.states() == ["Success", "Cancelled", "Success", "Failed", "Cancelled"]
    assert bench.engine.kept() == [(2, 1, 1)]


def test_a_list_that_ends_the_flow_keeps_its_members_after_a_cancel() -> None:
    bench = Bench(task("a"), listed("i", "a"), listed("l", "i"), task("b"))
    bench.start()
    bench.succeed("a")
    bench.cancel()
    assert bench.states("l") == ["Success"]
    assert bench.live() == ["a.1"]


def test_children_are_cancelled_one_by_one_and_their_parent_stays_mapped() -> None:
    bench = Bench(value("x", length=3), task("m", maps("x")))
    bench.start()
    bench.succeed("m[0]")
    bench.cancel()
    assert bench.states("m", "m[0]", "m[1]", "m[2]") == ["Mapped", "Success", "Cancelled", "Cancelled"]
    assert bench.engine.counts() == {"Success": 1, "Cancelled": 2}
    assert bench.live() == ["m[0].1"]


def test_handlers_and_on_failure_are_not_asked_about_a_cancel() -> None:
    bench = Bench(task("a", handled=True, on_failure=True))
    bench.start()
    bench.agree("a")
    assert bench.cancel().acts == ["cancel all", "release a.1", "end Cancelled"]


def test_early_and_held_reports_are_forgotten_with_a_cancel() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", "a"))
    bench.start()
    bench.succeed("b")
    bench.hold("c")
    bench.cancel()
    assert bench.states() == ["Cancelled"] * 3
    assert bench.succeed("a").words == []


def test_a_second_cancel_changes_nothing() -> None:
    bench = Bench(task("a"))
    bench.start()
    bench.cancel()
    assert bench.cancel().words == []


def test_a_body_that_ends_cancelled_does_not_cancel_the_flow() -> None:
    bench = Bench(task("a"))
    bench.start()
    assert bench.report("a", Cancelled("I had enough")).acts == ["release a.1", "end Success"]
    assert bench.engine.flow_state.message == "No reference tasks failed."


# Pauses


def test_a_flow_that_is_left_with_pauses_awaits_an_approval() -> None:
    bench = Bench(task("a"), task("b"), task("c", "b"))
    bench.start()
    bench.report("a", Paused("look at it"), forced=True)
    bench.succeed("b")
    turn = bench.succeed("c")
    assert turn.acts == ["release b.1", "await Running"]
    assert isinstance(bench.engine.flow_state, Running)
    assert not bench.engine.ended


def test_a_pause_beats_a_failure_elsewhere() -> None:
    bench = Bench(task("a", trigger=manual_only), task("b"))
    bench.start()
    assert bench.report("b", Failed("boom")).acts == ["release b.1", "await Running"]


def test_a_pause_with_a_time_keeps_the_flow_going_and_goes_on_by_itself() -> None:
    bench = Bench(task("a"))
    bench.start()
    assert bench.report("a", Paused("until noon", start_time=at(43200)), forced=True).acts == [
        "release a.1",
        "timer a at 43200",
    ]
    assert not bench.engine.ended
    assert bench.fire("a").acts == ["submit a #2.2"]
    assert bench.succeed("a").acts == ["end Success"]


def test_a_paused_child_leaves_its_siblings_alone() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("m")))
    bench.start()
    bench.report("m[0]", Paused("look"), forced=True)
    bench.succeed("m[1]")
    assert bench.succeed("n[1]").acts == ["release m[1].1", "await Running"]
    assert bench.states("m[0]", "n[0]", "n[1]") == ["Paused", "Pending", "Success"]


def test_a_flow_that_ends_running_says_that_it_is_not_over() -> None:
    bench = Bench(task("a", trigger=manual_only), task("b", "a"))
    bench.start()
    assert "not over" in str(bench.engine.flow_state.message)
