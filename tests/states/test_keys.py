"""Run keys: text and back."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.states import RunKey

slugs = st.text().map(lambda text: text + "-1") | st.sampled_from(
    ["", "a", "a[b]", "a[3]b", "a@b", "x[-1]", "x[03]", "x@1", "x@0", "x@02", "x[٣]", "x[3]\n", "@", "[]"]
)
keys = st.builds(RunKey, slugs, st.none() | st.integers(0), st.integers(1))


@given(keys)
def test_a_key_is_read_back_from_its_text(key: RunKey) -> None:
    assert RunKey.parse(str(key)) == key


@given(st.text())
def test_every_text_is_the_text_of_the_key_that_it_is_read_as(text: str) -> None:
    assert str(RunKey.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("load-1", RunKey("load-1")),
        ("load-1[0]", RunKey("load-1", 0)),
        ("load-1@2", RunKey("load-1", None, 2)),
        ("load-1[12]@34", RunKey("load-1", 12, 34)),
    ],
)
def test_text_and_key_stand_for_each_other(text: str, key: RunKey) -> None:
    assert str(key) == text
    assert RunKey.parse(text) == key


def test_the_first_iteration_of_a_loop_is_not_told() -> None:
    assert str(RunKey("load-1", 3, 1)) == "load-1[3]"


def test_keys_are_values() -> None:
    assert len({RunKey("a", 1), RunKey("a", 1), RunKey("a", 2)}) == 2
    assert pickle.loads(pickle.dumps(RunKey("a", 1, 2))) == RunKey("a", 1, 2)
