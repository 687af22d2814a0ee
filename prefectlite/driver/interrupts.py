"""Ctrl-C and SIGTERM while flow runs go on. Knows signals; knows no flow run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import cache, partial
from types import FrameType, TracebackType
from typing import Any, Final

from prefectlite.worker.here import Interruption
from prefectlite.worker.interrupts import told_when_lost


def _nothing() -> None:
    return None


class Interrupts:
    """Turn the first Ctrl-C, or SIGTERM, into a wish, and let the second one through.

    Outside the main thread, and where Ctrl-C is ignored (``nohup``), nothing is changed; nor is SIGTERM where
    the program has a handler of its own.

    Parameters
    ----------
    wish : callable
        Called in the main thread, between any two instructions, with the name of the first one; it may raise.
    again : callable
        Called there when an ``Interruption`` that ``wish`` or this has raised was lost: Python has nobody to
        hand it to while it runs a ``__del__``, say. It raises another, if that is still wanted.
    """

    def __init__(self, wish: Callable[[str], None], again: Callable[[], None] = _nothing) -> None:
        self._wish = wish
        self._again = again
        self._former: dict[int, Any] = {}
        self._first = 0
        self._kind: type[Interruption] | None = None
        self._is_lost = False
        # Held while a signal is sent, and when none is to be any more; the same thread may lose one in there.
        self._sending = threading.RLock()
        self.count = 0

    def __enter__(self) -> Interrupts:
        """Take over SIGINT and SIGTERM."""
        if _is_main():
            _watch_forks()
            _active.append(self)
            for number in (signal.SIGINT, signal.SIGTERM):
                former = signal.getsignal(number)
                is_free = former == signal.SIG_DFL or isinstance(_owner(former), Interrupts | Terminations)
                if is_free if number == signal.SIGTERM else callable(former):
                    self._former[number] = former
                    signal.signal(number, self.handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the signals back; after Ctrl-C raise ``KeyboardInterrupt``, after SIGTERM end the process."""
        former = self._give_back()
        if self.count:
            outer = _owner(former[self._first])
            if isinstance(outer, Interrupts):
                # A flow that a task of another flow ran in this thread: both are meant.
                outer.handle(self._first, None)
            elif self._first == signal.SIGTERM:
                signal.raise_signal(self._first)  # who sent it sees what it would have seen without us
                if isinstance(outer, Terminations):
                    outer.stay()
            if kind is None or not issubclass(kind, KeyboardInterrupt):
                raise KeyboardInterrupt from error

    def disown(self) -> None:
        """Give the signals back in a process that has inherited this."""
        # Another thread may have held it when the process was made.
        self._sending = threading.RLock()
        self._give_back()

    def _give_back(self) -> dict[int, Any]:
        """Set the handlers that were there before, and return them."""
        with self._sending:
            former, self._former = self._former, {}
        if self in _active:
            _active.remove(self)
        for number, handler in former.items():
            signal.signal(number, handler)
        return former

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
        if self._is_lost:
            self._is_lost = False
            self._raise_by(self._again)
            return
        self.count += 1
        if self.count > 1:
            if signum == signal.SIGTERM:
                signal.signal(signum, signal.SIG_DFL)
                signal.raise_signal(signum)
            raise KeyboardInterrupt
        self._first = signum
        self._raise_by(partial(self._wish, "SIGTERM" if signum == signal.SIGTERM else "Ctrl-C"))

    def _raise_by(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Interruption as error:
            if type(error) is not Interruption:
                raise  # whoever raised it hears himself when it is lost
            if self._kind is None:
                self._kind = told_when_lost(self._send_again)
            raise self._kind from None

    def _send_again(self) -> None:
        with self._sending:
            if self._former:
                self._is_lost = True
                # A signal, so that what runs there gets out of a sleep too.
                signal.pthread_kill(threading.main_thread().ident or 0, self._first)


class Terminations:
    """Let a SIGTERM end the flow runs that go on in threads of their own, and then the program.

    It is taken in the main thread alone, and only where nobody else has a word to say at it. What it
    interrupts there may have locks that the flow runs need, and goes on meanwhile.

    Parameters
    ----------
    end : callable
        Called in a thread of its own; returns when the flow runs have ended.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end
        self._ending: threading.Thread | None = None

    def take(self) -> None:
        """Take over SIGTERM, if this is the main thread, and that would end the program at once."""
        if _is_main() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            _watch_forks()
            if self not in _active:
                _active.append(self)
            signal.signal(signal.SIGTERM, self.handle)

    def give_back(self) -> None:
        """Let SIGTERM end the program at once, if this is the main thread, and nobody else has it now."""
        if _is_main() and signal.getsignal(signal.SIGTERM) == self.handle:
            self.disown()

    def disown(self) -> None:
        """Give the signal back in a process that has inherited this."""
        self._ending = None
        if self in _active:
            _active.remove(self)
        if signal.getsignal(signal.SIGTERM) == self.handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Take one of them: the first ends the flow runs before the program, the second the program.

        Parameters
        ----------
        signum : int
            SIGTERM.
        frame : frame or None
            Where the main thread was.
        """
        if self._ending is not None:
            self._leave()
        self._ending = threading.Thread(target=self._end_before, name="prefectlite-sigterm")
        self._ending.start()

    def stay(self) -> None:
        """Let the main thread go no further if the program is to end."""
        if self._ending is not None and _is_main():
            try:
                self._ending.join()
            finally:
                self._leave()

    def _end_before(self) -> None:
        try:
            self._end()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def _leave(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


#: In this process, the outer before the inner.
_active: Final[list[Interrupts | Terminations]] = []


_held = threading.local()


@cache
def _watch_forks() -> None:
    """Let a process that is forked meanwhile end as it would without us: it drives no flow run.

    ``multiprocessing.Pool`` ends its processes by SIGTERM, and waits for them.
    """
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_disown_all)


def _hold() -> None:
    # What comes to the new process before it has its handlers would be taken by ours, or lost: Python forgets
    # what came while it forked.
    _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM} if _active else ())


def _let_go() -> None:
    mask = getattr(_held, "mask", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _disown_all() -> None:
    while _active:
        _active[-1].disown()
    _let_go()


def _owner(handler: Any) -> Any:
    return getattr(handler, "__self__", None)
