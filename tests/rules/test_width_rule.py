"""The width rule: how many children, or which inputs do not fit."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.rules.verdict import Become
from prefectlite.rules.width import decide_width
from prefectlite.states import Failed

lengths = st.lists(st.tuples(st.text(max_size=5), st.integers(0, 5)), max_size=5)


@given(lengths)
def test_the_shortest_input_decides_where_the_task_says_so(given_: list[tuple[str, int]]) -> None:
    expected = min(n for _, n in given_) if given_ else 0
    assert decide_width(given_, "shortest", []) == expected


@given(lengths)
def test_inputs_of_equal_length_give_that_many_children_and_others_fail(
    given_: list[tuple[str, int]],
) -> None:
    verdict = decide_width(given_, "equal", [])
    widths = {n for _, n in given_} or {0}
    if len(widths) == 1:
        assert verdict == widths.pop()
    else:
        assert isinstance(verdict, Become)
        assert type(verdict.state) is Failed


def test_unequal_lengths_are_told_with_the_names_of_the_inputs_and_the_mend() -> None:
    verdict = decide_width([("x", 3), ("y", 2), ("z", 3)], "equal", [])
    assert isinstance(verdict, Become)
    assert verdict.state.message == (
        "The task cannot map over inputs of unequal length: 'x' has 3, 'y' has 2, 'z' has 3. "
        'Make them equal, or give the task map_lengths="shortest".'
    )
    assert isinstance(verdict.state.result, DefinitionError)
    assert verdict.why.rule == "width"
    assert verdict.why.read == (("x", "3"), ("y", "2"), ("z", "3"))


@pytest.mark.parametrize("map_lengths", ["equal", "shortest"])
def test_an_input_that_cannot_be_mapped_fails_whatever_the_lengths(
    map_lengths: Literal["equal", "shortest"],
) -> None:
    verdict = decide_width([("x", 3)], map_lengths, [("rows", "a set has no order; sort it.")])
    assert isinstance(verdict, Become)
    assert type(verdict.state) is Failed
    assert verdict.state.message == "The task cannot map: its input 'rows': a set has no order; sort it."
    assert isinstance(verdict.state.result, DefinitionTypeError)
    assert verdict.why.read == (("rows", "a set has no order; sort it."),)
