"""Adjustments: what moves the events of a schedule. Each takes a datetime and gives another.

A schedule calls every such function; these are the usual ones.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from prefectlite.kinds import check_kind
from prefectlite.schedules.moments import aware, later, passed

Adjustment: TypeAlias = Callable[[datetime], datetime]

_DAYS_TO_MONDAY: Final = {5: 2, 6: 1}


def add(interval: timedelta) -> Adjustment:
    """Return an adjustment that moves events.

    Parameters
    ----------
    interval : timedelta
        By how much. It is time that passes, whatever clocks do meanwhile: a day is 24 hours.

    Returns
    -------
    callable
        The adjustment.

    Raises
    ------
    DefinitionTypeError
        When the interval is no timedelta.
    """
    check_kind(
        "The adjustment add(...)", "interval", interval, timedelta, "give a timedelta: timedelta(hours=2)."
    )
    return lambda found: passed(aware(found, "What the adjustment add(...) is to move"), interval)


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
    moment = aware(dt, "dt of next_weekday(...)")
    days = _DAYS_TO_MONDAY.get(moment.weekday())
    return moment if days is None else later(moment, timedelta(days=days))
