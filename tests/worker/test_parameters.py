"""What is remembered of the flow's parameters beside a kept value: as it is, or by what stands in for it."""

from __future__ import annotations

import base64
import pickle
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from prefectlite.lowering.tokens import token_of
from prefectlite.masking import hide
from prefectlite.rules.caching import Given, StandIn
from prefectlite.worker.parameters import SMALL, for_state, packed, unpacked


def given(**values: Any) -> Given:
    tokens = {name: token_of(value) for name, value in values.items()}
    return Given(values, {name: token for name, token in tokens.items() if token is not None})


class Grid:
    """A class of a user's own, with a token."""

    def __init__(self, side: int) -> None:
        self.side = side

    def __dask_tokenize__(self) -> Any:
        return self.side


SMALL_ONES = {
    "day": date(2026, 3, 1),
    "at": datetime(2026, 3, 1, tzinfo=UTC),
    "names": ["a", {"b": (1, 2.5, None)}],
    "text": "x",
}
HIDDEN = "a very well hidden text"
SECRETS = {"key": SecretStr("k"), "keys": {"one": [SecretStr("k")]}, "told": f"with {HIDDEN} in it"}
LARGE = {"blob": b"x" * SMALL, "many": list(range(SMALL + 1)), "grid": np.zeros(3), "own": Grid(3)}


@pytest.mark.parametrize("name", SMALL_ONES)
@pytest.mark.parametrize("whole", [True, False])
def test_a_small_value_is_kept_and_told(name: str, whole: bool) -> None:
    values = given(**{name: SMALL_ONES[name]})

    assert for_state(values) == unpacked(packed(values, whole=whole), {}) == {name: SMALL_ONES[name]}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_value_or_one_of_a_users_class_is_kept_for_who_may_look_and_told_by_a_stand_in(
    name: str,
) -> None:
    value = LARGE[name]
    values = given(**{name: value})
    told = for_state(values)[name]

    assert isinstance(told, StandIn)
    assert told == value
    assert told != 0
    assert packed(values, whole=False) == {}
    read = unpacked(packed(values, whole=True), values.tokens)
    assert type(read[name]) is type(value)
    assert read.tokens == values.tokens
    assert for_state(read) == {name: told}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_kept_nowhere(name: str) -> None:
    hide(HIDDEN)
    values = given(**{name: SECRETS[name]})

    assert packed(values, whole=True) == {}
    assert unpacked({}, values.tokens) == for_state(values)
    assert all(isinstance(one, StandIn) for one in for_state(values).values())


def test_what_has_no_token_and_cannot_be_pickled_is_left_out() -> None:
    values = given(open=(one for one in ()))

    assert (packed(values, whole=True), for_state(values)) == ({}, {})


def test_what_cannot_be_read_here_is_a_stand_in() -> None:
    gone = base64.b64encode(pickle.dumps(Grid(3)).replace(b"Grid", b"Gone")).decode()

    assert unpacked({"own": gone, "other": gone}, {"own": "#"}) == {"own": StandIn("#", token_of)}


def test_what_is_nested_without_end_is_not_small() -> None:
    deep: Any = []
    for _ in range(50):
        deep = [deep]

    assert isinstance(for_state(given(deep=deep))["deep"], StandIn)
