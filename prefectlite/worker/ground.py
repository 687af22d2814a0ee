"""What a body finds of its process beside its arguments, and may change. Knows no tasks.

Bodies that have a process of their own share it one after the other, since a new one takes a tenth of a
second. So what one has changed is put back before the next: signals and timers, the mask of new files,
streams, and with ``enter`` the folder, the environment and the paths of modules.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any, Final

from prefectlite.worker.job import Surroundings

_TIMERS: Final = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Ground:
    """The state of this process, to be put back."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {
            number: signal.getsignal(number) for number in signal.valid_signals()
        }
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._stdin = sys.stdin

    def restore(self) -> None:
        """Put it back; called in the main thread."""
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        os.umask(self._umask)
        sys.stdin = self._stdin


def enter(surroundings: Surroundings) -> None:
    """Make this process look like another.

    Parameters
    ----------
    surroundings : Surroundings
        What the other looks like.
    """
    folder, path, environment, _ = surroundings
    with suppress(OSError):  # it is gone, for the other process too
        os.chdir(folder)
    if sys.path != path:
        sys.path[:] = path
    if dict(os.environ) != environment:
        os.environ.clear()
        os.environ.update(environment)
