"""Where values lie: the books against a dict with an entry for each value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.errors import EngineError
from prefectlite.lowering.berths import Berths
from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.lowering.parts import WHOLE

RUNS = 30


def bundle(number: int) -> BundleKey:
    return ("f.t-0-00000000", number, 1, 1, 1, number)


def alone(run: int, submission: int) -> DataKey:
    return ("f.t-0-00000000", run, 1, submission, submission)


@st.composite
def ranges(draw: st.DrawFn) -> range:
    start = draw(st.integers(0, RUNS - 1))
    return range(start, draw(st.integers(start + 1, RUNS)))


#: Values of these submissions stand alone, or in a bundle's slot by themselves; those of the others in rows.
SINGLY = st.integers(2, 3)
IN_ROWS = st.sampled_from([1, 4])
ACTS = st.one_of(
    st.tuples(st.just("put"), st.integers(0, RUNS - 1), SINGLY, st.integers(WHOLE, 3)),
    st.tuples(st.just("put_row"), ranges(), IN_ROWS, st.integers(0, 3)),
    st.tuples(st.just("forget"), st.integers(0, RUNS - 1), st.integers(1, 4)),
    st.tuples(st.just("forget_row"), ranges(), st.integers(1, 4)),
)


class Model:
    """Each value's key and slot, by run and submission."""

    def __init__(self) -> None:
        self.books = Berths()
        self.lies: dict[tuple[int, int], tuple[Any, int]] = {}
        self.serial = 0

    def act(self, name: str, *of: Any) -> None:
        self.serial += 1
        getattr(self, name)(*of)

    def put(self, run: int, submission: int, slot: int) -> None:
        key = alone(run, submission) if slot == WHOLE else bundle(self.serial)
        self.books.put(run, submission, key, slot)
        self.lies[run, submission] = key, slot

    def put_row(self, runs: range, submission: int, slot: int) -> None:
        self.books.put_row(runs, submission, bundle(self.serial), slot)
        for place, run in enumerate(runs):
            self.lies[run, submission] = bundle(self.serial), slot + place

    def check_what_lies_in(self, key: Any) -> None:
        found = {
            (run + place, submission): (where, slot + place)
            for (where, slot), (run, submission, count) in self.books.lying_in((key,))
            for place in range(count)
        }
        assert found == {parcel: berth for parcel, berth in self.lies.items() if berth[0] == key}

    def forget(self, run: int, submission: int) -> None:
        self.books.forget(run, submission)
        self.lies.pop((run, submission), None)

    def forget_row(self, runs: range, submission: int) -> None:
        self.books.forget_row(runs, submission)
        for run in runs:
            self.lies.pop((run, submission), None)


@given(st.lists(ACTS, max_size=25), ranges(), st.integers(1, 4))
def test_the_books_agree_with_one_entry_for_each_value(acts: list[Any], runs: range, submission: int) -> None:
    model = Model()
    for act in acts:
        model.act(*act)
    for run in range(-1, RUNS + 1):
        for of in range(1, 5):
            assert model.books.find(run, of) == model.lies.get((run, of))
    for key in {berth[0] for berth in model.lies.values()}:
        model.check_what_lies_in(key)
    span = (runs.start, submission, len(runs))
    found = [
        (key, slot if slot == WHOLE else slot + step)
        for key, slot, count in model.books.known(span)
        for step in range(count)
    ]
    expected = [model.lies[run, submission] for run in runs if (run, submission) in model.lies]
    assert found == expected
    if len(expected) == len(runs):
        assert list(model.books.stretches(span)) == list(model.books.known(span))
    else:
        with pytest.raises(EngineError, match=f"{len(runs) - len(expected)} values of .* were never sent"):
            list(model.books.stretches(span))


def test_neighbours_in_one_bundle_are_one_stretch() -> None:
    books = Berths()
    books.put_row(range(10, 20), 1, bundle(1), 5)
    books.put_row(range(20, 25), 1, bundle(2), 0)
    books.put(25, 1, alone(25, 1))

    assert list(books.stretches((12, 1, 14))) == [
        (bundle(1), 7, 8),
        (bundle(2), 0, 5),
        (alone(25, 1), WHOLE, 1),
    ]
    assert list(books.stretches((12, 1, 0))) == []


def test_what_a_bundle_sent_back_lies_where_it_was_sent_last() -> None:
    books = Berths()
    books.put_row(range(10), 1, bundle(1), 0)
    books.put_row(range(4, 6), 1, bundle(2), 1)

    assert list(books.stretches((0, 1, 10))) == [(bundle(1), 0, 4), (bundle(2), 1, 2), (bundle(1), 6, 4)]


def test_a_million_children_are_as_many_entries_as_bundles() -> None:
    books = Berths()
    for number in range(1000):
        books.put_row(range(number * 1000, (number + 1) * 1000), 1, bundle(number), 0)

    assert (len(books._rows[1]), len(books._alone)) == (1000, 0)
    assert books.find(999_999, 1) == (bundle(999), 999)
    books.forget_row(range(1_000_000), 1)
    assert books._rows == {}
    assert books.find(999_999, 1) is None


def test_others_may_look_for_what_lies_somewhere_while_more_is_sent_and_let_go_of() -> None:
    books = Berths()
    for run in range(4):
        books.put(run, 2, alone(run, 2))
        books.put_row(range(4 * run, 4 * run + 4), 1, bundle(run), 0)
    found = []
    for number, (_, span) in enumerate(books.lying_in({*map(bundle, range(4)), alone(3, 2)})):
        books.put(10 + number, 2, alone(10 + number, 2))
        books.put_row(range(20 + number, 21 + number), 5 + number, bundle(9), 0)
        books.forget(number, 2)
        books.forget_row(range(4 * number), 1)
        found.append(span)
    assert found == [(3, 2, 1), (0, 1, 4), (4, 1, 4), (8, 1, 4), (12, 1, 4)]
