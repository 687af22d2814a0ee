"""Flow runs that bodies drive in their own threads: who ends such a body ends its flow run. Knows threads.

An exception that is raised in a thread from outside hits whatever runs there. Where that is a body of a flow
run which another body drives, it would end the inner body, and the outer one would go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final

from prefectlite.worker.here import Interruption


class Inner:
    """A flow run while this thread drives it; left by an ``Interruption`` when it was ended from outside.

    Parameters
    ----------
    is_open : callable
        Returns whether it can be ended in order by now.
    end : callable
        Called from any thread to end the flow run in order; returns whether that needs no exception here.
    """

    __slots__ = ("_end", "_is_open", "_unclaimed")

    def __init__(self, is_open: Callable[[], bool], end: Callable[[], bool]) -> None:
        self._is_open = is_open
        self._end = end
        # Either who ends it takes the one thing in there, or the thread that leaves it does.
        self._unclaimed = [True]

    def __enter__(self) -> Inner:
        """Take note that this thread drives it."""
        _going.setdefault(threading.get_ident(), []).append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End what drives it, if it was ended from outside."""
        here = threading.get_ident()
        _going[here].remove(self)
        if not _going[here]:
            del _going[here]
        if not self._claim():
            raise Interruption from error

    def end(self) -> bool:
        """End it, if it goes on and nobody did so before.

        Returns
        -------
        bool
            Whether what is below it in its thread will be ended by that.
        """
        return self._is_open() and self._claim() and self._end()

    def _claim(self) -> bool:
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True


def depth() -> int:
    """Return how many flow runs this thread drives, one in a body of the other."""
    return len(_going.get(threading.get_ident(), ()))


def end_above(thread: int, below: int) -> bool:
    """End the flow run that a body drives, if it drives one.

    Parameters
    ----------
    thread : int
        The body's.
    below : int
        The ``depth`` at which the body began.

    Returns
    -------
    bool
        Whether the body will be ended by that.
    """
    return any(run.end() for run in _going.get(thread, [])[below : below + 1])


#: By thread, the outer before the inner.
_going: Final[dict[int, list[Inner]]] = {}
