"""The parts of the driver by themselves: inbox, timers, callbacks, observers, interrupts."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from prefectlite import Task, context, signals, task
from prefectlite.core.edge import Edge
from prefectlite.driver import clock
from prefectlite.driver.callbacks import THREADS, Callbacks
from prefectlite.driver.handlers import state_after
from prefectlite.driver.inbox import TURN_LIMIT, Inbox
from prefectlite.driver.interrupts import Interrupts
from prefectlite.driver.observer import Audience
from prefectlite.driver.timers import Timers
from prefectlite.engine.events import AttemptHeld, Measure, TimerFired
from prefectlite.engine.instructions import Ask, SetTimer
from prefectlite.states import Failed, Paused, RunKey, Running, Success
from prefectlite.worker.here import Interruption
from prefectlite.worker.interrupts import PAUSES
from prefectlite.worker.logs import LogLine


def held(run: int) -> AttemptHeld:
    return AttemptHeld(0.0, run, 1)


def line(text: str) -> LogLine:
    return LogLine(0.0, 20, "somewhere", text, "flow", "run-1", 1)


class TestInbox:
    def test_what_ended_a_wait_comes_first(self) -> None:
        inbox = Inbox()
        inbox.deliver([held(1), held(2)])
        inbox.deliver([held(3)])

        inbox.wait(10)
        inbox.wait(10)
        inbox.deliver([held(4)])

        assert [event.run for event in inbox.events()] == [1, 2, 3, 4]  # type: ignore[union-attr]
        assert inbox.events() == []

    def test_a_wait_ends_after_its_time(self) -> None:
        inbox = Inbox()
        began = time.monotonic()

        inbox.wait(0.02)

        assert time.monotonic() - began >= 0.015
        assert inbox.events() == []

    def test_a_turn_is_bounded_by_whole_batches(self) -> None:
        inbox = Inbox()
        for _ in range(3):
            inbox.deliver([held(0)] * (TURN_LIMIT - 1))

        assert [len(inbox.events()) for _ in range(3)] == [2 * (TURN_LIMIT - 1), TURN_LIMIT - 1, 0]

    def test_log_lines_end_a_wait_too(self) -> None:
        inbox = Inbox()
        inbox.deliver_logs([line("a")])
        inbox.deliver_logs([line("b")])

        inbox.wait(None)

        assert [one.message for one in inbox.log_lines()] == ["a", "b"]
        assert inbox.log_lines() == []
        assert inbox.events() == []


def test_the_time_of_day_goes_on_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = 1000.0, 50.0
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: wall, monotonic=lambda: steady))
    now = clock.RealTime()
    told = [now()]
    for day, passed in ((0.0, 1.0), (-86400.0, 2.0), (0.0, 1.0), (2 * 86400.0, 1.0), (0.0, 1.0)):
        wall, steady = wall + day + passed, steady + passed
        told.append(now())

    assert told == [1000.0, 1001.0, 1003.0, 1004.0, 1005.0 + 86400.0, 1006.0 + 86400.0]


def test_timers_ring_soonest_first_and_in_order_of_setting() -> None:
    timers = Timers()
    assert timers.seconds_left(0.0) is None
    for number, at in enumerate([3.0, 1.0, 1.0, 9.0]):
        timers.set(SetTimer(run=number, timer=number, at=at))

    assert timers.seconds_left(0.5) == 0.5
    assert timers.seconds_left(2.0) == 0.0
    assert timers.due(0.5) == []
    assert timers.due(3.0) == [TimerFired(3.0, 1, 1), TimerFired(3.0, 2, 2), TimerFired(3.0, 0, 0)]
    assert timers.seconds_left(3.0) == 6.0


class TestAudience:
    def test_an_observer_that_raises_is_told_nothing_more(self, caplog: pytest.LogCaptureFixture) -> None:
        told: list[str] = []

        class Good:
            def started(self, run: Any) -> None:
                told.append("started")

            def turn(self, transitions: Any, counts: Any) -> None:
                told.append(f"turn {counts}")

            def log(self, lines: Any) -> None:
                told.append(f"log {len(lines)}")

            def ended(self, state: Any) -> None:
                told.append(f"ended {state}")

        class Bad(Good):
            def started(self, run: Any) -> None:
                raise RuntimeError("observer broke")

        audience = Audience([Bad(), Good()])
        assert audience
        with caplog.at_level(logging.ERROR):
            audience.started(object())  # type: ignore[arg-type]
        audience.turn([], {"Success": 1})
        audience.log([line("a")])
        audience.ended(Success("done"))
        audience.log([line("b")])

        assert told == ["started", "turn {'Success': 1}", "log 1", 'ended <Success: "done">']
        assert "observer broke" in caplog.text
        assert not audience


class TestCallbacks:
    def ask_all(self, tasks: list[Task], *asks: Ask) -> dict[int, Any]:
        answers: dict[int, Any] = {}
        everything = threading.Event()

        def deliver(events: Any) -> None:
            answers.update({event.ask: event for event in events})
            if len(answers) == len(asks):
                everything.set()

        callbacks = Callbacks(
            tasks,
            [task.frozen_options for task in tasks],
            deliver,
            {"flow_name": "f", "flow_run_id": "ab" * 16},
            clock=lambda: 5.0,
        )
        for ask in asks:
            callbacks.ask(ask, RunKey("t-1", 2), 3)
        assert everything.wait(30)
        callbacks.close()
        assert {answer.time for answer in answers.values()} == {5.0}
        return answers

    def test_each_question_gets_its_answer(self) -> None:
        told: list[Any] = []

        def trigger(states: Any) -> Any:
            return list(states)

        def handler(one: Any, old: Any, new: Any) -> Any:
            return Success(context.task_full_name)

        @task(
            trigger=trigger,
            state_handlers=[handler],
            max_retries=1,
            retry_delay=lambda attempt: timedelta(seconds=attempt),
            on_failure=lambda one, state: told.append(state),
        )
        def body() -> None: ...

        answers = self.ask_all(
            [body],
            Ask(0, 1, 0, "trigger", upstreams=((Edge(body.copy(), body), Success()),)),
            Ask(0, 2, 0, "trigger", upstreams=()),
            Ask(0, 3, 0, "handlers", old=Running(), new=Failed()),
            Ask(0, 4, 0, "delay", attempt=2),
            Ask(0, 5, 0, "on_failure", new=Failed("last")),
        )

        assert {ask: answer.error for ask, answer in answers.items()} == dict.fromkeys(range(1, 6))
        assert answers[1].answer is True
        assert answers[2].answer is False
        assert answers[3].answer.message == "body[2]"
        assert answers[4].answer == 2.0
        assert answers[5].answer is None
        assert [state.message for state in told] == ["last"]

    def test_what_a_callback_raises_is_its_answer(self, caplog: pytest.LogCaptureFixture) -> None:
        def raises(*arguments: Any) -> Any:
            raise SystemExit("leave")

        @task(trigger=raises, state_handlers=[raises], max_retries=1, retry_delay=raises, on_failure=raises)
        def body() -> None: ...

        answers = self.ask_all(
            [body],
            Ask(0, 1, 0, "trigger"),
            Ask(0, 2, 0, "handlers", old=Running(), new=Failed()),
            Ask(0, 3, 0, "delay", attempt=2),
            Ask(0, 4, 0, "on_failure", new=Failed("last")),
        )

        assert {type(answer.error) for answer in answers.values()} == {SystemExit}
        assert "on_failure of task 'body' raised" in caplog.text

    @pytest.mark.parametrize("said", ["soon", -1, float("nan"), float("inf"), None, True])
    def test_a_delay_that_is_none_is_refused(self, said: Any) -> None:
        @task(max_retries=1, retry_delay=lambda attempt: said)
        def body() -> None: ...

        error = self.ask_all([body], Ask(0, 1, 0, "delay", attempt=1))[1].error

        assert isinstance(error, ValueError)
        assert "retry_delay(1) of task 'body'" in str(error)

    def test_an_error_of_our_own_is_an_answer_too(self, caplog: pytest.LogCaptureFixture) -> None:
        @task
        def body() -> None: ...

        error = self.ask_all([body], Ask(0, 1, 7, "trigger"))[1].error

        assert isinstance(error, IndexError), "there is no task 7"
        assert "could not be asked" in caplog.text

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ([1, [2, 3]], Measure(2, 3)),
            ({1, 2}, "set"),
        ],
    )
    def test_a_value_that_a_handler_gives_is_measured_for_maps(self, value: Any, expected: Any) -> None:
        @task(state_handlers=[lambda one, old, new: Success("given", result=value)])
        def body() -> None: ...

        measure = self.ask_all([body], Ask(0, 1, 0, "handlers", old=Running(), new=Success()))[1].measure

        assert (
            measure == expected if isinstance(expected, Measure) else expected in (measure.unmappable or "")
        )

    def test_a_value_whose_length_cannot_be_told_is_unmappable(self) -> None:
        class Odd:
            def __len__(self) -> int:
                raise RuntimeError

            def __getitem__(self, place: int) -> int:
                return place

        @task(state_handlers=[lambda one, old, new: Success("given", result=Odd())])
        def body() -> None: ...

        measure = self.ask_all([body], Ask(0, 1, 0, "handlers", old=Running(), new=Success()))[1].measure

        assert measure.length is None
        assert measure.unmappable

    def test_questions_are_asked_at_once_up_to_the_bound(self) -> None:
        together = threading.Barrier(THREADS)

        @task(on_failure=lambda one, state: together.wait(30))
        def body() -> None: ...

        asks = [Ask(n, n, 0, "on_failure", new=Failed()) for n in range(2 * THREADS)]

        assert {answer.error for answer in self.ask_all([body], *asks).values()} == {None}

    def test_nobody_is_asked_after_the_end(self) -> None:
        asked: list[int] = []
        gate, begun, answers = threading.Event(), threading.Event(), []

        def waits(one: Any, state: Any) -> None:
            asked.append(1)
            begun.set()
            gate.wait(30)

        @task(on_failure=waits)
        def body() -> None: ...

        callbacks = Callbacks([body], [body.frozen_options], answers.extend, {"flow_run_id": "ab" * 16})
        for n in range(THREADS):
            callbacks.ask(Ask(n, n, 0, "on_failure", new=Failed()), RunKey("t"), 1)
        assert begun.wait(30)
        callbacks.close()
        callbacks._questions.put((Ask(99, 99, 0, "on_failure", new=Failed()), RunKey("t"), 1))
        gate.set()
        deadline = time.monotonic() + 10
        while len(answers) < len(asked) and time.monotonic() < deadline:
            time.sleep(0.01)

        assert 99 not in [answer.run for answer in answers]


class TestHandlers:
    def make(self, *handlers: Any) -> tuple[Task, Any]:
        @task(state_handlers=list(handlers))
        def body() -> None: ...

        return body, body.state_handlers

    def test_each_handler_sees_what_the_one_before_made(self) -> None:
        seen: list[Any] = []

        def first(one: Any, old: Any, new: Any) -> Any:
            seen.append(new.message)
            return Success("second")

        def silent(one: Any, old: Any, new: Any) -> None:
            seen.append(new.message)

        def last(one: Any, old: Any, new: Any) -> Any:
            seen.append(new.message)
            return Success("third")

        assert state_after(*self.make(first, silent, last), Running(), Success("first")).message == "third"
        assert seen == ["first", "second", "second"]

    def test_a_signal_ends_the_row(self) -> None:
        def pauses(one: Any, old: Any, new: Any) -> None:
            raise signals.PAUSE("wait")

        def never(one: Any, old: Any, new: Any) -> None:
            raise AssertionError

        state = state_after(*self.make(pauses, never), Running(), Success())

        assert type(state) is Paused
        assert state.message == "wait"

    def test_what_is_no_state_is_refused_by_name(self) -> None:
        def odd(one: Any, old: Any, new: Any) -> Any:
            return "fine"

        with pytest.raises(TypeError, match="State handler 'odd' of task 'body' returned 'fine'"):
            state_after(*self.make(odd), Running(), Success())


class TestInterrupts:
    def press(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)  # the handler runs between two instructions of the main thread

    def test_the_first_is_a_wish_and_goes_on_at_the_end(self) -> None:
        wishes: list[str] = []
        former = signal.getsignal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt), Interrupts(wishes.append):
            self.press()
            wishes.append("more")

        assert wishes == ["Ctrl-C", "more"]
        assert signal.getsignal(signal.SIGINT) is former

    def test_the_second_goes_through(self) -> None:
        reached: list[int] = []

        with pytest.raises(KeyboardInterrupt), Interrupts(lambda _: None):
            self.press()
            self.press()
            reached.append(1)

        assert reached == []

    def test_what_it_raises_in_a_body_is_raised_again_only_while_it_is_open(self) -> None:
        again: list[str] = []

        class Loses:
            def __del__(self) -> None:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(10)

        def wish(how: str) -> None:
            raise Interruption

        with pytest.raises(KeyboardInterrupt), Interrupts(wish, lambda: again.append("again")) as interrupts:
            Loses()
            until = time.monotonic() + 10
            while not again and time.monotonic() < until:
                time.sleep(0.01)
            assert interrupts.count == 1

        with pytest.raises(KeyboardInterrupt), Interrupts(wish, lambda: again.append("late")):
            Loses()
        time.sleep(2 * PAUSES[0])
        assert again == ["again"]

    def test_without_one_nothing_is_raised(self) -> None:
        with Interrupts(lambda _: None) as interrupts:
            pass

        assert interrupts.count == 0

    def test_an_error_of_the_block_is_the_cause(self) -> None:
        with pytest.raises(KeyboardInterrupt) as raised, Interrupts(lambda _: None):
            self.press()
            raise ValueError("inside")

        assert isinstance(raised.value.__cause__, ValueError)

    def test_an_outer_block_is_told_as_well(self) -> None:
        outer: list[str] = []

        with pytest.raises(KeyboardInterrupt), Interrupts(outer.append) as outside:
            with pytest.raises(KeyboardInterrupt), Interrupts(lambda _: None):
                self.press()
            assert outside.count == 1

        assert outer == ["Ctrl-C"]

    def test_where_it_is_ignored_it_stays_ignored(self) -> None:
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with Interrupts(lambda _: None) as interrupts:
                self.press()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGINT, former)
        assert interrupts.count == 0

    def test_other_threads_leave_it_alone(self) -> None:
        former = signal.getsignal(signal.SIGINT)
        seen: list[Any] = []

        def other() -> None:
            with Interrupts(lambda _: None):
                seen.append(signal.getsignal(signal.SIGINT))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

        assert seen == [former]

    @pytest.mark.parametrize(("count", "said"), [(1, "SIGTERM\nin order\n"), (2, "SIGTERM\n")])
    def test_a_sigterm_is_a_wish_too_and_ends_the_process_after_it_or_at_the_second(
        self, count: int, said: str
    ) -> None:
        code = f"""
import signal
from prefectlite.driver.interrupts import Interrupts

signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what measures tests may have set one of its own
with Interrupts(lambda how: print(how, flush=True)):
    for _ in range({count}):
        signal.raise_signal(signal.SIGTERM)
    print("in order", flush=True)
print("never reached", flush=True)
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (-signal.SIGTERM, said)

    def test_a_program_that_has_a_word_to_say_at_sigterm_says_it(self) -> None:
        said: list[int] = []
        former = signal.signal(signal.SIGTERM, lambda number, frame: said.append(number))
        try:
            with Interrupts(lambda _: None) as interrupts:
                signal.raise_signal(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, former)
        assert (said, interrupts.count) == ([signal.SIGTERM], 0)

    def test_a_sigterm_in_an_inner_block_is_told_to_the_outer_one(self) -> None:
        wishes: list[str] = []
        outside = Interrupts(wishes.append)
        former = signal.signal(signal.SIGTERM, outside.handle)
        try:
            with pytest.raises(KeyboardInterrupt), Interrupts(wishes.append):
                signal.raise_signal(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, former)
        assert wishes == ["SIGTERM", "SIGTERM"]


def test_what_is_told_of_a_run_that_a_sigterm_ends_goes_out_first() -> None:
    code = """
import signal, time
from prefectlite import Flow, LocalExecutor, task
from prefectlite.notifications.outbox import OUTBOX

signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what measures tests may have set one of its own

def tell(flow, old, new):
    OUTBOX.put("test", lambda: (time.sleep(0.2), print(type(new).__name__, flush=True)))
    return new

with Flow("ended", state_handlers=[tell]) as flow:
    task(lambda: signal.raise_signal(signal.SIGTERM), name="body")()
flow.run(executor=LocalExecutor())
print("never reached", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    told = [
        line for line in done.stdout.splitlines() if " | " not in line
    ]  # what is logged stands there, too
    assert (done.returncode, told) == (-signal.SIGTERM, ["Running", "Cancelled"]), done.stderr
