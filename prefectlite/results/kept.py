"""A kept value as one piece of bytes: what it was made from, and the value. Knows no store and no task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any, Final

from prefectlite.errors import ResultCorrupt

_MAGIC: Final = b"prefectlite kept value 1\n"
_FOLDER: Final = "kept"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a kept value was made from.

    Parameters
    ----------
    made : float
        When, in seconds since the epoch.
    by : str
        The task run, with the flow run's identity.
    expires : float or None
        Until when it may be used, in seconds since the epoch; None for ever.
    version : str
        The version of the task's code.
    inputs, parameters : mapping of str to str
        Tokens by name.
    values : mapping of str to str
        The parameters' values by name, as far as they are kept; in a form of the writer's.
    """

    made: float
    by: str
    expires: float | None = None
    version: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


def address(kind: str, *facts: Any) -> str:
    """Return the location of what is found by facts.

    Parameters
    ----------
    kind : str
        What lies there.
    *facts : object
        What JSON can hold.

    Returns
    -------
    str
        The same for the same facts.

    Examples
    --------
    >>> address("value", "load", {"x": "c0a8"})
    'kept/value/3f/3f0106b27a057447085275a741d5567a'
    """
    text = json.dumps(facts, sort_keys=True).encode()
    digest = blake2b(text, digest_size=16).hexdigest()
    return f"{_FOLDER}/{kind}/{digest[:2]}/{digest}"


def is_kept(location: str) -> bool:
    """Return whether a location is one of ``address``.

    Parameters
    ----------
    location : str
        Any.

    Returns
    -------
    bool
        Told by its form.
    """
    head, _, digest = location.rpartition("/")
    return head.startswith(f"{_FOLDER}/") and len(digest) == 32 and head.endswith(digest[:2])


def pack(kept: Kept, payload: bytes = b"") -> bytes:
    """Return a kept value as bytes.

    Parameters
    ----------
    kept : Kept
        What it was made from.
    payload : bytes
        The value, serialized.

    Returns
    -------
    bytes
        What ``unpack`` reads.
    """
    content = json.dumps(asdict(kept)).encode() + b"\n" + payload
    return _MAGIC + blake2b(content, digest_size=16).hexdigest().encode() + b"\n" + content


def unpack(content: bytes, location: str) -> tuple[Kept, bytes]:
    """Return what ``pack`` wrote.

    Parameters
    ----------
    content : bytes
        All that lies there.
    location : str
        Where, for the error.

    Returns
    -------
    (Kept, bytes)
        What it was made from, and the serialized value.

    Raises
    ------
    ResultCorrupt
        When it is something else.
    """
    try:
        magic, rest = content[: len(_MAGIC)], content[len(_MAGIC) :]
        digest, _, body = rest.partition(b"\n")
        if magic != _MAGIC or blake2b(body, digest_size=16).hexdigest().encode() != digest:
            raise ValueError
        header, _, payload = body.partition(b"\n")
        return Kept(**json.loads(header)), payload
    except (ValueError, TypeError):
        raise ResultCorrupt(
            f"What lies at {location!r} is no kept value, or a broken one; delete it."
        ) from None
