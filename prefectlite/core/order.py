"""The order of a flow's tasks: each after those that it waits for. Knows places and edges only."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Self

from prefectlite.core.base import Task
from prefectlite.core.places import Place


def topological(places: Mapping[Task, Place], wanted: Iterable[Task] | None = None) -> tuple[Task, ...]:
    """Return tasks, each after those that it waits for; where that leaves a choice, the earlier first.

    Parameters
    ----------
    places : mapping of Task to Place
        A flow's places.
    wanted : iterable of Task or None
        The tasks that are asked for, with all that wait for them; by default, all.

    Returns
    -------
    tuple of Task
        The tasks in order.
    """
    tasks = {places[task].number: task for task in (places if wanted is None else wanted)}
    waiting = dict.fromkeys(tasks, 0)
    for task in tasks.values():
        for edge in places[task].out:
            waiting[places[edge.downstream].number] += 1
    ready = [number for number, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    found: list[Task] = []
    while ready:
        task = tasks[heapq.heappop(ready)]
        found.append(task)
        for edge in places[task].out:
            number = places[edge.downstream].number
            waiting[number] -= 1
            if waiting[number] == 0:
                heapq.heappush(ready, number)
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


class Ranks:
    """An order of all tasks in which each stands behind those that it waits for, kept while edges come.

    An edge that agrees with the order is seen to close no cycle by two numbers. One that does not moves the
    tasks between its ends, and no others (Pearce and Kelly, A dynamic topological sort algorithm for directed
    acyclic graphs, ACM JEA 11, 2006). A task that waits for none goes to the front, and one that none waits
    for to the end, without a search: the usual ways of building a flow need none.
    """

    __slots__ = ("_first", "_last")

    def __init__(self) -> None:
        self._first = 0
        self._last = -1

    def next(self) -> int:
        """Return the rank for a task that none waits for.

        Returns
        -------
        int
            Behind all ranks so far.
        """
        self._last += 1
        return self._last

    def copy(self) -> Self:
        """Return ranks that go on from here by themselves.

        Returns
        -------
        Ranks
            The copy.
        """
        new = type(self)()
        new._first, new._last = self._first, self._last
        return new

    def admit(self, places: Mapping[Task, Place], upstream: Task, downstream: Task) -> bool:
        """Put one task before another, with all that this takes.

        Parameters
        ----------
        places : mapping of Task to Place
            A flow's places, whose ranks change.
        upstream, downstream : Task
            The ends of a new edge.

        Returns
        -------
        bool
            False, and nothing has changed, if the edge would close a cycle.
        """
        before, after = places[upstream], places[downstream]
        if before.rank < after.rank:
            return True
        if not before.into:
            self._first -= 1
            before.rank = self._first
            return True
        if not after.out:
            after.rank = self.next()
            return True
        ahead, behind = {downstream: after}, {upstream: before}
        waiting = [after]
        while waiting:
            for edge in waiting.pop().out:
                place = places[edge.downstream]
                if place is before:
                    return False
                if place.rank < before.rank and edge.downstream not in ahead:
                    ahead[edge.downstream] = place
                    waiting.append(place)
        waiting = [before]
        while waiting:
            for edge in waiting.pop().into:
                place = places[edge.upstream]
                if place.rank > after.rank and edge.upstream not in behind:
                    behind[edge.upstream] = place
                    waiting.append(place)
        moved = [*sorted(behind.values(), key=_rank), *sorted(ahead.values(), key=_rank)]
        for place, rank in zip(moved, sorted(map(_rank, moved)), strict=True):
            place.rank = rank
        return True


def _rank(place: Place) -> int:
    return place.rank
