"""Attempts whose bodies run in a process of their own, so that they can be ended. Knows no Dask.

Nothing inside a process can be relied upon to end code in it that never comes back, so a body with a limit
gets a process that is killed. Each thread that runs attempts keeps one, for one attempt after the other. It
is started anew and not forked: a fork of a process with threads takes along locks that nobody will release.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prefectlite.errors import SerializationError
from prefectlite.lowering.spec import Spec
from prefectlite.masking import KNOWN
from prefectlite.states.keys import RunKey
from prefectlite.states.report import Report
from prefectlite.states.state import Cancelled, Crashed, TimedOut
from prefectlite.worker.around import Kind
from prefectlite.worker.attempt import INTERRUPTED, Outcome, called_off, ended_by, failed
from prefectlite.worker.beginnings import announce
from prefectlite.worker.channel import BEGUN, CAME_TO, JOB, LINES, OVER, PRINTED, Channel, Message, pack
from prefectlite.worker.descendants import descendants, end_all
from prefectlite.worker.elsewhere import cannot_return, told_elsewhere, why_not_told
from prefectlite.worker.failures import is_retryable
from prefectlite.worker.here import Here, Interruption
from prefectlite.worker.job import IDLE, Job, Surroundings
from prefectlite.worker.strips import Strip

if TYPE_CHECKING:
    import psutil

#: How often a thread that waits for a body looks whether it was interrupted, in seconds.
SLICE: Final = 0.05
#: How long a body has for its ``finally`` blocks before it is killed, in seconds.
GRACE: Final = 0.5
# An interruption while the process starts ends it, without a traceback.
_START: Final = (
    "import ast, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT}); "
    "sys.path[:] = ast.literal_eval(sys.argv[3]); "
    "from prefectlite.worker.child import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"
)
_LARGEST: Final = sys.maxsize


def perform_apart(strip: Strip, place: int) -> Outcome:
    """Run one attempt of a strip in a process of its own.

    Parameters
    ----------
    strip : Strip
        Attempts that differ in little.
    place : int
        Which of them, counted from 0.

    Returns
    -------
    Outcome
        As of an attempt that runs here; besides, it may have run out of time, or its process may be gone.
    """
    kind = strip.kind
    started = time.time()
    try:
        spec = told_elsewhere(strip, place)
        child = _child()
        return child.perform(kind, spec, started)
    except BaseException as error:
        _discard()
        return ended_by(kind, error, started, strip.making)


def rest() -> None:
    """End this thread's process; the next attempt gets a new one."""
    child: Child | None = getattr(_mine, "child", None)
    if child is not None:
        _mine.child = None
        child.kill()


class _Late(Exception):
    """The body's time is over, and so is the time for its end."""


class Child:
    """A process that runs one attempt at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            path = repr([str(entry) for entry in sys.path])
            former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the process inherits that
            try:
                self._process = subprocess.Popen(
                    [sys.executable, *_flags(), "-c", _START, str(number), str(os.getpid()), path],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[number],
                    # A group of its own, which gets no Ctrl-C that is meant for us and is killed as one.
                    start_new_session=True,
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, former)
        self._channel = Channel(ours)
        # What happens to be running when the thread or the program ends, ends too.
        self._end = weakref.finalize(self, _end, self._process, ours, os.getpid())
        self._surroundings: Surroundings | None = None
        self._flow = self._task = b""
        self._is_busy = False
        self._last = time.monotonic()
        #: When the body began, or was to begin, in seconds since the epoch.
        self._began = 0.0
        self._has_begun = False
        #: When its time is over, and when this process is to do something about it.
        self._limit: float | None = None
        self._deadline: float | None = None
        self._is_interrupted = self._is_frozen = False
        self._family: Iterable[psutil.Process] = ()

    @property
    def is_fit(self) -> bool:
        """Whether it can run an attempt."""
        is_fresh = time.monotonic() - self._last < IDLE / 2  # it ends by itself
        return is_fresh and not self._is_busy and self._process.poll() is None

    def perform(self, kind: Kind, spec: Spec, started: float) -> Outcome:
        """Run an attempt.

        Parameters
        ----------
        kind : Kind
            What attempt.
        spec : Spec
            What it is told; its arguments are all given.
        started : float
            When it was to begin, in seconds since the epoch.

        Returns
        -------
        Outcome
            How it went.
        """
        message = self._job(kind, spec)
        self._is_busy = True
        self._began, self._has_begun = started, False
        self._limit = self._deadline = None
        self._is_interrupted = self._is_frozen = False
        try:
            self._channel.send(message)
            message = self._heard(kind, spec)
        except Exception as error:
            if self._is_interrupted:
                self.kill(self._family)
                return _timed_out(kind, self._began)
            if isinstance(error, EOFError | OSError):
                return _gone(kind, self._began, self._wait(), self._has_begun)
            raise
        except Interruption:
            self.stop(kind.here)
            return Outcome(called_off(self._began, kind.here))
        self._is_busy = False
        self._last = time.monotonic()
        try:
            outcome = Outcome._make(message.open())
        except Exception as error:
            return cannot_return(kind, error, started)
        report = outcome.report
        if report is not None and isinstance(report.state, Cancelled) and report.state.message == INTERRUPTED:
            # Not by us, so it is as if the body had raised it.
            return failed(kind, KeyboardInterrupt(), started)
        return outcome

    def _job(self, kind: Kind, spec: Spec) -> Message:
        here, flow, task = kind.here, kind.flow.payload, kind.task.payload
        surroundings = _surroundings()
        job = Job(
            None if surroundings == self._surroundings else surroundings,
            None if flow == self._flow else flow,
            None if task == self._task else task,
            tuple(spec),
            here.where,
            here.sink is not None,
            None if here.pickles else _LARGEST,
        )
        try:
            message = pack(JOB, job)
        except SerializationError as error:
            before = "The body runs in a process of its own, as its task has timeout or isolate"
            raise SerializationError(f"{before}, and {why_not_told(spec, error)}") from error
        self._surroundings, self._flow, self._task = surroundings, flow, task
        return message

    def _heard(self, kind: Kind, spec: Spec) -> Message:
        """Return what the attempt came to; pass on what is told before."""
        ready = partial(self._ready, kind.here.is_called_off)
        while True:
            message = self._channel.receive(ready)
            if message.kind == BEGUN:
                self._begins(kind, spec, message.open())
            elif message.kind == OVER:
                self._ends(message.open())
            elif message.kind != CAME_TO:
                self._pass_on(message, kind.here)
            elif self._is_interrupted:
                raise _Late
            else:
                return message

    def _begins(self, kind: Kind, spec: Spec, moment: float) -> None:
        # The monotonic clock is one for all processes of a machine.
        self._began, self._has_begun = time.time() - (time.monotonic() - moment), True
        limit = kind.task.envelope.timeout
        self._limit = self._deadline = None if limit is None else moment + limit
        key = RunKey(spec.slug, spec.map_index, spec.loop)
        announce(kind.flow.facts.run_id, key, kind.attempt, self._began)

    def _ends(self, moment: float) -> None:
        if self._limit is not None and moment > self._limit:
            if not self._is_interrupted:
                self._interrupt()
            return
        # This process may have been late to hear of it: it slept, or another thread held Python's lock.
        if self._is_frozen:
            self._signal(signal.SIGCONT)
        self._deadline = None
        self._is_interrupted = self._is_frozen = False

    def _ready(self, is_called_off: Callable[[], bool] | None = None) -> None:
        """Wait for news from the process; raise when there can be none, or the body is to end."""
        channel = self._channel
        while True:
            if is_called_off is not None and is_called_off():
                raise Interruption
            if channel.has_news(self._acted()):
                return
            if self._is_frozen:
                raise _Late
            if self._process.poll() is not None and not channel.has_news(0.0):
                raise EOFError

    def _acted(self) -> float:
        """Do what is due; return how long to wait for news then, in seconds."""
        deadline = self._deadline
        if deadline is None:
            return SLICE
        left = deadline - time.monotonic()
        if left > 0:
            return min(SLICE, left)
        if self._is_interrupted:
            # What it said by now can be read to its end, and may say that the body was over in time.
            self._signal(signal.SIGSTOP)
            self._is_frozen = True
        elif self._process.poll() is None:
            self._interrupt()
        else:
            self._deadline = None  # it went by itself
        return 0.0

    def _interrupt(self) -> None:
        self._family = descendants(self._process.pid)
        self._signal(signal.SIGINT)
        self._is_interrupted = True
        self._deadline = time.monotonic() + GRACE

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def _pass_on(self, message: Message, here: Here) -> None:
        if message.kind == LINES and here.sink is not None:
            here.sink(message.open())
        elif message.kind == PRINTED:
            name, chunk = message.open()
            with suppress(Exception):  # the stream is the user's
                stream: Any = getattr(sys, name)
                stream.write(chunk.decode("utf-8", "replace"))
                stream.flush()

    def stop(self, here: Here) -> None:
        """End the body, and all processes that it has started.

        Parameters
        ----------
        here : Here
            Takes what it logs and prints meanwhile.
        """
        self._interrupt()
        with suppress(Exception):
            while not self._channel.is_amid:
                message = self._channel.receive(self._ready)
                if message.kind == CAME_TO:
                    break
                self._pass_on(message, here)
        self.kill(self._family)

    def kill(self, family: Iterable[psutil.Process] = ()) -> None:
        """End the process and those that it has started.

        Parameters
        ----------
        family : iterable of psutil.Process, optional
            More of them, which may have lost their connection to it.
        """
        found = descendants(self._process.pid).union(family)
        self._end()
        end_all(found)

    def _wait(self) -> int:
        """Return how the process ended, which has closed its end of the channel."""
        try:
            return self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            self.kill()


def _end(process: subprocess.Popen[bytes], end: socket.socket, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the process that it works for has no say
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    end.close()
    process.wait()


def _flags() -> list[str]:
    """Return this Python's options (``-O``, ``-W error``, ``-X utf8``), as multiprocessing hands them on."""
    found: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()
    return found


_mine: Final = threading.local()


def _child() -> Child:
    """Return this thread's process."""
    child: Child | None = getattr(_mine, "child", None)
    if child is None or not child.is_fit:
        _discard()
        child = _mine.child = Child()
    return child


def _discard() -> None:
    """End this thread's process, unless it can run another attempt."""
    child: Child | None = getattr(_mine, "child", None)
    if child is not None and not child.is_fit:
        rest()


def _timed_out(kind: Kind, started: float) -> Outcome:
    envelope = kind.task.envelope
    text = f"The body was ended at its limit of {envelope.timeout:g} s"
    error = TimeoutError(text)
    retryable, note = is_retryable(envelope.retry_on, error)
    state = TimedOut(f"{text}{note}.", error)
    report = Report(state, started, time.time(), retryable=retryable, where=kind.here.where)
    return Outcome(report, is_final=not retryable or kind.attempt > envelope.max_retries)


def _gone(kind: Kind, started: float, status: int, has_begun: bool) -> Outcome:
    how = f"with exit status {status}"
    if status < 0:
        with suppress(ValueError):
            how = f"by {signal.Signals(-status).name}"
    when = "while the body ran" if has_begun else "before the body began"
    why = "; memory may have run out" if status == -signal.SIGKILL else ""
    state = Crashed(f"The process of the body's own ended {how} {when}{why}.", cause="exited")
    return Outcome(Report(state, started, time.time(), where=kind.here.where))


def _surroundings() -> Surroundings:
    try:
        folder = str(Path.cwd())
    except OSError:  # it was removed
        folder = ""
    return Surroundings(folder, list(sys.path), dict(os.environ), tuple(KNOWN))
