"""Idle workers get what waits elsewhere, at once. Knows the scheduler; decides no order and no rule.

Dask places a task with inputs where one of them lies, so that what reads one small value piles up at one
worker, and looks once a second whether another is idle; tasks that it takes for short it never moves. Here, a
worker without work is a reason to look. What is moved is asked back from its worker as Dask's own balancing
does it: an attempt that has begun stays. Where that is off (``distributed.scheduler.work-stealing``), so is
this.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from heapq import nlargest
from itertools import islice
from typing import Any, Final

import dask

from prefectlite.executors.restrictions import is_restricted

#: How long a look waits for company, in seconds, and how long after one that moved nothing.
LOOK_AFTER: Final = 0.001
LOOK_AGAIN: Final = 0.01
#: Less work than this, in seconds, is not worth the way to another worker.
LEAST: Final = 0.003
#: What nobody has timed yet is taken to last this long, in seconds, as Dask does.
UNKNOWN: Final = 0.5
#: Over so many bytes of inputs that a worker has not, an attempt stays where they are.
NEAR: Final = 64 * 1024
#: The most attempts that move to one worker at once, for each of its threads.
AT_ONCE: Final = 16
#: So many workers with the longest queues are asked, and so many attempts in each queue looked at.
VICTIMS: Final = 4
LOOK_AT: Final = 256


class Sharing:
    """Looks for work for idle workers.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose workers.
    is_ours : callable
        Tells whether a key is of a flow run that streams here.
    """

    def __init__(self, scheduler: Any, is_ours: Callable[[Any], bool]) -> None:
        self._scheduler = scheduler
        self._is_ours = is_ours
        self._timer: Any = None
        self._rests_until = 0.0

    def placed(self, worker: Any) -> None:
        """Look soon if a worker has got more than it has threads for.

        Parameters
        ----------
        worker : WorkerState
            The worker.
        """
        if len(worker.processing) > worker.nthreads:
            self._wake()

    def freed(self, worker: Any) -> None:
        """Look soon if a worker has threads left.

        Parameters
        ----------
        worker : WorkerState or None
            The worker; None when it is gone.
        """
        if worker is not None and len(worker.processing) < worker.nthreads:
            self._wake()

    def _wake(self) -> None:
        idle = self._scheduler.idle
        if self._timer is None and idle and len(idle) < len(self._scheduler.running):
            wait = max(LOOK_AFTER, self._rests_until - time.monotonic())
            self._timer = self._scheduler.loop.call_later(wait, self._look)

    def _look(self) -> None:
        self._timer = None
        stealing = self._scheduler.extensions.get("stealing")
        if stealing is None or not dask.config.get("distributed.scheduler.work-stealing"):
            return
        on_the_way = stealing.in_flight
        coming = Counter(info["thief"] for info in on_the_way.values())
        going = Counter(info["victim"] for info in on_the_way.values())
        victims = nlargest(VICTIMS, self._scheduler.running, key=_surplus)
        is_idle = True
        for thief in list(self._scheduler.idle.values()):
            if len(thief.processing) + coming[thief] >= thief.nthreads:
                continue
            for victim in victims:
                tasks = self._to_move(victim, thief, _surplus(victim) - going[victim], on_the_way)
                for task in tasks:
                    stealing.move_task_request(task, victim, thief)
                going[victim] += len(tasks)
                if tasks:
                    is_idle = False
                    break
        if is_idle:
            self._rests_until = time.monotonic() + LOOK_AGAIN

    def _to_move(self, victim: Any, thief: Any, surplus: int, on_the_way: Any) -> list[Any]:
        """Return what one worker should let another have: half of what waits, from the end of its queue."""
        if surplus <= 0:
            return []
        some = islice(victim.processing, LOOK_AT)  # of a long queue, any
        found = [task for task in some if task not in on_the_way and self._may_move(task, thief)]
        found = nlargest(min(surplus, len(found)), found, key=_priority)
        if sum(map(_seconds, found)) / victim.nthreads < LEAST:
            return []
        return found[: min(-(-surplus // 2), AT_ONCE * thief.nthreads)]

    def _may_move(self, task: Any, thief: Any) -> bool:
        return self._is_ours(task.key) and not is_restricted(task) and _far(task.dependencies, thief) <= NEAR


def _surplus(worker: Any) -> int:
    """Return how many tasks wait at a worker for one of its threads."""
    return len(worker.processing) - int(worker.nthreads)


def _seconds(task: Any) -> float:
    """Return how long Dask found tasks of a kind to take; below zero where it does not know yet."""
    known = float(task.prefix.duration_average)
    return UNKNOWN if known < 0 else known


def _priority(task: Any) -> Any:
    return task.priority


def _far(inputs: Iterable[Any], worker: Any) -> int:
    """Return how many bytes of some values a worker would have to fetch."""
    return sum([one.nbytes for one in inputs if worker not in one.who_has])
