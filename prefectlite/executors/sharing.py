"""Idle workers get what waits elsewhere, at once. Knows the scheduler; decides no order and no rule.

Dask places a task with inputs where one of them lies, so that what reads one small value piles up at one
worker, and looks once a second whether another is idle; tasks that it takes for short it never moves. Here, a
worker without work is a reason to look. What is moved is asked back from its worker as Dask's own balancing
does it: an attempt that has begun stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

#: How long a look waits for company, in seconds.
LOOK_AFTER: Final = 0.001
#: Less work than this, in seconds, is not worth the way to another worker.
LEAST: Final = 0.01
#: Over so many bytes of inputs that a worker has not, an attempt stays where they are.
NEAR: Final = 64 * 1024
#: The most attempts that move to one worker at once, for each of its threads.
AT_ONCE: Final = 16


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
            self._timer = self._scheduler.loop.call_later(LOOK_AFTER, self._look)

    def _look(self) -> None:
        self._timer = None
        stealing = self._scheduler.extensions.get("stealing")
        if stealing is None:
            return
        expected: dict[Any, int] = {}
        for info in stealing.in_flight.values():
            expected[info["thief"]] = expected.get(info["thief"], 0) + 1
        for thief in list(self._scheduler.idle.values()):
            if len(thief.processing) + expected.get(thief, 0) >= thief.nthreads:
                continue
            victim = max(self._scheduler.running, key=_surplus, default=None)
            if victim is None or _surplus(victim) <= 0:
                return
            for task in self._to_move(victim, thief, stealing.in_flight):
                stealing.move_task_request(task, victim, thief)

    def _to_move(self, victim: Any, thief: Any, moving: Any) -> list[Any]:
        """Return what one worker should let another have: half of what waits, from the end of its queue."""
        waiting = [task for task in victim.processing if task not in moving and self._may_move(task, thief)]
        # Dask does not say which of them have begun; those are the first of their worker's.
        waiting.sort(key=_priority)
        waiting = waiting[max(0, victim.nthreads - len(victim.processing) + len(waiting)) :]
        if sum([self._seconds(task) for task in waiting]) / victim.nthreads < LEAST:
            return []
        return waiting[-min(-(-len(waiting) // 2), AT_ONCE * thief.nthreads) :]

    def _may_move(self, task: Any, thief: Any) -> bool:
        return (
            self._is_ours(task.key)
            and not task.worker_restrictions
            and not task.host_restrictions
            and not task.resource_restrictions
            and _far(task.dependencies, thief) <= NEAR
        )

    def _seconds(self, task: Any) -> float:
        return float(self._scheduler._get_prefix_duration(task.prefix))


def _surplus(worker: Any) -> int:
    """Return how many tasks wait at a worker for one of its threads."""
    return len(worker.processing) - int(worker.nthreads)


def _priority(task: Any) -> Any:
    return task.priority


def _far(inputs: Iterable[Any], worker: Any) -> int:
    """Return how many bytes of some values a worker would have to fetch."""
    return sum([one.nbytes for one in inputs if worker not in one.who_has])
