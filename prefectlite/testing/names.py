"""Which task runs a person means: by task, by slug, by name. Knows graphs; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefectlite.core.base import AnyTask
from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import FunctionTask, Task
from prefectlite.errors import DefinitionError
from prefectlite.states.keys import RunKey


def runs_named(flow: FlowGraph, named: AnyTask) -> list[tuple[str, int | None]]:
    """Return which task runs somebody names.

    Parameters
    ----------
    flow : FlowGraph
        The flow.
    named : Task or str
        What a call in the flow returned, or the function's task that was called there; a slug
        (``"load-1"``), a child of a map (``"load-1[3]"``), or the name of one task or of several.

    Returns
    -------
    list of (str, int or None)
        Slugs and map indices; None is the task itself, or the whole map.

    Raises
    ------
    DefinitionError
        When the flow has no such task.
    """
    slugs: Mapping[Any, str] = flow.slugs
    found: list[tuple[str, int | None]] = []
    if isinstance(named, Task):
        if named in slugs:
            return [(slugs[named], None)]
        found = [(slug, None) for task, slug in slugs.items() if _is_call_of(task, named)]
    elif isinstance(named, str):
        key = RunKey.parse(named)
        if key.slug in slugs.values():
            return [(key.slug, key.index)]
        found = [(slug, key.index) for task, slug in slugs.items() if task.name == key.slug]
    if not found:
        known = ", ".join(sorted(slugs.values())[:10])
        raise DefinitionError(
            f"Flow {flow.name!r} has no task {named!r}; its tasks are {known}. Name one so, or by what its "
            "call in the flow returned."
        )
    return found


def _is_call_of(task: Task, named: Task) -> bool:
    return isinstance(task, FunctionTask) and isinstance(named, FunctionTask) and task.run is named.run
