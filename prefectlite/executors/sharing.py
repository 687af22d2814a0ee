"""Idle workers get what waits elsewhere, at once. Knows the scheduler; decides no order and no rule.

Dask places a task with inputs where one of them lies, so that what reads one small value piles up at one
worker, and looks once a second whether another is idle; tasks that it takes for short it never moves. Here, a
worker without work is a reason to look. What becomes ready then is shared out before Dask places it. What is
in a queue is asked back from its worker as Dask's own balancing does it, which takes its time while a body
holds Python's lock; an attempt that has begun stays. Where that is off
(``distributed.scheduler.work-stealing``), so is all of this.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
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
#: A worker whose queue is the same after so many seconds has a long body: all that waits there may go.
STANDS: Final = 0.1
#: What nobody has timed yet is taken to last this long, in seconds, as Dask does.
UNKNOWN: Final = 0.5
#: Over so many bytes of inputs that a worker has not, an attempt stays where they are.
NEAR: Final = 64 * 1024
#: The most attempts that move to one worker at once, for each of its threads.
AT_ONCE: Final = 16
#: So many workers with the longest queues are asked, and so many attempts in each queue looked at.
VICTIMS: Final = 4
#: Among so many idle workers what becomes ready is shared out.
THIEVES: Final = 16
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
        # Of workers with a queue: what was in it at the last look for one that stands still.
        self._queues: dict[Any, frozenset[Any]] = {}
        self._later: Any = None
        # Tasks that Dask is told where to place, until it has.
        self._lent: list[Any] = []

    def saw(self, task: Any) -> None:
        """Share out a task that waits for nothing; look soon if a worker got more than it has threads for.

        Parameters
        ----------
        task : TaskState
            It waits now, or has got a worker.
        """
        worker = task.processing_on
        if worker is not None:
            if len(worker.processing) > worker.nthreads:
                self._wake()
        elif self._scheduler.idle and task.dependencies and not task.waiting_on:
            self._share_out([task])

    def freed(self, worker: Any) -> None:
        """Look soon if a worker has threads left.

        Parameters
        ----------
        worker : WorkerState or None
            The worker; None when it is gone.
        """
        if worker is not None and len(worker.processing) < worker.nthreads:
            self._wake()

    def came(self, task: Any) -> None:
        """Share out what waited for a value, if a worker has nothing to do; Dask is about to place it.

        Parameters
        ----------
        task : TaskState
            Whose value is there now.
        """
        if self._scheduler.idle:
            waited = (one for one in task.dependents if one.state == "waiting" and not one.waiting_on)
            self._share_out([one for one in islice(waited, LOOK_AT) if self._is_ours(one.key)])

    def _share_out(self, ready: list[Any]) -> None:
        """Choose workers for tasks where Dask would not look at those that are idle."""
        if not ready or len(self._scheduler.running) < 2 or not _may_balance():
            return
        idle = islice(self._scheduler.idle.values(), THIEVES)
        thieves = {worker: len(worker.processing) / worker.nthreads for worker in idle}
        for task in sorted(ready, key=_priority):
            holders = {worker for need in task.dependencies for worker in need.who_has}
            loads = {worker: len(worker.processing) / worker.nthreads for worker in holders} | thieves
            least = min(loads, key=lambda worker: (loads[worker], worker not in holders))
            if least in thieves:
                thieves[least] += 1 / least.nthreads
            if least not in holders and self._may_move(task, least) and _seconds(task) >= LEAST:
                self._lend(task, least)

    def _lend(self, task: Any, worker: Any) -> None:
        """Let Dask place a task at a worker; once it is placed, it is as free as before."""
        if self._scheduler.is_rootish(task):
            return  # has a way of its own, by which it gets to idle workers
        if not self._lent:
            self._scheduler.loop.add_callback(self._let_go)
        self._lent.append(task)
        task.worker_restrictions, task.loose_restrictions = {worker.address}, True

    def _let_go(self) -> None:
        for task in self._lent:
            task.worker_restrictions, task.loose_restrictions = None, False
        self._lent.clear()

    def _wake(self) -> None:
        idle = self._scheduler.idle
        if self._timer is None and idle and len(idle) < len(self._scheduler.running):
            wait = max(LOOK_AFTER, self._rests_until - time.monotonic())
            self._timer = self._scheduler.loop.call_later(wait, self._look)

    def _look(self) -> None:
        self._timer = None
        self._balance(nlargest(VICTIMS, self._scheduler.running, key=_surplus))

    def _look_later(self) -> None:
        """Look though nothing was heard: a queue behind a long body makes no news."""
        self._later = None
        victims = nlargest(VICTIMS, self._scheduler.running, key=_surplus)
        before = self._queues
        self._queues = {
            worker: frozenset([task.key for task in islice(worker.processing, LOOK_AT)])
            for worker in victims
            if _surplus(worker) > 0
        }
        standing = {worker for worker, queue in self._queues.items() if before.get(worker) == queue}
        self._balance(victims, standing)

    def _balance(self, victims: Sequence[Any], standing: Container[Any] = ()) -> None:
        """Ask workers back for what those that are idle should have."""
        stealing = self._scheduler.extensions.get("stealing")
        if stealing is None or not _may_balance():
            return
        on_the_way = stealing.in_flight
        coming = Counter(info["thief"] for info in on_the_way.values())
        going = Counter(info["victim"] for info in on_the_way.values())
        is_idle = True
        for thief in list(self._scheduler.idle.values()):
            if len(thief.processing) + coming[thief] >= thief.nthreads:
                continue
            for victim in victims:
                surplus = _surplus(victim) - going[victim]
                tasks = self._to_move(victim, thief, surplus, on_the_way, stands=victim in standing)
                for task in tasks:
                    stealing.move_task_request(task, victim, thief)
                going[victim] += len(tasks)
                if tasks:
                    is_idle = False
                    break
        if is_idle:
            self._rests_until = time.monotonic() + LOOK_AGAIN
        if self._later is None and victims and _surplus(victims[0]) > 0:
            self._later = self._scheduler.loop.call_later(STANDS, self._look_later)

    def _to_move(
        self, victim: Any, thief: Any, surplus: int, on_the_way: Any, *, stands: bool = False
    ) -> list[Any]:
        """Return what one worker should let another have: half of what waits, from the end of its queue."""
        if surplus <= 0:
            return []
        some = islice(victim.processing, LOOK_AT)  # of a long queue, any
        found = [task for task in some if task not in on_the_way and self._may_move(task, thief)]
        if stands:  # which of them has begun, its worker knows
            return nlargest(AT_ONCE * thief.nthreads, found, key=_priority)
        found = nlargest(min(surplus, len(found)), found, key=_priority)
        if sum(map(_seconds, found)) / victim.nthreads < LEAST:
            return []
        return found[: min(-(-surplus // 2), AT_ONCE * thief.nthreads)]

    def _may_move(self, task: Any, thief: Any) -> bool:
        return self._is_ours(task.key) and not is_restricted(task) and _far(task.dependencies, thief) <= NEAR


def _may_balance() -> bool:
    return bool(dask.config.get("distributed.scheduler.work-stealing"))


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
