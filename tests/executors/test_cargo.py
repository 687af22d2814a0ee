"""What a Dask task carries: slots through parts of both kinds, against a list with an entry for each."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefectlite.executors.cargo import Cargo
from prefectlite.lowering.order import AnyShipment
from prefectlite.lowering.shipment import Shipment
from tests.lowering.shipments import block, key_of, keys_of, runs_of, shipment

KEY = ("f.t-0-00000000", -1, 1, 1, 1, 1)


@st.composite
def loads(draw: st.DrawFn) -> list[AnyShipment]:
    """Attempts, and blocks that may be the later part of their map."""
    found: list[AnyShipment] = []
    run = 0
    for width in draw(st.lists(st.integers(0, 5), min_size=1, max_size=5)):
        if not width:
            found.append(shipment(run))
            run += 1
            continue
        skipped = draw(st.integers(0, 2))
        found.append(block(range(run, run + skipped + width)).part(skipped, skipped + width))
        run += skipped + width
    return found


def naive(parts: list[AnyShipment]) -> list[tuple[int, Any, AnyShipment]]:
    """Run, data key and part of each slot."""
    return [(run, key, part) for part in parts for run, key in zip(runs_of(part), keys_of(part), strict=True)]


@given(loads())
def test_each_slot_holds_one_attempt(parts: list[AnyShipment]) -> None:
    cargo, slots = Cargo(KEY, parts, ()), naive(parts)
    assert len(cargo) == len(slots)
    for slot, (run, key, part) in enumerate(slots):
        assert cargo.parcel(slot) == (run, 1)
        assert cargo.slot_of(key) == slot
        found, start, stop = cargo.part_at(slot)
        assert found is part
        assert start <= slot < stop
        assert [slots[one][2] for one in range(start, stop)] == [part] * len(runs_of(part))
    for stranger in (key_of(99), (*key_of(0)[:4], 2), ("f.other-0-00000000", *key_of(0)[1:])):
        assert cargo.slot_of(stranger) is None


@given(loads(), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6))
def test_what_was_heard_of_is_open_no_more(parts: list[AnyShipment], closes: list[tuple[int, int]]) -> None:
    cargo = Cargo(KEY, parts, ())
    is_open = [True] * len(cargo)
    for ends in closes:
        start, stop = sorted(min(end, len(cargo)) for end in ends)
        assert cargo.all_open(start, stop) == all(is_open[start:stop])
        assert cargo.close(start, stop) == sum(is_open[start:stop])
        is_open[start:stop] = [False] * (stop - start)
        assert len(cargo.open) == len(is_open)
        assert [cargo.is_open(slot) for slot in range(len(cargo))] == is_open
        assert list(cargo.open_slots()) == [slot for slot, one in enumerate(is_open) if one]


@given(loads(), st.data())
def test_some_attempts_are_sent_again_neighbours_together(
    parts: list[AnyShipment], data: st.DataObject
) -> None:
    cargo, slots = Cargo(KEY, parts, ()), naive(parts)
    chosen = sorted(data.draw(st.sets(st.integers(0, len(slots) - 1))))
    again: list[int] = []
    for piece, start, stop in cargo.pieces(chosen):
        expected = [slots[slot][:2] for slot in range(start, stop)]
        assert [*zip(runs_of(piece), keys_of(piece), strict=True)] == expected
        assert isinstance(piece, Shipment) == isinstance(slots[start][2], Shipment)
        again += range(start, stop)
    assert again == chosen
    ends = [stop for _, _, stop in cargo.pieces(chosen)]
    for end in ends[:-1]:
        is_cut = end not in chosen or slots[end][2] is not slots[end - 1][2]
        assert is_cut, "neighbours of one block that both go, go together"


def test_a_child_of_another_map_or_attempt_is_not_in_here() -> None:
    whole = block(range(10, 20))
    cargo = Cargo(KEY, [whole.part(2, 6)], ())
    assert [cargo.slot_of(key) for key in keys_of(whole)] == [None, None, 0, 1, 2, 3, None, None, None, None]
    assert cargo.slot_of(keys_of(whole._replace(attempt=2))[3]) is None
    assert cargo.slot_of(keys_of(whole._replace(submission=2))[3]) is None
    assert cargo.slot_of(keys_of(whole._replace(prefix="f.k-00000000"))[3]) is None


def test_what_is_asked_of_its_values_is_said_once() -> None:
    parts = [shipment(0), shipment(1)._replace(measure=("length",)), block(range(2, 4)), shipment(4)]
    assert Cargo(KEY, parts, ()).measure() == ("length",)
    parts[2] = parts[2]._replace(measure=("flat", "length"))  # type: ignore[union-attr]
    assert Cargo(KEY, parts, ()).measure() == ("length", "flat")
    assert Cargo(KEY, parts[:1], ()).measure() == ()
