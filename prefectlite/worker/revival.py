"""Outcomes of attempts as they are written into records, and made from them again. Knows no Dask."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, TypeAlias

from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.wrappers import Done, Held, Noted, NotedDone, Succeeded
from prefectlite.worker.records import AGAIN, DROPPED, FACTS, FACTS_DROPPED, LOST, SAID, VALUE, Kept, Record
from prefectlite.worker.wire import BARE, Item, is_bare, like

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
        What stands for it, and the facts of a plain success, or an item; None when the value was not kept, or
        cannot be unpickled here.
    """
    kind, started, ended, payload = kept
    attempt = key[3]
    try:
        if kind in (SAID, AGAIN):
            item: Item = pickle.loads(payload)
            if kind == AGAIN:
                item = like(item, key, started, ended)
            return Held(item), item
        if kind in (VALUE, DROPPED):
            facts: Item = (started, ended, payload, len(payload), *BARE)
        elif kind in (FACTS, FACTS_DROPPED):
            facts = pickle.loads(payload)
        else:
            return None
        times = (started, ended, attempt)
        told = tuple(facts[-3:])  # as of ``told_of``
        has_news = any(told[1:])
        if kind in (DROPPED, FACTS_DROPPED):
            return NotedDone(*times, told) if has_news else Done(*times), facts
        value = pickle.loads(facts[2])
        return Noted(value, *times, told) if has_news else Succeeded(value, *times), facts
    except Exception:
        return None
