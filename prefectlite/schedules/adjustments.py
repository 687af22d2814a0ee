"""Adjustments: what moves the events of a schedule. Each takes a datetime and gives another.

A schedule calls every such function; these are the usual ones.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from prefectlite.errors import DefinitionTypeError
from prefectlite.schedules.moments import later

Adjustment: TypeAlias = Callable[[datetime], datetime]

_DAYS_TO_MONDAY: Final = {5: 2, 6: 1}


def add(interval: timedelta) -> Adjustment:
    """Return an adjustment that moves events.

    Parameters
    ----------
    interval : timedelta
        By how much. Less than a day is time that passes; a day or more is counted on the wall clock.

    Returns
    -------
    callable
        The adjustment.

    Raises
    ------
    DefinitionTypeError
        When the interval is no timedelta.
    """
    given: object = interval
    if not isinstance(given, timedelta):
        raise DefinitionTypeError(
            f"The adjustment add(...) has interval={interval!r}; give a timedelta: timedelta(hours=2)."
        )
    return lambda found: later(found, interval)


def next_weekday(dt: datetime) -> datetime:
    """Return the same time on the same day, or on Monday if that is at a weekend.

    Parameters
    ----------
    dt : datetime
        The moment.

    Returns
    -------
    datetime
        A moment from Monday to Friday.
    """
    days = _DAYS_TO_MONDAY.get(dt.weekday())
    return dt if days is None else later(dt, timedelta(days=days))
