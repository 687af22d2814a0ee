"""What ``context`` says of a flow run and of a task run; one place for workers and driver. Reads no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from prefectlite.core.context import idempotency_key
from prefectlite.core.layers import current_layer
from prefectlite.errors import ContextError
from prefectlite.masking import Secrets
from prefectlite.moments import IN_CONTEXT, plain, read
from prefectlite.settings import settings_in
from prefectlite.states.keys import RunKey

#: What a person may not set, since the flow run or the task run says it.
_OURS: Final = frozenset(
    {"attempt", "caches", "checkpointing", "config", "flow", "flow_id", "flow_name", "flow_run_id"}
    | {"idempotency_key", "logger", "map_index", "parameters", "resume", "tags", "task_full_name", "task_id"}
    | {"task_loop_count", "task_loop_result", "task_name", "task_run_count", "task_run_id", "task_run_name"}
    | {"task_slug", "task_tags", "time_left", "upstream_states"}
)
_INSTEAD: Final = {
    "config": "run it inside `with context(config={...}):`, or set it on prefectlite.config",
    "parameters": "give the flow's parameters as parameters={...}",
}


def checked_context(given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return what a person put into the context of a flow run or of a task, fit for ``flow_facts``.

    Parameters
    ----------
    given : mapping of str to object
        Values by name.
    owner : str
        Whose, for the error: ``"Flow 'etl'"``.

    Returns
    -------
    dict
        The same; ``date`` and ``scheduled_start_time`` as moments, ``secrets`` as ``Secrets``.

    Raises
    ------
    ContextError
        When a name is no text or is prefectlite's own, a moment is none, or the secrets have no names.
    """
    found = dict(given)
    if settings_in(found.get("config")) is not None:
        del found["config"]  # of a copy of the context; what it holds for runs is in force anyway
    if found.get("checkpointing") is True:
        del found["checkpointing"]  # as it is anyway: Prefect 1 had to be told
    for name in found:
        if not isinstance(name, str):
            raise ContextError(
                f"{owner} is given the context name {name!r}, which is no text; name each value: "
                "context={'region': 'north'}."
            )
        if name in _OURS:
            raise ContextError(
                f"{owner} is given context={{{name!r}: ...}}, but prefectlite sets {name!r} itself; "
                f"{_INSTEAD.get(name, 'choose another name')}."
            )
    for name in sorted(IN_CONTEXT & found.keys()):
        found[name] = _moment(found[name], name, owner)
    secrets = found.get("secrets", {})
    if not isinstance(secrets, Mapping):
        raise ContextError(
            f"{owner} is given context={{'secrets': ...}} of type {type(secrets).__name__}; pass "
            "a dict of names and values."
        )
    found["secrets"] = Secrets(secrets)
    return found


def context_around() -> dict[str, Any]:
    """Return what a person set in the context around the beginning of a flow run.

    Returns
    -------
    dict
        Values by name, without those that prefectlite sets itself in each run.
    """
    layer = current_layer()
    given = layer.given - _OURS
    return {name: value for name, value in layer.values.items() if name in given}


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
        What a person put into it, from ``checked_context``.

    Returns
    -------
    dict
        Values by name.
    """
    start = given.get("scheduled_start_time") or datetime.fromtimestamp(scheduled, UTC)
    return {
        "flow_name": flow_name,
        "flow_id": flow_name,
        "flow_run_id": run_id,
        "flow_run_name": f"{flow_name}-{run_id[:8]}",
        # As in Prefect 1; here no switch is needed to persist, and caches are shared, so in no context.
        "checkpointing": True,
        "caches": {},
        "scheduled_start_time": start,
        "secrets": _NO_SECRETS,
        **date_facts(given.get("date") or start),
        **given,
    }


def task_facts(
    key: RunKey, run_id: str, task_name: str, tags: frozenset[str], attempt: int
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

    Returns
    -------
    dict
        Values by name.
    """
    shared = shared_facts(task_name, tags, attempt)
    return {**shared, **own_facts(key, run_id, task_name), "time_left": time_left}


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
        "task_tags": tags,
        "task_run_count": attempt,
        "attempt": attempt,
    }


def own_facts(key: RunKey, run_id: str, task_name: str) -> dict[str, Any]:
    """Return what the context of a task run holds that is its own.

    Parameters
    ----------
    key : RunKey
        The task run.
    run_id : str
        The flow run's identity.
    task_name : str
        The task's name.

    Returns
    -------
    dict
        Values by name.
    """
    task_run_id = f"{run_id}/{key}"
    return {
        "task_slug": key.slug,
        "task_id": key.slug,
        "task_full_name": task_name if key.index is None else f"{task_name}[{key.index}]",
        "task_run_id": task_run_id,
        "map_index": key.index,
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


def _moment(value: object, name: str, owner: str) -> datetime:
    moment: datetime | None = None
    if isinstance(value, datetime):
        moment = plain(value)
    elif isinstance(value, date):
        moment = datetime.combine(value, time())
    elif isinstance(value, str):
        moment = read(value)
    if moment is None:
        raise ContextError(
            f"{owner} is given context={{{name!r}: {value!r}}}, which is no moment; give a "
            "datetime, or a text such as '2026-03-01' or '2026-03-01T06:00+01:00'."
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
