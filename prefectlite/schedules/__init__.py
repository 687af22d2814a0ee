"""Schedules: which times come after a moment. Knows calendars and zones; knows neither flows nor the time.

A ``Schedule`` takes events from its ``clocks``, lets those through that its ``filters`` accept, and moves
them by its ``adjustments``. A moment without a zone is taken as UTC, everywhere in here.
"""

from prefectlite.schedules import adjustments, clocks, filters
from prefectlite.schedules.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule

__all__ = [
    "CronSchedule",
    "IntervalSchedule",
    "RRuleSchedule",
    "Schedule",
    "adjustments",
    "clocks",
    "filters",
]
