"""What goes to the cluster next, depth first but for narrow steps, and how much. Knows run numbers only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

#: How many children of a map come up together at most: enough for a few full bundles, and few, so that what
#: reads them is not far behind.
TOGETHER: Final = 4096
#: Runs that stand so near in the plan come up by themselves: of steps that are narrower than this, one is
#: taken after the other, which leaves an even front; of wider ones, no more than this wait for their readers.
BREADTH: Final = 128


class Frontier:
    """A stack of runs to consider; the last that were pushed come first.

    Parameters
    ----------
    runs : range
        What to consider when nothing else is left: all runs of the plan, in topological order.
    breadth : int
        How near a run must stand in the plan to be left to come up by itself; 0 goes depth first always.
    """

    __slots__ = ("_breadth", "_next", "_stack", "_stop")

    def __init__(self, runs: range, breadth: int = BREADTH) -> None:
        self._breadth = breadth
        self._stack: list[Iterator[int] | range] = []
        self._next = runs.start
        self._stop = runs.stop

    def comes_soon(self, run: int) -> bool:
        """Return whether a run comes up by itself, soon after the runs that came up so far.

        Parameters
        ----------
        run : int
            Any run.

        Returns
        -------
        bool
            Always False once it came up.
        """
        return self._next <= run < self._stop and run < self._next + self._breadth

    def push(self, runs: Iterable[int]) -> None:
        """Put runs on top, to come up one by one.

        Parameters
        ----------
        runs : iterable of int
            In the order in which they should be considered.
        """
        self._stack.append(iter(runs))

    def push_many(self, runs: range) -> None:
        """Put children of one map on top, to come up many at a time.

        Parameters
        ----------
        runs : range
            Without gaps.
        """
        if runs:
            self._stack.append(runs)

    def pop(self, most: int = 1) -> range | None:
        """Take the next runs.

        Parameters
        ----------
        most : int
            How many at most; one comes also for less than that.

        Returns
        -------
        range or None
            One run, or several children of one map that were pushed together; None when nothing is left.
        """
        stack = self._stack
        while stack:
            top = stack[-1]
            if isinstance(top, range):
                count = min(max(1, most), TOGETHER, len(top))
                if count == len(top):
                    stack.pop()
                else:
                    stack[-1] = top[count:]
                return top[:count]
            run = next(top, None)
            if run is not None:
                return range(run, run + 1)
            stack.pop()
        run = self._next
        if run >= self._stop:
            return None
        self._next = run + 1
        return range(run, run + 1)
