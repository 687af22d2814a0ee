"""What stands behind what: the order of shipments, who reads whom, and children cut apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prefectlite.lowering.order import AnyShipment, Index, apart, in_order, readers_of, spans_of
from prefectlite.lowering.parts import PLAIN, READ
from prefectlite.lowering.shipment import BlockShipment, Shipment, Span
from tests.lowering.shipments import block, runs_of, shipment, turns


def makes(one: AnyShipment) -> set[tuple[int, int]]:
    return {(run, one.submission) for run in runs_of(one)}


def reads(one: AnyShipment) -> set[tuple[int, int]]:
    return {(run, submission) for first, submission, n in spans_of(one) for run in range(first, first + n)}


@given(turns(), st.integers(0, 30), st.integers(1, 30))
def test_a_span_is_made_by_the_shipments_whose_values_are_in_it(
    found: list[list[AnyShipment]], first: int, count: int
) -> None:
    shipments = [one for turn in found for one in turn]
    span = {(run, 1) for run in range(first, first + count)}
    expected = {at for at, one in enumerate(shipments) if makes(one) & span}
    assert set(Index(shipments).makers((first, 1, count))) == expected
    assert list(Index(shipments).makers((first, 7, count))) == []


@given(turns(), st.randoms(use_true_random=False))
def test_in_order_each_stands_behind_what_it_reads(found: list[list[AnyShipment]], random: object) -> None:
    shipments = [one for turn in found for one in turn]
    mixed = list(shipments)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    ordered = in_order(mixed)
    assert sorted(map(id, ordered)) == sorted(map(id, shipments))
    made: set[tuple[int, int]] = set()
    here = set().union(*map(makes, shipments))
    for one in ordered:
        assert reads(one) & here <= made
        made |= makes(one)
    assert in_order(shipments) == shipments, "what is in order stays"


@given(turns(), st.sets(st.integers(0, 30), max_size=3))
def test_readers_are_found_however_indirect(found: list[list[AnyShipment]], runs: set[int]) -> None:
    shipments = [one for turn in found for one in turn]
    spans: list[Span] = [(run, 1, 1) for run in sorted(runs)]
    tainted = {(run, 1) for run in runs}
    expected = set()
    for at, one in enumerate(shipments):
        if reads(one) & tainted:
            expected.add(at)
            tainted |= makes(one)
    assert readers_of(shipments, spans) == expected


def test_what_is_made_from_a_value_is_cut_from_its_neighbours_all_the_way() -> None:
    second = block(range(10, 20), columns=(("x", READ, (0, 1, 10)),))
    third = block(range(20, 30), columns=(("x", READ, (10, 1, 10)),))

    for span, stop in ((3, 1, 1), 4), ((3, 1, 4), 7):
        cut = apart([second, third], [span])

        assert [runs_of(one) for one in cut] == [
            *(range(10, 13), range(13, 10 + stop), range(10 + stop, 20)),
            *(range(20, 23), range(23, 20 + stop), range(20 + stop, 30)),
        ]
        assert readers_of(cut, [span]) == {1, 4}


def test_children_that_read_one_of_some_values_are_cut_from_their_neighbours() -> None:
    whole = block(range(10, 20), columns=(("x", READ, (0, 1, 10)), ("y", PLAIN, range(10))))
    single = shipment(20, ((3, 1, 1),))

    cut = apart([whole, single], [(3, 1, 1), (4, 1, 1), (9, 1, 1), (5, 2, 1), (40, 1, 1)])

    assert [runs_of(one) for one in cut] == [
        range(10, 13),
        range(13, 14),
        range(14, 15),
        range(15, 19),
        range(19, 20),
        range(20, 21),
    ]
    assert cut[-1] is single
    assert isinstance(cut[1], BlockShipment)
    assert cut[1].columns == (("x", READ, (3, 1, 1)), ("y", PLAIN, range(3, 4)))
    assert apart([whole], [(40, 1, 1)]) == [whole]
    assert isinstance(single, Shipment)
