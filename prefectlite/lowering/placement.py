"""What a task asks of the scheduler. Knows task options; knows no cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefectlite.core.option_checks import asked_resources
from prefectlite.core.options import TaskOptions


def annotations_of(task_name: str, options: TaskOptions, tags: frozenset[str]) -> Mapping[str, Any] | None:
    """Return the scheduler's annotations of a task.

    Parameters
    ----------
    task_name : str
        The task's, for errors.
    options : TaskOptions
        Its resources, priority and workers count.
    tags : frozenset of str
        Those that ask for resources count, too.

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
    >>> asked = annotations_of("train", train.frozen_options, train.frozen_tags)
    >>> asked == {"resources": {"GPU": 1.0}, "priority": 5}
    True
    """
    resources = asked_resources(task_name, options.resources, tags)
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
