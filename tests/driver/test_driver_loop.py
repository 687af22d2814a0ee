"""The loop and the run against a place that answers from a script: what is done in which order, and what breaks."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import task
from prefectlite.driver.run import Run
from prefectlite.driver.values import RIDES_ALONG, Values
from prefectlite.engine.events import AttemptFinished, AttemptStarted, Event
from prefectlite.engine.transitions import Transition
from prefectlite.errors import (
    DefinitionError,
    ExecutorError,
    ParameterError,
    ResultUnavailable,
    SerializationError,
)
from prefectlite.journal.memory import MemoryJournal
from prefectlite.journal.protocol import Submitted
from prefectlite.states import Cancelled, Failed, Mapped, Report, ResultRef, RunKey, Success


def returned(value: Any = None) -> Report:
    payload = pickle.dumps(value)
    return Report(
        None, time.time(), time.time(), payload, len(payload), len(value) if isinstance(value, list) else None
    )


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


class Alarm(BaseException):
    """As the handler of a test's time limit raises it."""


class Place:
    """A place to run that answers each slug from a script, or keeps silent."""

    def __init__(
        self, script: Callable[[Any], Report | None] = lambda shipment: returned(), log: Any = None
    ) -> None:
        self.script = script
        self.log: list[Any] = [] if log is None else log
        self.sessions: list[Session] = []
        self.room = 4096

    def open(self, brief: Any, deliver: Any, deliver_logs: Any) -> Any:
        self.log.append("open")
        session = Session(self, deliver, deliver_logs)
        self.sessions.append(session)
        return session


class Session:
    pickles = False
    dashboard_link = "http://somewhere"
    description = "a script"

    def __init__(self, place: Place, deliver: Callable[[Sequence[Event]], None], deliver_logs: Any) -> None:
        self.place, self.deliver, self.deliver_logs = place, deliver, deliver_logs
        self.shipments: list[Any] = []
        self.interrupted = 0

    def submit(self, lowered: Any) -> None:
        self.place.log.append(("submit", [shipment.slug for shipment in lowered.shipments]))
        self.shipments += lowered.shipments
        for shipment in lowered.shipments:
            for run in getattr(shipment, "runs", None) or [shipment.run]:
                report = self.place.script(shipment)
                if report is not None:
                    self.deliver([AttemptFinished(time.time(), run, shipment.submission, report)])

    def work(self, budget: float) -> bool:
        return False

    def room(self) -> int:
        return self.place.room

    def release(self, spans: Any) -> None:
        self.place.log.append(("release", sum(count for _, _, count in spans)))

    def cancel(self, why: str) -> None:
        self.place.log.append(("cancel", why))

    def hold(self) -> None: ...

    def interrupt(self) -> None:
        self.interrupted += 1

    def fetch(self, run: int, submission: int) -> Any:
        return ("fetched", run, submission)

    def close(self, keep: Any) -> None:
        self.place.log.append(("close", sum(count for _, _, count in keep)))

    def drop(self) -> None:
        self.place.log.append("drop")


class Watcher:
    def __init__(self, seen: list[Any] | None = None) -> None:
        self.seen: list[Any] = [] if seen is None else seen
        self.run: Any = None

    def started(self, run: Any) -> None:
        self.run = run
        self.seen.append("started")

    def turn(self, transitions: Any, counts: Any) -> None:
        self.seen.append(("turn", [type(one.new).__name__ for one in transitions], dict(counts)))

    def log(self, lines: Any) -> None: ...

    def ended(self, state: Any) -> None:
        self.seen.append(("ended", type(state).__name__))


@task
def one() -> int:
    return 1


@task
def below(x: Any) -> Any:
    return x


def chain() -> FlowGraph:
    with FlowGraph("chain") as graph:
        below(one())
    return graph


class TestOrder:
    def test_the_journal_comes_first_then_the_audience_then_the_act(self) -> None:
        log: list[Any] = []

        class Journal(MemoryJournal):
            def commit(self) -> None:
                super().commit()
                log.append("commit")

            def close(self) -> None:
                log.append("journal closed")

        state = Run(chain(), {}, Place(log=log), observers=[Watcher(log)], journal=Journal()).drive()

        assert type(state) is Success
        kinds = [one if isinstance(one, str) else one[0] for one in log]
        assert kinds[:5] == ["open", "started", "commit", "turn", "submit"]
        assert kinds[-3:] == ["ended", "close", "journal closed"]
        for at, kind in enumerate(kinds):
            if kind in ("turn", "submit"):
                assert "commit" in kinds[:at]
        assert ("submit", ["one-1", "below-1"]) in log, "a turn's submits travel together"

    def test_the_act_is_journaled_with_its_attempt(self) -> None:
        run = Run(chain(), {}, Place())
        run.drive()

        history = run.history(RunKey("below-1"))

        assert [type(entry) for entry in history] == [Submitted, Transition, Transition]
        assert history[0] == Submitted(history[0].time, 1, RunKey("below-1"), 1, 1, True)

    def test_a_submit_that_cannot_be_lowered_fails_its_task_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from prefectlite.lowering.lower import Lowering
        from prefectlite.lowering.shipment import Lowered

        lower = Lowering.lower

        def refusing(self: Any, submits: Any, state_of: Any) -> Any:
            submits = list(submits)
            good = lower(self, [one for one in submits if one.key.slug == "one-1"], state_of)
            bad = [(one, SerializationError("no way")) for one in submits if one.key.slug != "one-1"]
            return Lowered(good.shipments, good.literals, bad)

        monkeypatch.setattr(Lowering, "lower", refusing)
        graph = chain()
        state = Run(graph, {}, Place()).drive()

        first, second = (state.result[one] for one in graph.sorted_tasks())
        assert type(first) is Success
        assert type(second) is Failed
        assert "no way" in (second.message or "")

    def test_timers_bring_retries(self) -> None:
        with FlowGraph("retry") as graph:
            tried = one(task_args={"max_retries": 1, "retry_delay": 0.05})

        def script(shipment: Any) -> Report:
            if shipment.attempt == 1:
                return Report(Failed("no", ValueError()), time.time(), time.time())
            return returned(5)

        began = time.monotonic()
        state = Run(graph, {}, Place(script)).drive()

        assert state.result[tried].result == 5
        assert time.monotonic() - began >= 0.05


class TestLooking:
    def test_a_run_can_be_asked_before_during_and_after(self) -> None:
        gate = threading.Event()
        waiting = threading.Event()

        def script(shipment: Any) -> Report | None:
            waiting.set()
            return None

        place = Place(script)
        with FlowGraph("looking") as graph:
            x = Parameter("x", default=2)
            last = below(x)
        watcher = Watcher()
        run = Run(graph, {}, place, observers=[watcher])
        assert run.states()[last].is_pending()
        assert run.counts() == {}
        assert run.description == ""
        assert run.dashboard_link is None

        thread = threading.Thread(target=run.drive)
        thread.start()
        assert waiting.wait(30)
        session = place.sessions[0]
        shipment = session.shipments[0]
        session.deliver([AttemptStarted(time.time(), shipment.run, shipment.submission)])
        deadline = time.monotonic() + 10
        while run.counts() != {"Running": 1} and time.monotonic() < deadline:
            time.sleep(0.01)
        assert run.counts() == {"Running": 1}
        assert run.states()[last].is_running()
        assert run.states()[x].result == 2
        assert run.dashboard_link == "http://somewhere"
        assert watcher.run is run
        assert watcher.run.slugs[last] == "below-1"
        assert dict(run.parameters) == {"x": 2}
        with pytest.raises(TimeoutError, match="looking"):
            run.wait(0.01)
        session.deliver([AttemptFinished(time.time(), shipment.run, shipment.submission, returned(7))])
        thread.join(30)
        gate.set()

        assert run.wait().result[last].result == 7
        assert run.is_over
        assert run.dashboard_link is None
        assert run.counts() == {"Success": 1}
        assert run.description == "a script"

    def test_log_lines_reach_the_audience(self) -> None:
        from prefectlite.worker.logs import LogLine

        told: list[Any] = []
        line = LogLine(0.0, 20, "a", "hello", "f", "r", 1)

        class Listener(Watcher):
            def log(self, lines: Any) -> None:
                told.extend(lines)

        place = Place()

        def script(shipment: Any) -> Report:
            place.sessions[0].deliver_logs([line])
            return returned()

        place.script = script
        Run(chain(), {}, place, observers=[Listener()]).drive()

        assert told == [line, line]


class TestValues:
    def large(self) -> tuple[Run, Any, Place]:
        place = Place(lambda shipment: Report(None, 0.0, 0.0, None, 10**6))
        with FlowGraph("large") as graph:
            made = one()
        return Run(graph, {}, place), made, place

    def test_kept_values_live_as_long_as_a_state_or_the_handle(self) -> None:
        run, made, place = self.large()
        state = run.drive()
        assert state.result[made].result == ("fetched", 0, 1)
        assert ("close", 1) in place.log

        gc.disable()
        try:
            del run
            single = state.result[made]
            del state
            assert "drop" not in place.log
            assert single.result == ("fetched", 0, 1)
            del single
            assert "drop" in place.log, "without the help of the garbage collector"
        finally:
            gc.enable()

    def test_the_handle_alone_keeps_them_too(self) -> None:
        run, made, place = self.large()
        run.drive()
        gc.collect()
        assert "drop" not in place.log

        del run, made
        gc.collect()
        assert "drop" in place.log

    def test_the_engine_does_not_outlive_the_run(self) -> None:
        run, made, _ = self.large()
        state = run.drive()
        engine = weakref.ref(run._engine)  # type: ignore[type-var]
        del run
        gc.collect()

        assert engine() is None
        assert state.result[made].result == ("fetched", 0, 1)

    def test_results_that_came_with_reports_are_bounded_and_the_oldest_go_first(self) -> None:
        values = Values(budget=3000)
        values.read_from(Session(Place(), lambda events: None, None))  # type: ignore[arg-type]
        values.number_by(lambda key: key.index)
        for run in range(5):
            report = Report(None, 0.0, 0.0, pickle.dumps(b"x" * 1000), 1000)
            for _ in range(2):  # a report may come twice
                event = values.take(AttemptFinished(0.0, run, 1, report))
                assert event.report.inline is None
        small = AttemptFinished(0.0, 9, 1, Report(None, 0.0, 0.0, b"x" * RIDES_ALONG))
        assert values.take(small) is small

        found = [values.fetch(ResultRef(RunKey("a", run), source=values)) for run in range(5)]

        assert found == [*(("fetched", run, 1) for run in range(3)), b"x" * 1000, b"x" * 1000]

    def test_an_unknown_run_has_no_value(self) -> None:
        values = Values()
        values.read_from(Session(Place(), lambda events: None, None))  # type: ignore[arg-type]

        with pytest.raises(ResultUnavailable, match=r"a-1\[3\]"):
            values.fetch(ResultRef(RunKey("a-1", 3), source=values))

    def test_a_reference_that_is_pickled_leaves_its_source_behind(self) -> None:
        values = Values()
        values.read_from(Session(Place(), lambda events: None, None))  # type: ignore[arg-type]
        ref = pickle.loads(pickle.dumps(ResultRef(RunKey("a"), source=values)))

        with pytest.raises(ResultUnavailable, match="not kept"):
            ref.fetch()

    def test_children_are_found_after_the_end(self) -> None:
        def script(shipment: Any) -> Report:
            return returned([1, 2, 3]) if shipment.slug == "one-1" else Report(None, 0.0, 0.0, None, 10**6)

        with FlowGraph("children") as graph:
            children = below.map(one())
        run = Run(graph, {}, Place(script))
        state = run.drive()

        assert type(state.result[children]) is Mapped
        assert [found[0] for found in state.result[children].result] == ["fetched"] * 3
        ref = ResultRef(RunKey("below-1", 3), source=run._values)
        with pytest.raises(ResultUnavailable):
            ref.fetch()


class TestBreaking:
    def test_a_wrong_parameter_is_refused_before_anything_starts(self) -> None:
        place = Place()

        with pytest.raises(ParameterError):
            Run(chain(), {"x": 1}, place)

        assert place.log == []

    def test_a_place_that_cannot_be_reached_raises_and_every_waiter_learns_it(self) -> None:
        class Unreachable(Place):
            def open(self, *arguments: Any) -> Any:
                raise ExecutorError("nobody at tcp://nowhere")

        run = Run(chain(), {}, Unreachable())

        with pytest.raises(ExecutorError, match="nowhere"):
            run.drive()
        with pytest.raises(ExecutorError, match="nowhere"):
            run.wait()
        assert run.is_over

    def test_a_place_that_fails_before_the_first_word_raises(self) -> None:
        def script(shipment: Any) -> Report:
            raise ExecutorError("the cluster never came up")

        place = Place(script)

        with pytest.raises(ExecutorError, match="never came up"):
            Run(chain(), {}, place).drive()
        assert place.log[-1] == ("close", 0)

    def test_a_flow_that_cannot_be_compiled_raises_and_closes_the_place(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any, **__: Any) -> Any:
            raise DefinitionError("a cycle")

        monkeypatch.setattr("prefectlite.driver.run.compile_flow", broken)
        place, watcher = Place(), Watcher()

        with pytest.raises(DefinitionError, match="a cycle"):
            Run(chain(), {}, place, observers=[watcher]).drive()

        assert place.log[-1] == ("close", 0)
        assert watcher.seen == ["started", ("ended", "Failed")]

    @pytest.mark.parametrize(
        "error", [RuntimeError("bug"), ExecutorError("the scheduler is gone"), MemoryError(), Mute()]
    )
    def test_an_error_of_our_own_ends_the_run_with_all_states(
        self, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        with FlowGraph("breaks") as graph:
            first = one(task_args={"state_handlers": [lambda *arguments: None]})
            last = below(first)

        def script(shipment: Any) -> Report:
            if shipment.slug == "below-1":
                raise error
            return returned(3)

        place, watcher = Place(script), Watcher()
        run = Run(graph, {}, place, observers=[watcher])
        state = run.drive()

        assert type(state) is Failed
        assert type(error).__name__ in (state.message or "")
        assert "script" in (state.traceback or "")
        assert state.result[first].result == 3
        assert type(state.result[last]) is Cancelled
        assert [one[0] for one in place.log[-2:]] == ["cancel", "close"]
        assert watcher.seen[-1] == ("ended", "Failed")
        assert run.wait() is state
        assert "broke off" in caplog.text
        # What an error of a place says is enough.
        assert ("Traceback" in caplog.text) is not isinstance(error, ExecutorError)
        assert run.counts() == {"Success": 1, "Cancelled": 1}
        run.cancel()
        assert run.wait() is state
        assert "broke off" in run.history(RunKey("below-1"))[-1].why.text  # type: ignore[union-attr]

    @pytest.mark.parametrize("kind", [SystemExit, Alarm])
    def test_what_is_no_error_goes_through_once_the_run_has_ended(self, kind: type[BaseException]) -> None:
        def script(shipment: Any) -> Report:
            raise kind

        place, watcher = Place(script), Watcher()
        run = Run(chain(), {}, place, observers=[watcher])
        with pytest.raises(kind):
            run.drive()

        assert [one[0] for one in place.log[-2:]] == ["cancel", "close"]
        assert watcher.seen[-1] == ("ended", "Cancelled")
        assert {type(one) for one in run.states().values()} == {Cancelled}
        with pytest.raises(kind):
            run.wait(0)

    def test_a_run_that_breaks_off_in_its_journal_ends_with_all_states(self) -> None:
        class Full(MemoryJournal):
            def record(self, records: Any) -> None:
                raise OSError("no space left")

        graph = chain()
        run = Run(graph, {}, Place(), journal=Full())
        state = run.drive()

        assert type(state) is Failed
        assert "no space left" in (state.message or "")
        assert {type(one) for one in state.result.values()} == {Cancelled}
        assert run.counts() == {"Cancelled": 2}
        assert not run.cancel()
        assert run.wait() is state

    def test_what_cannot_be_stopped_or_closed_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        class Stubborn(Session):
            def submit(self, lowered: Any) -> None:
                raise RuntimeError("bug")

            def cancel(self, why: str) -> None:
                raise RuntimeError("cannot cancel")

            def close(self, keep: Any) -> None:
                raise RuntimeError("cannot close")

        class StubbornPlace(Place):
            def open(self, brief: Any, deliver: Any, deliver_logs: Any) -> Any:
                return Stubborn(self, deliver, deliver_logs)

        state = Run(chain(), {}, StubbornPlace()).drive()

        assert type(state) is Failed
        assert "cannot cancel" in caplog.text
        assert "cannot close" in caplog.text

    def test_an_observer_that_raises_does_no_harm(self, caplog: pytest.LogCaptureFixture) -> None:
        class Bad(Watcher):
            def turn(self, transitions: Any, counts: Any) -> None:
                raise RuntimeError("observer broke")

        with caplog.at_level(logging.ERROR):
            state = Run(chain(), {}, Place(), observers=[Bad()]).drive()

        assert type(state) is Success
        assert caplog.text.count("is told nothing more") == 1


class TestCancelling:
    def test_cancel_stops_what_is_in_flight(self) -> None:
        begun = threading.Event()
        place = Place(lambda shipment: begun.set())
        graph = chain()
        run = Run(graph, {}, place)
        thread = threading.Thread(target=run.drive)
        thread.start()
        assert begun.wait(30)
        run.cancel("enough")
        state = run.wait(30)
        thread.join(30)

        assert type(state) is Cancelled
        assert {type(one) for one in state.result.values()} == {Cancelled}
        assert ("cancel", "enough") in place.log

    def test_a_cancel_before_the_start_is_heard(self) -> None:
        run = Run(chain(), {}, Place(lambda shipment: None))
        run.cancel()

        assert type(run.drive()) is Cancelled

    def test_a_signal_may_cancel_it_while_the_thread_that_it_interrupts_looks_at_it(self) -> None:
        begun = threading.Event()
        run = Run(chain(), {}, Place(lambda shipment: begun.set()))
        driving = threading.Thread(target=run.drive)
        driving.start()
        assert begun.wait(30)

        def look() -> None:
            with run._lock:
                run.cancel()

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        looking.join(30)
        assert not looking.is_alive()
        assert type(run.wait(30)) is Cancelled
        driving.join(30)

    def press(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def test_ctrl_c_ends_the_run_cancelled_and_goes_on(self) -> None:
        place = Place()

        def script(shipment: Any) -> None:
            if shipment.slug == "one-1":
                threading.Timer(0.05, self.press).start()

        place.script = script
        run = Run(chain(), {}, place)
        former = signal.getsignal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            run.drive()

        assert place.sessions[0].interrupted == 1
        assert type(run.wait()) is Cancelled
        assert place.log[-1][0] == "close"
        assert signal.getsignal(signal.SIGINT) is former

    def test_a_second_ctrl_c_forces_the_end(self) -> None:
        place = Place()

        def script(shipment: Any) -> None:
            def twice() -> None:
                self.press()
                time.sleep(0.05)
                self.press()

            if shipment.slug == "one-1":
                threading.Timer(0.02, twice).start()

        class Deaf(Session):
            def interrupt(self) -> None:
                time.sleep(30)

        place.script = script
        place.open = lambda brief, deliver, logs: Deaf(place, deliver, logs)  # type: ignore[method-assign]
        run = Run(chain(), {}, place)
        began = time.monotonic()

        with pytest.raises(KeyboardInterrupt):
            run.drive()

        assert time.monotonic() - began < 20
        assert place.log[-1] == ("close", 0)
        with pytest.raises(KeyboardInterrupt):
            run.wait()

    def test_ctrl_c_before_the_loop_begins_goes_through(self) -> None:
        place = Place()

        def opening(*arguments: Any) -> Any:
            self.press()
            time.sleep(0.05)
            raise AssertionError

        place.open = opening  # type: ignore[method-assign]

        with pytest.raises(KeyboardInterrupt):
            Run(chain(), {}, place).drive()

    def test_ctrl_c_while_waiting_cancels_the_run(self) -> None:
        begun = threading.Event()
        run = Run(chain(), {}, Place(lambda shipment: begun.set()))
        thread = threading.Thread(target=run.drive)
        thread.start()
        assert begun.wait(30)
        threading.Timer(0.05, self.press).start()

        with pytest.raises(KeyboardInterrupt):
            run.wait(30)

        thread.join(30)
        assert type(run.wait()) is Cancelled
