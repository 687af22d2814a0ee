"""What a context holds of a run's pauses and iterations, under the names of Prefect 1. Knows no run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefectlite.engine.instructions import Past
from prefectlite.states.keys import RunKey


def facts_of_past(past: Past, key: RunKey, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what user code finds in ``context`` of what went before.

    Parameters
    ----------
    past : Past
        What went before.
    key : RunKey
        Whose.
    given : mapping of str to object
        What a person put into the context: ``task_loop_count`` is that of the first iteration, ``caches`` are
        looked into, too.

    Returns
    -------
    dict
        ``resume`` once a pause is over; from the second iteration on, ``task_loop_count`` and
        ``task_loop_result``; ``caches`` with what may make the body needless. What does not apply is not
        there.
    """
    facts: dict[str, Any] = {}
    if past.resumed:
        facts["resume"] = True
    if past.looped is not None:
        facts["task_loop_count"] = given.get("task_loop_count", 1) + key.loop - 1
        facts["task_loop_result"] = past.looped.result
    if past.cached is not None:
        facts["caches"] = {**given.get("caches", {}), key.slug: [past.cached]}
    return facts
