"""The order of a flow's tasks: each after those that it waits for. Knows places and edges only."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from prefectlite.core.base import Task
from prefectlite.core.places import Place


def topological(places: Mapping[Task, Place]) -> tuple[Task, ...]:
    """Return the tasks, each after those that it waits for; where that leaves a choice, the earlier first.

    Parameters
    ----------
    places : mapping of Task to Place
        A flow's places, without a cycle.

    Returns
    -------
    tuple of Task
        All tasks.
    """
    waiting = {task: len(place.into) for task, place in places.items()}
    by_number = list(places)
    ready = [places[task].number for task, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    found: list[Task] = []
    while ready:
        task = by_number[heapq.heappop(ready)]
        found.append(task)
        for edge in places[task].out:
            waiting[edge.downstream] -= 1
            if waiting[edge.downstream] == 0:
                heapq.heappush(ready, places[edge.downstream].number)
    return tuple(found)


def descendants(places: Mapping[Task, Place], roots: Iterable[Task]) -> set[Task]:
    """Return some tasks and all that wait for them, directly or not.

    Parameters
    ----------
    places : mapping of Task to Place
        A flow's places.
    roots : iterable of Task
        Where to begin.

    Returns
    -------
    set of Task
        The roots among them.
    """
    found = set(roots)
    waiting = list(found)
    while waiting:
        for edge in places[waiting.pop()].out:
            if edge.downstream not in found:
                found.add(edge.downstream)
                waiting.append(edge.downstream)
    return found


def leads_to(places: Mapping[Task, Place], start: Task, goal: Task) -> bool:
    """Return whether one task waits, directly or not, for another.

    The search goes from both ends in turn and stops when either has nowhere to go, so an edge near the rim
    of a big flow is cheap to check.

    Parameters
    ----------
    places : mapping of Task to Place
        A flow's places.
    start, goal : Task
        Whether ``goal`` waits for ``start``.

    Returns
    -------
    bool
        True if a path leads from ``start`` to ``goal``.
    """
    after, before = {start}, {goal}
    ahead, behind = [start], [goal]
    while ahead and behind:
        for edge in places[ahead.pop()].out:
            if edge.downstream in before:
                return True
            if edge.downstream not in after:
                after.add(edge.downstream)
                ahead.append(edge.downstream)
        for edge in places[behind.pop()].into:
            if edge.upstream in after:
                return True
            if edge.upstream not in before:
                before.add(edge.upstream)
                behind.append(edge.upstream)
    return False
