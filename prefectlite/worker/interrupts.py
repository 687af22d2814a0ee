"""A body that can be stopped from another thread, as far as Python can stop one. Knows threads, no tasks."""

from __future__ import annotations

import ctypes
import threading
import time

from prefectlite.worker.here import Interruption


class Interruptible:
    """What runs in this thread, and may be interrupted between ``enter`` and ``leave``."""

    __slots__ = ("_lock", "_open", "is_called_off", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        #: Whether it was interrupted, or is not to begin.
        self.is_called_off = False
        self._open = False
        # Reentrant: an interruption may hit this thread after it has the lock and before it is in the block.
        self._lock = threading.RLock()

    def enter(self) -> None:
        """From here on, it may be interrupted.

        Raises
        ------
        Interruption
            When it was called off before.
        """
        with self._lock:
            self._open = True
            if self.is_called_off:
                raise Interruption

    @property
    def is_open(self) -> bool:
        """Whether it may be interrupted now."""
        return self._open

    def leave(self) -> None:
        """From here on, it may not, and none is on its way; called by the attempt's own thread."""
        self._open = False
        with self._lock:
            called_off = self.is_called_off
        if not called_off:
            return
        # An exception on its way cannot just be taken back: in CPython 3.11 that leaves the interpreter's
        # alarm on for ever, which under a tracer is an endless loop. So a new one takes its place, and
        # arrives here.
        try:
            _throw(self.thread, Interruption)
            while True:
                time.sleep(0)
        except Interruption:
            return

    def interrupt(self) -> bool:
        """Raise ``Interruption`` in the attempt's thread, once, if its body runs; else keep it from starting.

        Returns
        -------
        bool
            Whether it was raised.
        """
        if not self._lock.acquire(timeout=0.5):
            return False
        try:
            if self.is_called_off:
                return False
            self.is_called_off = True
            return self._open and _throw(self.thread, Interruption)
        finally:
            self._lock.release()


def _throw(thread: int, kind: type[BaseException]) -> bool:
    # The only way to stop pure Python from outside; code in C goes on until it returns.
    return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind)))
