"""Moments as users meet them: pendulum's, as in Prefect 1. Inside they are plain, and pendulum is not loaded.

A moment of pendulum is a ``datetime`` that can do more: ``moment.subtract(days=1).to_date_string()``. Loading
the library takes longer than thousands of tiny task runs, so it is done for the first moment that is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Final, Self, overload

if TYPE_CHECKING:
    from pendulum import DateTime

#: The names under which the context holds moments of ours.
IN_CONTEXT: Final = frozenset({"date", "scheduled_start_time"})


def pendular(moment: datetime) -> DateTime:
    """Return a moment as pendulum's.

    Parameters
    ----------
    moment : datetime
        With a zone or without.

    Returns
    -------
    pendulum.DateTime
        The same moment in the same zone, if it has one.

    Examples
    --------
    >>> pendular(datetime(2026, 3, 1, 6, tzinfo=UTC)).subtract(days=1).to_date_string()
    '2026-02-28'
    """
    from pendulum import instance

    name = "UTC" if moment.tzinfo is UTC else getattr(moment.tzinfo, "key", None)
    if name is None:
        return instance(moment, tz=None)
    # Pendulum 2 knows no ZoneInfo, and would take an hour that comes twice for the second one.
    return instance(moment.astimezone(UTC).replace(tzinfo=None)).in_timezone(name)


def plain(moment: datetime) -> datetime:
    """Return a moment that does not need pendulum.

    Parameters
    ----------
    moment : datetime
        What a user gave, perhaps pendulum's, or in a zone of pendulum's.

    Returns
    -------
    datetime
        The same moment in the same zone, as the standard library has both; what is not pendulum's, as it is.
    """
    if not (_is_pendulums(moment) or _is_pendulums(moment.tzinfo)):
        return moment
    found = datetime.combine(moment.date(), moment.time(), _plain_zone(moment)).replace(fold=0)
    # Pendulum's say fold=1 of any moment; it means something where clocks are put back.
    return found if found.utcoffset() == moment.utcoffset() else found.replace(fold=1)


def _is_pendulums(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "pendulum"


def _plain_zone(moment: datetime) -> tzinfo | None:
    from zoneinfo import ZoneInfo  # pendulum has loaded it, and few others need it

    zone, offset = moment.tzinfo, moment.utcoffset()
    if zone is None or offset is None:
        return None
    # Pendulum 2 has zones of its own; of both, those with an offset alone are called by it.
    name: str = getattr(zone, "key", None) or getattr(zone, "name", None) or "+"
    if name == "UTC":
        return UTC
    return timezone(offset) if name[0] in "+-" else ZoneInfo(name)


def read(text: str) -> datetime | None:
    """Return the moment that a text names, as Prefect 1 read it.

    Parameters
    ----------
    text : str
        A date, or a date and a time, in ISO 8601; of a month, a year or a week, its beginning.

    Returns
    -------
    datetime or None
        With a zone if the text names one, or if only pendulum can read it, which takes it for UTC; None for
        another text.

    Examples
    --------
    >>> read("2026-03")
    datetime.datetime(2026, 3, 1, 0, 0, tzinfo=datetime.timezone.utc)
    >>> read("20260301")
    datetime.datetime(2026, 3, 1, 0, 0)
    """
    text = text.strip()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        # A time of day would be read as today's, whenever that is.
        if not text[:4].isdecimal():
            return None
    from pendulum import parse

    try:
        found: object = parse(text)
    except (ValueError, OverflowError):
        return None
    return plain(found) if isinstance(found, datetime) else None


class Moment:
    """An attribute that keeps a plain moment and gives it as pendulum's; ``None`` stays what it is.

    A class with slots has one for it: the attribute's name with an underscore before it.
    """

    __slots__ = ("slot",)

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the slot of that name."""
        self.slot = f"_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> DateTime | None: ...

    def __get__(self, instance: object, owner: type) -> Self | DateTime | None:
        """Return the moment as pendulum's."""
        if instance is None:
            return self
        moment: datetime | None = getattr(instance, self.slot)
        return None if moment is None else pendular(moment)

    def __set__(self, instance: object, moment: datetime | None) -> None:
        """Keep a moment, whatever the class says of attributes that are set."""
        object.__setattr__(instance, self.slot, moment)


def plainly(owner: object, name: str) -> Any:
    """Return an attribute as its owner keeps it, for code of ours.

    Parameters
    ----------
    owner : object
        Whose.
    name : str
        The attribute's.

    Returns
    -------
    object
        Where a ``Moment`` gives pendulum's, the plain one.
    """
    place = getattr(type(owner), name, None)
    return getattr(owner, place.slot if type(place) is Moment else name)


def given_out(name: object, value: Any) -> Any:
    """Return a value of the context as users get it.

    Parameters
    ----------
    name : object
        Under which the context holds it.
    value : object
        The value.

    Returns
    -------
    object
        The same; a moment of ours as pendulum's.
    """
    return pendular(value) if type(value) is datetime and name in IN_CONTEXT else value


class Named(dict[str, Any]):
    """Values of the context by name, for a template: what it names is given out as users get it.

    Parameters
    ----------
    values : mapping of str to object
        The values.
    """

    __slots__ = ()

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)

    def __getitem__(self, name: str) -> Any:
        """Return the value of that name."""
        return given_out(name, super().__getitem__(name))
