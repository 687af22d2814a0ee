"""What a flow answers: as a set says it, and in an order."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from prefectlite.core.sets import OrderedSet, OrderedView

PAIRS = [*product(("", "a", "ba", "cab", "bcda", "aab", "xyz"), repeat=2)]
OPERATORS = ("and_", "or_", "sub", "xor", "le", "lt", "ge", "gt", "eq")
#: These take any iterable.
METHODS = (
    "union",
    "intersection",
    "difference",
    "symmetric_difference",
    "issubset",
    "issuperset",
    "isdisjoint",
)
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    **{name: getattr(operator, name) for name in OPERATORS},
    **{name: lambda one, other, name=name: getattr(one, name)(other) for name in METHODS},
}


@pytest.mark.parametrize("name", BINARY)
def test_it_says_what_a_set_says(name: str) -> None:
    for first, second in PAIRS:
        check(name, first, second)


def check(name: str, first: str, second: str) -> None:
    combine = BINARY[name]
    expected = combine(set(first), set(second))
    for one in (OrderedSet(first), OrderedView(dict.fromkeys(first))):
        for other in (OrderedSet(second), set(second)):
            found = combine(one, other)
            assert found == expected
            assert isinstance(found, bool | OrderedSet)
        if name in METHODS:
            assert combine(one, iter(second)) == expected
    assert combine(set(first), OrderedSet(second)) == expected


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_it_has_the_order_in_which_things_came(first: str, second: str) -> None:
    together = [*dict.fromkeys([*first, *second])]

    assert [*OrderedSet(first)] == [*dict.fromkeys(first)]
    assert [*OrderedSet(first).union(second)] == [*(OrderedSet(first) | OrderedSet(second))] == together
    kept = [*OrderedSet(together).intersection(first)]
    assert kept == [one for one in together if one in first]
    assert [*OrderedSet(together).difference(first)] == [one for one in together if one not in first]


def test_a_set_of_ones_own_can_be_changed_and_a_view_cannot() -> None:
    held = dict.fromkeys("ba")
    view, mine = OrderedView(held), OrderedView(held).copy()

    mine.add("c")
    mine.discard("x")
    mine.remove("b")
    mine.update("da", ["e"])

    assert [*mine] == ["a", "c", "d", "e"]
    assert mine.pop() == "a"
    assert [*view] == ["b", "a"]
    held["z"] = None
    assert view == {"a", "b", "z"}
    assert not hasattr(view, "add")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles_hold_the_members_alone(again: Callable[[Any], Any]) -> None:
    for one in (OrderedSet("ba"), OrderedView(dict.fromkeys("ba", "a value"))):
        twin = again(one)
        assert isinstance(twin, OrderedSet)
        assert [*twin] == ["b", "a"]


def test_it_reads_as_a_set() -> None:
    assert repr(OrderedSet("ba")) == "{'b', 'a'}"
    assert repr(OrderedSet()) == repr(set())


def test_what_two_share_comes_in_the_order_of_the_ordered_one() -> None:
    numbers = [30, 1000, 7]
    for shared in (OrderedSet(numbers) & {7, 30, 1000}, {7, 30, 1000} & OrderedSet(numbers)):
        assert list(shared) == numbers
