"""Attempts in a process of their own: they end as others do, and they can be ended."""

from __future__ import annotations

import ctypes
import logging
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefectlite import masking
from prefectlite.errors import SerializationError
from prefectlite.lowering.envelope import Envelope, FlowFacts, dumps_by_value
from prefectlite.lowering.spec import Spec
from prefectlite.states.signals import FAIL, LOOP, PAUSE, RETRY, SKIP, SUCCESS
from prefectlite.states.state import Cancelled, Crashed, Failed, State, Success, TimedOut
from prefectlite.worker import apart
from prefectlite.worker.apart import perform_apart
from prefectlite.worker.attempt import Here, Interruption, Outcome, perform
from prefectlite.worker.logs import installation
from prefectlite.worker.opened import OpenFlow, OpenTask

WAIT = 20.0


def attempt(
    body: Any,
    *,
    here: Here | None = None,
    given: dict[str, Any] | None = None,
    upstreams: tuple[Any, ...] = (),
    values: tuple[Any, ...] = (),
    index: int | None = None,
    drop: bool = False,
    measure: tuple[str, ...] = (),
    number: int = 1,
    **envelope: Any,
) -> Outcome:
    """Run a body as an attempt, in a process of its own if it asks for one."""
    facts = FlowFacts("ab" * 16, "etl", 86400.0, {"p": 1})
    task = Envelope("double", body, **envelope)
    return perform(
        OpenFlow(facts, dumps_by_value(facts)),
        OpenTask(task, dumps_by_value(task)),
        Spec("double-1", index, 1, number, given or {}, (), upstreams, drop, measure),
        values,
        here or Here("here", True, None, perform_apart),
    )


def value_of(outcome: Outcome) -> Any:
    assert outcome.report is not None
    assert outcome.report.state is None, outcome.report.state
    assert outcome.wrapper is not None
    return outcome.wrapper.value  # type: ignore[union-attr]


def state_of(outcome: Outcome) -> Any:
    assert outcome.report is not None
    assert outcome.wrapper is None
    assert outcome.report.where == "here"
    assert outcome.report.started <= outcome.report.ended
    return outcome.report.state


def pid() -> int:
    return int(value_of(attempt(lambda: __import__("os").getpid(), timeout=WAIT)))


def is_alive(number: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(question: Any) -> None:
    deadline = time.monotonic() + WAIT
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def sent_to_threads(function: Any, *args: Any) -> Iterator[threading.Thread]:
    """A thread that runs something while the block runs, and is over when it is left."""
    thread = threading.Thread(target=function, args=args)
    thread.start()
    yield thread
    thread.join(WAIT)
    assert not thread.is_alive()


# The same outcome with and without

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ENDS = st.one_of(
    st.tuples(st.just("return"), VALUES),
    st.tuples(
        st.just("return by name"),
        st.sampled_from(["array", "large", "lock", "generator", "class", "no length", "exception"]),
    ),
    st.tuples(
        st.just("raise"),
        st.sampled_from(
            [
                *("ValueError", "two", "unpicklable", "group", "chained", "huge", "decode", "untold"),
                *("SystemExit", "KeyboardInterrupt", "GeneratorExit", "TimeoutError"),
            ]
        ),
    ),
    st.tuples(
        st.just("signal"), st.sampled_from(["SKIP", "FAIL", "RETRY", "LOOP", "PAUSE", "SUCCESS", "ENDRUN"])
    ),
)


class Two(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


class BadText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class NoLength:
    def __len__(self) -> int:
        raise RuntimeError("no length")


def scripted(kind: str, what: Any, x: Any, says: list[str]) -> Any:
    """Do what a script says."""
    import logging

    from prefectlite import context
    from prefectlite.states import signals as s
    from prefectlite.states.state import Failed

    for text in says:
        print(text)
        logging.getLogger("etl").warning("said %s", text)
        context.logger.info("%s at %s", context.task_full_name, context.map_index)
    if kind == "return":
        return [x, what]
    if kind == "return by name":
        return {
            "array": lambda: __import__("numpy").arange(5),
            "large": lambda: "x" * 20_000,
            "lock": lambda: __import__("threading").Lock(),
            "generator": lambda: (one for one in ()),
            "class": lambda: Two,
            "no length": NoLength,
            "exception": lambda: [ValueError("kept")],
        }[what]()
    if kind == "signal":
        if what == "ENDRUN":
            raise s.ENDRUN(Failed("over", result=x))
        signal = getattr(s, what)("why", **({"result": x} if what in ("SUCCESS", "LOOP") else {}))
        raise signal from (KeyError("cause") if x else None)
    raise _made(what)


def _made(what: str) -> BaseException:
    import builtins

    if what == "chained":
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError("on top") from error
    made: dict[str, Any] = {
        "two": lambda: Two(1, 2),
        "unpicklable": lambda: ValueError(__import__("threading").Lock(), "held"),
        "group": lambda: ExceptionGroup("several", [ValueError(1), KeyError(2)]),
        "huge": lambda: ValueError("x" * 20_000),
        "decode": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        "untold": BadText,
    }
    error = made[what]() if what in made else getattr(builtins, what)("why")
    if what == "huge":
        error.add_note("a note")
    return error  # type: ignore[no-any-return]


def told(outcome: Outcome) -> Any:
    """Everything of an outcome that does not depend on the clock, or on where a lock lies in memory."""
    report = outcome.report
    assert report is not None
    state = report.state
    said = None if state is None else (type(state), state.message, getattr(state, "traceback", None))
    kept = None
    if state is not None and state.has_result:
        kept = comparable(state.result)
    # Dask has this process pickle exceptions in another way.
    inline = report.nbytes if report.inline is None else pickle.loads(report.inline)
    facts = (inline, report.length, report.flat_length, report.unmappable)
    rest = (report.retryable, report.where, report.success, report.forced, outcome.is_final)
    wrapper = outcome.wrapper
    carried = (
        None
        if wrapper is None
        else (type(wrapper), wrapper.attempt, comparable(getattr(wrapper, "value", 0)))
    )
    return without_addresses(repr((said, kept, facts, rest, carried)))


def comparable(value: Any) -> Any:
    if isinstance(value, BaseException):
        return type(value).__name__, repr(getattr(value, "args", ())), getattr(value, "__notes__", [])
    return value


def without_addresses(text: str) -> str:
    import re

    return re.sub(r"0x[0-9a-f]+", "0x", text)


@settings(max_examples=150)
@given(
    end=ENDS,
    x=VALUES,
    says=st.lists(st.text(max_size=10), max_size=2),
    index=st.none() | st.integers(0, 5),
    prints=st.booleans(),
    drop=st.booleans(),
    measure=st.sampled_from([(), ("length",), ("length", "flat")]),
    retry_on=st.sampled_from([None, (ValueError,), (TimeoutError, KeyError)]),
    pickles=st.booleans(),
    isolate=st.booleans(),
)
def test_an_attempt_ends_alike_with_a_limit_that_is_not_reached_and_without(
    end: tuple[str, Any],
    x: Any,
    says: list[str],
    index: int | None,
    prints: bool,
    pickles: bool,
    isolate: bool,
    **rest: Any,
) -> None:
    if not pickles and end[1] in ("lock", "generator", "no length", "two", "unpicklable", "untold"):
        return  # what stays in this process may be anything; what comes from another may not
    outcomes, lines = [], []
    installation.acquire(20)
    for extra in ({}, {"isolate": True} if isolate else {"timeout": 60.0}):
        said: list[Any] = []
        here = Here("here", pickles, said.extend, perform_apart)
        outcomes.append(
            attempt(
                scripted,
                here=here,
                given={"kind": end[0], "what": end[1], "x": x, "says": says},
                index=index,
                log_stdout=prints,
                drop=rest["drop"],
                measure=rest["measure"],
                retry_on=rest["retry_on"],
                max_retries=1,
                **extra,
            )
        )
        lines.append([(one.level, one.logger, one.message, one.run, one.attempt, one.where) for one in said])

    installation.release(20)
    assert told(outcomes[1]) == told(outcomes[0])
    assert lines[1] == lines[0]


# The limit


def sleeps() -> None:
    time.sleep(600)


def loops() -> None:
    while True:
        pass


def loops_in_c() -> None:
    from collections import deque
    from itertools import repeat

    deque(repeat(None), maxlen=0)


def catches_all() -> None:
    while True:
        with suppress(BaseException):
            time.sleep(600)


def holds_a_lock_in_c() -> None:
    # With the interpreter's lock held: no other thread of the process runs.
    ctypes.PyDLL(None).sleep(600)


BODIES = (sleeps, loops, loops_in_c, catches_all, holds_a_lock_in_c)


@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_dead_when_its_limit_is_over_whatever_it_does(body: Any) -> None:
    before = pid()

    state = state_of(attempt(body, timeout=0.2, max_retries=1))

    assert type(state) is TimedOut
    assert state.message == "The body was ended at its limit of 0.2 s."
    assert isinstance(state.result, TimeoutError)
    assert not is_alive(before)
    assert pid() != before  # the thread's next attempt works


@pytest.mark.slow
def test_the_processes_that_a_body_started_end_with_it(tmp_path: Path) -> None:
    def starts(folder: str) -> None:
        import subprocess
        import sys

        code = "import os, time; open(f'{FOLDER!r}/{os.getpid()}', 'w'); time.sleep(600)"
        code = code.replace("{FOLDER!r}", folder)
        nested = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {code!r}], start_new_session=True); "
        subprocess.Popen([sys.executable, "-c", nested + code], start_new_session=True)
        subprocess.run([sys.executable, "-c", code], check=True)

    state = state_of(attempt(starts, given={"folder": str(tmp_path)}, timeout=3.0))

    assert type(state) is TimedOut
    started = [int(path.name) for path in tmp_path.iterdir()]
    assert len(started) == 3
    wait_until(lambda: not any(map(is_alive, started)))


def test_a_body_whose_time_is_over_may_still_clean_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cleans_up(path: Path) -> None:
        try:
            time.sleep(600)
        finally:
            path.touch()
            print("cleaned up")

    assert type(state_of(attempt(cleans_up, given={"path": tmp_path / "it"}, timeout=0.2))) is TimedOut
    assert (tmp_path / "it").exists()
    assert capsys.readouterr().out == "cleaned up\n"


def test_what_a_body_says_at_its_limit_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "GRACE", 5.0)  # on a busy machine, too

    def cleans_up() -> None:
        try:
            time.sleep(600)
        finally:
            for place in range(5):
                logging.getLogger("etl").warning("logged %s", place)
                print(f"printed {place}")

    said: list[Any] = []
    here = Here("here", True, said.extend, perform_apart)

    assert type(state_of(attempt(cleans_up, here=here, timeout=0.2, log_stdout=True))) is TimedOut
    assert [line.message for line in said] == [
        f"{how} {place}" for place in range(5) for how in ("logged", "printed")
    ]


def hold_the_lock(seconds: float) -> None:
    """Keep the interpreter's lock, so that no other thread of this process runs."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


@pytest.mark.parametrize(("grace", "nbytes"), [(0.5, 0), (0.0, 4_000_000)])
def test_a_body_that_ended_in_time_is_not_late_because_its_worker_is(
    grace: float, nbytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def body(path: Path) -> bytes:
        path.touch()
        time.sleep(0.1)
        return bytes(nbytes)

    monkeypatch.setattr(apart, "GRACE", grace)
    outcomes: list[Outcome] = []
    path = tmp_path / "begun"
    with sent_to_threads(lambda: outcomes.append(attempt(body, given={"path": path}, timeout=1.0))):
        wait_until(path.exists)
        hold_the_lock(2.0)

    assert value_of(outcomes[0]) == bytes(nbytes)


def test_a_body_that_was_late_is_late_though_its_worker_hears_of_it_later(tmp_path: Path) -> None:
    def body(path: Path) -> None:
        path.touch()
        time.sleep(0.5)

    outcomes: list[Outcome] = []
    path = tmp_path / "begun"
    with sent_to_threads(lambda: outcomes.append(attempt(body, given={"path": path}, timeout=0.3))):
        wait_until(path.exists)
        hold_the_lock(1.2)

    assert type(state_of(outcomes[0])) is TimedOut


def test_a_process_that_was_gone_before_the_limit_has_not_run_out_of_time(tmp_path: Path) -> None:
    def body(path: Path) -> None:
        path.touch()
        os._exit(3)

    outcomes: list[Outcome] = []
    path = tmp_path / "begun"
    with sent_to_threads(lambda: outcomes.append(attempt(body, given={"path": path}, timeout=0.5))):
        wait_until(path.exists)
        hold_the_lock(1.2)

    assert type(state_of(outcomes[0])) is Crashed


@pytest.mark.parametrize(
    ("retry_on", "number", "retryable", "is_final"),
    [
        (None, 1, True, False),
        (None, 2, True, True),
        ((TimeoutError,), 1, True, False),
        ((ValueError,), 1, False, True),
        (lambda error: isinstance(error, OSError), 1, True, False),
    ],
)
def test_a_timeout_is_a_failure_to_the_retry_rule(
    retry_on: Any, number: int, retryable: bool, is_final: bool
) -> None:
    outcome = attempt(sleeps, timeout=0.05, max_retries=1, retry_on=retry_on, number=number)

    assert outcome.report is not None
    assert (outcome.report.retryable, outcome.is_final) == (retryable, is_final)


def test_a_retry_on_that_raises_is_told_of() -> None:
    state = state_of(attempt(sleeps, timeout=0.05, max_retries=1, retry_on=lambda error: 1 / 0))
    assert "limit of 0.05 s (its retry_on raised ZeroDivisionError" in state.message


@pytest.mark.slow
def test_neither_start_nor_imports_nor_the_way_of_the_value_count_as_the_bodys_time() -> None:
    class Slow:
        def __reduce__(self) -> tuple[Any, ...]:
            time.sleep(0.5)
            return _slow, ()

    def body(x: Any) -> Any:
        return x, Slow()

    assert value_of(attempt(body, given={"x": Slow()}, timeout=0.3)) == ("slow", "slow")


def _slow() -> str:
    time.sleep(0.5)
    return "slow"


def test_a_body_that_logs_without_end_is_ended_all_the_same() -> None:
    def floods() -> None:
        while True:
            print("x" * 1000)

    taken: list[Any] = []
    here = Here("here", True, taken.extend, perform_apart)
    assert type(state_of(attempt(floods, here=here, timeout=0.3, log_stdout=True))) is TimedOut
    assert taken


@pytest.mark.slow
def test_at_the_limit_an_attempt_has_one_end(tmp_path: Path) -> None:
    """The body notes that it came to its end; whoever noted nothing was ended."""

    def body(wait: float) -> str:
        time.sleep(wait)
        return "kept"

    ends = set()
    for place in range(24):
        outcome = attempt(body, given={"wait": 0.04 + 0.001 * (place % 12)}, timeout=0.045)
        report = outcome.report
        assert report is not None
        if report.state is None:
            assert value_of(outcome) == "kept"
        else:
            assert type(report.state) is TimedOut
        ends.add(type(report.state))
    assert ends


def test_a_body_can_tell_how_much_time_is_left() -> None:
    def body() -> Any:
        from prefectlite import context

        return context.time_left()

    left = value_of(attempt(body, timeout=60.0))
    assert 30 < left <= 60
    assert value_of(attempt(body, isolate=True)) == math.inf
    assert value_of(attempt(body)) == math.inf


# The process


def test_a_thread_keeps_its_process_and_each_has_its_own() -> None:
    mine, others = pid(), []
    with sent_to_threads(lambda: others.extend([pid(), pid()])):
        pass

    assert pid() == mine
    assert others[0] == others[1] != mine
    wait_until(lambda: not is_alive(others[0]))  # it went with its thread


def test_a_thread_may_let_its_process_go() -> None:
    before = pid()
    apart.rest()
    assert not is_alive(before)
    apart.rest()
    assert pid() != before


def test_a_fork_of_this_process_does_not_end_it() -> None:
    program = """if True:
        import os, sys
        from tests.worker.test_apart import pid
        before = pid()
        if os.fork() == 0:
            sys.exit()
        os.wait()
        print(pid() == before)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_a_body_amid_a_message_is_ended_without_more_ado() -> None:
    pid()
    child = apart._mine.child
    child._channel.is_amid = True
    child.stop(Here("here"))
    assert not is_alive(child._process.pid)


def test_a_process_that_waited_for_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pid()
    monkeypatch.setattr(apart, "IDLE", 0.0)
    assert pid() != before
    assert not is_alive(before)


def test_the_process_ends_with_the_one_that_it_works_for() -> None:
    program = """if True:
        import os, time
        from tests.worker.test_apart import attempt
        def body():
            import ctypes, os
            print(os.getpid(), flush=True)
            ctypes.PyDLL(None).sleep(600)
        attempt(body, isolate=True)
    """
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        wait_until(lambda: not is_alive(child))


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: os._exit(3), "The process of the body's own ended with exit status 3 while the body ran."),
        (lambda: os._exit(0), "The process of the body's own ended with exit status 0 while the body ran."),
        (
            lambda: os.kill(os.getpid(), signal.SIGSEGV),
            "The process of the body's own ended by SIGSEGV while the body ran.",
        ),
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            "The process of the body's own ended by SIGKILL while the body ran; memory may have run out.",
        ),
    ],
)
def test_a_body_that_ends_its_process_has_crashed_and_harms_no_other(act: Any, text: str) -> None:
    state = state_of(attempt(act, isolate=True))

    assert type(state) is Crashed
    assert (state.cause, state.message) == ("exited", text)
    assert pid()


def test_a_body_that_closes_all_files_has_crashed() -> None:
    def body() -> None:
        os.closerange(0, 1000)
        time.sleep(600)

    assert type(state_of(attempt(body, isolate=True))) is Crashed
    assert pid()


def test_a_process_that_cannot_start_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_START", "raise SystemExit(7)")
    monkeypatch.setattr(apart, "IDLE", 0.0)
    state = state_of(attempt(lambda: 1, isolate=True))
    assert state.message == "The process of the body's own ended with exit status 7 before the body began."
    assert type(state) is Crashed


@pytest.mark.parametrize("body", [sleeps, loops_in_c, holds_a_lock_in_c])
def test_an_interruption_ends_the_body(body: Any) -> None:
    ended: list[Any] = []
    processes: list[int] = []

    def runs() -> None:
        processes.append(pid())
        ended.append(attempt(body, isolate=True))

    with sent_to_threads(runs) as thread:
        wait_until(lambda: processes)
        time.sleep(0.2)
        assert thread.ident is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(Interruption)
        )

    assert type(state_of(ended[0])) is Cancelled
    assert ended[0].report.forced
    assert not is_alive(processes[0])


class Slow:
    """Cleans up, slowly, where Python has nobody to hand an exception to."""

    def __del__(self) -> None:
        sleeps()


def test_a_body_ends_in_order_although_a_destructor_loses_the_first_interruption(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def body() -> None:
        try:
            Slow()
            sleeps()
        finally:
            log.write_text("ended")

    assert type(state_of(attempt(body, timeout=0.2))) is TimedOut
    assert log.read_text() == "ended"


def test_where_nobody_can_interrupt_a_question_ends_the_body() -> None:
    asked = iter(range(10))
    here = Here("here", False, None, perform_apart, lambda: next(asked) > 5)
    assert type(state_of(attempt(sleeps, here=here, isolate=True))) is Cancelled


# What crosses


def test_a_body_may_clean_up_though_its_worker_holds_ctrl_c_back(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def body() -> None:
        try:
            time.sleep(WAIT)
        finally:
            log.write_text("cleaned")

    apart.rest()
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as the workers of own clusters do
    try:
        assert type(state_of(attempt(body, timeout=0.2))) is TimedOut
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
        apart.rest()
    assert log.read_text() == "cleaned"


@pytest.mark.parametrize("delay", [0.04, 0.1, 0.2])
def test_a_process_that_is_interrupted_while_it_starts_ends_without_a_word(
    delay: float, capfd: pytest.CaptureFixture[str]
) -> None:
    apart.rest()
    begun = time.monotonic()
    here = Here("here", True, None, perform_apart, is_called_off=lambda: time.monotonic() - begun > delay)
    assert isinstance(state_of(attempt(lambda: time.sleep(WAIT), here=here, isolate=True)), Cancelled)
    assert capfd.readouterr().err == ""


def test_arrays_go_and_come_whole_and_can_be_written_to() -> None:
    def body(x: Any, y: Any) -> Any:
        x += 1
        return x, y.copy()

    x, y = value_of(
        attempt(body, given={"x": np.zeros(300_000), "y": np.arange(12).reshape(3, 4).T}, timeout=WAIT)
    )
    assert x.sum() == 300_000
    x += 1
    np.testing.assert_array_equal(y, np.arange(12).reshape(3, 4).T)


def test_a_body_sees_folder_environment_and_module_path_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def body() -> Any:
        import late  # type: ignore[import-not-found]

        return str(Path.cwd()), os.environ["LATE"], late.WHAT

    pid()
    (tmp_path / "late.py").write_text("WHAT = 'found'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATE", "yes")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert value_of(attempt(body, isolate=True)) == (str(tmp_path), "yes", "found")


def test_a_folder_that_was_removed_hinders_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert pid()


def test_prints_go_where_those_of_this_process_go(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        print("out")
        print("err", file=sys.stderr)
        sys.stdout.buffer.write("bytes é\n".encode())
        print("no end", end="")

    attempt(body, isolate=True)
    assert capsys.readouterr() == ("out\nbytes é\nno end", "err\n")


def test_a_process_that_the_body_forks_prints_and_ends_by_itself(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "IDLE", 0.0)  # one that has the files of this test

    def body() -> int:
        import multiprocessing

        forked = multiprocessing.get_context("fork").Process(target=print, args=("forked",))
        forked.start()
        forked.join()
        return forked.exitcode or 0

    assert value_of(attempt(body, isolate=True)) == 0
    assert "forked" in capfd.readouterr().out


def test_a_body_reads_its_upstreams_states() -> None:
    def body() -> Any:
        from prefectlite import context

        return {name: (type(one).__name__, one.message) for name, one in context.upstream_states.items()}

    from prefectlite.lowering.wrappers import Succeeded

    upstreams = (("a-1", "x", 0), ("b-1", None, Failed("lost")), ("c-1", "y", {"Success": 2}))
    extra = {"upstreams": upstreams, "values": (Succeeded(1, 1.0, 2.0, 1),)}
    assert value_of(attempt(body, isolate=True, **extra)) == value_of(attempt(body, **extra))


def test_secrets_of_this_process_are_secrets_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pid()
    masking.hide("correct horse")

    def body() -> None:
        raise ValueError("correct " + "horse")

    try:
        outcome = attempt(body, isolate=True)
    finally:
        masking.KNOWN.clear()
    assert "horse" not in state_of(outcome).message


def test_what_cannot_be_pickled_on_the_way_there_is_named() -> None:
    outcome = attempt(lambda lock, x: x, given={"x": 1, "lock": threading.Lock()}, isolate=True)

    state = state_of(outcome)
    assert type(state) is Failed
    assert isinstance(state.result, SerializationError)
    assert "process of its own, as its task has timeout or isolate, and its argument 'lock' cannot be" in (
        state.message
    )
    assert pid()


class OneWay:
    """Can be pickled, and unpickled nowhere."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _refuse, ()


def _refuse() -> None:
    raise ValueError("not here")


def test_what_cannot_be_unpickled_fails_its_own_attempt_either_way() -> None:
    there = state_of_any(attempt(lambda x: x, given={"x": OneWay()}, isolate=True))
    back = state_of_any(attempt(OneWay, isolate=True))

    assert "cannot be opened at the process for its body (ValueError: not here)" in there.message
    assert "it can be written, but not be rebuilt: ValueError: not here" in back.message
    assert pid()


def state_of_any(outcome: Outcome) -> State:
    assert outcome.report is not None
    assert type(outcome.report.state) is Failed
    return outcome.report.state


def test_a_class_of_the_main_module_comes_back_as_itself() -> None:
    program = """if True:
        from tests.worker.test_apart import attempt, value_of
        class Mine:
            def __init__(self, x): self.x = x
        def body(it):
            assert type(it) is Mine
            return Mine(it.x + 1)
        back = value_of(attempt(body, given={"it": Mine(1)}, isolate=True))
        print(type(back) is Mine, back.x)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True 2\n", "")


def test_signals_say_the_same_with_a_limit() -> None:
    for signalled in (
        SKIP("s"),
        FAIL("f"),
        RETRY("r"),
        LOOP("l", result=3),
        PAUSE("p"),
        SUCCESS("ok", result=4),
        SUCCESS("ok", result=4, context={"k": 1}),
    ):

        def body(it: Any = signalled) -> None:
            raise it

        plain, limited = attempt(body).report, attempt(body, timeout=WAIT).report
        assert plain is not None
        assert limited is not None
        assert type(plain.state) is type(limited.state)
        assert (plain.success, plain.inline, plain.forced) == (
            limited.success,
            limited.inline,
            limited.forced,
        )


def test_success_is_no_state_of_a_report() -> None:
    outcome = attempt(lambda: 1, timeout=WAIT)
    assert outcome.report is not None
    assert not isinstance(outcome.report.state, Success)


def found() -> tuple[str | None, str, int]:
    mask = os.umask(0o022)
    os.umask(mask)
    return os.environ.get("STAGE"), str(Path.cwd()), mask


def changes_all() -> int:
    os.environ["STAGE"] = "test"
    os.chdir("/")
    os.umask(0o077)
    sys.path.insert(0, "/nowhere")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    signal.alarm(1)
    sys.stdout.close()
    sys.stdin = sys.stdout
    return os.getpid()


def sees_and_sleeps() -> tuple[Any, ...]:
    time.sleep(1.2)
    print("printed")
    return (
        os.getpid(),
        found(),
        sys.path[0] == "/nowhere",
        signal.getsignal(signal.SIGTERM) != signal.SIG_IGN,
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        sys.stdin.closed,
    )


def test_what_a_body_changes_in_its_process_is_put_back_before_the_next(
    capfd: pytest.CaptureFixture[str],
) -> None:
    changed = value_of(attempt(changes_all, isolate=True))
    seen = value_of(attempt(sees_and_sleeps, isolate=True))

    assert seen == (changed, found(), False, True, set(), False)
    assert capfd.readouterr().out == "printed\n"


def interrupts_itself() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(WAIT)


def test_a_body_that_interrupts_itself_is_not_called_off() -> None:
    report = attempt(interrupts_itself, isolate=True).report

    assert report is not None
    assert isinstance(report.state, Crashed)
    assert "KeyboardInterrupt" in (report.state.message or "")


def test_pythons_options_reach_the_process_of_a_body() -> None:
    source = """
from prefectlite import Flow, LocalExecutor, task
import sys

@task(isolate=True)
def seen():
    import sys
    return sys.flags.optimize, sys.warnoptions

with Flow("options") as flow:
    told = seen()
print(flow.run(executor=LocalExecutor()).result[told].result == (sys.flags.optimize, sys.warnoptions) != (0, []))
"""
    done = subprocess.run(
        [sys.executable, "-O", "-W", "error::ImportWarning", "-c", source],
        env={**os.environ, "PREFECTLITE_LOGGING_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("True\n", "")
