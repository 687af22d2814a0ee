"""Mapping over values: what has a length, which element stands where, what unnesting does."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

import dask
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.lowering.elements import (
    element,
    flat_element,
    flat_length_of,
    flat_taker,
    flatten,
    length_of,
)


class Rows:
    """A sequence of the user's own."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, place: int) -> int:
        if not 0 <= place < self.n:
            raise IndexError(place)
        return place * 10


class Endless:
    def __getitem__(self, place: int) -> int:
        return place


class Keyed:
    def keys(self) -> list[str]:
        return []

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: str) -> int:
        return 0


@pytest.mark.parametrize(
    ("value", "length"),
    [([1, 2], 2), ((), 0), ("abc", 3), (b"ab", 2), (range(5), 5), (np.zeros((4, 2)), 4), (Rows(3), 3)],
)
def test_sized_indexable_sequences_map(value: object, length: int) -> None:
    assert length_of(value) == length


class Table(Keyed):
    """As a pandas DataFrame is: its values are no method."""

    values = np.zeros((2, 1))
    columns = ("a",)

    def to_dict(self, orient: str) -> list[dict[str, int]]:
        return [{"a": 1}, {"a": 2}] if orient == "records" else []

    def __iter__(self) -> Iterator[str]:
        return iter("a")


class Arrow:
    """As a pyarrow Table is: by position it gives columns, and its length is that of its rows."""

    column_names = ("a",)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, place: int) -> list[int]:
        return [[1, 2]][place]

    def to_pylist(self) -> list[dict[str, int]]:
        return [{"a": 1}, {"a": 2}]


class Polars:
    """As a polars DataFrame is."""

    columns = ("a",)

    def to_dict(self) -> dict[str, list[int]]:
        return {"a": [1, 2]}

    def to_dicts(self) -> list[dict[str, int]]:
        return [{"a": 1}, {"a": 2}]


class Columns(Keyed):
    def __iter__(self) -> Iterator[str]:
        return iter("ab")


@pytest.mark.parametrize(
    ("value", "length"),
    [({"a": 1, "b": 2, "c": 3}, 3), (Table(), 2), (Arrow(), 2), (Polars(), 2), (Columns(), 2)],
    ids=["dict", "table", "arrow", "polars", "other"],
)
def test_the_list_that_is_named_for_what_is_read_by_key_maps(value: object, length: int) -> None:
    mend = str(length_of(value)).partition("pass ")[2].partition(", say")[0]
    mend = mend.removeprefix("its rows, ").partition(", or")[0]
    assert length_of(eval(mend, {"x": value})) == length


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "it is None"),
        ({1, 2}, "a set has no order"),
        (frozenset(), "a frozenset has no order"),
        ({"a": 1}, "a dict is read by key"),
        (Keyed(), "a Keyed is read by key"),
        (Arrow(), "an Arrow is a table; pass its rows, x.to_pylist(),"),
        (dask.delayed(1), "has not been computed; pass x.compute()"),
        ((x for x in "ab"), "a generator has no elements by position; pass list(x),"),
        (7, "an int has no elements by position; pass a list,"),
        (list, "a type has no elements by position"),
        (Endless(), "an Endless has no length"),
        (np.float64(3.0), "no "),
        (np.array(3.0), "ndarray has no length"),
    ],
)
def test_what_does_not_map_says_why_and_how_to_mend_it(value: object, why: str) -> None:
    text = length_of(value)
    assert isinstance(text, str)
    assert why in text
    assert "unmapped(...)" in text
    assert flat_length_of(value) == text
    assert flatten(value) is value


def test_unnesting_opens_what_maps_and_leaves_the_rest() -> None:
    value = [[1, 2], 3, {4}, "ab", (), Rows(2)]
    assert flatten(value) == [1, 2, 3, {4}, "a", "b", 0, 10]
    assert flat_length_of(value) == 8
    assert flatten(Rows(2)) == [0, 10]


@given(
    st.lists(st.one_of(st.integers(), st.lists(st.integers(), max_size=4), st.text(max_size=3)), max_size=8)
)
def test_each_flat_element_is_that_of_the_flattened_value(value: list[object]) -> None:
    flat = flatten(value)
    assert flat_length_of(value) == len(flat)
    assert [flat_element(value, place) for place in range(len(flat))] == flat
    with pytest.raises(IndexError):
        flat_element(value, len(flat))
    take = flat_taker(value)
    assert [take(place) for place in range(len(flat))] == flat
    with pytest.raises(IndexError):
        take(len(flat))


def test_what_cannot_be_unnested_says_so_for_each_place_that_is_asked_for() -> None:
    take = flat_taker(3)
    for _ in range(2):
        with pytest.raises(TypeError, match="int"):
            take(0)


def test_a_series_is_mapped_over_by_position_not_by_label(monkeypatch: pytest.MonkeyPatch) -> None:
    class Series:
        """As much of pandas' Series as matters: labels in brackets, positions behind iloc, and keys()."""

        def __init__(self, values: list[int]) -> None:
            self.iloc = values

        def keys(self) -> list[str]:
            return ["x"]

        def __len__(self) -> int:
            return len(self.iloc)

        def __getitem__(self, label: int) -> int:
            raise KeyError(label)

        def __iter__(self) -> Iterator[int]:
            return iter(self.iloc)

    pandas = types.ModuleType("pandas")
    pandas.Series = Series  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    series = Series([5, 6])
    assert length_of(series) == 2
    assert [element(series, 0), element(series, 1)] == [5, 6]
    assert flatten([series, 7]) == [5, 6, 7]
    nested = Series([[5, 6], 7])  # type: ignore[list-item]
    take = flat_taker(nested)
    assert [take(place) for place in range(3)] == flatten(nested) == [5, 6, 7]
