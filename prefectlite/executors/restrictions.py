"""What a Dask task asks of its worker: a name, a host, resources. Knows tasks of the scheduler, no worker."""

from __future__ import annotations

from typing import Any


def is_restricted(task: Any) -> bool:
    """Return whether a task is for some workers alone.

    Parameters
    ----------
    task : distributed.scheduler.TaskState
        The task.

    Returns
    -------
    bool
        False for one that any worker may run.
    """
    return bool(task.worker_restrictions or task.host_restrictions or task.resource_restrictions)


def restrictions_of(task: Any) -> str:
    """Return what a task asks of its worker.

    Parameters
    ----------
    task : distributed.scheduler.TaskState
        The task.

    Returns
    -------
    str
        In words; empty for one that any worker may run.
    """
    asked = [f"{name}={amount:g}" for name, amount in sorted((task.resource_restrictions or {}).items())]
    parts = [f"the resources {', '.join(asked)}"] if asked else []
    named = sorted(str(name) for name in (task.worker_restrictions or task.host_restrictions or ()))
    parts += [f"the name or address {' or '.join(named)}"] if named else []
    return " and ".join(parts)


def lift(task: Any) -> None:
    """Let any worker run a task.

    Parameters
    ----------
    task : distributed.scheduler.TaskState
        The task.
    """
    task.worker_restrictions = task.host_restrictions = task.resource_restrictions = None
