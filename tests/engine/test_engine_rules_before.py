"""Before a run: skip, width and trigger, in that order; and the reasons that they leave."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.engine.events import Answered
from prefectlite.engine.inputs import Argument, FromCollection, FromDriver, FromRun
from prefectlite.engine.instructions import Ask
from prefectlite.errors import TaskError
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import (
    all_failed,
    all_finished,
    all_successful,
    any_failed,
    any_successful,
    manual_only,
    not_all_skipped,
    some_failed,
    some_successful,
)
from prefectlite.states import signals
from prefectlite.states.state import (
    Cancelled,
    Crashed,
    Failed,
    Mapped,
    Paused,
    Resume,
    Running,
    Skipped,
    State,
    TriggerFailed,
)
from tests.engine.plans import Bench, at, follows, listed, maps, reads, task, value

BOOM = Failed("boom", ValueError("boom"))
SKIP = Skipped("not today")
GOOD: State | None = None

TABLE = [
    (all_successful, (GOOD, GOOD), "Success"),
    (all_successful, (GOOD, BOOM), "TriggerFailed"),
    (all_failed, (BOOM, BOOM), "Success"),
    (all_failed, (BOOM, GOOD), "TriggerFailed"),
    (all_finished, (BOOM, GOOD), "Success"),
    (any_successful, (BOOM, GOOD), "Success"),
    (any_successful, (BOOM, BOOM), "TriggerFailed"),
    (any_failed, (BOOM, GOOD), "Success"),
    (any_failed, (GOOD, GOOD), "TriggerFailed"),
    (some_failed(1, 1), (BOOM, GOOD), "Success"),
    (some_failed(1, 1), (BOOM, BOOM), "TriggerFailed"),
    (some_successful(1.0), (GOOD, BOOM), "TriggerFailed"),
    (all_successful, (SKIP, GOOD), "Skipped"),
    (all_successful, (SKIP, BOOM), "Skipped"),
    (all_finished, (SKIP, GOOD), "Skipped"),
]


@pytest.mark.parametrize(("trigger", "ends", "becomes"), TABLE)
def test_a_run_becomes_what_its_trigger_and_its_upstreams_say(
    trigger: Any, ends: tuple[State | None, ...], becomes: str
) -> None:
    bench = Bench(task("a"), task("b"), task("c", "a", "b", trigger=trigger))
    bench.drive({name: end for name, end in zip("ab", ends, strict=True) if end is not None})
    assert bench.states("c") == [becomes]


@pytest.mark.parametrize(
    ("trigger", "ends", "becomes"),
    [
        (all_successful, (SKIP, GOOD), "Success"),
        (all_successful, (SKIP, BOOM), "TriggerFailed"),
        (not_all_skipped, (SKIP, GOOD), "Success"),
        (not_all_skipped, (SKIP, SKIP), "Skipped"),
        (not_all_skipped, (GOOD, BOOM), "TriggerFailed"),
    ],
)
def test_a_task_that_does_not_skip_with_its_upstreams_leaves_it_to_its_trigger(
    trigger: Any, ends: tuple[State | None, ...], becomes: str
) -> None:
    bench = Bench(task("a"), task("b"), task("c", "a", "b", trigger=trigger, skip_on_upstream_skip=False))
    bench.drive({name: end for name, end in zip("ab", ends, strict=True) if end is not None})
    assert bench.states("c") == [becomes]


def test_a_skip_beats_a_failure_and_says_which_upstream() -> None:
    bench = Bench(task("a"), task("b"), task("c", "a", "b"))
    log = bench.drive({"a": BOOM, "b": SKIP})
    assert bench.states("c") == ["Skipped"]
    why = log.why("c", "Skipped")
    assert why.rule == "skip"
    assert why.read == (("skipped", "b"), ("skip_on_upstream_skip", "True"))


def test_a_skip_beats_a_users_own_trigger_which_is_not_asked() -> None:
    bench = Bench(task("a"), task("b", "a", trigger=None))
    bench.start()
    assert bench.report("a", SKIP).acts == ["release a.1", "end Success"]


def test_a_skip_beats_a_map_without_a_width() -> None:
    bench = Bench(task("a"), task("b"), task("m", maps("a"), reads("b")))
    bench.drive({"b": SKIP}, {"a": {"unmappable": "is a set"}})
    assert bench.states("m") == ["Skipped"]


def test_a_width_beats_the_trigger() -> None:
    bench = Bench(task("a"), task("m", maps("a"), trigger=all_finished))
    log = bench.drive({"a": BOOM})
    assert bench.states("m") == ["Failed"]
    assert log.why("m", "Failed").rule == "width"


def test_a_refused_run_names_its_culprits_crashes_first() -> None:
    bench = Bench(task("a"), task("b"), task("s"), task("c", "a", "b", "s", skip_on_upstream_skip=False))
    log = bench.drive({"a": BOOM, "b": Crashed("gone", cause="exited"), "s": SKIP})
    why = log.why("c", "TriggerFailed")
    assert why.rule == "trigger"
    assert why.read[-3:] == (("b", "Crashed"), ("a", "Failed"), ("s", "Skipped"))
    assert dict(why.read)["failed"] == "2"


def test_a_refused_run_names_no_more_than_eight_culprits() -> None:
    names = [f"t{i}" for i in range(12)]
    bench = Bench(*[task(name) for name in names], task("c", *names))
    log = bench.drive(dict.fromkeys(names, BOOM))
    read = log.why("c", "TriggerFailed").read
    assert [name for name, said in read if said == "Failed"] == names[:8]


def test_a_refusal_without_culprits_tells_the_counts() -> None:
    bench = Bench(task("a"), task("c", "a", trigger=any_failed))
    log = bench.drive()
    why = log.why("c", "TriggerFailed")
    assert dict(why.read) == {
        "upstreams": "1",
        "finished": "1",
        "successful": "1",
        "failed": "0",
        "skipped": "0",
    }


def test_a_trigger_that_passes_tells_what_it_counted() -> None:
    bench = Bench(task("a"), task("c", "a", trigger=any_failed))
    log = bench.drive({"a": BOOM})
    why = log.why("c", "Running")
    assert why.text == "Trigger any_failed passed: of 1: 0 succeeded, 1 failed."
    assert dict(why.read)["failed"] == "1"


def test_a_run_without_upstreams_says_so() -> None:
    bench = Bench(task("a"))
    assert bench.drive().why("a", "Running").text == "It has no upstream to wait for."


def test_cancelled_is_neither_a_success_nor_a_failure() -> None:
    bench = Bench(
        task("a"), task("b", "a"), task("c", "a", trigger=all_failed), task("d", "a", trigger=all_finished)
    )
    bench.drive({"a": Cancelled("called off")})
    assert bench.states() == ["Cancelled", "TriggerFailed", "TriggerFailed", "Success"]


def test_a_failed_upstreams_value_comes_from_the_driver() -> None:
    bench = Bench(task("a"), task("b"), task("c", "a", "b", trigger=all_finished))
    log = bench.drive({"a": BOOM})
    assert log.submit("c").arguments == (Argument("a", FromDriver(0)), Argument("b", FromRun(1, 1)))


def test_the_result_of_a_refused_run_is_an_exception() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.drive({"a": BOOM})
    assert isinstance(bench.state("b").result, TaskError)


# Children count one by one


def test_a_reduce_counts_children_one_by_one() -> None:
    bench = Bench(value("x", length=4), task("m", maps("x")), task("r", "m", trigger=some_failed(2, 2)))
    log = bench.drive({"m[0]": BOOM, "m[3]": BOOM})
    assert bench.states("r") == ["Success"]
    assert dict(log.why("r", "Running").read)["upstreams"] == "4"


def test_a_skipped_child_skips_the_reduce_and_is_named() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("r", "m"))
    log = bench.drive({"m[1]": SKIP})
    assert log.why("r", "Skipped").read[0] == ("skipped", "m[1]")


def test_a_map_ignores_its_trigger_and_its_children_apply_it() -> None:
    bench = Bench(value("x", length=2), task("a"), task("m", maps("x"), follows("a")))
    log = bench.drive({"a": BOOM})
    assert bench.states("m", "m[0]", "m[1]") == ["Mapped", "TriggerFailed", "TriggerFailed"]
    assert log.why("m[1]", "TriggerFailed").read[-1] == ("a", "Failed")


def test_an_unmapped_skipped_upstream_skips_the_whole_map() -> None:
    bench = Bench(value("x", length=2), task("a"), task("m", maps("x"), follows("a")))
    bench.drive({"a": SKIP})
    assert bench.states("m") == ["Skipped"]
    assert len(bench.engine.runs()) == 3


def test_one_upstream_that_is_read_twice_counts_twice_and_is_named_once() -> None:
    bench = Bench(task("a"), task("b", reads("a", "x"), reads("a", "y")))
    log = bench.drive({"a": BOOM})
    read = log.why("b", "TriggerFailed").read
    assert dict(read)["failed"] == "2"
    assert [name for name, _ in read].count("a") == 1


@pytest.mark.parametrize(
    ("trigger", "becomes"),
    [
        (all_successful, "Success"),
        (all_finished, "Success"),
        (any_successful, "TriggerFailed"),
        (any_failed, "TriggerFailed"),
        (not_all_skipped, "Skipped"),
    ],
)
def test_an_empty_map_is_what_each_trigger_makes_of_it(trigger: Any, becomes: str) -> None:
    bench = Bench(value("x", length=0), task("m", maps("x")), task("r", "m", trigger=trigger))
    bench.drive()
    assert bench.states() == ["Success", "Mapped", becomes]


# A user's own trigger


def test_a_users_own_trigger_is_asked_once_all_upstreams_have_ended() -> None:
    bench = Bench(task("a"), task("b"), task("c", "a", follows("b"), trigger=None))
    bench.start()
    assert bench.fail("a").acts == ["release a.1"]
    turn = bench.succeed("b")
    assert "ask c trigger" in turn.acts
    shown = turn.ask("trigger").upstreams
    assert [(token, type(state).__name__) for token, state in shown] == [
        (("a", "c"), "Failed"),
        (("b", "c"), "Success"),
    ]
    turn = bench.answer("c", True)
    assert turn.acts == ["submit c"]
    assert bench.succeed("c").why("c", "Running").text == "The task's own trigger passed."


def test_a_users_own_trigger_sees_a_map_with_its_children() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("c", "m", trigger=None))
    bench.drive({"m[0]": BOOM})
    ((_, state),) = bench.log.ask("trigger").upstreams
    assert isinstance(state, Mapped)
    assert [type(one).__name__ for one in state.map_states] == ["Failed", "Success"]


def test_a_child_asks_its_own_trigger_about_its_own_upstream() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("m"), trigger=None))
    bench.drive({"m[0]": BOOM})
    asks = [one for one in bench.log if isinstance(one, Ask)]
    assert [
        (one.node, bench.engine.key(one.run).index, type(one.upstreams[0][1]).__name__) for one in asks
    ] == [
        (2, 0, "Failed"),
        (2, 1, "Success"),
    ]


@pytest.mark.parametrize("answer", [False, None, 0, ""])
def test_a_users_own_trigger_that_is_falsy_refuses_the_run(answer: Any) -> None:
    bench = Bench(task("a", trigger=None))
    assert bench.start().acts == ["ask a trigger"]
    turn = bench.answer("a", answer)
    assert turn.words == ["a Pending > TriggerFailed", "flow Running > Failed", "end Failed"]
    assert bench.state("a").message == "The task's own trigger refused it."
    assert isinstance(bench.state("a").result, TaskError)


def test_a_users_own_trigger_that_raises_refuses_the_run_with_its_text() -> None:
    bench = Bench(task("a", trigger=None))
    bench.start()
    error = KeyError("k")
    bench.answer("a", error=error)
    state = bench.state("a")
    assert isinstance(state, TriggerFailed)
    assert state.message == "The task's own trigger raised KeyError: 'k'"
    assert state.result is error


@pytest.mark.parametrize(
    ("signal", "becomes"),
    [
        (signals.SKIP("no need"), "Skipped"),
        (signals.TRIGGERFAIL("no"), "TriggerFailed"),
        (signals.FAIL("no"), "Failed"),
        (signals.SUCCESS("known", result=3), "Success"),
    ],
)
def test_a_users_own_trigger_may_raise_a_signal(signal: BaseException, becomes: str) -> None:
    bench = Bench(task("a", trigger=None))
    bench.start()
    assert bench.answer("a", error=signal).acts == [f"end {'Failed' if 'ail' in becomes else 'Success'}"]
    assert bench.states() == [becomes]
    assert bench.log.why("a", becomes).rule == "trigger"


def test_a_signal_without_a_message_still_has_a_reason() -> None:
    bench = Bench(task("a", trigger=None))
    bench.start()
    assert bench.answer("a", error=signals.SKIP()).why("a", "Skipped").text == "The trigger decided."


@pytest.mark.parametrize("state", [signals.LOOP("again").state, Resume("go"), Running("go")])
def test_a_trigger_that_raises_what_cannot_follow_fails_its_run_and_not_the_flow(state: State) -> None:
    bench = Bench(task("a", trigger=None), task("b"))
    bench.start()
    bench.answer("a", error=signals.ENDRUN(state))
    assert bench.states("a")[0] in ("Failed", "TriggerFailed")
    assert bench.succeed("b").acts == ["end Failed"]


def test_a_failure_before_the_run_is_not_tried_again() -> None:
    bench = Bench(task("a", trigger=None, retry=RetryPolicy(3)))
    bench.start()
    assert bench.answer("a", error=signals.FAIL("no")).acts == ["end Failed"]


def test_manual_only_pauses_and_the_flow_awaits_an_approval() -> None:
    bench = Bench(task("a"), task("b", "a", trigger=manual_only), task("c", "b"))
    bench.start()
    turn = bench.succeed("a")
    assert turn.words == [
        "a Pending > Running",
        "a Running > Success",
        "b Pending > Paused",
        "flow Running > Running",
        "await Running",
    ]
    assert bench.states() == ["Success", "Paused", "Pending"]
    assert bench.engine.flow_state.is_running()


def test_a_pause_with_a_time_goes_on_by_itself_and_its_trigger_is_not_asked_again() -> None:
    bench = Bench(task("a", trigger=None))
    bench.start()
    bench.answer("a", error=signals.PAUSE("wait", start_time=at(50)))
    assert bench.turn.words == ["a Pending > Paused", "timer a at 50"]
    assert bench.fire("a").acts == ["submit a"]
    assert bench.succeed("a").why("a", "Running").text == "The time that it waited for has come."


def test_a_trigger_is_asked_by_a_driver_that_answers_for_everybody() -> None:
    bench = Bench(task("a"), task("c", "a", trigger=None))

    def refuses(ask: Ask) -> Answered:
        return Answered(9.0, ask.run, ask.ask, answer=False)

    bench.drive(answers=refuses)
    assert bench.states() == ["Success", "TriggerFailed"]


def test_a_list_that_does_not_skip_with_its_members_is_left_to_the_default_trigger() -> None:
    bench = Bench(task("a"), task("b"), listed("l", "a", "b", skip_on_upstream_skip=False), task("c", "l"))
    bench.start()
    bench.report("a", SKIP)
    turn = bench.succeed("b")
    assert bench.states("l") == ["Success"]
    # What a skipped member is worth is the driver's to say: None.
    assert turn.submit("c").arguments == (Argument("l", FromCollection(2, (FromDriver(0), FromRun(1, 1)))),)


def test_paused_is_what_manual_only_says() -> None:
    bench = Bench(task("a", trigger=manual_only))
    bench.start()
    assert isinstance(bench.state("a"), Paused)
