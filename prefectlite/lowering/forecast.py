"""When bundles would be done: a model of threads that take what is ready. Knows needs and seconds."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

#: How long a value takes from one Dask task to the next that reads it, in seconds; measured.
LATENCY: Final = 0.006
#: What a Dask task costs a worker beside its bodies, in seconds; measured.
DASK_TASK: Final = 0.0007


def forecast(
    needs: Sequence[Sequence[int]], bundles: Sequence[Sequence[int]], seconds: Sequence[float], threads: int
) -> float:
    """Return when the last of some bundles would be done.

    Parameters
    ----------
    needs : sequence of sequence of int
        For each item, the places of those that it needs.
    bundles : sequence of sequence of int
        The places of their items, each behind those that it needs; the first that are ready go first.
    seconds : sequence of float
        How long each item takes.
    threads : int
        How many worker threads there are.

    Returns
    -------
    float
        In seconds.

    Examples
    --------
    >>> round(forecast([[], [], [0, 1]], [[0], [1], [2]], [1.0, 1.0, 1.0], threads=2), 4)
    2.0074
    """
    bundle_of = [0] * len(needs)
    for number, bundle in enumerate(bundles):
        for place in bundle:
            bundle_of[place] = number
    readers: list[list[int]] = [[] for _ in bundles]
    missing: list[int] = []
    lengths: list[float] = []
    for number, bundle in enumerate(bundles):
        above = {bundle_of[need] for place in bundle for need in needs[place]}
        above.discard(number)
        missing.append(len(above))
        for other in above:
            readers[other].append(number)
        lengths.append(DASK_TASK + sum([seconds[place] for place in bundle]))
    there = [0.0] * len(bundles)
    coming = [(0.0, number) for number, count in enumerate(missing) if not count]
    ready: list[int] = []
    free = [0.0] * threads
    while coming or ready:
        now = heapq.heappop(free)
        if not ready:
            now = max(now, coming[0][0])
        while coming and coming[0][0] <= now:
            heapq.heappush(ready, heapq.heappop(coming)[1])
        number = heapq.heappop(ready)
        done = now + lengths[number]
        heapq.heappush(free, done)
        for reader in readers[number]:
            there[reader] = max(there[reader], done + LATENCY)
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(coming, (there[reader], reader))
    return max(free)
