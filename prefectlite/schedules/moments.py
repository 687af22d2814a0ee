"""Moments and wall clocks: what a zone makes of each other. Knows ``datetime`` only.

Two datetimes with the same zone are compared and subtracted by Python as their wall clocks show them, so an
hour that the clocks repeat vanishes. Whatever compares or subtracts in this room therefore does so in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from prefectlite.errors import DefinitionTypeError
from prefectlite.kinds import shown
from prefectlite.moments import plain

DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


def aware(moment: object, owner: str) -> datetime:
    """Return a moment with a zone.

    Parameters
    ----------
    moment : object
        What the user gave; UTC if it has no zone.
    owner : str
        What it is, for the error.

    Returns
    -------
    datetime
        The moment; of this very class, since subclasses (pendulum's, pandas') count days in their own way.

    Raises
    ------
    DefinitionTypeError
        When it is no datetime.
    """
    moment = plain(checked(moment, owner))
    zone = UTC if moment.utcoffset() is None else moment.tzinfo
    found = datetime.combine(moment.date(), moment.time(), zone)
    # A zone of pytz knows the offset of one moment only; its name knows them all.
    name = getattr(zone, "zone", None)
    return found.astimezone(ZoneInfo(name)) if isinstance(name, str) else found


def checked(moment: object, owner: str) -> datetime:
    """Return a moment, if it is one.

    Parameters
    ----------
    moment : object
        What the user gave.
    owner : str
        What it is, for the error.

    Returns
    -------
    datetime
        The same.

    Raises
    ------
    DefinitionTypeError
        When it is no datetime.
    """
    if isinstance(moment, datetime):
        return moment
    raise DefinitionTypeError(
        f"{owner} is {shown(moment)}, which is no datetime; "
        "write datetime(2026, 11, 26, 9, tzinfo=ZoneInfo('Europe/Oslo'))."
    )


def after_or_now(after: datetime | None) -> datetime:
    """Return the moment after which events are wanted.

    Parameters
    ----------
    after : datetime or None
        What was asked for; None is now, as Prefect 1 has it. Nothing else in this room looks at the time.

    Returns
    -------
    datetime
        In UTC.
    """
    return datetime.now(UTC) if after is None else aware(after, "after").astimezone(UTC)


def localized(wall: datetime, zone: tzinfo) -> datetime:
    """Return when a wall clock shows a time.

    Parameters
    ----------
    wall : datetime
        What the clock shows; its own zone, if any, is not looked at.
    zone : tzinfo
        Where the clock hangs.

    Returns
    -------
    datetime
        The first time that it does; the moment of the leap, where it leaps over that time. A later wall time
        never gives an earlier moment.

    Examples
    --------
    >>> from zoneinfo import ZoneInfo
    >>> localized(datetime(2026, 3, 29, 2, 30), ZoneInfo("Europe/Oslo")).isoformat()
    '2026-03-29T03:00:00+02:00'
    >>> localized(datetime(2026, 10, 25, 2, 30), ZoneInfo("Europe/Oslo")).isoformat()
    '2026-10-25T02:30:00+02:00'
    """
    first, second = wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)
    before, behind = first.utcoffset(), second.utcoffset()
    if before is None or behind is None or before >= behind:
        return first
    # Read with the new offset, a time in the gap lies before the leap, and with the old one behind it.
    low, high = second.astimezone(UTC), first.astimezone(UTC)
    while high - low > _SECOND:
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0).astimezone(zone)


def later(moment: datetime, interval: timedelta, times: int = 1) -> datetime:
    """Return the moment that is so many intervals later.

    Parameters
    ----------
    moment : datetime
        With a zone.
    interval : timedelta
        A day or more is counted on the zone's wall clock, so that nine o'clock stays nine o'clock; less than
        a day is time that passes.
    times : int
        How many of them.

    Returns
    -------
    datetime
        In the same zone.
    """
    assert moment.tzinfo is not None
    if abs(interval) >= DAY:
        return localized(moment.replace(tzinfo=None) + interval * times, moment.tzinfo)
    return (moment.astimezone(UTC) + interval * times).astimezone(moment.tzinfo)
