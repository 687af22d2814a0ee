"""The names of values on a cluster. Knows how Dask groups keys for its dashboard; imports nothing of it."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeAlias

from prefectlite.states.keys import RunKey

#: The name of a value on the cluster: group (flow, task and flow run, made safe), place in it (the map index;
#: below zero for a run that is no child), loop, attempt, submission. A shared constant's attempt and
#: submission are 0.
DataKey: TypeAlias = tuple[str, int, int, int, int]
#: The name of a bundle on the cluster: its first member's, and a number of its own; below zero for a call of
#: a reduce on a part of its list.
BundleKey: TypeAlias = tuple[str, int, int, int, int, int]

#: How many runs share a Dask group. Dask holds the members of a group of more than twice as many as the
#: cluster has threads back in the scheduler, one by one, if they need little (2.5 times the wall and CPU of a
#: small task); a group for each run costs 80 to 150 microseconds more. Few together have neither price. What
#: is submitted again gets groups of its own, since Dask counts forgotten members too.
COMPANY: Final = 4

_NAME_LIMIT: Final = 80
_DIGITS: Final = 9
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.]+")


def data_key(prefix: str, key: RunKey, attempt: int, submission: int) -> DataKey:
    """Return the name under which an attempt's value stands on the cluster.

    Parameters
    ----------
    prefix : str
        From ``key_prefix``.
    key : RunKey
        The run.
    attempt, submission : int
        Counted from 1.

    Returns
    -------
    tuple
        A Dask key; ``COMPANY`` neighbours in a map, or calls of one task, share its first part.

    Examples
    --------
    >>> data_key("etl.load-2-01234567", RunKey("load-2"), 1, 1)
    ('etl.load-0-01234567', -3, 1, 1, 1)
    >>> data_key("etl.load-2-01234567", RunKey("load-2", 9), 1, 1)
    ('etl.load-2-2-01234567', 9, 1, 1, 1)
    >>> data_key("etl.load-2-01234567", RunKey("load-2", 9), 1, 3)
    ('etl.load-2-2.3-01234567', 9, 1, 1, 3)
    """
    if key.index is None:
        return _of_call(*prefix[:-9].rpartition("-"), prefix[-9:], key.loop, attempt, submission)
    run = prefix[-9:] if submission < 2 else f".{submission}{prefix[-9:]}"
    return f"{prefix[:-8]}{key.index // COMPANY}{run}", key.index, key.loop, attempt, submission


def call_key(flow_name: str, run_id: str, key: RunKey, attempt: int, submission: int) -> DataKey:
    """Return the name under which the value of a run stands that is no child of a map.

    Parameters
    ----------
    flow_name, run_id : str
        As of ``key_prefix``.
    key : RunKey
        The run.
    attempt, submission : int
        Counted from 1.

    Returns
    -------
    tuple
        As from ``data_key``, without the way over a prefix of its own.

    Examples
    --------
    >>> call_key("etl", "0123456789abcdef", RunKey("load-2"), 1, 1)
    ('etl.load-0-01234567', -3, 1, 1, 1)
    """
    name, dash, number = _parted(key.slug)
    return _of_call(_stem(flow_name, name), dash, number, f"-{run_id[:8]}", key.loop, attempt, submission)


def _of_call(
    name: str, dash: str, number: str, run: str, loop: int, attempt: int, submission: int
) -> DataKey:
    call = int(number) if dash and len(number) <= _DIGITS else 0
    if str(call) == number:
        again = run if submission < 2 else f".{submission}{run}"
        return f"{name}-{call // COMPANY}{again}", -1 - call, loop, attempt, submission
    # No number, one that another slug could be taken for, or one too long for a message: its own group.
    again = run if submission < 2 else f"-r{submission}{run}"
    return f"{name}{dash}{number}{again}", -1, loop, attempt, submission


def held_back(group: str) -> str:
    """Return the group of values whose tasks Dask should hand out one by one, as workers get free.

    Parameters
    ----------
    group : str
        The first part of the name of one of them.

    Returns
    -------
    str
        The same for all runs of a map, and for all calls of a task.

    Examples
    --------
    >>> held_back("etl.load-2-17-01234567"), held_back("etl.load-3-01234567")
    ('etl.load-2-0-01234567', 'etl.load-0-01234567')
    """
    *name, number, run = group.rsplit("-", 2)
    return f"{name[0]}-0-{run}" if name and number.isdecimal() else group


def is_part(key: DataKey | BundleKey) -> bool:
    """Return whether a Dask task of ours is a call of a reduce on a part of its list.

    Parameters
    ----------
    key : tuple
        Its name.

    Returns
    -------
    bool
        What comes of it frees what it read.

    Examples
    --------
    >>> is_part(("etl.sum-01234567", -1, 1, 1, 1, -7))
    True
    """
    return len(key) > 5 and key[5] < 0


def is_bundle(key: DataKey | BundleKey) -> bool:
    """Return whether a Dask task of ours is a bundle of attempts, be it of one.

    Parameters
    ----------
    key : tuple
        Its name.

    Returns
    -------
    bool
        False for an attempt that travels as itself.

    Examples
    --------
    >>> is_bundle(("etl.load-01234567", 0, 1, 1, 1, 4))
    True
    """
    return len(key) > 5


def local_key(slug: str, key: RunKey, attempt: int, submission: int) -> DataKey:
    """Return the name under which an attempt's value stands in this process, where nobody groups names.

    Parameters
    ----------
    slug : str
        The task's.
    key : RunKey
        The run.
    attempt, submission : int
        Counted from 1.

    Returns
    -------
    tuple
        As from ``data_key``.
    """
    return slug, -1 if key.index is None else key.index, key.loop, attempt, submission


def key_prefix(flow_name: str, slug: str, run_id: str) -> str:
    """Return the first part of a task's data keys.

    Dask's dashboard groups keys by what stands before the first dash that a number or a hash follows. So a
    slug's number keeps its dash, and the dashboard shows all calls of one task as one; every other dash
    becomes an underscore.

    Parameters
    ----------
    flow_name, slug : str
        Any text; characters beyond ASCII letters, digits, ``_`` and ``.`` are replaced, and what was altered
        gets a hash, so that two slugs never meet in one name.
    run_id : str
        The flow run's identity.

    Returns
    -------
    str
        ``<flow>.<slug>-<8 hex of the run>``.

    Examples
    --------
    >>> key_prefix("etl", "load-2", "0123456789abcdef")
    'etl.load-2-01234567'
    """
    name, dash, number = _parted(slug)
    return f"{_stem(flow_name, name)}{dash}{number}-{run_id[:8]}"


def _parted(slug: str) -> tuple[str, str, str]:
    """Return a slug's name, and the dash and the number behind it if it has them."""
    name, dash, number = slug.rpartition("-")
    return (name, dash, number) if name and number.isascii() and number.isdigit() else (slug, "", "")


# The calls of one task share their stem, and there may be a hundred thousand of them.
@lru_cache(maxsize=1024)
def _stem(flow_name: str, name: str) -> str:
    flow, safe = _safe(flow_name), _safe(name)
    text = f"{flow if flow[:1].isalpha() else 'flow_' + flow}.{safe}"
    if safe != name or len(text) > _NAME_LIMIT:
        altered = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4)
        text = f"{text[:_NAME_LIMIT]}_{altered.hexdigest()}"
    return text


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)
