"""Moments and wall clocks: what a zone makes of each other. Knows ``datetime`` only.

Two datetimes with the same zone are compared and subtracted by Python as their wall clocks show them, so an
hour that the clocks repeat vanishes. Whatever compares or subtracts in this room therefore does so in UTC.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from prefectlite.errors import DefinitionTypeError
from prefectlite.kinds import shown
from prefectlite.moments import plain

DAY: Final = timedelta(days=1)


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
        The second time that it does, where clocks are put back, as Prefect 1 has it; where they leap over
        that time, as much later as they leap.

    Examples
    --------
    >>> from zoneinfo import ZoneInfo
    >>> localized(datetime(2026, 3, 29, 2, 30), ZoneInfo("Europe/Oslo")).isoformat()
    '2026-03-29T03:30:00+02:00'
    >>> localized(datetime(2026, 10, 25, 2, 30), ZoneInfo("Europe/Oslo")).isoformat()
    '2026-10-25T02:30:00+01:00'
    """
    return _met(wall.replace(tzinfo=zone, fold=1))


def read_by_its_zone(wall: datetime) -> datetime:
    """Return a time of a rule with a zone that knows when it is.

    Parameters
    ----------
    wall : datetime
        As dateutil gives it, in the zone of the rule's start, or in none.

    Returns
    -------
    datetime
        The same time; UTC if it has no zone. As in Prefect 1, ``fold`` says that of two equal times the
        second is meant if the zone is one of pendulum's or pytz's, and the first if it is another library's.
    """
    name = getattr(wall.tzinfo, "zone", None)
    if isinstance(name, str):  # one of pytz's, which knows the offset of the rule's start only
        return wall.replace(tzinfo=ZoneInfo(name), fold=1)
    known = plain(wall)
    if known.tzinfo is not wall.tzinfo:  # one of pendulum's
        return known.replace(fold=1)
    return wall if wall.tzinfo else wall.replace(tzinfo=UTC)


def in_order(walls: Iterable[datetime]) -> Iterator[datetime]:
    """Return when wall clocks show times, soonest first.

    What the clocks leap over comes later, and thereby perhaps after times that are named after it.

    Parameters
    ----------
    walls : iterable of datetime
        With zones, in order; ``fold`` says which of two equal times is meant.

    Yields
    ------
    datetime
        The moment of each.
    """
    held: list[tuple[datetime, datetime]] = []
    for wall in walls:
        moment = _met(wall)
        utc = moment.astimezone(UTC)
        heapq.heappush(held, (utc, moment))
        leap = moment.replace(tzinfo=None) - wall.replace(tzinfo=None)
        while held and held[0][0] <= utc - leap:
            yield heapq.heappop(held)[1]
    while held:
        yield heapq.heappop(held)[1]


def wall_before(moment: datetime, zone: tzinfo) -> datetime:
    """Return a wall time, without a zone, after which all those lie that are met after a moment.

    Parameters
    ----------
    moment : datetime
        With a zone.
    zone : tzinfo
        Where the clock hangs.

    Returns
    -------
    datetime
        What the clock shows then, but for the days around a change of clocks, where it is earlier by that.
    """
    now = moment.astimezone(zone).replace(tzinfo=None)
    if zone is UTC:
        return now
    offsets = [_offset((moment + days * DAY).astimezone(zone)) for days in (-1, 0, 1)]
    return now - (max(offsets) - min(offsets))


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
    if times and abs(interval) >= DAY:
        return localized(moment.replace(tzinfo=None) + interval * times, moment.tzinfo)
    return passed(moment, interval * times)


def passed(moment: datetime, interval: timedelta) -> datetime:
    """Return the moment when some time has passed.

    Parameters
    ----------
    moment : datetime
        With a zone.
    interval : timedelta
        The time, whatever clocks do meanwhile.

    Returns
    -------
    datetime
        In the same zone.
    """
    return (moment.astimezone(UTC) + interval).astimezone(moment.tzinfo)


def _met(wall: datetime) -> datetime:
    """Return the moment of a time that a wall clock shows, or leaps over."""
    utc = wall.astimezone(UTC)
    shown = utc.astimezone(wall.tzinfo)
    if shown.replace(tzinfo=None) == wall.replace(tzinfo=None):
        return shown
    # Read with the old offset it lies behind the leap, with the new one before it; libraries disagree.
    other = (wall.replace(tzinfo=None) - _offset(shown)).replace(tzinfo=UTC)
    return max(utc, other).astimezone(wall.tzinfo)


def _offset(moment: datetime) -> timedelta:
    offset = moment.utcoffset()
    assert offset is not None
    return offset
