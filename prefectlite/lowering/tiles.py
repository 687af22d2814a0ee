"""Items cut by two orders at once, as a plane is cut in tiles. Knows needs and seconds; knows no limits.

In an order that has needs before readers, a block of neighbours needs nothing that stands behind it. So
take two such orders, cut each in blocks, and put together what shares a block in both: a need leads back in
neither of them, hence no two tiles need each other in a circle. Here are the orders of two who go depth
first, of whom one begins with the first root, and one with the last. What each has before the other is free
to run at the same time, and comes to lie in different tiles: branches of trees, links of different chains,
and in a stencil the diamonds of loop tiling (Bandishti, Pananilath, Bondhugula: "Tiling stencil computations
to maximize parallelism", SC'12). Where two orders tell all, and where they do not, is the theory of order
dimension (Baker, Fishburn, Roberts: "Partial orders of dimension 2", Networks 2, 1972).
"""

from __future__ import annotations

from collections.abc import Sequence


class Plane:
    """Items, each with its places in two orders.

    Parameters
    ----------
    needs : sequence of sequence of int
        For each item, the places of those that it needs, all of them before its own.
    depths : sequence of int
        How deep each lies, from ``survey``.
    seconds : sequence of float
        How long each takes.
    threads : int
        How many worker threads there are.

    Examples
    --------
    Of two chains, each is a tile:

    >>> Plane([[], [], [0], [1]], [0, 0, 1, 1], [1.0, 1.0, 1.0, 1.0], threads=2).tiles(least=1.5)
    [[0, 2], [1, 3]]
    """

    def __init__(
        self, needs: Sequence[Sequence[int]], depths: Sequence[int], seconds: Sequence[float], threads: int
    ) -> None:
        self._depths = depths
        self._seconds = seconds
        levels = [0.0] * (1 + max(depths, default=0))
        for depth, one in zip(depths, seconds, strict=True):
            levels[depth] += one
        # Of the widest level, a block has no more than leaves some for the other threads.
        self._height = max(levels) / (2 * threads)
        readers: list[list[int]] = [[] for _ in needs]
        for place, own in enumerate(needs):
            for need in own:
                readers[need].append(place)
        self._first = _depth_first(needs, readers)
        self._last = _depth_first(needs, readers, backwards=True)

    def tiles(self, least: float, small: float = 0.0) -> list[list[int]]:
        """Return the items in tiles.

        Parameters
        ----------
        least : float
            How long a block of either order takes at least, in seconds; its tiles may be shorter.
        small : float, optional
            What is shorter, in seconds, shares a tile with what comes next in its block.

        Returns
        -------
        list of list of int
            Places, each once; in each tile every item stands behind those that it needs, and a tile may be
            cut between any two of them.
        """
        rows, columns = self._blocks(self._first, least), self._blocks(self._last, least)
        width = 1 + max(columns, default=0)
        found: dict[int, list[int]] = {}
        for place in self._first:
            mark = rows[place] * width + columns[place]
            tile = found.get(mark)
            if tile is None:
                found[mark] = [place]
            else:
                tile.append(place)
        marks = sorted(found)
        if not small:
            return [found[mark] for mark in marks]
        # Within a block of the one order, neighbours in the other may be put together: a way that leaves the
        # block does not come back.
        tiles: list[list[int]] = []
        row, length = -1, 0.0
        for mark in marks:
            tile = found[mark]
            seconds = sum([self._seconds[place] for place in tile])
            if row == mark // width and (length < small or seconds < small):
                tiles[-1] += tile
                tiles[-1].sort()
                length += seconds
            else:
                tiles.append(tile)
                row, length = mark // width, seconds
        return tiles

    def _blocks(self, order: Sequence[int], least: float) -> list[int]:
        """Return the number of each item's block."""
        depths, seconds, height = self._depths, self._seconds, self._height
        blocks = [0] * len(order)
        number, length = 0, 0.0
        reached: set[int] = set()
        for place in order:
            blocks[place] = number
            length += seconds[place]
            reached.add(depths[place])
            if length >= least and length >= height * len(reached):
                number += 1
                length = 0.0
                reached.clear()
        return blocks


def _depth_first(
    needs: Sequence[Sequence[int]], readers: Sequence[Sequence[int]], *, backwards: bool = False
) -> list[int]:
    """Return all places, each as soon as what it needs is there, from the first root on or from the last."""
    missing = [len(own) for own in needs]
    roots = [place for place, count in enumerate(missing) if not count]
    if not backwards:
        roots.reverse()
    stack = roots
    order: list[int] = []
    while stack:
        place = stack.pop()
        order.append(place)
        found = []
        for reader in readers[place]:
            left = missing[reader] - 1
            missing[reader] = left
            if not left:
                found.append(reader)
        if not backwards and len(found) > 1:
            found.reverse()
        stack += found
    return order
