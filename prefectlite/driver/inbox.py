"""The one door into the loop: events and log lines, from any thread. Knows nothing of what they mean."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Final

from prefectlite.engine.events import Event
from prefectlite.worker.logs import LogLine

#: How many events the loop takes in one turn at most; what is behind them waits for the next.
TURN_LIMIT: Final = 4096


class Inbox:
    """A queue of batches. It refers to nobody for long, so that a place to run may hold it for ever."""

    def __init__(self) -> None:
        # SimpleQueue.put may be called by a signal handler that interrupts another put.
        self._batches: queue.SimpleQueue[Sequence[Event]] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[Sequence[LogLine]] = queue.SimpleQueue()
        #: Who takes log lines at once while the loop lends its thread to task bodies.
        self.listener: Callable[[Sequence[LogLine]], None] | None = None
        self._taken: Sequence[Event] = ()  # what ended a wait; first in the next turn

    def deliver(self, events: Sequence[Event]) -> None:
        """Hand in events; callable from any thread.

        Parameters
        ----------
        events : sequence of Event
            In order.
        """
        self._batches.put(events)

    def deliver_logs(self, lines: Sequence[LogLine]) -> None:
        """Hand in log lines; callable from any thread.

        Parameters
        ----------
        lines : sequence of LogLine
            In order.
        """
        listener = self.listener
        if listener is not None:
            listener(lines)
            return
        self._lines.put(lines)
        self._batches.put(())  # the loop sleeps on this queue alone

    def is_empty(self) -> bool:
        """Return whether nothing is there; callable by the thread that takes events.

        Returns
        -------
        bool
            False also when the loop was only woken.
        """
        return not self._taken and self._batches.empty()

    def wait(self, timeout: float | None) -> bool:
        """Block until something is there.

        Parameters
        ----------
        timeout : float or None
            The longest wait in seconds; None waits for ever.

        Returns
        -------
        bool
            Whether something is.
        """
        if not self._taken:
            try:
                self._taken = self._batches.get(timeout=timeout)
            except queue.Empty:
                return False
        return True

    def events(self) -> list[Event]:
        """Take what is there, up to ``TURN_LIMIT`` and the rest of its batch, without waiting.

        Returns
        -------
        list of Event
            In order of arrival.
        """
        found: list[Event] = list(self._taken)
        self._taken = ()
        while len(found) < TURN_LIMIT:
            try:
                found.extend(self._batches.get_nowait())
            except queue.Empty:
                break
        return found

    def log_lines(self) -> list[LogLine]:
        """Take all log lines that are there, without waiting.

        Returns
        -------
        list of LogLine
            In order of arrival.
        """
        found: list[LogLine] = []
        while not self._lines.empty():
            found.extend(self._lines.get_nowait())
        return found
