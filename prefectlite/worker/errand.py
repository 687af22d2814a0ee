"""An attempt that is handed over as a call: whoever gets it runs it, here or, pickled, elsewhere.

In this process nothing is pickled, and values stay what they are. Knows nobody who gets it.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from prefectlite.errors import SerializationError
from prefectlite.lowering.envelope import by_value_names, dumps
from prefectlite.lowering.spec import Spec
from prefectlite.masking import hide_texts, secrets_in
from prefectlite.worker.apart import perform_apart
from prefectlite.worker.attempt import Outcome, ended_by, perform_packed
from prefectlite.worker.elsewhere import (
    cannot_leave,
    cannot_return,
    cannot_travel,
    told_elsewhere,
    why_not_told,
)
from prefectlite.worker.here import Here
from prefectlite.worker.logs import LogLine, installation
from prefectlite.worker.opened import open_flow
from prefectlite.worker.strips import Strip


def run_errand(errand: Errand | SentErrand) -> Brought:
    """Run an attempt; this is the function that is handed over.

    Parameters
    ----------
    errand : Errand or SentErrand
        The attempt, or what it was pickled to.

    Returns
    -------
    Brought
        How it went; whatever the body does, nothing is raised.
    """
    return errand.run()


class Brought:
    """How an attempt went, on its way back; pickled as bytes that unpickle anywhere.

    Parameters
    ----------
    content : (Outcome, list of LogLine) or bytes
        What came of it and what it logged, or that pickled.
    """

    __slots__ = ("_content",)

    def __init__(self, content: tuple[Outcome, list[LogLine]] | bytes) -> None:
        self._content = content

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as bytes; an outcome that cannot be is told as a failure."""
        if isinstance(self._content, bytes):
            return Brought, (self._content,)
        outcome, lines = self._content
        outcome, names = outcome._replace(look=None), by_value_names()
        try:
            payload = dumps((outcome, lines), names)
        except SerializationError as error:
            payload = dumps((cannot_leave(outcome, error), lines), names)
        return Brought, (payload,)

    def open(self) -> tuple[Outcome, list[LogLine]]:
        """Return what it holds.

        Returns
        -------
        (Outcome, list of LogLine)
            What came of the attempt, and what it logged that was not heard yet.

        Raises
        ------
        Exception
            Whatever unpickling the body's value raised.
        """
        content = self._content
        return pickle.loads(content) if isinstance(content, bytes) else content


class Errand:
    """An attempt that can run in this process, or be pickled and run in another.

    Parameters
    ----------
    strip : Strip
        The attempt, on its own.
    perform : callable
        Runs it in this process.
    """

    __slots__ = ("_brought", "_lock", "_perform", "_strip", "trouble")

    def __init__(self, strip: Strip, perform: Callable[[], Outcome]) -> None:
        self._strip = strip
        self._perform = perform
        self._brought: Brought | None = None
        self._lock = threading.Lock()
        #: What the attempt comes to since it could not be pickled; None as long as nobody failed at that.
        self.trouble: Outcome | None = None

    def run(self) -> Brought:
        """Run it here, once, however often this is called.

        Returns
        -------
        Brought
            How it went.
        """
        with self._lock:
            if self._brought is None:
                self._brought = Brought((self._perform(), []))
            return self._brought

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as what the attempt is told; called in any thread."""
        strip, started = self._strip, time.time()
        kind = strip.kind
        try:
            told = told_elsewhere(strip, 0)
        except Exception as error:
            self.trouble = ended_by(kind, error, started, strip.making)
            raise
        try:
            carried = kind.flow.payload, kind.task.payload, _packed(told)
        except SerializationError as error:
            self.trouble = cannot_travel(str(error), started, time.time(), kind.here.where)
            raise
        hidden = (*strip.secrets(), *secrets_in(carried[-1]))
        return SentErrand, (*carried, hidden, kind.here.sink is not None)

    def end(self, brought: Brought) -> tuple[Outcome, list[LogLine]]:
        """Return what came back.

        Parameters
        ----------
        brought : Brought
            What ``run`` returned, here or elsewhere.

        Returns
        -------
        (Outcome, list of LogLine)
            A failure when the body's value cannot be unpickled here.
        """
        started = time.time()
        try:
            return brought.open()
        except Exception as error:
            return cannot_return(self._strip.kind, error, started), []


class SentErrand:
    """An attempt that came from another process.

    Parameters
    ----------
    flow, task : bytes
        The flow run's facts and the task, pickled.
    spec : bytes
        What the attempt is told, pickled.
    hidden : tuple of str
        Secrets in that, as texts that no process writes.
    captures : bool
        Whether log lines are wanted.
    """

    __slots__ = ("_content",)

    def __init__(
        self, flow: bytes, task: bytes, spec: bytes, hidden: tuple[str, ...], captures: bool
    ) -> None:
        self._content = flow, task, spec, hidden, captures

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as constructor arguments: it may travel on."""
        return SentErrand, self._content

    def run(self) -> Brought:
        """Run it here; what it logs goes back with what it comes to.

        Returns
        -------
        Brought
            How it went.
        """
        flow, task, spec, hidden, captures = self._content
        hide_texts(hidden)
        lines: list[LogLine] = []
        where = f"process {os.getpid()} on {socket.gethostname()}"
        here = Here(where, sink=lines.extend if captures else None, apart=perform_apart)
        level = None
        if captures:
            with suppress(Exception):  # the attempt itself will say so
                level = open_flow(flow).facts.log_level
        if level is not None:
            installation.acquire(level)
        try:
            return Brought((perform_packed(flow, task, spec, (), here), lines))
        finally:
            if level is not None:
                installation.release(level)


def _packed(told: Spec) -> bytes:
    try:
        return dumps(tuple(told), by_value_names())
    except SerializationError as error:
        raise SerializationError(
            f"Its body runs in another process, and {why_not_told(told, error)}."
        ) from error
