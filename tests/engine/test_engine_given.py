"""Runs that begin with states of an earlier run: kept, waited in, gone on from."""

from __future__ import annotations

from array import array

import pytest

from prefectlite.engine.events import Measure, RangeFinished
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import all_finished, manual_only
from prefectlite.states.report import Reports, Results
from prefectlite.states.state import (
    Cached,
    Cancelled,
    Failed,
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
)
from tests.engine.plans import Bench, at, follows, maps, task, value

ONE_RETRY = RetryPolicy(max_retries=2)


def test_what_is_final_is_kept_from_the_beginning_and_its_upstreams_run_all_the_same() -> None:
    kept = Success(result=3)
    bench = Bench(task("a"), task("b", "a", handled=True), task("c", "b"), given={"b": kept})
    assert bench.start().words == [
        "flow Pending > Running",
        "b Pending > Success",
        "submit c",
        "submit a",
    ]
    assert bench.turn.move("b", "Success").new is kept
    assert bench.turn.why("b", "Success").rule == "given"
    assert bench.sources("c") == "driver b"
    assert bench.succeed("a").acts == ["release a.1"]
    assert bench.succeed("c").acts == ["end Success"]


@pytest.mark.parametrize(
    ("state", "below"),
    [(Failed("old"), "TriggerFailed"), (Skipped(), "Skipped"), (Cancelled(), "TriggerFailed")],
)
def test_rules_below_read_the_state_that_is_kept_and_nobody_is_told_of_it(state: State, below: str) -> None:
    bench = Bench(task("a", on_failure=True, handled=True), task("b", "a"), given={"a": state})
    assert bench.start().acts == [f"end {'Success' if below == 'Skipped' else 'Failed'}"]
    assert bench.states() == [type(state).__name__, below]


def test_a_retry_goes_on_at_its_time_with_what_is_left_of_its_budget() -> None:
    given = {"a": Retrying("again", start_time=at(100), run_count=2)}
    bench = Bench(task("a", retry=ONE_RETRY), task("b", "a"), given=given)
    assert bench.start().words == ["flow Pending > Running", "a Pending > Retrying", "timer a at 100"]
    assert bench.fire("a").words == ["submit a #3.1", "submit b ahead"]
    assert bench.fail("a").words[0] == "a Retrying > Running"
    assert bench.states() == ["Failed", "TriggerFailed"]


def test_a_retry_that_has_attempts_left_is_tried_again() -> None:
    bench = Bench(task("a", retry=ONE_RETRY), given={"a": Retrying(start_time=at(0), run_count=1)})
    assert bench.start().acts == ["submit a #2.1"]
    assert bench.fail("a").acts == ["release a.1", "submit a #3.2"]
    assert bench.fail("a").acts == ["release a.2", "end Failed"]


def test_a_wait_and_its_upstreams_are_waited_for_at_once() -> None:
    bench = Bench(task("a"), task("b", "a"), given={"b": Scheduled(start_time=at(100))})
    assert bench.start().acts == ["timer b at 100", "submit a"]
    assert bench.fire("b").words == []
    assert bench.succeed("a").acts == ["submit b"]
    assert bench.succeed("b").acts == ["release a.1", "end Success"]


def test_a_wait_outlasts_its_upstreams_and_its_rules_are_asked_after_it() -> None:
    bench = Bench(task("a"), task("b", "a"), given={"b": Retrying(run_count=1, start_time=at(100))})
    bench.start()
    assert bench.fail("a").words == ["a Pending > Running", "release a.1", "a Running > Failed"]
    assert bench.states() == ["Failed", "Retrying"]
    assert bench.fire("b").words[0] == "b Retrying > TriggerFailed"


def test_a_time_that_has_come_is_not_waited_for() -> None:
    bench = Bench(task("a"), given={"a": Scheduled(start_time=at(0))})
    assert bench.start().words == ["flow Pending > Running", "a Pending > Scheduled", "submit a"]
    assert not bench.turn.submit("a").past.resumed


@pytest.mark.parametrize("state", [Resume(start_time=at(0)), Paused(start_time=at(0))])
def test_a_pause_that_is_over_is_approved(state: State) -> None:
    bench = Bench(task("a", trigger=manual_only), given={"a": state})
    assert bench.start().submit("a").past.resumed


def test_an_approval_may_hold_from_a_time_on() -> None:
    bench = Bench(task("a", trigger=manual_only), given={"a": Resume(start_time=at(100))})
    bench.start()
    assert bench.fire("a").submit("a").past.resumed


def test_what_waits_for_a_time_is_not_approved_by_that() -> None:
    bench = Bench(task("a", trigger=manual_only), given={"a": Scheduled(start_time=at(100))})
    bench.start()
    assert bench.fire("a").words[0] == "a Scheduled > Paused"


def test_a_pause_goes_on_until_it_is_approved_before_or_after_its_upstreams_end() -> None:
    for approved_first in (True, False):
        bench = Bench(task("a"), task("b", follows("a"), trigger=manual_only), given={"b": Paused("look")})
        assert bench.start().words[1:] == ["b Pending > Paused", "submit a"]
        if approved_first:
            assert bench.approve("b").words == ["b Paused > Resume"]
            assert "submit b" in bench.succeed("a").acts
        else:
            assert bench.succeed("a").acts[-1] == "await Running"
            assert bench.approve("b").words == ["b Paused > Resume", "submit b"]
        assert bench.log.submit("b").past.resumed
        assert bench.succeed("b").acts == ["end Success"]


def test_a_pause_whose_time_came_before_its_upstreams_end_needs_no_approval() -> None:
    for approved_first in (True, False):
        bench = Bench(task("a"), task("b", follows("a")), given={"b": Paused(start_time=at(100))})
        bench.start()
        if approved_first:
            assert bench.approve("b").words == ["b Paused > Resume"]
        else:
            assert bench.fire("b").words == []
            assert bench.approve("b").words == []
        assert "submit b" in bench.succeed("a").acts
        assert bench.log.submit("b").past.resumed


def test_rules_that_let_a_given_wait_pass_are_not_asked_again_before_each_retry() -> None:
    bench = Bench(task("a", trigger=None, retry=RetryPolicy(1)), given={"a": Scheduled(start_time=at(100))})
    bench.start()
    assert bench.fire("a").acts == ["ask a trigger"]
    bench.answer("a", True)
    assert bench.fail("a").acts == ["release a.1", "submit a #2.2"]


def test_handlers_hear_of_the_end_of_a_wait_and_not_of_its_beginning() -> None:
    bench = Bench(task("a", handled=True), given={"a": Retrying(start_time=at(0), run_count=1)})
    assert bench.start().acts == ["ask a handlers Retrying > Running"]
    assert bench.agree("a").acts == ["submit a #2.1"]


@pytest.mark.parametrize(
    "state",
    [
        Looped(loop_count=2, result="x"),
        Pending(context={"task_loop_count": 3, "task_loop_result": "x"}),
        Paused(start_time=at(0), context={"task_loop_count": 3, "task_loop_result": "x"}),
    ],
)
def test_a_loop_goes_on_with_its_iteration(state: State) -> None:
    bench = Bench(task("a"), given={"a": state})
    past = bench.start().submit("a@3").past
    assert past.looped is not None
    assert past.looped.result == "x"
    assert bench.report("a@3", Looped("once more", 4)).submit("a@4").attempt == 1


def test_what_waits_in_an_iteration_tells_what_goes_on_from_it() -> None:
    bench = Bench(task("a", retry=ONE_RETRY))
    bench.start()
    bench.report("a", Looped("once more", "x"))
    bench.fail("a@2")
    bench.report("a@2", Paused("look"), forced=True)
    told = dict(bench.state("a@2").context)
    assert told == {"task_run_count": 2, "task_loop_count": 2, "task_loop_result": "x"}
    after = Bench(task("a", retry=ONE_RETRY), given={"a": bench.state("a@2")})
    after.start()
    sent = after.approve("a@2").submit("a@2")
    assert sent.attempt == 2
    assert sent.past.looped is not None
    assert sent.past.looped.result == "x"
    assert after.fail("a@2").acts[-1] == "submit a@2 #3.2"
    assert after.fail("a@2").acts[-1] == "end Failed"


@pytest.mark.parametrize("state", [Pending(), Running()])
def test_what_has_not_waited_begins_anew_once_its_upstreams_are_final(state: State) -> None:
    bench = Bench(task("a"), task("b", "a"), given={"b": state})
    assert bench.start().acts == ["submit a"]
    assert bench.succeed("a").acts == ["submit b"]


def test_a_cached_value_goes_along_for_the_cache_rule_to_weigh() -> None:
    cached = Cached(result=1)
    bench = Bench(task("a"), task("b"), given={"a": cached})
    bench.start()
    assert bench.log.submit("a").past.cached is cached
    assert bench.log.submit("b").past.cached is None


def test_children_of_a_map_begin_with_their_own_states() -> None:
    given = Mapped(
        map_states=[
            Success(result=10),
            Retrying(run_count=1, start_time=at(100)),
            State(),  # none is given
            Failed("old"),
            Paused("look"),
            Success(result=99),  # there is no such child
        ]
    )
    x = value("x", length=5)
    bench = Bench(x, task("a", maps("x")), task("b", maps("a")), given={"a": given})
    words = bench.start().words
    assert "a Pending > Mapped" in words
    assert [one for one in words if "submit" in one or "timer" in one] == [
        "timer a[1] at 100",
        "submit b[0]",
        "submit a[2]",
        "submit b[2] ahead",
    ]
    assert bench.states("a[0]", "a[1]", "a[3]", "a[4]", "b[3]") == [
        "Success",
        "Retrying",
        "Failed",
        "Paused",
        "TriggerFailed",
    ]
    assert bench.fire("a[1]").acts == ["submit a[1] #2.1", "submit b[1] ahead"]
    assert bench.approve("a[4]").acts == ["submit a[4]", "submit b[4] ahead"]


def test_a_map_whose_children_are_all_kept_is_over_at_once() -> None:
    given = {"a": Mapped(map_states=[Success(result=1), Success(result=2)])}
    bench = Bench(value("x", length=2), task("a", maps("x")), task("b", "a"), given=given)
    assert bench.start().acts == ["submit b"]
    assert bench.sources("b") == "[driver a[0], driver a[1]]"


def test_children_that_begin_alike_still_travel_and_land_together() -> None:
    given = {"a": Mapped(map_states=[Retrying(start_time=at(0), run_count=1)] * 3)}
    bench = Bench(value("x", length=3), task("a", maps("x")), given=given)
    assert bench.start().acts == ["submit a[0] #2.1", "submit a[1] #2.1", "submit a[2] #2.1"]
    stamps = array("d", [1.0] * 3)
    reports = Reports(stamps, stamps, Results(array("q", [1] * 3), b"abc"), "w1")
    assert bench.handle(RangeFinished(2.0, bench.run("a[0]"), 1, reports)).acts == ["end Success"]


def test_a_map_may_wait_or_end_before_it_unfolds() -> None:
    x, a, b = value("x", length=1), task("a", maps("x")), task("b", maps("a"), trigger=all_finished)
    bench = Bench(x, a, given={"a": Scheduled(start_time=at(100))})
    assert bench.start().acts == ["timer a at 100"]
    assert bench.fire("a").words == ["a Scheduled > Mapped", "submit a[0]"]
    bench = Bench(x, a, b, given={"a": Success(result=[4, 5])}, measures={"a": Measure(length=2)})
    assert bench.start().acts == ["submit b[0]", "submit b[1]"]


def test_a_flow_run_may_begin_with_a_state_and_one_that_runs_already_is_not_begun() -> None:
    scheduled = Scheduled("at six")
    bench = Bench(task("a"), state=scheduled, handled=True)
    assert bench.start().acts == ["ask flow handlers Scheduled > Running"]
    assert bench.turn.ask("handlers").old is scheduled
    bench = Bench(task("a"), state=Running("it goes on"), handled=True)
    assert bench.start().words == ["submit a"]


def test_what_waits_is_called_off_with_the_rest() -> None:
    given = {"a": Paused(), "b": Scheduled(start_time=at(100)), "c": Success(result=1)}
    bench = Bench(task("a"), task("b"), task("c"), task("d", "a"), given=given)
    bench.start()
    assert bench.cancel().acts == ["cancel all", "end Cancelled"]
    assert bench.states() == ["Cancelled", "Cancelled", "Success", "Cancelled"]


def test_rules_that_a_handler_put_off_are_asked_again_though_attempts_were_made_before() -> None:
    given = {"a": Skipped(), "b": Retrying(start_time=at(0), run_count=1)}
    bench = Bench(task("a"), task("b", "a", handled=True), given=given)
    assert bench.start().acts == ["ask b handlers Retrying > Skipped"]
    assert bench.answer("b", Retrying("later", start_time=at(100))).acts == ["timer b at 100"]
    assert bench.fire("b").acts == ["ask b handlers Retrying > Skipped"]
    bench.agree("b")
    assert bench.states() == ["Skipped", "Skipped"]


def test_a_reader_that_ended_before_a_map_unfolds_keeps_none_of_its_values() -> None:
    x, a, b = task("x"), task("a", maps("x")), task("b", "a")
    bench = Bench(x, a, b, given={"b": Success(result=1)})
    bench.start()
    bench.succeed("x", length=2)
    assert bench.succeed("a[0]").acts == ["release a[0].1"]
    assert bench.succeed("a[1]").acts == ["release a[1].1", "release x.1", "end Success"]
