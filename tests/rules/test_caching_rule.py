"""The cache rule: which kept values may be used, and why not."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from dask.tokenize import tokenize

from prefectlite.cache_validators import (
    all_inputs,
    all_parameters,
    duration_only,
    never_use,
    partial_inputs_only,
    partial_parameters_only,
)
from prefectlite.errors import DefinitionTypeError
from prefectlite.rules.caching import Given, StandIn, objection
from prefectlite.states import Cached, Success

NOW = datetime(2030, 1, 2, tzinfo=UTC)


def given(**values: Any) -> Given:
    return Given(values, {name: f"#{value}" for name, value in values.items() if value is not print})


KEPT = Cached(
    cached_result_expiration=NOW + timedelta(hours=1),
    hashed_inputs={"x": "#1", "y": "#2"},
    cached_parameters=given(p=3, q=4),
)
SAME, PARAMETERS = given(x=1, y=2), given(p=3, q=4)


@pytest.mark.parametrize(
    ("validator", "inputs", "parameters", "why"),
    [
        (never_use, SAME, PARAMETERS, "never_use uses no value"),
        (duration_only, given(x=7), given(), None),
        (all_inputs, SAME, given(p=9), None),
        (all_inputs, given(x=1, y=7), PARAMETERS, "input 'y' is another than what was kept for"),
        (all_inputs, given(x=1), PARAMETERS, "input 'y' is another"),
        (all_inputs, given(x=1, y=2, z=3), PARAMETERS, "input 'z' is another"),
        (
            all_inputs,
            given(x=1, y=print),
            PARAMETERS,
            "input 'y' is of type builtin_function_or_method, which",
        ),
        (all_parameters, given(x=7), PARAMETERS, None),
        (all_parameters, SAME, given(p=3, q=5), "parameter 'q' is another"),
        (partial_inputs_only, given(x=7), given(), None),
        (partial_inputs_only(validate_on=["x"]), given(x=1, y=7), given(), None),
        (partial_inputs_only(validate_on="y"), given(x=1, y=7), given(), "input 'y' is another"),
        (partial_inputs_only(validate_on=["w"]), SAME, given(), None),  # none of them has it
        (partial_parameters_only, SAME, given(), None),
        (partial_parameters_only(validate_on=["q"]), SAME, given(p=9, q=4), None),
        (partial_parameters_only(validate_on=["p"]), SAME, given(p=9, q=4), "parameter 'p' is another"),
        (lambda state, inputs, parameters: inputs["x"] == 1, SAME, PARAMETERS, None),
        (
            lambda state, inputs, parameters: inputs["x"] == 2,
            SAME,
            PARAMETERS,
            "<lambda> refused what was kept",
        ),
    ],
)
def test_a_validator_says_why_not(validator: Any, inputs: Given, parameters: Given, why: str | None) -> None:
    found = objection(validator, KEPT, inputs, parameters, NOW)

    assert found is None if why is None else found is not None and found.startswith(why)
    forever = KEPT.replace(cached_result_expiration=None)
    assert bool(validator(forever, inputs, parameters)) is (why is None)


def test_what_is_too_old_is_shown_to_no_validator() -> None:
    def never_asked(*_: Any) -> bool:
        raise AssertionError

    text = objection(never_asked, KEPT, SAME, PARAMETERS, NOW + timedelta(hours=1))

    assert text == "what was kept expired at 2030-01-02 01:00:00 UTC"
    assert objection(duration_only, Cached(), SAME, PARAMETERS, NOW) is None


def test_a_validator_of_ones_own_may_ask_another() -> None:
    def even(state: Cached, inputs: Given, parameters: Given) -> bool:
        return inputs["y"] % 2 == 0 and all_inputs(state, inputs, parameters)

    assert objection(even, KEPT, SAME, PARAMETERS, NOW) is None
    assert objection(even, KEPT, given(x=2, y=2), PARAMETERS, NOW) == "even refused what was kept"


@pytest.mark.parametrize("validator", [all_inputs, partial_inputs_only(validate_on=["x"])])
def test_a_validator_travels_as_what_it_is(validator: Any) -> None:
    assert pickle.loads(pickle.dumps(validator)) == validator


def test_a_validator_is_shown_as_it_is_written() -> None:
    assert repr(all_inputs) == all_inputs.__name__ == "all_inputs"
    assert repr(partial_inputs_only) == "partial_inputs_only"
    assert repr(partial_parameters_only(validate_on="p")) == "partial_parameters_only(validate_on=['p'])"


@pytest.mark.parametrize("old", [timedelta(hours=1), timedelta(0)])
def test_a_validator_that_is_called_by_hand_knows_what_is_too_old(old: timedelta) -> None:
    expired = Cached(cached_result_expiration=datetime.now(UTC) - old)

    for validator in (duration_only, all_inputs, all_parameters, partial_inputs_only(validate_on=["x"])):
        assert not validator(expired, {}, {})
        assert validator(
            expired.replace(cached_result_expiration=datetime.now(UTC) + timedelta(hours=1)), {}, {}
        )


def test_a_validator_that_is_called_by_hand_takes_none_for_nothing_given() -> None:
    some = Cached(hashed_inputs={"x": "#1"}, cached_parameters={"p": 3})

    for validator, uses in [
        (never_use, False),
        (duration_only, True),
        (all_inputs, False),
        (all_parameters, False),
        (partial_inputs_only(validate_on=["x"]), False),
        (partial_parameters_only(validate_on=["p"]), False),
        (partial_parameters_only, True),
    ]:
        assert validator(some, None, None) is uses
        assert validator(Cached(), inputs=None, parameters=None) is (validator is not never_use)


@pytest.mark.parametrize("state", [None, Success(), Cached()])
def test_a_validator_that_uses_nothing_says_so_of_anything(state: Any) -> None:
    assert never_use(state, None, None) is False


def test_a_plain_mapping_of_inputs_is_taken_for_their_tokens() -> None:
    assert all_inputs(KEPT, {"x": "#1", "y": "#2"}, {})
    assert not all_inputs(KEPT, {"x": "#1", "y": "#3"}, {})


def test_a_plain_mapping_of_inputs_may_hold_the_inputs_themselves() -> None:
    grid = np.arange(3)
    state = Cached(hashed_inputs={"x": tokenize(1), "grid": tokenize(grid)})

    assert all_inputs(state, {"x": 1, "grid": grid}, {})
    assert partial_inputs_only(validate_on=["x"])(state, {"x": 1, "grid": 3}, {})
    for other in ({"x": 2, "grid": grid}, {"x": 1, "grid": grid + 1}, {"x": 1}, {"x": print, "grid": grid}):
        assert not all_inputs(state, other, {})


def hashed(value: Any) -> str:
    return f"#{value}"


@pytest.mark.parametrize(
    "kept",
    [given(p=3, q=4), {"p": 3, "q": 4}, {"p": StandIn("#3", hashed), "q": 4}],
    ids=["with tokens", "values", "a stand-in"],
)
@pytest.mark.parametrize("told", [given, dict], ids=["with tokens", "values"])
def test_parameters_are_compared_whatever_is_known_of_them(kept: Any, told: Any) -> None:
    state = Cached(cached_parameters=kept)

    assert all_parameters(state, {}, told(p=3, q=4))
    assert partial_parameters_only(validate_on=["p"])(state, {}, told(p=3))
    for other in (told(p=5, q=4), told(p=3), told(p=3, q=4, r=None)):
        assert not all_parameters(state, {}, other)
    assert not all_parameters(state, {}, Given({"p": 3, "q": 4}, {"p": "#3"}))
    assert (state.cached_parameters["p"] == 3, state.cached_parameters["p"] == 5) == (True, False)


def test_arrays_are_compared_as_a_whole() -> None:
    state = Cached(cached_parameters={"grid": np.arange(3)})

    assert all_parameters(state, {}, {"grid": np.arange(3)})
    assert not all_parameters(state, {}, {"grid": np.arange(4)})


def test_a_stand_in_equals_what_has_its_token() -> None:
    one = StandIn("#1", hashed)

    assert one == 1
    assert one == StandIn("#1", hashed)
    assert one != 2
    assert one != StandIn("#2", hashed)
    assert repr(one) == "<a value with the token #1>"
    assert len({one, StandIn("#1", hashed)}) == 1
    assert pickle.loads(pickle.dumps(one)) == one


def test_the_tokens_that_count_are_those_that_are_compared() -> None:
    assert duration_only.tokens(SAME, PARAMETERS) == ({}, None)
    assert all_inputs.tokens(SAME, PARAMETERS) == ({"input x": "#1", "input y": "#2"}, None)
    assert all_parameters.tokens(SAME, PARAMETERS) == ({"parameter p": "#3", "parameter q": "#4"}, None)
    chosen = partial_inputs_only(validate_on=["y", "w"])
    assert chosen.tokens(SAME, PARAMETERS) == ({"input y": "#2", "input w": ""}, None)
    assert "has no token" in str(all_inputs.tokens(given(x=print), PARAMETERS)[1])


def test_names_by_place_are_refused_since_a_state_stands_there() -> None:
    with pytest.raises(DefinitionTypeError, match=r"given \['x'\], which .*\(validate_on=\['x'\]\)"):
        partial_inputs_only(["x"])


@pytest.mark.parametrize("names", [3, [[]], [1]])
def test_what_is_no_name_is_refused(names: Any) -> None:
    with pytest.raises(DefinitionTypeError, match="give a list of names"):
        partial_inputs_only(validate_on=names)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((3, SAME, PARAMETERS), "has state=3; give the Cached state"),
        ((KEPT, 3, PARAMETERS), "has inputs=3; give tokens or values by name"),
        ((KEPT, SAME, ["p"]), r"has parameters=\['p'\]; give tokens or values by name"),
    ],
)
def test_a_validator_that_is_called_with_something_else_says_what_it_takes(arguments: Any, text: str) -> None:
    with pytest.raises(DefinitionTypeError, match=f"all_inputs {text}"):
        all_inputs(*arguments)
