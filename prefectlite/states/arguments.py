"""What the constructors of states take, and what is said of anything else. Knows no kind of state."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime
from typing import Any

from prefectlite.kinds import shown
from prefectlite.moments import plain


def zoned(owner: type, moment: datetime | None, name: str = "start_time") -> datetime | None:
    """Return a moment with its time zone.

    Parameters
    ----------
    owner : type
        The class whose moment it is, for the error.
    moment : datetime or None
        A time without a zone is taken for UTC.
    name : str
        As what it was given, for the error.

    Returns
    -------
    datetime or None
        None for None; a plain one for pendulum's.

    Raises
    ------
    TypeError
        When it is something else.
    """
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise refused(owner, name, moment, "pass a datetime, with its time zone.")
    found = plain(moment)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def named(owner: type, values: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """Return values by name.

    Parameters
    ----------
    owner : type
        The class whose they are, for the error.
    values : mapping or None
        None is for none.
    name : str
        As what they were given, for the error.

    Returns
    -------
    dict
        A copy.

    Raises
    ------
    TypeError
        When they are something else.
    """
    if values is not None and not isinstance(values, Mapping):
        raise refused(owner, name, values, "pass a dict, by name.")
    # What knows more of them than their names keeps that.
    return copy(values) if isinstance(values, dict) else dict(values or {})


def counted(owner: type, number: int, name: str) -> int:
    """Return a count.

    Parameters
    ----------
    owner : type
        The class whose it is, for the error.
    number : int
        The count.
    name : str
        As what it was given, for the error.

    Returns
    -------
    int
        The same.

    Raises
    ------
    TypeError
        When it is something else.
    """
    given: object = number
    if isinstance(given, bool) or not isinstance(given, int):
        raise refused(owner, name, number, "pass a whole number.")
    if number < 0:
        raise refused(owner, name, number, "pass 0 or more.")
    return number


def told(owner: type, text: str | None, name: str) -> str | None:
    """Return a text.

    Parameters
    ----------
    owner : type
        The class whose it is, for the error.
    text : str or None
        The text.
    name : str
        As what it was given, for the error.

    Returns
    -------
    str or None
        The same.

    Raises
    ------
    TypeError
        When it is something else.
    """
    given: object = text
    if given is not None and not isinstance(given, str):
        raise refused(owner, name, text, "pass a text.")
    return text


def refused(owner: type, name: str, value: object, mend: str) -> TypeError:
    """Return the error for an attribute of the wrong kind.

    Parameters
    ----------
    owner : type
        The class of states.
    name : str
        As what it was given.
    value : object
        What was given.
    mend : str
        What to give instead.

    Returns
    -------
    TypeError
        To be raised.
    """
    return TypeError(f"{owner.__name__}: {name} is a {type(value).__name__} ({shown(value)}); {mend}")
