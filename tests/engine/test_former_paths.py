"""What Prefect 1 had under the engine's name is found there, and is what its room has."""

from __future__ import annotations

import sys

import pytest

from prefectlite import cache_validators, engine, executors, results, serializers, signals, states


@pytest.mark.parametrize(
    ("path", "name", "room"),
    [
        ("cache_validators", "all_inputs", cache_validators),
        ("executors", "LocalExecutor", executors),
        ("result", "Result", results),
        ("results", "LocalResult", results),
        ("serializers", "JSONSerializer", serializers),
        ("signals", "SKIP", signals),
        ("state", "Success", states),
    ],
)
def test_a_former_path_leads_to_the_room(path: str, name: str, room: object) -> None:
    module = getattr(engine, path)

    assert module is sys.modules[f"prefectlite.engine.{path}"]
    assert getattr(module, name) is getattr(room, name)


def test_what_was_never_there_is_told() -> None:
    with pytest.raises(
        AttributeError, match=r"'prefectlite.engine' has no attribute 'states'; its names are .*state"
    ):
        _ = engine.states
