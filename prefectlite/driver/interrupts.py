"""Ctrl-C and SIGTERM while a flow run is driven in the main thread. Knows signals; knows no flow run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Turn the first Ctrl-C, or SIGTERM, into a wish, and let the second one through.

    Outside the main thread, and where Ctrl-C is ignored (``nohup``), nothing is changed; nor is SIGTERM where
    the program has a handler of its own.

    Parameters
    ----------
    wish : callable
        Called in the main thread, between any two instructions, with the name of the first one; it may raise.
    """

    def __init__(self, wish: Callable[[str], None]) -> None:
        self._wish = wish
        self._former: dict[int, Any] = {}
        self._first = 0
        self.count = 0

    def __enter__(self) -> Interrupts:
        """Take over SIGINT and SIGTERM."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                former = signal.getsignal(number)
                is_free = former == signal.SIG_DFL or isinstance(_owner(former), Interrupts)
                if is_free if number == signal.SIGTERM else callable(former):
                    self._former[number] = former
                    signal.signal(number, self.handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the signals back; after Ctrl-C raise ``KeyboardInterrupt``, after SIGTERM end the process."""
        for number, former in self._former.items():
            signal.signal(number, former)
        if self.count:
            outer = _owner(self._former[self._first])
            if isinstance(outer, Interrupts):
                # A flow that a task of another flow ran in this thread: both are meant.
                outer.handle(self._first, None)
            elif self._first == signal.SIGTERM:
                signal.raise_signal(self._first)  # who sent it sees what it would have seen without us
            if kind is None or not issubclass(kind, KeyboardInterrupt):
                raise KeyboardInterrupt from error

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Take one of them.

        Parameters
        ----------
        signum : int
            SIGINT or SIGTERM.
        frame : frame or None
            Where the main thread was.

        Raises
        ------
        KeyboardInterrupt
            From the second one on, unless that is a SIGTERM, which ends the process.
        """
        self.count += 1
        if self.count > 1:
            if signum == signal.SIGTERM:
                signal.signal(signum, signal.SIG_DFL)
                signal.raise_signal(signum)
            raise KeyboardInterrupt
        self._first = signum
        self._wish("SIGTERM" if signum == signal.SIGTERM else "Ctrl-C")


def _owner(handler: Any) -> Any:
    return getattr(handler, "__self__", None)
