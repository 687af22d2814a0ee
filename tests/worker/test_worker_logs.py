"""What bodies log and print reaches the sink, tagged; everything else stays as it was."""

from __future__ import annotations

import contextvars
import io
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.spec import Spec
from prefectlite.worker import logs
from prefectlite.worker.attempt import Here, perform
from prefectlite.worker.logs import Capture, CaptureHandler, LogLine, clip, installation
from prefectlite.worker.opened import OpenFlow, OpenTask
from prefectlite.worker.prints import Router, captured

FACTS = FlowFacts("ab" * 16, "etl")


@contextmanager
def bare_root() -> Iterator[logging.Logger]:
    """The root logger without handlers, pytest's included, at its usual level."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    root.setLevel(logging.WARNING)
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def installed() -> Iterator[None]:
    """Log capture at the usual level."""
    installation.acquire(logging.INFO)
    yield
    installation.release(logging.INFO)


def run(body: Any, log_stdout: bool = False) -> list[LogLine]:
    lines: list[LogLine] = []
    spec = Spec("double-1", 3, 1, 2, {}, (), (), False, ())
    task = OpenTask(Envelope("double", body, log_stdout=log_stdout))
    outcome = perform(OpenFlow(FACTS), task, spec, (), Here("here", sink=lines.extend))
    assert outcome.report is not None
    assert outcome.report.state is None, outcome.report.state
    return lines


def test_a_record_carries_flow_run_attempt_and_place(installed: None) -> None:
    def body() -> None:
        logging.getLogger("mine").info("loaded %d rows", 7)
        logging.getLogger("mine").debug("too much")

    (line,) = run(body)
    assert (line.logger, line.level, line.message) == ("mine", 20, "loaded 7 rows")
    assert (line.flow, line.run, line.attempt, line.where) == ("etl", "double-1[3]", 2, "here")
    assert abs(line.time - time.time()) < 60
    assert line.exc_text is None


def test_a_logged_exception_brings_its_traceback(installed: None) -> None:
    def body() -> None:
        try:
            raise ValueError("bad row")
        except ValueError:
            logging.getLogger("mine").exception("row 3")

    (line,) = run(body)
    assert "ValueError: bad row" in str(line.exc_text)


def test_a_record_that_was_formatted_before_keeps_its_traceback(installed: None) -> None:
    def body() -> None:
        record = logging.LogRecord("mine", 40, "", 0, "m", None, None)
        record.exc_text = "as before"
        logging.getLogger("mine").handle(record)

    assert run(body)[0].exc_text == "as before"


def test_a_record_below_the_runs_level_stays_out(installed: None) -> None:
    logger = logging.getLogger("mine.chatty")
    logger.setLevel(logging.DEBUG)
    try:
        assert run(lambda: logger.debug("x")) == []
    finally:
        logger.setLevel(logging.NOTSET)


def test_a_record_that_cannot_be_formatted_disturbs_nobody(
    installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    assert run(lambda: logging.getLogger("mine").info("%d", "no number")) == []


def test_threads_started_in_the_context_belong_to_the_attempt(installed: None) -> None:
    def body() -> None:
        context = contextvars.copy_context()
        mine = threading.Thread(target=lambda: context.run(logging.getLogger("mine").info, "inside"))
        other = threading.Thread(target=logging.getLogger("mine").info, args=("outside",))
        for thread in (mine, other):
            thread.start()
            thread.join()

    assert [line.message for line in run(body)] == ["inside"]


def test_two_attempts_at_once_do_not_mix(installed: None) -> None:
    meet = threading.Barrier(2)

    def body() -> None:
        name = threading.current_thread().name
        for _ in range(20):
            meet.wait()
            logging.getLogger("mine").warning(name)
            print(name)

    got: dict[str, list[LogLine]] = {}

    def one(name: str) -> None:
        got[name] = run(body, log_stdout=True)

    threads = [threading.Thread(target=one, args=(name,), name=name) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("a", "b"):
        assert len(got[name]) == 40
        assert {line.message for line in got[name]} == {name}


def test_logging_is_as_before_once_nobody_captures() -> None:
    kept = logging.StreamHandler(io.StringIO())
    with bare_root() as root:
        root.addHandler(kept)
        installation.acquire(20)
        installation.acquire(10)
        assert root.level == 10
        installation.release(10)
        assert root.level == 20
        installation.release(20)
        assert (root.level, root.handlers, kept.filters) == (logging.WARNING, [kept], [])


def test_logging_that_is_set_up_anew_meanwhile_is_attended_to_from_the_next_time_on() -> None:
    kept = logging.StreamHandler(io.StringIO())
    with bare_root() as root:
        installation.acquire(20)
        root.handlers = [kept]
        installation.acquire(20)
        installation.acquire(20)
        assert [type(handler) for handler in root.handlers] == [logging.StreamHandler, CaptureHandler]
        assert len(kept.filters) == 1
        for _ in range(3):
            installation.release(20)
        assert (root.handlers, kept.filters) == ([kept], [])


def test_other_handlers_see_no_more_than_before() -> None:
    stream = io.StringIO()
    loud = logging.getLogger("mine.loud")
    loud.setLevel(logging.DEBUG)
    with bare_root() as root:
        root.addHandler(logging.StreamHandler(stream))
        installation.acquire(10)
        logging.getLogger("mine.quiet").info("unseen")
        logging.getLogger("mine.quiet").warning("seen")
        loud.debug("seen too")
        installation.release(10)
    loud.setLevel(logging.NOTSET)
    assert stream.getvalue() == "seen\nseen too\n"


def test_warnings_that_nobody_handles_are_still_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    last = logging.StreamHandler(stream)
    last.setLevel(logging.WARNING)
    monkeypatch.setattr(logging, "lastResort", last)
    handled = logging.getLogger("mine.handled")
    own = logging.StreamHandler(io.StringIO())
    with bare_root():
        installation.acquire(20)
        logging.getLogger("mine").warning("printed")
        logging.getLogger("mine").info("not printed")
        handled.addHandler(own)
        handled.warning("handled by its own")
        handled.removeHandler(own)
        monkeypatch.setattr(logging, "lastResort", None)
        logging.getLogger("mine").warning("nobody's")
        installation.release(20)
    assert stream.getvalue() == "printed\n"


def test_a_logger_that_does_not_propagate_is_nobodys_business(installed: None) -> None:
    handler = CaptureHandler()
    closed = logging.getLogger("mine.closed")
    closed.propagate = False
    closed.addHandler(handler)
    try:
        assert not logs._others_handle("mine.closed")
    finally:
        closed.removeHandler(handler)
        closed.propagate = True


def test_a_long_message_is_cut() -> None:
    assert clip("short") == "short"
    assert clip("x" * 10_000) == "x" * 8192 + " ... [1808 characters cut]"


def capture(sink: Any) -> Capture:
    return Capture("etl", "double-1", 1, "here", 20, sink)


def test_the_first_line_goes_at_once_and_those_behind_wait_for_each_other() -> None:
    batches: list[list[LogLine]] = []
    arrived = threading.Event()

    def sink(lines: list[LogLine]) -> None:
        batches.append(lines)
        if len(batches) == 2:
            arrived.set()

    one = capture(sink)
    for n in range(5):
        one.add(20, "mine", str(n))
    assert [len(batch) for batch in batches] == [1]
    # Nobody adds or flushes any more: the timer must.
    assert arrived.wait(20)
    assert [len(batch) for batch in batches] == [1, 4]
    one.flush()
    assert len(batches) == 2


def test_an_attempt_that_logs_without_end_is_heard_up_to_a_limit_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "LOG_LIMIT", 1024**2)
    lines: list[LogLine] = []
    one = capture(lines.extend)
    for n in range(10_000):
        one.add(20, "mine", f"{n}", "E" * 100_000 if n == 0 else None)
    one.flush()
    assert 4000 < len(lines) < 1024**2 / logs.LINE_COST
    assert [line.message for line in lines[:-1]] == [str(n) for n in range(len(lines) - 1)]
    assert lines[-1].level == logging.WARNING
    assert "more than 1 MiB; what it logs from here on is left out" in lines[-1].message


def test_many_lines_travel_in_batches() -> None:
    batches: list[list[LogLine]] = []
    one = capture(batches.append)
    for n in range(450):
        one.add(20, "mine", str(n))
    one.flush()
    assert sum(map(len, batches)) == 450
    assert max(map(len, batches)) <= logs.BATCH


# Prints


def test_prints_become_lines_where_the_task_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        print("one")
        print()
        print("  \n\ttwo", end="")
        sys.stdout.flush()
        sys.stdout.writelines([" and", " three\nfo"])
        print("ur")
        sys.stdout.write("rest\n ")
        assert not sys.stdout.isatty()
        assert sys.stdout.writable()

    lines = run(body, log_stdout=True)
    assert [line.message for line in lines] == ["one", "\ttwo and three", "four", "rest"]
    assert {(line.logger, line.level, line.run) for line in lines} == {("stdout", 20, "double-1[3]")}
    assert capsys.readouterr().out == ""


def test_prints_stay_prints_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: print("here")) == []
    assert capsys.readouterr().out == "here\n"


def test_others_print_through_while_a_body_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)

    def body() -> None:
        def outside() -> None:
            print("not the body")
            sys.stdout.flush()
            assert not sys.stdout.isatty()

        thread = threading.Thread(target=outside)
        thread.start()
        thread.join()
        assert isinstance(sys.stdout, Router)
        assert sys.stdout.encoding == "latin-1"
        assert sys.stdout.line_buffering is False
        with pytest.raises(io.UnsupportedOperation):
            sys.stdout.fileno()

    assert run(body, log_stdout=True) == []
    assert sys.stdout is stream
    assert stream.buffer.getvalue() == b"not the body\n"  # type: ignore[attr-defined]


def test_a_stream_without_encoding_is_taken_for_utf_8() -> None:
    assert Router(io.StringIO()).encoding == "utf-8"


def test_an_endless_line_is_sent_in_pieces() -> None:
    lines: list[LogLine] = []
    one = capture(lines.extend)
    with captured(one):
        for _ in range(10):
            sys.stdout.write("x" * 1000)
    one.flush()
    assert [len(line.message) for line in lines] == [8192, 10_000 - 8192]


def test_whoever_replaced_stdout_meanwhile_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    one = capture(lambda lines: None)
    with captured(one):
        sys.stdout = mine
    assert sys.stdout is mine


def test_a_capture_inside_another_gives_back_to_it() -> None:
    outer: list[LogLine] = []
    inner: list[LogLine] = []
    first, second = capture(outer.extend), capture(inner.extend)
    with captured(first):
        print("a")
        with captured(second):
            print("b")
        print("c")
    first.flush()
    second.flush()
    assert [line.message for line in outer] == ["a", "c"]
    assert [line.message for line in inner] == ["b"]


def test_a_record_waits_for_none_that_is_on_its_way(installed: None) -> None:
    on_its_way, go = threading.Event(), threading.Event()

    def sink(lines: list[LogLine]) -> None:
        on_its_way.set()
        go.wait(20)

    task = OpenTask(Envelope("double", lambda: logging.getLogger("mine").info("told")))
    spec = Spec("double-1", 3, 1, 2, {}, (), (), False, ())
    here = Here("here", sink=sink)
    first = threading.Thread(target=lambda: perform(OpenFlow(FACTS), task, spec, (), here))
    other = threading.Thread(target=logging.getLogger("mine").info, args=("of the driver",))
    first.start()
    assert on_its_way.wait(10)
    other.start()
    other.join(5)
    waits = other.is_alive()
    go.set()
    first.join()
    other.join()
    assert not waits
