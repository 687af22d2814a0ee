"""What task bodies print becomes log lines, for tasks that ask for it. Knows streams and attempts."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TextIO

from prefectlite.worker.logs import MESSAGE_LIMIT, Capture

_printing: Final[ContextVar[Capture | None]] = ContextVar("prefectlite.printing", default=None)


class Router(io.TextIOBase):
    """Stands in for ``sys.stdout``: prints of a captured body become log lines, others pass through.

    Blank lines are dropped.

    Parameters
    ----------
    stream : text stream
        Where other prints go.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Take a piece of text.

        Parameters
        ----------
        text : str
            Whole lines or parts of them.

        Returns
        -------
        int
            Its length.
        """
        capture = _printing.get()
        if capture is None:
            return self.stream.write(text)
        *lines, capture.partial = (capture.partial + text).split("\n")
        for line in lines:
            if line.strip():  # as in Prefect 1: what is blank is not told
                capture.add(logging.INFO, "stdout", line)
        full = (len(capture.partial) - 1) // MESSAGE_LIMIT * MESSAGE_LIMIT
        if full > 0:
            for at in range(0, full, MESSAGE_LIMIT):
                capture.add(logging.INFO, "stdout", capture.partial[at : at + MESSAGE_LIMIT])
            capture.partial = capture.partial[full:]
        return len(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Take several pieces of text.

        Parameters
        ----------
        lines : iterable of str
            The pieces.
        """
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream behind, unless a body's prints are captured: a flush ends no line."""
        if _printing.get() is None:
            self.stream.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether prints go to a terminal; those that are captured don't."""
        return _printing.get() is None and self.stream.isatty()

    def fileno(self) -> int:
        """Return the file number of the stream behind."""
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream behind."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def __getattr__(self, name: str) -> Any:
        """Return what the stream behind has."""
        return getattr(self.stream, name)


class _Switch:
    """Puts a router in place while bodies are captured, and takes it away when the last one is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def on(self) -> None:
        with self._lock:
            self._count += 1
            # Somebody may have put a stream of their own in place meanwhile.
            if not isinstance(sys.stdout, Router):
                sys.stdout = Router(sys.stdout)

    def off(self) -> None:
        with self._lock:
            self._count -= 1
            if not self._count and isinstance(sys.stdout, Router):
                sys.stdout = sys.stdout.stream


_switch: Final = _Switch()


@contextmanager
def captured(capture: Capture) -> Iterator[None]:
    """Turn what is printed in this context into log lines.

    Parameters
    ----------
    capture : Capture
        The attempt.

    Yields
    ------
    None
        Nothing.
    """
    _switch.on()
    before = _printing.set(capture)
    try:
        yield
    finally:
        _printing.reset(before)
        _switch.off()
        if capture.partial.strip():
            capture.add(logging.INFO, "stdout", capture.partial)
        capture.partial = ""
