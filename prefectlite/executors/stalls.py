"""Attempts that never get their inputs: who they are, and what is done about them, on the scheduler.

Dask lets a worker that cannot reach another ask for its values again and again, without end and without a
word. An attempt is stalled when its worker has a thread for it and has not come by its inputs for too long;
one that is queued behind others, waits for resources or for inputs that are still being made is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, NamedTuple

#: How many bytes a second a network brings at least; so much longer may inputs take that are large.
SLOWEST: Final = 10_000_000
#: A worker that was not heard of for so long, in seconds, may be busy with what it began since.
FRESH: Final = 15.0


class Wait(NamedTuple):
    """An attempt that was sent to a worker and lacks inputs there.

    Parameters
    ----------
    worker : str
        The worker's address.
    can_begin : bool
        Whether a thread is free there.
    nbytes : int
        How many bytes that worker has still to fetch, for all that was sent to it.
    """

    worker: str
    can_begin: bool
    nbytes: int


class Waits:
    """Since when attempts lack inputs though their workers have threads for them."""

    def __init__(self) -> None:
        #: By attempt: the worker, since when, and how often it was found to be stalled.
        self._known: dict[Hashable, tuple[str, float, int]] = {}

    def look(self, waits: Mapping[Any, Wait], now: float, timeout: float) -> list[tuple[Any, int]]:
        """Take note of those that wait now, and return those that are stalled.

        Parameters
        ----------
        waits : mapping of key to Wait
            All that lack inputs now; the others are forgotten.
        now : float
            Seconds, by a clock that never goes back.
        timeout : float
            For how many seconds an attempt may lack small inputs.

        Returns
        -------
        list of (key, int)
            Which, and the how manieth time. The clock of each begins anew.

        Examples
        --------
        >>> waits, wait = Waits(), {"a": Wait("w", True, 0)}
        >>> [waits.look(wait, now, timeout=60.0) for now in (0.0, 50.0, 61.0, 70.0, 122.0)]
        [[], [], [('a', 1)], [], [('a', 2)]]
        """
        known, self._known = self._known, {}
        found: list[tuple[Any, int]] = []
        for key, wait in waits.items():
            worker, since, times = known.get(key, (wait.worker, now, 0))
            if worker != wait.worker or not wait.can_begin:
                since = now
            elif now - since > timeout + wait.nbytes / SLOWEST:
                since, times = now, times + 1
                found.append((key, times))
            self._known[key] = wait.worker, since, times
        return found


def look_for_stalls(
    scheduler: Any, waits: Waits, is_ours: Callable[[Any], bool], timeout: float
) -> list[tuple[Any, str]]:
    """Let other workers have attempts that are stalled, and return those for which that is no way out.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        The scheduler.
    waits : Waits
        What was seen before.
    is_ours : callable
        Whether a key is to be looked at.
    timeout : float
        As of ``Waits.look``.

    Returns
    -------
    list of (tuple, str)
        Dask tasks, and in words what they lack. They have not begun.
    """
    given_up = []
    for key, times in waits.look(_waits_now(scheduler, is_ours), time.monotonic(), timeout):
        task = scheduler.tasks[key]
        text = _told(task)
        if times > 1:
            text += " It had waited on another worker, or for one, before."
        elif _move(scheduler, task):
            continue
        given_up.append((key, text))
    return given_up


def _waits_now(scheduler: Any, is_ours: Callable[[Any], bool]) -> dict[Any, Wait]:
    found: dict[Any, Wait] = {}
    heard_after = time.time() - FRESH
    for worker in scheduler.running:
        lacking: dict[Any, None] = {}
        waiting = []
        for task in worker.processing:
            if is_ours(task.key) and task not in worker.executing and (lacks := _lacks(task)):
                waiting.append(task.key)
                lacking.update(dict.fromkeys(lacks))
        if waiting:
            can_begin = len(worker.executing) < worker.nthreads and worker.last_seen > heard_after
            wait = Wait(worker.address, can_begin, sum(max(one.nbytes, 0) for one in lacking))
            found.update(dict.fromkeys(waiting, wait))
    return found


def _lacks(task: Any) -> list[Any]:
    """Return the inputs of a task that its worker does not have."""
    return [one for one in task.dependencies if task.processing_on not in (one.who_has or ())]


def _move(scheduler: Any, task: Any) -> bool:
    """Ask a stalled task back for the worker that has most of its inputs; return whether there is one."""
    stealing = scheduler.extensions.get("stealing")
    allowed = None if task.loose_restrictions else scheduler.valid_workers(task)
    others = (scheduler.running if allowed is None else allowed & scheduler.running) - {task.processing_on}
    if stealing is None or not others:
        return False

    def worth(worker: Any) -> tuple[int, int, str]:
        held = sum(max(one.nbytes, 1) for one in task.dependencies if worker in (one.who_has or ()))
        return held, -len(worker.processing), worker.address

    # As Dask does it when it balances loads: one that has begun meanwhile stays.
    stealing.move_task_request(task, task.processing_on, max(others, key=worth))
    return True


def _told(task: Any) -> str:
    holders = sorted({worker.address for one in _lacks(task) for worker in one.who_has or ()})
    return (
        f"The attempt never got its inputs: the worker {task.processing_on.address}, to which it was sent, "
        f"could not fetch them from {', '.join(holders[:3])}{' and others' if len(holders) > 3 else ''}. "
        "Can these machines reach each other?"
    )
