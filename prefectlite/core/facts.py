"""What ``context`` says of a flow run and of a task run; one place for workers and driver. Reads no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from prefectlite.core.context import idempotency_key
from prefectlite.masking import Secrets
from prefectlite.states.keys import RunKey

_NOTHING: Final[Mapping[str, Any]] = {}


def flow_facts(flow_name: str, run_id: str, scheduled: float, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the context of each task of a flow run holds.

    Parameters
    ----------
    flow_name : str
        The flow's name.
    run_id : str
        The flow run's identity.
    scheduled : float
        When it was to start, in seconds since the epoch.
    given : mapping of str to object
        What a person put into it, from ``given_context.checked``.

    Returns
    -------
    dict
        Values by name.
    """
    start = datetime.fromtimestamp(scheduled, UTC)
    return {
        "flow_name": flow_name,
        "flow_id": flow_name,
        "flow_run_id": run_id,
        "flow_run_name": f"{flow_name}-{run_id[:8]}",
        # No switch is needed to store values, and what is kept lies in a store, so in no context.
        "checkpointing": True,
        "caches": {},
        "scheduled_start_time": start,
        "secrets": _NO_SECRETS,
        **date_facts(given.get("date") or start),
        **given,
    }


def task_facts(
    key: RunKey,
    run_id: str,
    task_name: str,
    tags: frozenset[str],
    attempt: int,
    given: Mapping[str, Any] = _NOTHING,
) -> dict[str, Any]:
    """Return what the context of a task run holds beside the flow run's, on a worker and in callbacks.

    Parameters
    ----------
    key : RunKey
        The task run.
    run_id : str
        The flow run's identity.
    task_name : str
        The task's name.
    tags : frozenset of str
        The task's tags.
    attempt : int
        Counted from 1.
    given : mapping of str to object
        What a person put into the context of the flow run and of the task.

    Returns
    -------
    dict
        Values by name.
    """
    return {
        **shared_facts(task_name, tags, attempt),
        **own_facts(key, run_id, task_name, given),
        "task_tags": set(tags),
        "time_left": time_left,
    }


def shared_facts(task_name: str, tags: frozenset[str], attempt: int) -> dict[str, Any]:
    """Return what the contexts of a task's runs hold alike.

    Parameters
    ----------
    task_name : str
        The task's name.
    tags : frozenset of str
        The task's tags.
    attempt : int
        Counted from 1.

    Returns
    -------
    dict
        Values by name.
    """
    return {
        "task_name": task_name,
        # A set of its own, as in Prefect 1: what the context is asked for may be changed.
        "task_tags": set(tags),
        "task_run_count": attempt,
        "attempt": attempt,
    }


def own_facts(
    key: RunKey, run_id: str, task_name: str, given: Mapping[str, Any] = _NOTHING
) -> dict[str, Any]:
    """Return what the context of a task run holds that is its own.

    Parameters
    ----------
    key : RunKey
        The task run.
    run_id : str
        The flow run's identity.
    task_name : str
        The task's name.
    given : mapping of str to object
        As of ``task_facts``; a ``map_index`` in it is that of runs that are no map's children.

    Returns
    -------
    dict
        Values by name.
    """
    task_run_id = f"{run_id}/{key}"
    index = given.get("map_index") if key.index is None else key.index
    return {
        "task_slug": key.slug,
        "task_id": key.slug,
        "task_full_name": task_name if index is None else f"{task_name}[{index}]",
        "task_run_id": task_run_id,
        "map_index": index,
        "idempotency_key": idempotency_key(task_run_id),
    }


def time_left() -> float:
    """Return how many seconds a callback may still take.

    Returns
    -------
    float
        Infinity: only bodies have a limit.
    """
    return math.inf


def date_facts(when: datetime) -> dict[str, Any]:
    """Return what ``context`` holds about a date.

    Parameters
    ----------
    when : datetime
        The date of the flow run; taken as UTC where it has no zone.

    Returns
    -------
    dict
        ``date``, and ``today``, ``yesterday``, ``tomorrow`` as ``YYYY-MM-DD`` and, with ``_nodash``,
        ``YYYYMMDD``.
    """
    moment = when if when.tzinfo else when.replace(tzinfo=UTC)
    facts: dict[str, Any] = {"date": moment}
    for name, days in (("yesterday", -1), ("today", 0), ("tomorrow", 1)):
        day = moment + timedelta(days=days)
        facts[name] = f"{day:%Y-%m-%d}"
        facts[f"{name}_nodash"] = f"{day:%Y%m%d}"
    return facts


_NO_SECRETS: Final = Secrets({})
