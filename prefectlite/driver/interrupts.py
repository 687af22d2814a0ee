"""Ctrl-C while a flow run is driven in the main thread. Knows signals; knows nothing of flow runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Turn the first Ctrl-C into a wish, and let the second one through.

    Outside the main thread, and where Ctrl-C is ignored (``nohup``), nothing is changed.

    Parameters
    ----------
    wish : callable
        Called in the main thread, between any two instructions, at the first Ctrl-C; it may raise.
    """

    def __init__(self, wish: Callable[[], None]) -> None:
        self._wish = wish
        self._former: Any = None
        self.count = 0

    def __enter__(self) -> Interrupts:
        """Take over SIGINT."""
        if threading.current_thread() is threading.main_thread():
            former = signal.getsignal(signal.SIGINT)
            if callable(former):
                self._former = former
                signal.signal(signal.SIGINT, self.handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give SIGINT back; after a Ctrl-C, raise ``KeyboardInterrupt``."""
        if self._former is None:
            return
        signal.signal(signal.SIGINT, self._former)
        if self.count:
            outer = getattr(self._former, "__self__", None)
            if isinstance(outer, Interrupts):
                # A flow that a task of another flow ran in this thread: both are meant.
                outer.handle(signal.SIGINT, None)
            if kind is None or not issubclass(kind, KeyboardInterrupt):
                raise KeyboardInterrupt from error

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Take one Ctrl-C.

        Parameters
        ----------
        signum : int
            SIGINT.
        frame : frame or None
            Where the main thread was.

        Raises
        ------
        KeyboardInterrupt
            From the second one on.
        """
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt
        self._wish()
