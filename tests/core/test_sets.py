"""What a flow answers: as a set says it, and in an order."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from typing import Any

import pytest

from prefectlite.core.in_place import OptionSet
from prefectlite.core.sets import OrderedSet
from prefectlite.errors import DefinitionTypeError

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
    for one in (OrderedSet(first), of_owner(first)):
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


def of_owner(members: Iterable[str]) -> OptionSet[str]:
    """Return a set that shows what an owner has, and has the owner have something else."""
    had = [*dict.fromkeys(members)]

    def have(new: list[str]) -> None:
        had[:] = dict.fromkeys(new)

    return OptionSet(lambda: had, have)


CHANGES: dict[str, Callable[[Any, Any], object]] = {
    name: partial(lambda name, one, other: getattr(one, name)(other), name)
    for name in ("update", "difference_update", "intersection_update", "symmetric_difference_update")
} | {name: getattr(operator, name) for name in ("ior", "isub", "iand", "ixor")}


@pytest.mark.parametrize("make", [OrderedSet, of_owner])
@pytest.mark.parametrize("name", CHANGES)
def test_it_changes_in_place_as_a_set_does(name: str, make: Callable[[str], Any]) -> None:
    for first, second in PAIRS:
        plain, mine = set(first), make(first)
        CHANGES[name](plain, set(second))
        CHANGES[name](mine, OrderedSet(second))
        assert mine == plain
        itself, all_mine = set(first), make(first)
        CHANGES[name](itself, itself)
        CHANGES[name](all_mine, all_mine)
        assert all_mine == itself


@pytest.mark.parametrize("make", [OrderedSet, of_owner])
def test_members_come_and_go_one_by_one_and_keep_their_order(make: Callable[[str], Any]) -> None:
    mine, twin = make("ba"), make("ba").copy()

    mine.add("c")
    mine.add("b")
    mine.discard("x")
    mine.remove("b")
    mine.update(["d", "a"], {"e": 1})

    assert [*mine] == ["a", "c", "d", "e"]
    assert mine.pop() == "a"
    with pytest.raises(KeyError):
        mine.remove("a")
    mine.clear()
    assert not mine
    assert [*twin] == ["b", "a"]


@pytest.mark.parametrize("sign", ["ior", "isub", "iand", "ixor"])
def test_what_is_no_set_cannot_stand_behind_a_sign(sign: str) -> None:
    with pytest.raises(DefinitionTypeError, match="'ab' is no set"):
        CHANGES[sign](OrderedSet("cab"), "ab")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles_hold_the_members_alone(again: Callable[[Any], Any]) -> None:
    for one in (OrderedSet("ba"), of_owner("ba")):
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
