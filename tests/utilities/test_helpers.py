"""Delays, names of objects and diagnostics, as Prefect 1's helpers gave them."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

import pytest

from prefectlite import EnvVarSecret, Flow, set_temporary_config, task
from prefectlite.errors import DefinitionError
from prefectlite.states import Retrying, Success
from prefectlite.testing import returns, simulate
from prefectlite.utilities import diagnostics
from prefectlite.utilities.datetimes import retry_delay
from prefectlite.utilities.importtools import import_object
from prefectlite.utilities.serialization import from_qualified_name, to_qualified_name

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("given", "minutes"),
    [
        ({"interval": MINUTE}, [1, 1, 1, 1, 1]),
        ({"minutes": 1}, [1, 1, 1, 1, 1]),
        ({"hours": 3}, [120, 120, 120, 120, 120]),
        ({"minutes": 1, "exponential_backoff": True}, [1, 1, 2, 4, 8]),
        ({"minutes": 1, "exponential_backoff": True, "max_delay": 3 * MINUTE}, [1, 1, 2, 3, 3]),
        ({"hours": 1, "exponential_backoff": True, "max_delay": None}, [60, 60, 120, 240, 480]),
    ],
)
def test_delays_are_doubled_from_the_third_attempt_on_up_to_a_bound(given: Any, minutes: list[int]) -> None:
    delay = retry_delay(**given)

    assert [delay(attempt) / MINUTE for attempt in range(1, 6)] == minutes


@pytest.mark.parametrize("given", [{}, {"interval": MINUTE, "minutes": 1}])
def test_a_delay_is_given_in_one_way(given: Any) -> None:
    with pytest.raises(DefinitionError, match="give one of the two: retry_delay"):
        retry_delay(**given)


def test_a_task_takes_such_a_delay() -> None:
    @task(max_retries=3, retry_delay=retry_delay(minutes=1, exponential_backoff=True))
    def load() -> None: ...

    with Flow("f") as flow:
        made = load()
    run = simulate(flow, outcomes={made: [OSError(), OSError(), OSError(), returns(1)]})

    assert run.state.is_successful()
    assert run.timeline[-1].at == pytest.approx(60 * (1 + 1 + 2))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("random.randint", random.randint), ("random", random), ("json.decoder", json.decoder)],
)
def test_an_object_is_imported_by_its_name(name: str, expected: Any) -> None:
    assert import_object(name) is expected


@pytest.mark.parametrize(
    ("name", "error"), [("no_such_module", ImportError), ("random.no_such", AttributeError)]
)
def test_an_object_that_is_not_there_is_not_imported(name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        import_object(name)


@pytest.mark.parametrize("thing", [Success, simulate, Retrying.replace])
def test_a_qualified_name_leads_back(thing: Any) -> None:
    assert from_qualified_name(to_qualified_name(thing)) is thing


@pytest.mark.parametrize("name", ["no_such_module.Thing", "random.no_such", "", "a b"])
def test_a_name_of_nothing_is_told(name: str) -> None:
    with pytest.raises(ValueError, match=f"Nothing is called {name!r}"):
        from_qualified_name(name)


def test_diagnostics_tell_what_is_set_and_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECTLITE__MINE__ZONE", "hush")
    with Flow("hush") as flow:
        EnvVarSecret("KEY")()

    with set_temporary_config(
        {"logging.level": "ERROR", "context.secrets.TOKEN": "hush", "mine.region": "hush"}
    ):
        text = diagnostics.diagnostic_info(flow)
        names = diagnostics.config_overrides(include_secret_names=True)["config_overrides"]["context"]
    found = json.loads(text)

    assert found["config_overrides"] == {
        "logging": {"level": True},
        "context": {"secrets": False},
        "mine": {"region": True},
    }
    assert "PREFECTLITE__MINE__ZONE" in found["env_vars"]
    assert found["flow_information"]["tasks"] == {"EnvVarSecret": 1}
    assert "python" in found["system_information"]["versions"]
    assert "ERROR" not in text
    assert "hush" not in text
    assert "flow_information" not in diagnostics.diagnostic_info()
    assert names == {"secrets": {"TOKEN": True}}
