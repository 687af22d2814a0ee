"""What is told of failures at a run's end, where no progress shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task
from prefectlite.states.state import Failed, Mapped, Running, Success, TriggerFailed
from prefectlite.views.aftermath import Aftermath

load, save, folder = Task("load"), Task("save"), Parameter("folder")
SLUGS = {folder: "folder", load: "load-1", save: "save-1"}


def told(states: dict[Any, Any], counts: dict[str, int], kind: type[Any] = Failed) -> list[str]:
    """Play a run to a listener, and return what it told."""
    found: list[str] = []
    aftermath = Aftermath(found.append)
    aftermath.started(SimpleNamespace(flow_name="etl", slugs=SLUGS))  # type: ignore[arg-type]
    aftermath.log([])
    aftermath.turn([], counts)
    aftermath.ended(kind(result=states))
    return found


def test_failures_alike_are_told_together_and_refused_runs_not_at_all() -> None:
    children = [Failed("bad", ValueError(f"row {n}")) for n in range(5)]
    states = {folder: Success(), load: Mapped(map_states=children), save: TriggerFailed("refused")}

    [text] = told(states, {"Failed": 5, "TriggerFailed": 1})
    assert text == (
        "etl: Failed  load-1[0], load-1[1], load-1[2] and 2 more like it\n"
        "  ValueError: row 0\n"
        "  ValueError: row 1\n"
        "  ValueError: row 2"
    )


def test_refused_runs_are_told_where_nothing_else_failed() -> None:
    states = {load: Success(), save: TriggerFailed("The trigger raised.")}

    assert told(states, {"TriggerFailed": 1}) == ["etl: TriggerFailed  save-1\n  The trigger raised."]


@pytest.mark.parametrize(
    ("state", "counts", "kind"),
    [
        (Success(), {"Success": 1}, Success),
        (Failed("bad"), {"Failed": 1, "Paused": 1}, Running),
        (Success(), {"Failed": 1}, Success),
    ],
    ids=["without failures", "left, not over", "a failure that a handler replaced later"],
)
def test_otherwise_nothing_is_told(state: Any, counts: dict[str, int], kind: type[Any]) -> None:
    assert told({load: state}, counts, kind) == []
