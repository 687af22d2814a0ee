"""How many attempts travel together, learned from how long they took. Knows durations and sizes; no clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

#: How long a bundle should take, in seconds: long enough to make what Dask costs small, short enough that
#: the workers share the work evenly and nobody waits long for a neighbour's sake.
AIM: Final = 0.075
#: The most attempts in one bundle.
MOST: Final = 1000
#: How many attempts of a task that nobody has timed yet travel together; a bundle that turns out to be slow
#: sends back what it has not begun.
FIRST: Final = 250
#: How many bundles each worker thread should get at least, so that none idles while another has a queue.
SHARES: Final = 4
#: How many tasks are remembered.
MEMORY: Final = 4096
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
    seconds : dict of str to float or None
        How long tasks took in earlier runs, by their digest; grows.
    """

    def __init__(
        self,
        bundle_size: int | None,
        threads: Callable[[], int],
        seconds: dict[str, float] | None = None,
    ) -> None:
        #: How many attempts travel together, whatever is known of them; None where it is learned.
        self.bundle_size = bundle_size
        #: Returns how many worker threads there are.
        self.threads = threads
        self._seconds = {} if seconds is None else seconds
        self._large: set[str] = set()

    def note(self, task: str, seconds: float, nbytes: int, count: int = 1) -> None:
        """Learn from attempts that ended.

        Parameters
        ----------
        task : str
            The digest of their task.
        seconds : float
            How long each took, on an average.
        nbytes : int
            The size of the largest value.
        count : int
            How many they are.
        """
        known = self._seconds.get(task)
        seconds = max(seconds, 0.0)  # clocks may be set back
        # What is slower counts at once, what is faster by and by.
        if known is None or seconds > known * 8:
            self._seconds[task] = seconds
            if len(self._seconds) > MEMORY:
                del self._seconds[next(iter(self._seconds))]
        else:
            old = 0.9 ** min(count, 20)
            self._seconds[task] = old * known + (1 - old) * seconds
        if nbytes > VALUE_LIMIT:
            self._large.add(task)

    def seconds(self, task: str) -> float | None:
        """Return how long an attempt of a task takes.

        Parameters
        ----------
        task : str
            The digest of the task.

        Returns
        -------
        float or None
            None while nobody knows.
        """
        return self._seconds.get(task)

    def is_long(self, tasks: Sequence[str]) -> bool:
        """Return whether attempts take as long as a bundle should, so that what Dask costs is nothing beside.

        Parameters
        ----------
        tasks : sequence of str
            The digests of tasks that run one after the other.

        Returns
        -------
        bool
            False while nobody knows.
        """
        return sum([self._seconds.get(task, 0.0) for task in tasks]) >= AIM

    @property
    def is_known(self) -> bool:
        """Whether anything was learned so far."""
        return bool(self._seconds)

    def is_large(self, task: str) -> bool:
        """Return whether a task has made a value that should not share a bundle with others.

        Parameters
        ----------
        task : str
            The digest of the task.

        Returns
        -------
        bool
            False while nobody knows.
        """
        return task in self._large

    def size(self, tasks: Sequence[str], count: int, mosts: Sequence[int | None] = ()) -> int:
        """Return how many children of a map, or of maps that follow each other, should travel together.

        Parameters
        ----------
        tasks : sequence of str
            The digests of the tasks that run for each child, one after the other.
        count : int
            How many children there are to send.
        mosts : sequence of (int or None), optional
            For each task, how many of its attempts may share a bundle, if the task says.

        Returns
        -------
        int
            From 1 on.
        """
        if self.bundle_size == 1 or any(task in self._large for task in tasks):
            return 1
        # A task may run more than once for each child.
        limited = [(task, most) for task, most in zip(tasks, mosts, strict=False) if most is not None]
        given = [max(1, most // tasks.count(task)) for task, most in limited]
        if given:
            others = [task for task, most in zip(tasks, mosts, strict=True) if most is None]
            return min([*given, self.size(others, count)] if others else given)
        if self.bundle_size is not None:
            return max(1, self.bundle_size // len(tasks))
        share = -(-count // (SHARES * max(self.threads(), 1)))
        known = [self._seconds.get(task) for task in tasks]
        seconds = sum(AIM / FIRST if one is None else max(one, AIM / MOST) for one in known)
        return max(1, min(share, int(AIM / seconds + 0.5), MOST // len(tasks)))


def most_together(bundle_size: int | Literal["auto"] | None) -> int | None:
    """Return what a ``bundle_size`` that a user gave means.

    Parameters
    ----------
    bundle_size : int, "auto" or None
        As it was given.

    Returns
    -------
    int or None
        How many attempts travel together at most; None where that is not said.
    """
    return None if bundle_size == "auto" else bundle_size or 1
