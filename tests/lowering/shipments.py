"""Shipments to pack, without a flow: turns of attempts and of blocks that read what stands before them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from prefectlite.lowering.keys import DataKey, data_key
from prefectlite.lowering.order import AnyShipment
from prefectlite.lowering.parts import PLAIN, READ, Column
from prefectlite.lowering.shipment import Blob, BlockShipment, Need, Shipment, Span
from prefectlite.states.keys import RunKey

BLOBS = [Blob(name, name.encode(), None, None) for name in "abc"]  # type: ignore[arg-type]
NOTES = [None, {"priority": 1}]


def key_of(number: int) -> DataKey:
    return (f"f.t-{number // 4}-00000000", -1 - number, 1, 1, 1)


def shipment(
    number: int, needs: tuple[Need, ...] = (), blob: int = 0, note: int = 0, most: int | None = None
) -> Shipment:
    spec = f"spec {number}".encode()
    key = key_of(number)
    return Shipment(key, number, 1, 1, "t", BLOBS[0], BLOBS[blob], spec, needs, NOTES[note], most=most)


def block(
    runs: range,
    needs: tuple[Need, ...] = (),
    columns: tuple[Column, ...] = (),
    blob: int = 0,
    note: int = 0,
    most: int | None = None,
) -> BlockShipment:
    """Children whose map has the slug of their first run, from index 0 on."""
    return BlockShipment(
        runs=runs,
        attempt=1,
        submission=1,
        slug=f"m-{runs.start}",
        prefix=f"f.m-{runs.start}-00000000",
        first=0,
        flow=BLOBS[0],
        task=BLOBS[blob],
        given={},
        recipes=(),
        needs=needs,
        columns=columns,
        upstreams=(),
        drop_value=False,
        measure=(),
        annotations=NOTES[note],
        most=most,
    )


def runs_of(one: AnyShipment) -> range:
    return range(one.run, one.run + 1) if isinstance(one, Shipment) else one.runs


def keys_of(one: AnyShipment) -> list[DataKey]:
    if isinstance(one, Shipment):
        return [one.key]
    return [
        data_key(one.prefix, RunKey(one.slug, one.first + place), one.attempt, one.submission)
        for place in range(len(one.runs))
    ]


@st.composite
def spans(draw: st.DrawFn, count: int) -> tuple[Span, ...]:
    """Values of runs below a number; each span once."""
    found: dict[Span, None] = {}
    for _ in range(draw(st.integers(0, 3)) if count else 0):
        first = draw(st.integers(0, count - 1))
        many = draw(st.integers(1, count - first))
        found[first, 1, draw(st.sampled_from([1, many]))] = None
    return tuple(found)


@st.composite
def turns(draw: st.DrawFn, alone: bool = False) -> list[list[AnyShipment]]:
    """Turns of shipments that read some of those before them; unless ``alone``, some of them are blocks."""
    found: list[list[AnyShipment]] = []
    count = 0
    blocks: list[range] = []
    # As tasks do, each says the same each time.
    mosts = draw(st.sampled_from([(None, None, None), (None, 1, 3)]))
    for _ in range(draw(st.integers(1, 3))):
        turn: list[AnyShipment] = []
        for _ in range(draw(st.integers(1, 10))):
            needs = draw(spans(count))
            blob = draw(st.integers(0, 2))
            traits = blob, draw(st.integers(0, 1)), mosts[blob]
            if alone or draw(st.booleans()):
                turn.append(shipment(count, needs, *traits))
                count += 1
                continue
            columns: list[Column] = []
            if blocks and draw(st.booleans()):
                # As a map of a map: child by child, all of the one above or its first or last few.
                above = draw(st.sampled_from(blocks))
                start = draw(st.sampled_from([0, 0, len(above) // 2]))
                width = draw(st.sampled_from([len(above), len(above), 1])) - start
                width = max(width, 1)
                columns.append(("x", READ, (above.start + start, 1, width)))
                needs = needs[: draw(st.sampled_from([0, 0, 3]))]
            else:
                width = draw(st.integers(1, 8))
            columns.append(("y", PLAIN, list(range(width))))
            runs = range(count, count + width)
            turn.append(block(runs, needs, tuple(columns), *traits))
            blocks.append(runs)
            count += width
        found.append(turn)
    return found


def places(stretches: Any, keys: tuple[Any, ...], own: Any) -> list[tuple[Any, int]]:
    """Each value of some stretches as the key that it stands under and its slot."""
    from prefectlite.lowering.parts import SELF, WHOLE

    return [
        (own if place == SELF else keys[place], first if first == WHOLE else first + step)
        for place, first, count in stretches
        for step in range(count)
    ]
