"""The bodies that both halves run: as near to nothing as a body can be. Knows neither Dask nor prefectlite."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any


def inc(x: int) -> int:
    return x + 1


def add(x: int, y: int) -> int:
    return x + y


def total(xs: Iterable[int]) -> int:
    return sum(xs)


def last(xs: list[int]) -> int:
    return xs[-1]


def block(nbytes: int) -> bytes:
    # Written, not only reserved: untouched pages are no resident memory anywhere.
    return b"x" * nbytes


def passed_on(data: bytes) -> bytes:
    # A new object, so that a value really is made and moved or kept at each step.
    return data[1:] + data[:1]


def size(data: bytes) -> int:
    return len(data)


def looked_up(i: int, data: bytes) -> int:
    """Read a little of something large, and take long enough that no worker could do it all alone."""
    time.sleep(0.002)
    return data[i % len(data)]


def nothing() -> int:
    return 0


def pause(seconds: float) -> int:
    if seconds:
        time.sleep(seconds)
    return 1


def held(seconds: float, gate: str) -> int:
    """Wait so long, or until a file is there, if that comes first."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not os.path.exists(gate):  # noqa: PTH110  # as below
        time.sleep(0.01)
    return 1


def total_once(xs: Iterable[int], gate: str) -> int:
    """Wait until a file is there, then add up: what is measured meanwhile sees everything but this one over."""
    while not os.path.exists(gate):  # noqa: PTH110  # a worker need not import pathlib for it
        time.sleep(0.01)
    return sum(xs)


def spin(micros: float, a: int = 0, b: int = 0, c: int = 0) -> int:
    """Use up so much CPU, whatever else the core has to do meanwhile; count how deep the task lies."""
    end = time.thread_time_ns() + micros * 1000
    while time.thread_time_ns() < end:
        pass
    return 1 + max(a, b, c)


def array(n: int, nbytes: int) -> Any:
    import numpy as np

    return np.full(nbytes // 8, n, dtype="int64")


def plus_one(block: Any) -> Any:
    return block + 1


def added(blocks: list[Any]) -> Any:
    """Add up arrays element by element: a sum of sums is a sum."""
    found = blocks[0].copy()
    for block in blocks[1:]:
        found += block
    return found


def corners(block: Any) -> tuple[int, int, int]:
    """Return what the driver may see of an array: its size and both ends."""
    return block.nbytes, int(block[0]), int(block[-1])
