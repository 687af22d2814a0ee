"""Outcomes of attempts as they are written into records, and made from them again. Knows no Dask."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, TypeAlias

from prefectlite.errors import OF_USER_CODE
from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.wrappers import Done, Held, Noted, NotedDone, Succeeded
from prefectlite.worker.records import AGAIN, DROPPED, FACTS, FACTS_DROPPED, LOST, SAID, VALUE, Kept, Record
from prefectlite.worker.wire import BARE, Item, is_bare, like, told_in

#: What stands for an attempt on the cluster.
Wrapper: TypeAlias = Succeeded | Done | Held


def keep_success(record: Record, wrapper: Succeeded | Done, facts: Sequence[Any]) -> None:
    """Write a plain success into a record.

    Parameters
    ----------
    record : Record
        Where.
    wrapper : Succeeded or Done
        What stands for it.
    facts : sequence
        From ``plain_facts``.
    """
    started, ended, inline = facts[:3]
    is_dropped = isinstance(wrapper, Done)
    if inline is not None and is_bare(facts):
        record.keep(DROPPED if is_dropped else VALUE, started, ended, inline)
    elif is_dropped or inline is not None:
        record.keep(FACTS_DROPPED if is_dropped else FACTS, started, ended, pickle.dumps(facts, 5))
    else:
        record.keep(LOST, started, ended, b"")


def keep_said(record: Record, item: Item, started: float = 0.0, ended: float = 0.0) -> None:
    """Write into a record what an attempt said that was no plain success.

    Parameters
    ----------
    record : Record
        Where.
    item : tuple
        What it said.
    started, ended : float
        Seconds since the epoch.
    """
    record.keep(SAID, started, ended, pickle.dumps(item, 5))


def said_by(kept: Kept, key: DataKey | None) -> Item | None:
    """Return what an attempt said of which this was kept; opens no value.

    Parameters
    ----------
    kept : Kept
        From a record.
    key : tuple or None
        The attempt's data key, if it is known.

    Returns
    -------
    tuple or None
        The facts of a plain success, or an item; None when that was not kept, or cannot be read.
    """
    kind, started, ended, payload = kept
    try:
        if kind in (VALUE, DROPPED):
            return (started, ended, payload, len(payload), *BARE)
        if kind == LOST:
            return None
        said: Item = pickle.loads(payload)
        return like(said, key, started, ended) if kind == AGAIN else said
    except OF_USER_CODE:
        return None


def revive(kept: Kept, key: DataKey) -> tuple[Wrapper, Item] | None:
    """Return what was kept of an attempt as what it was.

    Parameters
    ----------
    kept : Kept
        From a record.
    key : tuple
        The attempt's data key.

    Returns
    -------
    (Succeeded, Done or Held, tuple) or None
        What stands for it, and what it said, as of ``said_by``; None when the value was not kept, or cannot
        be unpickled here.
    """
    said = said_by(kept, key)
    if said is None:
        return None
    if kept.kind in (SAID, AGAIN):
        return Held(said), said
    times = (kept.started, kept.ended, key[3])
    told = told_in(said)
    has_news = any(told)
    if kept.kind in (DROPPED, FACTS_DROPPED):
        return NotedDone(*times, told) if has_news else Done(*times), said
    try:
        value = pickle.loads(said[2])
    except OF_USER_CODE:
        return None
    return Noted(value, *times, told) if has_news else Succeeded(value, *times), said
