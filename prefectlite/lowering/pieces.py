"""Which attempts of a turn travel together. Knows needs and durations; knows neither shipments nor Dask.

A bundle is one Dask task that runs its members one after another, and hands their values over when the last
one is done. That saves what a Dask task costs, and on every need inside a bundle the way over the scheduler;
it loses the parallelism between the members. No two bundles may need each other in a circle.

There are two ways to cut by which no circle closes: by stages (``stages``), which asks of every single item
whether it should join what it reads, and by two orders (``tiles``), which looks at the whole. Where all is
known and short, what is done sooner by a forecast is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, inf
from typing import Final

from prefectlite.lowering.depths import depth_first
from prefectlite.lowering.forecast import DASK_TASK, LATENCY, forecast
from prefectlite.lowering.pace import AIM, MOST, SHARES
from prefectlite.lowering.stages import FULL, LEAST, TOLL, Item, Stages
from prefectlite.lowering.tiles import Plane

__all__ = ["Item", "partition"]

#: How cuts by two orders are tried: how long a block takes at least, and what is too short for a tile, in
#: seconds. Which of them is done first depends on the graph.
GRAINS: Final = ((AIM / 4, LEAST), (AIM * 2 / 3, 2 * LEAST), (AIM, 0.0))
#: By how much a cut may miss what so many threads could do at best before the other way is tried.
GOOD: Final = 1.25


def partition(
    items: Sequence[Item], threads: int, bundle_size: int | None = None, most: int = MOST
) -> list[list[int]]:
    """Return which of a turn's attempts travel together, and in which order they run.

    Parameters
    ----------
    items : sequence of Item
        The turn's attempts, each behind those that it needs.
    threads : int
        How many worker threads there are.
    bundle_size : int, optional
        How many attempts that do not say it themselves a bundle holds, whatever is known of them; None
        decides by what is known.
    most : int, optional
        The most attempts in one bundle where that is decided by what is known.

    Returns
    -------
    list of list of int
        Places in ``items``, each once: the bundles, each behind those that it needs; in each bundle every
        item behind those that it reads. They come depth first or, where all is known and short, by the
        longest way to the end.

    Examples
    --------
    Two chains, whose links somebody has timed, and what reads both:

    >>> links = [Item([], "a", 0.02), Item([], "a", 0.02), Item([0], "b", 0.02), Item([1], "b", 0.02)]
    >>> partition([*links, Item([2, 3], "sum", 0.02)], threads=2)
    [[0, 2], [1, 3], [4]]
    """
    if bundle_size == 1:
        return [[place] for place in range(len(items))]
    needs = [item.needs for item in items]
    threads = max(threads, 1)
    stages = Stages(items, needs, threads, bundle_size, most)
    if bundle_size is None and (seconds := _all_short(items, threads)):
        return _sooner(needs, stages, seconds, threads, most)
    return depth_first(needs, stages.bundles())


def _all_short(items: Sequence[Item], threads: int) -> list[float] | None:
    """Return how long each item takes, if all of them may share bundles and it matters how."""
    if not any(item.needs for item in items):
        return None
    first = items[0].annotations
    seconds = []
    for _, _, known, notes, alone, most in items:
        if known is None or known > AIM / 2 or alone or most is not None or notes != first:
            return None
        seconds.append(max(known, 0.0) + TOLL)
    return seconds if sum(seconds) >= threads * SHARES * LEAST else None


def _sooner(
    needs: Sequence[Sequence[int]], stages: Stages, seconds: Sequence[float], threads: int, most: int
) -> list[list[int]]:
    """Return of two cuts the one that is done first; the other is not tried where one is good."""
    ways = [_tiled(needs, stages.depths, seconds, threads, most), stages.cuts()]
    good = GOOD * _at_best(needs, seconds, threads)
    best, found = inf, list[list[int]]()
    for way in ways if stages.is_woven else reversed(ways):
        for cut in way:
            done, bundles = forecast(needs, cut, seconds, threads)
            if done < best:
                best, found = done, bundles
        if best <= good:
            break
    return found


def _tiled(
    needs: Sequence[Sequence[int]],
    depths: Sequence[int],
    seconds: Sequence[float],
    threads: int,
    most: int,
) -> Iterator[list[list[int]]]:
    """Yield cuts from fine to coarse."""
    plane = Plane(needs, depths, seconds, threads)
    for least, small in GRAINS:
        tiles = plane.tiles(least, small)
        yield [bundle for tile in tiles for bundle in _full(sorted(tile), seconds, most)]


def _full(tile: list[int], seconds: Sequence[float], most: int) -> Iterator[list[int]]:
    """Cut a tile in bundles that are not too full."""
    loads = [max(1 / most, seconds[place] / AIM) for place in tile]
    share = sum(loads) / ceil(sum(loads) - 1e-9)
    bundle: list[int] = []
    load, done, edge = 0.0, 0.0, share
    for place, one in zip(tile, loads, strict=True):
        if bundle and (load + one > FULL or done + one / 2 > edge):
            yield bundle
            bundle, load = [], 0.0
            edge += share
        bundle.append(place)
        load += one
        done += one
    yield bundle


def _at_best(needs: Sequence[Sequence[int]], seconds: Sequence[float], threads: int) -> float:
    """Return when a cut would be done that keeps all threads busy, or one along the longest way."""
    ends: list[float] = []
    for own, length in zip(needs, seconds, strict=True):
        above = 0.0
        for need in own:
            if ends[need] > above:
                above = ends[need]
        ends.append(above + length)
    # Each thread gets a few bundles, and the values of the last ones are on their way once.
    return max(sum(seconds) / threads, *ends) + SHARES * DASK_TASK + LATENCY
