"""What goes to the cluster next, depth first, and how much of it at once. Knows run numbers only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Frontier:
    """A stack of ranges of runs to consider; the last that was pushed comes first.

    Parameters
    ----------
    runs : iterable of int
        What to consider when nothing else is left: all runs of the plan, in topological order.
    """

    __slots__ = ("_stack",)

    def __init__(self, runs: Iterable[int]) -> None:
        self._stack: list[Iterator[int]] = [iter(runs)]

    def push(self, runs: Iterable[int]) -> None:
        """Put runs on top.

        Parameters
        ----------
        runs : iterable of int
            In the order in which they should be considered.
        """
        self._stack.append(iter(runs))

    def pop(self) -> int | None:
        """Take the next run.

        Returns
        -------
        int or None
            None when nothing is left.
        """
        while self._stack:
            run = next(self._stack[-1], None)
            if run is not None:
                return run
            self._stack.pop()
        return None
