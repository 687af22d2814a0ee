"""One attempt: whatever a body does, its report says how it went."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from prefectlite.core.assembly import Assembly
from prefectlite.core.context import context
from prefectlite.errors import SerializationError, TaskError
from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.spec import ASSEMBLE, MANY, NEED, NEEDS, PACKED, VALUE, Recipe, Spec
from prefectlite.lowering.wrappers import Done, Noted, NotedDone, Packed, Succeeded, Unreadable
from prefectlite.states.signals import ENDRUN, FAIL, LOOP, PAUSE, RETRY, SKIP, SUCCESS, TRIGGERFAIL
from prefectlite.states.state import (
    Cached,
    Cancelled,
    Crashed,
    Failed,
    Looped,
    Mapped,
    Paused,
    Retrying,
    Skipped,
    State,
    Success,
    TriggerFailed,
)
from prefectlite.worker.attempt import Here, Interruption, Outcome, perform, perform_packed
from prefectlite.worker.opened import OpenFlow, OpenTask
from prefectlite.worker.wire import plain_facts, plain_report

LOCK = threading.Lock()
FACTS = FlowFacts("ab" * 16, "etl", 86400.0, {"p": 1})


def attempt(
    body: Any,
    *,
    given: dict[str, Any] | None = None,
    recipes: tuple[tuple[str, Recipe], ...] = (),
    values: tuple[Any, ...] = (),
    upstreams: tuple[Any, ...] = (),
    index: int | None = None,
    drop: bool = False,
    measure: tuple[str, ...] = (),
    pickles: bool = True,
    limit: int = 8192,
    loop: int = 1,
    beside: tuple[tuple[str, Recipe], ...] = (),
    **envelope: Any,
) -> Outcome:
    facts = FlowFacts(FACTS.run_id, FACTS.flow_name, FACTS.scheduled, FACTS.parameters, 20, limit)
    spec = Spec("double-1", index, loop, 2, given or {}, recipes, upstreams, drop, measure, beside)
    task = OpenTask(Envelope("double", body, **envelope))
    return perform(OpenFlow(facts), task, spec, values, Here("here", pickles))


def state_of(outcome: Outcome) -> Any:
    assert outcome.report is not None
    assert outcome.wrapper is None
    assert outcome.report.where == "here"
    assert outcome.report.started <= outcome.report.ended
    return outcome.report.state


def raiser(error: BaseException) -> Any:
    def body() -> None:
        raise error

    return body


# What went before


def test_a_body_finds_what_the_iteration_before_handed_on_in_its_context() -> None:
    def body() -> Any:
        names = ("task_loop_count", "task_loop_result", "resume", "shared")
        return [context.get(name) for name in names], context.task_run_id.partition("/")[2]

    beside = (
        ("task_loop_count", (VALUE, 3, None, False)),
        ("task_loop_result", (PACKED, pickle.dumps({"k": 1}), None, False)),
        ("resume", (VALUE, True, None, False)),
        ("shared", (NEED, 0, None, False)),
    )
    report = attempt(body, loop=3, beside=beside, values=(Succeeded("large", 0, 0, 1),)).report
    assert report is not None
    assert report.inline is not None
    assert pickle.loads(report.inline) == ([3, {"k": 1}, True, "large"], "double-1@3")


def test_what_was_handed_on_and_cannot_be_opened_fails_who_looks_at_it() -> None:
    beside = (("task_loop_result", (PACKED, b"no pickle", None, False)),)
    assert attempt(lambda: 1, beside=beside).wrapper is not None
    state = state_of(attempt(lambda: context.task_loop_result, beside=beside))
    assert isinstance(state.result, SerializationError)


# Success


def test_a_plain_success_is_a_value_and_a_report_without_a_state() -> None:
    outcome = attempt(lambda x, y: x + y, given={"x": 1, "y": 2})
    assert isinstance(outcome.wrapper, Succeeded)
    assert (outcome.wrapper.value, outcome.wrapper.attempt) == (3, 2)
    report = outcome.report
    assert report is not None
    assert report.state is None
    assert report.inline is not None
    assert pickle.loads(report.inline) == 3
    assert report.started == outcome.wrapper.started <= report.ended == outcome.wrapper.ended


def test_a_value_that_nobody_reads_is_dropped_where_it_was_made() -> None:
    outcome = attempt(lambda: LOCK, drop=True)
    assert isinstance(outcome.wrapper, Done)
    assert outcome.report is not None
    assert outcome.report.state is None


def test_a_large_value_stays_out_of_the_report() -> None:
    report = attempt(lambda: np.zeros(100_000)).report
    assert report is not None
    assert (report.inline, report.nbytes) == (None, 800_000)


def test_a_state_that_is_returned_is_a_value_like_any_other() -> None:
    outcome = attempt(lambda: Failed("not meant"))
    assert outcome.report is not None
    assert outcome.report.state is None


@pytest.mark.parametrize("signal", [SUCCESS("done", result=5), ENDRUN(Success("done", 5))])
def test_the_success_signal_is_a_plain_success(signal: Any) -> None:
    outcome = attempt(raiser(signal))
    assert isinstance(outcome.wrapper, Succeeded)
    assert outcome.wrapper.value == 5
    assert outcome.report is not None
    success = plain_report(plain_facts(outcome.report), "").success
    assert success is not None
    assert (type(success), success.message) == (Success, "done")


class Partial(Success):
    """A success of the user's own."""

    __slots__ = ()


@pytest.mark.parametrize("cls", [Success, Partial, Cached])
@pytest.mark.parametrize("pickles", [True, False])
def test_a_success_that_says_more_goes_without_its_value_which_goes_the_way_of_all(
    cls: type[Success], pickles: bool
) -> None:
    signal = ENDRUN(cls("done", np.zeros(100_000), {"k": 1}))
    outcome = attempt(raiser(signal), measure=("length",), pickles=pickles)
    report = outcome.report
    assert isinstance(outcome.wrapper, Noted)
    assert outcome.wrapper.value.nbytes == 800_000
    assert report is not None
    assert (report.state, report.inline, report.nbytes, report.length) == (None, None, 800_000, 100_000)
    success = plain_report(plain_facts(report), "").success
    assert (type(success), success and success.message) == (cls, "done")
    assert success is not None
    assert (dict(success.context), success.has_result) == ({"k": 1}, False)


def test_a_success_that_says_more_keeps_no_value_that_nobody_reads_and_none_that_cannot_travel() -> None:
    outcome = attempt(raiser(ENDRUN(Partial("done", LOCK))), drop=True)
    assert isinstance(outcome.wrapper, NotedDone)
    assert type(state_of(attempt(raiser(ENDRUN(Partial("done", LOCK)))))) is Failed


def test_a_success_that_cannot_be_copied_or_cannot_travel_is_a_failure() -> None:
    class Odd(Success):
        def __init__(self) -> None:
            super().__init__("odd")

    class Stuck(Success):
        def __reduce__(self) -> Any:
            raise TypeError("stuck")

    assert "class Odd, which cannot be copied" in str(state_of(attempt(raiser(ENDRUN(Odd())))).message)
    assert "cannot be pickled" in str(state_of(attempt(raiser(ENDRUN(Stuck())))).message)


def test_a_success_signal_without_a_result_is_none_not_the_signal() -> None:
    outcome = attempt(raiser(SUCCESS()))
    assert isinstance(outcome.wrapper, Succeeded)
    assert outcome.wrapper.value is None


def test_a_map_learns_lengths_from_the_report() -> None:
    report = attempt(lambda: [[1, 2], 3], measure=("length", "flat")).report
    assert report is not None
    assert (report.length, report.flat_length, report.unmappable) == (2, 3, None)
    report = attempt(lambda: {1}, measure=("length",)).report
    assert report is not None
    assert report.length is None
    assert "a set has no order" in str(report.unmappable)


class Asked(type):
    @property
    def keys(cls) -> Any:
        raise RuntimeError("no questions")


class Cross(metaclass=Asked):
    def __getitem__(self, place: int) -> int:
        return place


def test_a_value_whose_length_cannot_be_asked_says_why() -> None:
    report = attempt(Cross, measure=("length",)).report
    assert report is not None
    assert report.state is None
    assert "RuntimeError: no questions" in str(report.unmappable)


def test_a_result_that_cannot_be_pickled_fails_with_name_type_and_mend() -> None:
    outcome = attempt(lambda: (n for n in [1]))
    state = state_of(outcome)
    assert isinstance(state, Failed)
    assert isinstance(state.result, SerializationError)
    for word in ("'double'", "generator", "return list(...)"):
        assert word in str(state.message)
    assert outcome.report is not None
    assert not outcome.report.retryable
    listed = str(state_of(attempt(lambda: [LOCK])).message)
    assert "of type list" in listed
    assert "_thread.lock" in listed


def test_in_this_process_a_result_may_be_anything() -> None:
    outcome = attempt(lambda: LOCK, pickles=False)
    assert isinstance(outcome.wrapper, Succeeded)
    assert outcome.wrapper.value is LOCK


# Inputs


def test_an_input_that_is_no_plain_success_holds_the_run() -> None:
    def never() -> None:
        raise AssertionError

    for values in ((None,), (Succeeded(1), object()), (3,)):
        outcome = attempt(never, values=values)
        assert outcome == Outcome(None, is_final=False)


def test_arguments_are_made_from_recipes() -> None:
    values = (Succeeded([10, 20]), Succeeded("b"), Done(), Packed(b""))
    need: Recipe = (NEED, 0, None, False)
    recipes: tuple[tuple[str, Recipe], ...] = (
        ("whole", need),
        ("item", (NEED, 0, 1, False)),
        ("flat_item", (PACKED, pickle.dumps([[1, 2], [3]]), 2, True)),
        ("packed", (PACKED, pickle.dumps({"k": 1}), None, False)),
        ("value", (VALUE, 7, None, False)),
        ("all", (NEEDS, range(2), None, False)),
        ("flat", (NEEDS, (0, 1), None, True)),
        ("many", (MANY, (need, (VALUE, 4, None, False)), None, False)),
        (
            "built",
            (
                ASSEMBLE,
                (Assembly("dict", 2, fixed=((0, ["k"]),)), ((MANY, (need,), None, False),)),
                None,
                False,
            ),
        ),
    )
    outcome = attempt(lambda **kw: kw, given={"a": 0}, recipes=recipes, values=values)
    assert isinstance(outcome.wrapper, Succeeded)
    assert outcome.wrapper.value == {
        "a": 0,
        "whole": [10, 20],
        "item": 20,
        "flat_item": 3,
        "packed": {"k": 1},
        "value": 7,
        "all": [[10, 20], "b"],
        "flat": [10, 20, "b"],
        "many": [[10, 20], 4],
        "built": {"k": [10, 20]},
    }


@pytest.mark.parametrize("recipe", [(PACKED, b"no pickle", None, False), (NEED, 0, None, False)])
def test_an_argument_that_cannot_be_opened_fails_its_run_by_name(recipe: Recipe) -> None:
    values = (Unreadable("ModuleNotFoundError: no module named 'theirs'"),)
    state = state_of(attempt(lambda x: x, recipes=(("x", recipe),), values=values))
    assert isinstance(state, Failed)
    assert "Its argument 'x' could not be made" in str(state.message)
    assert "install on the workers" in str(state.message)


def test_an_iteration_that_cannot_hand_its_result_on_has_failed() -> None:
    outcome = attempt(raiser(LOOP("again", result={"lock": LOCK})))
    state = state_of(outcome)
    assert type(state) is Failed
    assert isinstance(state.result, SerializationError)
    assert state.message == (
        "Task 'double' hands an object of type dict to its next iteration, which cannot be pickled "
        "(TypeError: cannot pickle '_thread.lock' object); hand on what it is made from instead."
    )
    assert outcome.report is not None
    assert not outcome.report.retryable

    local = state_of(attempt(raiser(LOOP("again", result={"lock": LOCK})), pickles=False))
    assert (type(local), local.result) == (Looped, {"lock": LOCK})


def test_an_iterations_context_that_cannot_be_pickled_costs_no_result() -> None:
    lap = state_of(attempt(raiser(LOOP("again", result=3, context={"lock": LOCK}))))
    assert (type(lap), lap.result) == (Looped, 3)
    assert "lock" not in lap.context


# Failures


def test_an_exception_is_a_failure_with_the_users_own_lines() -> None:
    def divide(x: int) -> float:
        return 1 / x

    outcome = attempt(divide, given={"x": 0})
    state = state_of(outcome)
    assert type(state) is Failed
    assert state.message == "Unexpected error: ZeroDivisionError: division by zero"
    assert isinstance(state.result, ZeroDivisionError)
    assert state.traceback is not None
    assert "return 1 / x" in state.traceback
    assert "worker/attempt.py" not in state.traceback
    assert outcome.report is not None
    assert outcome.report.retryable
    assert not outcome.report.forced


class Fussy(Exception):
    """Cannot be made again from its args, nor from its attributes."""

    __slots__ = ("a",)

    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")
        self.a = a


class Burdened(Exception):
    def __init__(self) -> None:
        super().__init__("with a lock")
        self.lock = LOCK


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Leaving(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize("error", [Fussy(1, 2), Burdened(), ValueError("x" * 10_000), Mute(), Leaving()])
def test_an_exception_that_cannot_travel_is_replaced_by_its_stand_in(error: Exception) -> None:
    state = state_of(attempt(raiser(error)))
    if isinstance(error, (Mute, Leaving)):
        what = "RuntimeError" if isinstance(error, Mute) else "SystemExit"
        assert f"<its text raised {what}>" in str(state.message)
        return
    assert isinstance(state.result, TaskError)
    assert type(error).__name__ in state.result.type_name
    assert state.result.message == str(error)
    assert "raise error" in state.result.traceback_text
    assert len(str(state.message)) < 600
    pickle.loads(pickle.dumps(state))


def test_in_this_process_an_exception_stays_itself_with_the_users_frames() -> None:
    error = Burdened()
    state = state_of(attempt(raiser(error), pickles=False))
    assert state.result is error
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_frame.f_code.co_name == "body"


def test_a_very_long_traceback_loses_its_middle() -> None:
    state = state_of(attempt(raiser(ValueError("é" * 30_000))))
    assert len(str(state.traceback)) < 21_000
    assert "characters cut" in str(state.traceback)


def test_the_stand_in_of_a_huge_exception_loses_the_middle_of_its_text() -> None:
    state = state_of(attempt(raiser(ValueError("é" * 1_000_000))))
    assert isinstance(state.result, TaskError)
    assert state.result.message is not None
    assert "characters cut" in state.result.message
    assert len(pickle.dumps(state)) < 200_000


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_body_that_exits_crashes_its_attempt_and_no_more(error: BaseException) -> None:
    state = state_of(attempt(raiser(error)))
    assert isinstance(state, Crashed)
    assert state.cause == "exited"
    assert type(error).__name__ in str(state.message)


class Exits:
    def __reduce__(self) -> Any:
        return sys.exit, (3,)


def test_a_body_that_never_began_is_not_blamed_for_what_exits_while_its_arguments_are_made() -> None:
    recipe = (PACKED, pickle.dumps(Exits()), None, False)
    state = state_of(attempt(lambda x: x, recipes=(("x", recipe),)))
    assert (type(state), state.cause) == (Crashed, "exited")
    assert state.message == (
        "Its argument 'x' could not be made: the code for it tried to end its process with SystemExit: 3"
    )


@pytest.mark.parametrize("error", [GeneratorExit(), BaseException("odd"), MemoryError()])
def test_any_other_exception_is_a_failure(error: BaseException) -> None:
    assert type(state_of(attempt(raiser(error)))) is Failed


def test_an_interruption_calls_the_run_off() -> None:
    outcome = attempt(raiser(Interruption()))
    assert isinstance(state_of(outcome), Cancelled)
    assert outcome.report is not None
    assert outcome.report.forced


@pytest.mark.parametrize(
    ("retry_on", "error", "retryable"),
    [
        (None, ValueError(), True),
        ((ValueError,), ValueError(), True),
        ((OSError, ValueError), UnicodeError(), True),
        ((OSError,), ValueError(), False),
        (lambda e: "again" in str(e), ValueError("again"), True),
        (lambda e: "again" in str(e), ValueError("stop"), False),
        ((FAIL,), FAIL("no"), True),
        ((OSError,), FAIL("no"), False),
    ],
)
def test_retry_on_is_asked_about_the_live_exception(
    retry_on: Any, error: BaseException, retryable: bool
) -> None:
    report = attempt(raiser(error), retry_on=retry_on).report
    assert report is not None
    assert report.retryable is retryable


def test_a_fail_signal_matches_by_its_cause_too() -> None:
    def body() -> None:
        try:
            raise OSError("disk")
        except OSError as error:
            raise FAIL("gave up") from error

    for retry_on in ((OSError,), lambda e: isinstance(e, OSError)):
        outcome = attempt(body, retry_on=retry_on)
        assert outcome.report is not None
        assert outcome.report.retryable
        assert isinstance(state_of(outcome).result, OSError)


def test_a_retry_on_that_raises_accepts_nothing_and_says_so() -> None:
    outcome = attempt(raiser(ValueError("v")), retry_on=lambda e: 1 / 0)
    assert outcome.report is not None
    assert not outcome.report.retryable
    assert "its retry_on raised ZeroDivisionError" in str(state_of(outcome).message)
    outcome = attempt(raiser(FAIL("f")), retry_on=lambda e: sys.exit(1))
    assert "its retry_on raised SystemExit" in str(state_of(outcome).message)
    with pytest.raises(Interruption):
        attempt(raiser(ValueError()), retry_on=lambda e: raiser(Interruption())())


# Signals


def test_fail_is_a_failure_whose_result_is_an_exception_never_the_signal() -> None:
    outcome = attempt(raiser(FAIL("bad day")))
    state = state_of(outcome)
    assert (type(state), state.message) == (Failed, "bad day")
    assert isinstance(state.result, TaskError)
    assert str(state.result) == "FAIL: bad day"
    assert "raise error" in str(state.traceback)
    assert outcome.report is not None
    assert not outcome.report.forced


def test_fail_keeps_the_result_that_it_was_given() -> None:
    assert state_of(attempt(raiser(FAIL("bad", result=7)))).result == 7
    assert isinstance(state_of(attempt(raiser(FAIL("bad", result=Fussy(1, 2))))).result, TaskError)
    assert isinstance(state_of(attempt(raiser(TRIGGERFAIL("no")))), TriggerFailed)


def test_skip_has_no_result() -> None:
    state = state_of(attempt(raiser(SKIP("not today"))))
    assert isinstance(state, Skipped)
    assert (state.message, state.result) == ("not today", None)


def test_retry_is_an_order_with_a_time() -> None:
    outcome = attempt(raiser(RETRY("later")))
    state = state_of(outcome)
    assert isinstance(state, Retrying)
    assert outcome.report is not None
    assert outcome.report.forced
    assert state.run_count == 2
    assert state.start_time is not None
    assert state.start_time.timestamp() == pytest.approx(outcome.report.ended, abs=1e-3)
    naive = state_of(attempt(raiser(RETRY("later", start_time=datetime(2030, 1, 1)))))  # noqa: DTZ001  # that is the case
    assert naive.start_time == datetime(2030, 1, 1, tzinfo=UTC)


def test_pause_and_loop_bring_their_states() -> None:
    assert isinstance(state_of(attempt(raiser(PAUSE("wait")))), Paused)
    state = state_of(attempt(raiser(LOOP("again", result=3))))
    assert isinstance(state, Looped)
    assert (state.result, state.loop_count) == (3, 1)


def test_endrun_brings_exactly_its_state() -> None:
    outcome = attempt(raiser(ENDRUN(Failed("final", 5))))
    state = state_of(outcome)
    assert (state.message, state.result) == ("final", 5)
    assert outcome.report is not None
    assert outcome.report.forced
    assert not state_of(attempt(raiser(ENDRUN(Failed("bare"))))).has_result


class Shelved(Skipped):
    """A state of the user's own."""


class Unlike(Skipped):
    def __init__(self) -> None:
        super().__init__("odd")


def test_a_users_own_state_is_honoured() -> None:
    assert type(state_of(attempt(raiser(ENDRUN(Shelved("put away")))))) is Shelved


def test_a_state_that_cannot_be_copied_is_a_failure() -> None:
    for pickles in (True, False):
        state = state_of(attempt(raiser(ENDRUN(Unlike())), pickles=pickles))
        assert type(state) is Failed
        assert "class Unlike, which cannot be copied" in str(state.message)


def test_a_state_that_cannot_travel_leaves_its_burden_behind() -> None:
    state = state_of(attempt(raiser(SKIP("heavy", result=LOCK, context={"lock": LOCK}))))
    assert isinstance(state, Skipped)
    assert (state.message, state.has_result, dict(state.context)) == ("heavy", False, {})
    assert state_of(attempt(raiser(SKIP("heavy", result=LOCK)), pickles=False)).result is LOCK


def test_a_state_that_cannot_travel_at_all_is_a_failure() -> None:
    class Stuck(Skipped):
        __slots__ = ()

        def __reduce__(self) -> Any:
            raise TypeError("stuck")

    state = state_of(attempt(raiser(ENDRUN(Stuck("here")))))
    assert type(state) is Failed
    assert "cannot be pickled" in str(state.message)


# Context


def test_the_context_tells_a_body_about_its_run() -> None:
    seen: dict[str, Any] = {}

    def body() -> None:
        seen.update(context.to_dict())
        seen["parameters"]["p"] = 99

    attempt(body, index=3, tags=frozenset({"t"}))
    attempt(body, index=3)
    assert seen["flow_name"] == "etl"
    assert seen["flow_run_id"] == FACTS.run_id
    assert (seen["task_name"], seen["task_full_name"], seen["task_slug"]) == (
        "double",
        "double[3]",
        "double-1",
    )
    assert (seen["map_index"], seen["attempt"], seen["task_run_count"]) == (3, 2, 2)
    assert seen["today"] == "1970-01-02"
    assert seen["logger"].name == "prefectlite.double[3]"
    assert FACTS.parameters == {"p": 1}
    assert "task_name" not in context


def test_the_idempotency_key_is_that_of_the_run_not_of_the_attempt() -> None:
    keys = [attempt(lambda: context.idempotency_key, index=i).wrapper for i in (1, 1, 2)]
    first, again, other = (key.value for key in keys if isinstance(key, Succeeded))
    assert first == again != other


def test_upstream_states_are_read_by_slug_and_by_argument() -> None:
    def body() -> Any:
        states = context.upstream_states
        assert list(states) == ["load-1", "gone-1", "many-1", "given-1", "x", "ys"]
        assert len(states) == 6
        assert "load-1" in repr(states)
        with pytest.raises(KeyError, match="no direct upstream"):
            states["nobody"]
        return dict(states)

    upstreams = (
        ("load-1", "x", 0),
        ("gone-1", None, Failed("broke")),
        ("many-1", "ys", {"Success": 2, "Failed": 1}),
        ("given-1", None, None),
    )
    outcome = attempt(body, upstreams=upstreams, values=(Succeeded(5, 1.0, 2.0, 4),))
    assert isinstance(outcome.wrapper, Succeeded), outcome
    states: dict[str, State] = outcome.wrapper.value
    assert type(states["x"]) is Success
    assert dict(states["load-1"].context) == {"started": 1.0, "ended": 2.0, "task_run_count": 4}
    assert states["gone-1"].message == "broke"
    many = states["ys"]
    assert isinstance(many, Mapped)
    assert (many.n_map_states, many.context["counts"]["Failed"]) == (3, 1)
    assert states["given-1"].is_successful()
    assert states["x"].result is None


def test_no_upstreams_are_none() -> None:
    def body() -> None:
        with pytest.raises(KeyError, match="none"):
            context.upstream_states["x"]

    assert attempt(body).wrapper is not None


# What a shipment carried


def packed(**changes: Any) -> Any:
    spec = ("double-1", None, 1, 1, {"x": 2}, (), (), False, ())
    parts: dict[str, Any] = {
        "flow": pickle.dumps(FACTS),
        "task": pickle.dumps(Envelope("double", abs)),
        "spec": pickle.dumps(spec),
        "values": (),
        "here": Here("here"),
    }
    return perform_packed(**{**parts, **changes})


def test_a_shipment_is_opened_and_run() -> None:
    spec = pickle.dumps(("len-1", None, 1, 1, {}, (), (), False, ()))
    task = pickle.dumps(Envelope("pid", os.getpid))
    outcome = packed(spec=spec, task=task)
    assert outcome.wrapper.value == os.getpid()
    outcome = packed(spec=spec, task=Packed(task), flow=Packed(pickle.dumps(FACTS)))
    assert outcome.wrapper.value == os.getpid()


def test_a_shipment_whose_input_is_no_plain_success_is_not_even_opened() -> None:
    assert packed(values=(None,), spec=b"no pickle").report is None


@pytest.mark.parametrize("part", ["flow", "task", "spec"])
def test_what_cannot_be_opened_fails_its_own_run(part: str) -> None:
    state = state_of(packed(**{part: b"no pickle"}))
    assert isinstance(state, Failed)
    assert "cannot be opened at here (UnpicklingError" in str(state.message)
    assert isinstance(state.result, SerializationError)
