"""What a state holds in the place of its value: a Result that it was given is opened, and it gives one."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prefectlite import signals
from prefectlite.results import ConstantResult, LocalResult, PrefectResult, Result
from prefectlite.states import NO_RESULT, Failed, Looped, Mapped, ResultRef, RunKey, State, Success
from prefectlite.states.holders import holding
from prefectlite.states.json import state_from_json, state_to_json
from tests.states.test_result_ref import Shelf


class Shy(Result):
    """A class of a user's own that reads what it was told."""

    def read(self, location: str) -> Any:
        return self.from_value(f"read at {location}")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (Result(3), 3),
        (Result(), None),
        (ConstantResult(value=4), 4),
        (Result(location="a"), None),
        (NO_RESULT, None),
        (None, None),
        ([Result(3)], [Result(3)]),
    ],
    ids=repr,
)
def test_the_value_of_a_state_is_that_in_the_result_that_it_is_given(given: Any, value: Any) -> None:
    for state in (Success("m", given), Failed(result=given), Looped(result=given)):
        again = pickle.loads(pickle.dumps(state))
        assert state.result == again.result == value
        assert state == again == state.replace(message="other") == type(state)(result=value)
        assert state._result is given or state._result == Result(value)


def test_only_the_outermost_result_is_opened() -> None:
    inner = Result(3)

    assert Success(result=Result(inner)).result is inner
    assert Success(result=holding(inner)).result is inner
    assert Success(result=holding(inner))._result == Result(inner)
    assert holding(3) == 3


@pytest.mark.parametrize("signal", [signals.SUCCESS, signals.FAIL, signals.SKIP, signals.LOOP])
def test_a_signal_that_is_given_a_result_brings_the_value_in_it(signal: Any) -> None:
    assert signal("m", result=Result(3)).state.result == 3
    assert signals.ENDRUN(Success(result=Result(3))).state.result == 3


def test_a_result_that_was_given_is_what_the_state_gives(tmp_path: Path) -> None:
    written = LocalResult(tmp_path).write(5)

    state = Success(result=written)

    assert state._result is written
    assert state.replace(message="m")._result is written
    assert pickle.loads(pickle.dumps(state))._result == written
    assert Success()._result is NO_RESULT
    assert (NO_RESULT.value, NO_RESULT.location) == (None, None)


def test_the_result_of_a_state_fetches_the_value_when_it_is_looked_at() -> None:
    shelf = Shelf(42)
    state = Success(result=ResultRef(RunKey("load-1"), source=shelf, location="x.pkl"))

    result = state._result

    assert isinstance(result, Result)
    assert (result.location, shelf.asked) == ("x.pkl", [])
    assert (result.value, result.value, len(shelf.asked)) == (42, 42, 1)
    assert result == Result(42, "x.pkl") == state._result
    assert result != Result(41, "x.pkl")
    assert type(copy.copy(result)) is type(pickle.loads(pickle.dumps(result))) is Result
    assert repr(result) == "<Result: 42>"
    with pytest.raises(AttributeError, match="immutable, so its 'value' cannot be set"):
        result.value = 9
    with pytest.raises(AttributeError, match="a Result has no attribute 'weight'"):
        result.weight  # noqa: B018


def test_a_map_has_the_result_of_its_children_or_its_own() -> None:
    children = [Success(result=1), Success(result=Result(2))]

    assert Mapped(map_states=children)._result == Result([1, 2])
    assert Mapped(result=Result([3]), map_states=children).result == [3]
    assert Mapped(result=Result([3]), map_states=children)._result == Result([3])


def test_a_state_whose_result_has_a_location_alone_reads_it_when_it_is_loaded() -> None:
    state = Success("m", PrefectResult(location="[1]"))
    many = Mapped(map_states=[state])

    assert state.result is None
    assert (state.load_result().result, state.load_result().message) == ([1], "m")
    assert state.load_result(Shy()).result == "read at [1]"
    assert many.load_result(Shy()).result == ["read at [1]"]
    for whole in (Success(result=Result(3, "x")), Success(result=3), Success(), Success(result=Result())):
        assert whole.load_result(Shy()) is whole


def test_a_loaded_value_that_is_a_result_is_not_opened() -> None:
    state = Success(result=ResultRef(RunKey("load-1"), source=Shelf(Result(3))))

    assert state.result == state.load_result().result == Result(3)


@pytest.mark.parametrize("given", [Result(3), 3])
def test_the_json_form_has_the_value_as_it_always_had(given: Any) -> None:
    assert state_to_json(Success(result=given))["result"] == {"kind": "json", "value": 3}


def test_a_value_that_is_a_result_comes_back_from_json() -> None:
    state: State = Success(result=Result(Result(3, "x")))

    assert state_from_json(state_to_json(state)).result == Result(3, "x")
    assert not state_from_json(state_to_json(Success())).has_result


def test_a_state_gives_its_value_also_where_nobody_has_asked_for_results() -> None:
    code = (
        "import sys; from prefectlite.states import Success; found = Success(result=3)._result; "
        "assert 'prefectlite.results' not in sys.modules; print(found.value, found.location)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "3 None\n"
