"""What a context holds of a run's pauses and iterations, under the names of Prefect 1. Knows no run."""

from __future__ import annotations

from typing import Any

from prefectlite.engine.instructions import Past
from prefectlite.states.keys import RunKey


def facts_of_past(past: Past, key: RunKey) -> dict[str, Any]:
    """Return what user code finds in ``context`` of what went before.

    Parameters
    ----------
    past : Past
        What went before.
    key : RunKey
        Whose.

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
        facts["task_loop_count"] = key.loop
        facts["task_loop_result"] = past.looped.result
    if past.cached is not None:
        facts["caches"] = {key.slug: [past.cached]}
    return facts
