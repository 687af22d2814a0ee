"""How a value is mapped over: its length, its elements, its unnesting. Knows values only.

One law for constants (read by ``compile``) and for task results (read on a worker): what has a length and
gives an element for each position maps. A set has no order and a dict's positions are keys, so neither does.
Unnesting by one level opens each element that maps and leaves the others as they are (as Prefect 1 does for
what cannot be iterated).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Set
from itertools import accumulate
from typing import Any

from prefectlite.late import loaded

_PLAIN = (list, tuple, str, range, bytes)
#: What tables have: those of pandas, Dask, polars and pyarrow give columns, or nothing, by position.
_COLUMNS = ("columns", "column_names")


def length_of(value: Any) -> int | str:
    """Return how many elements a map over a value has.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    int or str
        The length, or why the value cannot be mapped over.

    Examples
    --------
    >>> length_of("abc")
    3
    >>> length_of({1, 2})
    'a set has no order; pass a list, or wrap it in unmapped(...)'
    """
    if type(value) in _PLAIN:
        return len(value)
    name = type(value).__name__
    article = "an" if name[:1] in "aeiouAEIOU" else "a"
    if value is None:
        return "it is None; return a list from the upstream, or wrap it in unmapped(...)"
    if isinstance(value, Set):
        return f"{article} {name} has no order; pass a list, or wrap it in unmapped(...)"
    kind = type(value)  # a Delayed of Dask has whatever it is asked for
    if hasattr(kind, "__dask_graph__") and not hasattr(kind, "chunks"):
        return f"{article} {name} has not been computed; pass x.compute(), or wrap it in unmapped(...)"
    if any(hasattr(kind, one) for one in _COLUMNS):
        return f"{article} {name} is a table; pass its rows, {_listed(value)}, or wrap it in unmapped(...)"
    if isinstance(value, Mapping) or (hasattr(kind, "keys") and not _is_series(value)):
        return f"{article} {name} is read by key; pass {_listed(value)}, say, or wrap it in unmapped(...)"
    if not hasattr(value, "__getitem__") or isinstance(value, type):
        listed = "list(x)" if isinstance(value, Iterable) and not isinstance(value, type) else "a list"
        return f"{article} {name} has no elements by position; pass {listed}, or wrap it in unmapped(...)"
    try:
        return len(value)
    except Exception as error:
        return f"{article} {name} has no length ({error}); pass list(x), or wrap it in unmapped(...)"


def flat_length_of(value: Any) -> int | str:
    """Return how many elements a map over a value has after one level of unnesting.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    int or str
        The length, or why the value cannot be mapped over.

    Examples
    --------
    >>> flat_length_of([[1, 2], 3])
    3
    """
    length = length_of(value)
    return length if isinstance(length, str) else sum(_span(part) for part in _parts(value, length))


def element(value: Any, place: int) -> Any:
    """Return one element of a value that maps.

    Parameters
    ----------
    value : object
        A value with a length.
    place : int
        Counted from 0.

    Returns
    -------
    object
        The element at that position.
    """
    # A pandas Series finds by label in [...]; a map counts positions.
    return value.iloc[place] if _is_series(value) else value[place]


def flat_element(value: Any, place: int) -> Any:
    """Return one element of a value after one level of unnesting.

    Parameters
    ----------
    value : object
        A value with a length.
    place : int
        Counted from 0, over all parts.

    Returns
    -------
    object
        The element.

    Raises
    ------
    IndexError
        When the parts have fewer elements.
    """
    left = place
    for part in value:
        length = length_of(part)
        if isinstance(length, str):
            if left == 0:
                return part
            left -= 1
        elif left < length:
            return element(part, left)
        else:
            left -= length
    raise IndexError(f"element {place} of {place - left}")


def flat_taker(value: Any) -> Callable[[int], Any]:
    """Return what gives elements of a value after one level of unnesting, without counting anew for each.

    Parameters
    ----------
    value : object
        A value with a length.

    Returns
    -------
    callable
        Takes a place, and returns or raises what ``flat_element`` does.

    Examples
    --------
    >>> take = flat_taker([[1, 2], 3])
    >>> take(1), take(2)
    (2, 3)
    """
    try:
        lengths = [length_of(part) for part in value]
        ends = list(accumulate(1 if isinstance(length, str) else length for length in lengths))
    except Exception:
        return lambda place: flat_element(value, place)  # it says what is wrong

    def take(place: int) -> Any:
        at = bisect_right(ends, place)
        if at == len(ends):
            return flat_element(value, place)  # it says what is wrong
        part = element(value, at)
        return part if isinstance(lengths[at], str) else element(part, place - (ends[at - 1] if at else 0))

    return take


def flatten(value: Any) -> Any:
    """Return a value unnested by one level.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    object
        A list of the elements of its parts; the value itself when it does not map.

    Examples
    --------
    >>> flatten([[1, 2], 3, "ab"])
    [1, 2, 3, 'a', 'b']
    """
    length = length_of(value)
    if isinstance(length, str):
        return value
    found: list[Any] = []
    for part in _parts(value, length):
        inside = length_of(part)
        if isinstance(inside, str):
            found.append(part)
        else:
            found.extend(_parts(part, inside))
    return found


def _parts(value: Any, length: int) -> Any:
    return value if type(value) in _PLAIN else (element(value, place) for place in range(length))


def _span(part: Any) -> int:
    length = length_of(part)
    return 1 if isinstance(length, str) else length


def _listed(value: Any) -> str:
    """Return how to make a list of what is read by key, or of a table's rows, in Python."""
    kind = type(value)
    if callable(getattr(kind, "values", None)):
        return "list(x.values())"
    for name, how in _ROWS.items():
        if callable(getattr(kind, name, None)):
            return how
    return "list(x)"


#: How tables make a list of their rows; a pandas table's values are an array.
_ROWS = {
    "to_pylist": "x.to_pylist()",
    "to_dicts": "x.to_dicts()",
    "to_dict": 'x.to_dict("records")',
}


def _is_series(value: Any) -> bool:
    pandas: Any = loaded("pandas")
    return pandas is not None and isinstance(value, pandas.Series)
