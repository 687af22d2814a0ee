"""Everything in this thread: attempts in order, values until released, Ctrl-C inside a body."""

from __future__ import annotations

import logging
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefectlite.core.annotations import unmapped
from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import task
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import AttemptFinished, AttemptHeld, CallsFinished, RunStarted
from prefectlite.engine.instructions import EndRun, Submit, SubmitMany
from prefectlite.errors import ResultUnavailable
from prefectlite.executors.held import ROOM
from prefectlite.executors.local import LocalExecutor, LocalSession
from prefectlite.executors.protocol import Executor, RunBrief
from prefectlite.flow import Flow
from prefectlite.lowering.compile import compile  # noqa: A004  # its name everywhere
from prefectlite.lowering.lower import Lowered, Lowering
from prefectlite.states import signals
from prefectlite.states.state import Cancelled, Failed
from prefectlite.tasks.resource_manager import ResourceManager
from prefectlite.worker.attempt import Interruption
from prefectlite.worker.logs import LogLine, installation
from tests.faults.ground import until

RUN = "0123456789abcdef" * 2


@task
def inc(x: Any) -> Any:
    return x + 1


@task
def each(x: Any, extra: Any = None) -> Any:
    return x


class Rig:
    """A flow at the local place, stepped by hand."""

    def __init__(self, graph: FlowGraph) -> None:
        self.compiled = compile(graph, {})
        self.engine = Engine(self.compiled.plan, run_id=RUN)
        self.lowering = Lowering(self.compiled, run_id=RUN, pickles=False)
        self.events: list[Any] = []
        self.lines: list[LogLine] = []
        self.session = LocalExecutor().open(RunBrief(RUN, graph.name), self.events.extend, self.lines.extend)

    def start(self) -> Lowered:
        out = self.engine.handle(RunStarted(time.time()))
        lowered = self.lowering.lower(
            [one for one in out if isinstance(one, Submit | SubmitMany)], self.engine.state
        )
        self.session.submit(lowered)
        return lowered

    def number(self, of: Any) -> int:
        return self.compiled.numbers[of]


@pytest.fixture
def rig() -> Iterator[Callable[[FlowGraph], Rig]]:
    made: list[Rig] = []

    def make(graph: FlowGraph) -> Rig:
        made.append(Rig(graph))
        return made[-1]

    yield make
    for one in made:
        one.session.close(())
    assert installation._levels == []


def test_it_is_an_executor_that_needs_no_pickling() -> None:
    executor = LocalExecutor()
    assert isinstance(executor, Executor)
    assert repr(executor) == "LocalExecutor()"
    assert not LocalSession.pickles
    assert LocalSession.dashboard_link is None


def test_attempts_run_in_this_thread_in_order_and_report_in_one_batch(rig: Any) -> None:
    threads: list[int] = []

    @task
    def here(x: int) -> int:
        threads.append(threading.get_ident())
        return x

    with FlowGraph("f") as graph:
        inc(here(here(1)))
    one = rig(graph)
    one.start()
    assert one.session.work(10)
    (event,) = one.events
    assert isinstance(event, CallsFinished)
    assert (list(event.runs), list(event.submissions)) == ([0, 1, 2], [1, 1, 1])
    assert [pickle.loads(event.reports.one(place).inline) for place in range(3)] == [1, 1, 2]
    assert (event.reports.where, event.time) == ("local", event.reports.ended[-1])
    assert set(threads) == {threading.get_ident()}
    assert one.session.fetch(2, 1) == 2
    assert not one.session.work(10)
    assert one.session.room() == ROOM, "one runs at a time, however many wait"


def test_what_is_no_plain_success_is_told_of_by_itself_and_in_its_place(rig: Any) -> None:
    with FlowGraph("f") as graph:
        for x in (1, 2, "no number", 3, 4):
            inc(x)
    one = rig(graph)
    one.start()
    one.session.work(10)
    kinds = [type(event) for event in one.events]
    assert kinds == [CallsFinished, AttemptFinished, CallsFinished]
    assert [list(event.runs) for event in one.events[::2]] == [[0, 1], [3, 4]]


def test_the_budget_bounds_a_turn_but_something_always_runs(rig: Any) -> None:
    with FlowGraph("f") as graph:
        for i in range(3):
            inc(i)
    one = rig(graph)
    one.start()
    for turn in range(1, 4):
        assert one.session.work(0)
        assert len(one.events) == turn


def test_what_is_behind_a_failure_is_held(rig: Any) -> None:
    with FlowGraph("f") as graph:
        each(each(inc("no number")))
    one = rig(graph)
    one.start()
    one.session.work(10)
    failed, *held = one.events
    assert isinstance(failed.report.state, Failed)
    assert isinstance(failed.report.state.result, TypeError)
    assert [type(event) for event in held] == [AttemptHeld, AttemptHeld]


def test_a_whole_run_goes_through(rig: Any) -> None:
    with FlowGraph("f") as graph:
        mapped = each.map(each.map([3, 4]), extra=unmapped(inc(1)))
    one = rig(graph)
    one.start()
    end = None
    while end is None:
        one.session.work(10)
        events, one.events[:] = one.events[:], []
        for event in events:
            out = one.engine.handle(event)
            submits = [step for step in out if isinstance(step, Submit | SubmitMany)]
            one.session.submit(one.lowering.lower(submits, one.engine.state))
            end = next((step.state for step in out if isinstance(step, EndRun)), end)
    assert end.is_successful()
    children = one.engine.children(one.number(mapped))
    assert [one.session.fetch(child, 1) for child in children] == [3, 4]


def test_a_released_value_is_gone_and_a_released_attempt_never_runs(rig: Any) -> None:
    with FlowGraph("f") as graph:
        for i in range(2):
            inc(i)
    one = rig(graph)
    one.start()
    one.session.work(0)
    one.session.release([(0, 1, 2), (7, 1, 1)])
    assert not one.session.work(10)
    with pytest.raises(ResultUnavailable, match=r"when its last reader was done.*keep_result=True"):
        one.session.fetch(0, 1)


def test_a_value_that_nobody_reads_is_not_held(rig: Any) -> None:
    with FlowGraph("f") as graph:
        a = inc(1)
        inc(2, upstream_tasks=[a])
    one = rig(graph)
    one.start()
    one.session.work(10)
    assert one.session.fetch(1, 1) == 3
    with pytest.raises(ResultUnavailable):
        one.session.fetch(0, 1)


def test_kept_values_outlive_the_session_until_they_are_dropped(rig: Any) -> None:
    with FlowGraph("f") as graph:
        inc(1)
        inc(2)
    one = rig(graph)
    one.start()
    one.session.work(10)
    one.session.close([(1, 1, 1), (9, 1, 3)])
    one.session.close([(1, 1, 1)])
    assert one.session.fetch(1, 1) == 3
    with pytest.raises(ResultUnavailable, match="when the flow run ended"):
        one.session.fetch(0, 1)
    one.session.drop()
    with pytest.raises(ResultUnavailable):
        one.session.fetch(1, 1)


def test_cancelled_work_is_forgotten(rig: Any) -> None:
    with FlowGraph("f") as graph:
        inc(1)
    one = rig(graph)
    one.start()
    one.session.cancel("enough")
    assert not one.session.work(10)
    assert one.events == []


def test_logs_and_prints_of_bodies_reach_the_driver(rig: Any) -> None:
    @task(log_stdout=True)
    def wordy() -> None:
        print("printed")
        logging.getLogger("mine").info("logged")

    with FlowGraph("talk") as graph:
        wordy()
    one = rig(graph)
    one.start()
    one.session.work(10)
    told = [(line.flow, line.run, line.attempt, line.where, line.message) for line in one.lines]
    assert told == [("talk", "wordy-1", 1, "local", "printed"), ("talk", "wordy-1", 1, "local", "logged")]


def test_ctrl_c_passes_through_the_body_and_calls_its_run_off(rig: Any) -> None:
    cleaned: list[str] = []

    @task
    def sleeper() -> None:
        try:
            signal.raise_signal(signal.SIGUSR1)
            time.sleep(60)
        except Exception:
            cleaned.append("swallowed")
        finally:
            cleaned.append("finally")

    with FlowGraph("f") as graph:
        sleeper()
        inc(1)
    one = rig(graph)
    one.start()

    def press(number: int, frame: Any) -> None:
        one.session.hold()
        one.session.interrupt()

    before = signal.signal(signal.SIGUSR1, press)
    try:
        one.session.work(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert one.events == []  # nor does the other one begin: the driver will say what becomes of both
    assert cleaned == ["finally"]


def test_an_interrupt_raises_nothing_where_no_body_runs(rig: Any) -> None:
    with FlowGraph("f") as graph:
        inc(1)
    one = rig(graph)
    one.session.interrupt()
    one.start()
    one.session.work(10)
    one.session.interrupt()


def test_an_interrupt_from_another_thread_raises_nothing_there(rig: Any) -> None:
    raised: list[BaseException] = []

    @task
    def body() -> None:
        def other() -> None:
            try:
                one.session.interrupt()
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with FlowGraph("f") as graph:
        body()
    one = rig(graph)
    one.start()
    one.session.work(10)
    assert raised == []
    assert one.events[0].report.state is None


def test_an_interruption_between_body_and_report_calls_the_run_off_too(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> Any:
        raise Interruption

    with FlowGraph("f") as graph:
        inc(1)
    one = rig(graph)
    one.start()
    monkeypatch.setattr("prefectlite.executors.local.perform_at", interrupted)
    one.session.work(10)
    assert isinstance(one.events[0].report.state, Cancelled)


class TestBlocks:
    """Children of a map run one after the other, and what differs is told by itself."""

    def test_children_that_succeed_are_told_of_together_and_others_apart(self) -> None:
        def body(x: int) -> Any:
            if x == 3:
                raise ValueError(x)
            if x == 6:
                raise signals.SKIP("left out")
            return [x] * (5000 if x == 8 else 1)

        with Flow("f") as flow:
            mapped = task(body, name="body").map(list(range(10)))
            after = task(lambda xs: len(xs), name="after").map(mapped)
        state = flow.run(executor=LocalExecutor())
        names = [type(one).__name__ for one in state.result[mapped].map_states]
        assert names == ["Success"] * 3 + ["Failed"] + ["Success"] * 2 + ["Skipped"] + ["Success"] * 3
        lengths = [one.result for one in state.result[after].map_states if type(one).__name__ == "Success"]
        assert lengths == [1, 1, 1, 1, 1, 1, 5000, 1]

    def test_a_child_whose_upstream_is_tried_again_runs_after_it_and_once(self) -> None:
        ran: list[tuple[str, int]] = []

        def first(x: int) -> int:
            ran.append(("first", x))
            if x == 2 and ran.count(("first", 2)) == 1:
                raise ValueError(x)
            return x

        def second(x: int) -> int:
            ran.append(("second", x))
            return x

        with Flow("f") as flow:
            above = task(first, max_retries=1).map(list(range(5)))
            below = task(second).map(above)
        state = flow.run(executor=LocalExecutor())
        assert state.result[below].result == list(range(5))
        assert sorted(ran) == sorted(
            [("first", x) for x in range(5)] + [("first", 2)] + [("second", x) for x in range(5)]
        )
        assert ran.index(("second", 2)) > len(ran) - 1 - ran[::-1].index(("first", 2))


def test_a_value_is_read_before_the_next_is_made() -> None:
    seen: list[str] = []

    @task
    def load(i: int) -> int:
        seen.append(f"load {i}")
        return i

    @task
    def summed(i: int) -> int:
        seen.append(f"sum {i}")
        return i

    with Flow("calls") as flow:
        for one in [load(i) for i in range(3)]:
            summed(one)
    flow.run(executor=LocalExecutor())
    assert seen == ["load 0", "sum 0", "load 1", "sum 1", "load 2", "sum 2"]


class TestARunThatIsDrivenInAThread:
    @pytest.mark.parametrize("isolate", [False, True])
    @pytest.mark.parametrize("width", [None, 3])
    def test_a_cancel_interrupts_its_body(self, tmp_path: Path, isolate: bool, width: int | None) -> None:
        said = tmp_path / "said"

        def body(x: int) -> None:
            try:
                with said.open("a") as file:
                    file.write("began ")
                for _ in range(6000):
                    time.sleep(0.01)
            finally:
                with said.open("a") as file:
                    file.write("ended ")

        nap = task(body, name="nap", isolate=isolate)
        with Flow("long") as flow:
            nap(1) if width is None else nap.map(list(range(width)))
        run = flow.start(executor=LocalExecutor())
        until(lambda: said.exists() and said.read_text(), "the body to begin")
        run.cancel()
        state = run.wait(20)

        assert isinstance(state, Cancelled)
        assert said.read_text() == "began ended "

    def test_what_cleans_up_after_a_cancel_is_not_interrupted(self, tmp_path: Path) -> None:
        said = tmp_path / "said"

        class Place:
            def setup(self) -> int:
                return 1

            def cleanup(self, value: int) -> None:
                time.sleep(0.1)
                said.write_text(said.read_text() + " cleaned")

        def body(value: object) -> None:
            said.write_text("began")
            for _ in range(6000):
                time.sleep(0.01)

        with Flow("long") as flow, ResourceManager(Place, name="place")() as place:
            task(body, name="nap")(place)
        run = flow.start(executor=LocalExecutor())
        until(lambda: said.exists() and said.read_text(), "the body to begin")
        run.cancel()

        assert isinstance(run.wait(20), Cancelled)
        assert said.read_text() == "began cleaned"

    def test_a_second_ctrl_c_while_it_is_waited_for_leaves_its_cleanup_out(self, tmp_path: Path) -> None:
        said = tmp_path / "said"

        def say(word: str) -> None:
            with said.open("a") as file:
                file.write(f"{word} ")
            for _ in range(6000):
                time.sleep(0.01)

        class Place:
            def setup(self) -> int:
                return 1

            def cleanup(self, value: int) -> None:
                say("cleans")
                say("never")

        def press_twice() -> None:
            for word in ("began", "cleans"):
                until(lambda word=word: said.exists() and word in said.read_text(), word)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        with Flow("long") as flow, ResourceManager(Place, name="place")() as place:
            task(lambda value: say("began"), name="nap")(place)
        run = flow.start(executor=LocalExecutor())
        pressing = threading.Thread(target=press_twice)
        pressing.start()
        with pytest.raises(KeyboardInterrupt):
            run.wait(60)
        pressing.join(60)

        assert isinstance(run.wait(0), Cancelled)
        assert said.read_text().split() == ["began", "cleans"]
