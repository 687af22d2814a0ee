"""Filters: which events of a schedule count. Each takes a datetime, as its zone's wall clock shows it.

A schedule calls every function of a datetime that gives a bool; these are the usual ones.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeAlias

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.schedules.moments import aware, checked

Filter: TypeAlias = Callable[[datetime], bool]

_SATURDAY: Final = 5
_A_LEAP_YEAR: Final = 2000
_ASKED: Final = "What a schedule's filter was asked about"


def on_datetime(dt: datetime) -> Filter:
    """Return a filter that accepts one moment.

    Parameters
    ----------
    dt : datetime
        The moment.

    Returns
    -------
    callable
        The filter.
    """
    moment = aware(dt, "dt of on_datetime(...)")
    return between_datetimes(moment, moment)


def between_datetimes(start: datetime, end: datetime) -> Filter:
    """Return a filter that accepts what lies between two moments.

    Parameters
    ----------
    start, end : datetime
        The moments; both are accepted too.

    Returns
    -------
    callable
        The filter.
    """
    first = aware(start, "start of between_datetimes(...)").astimezone(UTC)
    last = aware(end, "end of between_datetimes(...)").astimezone(UTC)
    return lambda found: first <= aware(found, _ASKED).astimezone(UTC) <= last


def on_date(month: int, day: int) -> Filter:
    """Return a filter that accepts one day of each year.

    Parameters
    ----------
    month : int
        From 1, January.
    day : int
        From 1.

    Returns
    -------
    callable
        The filter.

    Raises
    ------
    DefinitionError
        When no year has that day.
    """
    return between_dates(month, day, month, day)


def between_dates(start_month: int, start_day: int, end_month: int, end_day: int) -> Filter:
    """Return a filter that accepts a part of each year.

    Parameters
    ----------
    start_month, start_day : int
        Its first day.
    end_month, end_day : int
        Its last day; one earlier in the year than the first is in the next year.

    Returns
    -------
    callable
        The filter.

    Raises
    ------
    DefinitionError
        When no year has one of those days.

    Examples
    --------
    >>> winter = between_dates(12, 21, 3, 20)
    >>> winter(datetime(2026, 1, 1)), winter(datetime(2026, 6, 1))
    (True, False)
    """
    within = _within(_day(start_month, start_day), _day(end_month, end_day))

    def accepts(found: datetime) -> bool:
        moment = checked(found, _ASKED)
        return within((moment.month, moment.day))

    return accepts


def at_time(t: time) -> Filter:
    """Return a filter that accepts one time of each day.

    Parameters
    ----------
    t : time
        The time on the wall clock.

    Returns
    -------
    callable
        The filter.

    Raises
    ------
    DefinitionTypeError
        When a time is none.
    """
    return between_times(t, t)


def between_times(start: time, end: time) -> Filter:
    """Return a filter that accepts a part of each day.

    Parameters
    ----------
    start, end : time
        Both are accepted too; an end that is earlier than the start is on the next day.

    Returns
    -------
    callable
        The filter.

    Raises
    ------
    DefinitionTypeError
        When a time is none.
    """
    for given in (start, end):
        if not isinstance(given, time):
            raise DefinitionTypeError(
                f"A schedule's filter was given the time {given!r}; give a time of day: time(9, 30)."
            )
    within = _within(start, end)
    return lambda found: within(checked(found, _ASKED).time())


def is_weekday(dt: datetime) -> bool:
    """Return whether it is a day from Monday to Friday.

    Parameters
    ----------
    dt : datetime
        The moment.

    Returns
    -------
    bool
        False on Saturday and Sunday.
    """
    return checked(dt, "dt of is_weekday(...)").weekday() < _SATURDAY


def is_weekend(dt: datetime) -> bool:
    """Return whether it is a Saturday or a Sunday.

    Parameters
    ----------
    dt : datetime
        The moment.

    Returns
    -------
    bool
        True on these two days.
    """
    return checked(dt, "dt of is_weekend(...)").weekday() >= _SATURDAY


def is_month_start(dt: datetime) -> bool:
    """Return whether it is the first day of a month.

    Parameters
    ----------
    dt : datetime
        The moment.

    Returns
    -------
    bool
        True on that day.
    """
    return checked(dt, "dt of is_month_start(...)").day == 1


def is_month_end(dt: datetime) -> bool:
    """Return whether it is the last day of a month.

    Parameters
    ----------
    dt : datetime
        The moment.

    Returns
    -------
    bool
        True on that day.
    """
    return (checked(dt, "dt of is_month_end(...)") + timedelta(days=1)).day == 1


def is_day_of_week(day_of_week: int) -> Filter:
    """Return a filter that accepts one day of the week.

    Parameters
    ----------
    day_of_week : int
        0 is Sunday and 6 Saturday, as in cron and as Prefect 1 documented it.

    Returns
    -------
    callable
        The filter.

    Raises
    ------
    DefinitionError
        When it is no number from 0 to 6.
    """
    if day_of_week not in range(7):
        raise DefinitionError(
            f"is_day_of_week was given {day_of_week!r}; give a number from 0, Sunday, to 6, Saturday."
        )
    return lambda found: checked(found, _ASKED).isoweekday() % 7 == day_of_week


def _within(start: Any, end: Any) -> Callable[[Any], bool]:
    """Return whether something lies in a part of a circle, such as a day or a year."""
    if start <= end:
        return lambda found: bool(start <= found <= end)
    return lambda found: bool(found >= start or found <= end)


def _day(month: int, day: int) -> tuple[int, int]:
    try:
        date(_A_LEAP_YEAR, month, day)
    except (ValueError, TypeError, OverflowError) as error:
        raise DefinitionError(
            f"A schedule's filter was given month {month!r} and day {day!r}: {error}; "
            "give a month from 1 to 12 and a day that it has."
        ) from error
    return month, day
