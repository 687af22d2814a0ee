"""Task graphs of Task Bench (SC'20) as tables: which points of the step before each point reads. Knows neither side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """Steps of points; each point is one task.

    Parameters
    ----------
    name : str
        What it is called.
    steps : list of list of tuple of int
        For each step and point, the points of the step before that it reads.
    """

    name: str
    steps: list[list[tuple[int, ...]]]

    @property
    def tasks(self) -> int:
        """How many bodies busy themselves."""
        return sum(map(len, self.steps))

    @property
    def unread(self) -> list[list[int]]:
        """For each step, the points that no point of the next reads; the task at the end reads them all."""
        found = []
        for step, reads in enumerate(self.steps):
            after: Iterable[tuple[int, ...]] = self.steps[step + 1] if step + 1 < len(self.steps) else ()
            read = {j for points in after for j in points}
            found.append([point for point in range(len(reads)) if point not in read])
        return found

    @property
    def expected(self) -> int:
        """What the task at the end adds up: how deep each unread point lies."""
        found, row = 0, [0]
        for reads, unread in zip(self.steps, self.unread, strict=True):
            row = [1 + max((row[j] for j in points), default=0) for points in reads]
            found += sum(row[j] for j in unread)
        return found


def _stencil(width: int, step: int) -> list[tuple[int, ...]]:
    """Each point reads its neighbours and itself."""
    if not step:
        return [()] * width
    return [tuple(j for j in (i - 1, i, i + 1) if 0 <= j < width) for i in range(width)]


def _fan_out(width: int, step: int) -> list[tuple[int, ...]]:
    """All points read the first."""
    return [(0,) if step else ()] * width


def _tree(width: int, step: int) -> list[tuple[int, ...]]:
    """A step is twice as wide as the one before, up to the width; each point reads the one above it."""
    return [(i // 2,) if step else () for i in range(min(width, 2 ** min(step, 30)))]


_READS: dict[str, Callable[[int, int], list[tuple[int, ...]]]] = {
    "stencil": _stencil,
    "fan-out": _fan_out,
    "tree": _tree,
}
NAMES = tuple(_READS)


def pattern(name: str, width: int, steps: int) -> Pattern:
    """Return the graph of a name, ``width`` points wide and ``steps`` long."""
    return Pattern(name, [_READS[name](width, step) for step in range(steps)])
