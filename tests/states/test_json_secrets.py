"""The JSON form of a state holds no secret, whatever the state holds."""

from __future__ import annotations

import json
import pickle
from base64 import b64encode
from typing import Any

import pytest
from pydantic import SecretStr

from prefectlite.errors import ResultUnavailable, TaskError
from prefectlite.masking import hide
from prefectlite.states.json import state_from_json, state_to_json
from prefectlite.states.keys import RunKey
from prefectlite.states.report import ResultRef
from prefectlite.states.state import Failed, Success

SECRET = "json-hush-77"


@pytest.fixture(autouse=True)
def _known() -> None:
    hide(SECRET)


def form_of(state: Any) -> str:
    text = json.dumps(state_to_json(state))
    assert SECRET not in text
    assert b64encode(SECRET.encode()).decode()[2:-4] not in text
    return text


@pytest.mark.parametrize(
    "value",
    [
        SecretStr("json-hush-never-told"),
        SECRET,
        {"a": [SECRET]},
        (SECRET,),
        ResultRef(RunKey("a-1"), inline=pickle.dumps(SECRET)),
    ],
)
def test_a_result_that_is_a_secret_or_holds_one_is_not_stored(value: Any) -> None:
    text = form_of(Success("done", value))
    assert "never-told" not in text
    back = state_from_json(json.loads(text))
    assert back.message == "done"
    with pytest.raises(
        ResultUnavailable, match="it is a secret, or one stands in it, and those are not stored"
    ):
        _ = back.result


def test_messages_and_exceptions_are_masked() -> None:
    back = state_from_json(json.loads(form_of(Failed(f"no {SECRET}", ValueError(SECRET)))))
    assert back.message == "no **********"
    assert isinstance(back.result, TaskError)
    assert back.result.message == "**********"


def test_other_values_are_stored_as_ever() -> None:
    for value in ("json-hush", {"a": 1}, (1, 2), ResultRef(RunKey("a-1"), inline=pickle.dumps(1))):
        assert state_from_json(json.loads(form_of(Success("done", value)))).result in (value, 1)
