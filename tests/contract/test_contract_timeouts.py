"""Timeouts and isolation at all places: section 14 of the reference, ``timeout`` and ``isolate`` of SEMANTICS.md.

Where we differ from Prefect 1: a timeout ends the body wherever it runs, also code that never comes back;
start-up does not count; ``retry_on`` sees a ``TimeoutError``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, context, signals, task, triggers
from prefectlite.driver.run import Run
from prefectlite.executors.attempts import Attempt, AttemptSession
from prefectlite.states import Cancelled, Crashed, Failed, Skipped, Success, TimedOut
from prefectlite.testing import simulate


def is_alive(number: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(question: Any) -> None:
    deadline = time.monotonic() + 20
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def noted(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_timeout_ends_the_body_whatever_it_does_and_the_place_goes_on(world: Any, tmp_path: Path) -> None:
    log = tmp_path / "processes"

    def note() -> None:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")

    @task(timeout=0.5)
    def sleeps() -> None:
        note()
        time.sleep(600)

    @task(timeout=timedelta(milliseconds=500))
    def loops() -> None:
        note()
        while True:
            pass

    @task(timeout=0.5)
    def loops_in_c() -> None:
        import ctypes

        note()
        ctypes.PyDLL(None).sleep(600)

    @task(timeout=1.5)
    def starts() -> None:
        note()
        code = f"import os, time; open({str(log)!r}, 'a').write(f'{{os.getpid()}}\\n'); time.sleep(600)"
        subprocess.run([sys.executable, "-c", code], check=True)

    @task(trigger=triggers.all_failed)
    def after() -> str:
        return "the place works"

    with Flow("hung") as flow:
        hung = [sleeps(), loops(), loops_in_c(), starts()]
        last = after(upstream_tasks=hung)

    state = world.run(flow)

    assert {type(state.result[one]) for one in hung} == {TimedOut}
    assert state.result[hung[0]].message == "The body was ended at its limit of 0.5 s."
    assert isinstance(state.result[hung[0]].result, TimeoutError)
    assert state.result[last].result == "the place works"
    processes = noted(log)
    assert len(processes) == 5
    wait_until(lambda: not any(map(is_alive, processes)))


def test_a_timed_out_run_is_tried_again_by_the_retry_rule(world: Any) -> None:
    ran = world.ran

    @task(timeout=0.3, max_retries=1)
    def second_time() -> int:
        ran("second_time")
        if context.task_run_count == 1:
            time.sleep(600)
        return context.attempt  # type: ignore[no-any-return]

    @task(timeout=0.3, max_retries=1, retry_on=TimeoutError)
    def never() -> None:
        ran("never")
        time.sleep(600)

    @task(timeout=0.3, max_retries=1, retry_on=ValueError)
    def other() -> None:
        ran("other")
        time.sleep(600)

    with Flow("again") as flow:
        second_time()
        never()
        other()

    flow_state, ends = world.outcome(flow)

    assert flow_state == "Failed"
    assert ends == {
        "second_time-1": 2,
        "never-1": "TimedOut(TimeoutError)",
        "other-1": "TimedOut(TimeoutError)",
    }
    assert world.runs() == {"second_time": 2, "never": 2, "other": 1}


def test_children_of_a_map_have_a_limit_each(world: Any) -> None:
    @task(timeout=0.4)
    def child(x: int) -> int:
        if x % 4 == 1:
            time.sleep(600)
        time.sleep(0.1)
        return x

    @task
    def below(x: int) -> int:
        return -x

    with Flow("map") as flow:
        children = child.map(list(range(7)))
        below.map(children)

    late, refused = "TimedOut(TimeoutError)", "TriggerFailed"
    found = world.outcome(flow)[1]
    assert found["child-1"] == [0, late, 2, 3, 4, late, 6]
    assert [one if isinstance(one, int) else one.partition("(")[0] for one in found["below-1"]] == [
        *(0, refused, -2, -3, -4, refused, -6)
    ]


def test_a_limit_that_is_not_reached_changes_nothing(world: Any) -> None:
    def body(x: Any) -> Any:
        logging.getLogger("etl").warning("at %s", context.task_full_name)
        print("printed", x)
        if x == 1:
            raise signals.SKIP("one")
        if x == 2:
            raise ValueError(x)
        if x == 3:
            raise SystemExit(3)
        if x == 4:
            raise signals.SUCCESS("four", result="4")
        if x == 5:
            raise signals.FAIL("five") from KeyError(x)
        if x == 6 and context.task_run_count == 1:
            raise signals.RETRY("six")
        if x == 7 and context.get("task_loop_count", 1) < 2:
            raise signals.ENDRUN(Failed("over"))
        return [context.map_index, context.parameters, context.idempotency_key[:0], x]

    lines: list[Any] = []

    class Listener:
        def started(self, run: Any) -> None: ...
        def turn(self, transitions: Any, counts: Any) -> None: ...
        def ended(self, state: Any) -> None: ...
        def log(self, more: Any) -> None:
            lines.extend(more)

    found = []
    for options in ({}, {"timeout": 60}, {"isolate": True}):
        lines.clear()
        with Flow("alike") as flow:
            children = task(body, name="body", log_stdout=True, **options).map(list(range(9)))  # type: ignore[call-overload]
        state = Run(flow, {}, world.place, observers=[Listener()]).drive()
        said = [
            (type(one), one.message, getattr(one, "traceback", None), repr(one.result))
            for one in state.result[children].map_states
        ]
        heard = sorted((one.run, one.attempt, one.logger, one.level, one.message) for one in lines)
        found.append((said, heard))

    assert found[1] == found[0]
    assert found[2] == found[0]
    assert len(found[0][1]) == 20
    assert {kind for kind, *_ in found[0][0]} == {Success, Skipped, Failed, Crashed}


def test_a_looping_task_has_its_limit_per_iteration(world: Any) -> None:
    @task(timeout=5)
    def loops() -> Any:
        count = context.get("task_loop_count", 1)
        assert context.time_left() > 2
        if count < 4:
            raise signals.LOOP(f"{count}", result=count)
        return context.get("task_loop_result")

    with Flow("loop") as flow:
        loops()

    assert world.outcome(flow)[1] == {"loops-1": 3}


@pytest.mark.parametrize("act", ["exit", "segfault"])
def test_what_ends_an_isolated_bodys_process_ends_nothing_else(world: Any, act: str) -> None:
    @task(isolate=True)
    def child(x: int) -> int:
        if x == 2:
            if act == "exit":
                os._exit(5)
            import ctypes

            ctypes.string_at(0)
        return x

    with Flow("crash") as flow:
        children = child.map(list(range(5)))

    state = world.run(flow)

    ends = state.result[children].map_states
    assert [type(one) for one in ends] == [Success, Success, Crashed, Success, Success]
    assert ends[2].cause == "exited"
    assert ("exit status 5" if act == "exit" else "SIGSEGV") in ends[2].message


def test_a_cancel_ends_an_isolated_body_that_never_comes_back(
    world: Any, is_alone: bool, ends_bodies: bool, tmp_path: Path
) -> None:
    log = tmp_path / "process"

    @task(isolate=True)
    def stuck() -> None:
        import ctypes

        log.write_text(f"{os.getpid()}")
        ctypes.PyDLL(None).sleep(600)

    with Flow("stuck") as flow:
        only = stuck()

    run = flow.start(executor=world.executor)
    wait_until(lambda: noted(log))
    run.cancel()
    [process] = noted(log)
    if not (is_alone or ends_bodies):  # it is the executor's to end
        wait_until(lambda: run.states()[only].is_finished())
        os.kill(process, signal.SIGKILL)
    state = run.wait(60)

    assert type(state) is Cancelled
    assert type(state.result[only]) is Cancelled
    wait_until(lambda: not is_alive(process))
    with Flow("next") as after:
        following = task(lambda: 1, name="next", isolate=True)()
    assert world.run(after).result[following].result == 1


def test_a_task_of_a_class_may_have_a_limit(world: Any) -> None:
    from prefectlite import Task

    class Scale(Task):
        def __init__(self, factor: float, **options: Any) -> None:
            self.factor = factor
            super().__init__(**options)

        def run(self, x: float) -> float:
            return self.factor * x

    with Flow("class") as flow:
        Scale(3, timeout=60, state_handlers=[lambda task, old, new: new])(5)

    assert world.outcome(flow)[1] == {"Scale-1": 15}


def test_an_associative_reduce_may_have_a_limit(world: Any) -> None:
    @task(timeout=60, associative=True)
    def add_up(xs: list[int]) -> int:
        return sum(xs)

    @task
    def make(x: int) -> int:
        return x

    with Flow("sum") as flow:
        added = add_up(make.map(list(range(50))))

    assert world.run(flow).result[added].result == sum(range(50))


def test_in_this_process_what_cannot_travel_fails_a_limited_task_alone() -> None:
    import threading

    lock = threading.Lock()

    @task
    def holds() -> Any:
        return lock

    @task(timeout=60)
    def limited(it: Any) -> None: ...

    @task
    def plain(it: Any) -> bool:
        return it is lock

    with Flow("locks") as flow:
        it = holds()
        refused, taken = limited(it), plain(it)

    state = flow.run(executor=LocalExecutor())

    assert "its argument 'it' cannot be pickled to get there" in (state.result[refused].message or "")
    assert state.result[taken].result is True


def test_ctrl_c_in_this_process_ends_an_isolated_body(tmp_path: Path) -> None:
    import signal
    import threading

    log = tmp_path / "process"

    @task(isolate=True)
    def stuck() -> None:
        log.write_text(f"{os.getpid()}")
        time.sleep(600)

    with Flow("stuck") as flow:
        stuck()

    def press() -> None:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: noted(log))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        flow.run(executor=LocalExecutor())
    thread.join()

    wait_until(lambda: not any(map(is_alive, noted(log))))


def test_in_virtual_time_bodies_with_a_limit_run_in_this_process() -> None:
    seen: list[int] = []

    @task(timeout=0.001, isolate=True)
    def limited() -> int:
        seen.append(os.getpid())
        time.sleep(0.01)
        return 7

    with Flow("virtual") as flow:
        it = limited()

    assert simulate(flow)[it].result == 7
    assert seen == [os.getpid()]


def test_what_stands_in_for_a_body_with_a_limit_runs_where_it_was_made(tmp_path: Path) -> None:
    class Performs(AttemptSession):
        description = "stand-ins"

        def begin(self, attempt: Attempt) -> None:
            self.finish(attempt, attempt.perform(lambda **arguments: (os.getpid(), arguments)))

    class Executor:
        def open(self, *args: Any) -> Any:
            return Performs(*args)

    @task(timeout=60)
    def limited(x: int) -> int:
        raise NotImplementedError

    with Flow("stands in") as flow:
        it = limited(1)

    assert flow.run(executor=Executor()).result[it].result == (os.getpid(), {"x": 1})
