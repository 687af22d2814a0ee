"""State handlers and on_failure: what user code may make of a transition, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.engine.events import Measure
from prefectlite.engine.inputs import Argument, FromDriver, FromRun
from prefectlite.errors import TaskError
from prefectlite.rules.retry import RetryPolicy
from prefectlite.states.state import (
    Cancelled,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
)
from tests.engine.plans import Bench, at, listed, maps, reads, task, value

RETRIES = RetryPolicy(max_retries=1, delays=(10.0,))


def running(*readers: Any, **policy: Any) -> Bench:
    """Task ``a`` with state handlers, sent."""
    bench = Bench(task("a", handled=True, **policy), *readers)
    bench.start()
    bench.agree("a")
    return bench


# What is asked


def test_handlers_hear_of_every_transition_before_it_is_on_the_books() -> None:
    bench = Bench(task("a", handled=True, retry=RETRIES))
    assert bench.start().words == ["flow Pending > Running", "ask a handlers Pending > Running"]
    assert bench.states() == ["Pending"]
    assert bench.agree("a").words == ["a Pending > Running", "submit a"]
    assert bench.fail("a").words == ["release a.1", "ask a handlers Running > Failed"]
    assert bench.agree("a").words == ["a Running > Failed", "ask a handlers Failed > Retrying"]
    assert bench.agree("a").words == ["a Failed > Retrying", "timer a at 13"]
    assert bench.fire("a").words == ["ask a handlers Retrying > Running"]
    assert bench.agree("a").words == ["a Retrying > Running", "submit a #2.2"]
    assert bench.succeed("a").words == ["ask a handlers Running > Success"]
    assert bench.agree("a").words == ["a Running > Success", "flow Running > Success", "end Success"]


def test_a_question_carries_the_states_themselves() -> None:
    bench = running()
    ask = bench.fail("a", "no disk").ask("handlers")
    assert isinstance(ask.old, Running)
    assert isinstance(ask.new, Failed)
    assert ask.new.message == "no disk"
    assert (ask.run, ask.node) == (0, 0)


def test_a_slow_handler_stalls_its_run_alone() -> None:
    bench = Bench(task("a", handled=True), task("b"), task("c", "b"))
    assert bench.start().acts == ["ask a handlers Pending > Running", "submit b", "submit c ahead"]
    bench.succeed("b")
    assert bench.succeed("c").acts == ["release b.1"]
    assert not bench.engine.ended


def test_a_transition_that_handlers_leave_alone_keeps_its_own_reason_and_time() -> None:
    bench = running()
    bench.succeed("a", started=0.25)  # its end is at 2
    turn = bench.agree("a")
    assert turn.why("a", "Success").text == "The body returned."
    assert turn.move("a", "Success").time == 2.0


def test_parent_and_children_of_a_map_are_both_asked_about() -> None:
    bench = Bench(value("x", length=1), task("m", maps("x"), handled=True))
    assert bench.start().acts == ["ask m handlers Pending > Mapped"]
    assert bench.agree("m").words == ["m Pending > Mapped", "ask m[0] handlers Pending > Running"]
    bench.agree("m[0]")
    bench.succeed("m[0]")
    assert bench.agree("m[0]").acts == ["end Success"]


def test_handlers_hear_of_what_the_rules_before_a_run_make_of_it() -> None:
    bench = Bench(task("a"), task("b", "a", handled=True), task("c", "b"))
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "ask b handlers Pending > TriggerFailed"]
    turn = bench.answer("b", Success("made good", 3))
    assert turn.words == ["b Pending > Success", "submit c"]
    assert turn.submit("c").arguments == (Argument("b", FromDriver(1)),)
    assert turn.why("b", "Success").rule == "state handler"
    assert dict(turn.why("b", "Success").read)["failed"] == "1"  # what the rule had read


def test_a_crash_is_asked_about_too() -> None:
    bench = running(max_crashes=1)
    assert bench.crash("a").acts == ["release a.1", "ask a handlers Running > Crashed"]
    assert bench.agree("a").acts == ["ask a handlers Crashed > Retrying"]
    assert bench.agree("a").acts == ["ask a handlers Retrying > Running"]
    assert bench.agree("a").acts == ["submit a #2.2"]


def test_a_held_run_is_sent_again_without_a_word_to_its_handlers() -> None:
    bench = running()
    assert bench.hold("a").words == ["release a.1", "submit a #1.2"]


# In place of Running


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        (Skipped("no need"), "Success"),
        (Success("known", 3), "Success"),
        (Failed("no"), "Failed"),
        (Cancelled("no"), "Success"),
        (Finished("mine"), "Success"),
    ],
)
def test_a_handler_may_end_a_run_before_it_starts(state: State, ends: str) -> None:
    bench = Bench(task("a", handled=True, retry=RETRIES))
    bench.start()
    turn = bench.answer("a", state)
    assert turn.acts == [f"end {ends}"]
    assert turn.move("a", type(state).__name__).attempt == 0  # it was not allowed to start
    assert bench.engine.attempt(0) == 0


def test_a_handler_may_put_off_a_start() -> None:
    bench = Bench(task("a", handled=True))
    bench.start()
    assert bench.answer("a", Scheduled("at night", start_time=at(100))).words == [
        "a Pending > Scheduled",
        "timer a at 100",
    ]
    assert bench.fire("a").words == ["ask a handlers Scheduled > Running"]
    assert bench.agree("a").words == ["a Scheduled > Running", "submit a"]


def test_a_start_that_was_refused_after_real_ones_does_not_count() -> None:
    bench = running(retry=RETRIES)
    bench.fail("a")
    bench.agree("a")
    bench.agree("a")
    bench.fire("a")
    turn = bench.answer("a", Skipped("enough"))
    assert turn.move("a", "Skipped").attempt == 1


def test_a_start_that_was_put_off_and_then_refused_does_not_count() -> None:
    for first in (Scheduled("at night", start_time=at(100)), Paused("until then", start_time=at(100))):
        bench = Bench(task("a", handled=True))
        bench.start()
        bench.answer("a", first)
        bench.fire("a")
        assert bench.answer("a", Skipped("no need")).move("a", "Skipped").attempt == 0
        assert bench.engine.attempt(0) == 0


def test_a_start_after_a_pause_counts_like_any_other() -> None:
    bench = Bench(task("a", handled=True))
    bench.start()
    bench.answer("a", Paused("until then", start_time=at(100)))
    bench.fire("a")
    turn = bench.agree("a")
    assert turn.acts == ["submit a"]
    assert turn.move("a", "Running").attempt == 1


@pytest.mark.parametrize("cls", [Retrying, Paused])
def test_a_refusal_that_a_handler_puts_off_is_weighed_again_when_its_time_has_come(cls: Any) -> None:
    bench = Bench(task("a"), task("b", "a", handled=True))
    bench.start()
    bench.fail("a")
    assert bench.answer("b", cls("later", start_time=at(50))).words == [
        f"b Pending > {cls.__name__}",
        "timer b at 50",
    ]
    assert bench.fire("b").acts == [f"ask b handlers {cls.__name__} > TriggerFailed"]
    assert bench.agree("b").moves[0] == f"b {cls.__name__} > TriggerFailed"


def test_a_handler_that_raises_at_the_start_fails_the_run_and_the_start_does_not_count() -> None:
    bench = Bench(task("a", handled=True))
    bench.start()
    turn = bench.answer("a", error=KeyError("k"))
    assert turn.words == ["a Pending > Failed", "flow Running > Failed", "end Failed"]
    assert turn.move("a", "Failed").attempt == 0


def test_a_handler_may_give_its_own_kind_of_running() -> None:
    class Busy(Running):
        __slots__ = ()

    bench = Bench(task("a", handled=True))
    bench.start()
    assert bench.answer("a", Busy("at it")).words == ["a Pending > Busy", "submit a"]
    bench.succeed("a")
    assert bench.agree("a").moves[0] == "a Busy > Success"


# In place of Success


def test_a_message_may_be_changed_without_touching_the_value() -> None:
    bench = running(task("b", "a"))
    ask = bench.succeed("a").ask("handlers")
    assert ask.new is not None
    turn = bench.answer("a", ask.new.replace(message="Well done."))
    assert turn.words == ["a Running > Success", "submit b"]
    assert turn.why("a", "Success").text == "Well done."
    assert turn.submit("b").arguments == (Argument("a", FromRun(0, 1)),)


def test_a_value_that_a_handler_gives_takes_the_place_of_the_bodys() -> None:
    bench = running(task("b", "a"))
    bench.succeed("a")
    turn = bench.answer("a", Success(result=5))
    assert turn.words == ["release a.1", "a Running > Success", "submit b"]
    assert turn.submit("b").arguments == (Argument("a", FromDriver(0)),)
    assert turn.why("a", "Success").text == "A state handler replaced the state."
    assert bench.state("a").result == 5


def test_a_success_without_a_value_is_worth_none() -> None:
    bench = running(task("b", "a"))
    bench.succeed("a")
    assert bench.answer("a", Success("no value")).acts == ["release a.1", "submit b"]
    assert bench.state("a").result is None


def test_a_value_that_a_handler_gives_is_mapped_over_by_its_own_measure() -> None:
    bench = running(task("m", maps("a")))
    bench.succeed("a", length=7)
    turn = bench.answer("a", Success("mine", [1, 2]), measure=Measure(2))
    assert turn.acts == ["release a.1", "submit m[0]", "submit m[1]"]
    assert bench.sources("m[1]") == "driver a[1]"


def test_a_value_that_a_handler_gives_without_a_measure_cannot_be_mapped_over() -> None:
    bench = running(task("m", maps("a")))
    bench.succeed("a", length=7)
    bench.answer("a", Success("mine", [1, 2]))
    assert "input 'a': its length is not known" in str(bench.state("m").message)


def test_the_bodys_own_measure_holds_where_handlers_leave_the_value_alone() -> None:
    bench = running(task("m", maps("a")))
    bench.succeed("a", length=1)
    assert bench.agree("a").acts == ["submit m[0]"]


def test_a_handler_may_turn_a_success_into_a_failure_which_the_retry_rule_weighs() -> None:
    bench = running(retry=RETRIES)
    bench.succeed("a")
    assert bench.answer("a", Failed("too small")).words == [
        "release a.1",
        "a Running > Failed",
        "ask a handlers Failed > Retrying",
    ]


def test_a_handler_may_have_a_success_done_again() -> None:
    bench = running()
    bench.succeed("a")
    assert bench.answer("a", Retrying("once more", start_time=at(50))).acts == [
        "release a.1",
        "timer a at 50",
    ]
    bench.fire("a")
    assert bench.agree("a").acts == ["submit a #2.2"]


def test_a_handler_may_park_a_run() -> None:
    bench = running()
    bench.succeed("a")
    assert bench.answer("a", Paused("look")).acts == ["release a.1", "await Running"]


def test_a_handler_may_make_one_more_iteration_of_a_success() -> None:
    bench = running()
    bench.succeed("a")
    turn = bench.answer("a", Looped("round", 1))
    assert turn.words == [
        "release a@2.1",
        "a Running > Looped",
        "a@2 Looped > Pending",
        "ask a@2 handlers Pending > Running",
    ]


# In place of a failure, or of its retry


def test_a_handler_may_make_good_a_failure() -> None:
    bench = running(task("b", "a"))
    bench.fail("a")
    assert bench.answer("a", Success("a default", 0)).acts == ["submit b"]
    assert bench.sources("b") == "driver a"


@pytest.mark.parametrize(
    ("state", "acts"),
    [
        (Failed("enough"), ["end Failed"]),
        (Success("a default", 0), ["end Success"]),
        (Skipped("forget it"), ["end Success"]),
        (Retrying("later", start_time=at(99)), ["timer a at 99"]),
        (Paused("look"), ["await Running"]),
    ],
)
def test_a_handler_may_decide_in_place_of_the_retry_rule(state: State, acts: list[str]) -> None:
    bench = running(retry=RETRIES)
    bench.fail("a")
    bench.agree("a")
    turn = bench.answer("a", state)
    assert turn.acts == acts
    assert turn.why("a", type(state).__name__).rule == "state handler"


def test_an_order_to_fail_that_a_handler_agrees_to_is_not_retried() -> None:
    bench = running(retry=RETRIES)
    bench.fail("a", forced=True)
    assert bench.agree("a").acts == ["end Failed"]


def test_an_order_to_succeed_that_a_handler_makes_a_failure_of_is_not_retried() -> None:
    bench = running(retry=RETRIES)
    bench.succeed("a", success=Success("over"), forced=True)
    assert bench.answer("a", Failed("not so")).acts == ["release a.1", "end Failed"]


# What handlers get wrong


def test_a_handler_that_raises_fails_the_run_without_a_retry() -> None:
    bench = running(retry=RETRIES)
    bench.succeed("a")
    error = KeyError("k")
    turn = bench.answer("a", error=error)
    assert turn.acts == ["release a.1", "end Failed"]
    state = bench.state("a")
    assert state.message == "A state handler raised at Running -> Success: KeyError: 'k'"
    assert state.result is error
    assert turn.why("a", "Failed").rule == "state handler"


@pytest.mark.parametrize("answer", [None, 3, "Success"])
def test_a_handler_that_answers_no_state_fails_the_run(answer: Any) -> None:
    bench = running(retry=RETRIES)
    bench.succeed("a")
    assert bench.answer("a", answer).acts == ["release a.1", "end Failed"]
    assert f"answered a {type(answer).__name__} at Running -> Success, which is no state" in str(
        bench.state("a").message
    )
    assert isinstance(bench.state("a").result, TaskError)


@pytest.mark.parametrize("answer", [Pending("back"), Mapped("wide")])
def test_a_handler_that_breaks_the_law_fails_the_run(answer: State) -> None:
    bench = running(retry=RETRIES)
    bench.succeed("a")
    assert bench.answer("a", answer).acts == ["release a.1", "end Failed"]
    assert f"made {type(answer).__name__} of Running -> Success, which cannot follow" in str(
        bench.state("a").message
    )


def test_a_state_that_nothing_follows_from_fails_the_run() -> None:
    bench = Bench(task("a", handled=True))
    bench.start()
    bench.agree("a")
    bench.succeed("a")
    bench.answer("a", Running("still at it"))
    assert bench.states() == ["Failed"]


# In place of Mapped


def test_a_handler_that_raises_at_the_unfolding_fails_the_map() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x"), handled=True), task("r", "m"))
    bench.start()
    bench.answer("m", error=ValueError("no"))
    assert bench.states() == ["Success", "Failed", "TriggerFailed"]
    assert len(bench.engine.runs()) == 3


def test_a_handler_may_skip_a_map() -> None:
    bench = Bench(
        value("x", length=2), task("m", maps("x"), handled=True), task("n", maps("m")), task("r", "n")
    )
    bench.start()
    bench.answer("m", Skipped("not today"))
    assert bench.states() == ["Success", "Skipped", "Skipped", "Skipped"]


def test_a_handler_may_give_the_value_of_a_whole_map() -> None:
    bench = Bench(
        value("x", length=2), task("m", maps("x"), handled=True), task("n", maps("m")), task("r", "m")
    )
    bench.start()
    turn = bench.answer("m", Success("known", [7, 8, 9]), measure=Measure(3))
    assert turn.acts == ["submit r", "submit n[0]", "submit n[1]", "submit n[2]"]
    assert bench.sources("n[2]") == "driver m[2]"
    assert bench.sources("r") == "driver m"


@pytest.mark.parametrize("cls", [Scheduled, Retrying, Paused])
def test_a_map_that_was_put_off_unfolds_later_and_never_runs_itself(cls: type[Scheduled]) -> None:
    bench = Bench(value("x", length=1), task("m", maps("x"), handled=True))
    bench.start()
    assert bench.answer("m", cls("later", start_time=at(50))).acts == ["timer m at 50"]
    assert bench.fire("m").acts == [f"ask m handlers {cls.__name__} > Mapped"]
    assert bench.agree("m").acts == ["ask m[0] handlers Pending > Running"]


def test_a_mapped_state_with_changed_words_still_unfolds() -> None:
    bench = Bench(value("x", length=1), task("m", maps("x"), handled=True), task("r", "m"))
    bench.start()
    bench.answer("m", Mapped("in my words", n_map_states=1))
    assert bench.states("m", "m[0]") == ["Mapped", "Pending"]
    assert bench.state("m").message == "in my words"


def test_a_handlers_mapped_without_a_map_has_no_children() -> None:
    bench = Bench(task("a", handled=True), task("r", "a"))
    bench.start()
    bench.answer("a", Mapped("not really"))
    assert bench.states("a") == ["Mapped"]
    assert bench.sources("r") == "driver a"


def test_a_handlers_mapped_without_a_map_cannot_be_mapped_over() -> None:
    bench = Bench(task("a", handled=True), task("m", maps("a")))
    bench.start()
    bench.answer("a", Mapped("not really"))
    assert bench.states() == ["Mapped", "Failed"]
    assert "input 'a': its length is not known" in str(bench.state("m").message)


def test_a_list_with_a_handled_member_waits_for_its_word() -> None:
    bench = Bench(task("a", handled=True), listed("l", "a"), task("b", reads("l")))
    bench.start()
    bench.agree("a")
    assert bench.succeed("a").acts == ["ask a handlers Running > Success"]
    bench.answer("a", Success("mine", 1))
    assert bench.sources("b") == "l(driver a)"


# on_failure


def test_on_failure_hears_of_a_final_failure_and_the_flow_waits_for_it() -> None:
    bench = Bench(task("a", on_failure=True, retry=RETRIES))
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "timer a at 11"]  # not of this one
    bench.fire("a")
    turn = bench.fail("a", "for good")
    assert turn.acts == ["release a.2", "ask a on_failure"]
    assert turn.ask("on_failure").new is bench.state("a")
    assert bench.answer("a", "whatever").words == ["flow Running > Failed", "end Failed"]


def test_on_failure_holds_up_no_reader() -> None:
    bench = Bench(task("a", on_failure=True), task("b", "a", trigger=None))
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "ask a on_failure", "ask b trigger"]


def test_on_failure_that_raises_changes_nothing() -> None:
    bench = Bench(task("a", on_failure=True))
    bench.start()
    bench.fail("a", "boom")
    assert bench.answer("a", error=ValueError("other")).acts == ["end Failed"]
    assert bench.state("a").message == "boom"


@pytest.mark.parametrize("state", [Skipped("no"), Cancelled("no")])
def test_on_failure_hears_of_nothing_else(state: State) -> None:
    bench = Bench(task("a", on_failure=True))
    bench.start()
    assert bench.report("a", state).acts == ["release a.1", "end Success"]


def test_on_failure_hears_of_a_refused_run() -> None:
    bench = Bench(task("a"), task("b", "a", on_failure=True))
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "release b.1", "ask b on_failure"]


def test_on_failure_and_handlers_are_both_heard() -> None:
    bench = running(on_failure=True)
    bench.fail("a")
    assert bench.agree("a").acts == ["ask a on_failure"]
    assert bench.answer("a").acts == ["end Failed"]


def test_on_failure_of_a_child_is_asked_with_its_own_number() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x"), on_failure=True))
    bench.start()
    bench.fail("m[1]")
    ask = bench.turn.ask("on_failure")
    assert (ask.run, ask.node) == (bench.run("m[1]"), 1)
