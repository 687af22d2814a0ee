"""What a task asks of the scheduler. Knows task options; knows no cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefectlite.core.task import Task


def annotations_of(task: Task) -> Mapping[str, Any] | None:
    """Return the scheduler's annotations of a task.

    Parameters
    ----------
    task : Task
        Its resources, priority and workers count.

    Returns
    -------
    mapping or None
        None when it asks for nothing, which is also the fastest.

    Examples
    --------
    >>> from prefectlite.core.task import task
    >>> @task(tags=["dask-resource:GPU=1"], priority=5)
    ... def train():
    ...     ...
    >>> annotations_of(train) == {"resources": {"GPU": 1.0}, "priority": 5}
    True
    """
    options = task.options
    resources = task.resources if options.resources is not None or task.tags else None
    if not resources and not options.priority and options.workers is None:
        return None
    found: dict[str, Any] = {}
    if resources:
        found["resources"] = resources
    if options.priority:
        found["priority"] = options.priority
    if options.workers is not None:
        found["workers"] = list(options.workers)
        found["allow_other_workers"] = False
    return found
