"""Dicts that are read by attribute, and ways from nested dicts and lists to flat ones. Knows no flows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from copy import copy
from typing import Any, Self, TypeVar

__all__ = [
    "CompoundKey",
    "DotDict",
    "as_nested_dict",
    "dict_to_flatdict",
    "flatdict_to_dict",
    "flatten_seq",
    "merge_dicts",
]

M = TypeVar("M", bound=MutableMapping[Any, Any])


class DotDict(MutableMapping[str, Any]):
    """A dict whose items are attributes too: ``d.rows`` is ``d["rows"]``.

    An item that is called like a method hides it: with an item ``update``, ``d.update`` is that item.

    Parameters
    ----------
    init_dict : mapping or None
        The first items.
    **kwargs : object
        More of them.

    Examples
    --------
    >>> places = DotDict({"city": "Bergen"}, rain=True)
    >>> places.city
    'Bergen'
    >>> places.rain = False
    >>> places == {"city": "Bergen", "rain": False}
    True
    """

    # The items are the attributes: Python finds and sets those in ``__dict__`` by itself.

    def __init__(self, init_dict: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().update(init_dict or {}, **kwargs)

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.__dict__[key] = value

    def __delitem__(self, key: str) -> None:
        del self.__dict__[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)

    def __getattr__(self, name: str) -> Any:
        """Refuse: there is no item of that name."""
        held = ", ".join(map(str, self.__dict__)) or "nothing"
        raise AttributeError(f"The {type(self).__name__} holds no {name!r}; it holds {held}.")

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the item of that name."""
        self.__dict__[name] = value

    def __repr__(self) -> str:
        """Return the names, not their values."""
        names = ", ".join(sorted(map(repr, self)))
        return f"<{type(self).__name__}: {names}>" if names else f"<{type(self).__name__}>"

    def copy(self) -> Self:
        """Return another one with the same items."""
        return type(self)(self.__dict__)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, in which nested ones are plain too."""
        plain: dict[str, Any] = as_nested_dict(self, dict)
        return plain


class CompoundKey(tuple[Any, ...]):
    """The keys that lead to a value of a nested dict, from the outermost on."""

    __slots__ = ()


def flatten_seq(seq: Iterable[Any]) -> Iterator[Any]:
    """Yield what lies in nested sequences, however deep; texts and bytes are taken whole.

    Parameters
    ----------
    seq : iterable
        The outermost.

    Yields
    ------
    object
        What is itself no sequence.

    Examples
    --------
    >>> list(flatten_seq([1, [2, (3, "four")], [[[5]]]]))
    [1, 2, 3, 'four', 5]
    """
    for item in seq:
        if isinstance(item, Iterable) and not isinstance(item, str | bytes):
            yield from flatten_seq(item)
        else:
            yield item


def merge_dicts(d1: M, d2: Mapping[Any, Any]) -> M:
    """Return a dict with the items of two; where both have a dict, these are merged in turn.

    Parameters
    ----------
    d1 : dict or DotDict
        The one that gives way; it stays as it is.
    d2 : mapping
        The one that prevails.

    Returns
    -------
    dict or DotDict
        A new one, of the kind of the first.

    Examples
    --------
    >>> merge_dicts({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}, "b": 4})
    {'a': {'x': 1, 'y': 3}, 'b': 4}
    """
    merged = copy(d1)
    # Asked by key, since an item of a DotDict may be called "items".
    for key in d2:
        value = d2[key]
        if key in merged and isinstance(merged[key], MutableMapping) and isinstance(value, MutableMapping):
            value = merge_dicts(merged[key], value)
        merged[key] = value
    return merged


def as_nested_dict(obj: Any, dct_class: Callable[[dict[Any, Any]], Any] = DotDict) -> Any:
    """Return an object in which each dict, also in lists, tuples and sets, is of another class.

    Parameters
    ----------
    obj : object
        A dict, a sequence of them, or anything else.
    dct_class : type
        What the dicts become.

    Returns
    -------
    object
        A new one; what is no dict and holds none is itself.

    Examples
    --------
    >>> as_nested_dict({"rows": [{"count": 3}]}).rows[0].count
    3
    """
    if isinstance(obj, Mapping):
        return dct_class({key: as_nested_dict(obj[key], dct_class) for key in obj})
    if isinstance(obj, list | tuple | set):
        # A named tuple takes its values one by one.
        make = getattr(obj, "_make", type(obj))
        return make(as_nested_dict(item, dct_class) for item in obj)
    return obj


def dict_to_flatdict(dct: Mapping[Any, Any], parent: CompoundKey | None = None) -> dict[CompoundKey, Any]:
    """Return a flat dict of what lies in a nested one, by all the keys that lead there.

    Parameters
    ----------
    dct : dict or DotDict
        The nested one; of empty dicts in it, nothing is left.
    parent : CompoundKey or None
        The keys that lead to it.

    Returns
    -------
    dict
        Values by ``CompoundKey``.

    Examples
    --------
    >>> dict_to_flatdict({"a": {"x": 1}, "b": 2})
    {('a', 'x'): 1, ('b',): 2}
    """
    flat = {}
    for key in dct:
        path, value = CompoundKey((*(parent or ()), key)), dct[key]
        if isinstance(value, dict):
            flat.update(dict_to_flatdict(value, path))
        else:
            flat[path] = value
    return flat


def flatdict_to_dict(dct: Mapping[Any, Any], dct_class: type[Any] | None = None) -> Any:
    """Return the nested dict of a flat one: the way back from ``dict_to_flatdict``.

    Parameters
    ----------
    dct : mapping
        Values by ``CompoundKey``; other keys stay what they are.
    dct_class : type or None
        What all of its dicts are; by default, ``dict``.

    Returns
    -------
    dict
        The nested one.

    Examples
    --------
    >>> flatdict_to_dict({CompoundKey(["a", "x"]): 1, "b": 2})
    {'a': {'x': 1}, 'b': 2}
    """
    make = dct_class or dict
    nested = make()
    for key, value in dct.items():
        *path, last = key if isinstance(key, CompoundKey) else (key,)
        inner = nested
        for step in path:
            inner = inner.setdefault(step, make())
        inner[last] = value
    return nested
