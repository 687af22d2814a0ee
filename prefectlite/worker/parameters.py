"""The flow's parameters as a kept value remembers them: as they are, or by what stands in. Knows no store.

A user's validator compares values. A secret is remembered nowhere, and a state, which the journal writes
down, holds small and plain values alone; a stand-in, which equals what has the same token, compares as well.
"""

from __future__ import annotations

import pickle
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from prefectlite.lowering.tokens import token_of
from prefectlite.masking import secret_inside, secrets_in
from prefectlite.moments import plain
from prefectlite.results.serializers import dumps
from prefectlite.rules.caching import Given, StandIn

#: Up to how many pickled bytes a value is small.
SMALL: Final = 1024
_DEEPEST: Final = 8
_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes, date, datetime, time, timedelta, Decimal)


def packed(parameters: Given, *, whole: bool) -> dict[str, str]:
    """Return the values that are stored beside a kept value.

    Parameters
    ----------
    parameters : Given
        What the run was given.
    whole : bool
        Whether large ones and those of users' classes are among them, for a validator that may look at them.

    Returns
    -------
    dict of str to str
        Pickled, in base64; secrets and what cannot be pickled are left out.
    """
    found = {}
    for name, value in parameters.items():
        payload = _payload(value if whole else _told(value), small=not whole)
        if payload is not None:
            found[name] = b64encode(payload).decode()
    return found


def unpacked(stored: Mapping[str, str], tokens: Mapping[str, str]) -> Given:
    """Return the values that were stored beside a kept value.

    Parameters
    ----------
    stored : mapping of str to str
        From ``packed``.
    tokens : mapping of str to str
        The tokens of those that had one.

    Returns
    -------
    Given
        With a stand-in for each that is not there, or cannot be read here.
    """
    values: dict[str, Any] = {name: StandIn(token, token_of) for name, token in tokens.items()}
    for name, text in stored.items():
        try:
            values[name] = pickle.loads(b64decode(text))
        except Exception:  # its class is gone, say: the stand-in is as good, and no value is better than none
            continue
    return Given(values, tokens)


def for_state(parameters: Given) -> dict[str, Any]:
    """Return the values that a state tells.

    Parameters
    ----------
    parameters : Given
        What the run was given, or what was stored.

    Returns
    -------
    dict of str to object
        Small and plain ones, and stand-ins for others; one that has no token is left out.
    """
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        told = _told(value)
        if isinstance(told, StandIn) or _payload(told, small=True) is not None:
            found[name] = told
        elif name in parameters.tokens:
            found[name] = StandIn(parameters.tokens[name], token_of)
    return found


def _told(value: Any) -> Any:
    """Return a moment without pendulum, which not every process has loaded; all else as it is."""
    return plain(value) if isinstance(value, datetime) else value


def _payload(value: Any, *, small: bool) -> bytes | None:
    """Return a value pickled; None for a secret, and for one that cannot be pickled or need not be."""
    if isinstance(value, StandIn) or (small and not _is_plain(value, _DEEPEST)) or secret_inside(value):
        return None
    try:
        payload = dumps(value)
    except Exception:
        return None
    return None if (small and len(payload) > SMALL) or secrets_in(payload) else payload


def _is_plain(value: Any, depth: int) -> bool:
    """Return whether every process can read a value, and knows it for what it is."""
    if type(value) in (list, tuple, set, frozenset):
        return depth > 0 and len(value) <= SMALL and all(_is_plain(one, depth - 1) for one in value)
    if type(value) is dict:
        return depth > 0 and _is_plain(list(value.items()), depth)
    return type(value) in _PLAIN
