"""Tables that are values and no sections: dicts whose items are attributes too. Knows no setting."""

from __future__ import annotations

from typing import Any


class Table(dict[str, Any]):
    """A dict whose items are attributes too: ``context.limits.low``, or ``context.limits["low"]``.

    Examples
    --------
    >>> limits = Table(low=1)
    >>> limits.high = 9
    >>> limits
    {'low': 1, 'high': 9}
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """Return the value of that name."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"The table has no {name!r}; it has {', '.join(map(str, self)) or 'nothing'}."
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the value of that name."""
        self[name] = value

    def __delattr__(self, name: str) -> None:
        """Remove the value of that name."""
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"The table has no {name!r}.") from None


def as_tables(value: Any) -> Any:
    """Return a value with tables in the place of its dicts.

    Parameters
    ----------
    value : object
        Of a setting; dicts and lists are looked into.

    Returns
    -------
    object
        Dicts and lists are copied; anything else is what it is.
    """
    if type(value) in (dict, Table):
        return Table({name: as_tables(one) for name, one in value.items()})
    return [as_tables(one) for one in value] if type(value) is list else value
