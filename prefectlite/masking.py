"""Which texts are secret in this process, and how they are kept out of what we write. Knows texts alone.

Whoever reads a secret says so here, in whatever process that is. From then on every text that prefectlite
writes there (messages, tracebacks, log lines, the command line's output) shows a mask in its place, and no
pickled value in which it stands leaves the place that made it unasked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

#: What stands in the place of a secret.
MASK: Final = "**********"
#: Shorter texts are not looked for: a secret "no" would be found everywhere.
SHORTEST: Final = 4
#: Shorter ones are masked in texts, but no value is held back because one stands in it: chance would do that.
TELLING: Final = 8
#: How many texts a process remembers; those that were told first are forgotten first.
MEMORY: Final = 1000
_DEEPEST: Final = 8
#: Kinds of which most values are, and none is a secret.
_PLAIN: Final = frozenset({int, float, bool, str, bytes, type(None), list, tuple, dict, set})

#: The secret texts that this process knows, with their bytes; empty as long as there is none.
KNOWN: Final[dict[str, bytes]] = {}
_lock: Final = threading.Lock()


class Secrets(Mapping[str, Any]):
    """Secrets by name; whoever holds them hides them. Items and attributes are the same things.

    Parameters
    ----------
    values : mapping of str to object
        Values by name.

    Examples
    --------
    >>> Secrets({"DB_PASSWORD": "correct horse"})
    <Secrets: DB_PASSWORD>
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)
        hide(self._values)

    def __getitem__(self, name: str) -> Any:
        """Return the secret of that name."""
        return self._held()[name]

    def __getattr__(self, name: str) -> Any:
        """Return the secret of that name."""
        if name.startswith("_") or name not in self:
            raise AttributeError(self._lacks(name))
        return self[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self._held())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._held())

    def __repr__(self) -> str:
        """Return the names, not the values."""
        return f"<Secrets: {', '.join(map(str, self)) or 'none'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle so that the process that unpickles them hides them too."""
        return Secrets, (dict(self),)

    def _held(self) -> Mapping[str, Any]:
        return self._values

    def _lacks(self, name: str) -> str:
        return f"There is no secret {name!r}; the names are {', '.join(map(str, self)) or 'none'}."


class OpenSecrets(Secrets, MutableMapping[str, Any]):
    """Secrets that can be set where they are kept: ``secrets["A"] = "x"``, or ``secrets.A = "x"``."""

    __slots__ = ()

    def __setitem__(self, name: str, value: Any) -> None:
        """Keep a secret."""
        self._keep(name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep a secret."""
        self[name] = value

    def __delitem__(self, name: str) -> None:
        """Forget a secret."""
        if name not in self:
            raise KeyError(name)
        self._drop(name)

    def __delattr__(self, name: str) -> None:
        """Forget a secret."""
        if name not in self:
            raise AttributeError(self._lacks(name))
        del self[name]

    def _keep(self, name: str, value: Any) -> None:
        raise NotImplementedError

    def _drop(self, name: str) -> None:
        raise NotImplementedError


def hide(value: object) -> tuple[str, ...]:
    """Keep a secret out of all that is written from here on in this process.

    Parameters
    ----------
    value : object
        The secret; of a list, dict or the like, each value in it.

    Returns
    -------
    tuple of str
        The texts that are looked for, for ``hide_texts`` in another process; values shorter than ``SHORTEST``
        are not.
    """
    return hide_texts(
        tuple(
            dict.fromkeys(text for leaf in islice(_leaves(value, _DEEPEST), MEMORY) for text in _forms(leaf))
        )
    )


def hide_texts(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Keep texts out of all that is written from here on in this process.

    Parameters
    ----------
    texts : tuple of str
        What ``hide`` returned, perhaps in another process.

    Returns
    -------
    tuple of str
        The same.
    """
    if any(text not in KNOWN for text in texts):
        with _lock:
            for text in texts:
                KNOWN[text] = text.encode("utf-8", "surrogatepass")
            for oldest in list(KNOWN)[:-MEMORY]:
                del KNOWN[oldest]
            _order.longest_first = tuple(sorted(KNOWN, key=len, reverse=True))
    return texts


def mask(text: str) -> str:
    """Return a text without secrets.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The same, with ``MASK`` in the place of each secret that this process knows.

    Examples
    --------
    >>> hide("correct horse")
    ('correct horse', 'correct%20horse')
    >>> mask("postgresql://me:correct%20horse@db")
    'postgresql://me:**********@db'
    """
    for secret in _order.longest_first:
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def secrets_in(value: bytes | str) -> tuple[str, ...]:
    """Return the secrets that stand in a value.

    Parameters
    ----------
    value : bytes or str
        The pickled value, or its text.

    Returns
    -------
    tuple of str
        Those that this process knows and that are not shorter than ``TELLING``.
    """
    if not KNOWN:
        return ()
    content = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return tuple([text for text, one in list(KNOWN.items()) if len(text) >= TELLING and one in content])


def is_secret(value: object) -> bool:
    """Return whether a value is of a kind that hides itself, as pydantic's ``SecretStr`` does.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    bool
        Told by its class; pydantic need not be there.
    """
    kind = type(value)
    return kind not in _PLAIN and hasattr(kind, "get_secret_value")


def secret_inside(value: object) -> bool:
    """Return whether a value hides itself, or something in it does.

    Parameters
    ----------
    value : object
        Lists, dicts, models and dataclasses are looked into.

    Returns
    -------
    bool
        As of ``is_secret``.
    """
    return any(True for _ in _secrets(value, _DEEPEST))


def hide_inside(value: object) -> tuple[str, ...]:
    """Hide what hides itself: each ``SecretStr`` and the like in a value, and nothing else of it.

    Parameters
    ----------
    value : object
        A parameter's value, or a dict of several; lists, dicts, models and dataclasses are looked into.

    Returns
    -------
    tuple of str
        As of ``hide``.
    """
    return hide(list(_secrets(value, _DEEPEST)))


class _Order:
    """In which order texts are masked: one may be a part of another."""

    __slots__ = ("longest_first",)

    def __init__(self) -> None:
        self.longest_first: tuple[str, ...] = ()


_order: Final = _Order()


def _secrets(value: object, depth: int) -> Iterator[object]:
    if is_secret(value):
        yield value
    elif depth:
        for member in _members(value):
            yield from _secrets(member, depth - 1)


def _leaves(value: object, depth: int) -> Iterator[str]:
    if is_secret(value):
        value = value.get_secret_value()  # type: ignore[attr-defined]  # is_secret says so
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes | bytearray):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif depth:
        for member in _members(value):
            yield from _leaves(member, depth - 1)


def _members(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif not isinstance(value, type):
        yield from getattr(value, "__dict__", {}).values()
        for name in getattr(type(value), "__dataclass_fields__", ()):
            yield getattr(value, name, None)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it may stand in a text: as it is, quoted, in an address, by line."""
    quoted = [_inside(repr(secret)), _inside(repr(secret.encode("utf-8", "replace")))]
    in_json = [_inside(json.dumps(text)) for text in (secret, *quoted)]
    in_address = quote(secret, safe="", errors="replace")
    for text in (secret, *quoted, *in_json, in_address, *secret.splitlines()):
        if len(text.strip()) >= SHORTEST:
            yield text


def _inside(literal: str) -> str:
    return literal.removeprefix("b")[1:-1]
