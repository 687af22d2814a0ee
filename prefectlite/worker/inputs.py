"""A body's arguments, made from what was passed and what its spec holds. Knows no states."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, Final

from prefectlite.errors import ResultUnavailable, SerializationError
from prefectlite.lowering.elements import element, flat_element, flatten
from prefectlite.lowering.spec import ASSEMBLE, MANY, NEED, NEEDS, PACKED, VALUE, Recipe
from prefectlite.lowering.wrappers import (
    Done,
    Noted,
    NotedDone,
    Packed,
    Spent,
    Succeeded,
    Unreadable,
    Veiled,
)
from prefectlite.worker.failures import described

_PLAIN: Final = frozenset({Succeeded, Veiled, Noted, Done, NotedDone, Spent, Packed, Unreadable})


def all_plain(values: Sequence[Any]) -> bool:
    """Return whether every value that was passed stands for a plain success.

    Parameters
    ----------
    values : sequence
        What lies under the keys that a run needs.

    Returns
    -------
    bool
        A constant that could not be opened counts too: its reader fails, and says so.
    """
    return _PLAIN.issuperset(map(type, values))


def is_plain(wrapper: Any) -> bool:
    """Return whether what was passed stands for a plain success.

    Parameters
    ----------
    wrapper : object
        What lies under a key that a run needs.

    Returns
    -------
    bool
        As of ``all_plain``.
    """
    return type(wrapper) in _PLAIN


def make(recipe: Recipe, values: Sequence[Any]) -> Any:
    """Return one argument.

    Parameters
    ----------
    recipe : tuple
        How it is made.
    values : sequence
        What was passed by position, all plain.

    Returns
    -------
    object
        The argument.

    Raises
    ------
    SerializationError
        When what it is made from cannot be unpickled here.
    """
    op, what, item, flat = recipe
    if op == NEED:
        wrapper = values[what]
        value = wrapper.value if type(wrapper) is Succeeded else _value(wrapper)
    elif op == VALUE:
        value = what
    elif op == PACKED:
        try:
            value = pickle.loads(what)
        except Exception as error:
            raise _unreadable(described(error)) from error
    elif op == NEEDS:
        value = [_value(values[place]) for place in what]
    elif op == MANY:
        value = [make(one, values) for one in what]
    else:
        assert op == ASSEMBLE
        assembly, members = what
        value = assembly.build([make(one, values) for one in members])
    if item is not None:
        return flat_element(value, item) if flat else element(value, item)
    return flatten(value) if flat else value


def _value(wrapper: Any) -> Any:
    if isinstance(wrapper, Unreadable):
        raise _unreadable(wrapper.text)
    if isinstance(wrapper, Spent):
        raise ResultUnavailable(
            "it was let go of when the attempt that alone needs it had succeeded, and what came of that was "
            "lost since"
        )
    return wrapper.value


def _unreadable(text: str) -> SerializationError:
    return SerializationError(
        f"it cannot be unpickled here ({text}); install on the workers what it needs, in the same version"
    )
