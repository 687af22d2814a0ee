"""How deep things lie that need each other, and an order that goes deep first. Knows places in a list."""

from __future__ import annotations

from collections.abc import Sequence


def survey(needs: Sequence[Sequence[int]]) -> tuple[list[int], list[int], list[int]]:
    """Return each item's depth, how many items each depth has, and how many want each value at the same time.

    Those are the readers at the next depth: a reader further down has to wait for others anyway.

    Parameters
    ----------
    needs : sequence of sequence of int
        For each item, the places of those that it needs, all of them before its own.

    Returns
    -------
    (list of int, list of int, list of int)
        By item, by depth, by item.
    """
    depths: list[int] = []
    widths = [0]
    rivals = [0] * len(needs)
    for own in needs:
        if not own:
            depths.append(0)
            widths[0] += 1
            continue
        above = 0
        for need in own:
            if depths[need] > above:
                above = depths[need]
        for need in own:
            if depths[need] == above:
                rivals[need] += 1
        above += 1
        depths.append(above)
        if above == len(widths):
            widths.append(1)
        else:
            widths[above] += 1
    return depths, widths, rivals


def heirs(needs: Sequence[Sequence[int]]) -> list[int]:
    """Return, of each item, which of its readers has more to come behind it than any other.

    Parameters
    ----------
    needs : sequence of sequence of int
        For each item, the places of those that it needs, all of them before its own.

    Returns
    -------
    list of int
        By item, the place of that reader; -1 where there is none, or several have as much to come.

    Examples
    --------
    Of a chain with leaves, the next link:

    >>> heirs([[], [0], [0], [0], [1], [1]])
    [1, -1, -1, -1, -1, -1]
    """
    heights = [0] * len(needs)
    most = [-1] * len(needs)
    found = [-1] * len(needs)
    for place in range(len(needs) - 1, -1, -1):
        height = heights[place] + 1
        for need in needs[place]:
            if height > heights[need]:
                heights[need] = height
            if height > most[need]:
                most[need], found[need] = height, place
            elif height == most[need]:
                found[need] = -1
    return found


def depth_first(needs: Sequence[Sequence[int]], bundles: list[list[int]]) -> list[list[int]]:
    """Sort bundles: each behind those that it needs, and then as soon as the last of those is there.

    Parameters
    ----------
    needs : sequence of sequence of int
        For each item, the places of those that it needs.
    bundles : list of list of int
        The places of their items; no two of them need each other in a circle.

    Returns
    -------
    list of list of int
        The same.
    """
    bundles.sort()
    bundle_of = [0] * len(needs)
    for number, bundle in enumerate(bundles):
        for place in bundle:
            bundle_of[place] = number
    waits: list[int] = []
    readers: list[list[int]] = [[] for _ in bundles]
    for number, bundle in enumerate(bundles):
        above: set[int] = set()
        for place in bundle:
            for need in needs[place]:
                other = bundle_of[need]
                if other != number:
                    above.add(other)
        waits.append(len(above))
        for other in sorted(above):
            readers[other].append(number)
    ready = [number for number in range(len(bundles) - 1, -1, -1) if not waits[number]]
    found: list[list[int]] = []
    while ready:
        number = ready.pop()
        found.append(bundles[number])
        for reader in reversed(readers[number]):
            waits[reader] -= 1
            if not waits[reader]:
                ready.append(reader)
    return found
