"""What runs in the process of an attempt's own: its body, as a worker would run it. Knows no Dask.

The process belongs to one thread, runs one attempt after another, and ends with that thread, when nobody has
sent anything for a while, or when it is killed.
"""

from __future__ import annotations

import ctypes
import io
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any, Final

from prefectlite.errors import SerializationError
from prefectlite.lowering.spec import Spec
from prefectlite.masking import hide_texts
from prefectlite.worker.around import until
from prefectlite.worker.attempt import Outcome, perform, unopened
from prefectlite.worker.channel import BEGUN, CAME_TO, LINES, OVER, PRINTED, Channel, Message, pack
from prefectlite.worker.elsewhere import cannot_leave
from prefectlite.worker.ground import Ground, enter
from prefectlite.worker.here import Here
from prefectlite.worker.interrupts import told_when_lost
from prefectlite.worker.job import IDLE, Job, Surroundings
from prefectlite.worker.logs import LogLine, installation
from prefectlite.worker.opened import OpenTask, open_flow, open_task

_PDEATHSIG: Final = 1  # of prctl(2)


def serve(number: int, parent: int) -> None:
    """Run attempts until nobody sends one.

    Parameters
    ----------
    number : int
        The number of the file that is this process's end of the channel.
    parent : int
        The process that started this one.
    """
    _die_with(parent)
    os.set_inheritable(number, False)
    end = socket.socket(fileno=number)
    channel = Channel(end)
    # A process that the body forks has no part in the channel: it must neither write to it nor keep it open.
    os.register_at_fork(after_in_child=lambda: _leave(end))
    server = _Server(channel)
    signal.signal(signal.SIGINT, server.interrupt)
    server.ground = Ground()
    with suppress(EOFError, BrokenPipeError):
        while channel.has_news(IDLE):
            server.perform(channel.receive(_now))
    # Threads and exit functions of bodies have no say: the attempts are over.
    os._exit(0)


def _now() -> None:
    """Return at once: whoever sends to this process has nothing else to do until it is sent."""


def _leave(end: socket.socket) -> None:
    end.close()
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # it is the process's stream from now on
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _die_with(parent: int) -> None:
    """End this process when the thread that started it ends, whatever runs here then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(0)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


class _Forward(io.RawIOBase):
    """Sends what is printed to where it would be printed without this process."""

    def __init__(self, channel: Channel, name: str, number: int) -> None:
        self._channel = channel
        self._name = name
        self._number = number

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> int:
        chunk = bytes(text)
        self._channel.send(pack(PRINTED, (self._name, chunk)))
        return len(chunk)

    def fileno(self) -> int:
        return self._number


def _print_into(channel: Channel) -> tuple[io.TextIOWrapper, ...]:
    streams = tuple(
        io.TextIOWrapper(
            io.BufferedWriter(_Forward(channel, name, number)),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
        for number, name in ((1, "stdout"), (2, "stderr"))
    )
    sys.stdout, sys.stderr = streams
    return streams


class _Watched:
    """A body whose beginning and end are told at once, with their moments by the monotonic clock."""

    def __init__(self, run: Callable[..., Any], limit: float | None, server: _Server) -> None:
        self._run = run
        self._limit = limit
        self._server = server

    def __call__(self, /, **arguments: Any) -> Any:
        begun = time.monotonic()
        if self._limit is not None:
            until.set(begun + self._limit)
        self._server.is_interrupted = False
        self._server.is_open = True
        self._server.channel.send(Message(BEGUN, pickle.dumps(begun)))
        try:
            return self._run(**arguments)
        finally:
            self._server.is_open = False
            ended = time.monotonic()
            for stream in self._server.streams:
                with suppress(ValueError):  # the body closed it
                    stream.flush()
            self._server.channel.send(Message(OVER, pickle.dumps(ended)))


class _Server:
    """Performs jobs."""

    ground: Ground

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.streams = _print_into(channel)
        #: Whether a body runs, so that there is something to interrupt.
        self.is_open = False
        #: Whether it was interrupted, and not in vain.
        self.is_interrupted = False
        self._flow = self._task = b""
        self._surroundings: Surroundings | None = None

    def perform(self, message: Message) -> None:
        outcome = self._outcome(message)._replace(look=None)
        try:
            told = pack(CAME_TO, outcome)
        except SerializationError as error:
            told = pack(CAME_TO, cannot_leave(outcome, error))
        self.channel.send(told)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.is_open and not self.is_interrupted:
            self.is_interrupted = True
            raise told_when_lost(partial(self._interrupt_again, threading.get_ident()))

    def _interrupt_again(self, thread: int) -> None:
        self.is_interrupted = False
        # To the thread that runs the body, so that it gets out of a sleep too.
        signal.pthread_kill(thread, signal.SIGINT)

    def _outcome(self, message: Message) -> Outcome:
        started, where = time.time(), "the process for its body"
        try:
            job: Job = Job._make(message.open())
            where = job.where
            self._clear_away()
            self._enter(job)
            flow, task = open_flow(self._flow), open_task(self._task)
        except BaseException as error:
            return unopened(error, started, where)
        sink = self._send_lines if job.captures else None
        # What is to be stored is stored where the attempt came from: this process may be ended at any moment.
        here = Here(where, True, sink, exception_limit=job.exception_limit, keeps=False)
        watched = _Watched(task.envelope.run, task.envelope.timeout, self)
        level = flow.facts.log_level
        if job.captures:
            installation.acquire(level)
        try:
            own = OpenTask(replace(task.envelope, run=watched))
            return perform(flow, own, Spec._make(job.spec), (), here)
        finally:
            if job.captures:
                installation.release(level)

    def _clear_away(self) -> None:
        """Take back what the last body has done to the process, as it was to have one of its own."""
        self.ground.restore()
        if any(stream.closed for stream in self.streams):
            self.streams = _print_into(self.channel)
        sys.stdout, sys.stderr = self.streams

    def _enter(self, job: Job) -> None:
        if job.surroundings is not None:
            self._surroundings = job.surroundings
            hide_texts(job.surroundings.hidden)
        if self._surroundings is not None:
            enter(self._surroundings)
        if job.flow is not None:
            self._flow = job.flow
        if job.task is not None:
            self._task = job.task

    def _send_lines(self, lines: list[LogLine]) -> None:
        self.channel.send(pack(LINES, lines))
