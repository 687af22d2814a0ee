"""A flow's own state: how its handlers hear of its beginning and end, and what they may make of them."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.engine.events import Answered, RunStarted
from prefectlite.errors import EngineError
from prefectlite.states.state import (
    Cancelled,
    Failed,
    Finished,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    Success,
)
from tests.engine.plans import Bench, task


def handled(**facts: Any) -> Bench:
    """A flow of one task with handlers of its own, in which that task is in flight."""
    bench = Bench(task("a"), handled=True, **facts)
    bench.start()
    bench.agree("flow")
    return bench


def test_handlers_of_a_flow_hear_of_its_beginning_and_its_end_before_they_are_on_the_books() -> None:
    bench = Bench(task("a"), handled=True)
    assert bench.start().words == ["ask flow handlers Pending > Running"]
    assert bench.agree("flow").words == ["flow Pending > Running", "submit a"]
    turn = bench.succeed("a")
    assert turn.words == ["a Pending > Running", "a Running > Success", "ask flow handlers Running > Success"]
    turn = bench.agree("flow")
    assert turn.words == ["flow Running > Success", "end Success"]
    assert turn.why("flow", "Success").rule == "outcome"


def test_a_question_to_a_flow_carries_no_run() -> None:
    bench = Bench(task("a"), handled=True)
    ask = bench.start().ask("handlers")
    assert (ask.run, ask.node) == (-1, -1)
    assert str(bench.engine.key(ask.run)) == ""
    assert bench.engine.attempt(ask.run) == 0


def test_a_flow_run_begins_once() -> None:
    bench = handled()
    assert bench.handle(RunStarted(5.0)).words == []
    waiting = Bench(task("a"), handled=True)
    waiting.start()
    assert waiting.handle(RunStarted(5.0)).words == []


def test_a_flow_without_handlers_is_asked_nothing() -> None:
    bench = Bench(task("a"))
    bench.start()
    assert bench.succeed("a").acts == ["end Success"]


def test_a_handler_may_replace_how_a_flow_ends() -> None:
    bench = handled()
    bench.succeed("a")
    turn = bench.answer("flow", Failed("not good enough"))
    assert turn.words == ["flow Running > Failed", "end Failed"]
    why = turn.why("flow", "Failed")
    assert (why.rule, why.text) == ("state handler", "not good enough")
    assert dict(why.read)["successful"] == "1"  # what the rule had read


def test_a_reason_is_given_for_a_state_without_words() -> None:
    bench = handled()
    bench.fail("a")
    turn = bench.answer("flow", Success())
    assert turn.why("flow", "Success").text == "A state handler replaced the state."


@pytest.mark.parametrize("state", [Success("known"), Failed("no"), Cancelled("no"), Finished("mine")])
def test_a_handler_may_keep_a_flow_from_starting(state: State) -> None:
    bench = Bench(task("a"), handled=True)
    bench.start()
    turn = bench.answer("flow", state)
    assert turn.words == [f"flow Pending > {type(state).__name__}", f"end {type(state).__name__}"]
    assert bench.states("a") == ["Pending"]


def test_a_handler_may_give_a_flow_its_own_kind_of_running() -> None:
    class Busy(Running):
        pass

    bench = Bench(task("a"), handled=True)
    bench.start()
    assert bench.answer("flow", Busy()).words == ["flow Pending > Busy", "submit a"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Paused("wait"), "A state handler made Paused of Pending -> Running: a flow cannot wait."),
        (Scheduled("later"), "A state handler made Scheduled of Pending -> Running: a flow cannot wait."),
        (3, "A state handler answered a int at Pending -> Running, which is no state."),
    ],
)
def test_what_no_flow_can_follow_fails_it_at_its_beginning(answer: Any, text: str) -> None:
    bench = Bench(task("a"), handled=True)
    bench.start()
    turn = bench.answer("flow", answer)
    assert turn.acts == ["end Failed"]
    assert turn.move("flow", "Failed").new.message == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Running(), "A state handler made Running of Running -> Success: a flow cannot wait."),
        (Pending(), "A state handler made Pending of Running -> Success, which cannot follow."),
        (None, "A state handler answered a NoneType at Running -> Success, which is no state."),
    ],
)
def test_what_no_flow_can_follow_fails_it_at_its_end(answer: Any, text: str) -> None:
    bench = handled()
    bench.succeed("a")
    turn = bench.answer("flow", answer)
    assert turn.acts == ["end Failed"]
    assert turn.move("flow", "Failed").new.message == text


def test_a_handler_that_raises_fails_the_flow() -> None:
    bench = handled()
    bench.succeed("a")
    turn = bench.answer("flow", error=ValueError("oh"))
    assert turn.acts == ["end Failed"]
    state = turn.move("flow", "Failed").new
    assert state.message == "A state handler raised at Running -> Success: ValueError: oh"
    assert isinstance(state.result, ValueError)


def test_on_failure_of_a_flow_hears_of_its_failure_once_it_is_on_the_books() -> None:
    bench = Bench(task("a"), on_failure=True)
    bench.start()
    assert bench.fail("a").words[-2:] == ["flow Running > Failed", "ask flow on_failure"]
    assert not bench.engine.ended
    assert bench.answer("flow").words == ["end Failed"]


def test_on_failure_of_a_flow_hears_of_what_its_handlers_made_of_it() -> None:
    bench = handled(on_failure=True)
    bench.succeed("a")
    assert bench.answer("flow", Failed("no")).acts == ["ask flow on_failure"]
    assert bench.answer("flow", error=ValueError()).acts == ["end Failed"]


def test_on_failure_of_a_flow_hears_of_nothing_else() -> None:
    bench = handled(on_failure=True)
    bench.fail("a")
    assert bench.answer("flow", Success("made good")).acts == ["end Success"]


def test_a_flow_left_with_a_pause_asks_nobody() -> None:
    bench = handled()
    bench.report("a", Paused("wait"))
    assert type(bench.engine.flow_state) is Running
    assert bench.open_asks() == {}


# A cancel


def test_handlers_hear_of_a_cancel() -> None:
    bench = handled()
    assert bench.cancel().acts == ["cancel all", "release a.1", "ask flow handlers Running > Cancelled"]
    assert bench.agree("flow").words == ["flow Running > Cancelled", "end Cancelled"]


def test_handlers_hear_of_a_cancel_once_all_is_cleaned_up() -> None:
    bench = Bench(
        task("made"),
        task("c", "made", cleans_up=True),
        task("u", "made", handled=True),
        handled=True,
    )
    bench.start()
    bench.agree("flow")
    asked = bench.succeed("made").ask("handlers")
    assert bench.cancel().moves == ["u Pending > Cancelled"]
    assert bench.handle(Answered(9.0, asked.run, asked.ask, Running())).words == []
    assert bench.succeed("c").acts[-1] == "ask flow handlers Running > Cancelled"
    assert bench.agree("flow").words == ["flow Running > Cancelled", "end Cancelled"]


def test_a_second_cancel_does_not_wait_for_the_handlers() -> None:
    bench = handled()
    bench.cancel()
    assert bench.cancel().acts == ["cancel all", "end Cancelled"]


def test_a_flow_whose_handlers_are_being_asked_is_cancelled_at_once() -> None:
    beginning = Bench(task("a"), handled=True)
    beginning.start()
    assert beginning.cancel().acts == ["cancel all", "end Cancelled"]
    ending = handled()
    ending.succeed("a")
    assert ending.cancel().acts == ["cancel all", "end Cancelled"]


def test_a_cancel_before_the_beginning_asks_nobody() -> None:
    bench = Bench(task("a"), handled=True)
    assert bench.cancel().acts == ["cancel all", "end Cancelled"]


def test_a_cancel_does_not_wait_for_who_is_told_of_the_failure() -> None:
    bench = Bench(task("a"), on_failure=True)
    bench.start()
    bench.fail("a")
    assert bench.cancel().words == ["cancel all", "end Failed"]


def test_answers_about_what_was_called_off_come_too_late() -> None:
    bench = Bench(task("a", handled=True), handled=True)
    bench.start()
    asked = bench.agree("flow").ask("handlers")
    bench.cancel()
    assert bench.handle(Answered(9.0, asked.run, asked.ask, Running())).words == []
    assert bench.agree("flow").acts == ["end Cancelled"]


def test_a_cancel_that_handlers_replace_leaves_the_books_alone() -> None:
    bench = handled()
    bench.cancel()
    assert bench.answer("flow", Success("never mind")).acts == ["end Success"]


def test_an_answer_that_nobody_asked_for_is_an_error() -> None:
    bench = handled()
    with pytest.raises(EngineError):
        bench.handle(Answered(9.0, -1, 77, Running()))
