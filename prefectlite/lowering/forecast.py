"""When bundles would be done: a model of threads that take what is ready. Knows needs and seconds."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

#: How long a value takes from one Dask task to the next that reads it, in seconds; measured.
LATENCY: Final = 0.006
#: What a Dask task costs a worker beside its bodies, in seconds, most of it in its event loop; measured.
DASK_TASK: Final = 0.002


def forecast(
    needs: Sequence[Sequence[int]], bundles: Sequence[list[int]], seconds: Sequence[float], threads: int
) -> tuple[float, list[list[int]]]:
    """Return when the last of some bundles would be done, and the order in which they should be sent.

    What has the longest way to the end before it goes first, as in list scheduling (Graham: "Bounds on
    multiprocessing timing anomalies", 1969).

    Parameters
    ----------
    needs : sequence of sequence of int
        For each item, the places of those that it needs.
    bundles : sequence of list of int
        The places of their items; no two of them need each other in a circle.
    seconds : sequence of float
        How long each item takes.
    threads : int
        How many worker threads there are.

    Returns
    -------
    (float, list of list of int)
        Seconds, and the bundles, each behind those that it needs.

    Examples
    --------
    >>> done, order = forecast([[], [], [0, 1]], [[0], [1], [2]], [1.0, 2.0, 3.0], threads=2)
    >>> round(done, 4), order
    (5.01, [[1], [0], [2]])
    """
    readers, missing = _joined(needs, bundles)
    lengths = [DASK_TASK + sum([seconds[place] for place in bundle]) for bundle in bundles]
    order = _by_way(readers, missing, lengths)
    place_of = {number: place for place, number in enumerate(order)}
    there = [0.0] * len(bundles)
    coming = [(0.0, place_of[number]) for number, count in enumerate(missing) if not count]
    heapq.heapify(coming)
    ready: list[int] = []
    free = [0.0] * threads
    while coming or ready:
        now = heapq.heappop(free)
        if not ready:
            now = max(now, coming[0][0])
        while coming and coming[0][0] <= now:
            heapq.heappush(ready, heapq.heappop(coming)[1])
        number = order[heapq.heappop(ready)]
        done = now + lengths[number]
        heapq.heappush(free, done)
        for reader in readers[number]:
            there[reader] = max(there[reader], done + LATENCY)
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(coming, (there[reader], place_of[reader]))
    return max(free), [bundles[number] for number in order]


def _joined(
    needs: Sequence[Sequence[int]], bundles: Sequence[Sequence[int]]
) -> tuple[list[list[int]], list[int]]:
    """Return which bundles read each bundle, and how many each reads."""
    bundle_of = [0] * len(needs)
    for number, bundle in enumerate(bundles):
        for place in bundle:
            bundle_of[place] = number
    readers: list[list[int]] = [[] for _ in bundles]
    missing: list[int] = []
    for number, bundle in enumerate(bundles):
        above = {bundle_of[need] for place in bundle for need in needs[place]}
        above.discard(number)
        missing.append(len(above))
        for other in above:
            readers[other].append(number)
    return readers, missing


def _by_way(readers: Sequence[Sequence[int]], missing: Sequence[int], lengths: Sequence[float]) -> list[int]:
    """Return bundles by the longest way from each to the end, longest first: each follows what it needs."""
    left = list(missing)
    found = [number for number, count in enumerate(left) if not count]
    for number in found:  # grows
        for reader in readers[number]:
            left[reader] -= 1
            if not left[reader]:
                found.append(reader)
    ways = [0.0] * len(lengths)
    for number in reversed(found):
        ways[number] = (
            lengths[number] + LATENCY + max([ways[reader] for reader in readers[number]], default=0.0)
        )
    return sorted(found, key=lambda number: (-ways[number], number))
