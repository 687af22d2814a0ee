"""How many attempts travel together, learned from how long they took. Knows durations and sizes; no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: How long a bundle should take, in seconds: long enough to make what Dask costs small, short enough that
#: the workers share the work evenly and nobody waits long for a neighbour's sake.
AIM: Final = 0.075
#: The most attempts in one bundle.
MOST: Final = 1000
#: How many attempts of a task that nobody has timed yet travel together; a bundle that turns out to be slow
#: sends back what it has not begun.
FIRST: Final = 100
#: How many bundles each worker thread should get at least, so that none idles while another has a queue.
SHARES: Final = 4
#: A value over this many bytes travels alone: its readers must not pull its neighbours with it.
VALUE_LIMIT: Final = 64 * 1024


class Pace:
    """What is known of the tasks of a flow run.

    Parameters
    ----------
    bundle_size : int or None
        How many attempts travel together; None decides by what is learned.
    threads : callable
        Returns how many worker threads there are.
    """

    def __init__(self, bundle_size: int | None, threads: Callable[[], int]) -> None:
        self._bundle_size = bundle_size
        self._threads = threads
        self._seconds: dict[str, float] = {}
        self._large: set[str] = set()

    def note(self, task: str, seconds: float, nbytes: int) -> None:
        """Learn from an attempt that ended.

        Parameters
        ----------
        task : str
            The digest of its task.
        seconds : float
            How long it took.
        nbytes : int
            The size of its value.
        """
        known = self._seconds.get(task)
        seconds = max(seconds, 0.0)  # clocks may be set back
        # What is slower counts at once, what is faster by and by.
        self._seconds[task] = seconds if known is None or seconds > known * 8 else 0.9 * known + 0.1 * seconds
        if nbytes > VALUE_LIMIT:
            self._large.add(task)

    def size(self, task: str, count: int) -> int:
        """Return how many attempts of a task should travel together.

        Parameters
        ----------
        task : str
            The digest of the task.
        count : int
            How many there are to send.

        Returns
        -------
        int
            From 1 on.
        """
        if self._bundle_size is not None:
            return self._bundle_size
        if task in self._large:
            return 1
        share = -(-count // (SHARES * max(self._threads(), 1)))
        seconds = self._seconds.get(task)
        fitting = FIRST if seconds is None else int(AIM / max(seconds, AIM / MOST))
        return max(1, min(share, fitting, MOST))
