"""The text that a task is called by: of which values there is one, and what it costs to know."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.core.plain import short_text


class Colour(Enum):
    RED = 1


class Size(IntEnum):
    SMALL = 1


class Unread:
    def __repr__(self) -> str:
        raise AssertionError("its text costs more than it is worth")


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.binary(max_size=9)
)


@given(
    st.recursive(
        PLAIN,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.tuples(inner),
            st.dictionaries(st.text(max_size=3), inner, max_size=3),
        ),
        max_leaves=12,
    ),
    st.integers(0, 40),
)
def test_plain_values_and_collections_of_them_have_their_text_if_it_is_short(
    value: Any, longest: int
) -> None:
    text = repr(value)

    assert short_text(value, longest) == (text if len(text) <= longest else None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Colour.RED, "Colour.RED"),
        (Size.SMALL, "1"),
        (date(2020, 5, 4), "2020-05-04"),
        (datetime(2020, 5, 4, tzinfo=UTC), "2020-05-04 00:00:00+00:00"),
        ("a\nb", "a\nb"),
        ("", ""),
    ],
)
def test_the_text_is_made_as_one_is_asked(value: Any, text: str) -> None:
    assert short_text(value, 32, str) == text


def test_the_text_of_what_is_big_or_unknown_is_not_made() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    for value in (
        Unread(),
        [Unread()],
        {1: Unread()},
        loop,
        deep,
        [Unread()] * 10**6,
        10**5000,
        "x" * 33,
        int,
    ):
        assert short_text(value, 32) is None


def test_a_set_has_a_text_if_it_is_the_same_in_every_process() -> None:
    assert [short_text(one, 32) for one in (set(), {"a"}, {1, 2.5, False}, frozenset({None}))] == [
        "set()",
        "{'a'}",
        repr({1, 2.5, False}),
        "frozenset({None})",
    ]
    assert [short_text(one, 32) for one in ({"a", "b"}, {1, None}, set(range(99)))] == [None, None, None]
