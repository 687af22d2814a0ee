"""A body that can be stopped from another thread, as far as Python can stop one. Knows threads, no tasks.

An exception has nowhere to go when it is raised while Python runs a ``__del__``, the callback of a weak
reference or of the garbage collector: Python hands it to ``sys.unraisablehook``, and the body goes on as if
nothing had been. What is told there as lost is raised again, a little later, until it hits the body. So there
is never more than one on its way, and none comes once the body could catch one: neither its ``finally``
blocks nor what it does after it has caught one are interrupted a second time.

A body that catches all exceptions and goes on is not ended by this; ``isolate=True`` is for such.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from prefectlite.worker.here import Interruption
from prefectlite.worker.inner import end_above

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

T = TypeVar("T")

#: How long to wait before an interruption is raised again that was lost for the first time, the second and so
#: on, in seconds; what has hit one destructor is not to hit each of the many that may follow.
PAUSES: Final = (0.1, 0.2, 0.4, 0.8)
#: How long to wait from then on, in seconds.
LONGEST_PAUSE: Final = 1.0


class Interruptible:
    """What runs in this thread, and may be interrupted between ``enter`` and ``leave``.

    Parameters
    ----------
    depth : int
        How many flow runs this thread drives.
    """

    __slots__ = ("_depth", "_kind", "_lock", "_open", "is_called_off", "thread")

    def __init__(self, depth: int = 0) -> None:
        self.thread = threading.get_ident()
        self._depth = depth
        #: Whether it was interrupted, or is not to begin.
        self.is_called_off = False
        self._open = False
        self._kind: type[Interruption] = Interruption
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
        # arrives here; another one, should it be lost here.
        try:
            while True:
                _throw(self.thread, self._kind)
                time.sleep(0)
        except Interruption:
            return

    def call(self, act: Callable[[], T]) -> T | None:
        """Call something that may be interrupted meanwhile.

        Parameters
        ----------
        act : callable
            It takes nothing.

        Returns
        -------
        object
            What it returns; None when it was interrupted, or called off before.
        """
        result: T | None = None
        try:
            self.enter()
            result = act()
        except Interruption:
            pass
        while True:
            try:
                self.leave()
                return result
            except Interruption:
                # Sent while it returned; there is one at most.
                continue

    def interrupt(self) -> bool:
        """Raise ``Interruption`` in the attempt's thread, if its body runs; else keep it from starting.

        It is raised once, and again only if nobody can have caught it. While the body drives a flow run, that
        is ended in order, and the body when it is over.

        Returns
        -------
        bool
            Whether it was raised, or will be.
        """
        if not self._lock.acquire(timeout=0.5):
            return False
        try:
            if self.is_called_off:
                return False
            self.is_called_off = True
            if not self._open:
                return False
            self._kind = told_when_lost(self._interrupt_again)
            return self._hit()
        finally:
            self._lock.release()

    def _interrupt_again(self) -> None:
        with self._lock:
            if self._open:
                self._hit()

    def _hit(self) -> bool:
        if end_above(self.thread, self._depth):
            return True
        is_thrown = _throw(self.thread, self._kind)
        # A flow run that has begun meanwhile may take it for its own body's.
        return end_above(self.thread, self._depth) or is_thrown


def told_when_lost(act: Callable[[], object]) -> type[Interruption]:
    """Return a kind of ``Interruption`` that lets something be done when one was raised and lost.

    Parameters
    ----------
    act : callable
        Called in another thread, some time after each loss; it raises another, if that is still wanted.

    Returns
    -------
    type
        To be raised by whoever calls this.
    """
    # For good: whoever sets a hook after us may call ours.
    if getattr(sys.unraisablehook, "func", None) is not _hear:
        sys.unraisablehook = partial(_hear, sys.unraisablehook)
    told = {"act": staticmethod(act), "pauses": iter(PAUSES), "__module__": Interruption.__module__}
    return type(Interruption.__name__, (Interruption,), told)


def _hear(before: Callable[[UnraisableHookArgs], Any], unraisable: UnraisableHookArgs, /) -> None:
    kind: Any = unraisable.exc_type
    if not hasattr(kind, "pauses"):
        before(unraisable)
        return
    begin: Any = unraisable.object
    if isinstance(getattr(begin, "__self__", None), threading.Thread) and begin.__name__ == "_bootstrap":
        # In CPython 3.11, a thread that is being started goes by the identity of the one that starts it until
        # it runs. What was meant for the other has kept it from running, and the other waits for that.
        kind.act()
        begin()
        return
    # Not here: what this thread is doing now would lose it too.
    timer = threading.Timer(next(kind.pauses, LONGEST_PAUSE), kind.act)
    timer.daemon = True
    timer.start()


def _throw(thread: int, kind: type[BaseException]) -> bool:
    # The only way to stop pure Python from outside; code in C goes on until it returns.
    return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind)))
