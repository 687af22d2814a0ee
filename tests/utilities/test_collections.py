"""Dicts by attribute, and the ways between nested dicts and lists and flat ones."""

from __future__ import annotations

import copy
import pickle
from collections import namedtuple
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefectlite import config, context
from prefectlite.utilities.collections import (
    CompoundKey,
    DotDict,
    as_nested_dict,
    dict_to_flatdict,
    flatdict_to_dict,
    flatten_seq,
    merge_dicts,
)

#: Nested dicts without empty ones in them, of which a flat one keeps nothing.
NESTED = st.recursive(
    st.integers(),
    lambda inner: st.dictionaries(st.text("ab_", max_size=2), inner, min_size=1, max_size=3),
    max_leaves=8,
).filter(lambda found: isinstance(found, dict))


def test_items_of_a_dot_dict_are_attributes() -> None:
    made = DotDict({"rows": 3}, city="Bergen")

    made.rain = True
    made["rows"] = 4

    assert (made.rows, made.city, made["rain"], made.get("snow"), made.get("snow", 0)) == (
        4,
        "Bergen",
        True,
        None,
        0,
    )
    assert list(made) == ["rows", "city", "rain"]
    assert "rain" in made
    assert made == {"rows": 4, "city": "Bergen", "rain": True}
    del made["rows"]
    del made.city
    assert len(made) == 1
    assert bool(DotDict()) is False


def test_what_a_dot_dict_does_not_hold_is_named() -> None:
    with pytest.raises(AttributeError, match="The DotDict holds no 'rows'; it holds city, rain"):
        _ = DotDict(city="Bergen", rain=True).rows
    with pytest.raises(KeyError, match="rows"):
        DotDict()["rows"]


@pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, DotDict.copy, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_a_copy_of_a_dot_dict_is_one_with_items_of_its_own(way: Any) -> None:
    class Places(DotDict):
        pass

    globals()["Places"], Places.__qualname__ = Places, "Places"
    made = Places(rows=[1], update=2)
    other = way(made)
    other.more = True

    assert (type(other), dict(made), other.rows) == (Places, {"rows": [1], "update": 2}, [1])


def test_a_dot_dict_shows_names_and_no_values() -> None:
    assert repr(DotDict(token="hush", a=1)) == "<DotDict: 'a', 'token'>"
    assert repr(DotDict()) == "<DotDict>"


def test_items_may_be_called_like_methods() -> None:
    hidden = {"update": 1, "items": {"keys": 2}, "copy": 3, "get": 4}

    made = as_nested_dict(hidden)

    assert (made.update, made.items.keys, made.copy) == (1, 2, 3)
    assert DotDict.to_dict(made) == hidden
    assert as_nested_dict(merge_dicts(made, DotDict(items={"keys": 5})), dict) == {
        **hidden,
        "items": {"keys": 5},
    }


def test_dicts_in_lists_tuples_and_sets_are_made_over_too() -> None:
    Pair = namedtuple("Pair", ["left", "right"])

    made = as_nested_dict({"list": [{"a": 1}], "tuple": ({"a": 2},), "pair": Pair({"a": 3}, 4), "set": {5}})

    assert (made.list[0].a, made.tuple[0].a, made.pair.left.a, made.set) == (1, 2, 3, {5})
    assert type(made.pair) is Pair
    assert as_nested_dict(made, dict) == made.to_dict()
    assert type(made.to_dict()["list"][0]) is dict
    assert as_nested_dict("text") == "text"


def test_the_context_and_the_settings_are_nested_dicts_too() -> None:
    with context(place={"city": "Bergen"}):
        assert as_nested_dict(context).place.city == "Bergen"
    assert as_nested_dict(config).tasks.max_retries == config.tasks.max_retries


def test_merged_dicts_are_new_ones_and_of_the_first_ones_kind() -> None:
    first, second = DotDict(a=DotDict(x=1, y=2), b=1, c={"d": 1}), {"a": {"y": 3}, "b": {"z": 1}, "c": 2}

    merged = merge_dicts(first, second)

    assert type(merged) is type(merged.a) is DotDict
    assert merged.to_dict() == {"a": {"x": 1, "y": 3}, "b": {"z": 1}, "c": 2}
    assert first.to_dict() == {"a": {"x": 1, "y": 2}, "b": 1, "c": {"d": 1}}


@settings(max_examples=25, deadline=None)
@given(NESTED)
def test_a_flat_dict_is_the_nested_one_by_all_the_keys_that_lead_there(nested: dict[str, Any]) -> None:
    flat = dict_to_flatdict(nested)

    assert all(type(key) is CompoundKey and not isinstance(value, dict) for key, value in flat.items())
    assert flatdict_to_dict(flat) == nested
    assert flatdict_to_dict(flat, DotDict).to_dict() == nested


def test_keys_that_are_not_compound_stay_what_they_are() -> None:
    assert flatdict_to_dict({("a", "b"): 1, CompoundKey("xy"): 2}) == {("a", "b"): 1, "x": {"y": 2}}
    assert dict_to_flatdict({"a": {}, "b": 1}, CompoundKey("x")) == {("x", "b"): 1}


def test_nested_sequences_are_flattened_one_by_one() -> None:
    def endless() -> Any:
        while True:
            yield [1, ("two", b"three"), {4}, iter([5])]

    flat = flatten_seq(endless())

    assert [next(flat) for _ in range(7)] == [1, "two", b"three", 4, 5, 1, "two"]
    assert list(flatten_seq([])) == []
