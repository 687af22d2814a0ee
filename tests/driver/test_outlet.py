"""Texts go out in order with all else that is written, and in a crowd some go together."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from prefectlite.driver.outlet import LATEST, PAUSE, SAVED, Outlet

#: How many go at once if none went before.
AT_ONCE = SAVED / PAUSE


class Stream(io.StringIO):
    """Notes each write that writes something."""

    def __init__(self, notes: list[str] | None = None) -> None:
        super().__init__()
        self.notes: list[str] = [] if notes is None else notes

    def write(self, text: str) -> int:
        self.notes += [text] if text else []
        return len(text)


class Time:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def errors_of(monkeypatch: pytest.MonkeyPatch) -> Stream:
    """Return what standard error is for the rest of the test; not in a fixture, since pytest sets it anew."""
    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def crowded(time_: Callable[[], float] | None = None) -> Outlet:
    """An outlet through which so much went that the next texts wait."""
    outlet, out = Outlet(time_ or Time()), Stream()
    while outlet._out is None and len(out.notes) < 2 * AT_ONCE:
        outlet.write_soon(out, "x")
    assert AT_ONCE <= len(out.notes) <= AT_ONCE + 1
    outlet.catch_up()
    return outlet


def test_the_first_go_at_once_and_those_of_a_crowd_together(monkeypatch: pytest.MonkeyPatch) -> None:
    errors_of(monkeypatch)
    time_, out = Time(), Stream()
    outlet = crowded(time_)
    for text in "abc":
        outlet.write_soon(out, text)
    assert out.notes == []
    time_.now += PAUSE
    outlet.write_soon(out, "d")
    assert out.notes == ["abcd"]
    outlet.write_soon(out, "e")
    outlet.write(out, "f")
    assert out.notes == ["abcd", "ef"]


@pytest.mark.parametrize("through", ["print", "a handler that was made before", "writelines"])
@pytest.mark.parametrize("where", ["output", "errors"])
def test_what_waits_goes_before_what_else_is_written(
    through: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = errors_of(monkeypatch)
    out = Stream(errors.notes)
    stream = out if where == "output" else errors
    handler = logging.StreamHandler(stream)
    outlet = crowded()
    outlet.write_soon(out, "first")
    if through == "print":
        print("second", file=stream, end="")
    elif through == "writelines":
        stream.writelines(["second"])
    else:
        handler.terminator = ""
        handler.handle(logging.LogRecord("any", logging.INFO, "", 0, "second", None, None))
    assert errors.notes == ["first", "second"]
    assert "write" not in {**vars(out), **vars(errors)}, "no bell hangs where nothing waits"


def test_what_waits_for_one_stream_goes_before_what_is_written_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = errors_of(monkeypatch)
    outlet = crowded()
    out, other = Stream(errors.notes), Stream(errors.notes)
    outlet.write_soon(out, "first")
    outlet.write_soon(other, "second")
    outlet.write_soon(out, "third")
    outlet.write(other, "fourth")
    assert errors.notes == ["first", "second", "third", "fourth"]


def test_what_waits_goes_out_by_itself_after_a_while_and_the_thread_for_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors_of(monkeypatch)
    outlet, out = crowded(), Stream()
    outlet.write_soon(out, "late")
    watch = outlet._watch
    assert watch is not None
    late = time.monotonic() + 50 * LATEST
    while not out.notes and time.monotonic() < late:
        time.sleep(LATEST / 10)
    assert out.notes == ["late"]
    watch.join(50 * LATEST)
    assert not watch.is_alive()
    outlet.write_soon(out, "later")
    assert outlet._watch not in (None, watch)
    outlet.catch_up()


def test_nothing_waits_where_no_thread_can_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    outlet, out = crowded(), Stream()
    watch = outlet._watch
    assert watch is not None
    watch.join(50 * LATEST)

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    outlet.write_soon(out, "a")
    assert (out.notes, outlet._watch) == (["a"], None)


class Slotted:
    """A stream that takes no bell."""

    __slots__ = ("notes",)

    def __init__(self) -> None:
        self.notes: list[str] = []

    def write(self, text: str) -> int:
        self.notes.append(text)
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("which", ["output", "errors"])
def test_nothing_waits_where_no_bell_can_hang(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outlet, out, slotted = crowded(), Stream(), Slotted()
    monkeypatch.setattr(sys, "stderr", out if which == "output" else slotted)
    outlet.write_soon(slotted if which == "output" else out, "a")  # type: ignore[arg-type]
    assert (slotted if which == "output" else out).notes == ["a"]
    assert vars(out) == {"notes": out.notes}


@pytest.mark.parametrize("kind", ["none", "the same"])
def test_no_second_bell_is_needed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Stream()
    monkeypatch.setattr(sys, "stderr", None if kind == "none" else out)
    outlet = crowded()
    outlet.write_soon(out, "a")
    assert out.notes == []
    print("b", file=out, end="")
    assert out.notes == ["a", "b"]


def test_a_stream_that_fails_meanwhile_harms_nobody_who_writes_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = errors_of(monkeypatch)

    class Gone(Stream):
        def write(self, text: str) -> int:
            raise RuntimeError(text)

    outlet = crowded()
    outlet.write_soon(Gone(), "lost")
    print("said", file=errors, end="")
    assert errors.notes == ["said"]


def test_who_rings_while_somebody_writes_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = errors_of(monkeypatch)
    held, go = threading.Event(), threading.Event()

    class Slow(Stream):
        def flush(self) -> None:
            held.set()
            go.wait(10)

    outlet = crowded()
    outlet.write_soon(Slow(), "a")
    writer = threading.Thread(target=outlet.catch_up)
    writer.start()
    assert held.wait(10)
    print("b", file=errors, end="")
    assert errors.notes == ["b"]
    go.set()
    writer.join()


def test_a_fork_copies_nothing_that_waits() -> None:
    program = """
import os, sys
from prefectlite.driver.outlet import OUTLET
for number in range(300):
    OUTLET.write_soon(sys.stdout, f"{number}\\n")
child = os.fork()
if not child:
    OUTLET.write_soon(sys.stdout, "child\\n")
    OUTLET.write(sys.stdout, "ends\\n")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*map(str, range(300)), "child", "ends"]
