"""The bodies that both halves run: as near to nothing as a body can be. Knows neither Dask nor prefectlite."""

from __future__ import annotations

from collections.abc import Iterable


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


def nothing() -> int:
    return 0
