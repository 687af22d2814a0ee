"""What travels together: everything once, nothing in a circle, each need where it lies."""

from __future__ import annotations

import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefectlite.lowering.bundles import WHOLE, Bundle, Packer
from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.pace import AIM, FIRST, MOST, SHARES, VALUE_LIMIT, Pace
from prefectlite.lowering.shipment import Blob, Shipment

BLOBS = [Blob(name, name.encode(), None, None) for name in "abc"]  # type: ignore[arg-type]
NOTES = [None, {"priority": 1}]


def key_of(number: int) -> DataKey:
    return (f"f.t-{number // 4}-00000000", -1 - number, 1, 1, 1)


def shipment(number: int, needs: tuple[DataKey, ...] = (), blob: int = 0, note: int = 0) -> Shipment:
    spec = f"spec {number}".encode()
    return Shipment(key_of(number), number, 1, 1, "t", BLOBS[0], BLOBS[blob], spec, needs, NOTES[note])


def members(bundle: Bundle) -> list[tuple[DataKey, bytes, list[tuple[Any, int]]]]:
    """The members with each need as a key on the cluster and a slot."""
    found = []
    for key, spec, stretches in pickle.loads(bundle.payload):
        needs = [
            (bundle.needs[place], first if first == WHOLE else first + step)
            for place, first, count in stretches
            for step in range(count)
        ]
        found.append((key, spec, needs))
    return found


def test_attempts_of_one_task_travel_together_and_others_apart() -> None:
    packed = Packer(lambda task, count: 2).pack(
        [shipment(0), shipment(1), shipment(2), shipment(3, blob=1), shipment(4, note=1)]
    )
    assert [one.run for one in packed if isinstance(one, Shipment)] == [2, 3, 4]
    (bundle,) = [one for one in packed if isinstance(one, Bundle)]
    assert [each.run for each in bundle.shipments] == [0, 1]
    assert members(bundle) == [(key_of(0), b"spec 0", []), (key_of(1), b"spec 1", [])]
    assert bundle.key[:5] == key_of(0)


def test_a_size_of_one_leaves_shipments_as_they_are() -> None:
    sent = [shipment(n) for n in range(5)]
    assert Packer(lambda task, count: 1).pack(sent) == sent


def test_a_reader_of_many_is_told_of_stretches() -> None:
    packer = Packer(lambda task, count: 100)
    (first,) = packer.pack([shipment(n) for n in range(50)])
    (reader,) = packer.pack([shipment(60, tuple(key_of(n) for n in range(50)), blob=1)])
    assert isinstance(first, Bundle)
    assert isinstance(reader, Bundle)  # alone, but it must be told of slots
    ((_, _, stretches),) = pickle.loads(reader.payload)
    assert stretches == ((0, 0, 50),)
    assert reader.needs == (first.key,)


def test_a_value_that_was_released_or_sent_again_is_found_where_it_lies_now() -> None:
    packer = Packer(lambda task, count: 2)
    (bundle,) = packer.pack([shipment(0), shipment(1)])
    assert packer.berth(key_of(1)) == (bundle.key, 1)
    (again,) = packer.pack([shipment(1), shipment(2)])
    assert packer.berth(key_of(1)) == (again.key, 0)
    assert again.key != bundle.key
    packer.forget(key_of(1))
    assert packer.berth(key_of(1)) == (key_of(1), WHOLE)


@st.composite
def turns(draw: st.DrawFn) -> list[list[Shipment]]:
    """Turns of shipments that need some of those before them."""
    found: list[list[Shipment]] = []
    count = 0
    for _ in range(draw(st.integers(1, 3))):
        turn = []
        for _ in range(draw(st.integers(1, 12))):
            ups = draw(st.sets(st.integers(0, count - 1), max_size=4)) if count else set()
            needs = tuple(key_of(n) for n in sorted(ups))
            turn.append(shipment(count, needs, draw(st.integers(0, 2)), draw(st.integers(0, 1))))
            count += 1
        found.append(turn)
    return found


@given(turns(), st.integers(1, 6))
def test_everything_is_sent_once_and_nothing_waits_for_itself(found: list[list[Shipment]], size: int) -> None:
    packer = Packer(lambda task, count: size)
    up: set[Any] = set()
    sent: dict[DataKey, Shipment] = {}
    for turn in found:
        packed = packer.pack(turn)
        waiting = {one.key: one for one in packed}
        assert len(waiting) == len(packed)
        while waiting:
            ready = [key for key, one in waiting.items() if up.issuperset(one.needs)]
            assert ready, "a circle"
            for key in ready:
                up.add(key)
                del waiting[key]
        for one in packed:
            if isinstance(one, Bundle):
                assert len(one.shipments) <= size or len(one.shipments) == 1
                assert len({id(each.task) for each in one.shipments}) == 1
                for each, (key, spec, needs) in zip(one.shipments, members(one), strict=True):
                    assert (key, spec) == (each.key, each.spec)
                    assert needs == [packer.berth(need) for need in each.needs]
                    assert each.key not in sent
                    sent[each.key] = each
            else:
                assert all(packer.berth(need) == (need, WHOLE) for need in one.needs)
                assert one.key not in sent
                sent[one.key] = one
    assert sent == {one.key: one for turn in found for one in turn}


class TestPace:
    def test_a_given_size_is_kept(self) -> None:
        pace = Pace(7, lambda: 2)
        pace.note("a", 10.0, 10**9)
        assert pace.size("a", 1000) == 7

    def test_an_unknown_task_is_tried_in_small_shares(self) -> None:
        assert Pace(None, lambda: 2).size("a", 10_000) == FIRST
        assert Pace(None, lambda: 2).size("a", 16) == 16 // (2 * SHARES)
        assert Pace(None, lambda: 0).size("a", 1) == 1

    def test_a_bundle_takes_about_as_long_as_is_aimed_at(self) -> None:
        pace = Pace(None, lambda: 2)
        pace.note("a", 0.01, 10)
        assert pace.size("a", 10_000) == int(AIM / 0.01)
        pace.note("b", 1.0, 10)
        assert pace.size("b", 10_000) == 1
        pace.note("c", 0.0, 10)
        assert pace.size("c", 1_000_000) == MOST

    def test_what_turns_slow_counts_at_once_and_what_turns_fast_by_and_by(self) -> None:
        pace = Pace(None, lambda: 2)
        pace.note("a", 0.001, 10)
        pace.note("a", 1.0, 10)
        assert pace.size("a", 10_000) == 1
        for _ in range(100):
            pace.note("a", 0.001, 10)
        assert pace.size("a", 10_000) > 10

    def test_what_makes_large_values_travels_alone(self) -> None:
        pace = Pace(None, lambda: 2)
        pace.note("a", 0.0, VALUE_LIMIT + 1)
        assert pace.size("a", 10_000) == 1
        assert pace.size("b", 10_000) > 1

    def test_a_clock_that_was_set_back_is_no_news(self) -> None:
        pace = Pace(None, lambda: 1)
        pace.note("a", -5.0, 10)
        assert pace.size("a", 10_000) == MOST
