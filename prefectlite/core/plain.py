"""Plain values, which hold no tasks, and the text that a task is called by. Knows no tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from enum import Enum
from itertools import chain
from typing import Any, Final, cast

#: Types whose values hold no tasks and have short, harmless texts.
PLAIN: Final = frozenset({int, float, complex, bool, str, bytes, type(None)})
#: How many characters of a name may tell a value.
LONGEST_IN_NAME: Final = 200
# A set has the order of its members' hashes; those of texts differ from one process to the next.
_ORDERED_IN_SETS: Final = frozenset({int, float, bool})


def short_text(value: Any, longest: int, text_of: Callable[[Any], str] = repr) -> str | None:
    """Return the text of a value that has a short one, the same in every process.

    Parameters
    ----------
    value : object
        Any value. The text of a big one would cost more than it is worth, and is not made.
    longest : int
        How many characters are short.
    text_of : callable
        Makes the text.

    Returns
    -------
    str or None
        None if it is longer, or the value is neither plain nor a moment, nor a member of an enumeration, nor
        a list, tuple, set, dict or slice of such values.

    Examples
    --------
    >>> short_text([2, {"a": None}], 16), short_text(range(10**6), 16), short_text([0] * 10**6, 16)
    ("[2, {'a': None}]", None, None)
    """
    if _least(value, longest) > longest:
        return None
    text = text_of(value)
    return text if len(text) <= longest else None


def _least(value: Any, room: int) -> int:
    """Return a number below the length of a value's ``repr``, above ``room`` if there is no such text."""
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)
    if kind is int:
        return int(value.bit_length()) // 4
    if kind in PLAIN or isinstance(value, Enum | date):
        return 0
    members = _members(value, kind, room)
    if members is None:
        return room + 1
    length = 1
    for member in members:
        if length > room:
            break
        length += 1 + _least(member, room - length)
    return length


def _members(value: Any, kind: type[Any], room: int) -> Iterable[Any] | None:
    if kind is dict:
        return chain(value, value.values())
    if kind is list or kind is tuple:
        return cast("Iterable[Any]", value)
    if kind is slice:
        return (value.start, value.stop, value.step)
    is_small_set = kind in (set, frozenset) and len(value) <= room
    if is_small_set and (len(value) <= 1 or _ORDERED_IN_SETS.issuperset(map(type, value))):
        return cast("Iterable[Any]", value)
    return None
