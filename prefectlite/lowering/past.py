"""What a context holds of a run's pauses and iterations, under the names of Prefect 1. Knows no run."""

from __future__ import annotations

from typing import Any

from prefectlite.engine.instructions import Past


def facts_of_past(past: Past, loop: int) -> dict[str, Any]:
    """Return what user code finds in ``context`` of what went before.

    Parameters
    ----------
    past : Past
        What went before.
    loop : int
        The run's iteration, counted from 1.

    Returns
    -------
    dict
        ``resume`` once a pause is over; from the second iteration on, ``task_loop_count`` and
        ``task_loop_result``. What does not apply is not there.
    """
    facts: dict[str, Any] = {}
    if past.resumed:
        facts["resume"] = True
    if past.looped is not None:
        facts["task_loop_count"] = loop
        facts["task_loop_result"] = past.looped.result
    return facts
