"""Python's cycle collector beside a turn of the loop: it rests, and what a turn made is not looked at anew."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from prefectlite.driver.loop import FROZEN, PLENTY, collector_at_rest


@contextmanager
def nothing_frozen() -> Iterator[None]:
    gc.unfreeze()
    gc.collect()
    yield
    gc.unfreeze()


def made(count: int) -> list[list[int]]:
    return [[number] for number in range(count)]


def is_old(one: object) -> bool:
    return any(other is one for other in gc.get_objects(generation=2))


def test_what_a_great_turn_makes_is_old_at_once() -> None:
    with nothing_frozen():
        with collector_at_rest():
            assert not gc.isenabled()
            found = made(PLENTY * 2)
        assert gc.isenabled()
        assert is_old(found[-1])
        assert gc.get_freeze_count() == 0


def test_what_a_small_turn_makes_stays_young() -> None:
    with nothing_frozen():
        with collector_at_rest():
            found = made(10)
        assert not is_old(found[-1])


def test_what_somebody_froze_stays_frozen() -> None:
    with nothing_frozen():
        kept = made(FROZEN * 2)
        gc.freeze()
        frozen = gc.get_freeze_count()
        with collector_at_rest():
            found = made(PLENTY * 2)
        assert gc.get_freeze_count() >= frozen - len(kept) // 2
        assert found


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        with collector_at_rest():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
