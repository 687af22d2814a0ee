"""Schedules: clocks, filters and adjustments put together. Knows clocks; knows neither flows nor the time."""

from __future__ import annotations

import heapq
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import check_kind, shown
from prefectlite.moments import pendular
from prefectlite.schedules.adjustments import Adjustment
from prefectlite.schedules.clocks import Clock, CronClock, IntervalClock, RRuleClock
from prefectlite.schedules.events import ClockEvent
from prefectlite.schedules.filters import Filter
from prefectlite.schedules.moments import after_or_now, aware

if TYPE_CHECKING:
    from pendulum import DateTime

#: After how many refused events in a row a schedule is taken to have come to its end.
PATIENCE: Final = 10_000
#: How many events back an adjustment may move two events to one moment.
_MEMORY: Final = 1_000
_A_FILTER: Final = "function of a datetime: filters.is_weekday"


class Schedule:
    """The times at which a flow runs by itself.

    Parameters
    ----------
    clocks : iterable of Clock
        Where events come from; what several ask for with the same parameters at the same moment is one event.
    filters : iterable of callable or None
        All of them must accept an event; each takes its datetime.
    or_filters : iterable of callable or None
        One of them at least must accept it, if there are any.
    not_filters : iterable of callable or None
        None of them may accept it. All are given pendulum's moments.
    adjustments : iterable of callable or None
        What moves the accepted events, one after the other; each takes a datetime and gives one. Events that
        come to lie on the same moment are one.

    Raises
    ------
    DefinitionTypeError
        When one of these is no list, or holds something else.

    Examples
    --------
    >>> from datetime import datetime, time, timedelta
    >>> from prefectlite.schedules import Schedule, clocks, filters
    >>> hourly = clocks.IntervalClock(timedelta(hours=1))
    >>> office = Schedule([hourly], [filters.is_weekday, filters.between_times(time(9), time(10))])
    >>> [f"{start:%a %H:%M}" for start in office.next(3, after=datetime(2026, 11, 27, 9))]
    ['Fri 10:00', 'Mon 09:00', 'Mon 10:00']
    """

    def __init__(
        self,
        clocks: Iterable[Clock],
        filters: Iterable[Filter] | None = None,
        or_filters: Iterable[Filter] | None = None,
        not_filters: Iterable[Filter] | None = None,
        adjustments: Iterable[Adjustment] | None = None,
    ) -> None:
        self.clocks: list[Clock] = _listed(
            "clocks", clocks, "clock: CronClock('30 9 * * *')", lambda one: isinstance(one, Clock)
        )
        self.filters: list[Filter] = _listed("filters", filters, _A_FILTER, callable)
        self.or_filters: list[Filter] = _listed("or_filters", or_filters, _A_FILTER, callable)
        self.not_filters: list[Filter] = _listed("not_filters", not_filters, _A_FILTER, callable)
        self.adjustments: list[Adjustment] = _listed(
            "adjustments", adjustments, "function of a datetime: adjustments.next_weekday", callable
        )

    def __repr__(self) -> str:
        """Return what was given."""
        given = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value)
        return f"{type(self).__name__}({given})"

    @property
    def start_date(self) -> datetime | None:
        """The earliest start of its clocks that have one."""
        return min(self._dates("start_date"), key=datetime.timestamp, default=None)

    @property
    def end_date(self) -> datetime | None:
        """The latest end of its clocks that have one."""
        return max(self._dates("end_date"), key=datetime.timestamp, default=None)

    @overload
    def next(
        self, n: int, after: datetime | None = None, return_events: Literal[False] = False
    ) -> list[DateTime]: ...

    @overload
    def next(self, n: int, after: datetime | None, return_events: Literal[True]) -> list[ClockEvent]: ...

    @overload
    def next(
        self, n: int, after: datetime | None = None, *, return_events: Literal[True]
    ) -> list[ClockEvent]: ...

    def next(
        self, n: int, after: datetime | None = None, return_events: bool = False
    ) -> list[DateTime] | list[ClockEvent]:
        """Return the next starts.

        Parameters
        ----------
        n : int
            How many.
        after : datetime or None
            All are later than this moment; None is now.
        return_events : bool
            Whether to return the events, with parameters, instead of their moments.

        Returns
        -------
        list of pendulum.DateTime, or of ClockEvent
            Fewer than ``n`` where the schedule ends.

        Raises
        ------
        DefinitionTypeError
            When ``n`` is no whole number, or ``after`` no datetime.
        DefinitionError
            When ``n`` is negative.
        """
        check_kind("Schedule.next(...)", "n", n, int, "give a whole number of starts.")
        if not 0 <= n <= sys.maxsize:
            raise DefinitionError(
                f"Schedule.next(...) has n={n!r}; give 0 or more, and no more than a list holds."
            )
        found = list(islice(self.events(after), n))
        return found if return_events else [event.start_time for event in found]

    def events(self, after: datetime | None = None) -> Iterator[ClockEvent]:
        """Give the starts after a moment; there may be no end of them.

        Parameters
        ----------
        after : datetime or None
            All are later than this moment; None is now.

        Yields
        ------
        ClockEvent
            In the order of the clocks' events, which is that of time unless adjustments change it. After
            10,000 refused events in a row no more come.
        """
        begin = after_or_now(after)
        known: deque[ClockEvent] = deque(maxlen=_MEMORY)
        refused = 0
        for event in self._candidates(begin):
            if not self._accepts(event):
                refused += 1
                if refused == PATIENCE:
                    return
                continue
            refused = 0
            moved = self._adjusted(event) if self.adjustments else event
            if moved > begin and not (self.adjustments and moved in known):
                known.append(moved)
                yield moved

    def _dates(self, name: str) -> list[datetime]:
        return [date for clock in self.clocks if (date := getattr(clock, name)) is not None]

    def _candidates(self, begin: datetime) -> Iterator[ClockEvent]:
        merged = heapq.merge(*(clock.events(begin) for clock in self.clocks), key=attrgetter("moment"))
        for _, together in groupby(merged, attrgetter("moment")):
            different: list[ClockEvent] = []
            for event in together:
                if event not in different:
                    different.append(event)
            yield from different

    def _accepts(self, event: ClockEvent) -> bool:
        if not (self.filters or self.or_filters or self.not_filters):
            return True
        moment = event.start_time
        return (
            all(accepts(moment) for accepts in self.filters)
            and (not self.or_filters or any(accepts(moment) for accepts in self.or_filters))
            and not any(accepts(moment) for accepts in self.not_filters)
        )

    def _adjusted(self, event: ClockEvent) -> ClockEvent:
        moment = event.wall
        for adjust in self.adjustments:
            moment = aware(adjust(pendular(moment)), f"What the adjustment {adjust!r} returned")
        return ClockEvent(moment, event.parameter_defaults, event.labels)


def IntervalSchedule(  # noqa: N802  # Prefect 1's name
    start_date: datetime | None = None,
    interval: timedelta | None = None,
    end_date: datetime | None = None,
    *,
    parameter_defaults: Mapping[str, Any] | None = None,
) -> Schedule:
    """Return a schedule with one ``IntervalClock``; the parameters are in Prefect 1's order.

    Parameters
    ----------
    start_date : datetime or None
        The first start; by default, 2019-01-01 in UTC.
    interval : timedelta
        The distance; must be given.
    end_date : datetime or None
        No start is later.
    parameter_defaults : mapping of str to object, or None
        Values for the flow's parameters.

    Returns
    -------
    Schedule
        The schedule.

    Raises
    ------
    DefinitionTypeError
        When the interval is no timedelta, or a date no datetime.
    DefinitionError
        When the interval is not positive.

    Examples
    --------
    >>> from datetime import datetime, timedelta
    >>> schedule = IntervalSchedule(interval=timedelta(hours=6))
    >>> [f"{start:%H:%M}" for start in schedule.next(3, after=datetime(2026, 11, 26, 4, 30))]
    ['06:00', '12:00', '18:00']
    """
    given: Any = interval
    return Schedule([IntervalClock(given, start_date, end_date, parameter_defaults)])


def CronSchedule(  # noqa: N802  # Prefect 1's name
    cron: str,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    day_or: bool | None = None,
    *,
    parameter_defaults: Mapping[str, Any] | None = None,
) -> Schedule:
    """Return a schedule with one ``CronClock``.

    Parameters
    ----------
    cron : str
        Minute, hour, day of month, month, day of week.
    start_date : datetime or None
        No start is earlier; its zone is that of the wall clock, UTC without one.
    end_date : datetime or None
        No start is later.
    day_or : bool or None
        Whether a day must fit one of day of month and day of week, as cron has it; False asks for both.
    parameter_defaults : mapping of str to object, or None
        Values for the flow's parameters.

    Returns
    -------
    Schedule
        The schedule.

    Raises
    ------
    DefinitionTypeError
        When the expression is no text, or a date no datetime.
    DefinitionError
        When the expression is not valid, or names a time that never comes.
    ImportError
        When croniter is not installed.
    """
    return Schedule([CronClock(cron, start_date, end_date, parameter_defaults, day_or=day_or)])


def RRuleSchedule(  # noqa: N802  # Prefect 1's name
    rrule_obj: Any,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    *,
    parameter_defaults: Mapping[str, Any] | None = None,
) -> Schedule:
    """Return a schedule with one ``RRuleClock``.

    Parameters
    ----------
    rrule_obj : dateutil.rrule.rrule, dateutil.rrule.rruleset or str
        The rule.
    start_date : datetime or None
        No start is earlier.
    end_date : datetime or None
        No start is later.
    parameter_defaults : mapping of str to object, or None
        Values for the flow's parameters.

    Returns
    -------
    Schedule
        The schedule.

    Raises
    ------
    DefinitionTypeError
        When the rule is neither a text nor made by dateutil, or a date no datetime.
    DefinitionError
        When the text is no rule.
    ImportError
        When it is a text and dateutil is not installed.
    """
    return Schedule([RRuleClock(rrule_obj, start_date, end_date, parameter_defaults)])


def as_schedule(given: object, owner: str) -> Schedule | None:
    """Return what somebody gave as a schedule.

    Parameters
    ----------
    given : object
        A schedule or None.
    owner : str
        Whose it is, for the error.

    Returns
    -------
    Schedule or None
        The same.

    Raises
    ------
    DefinitionTypeError
        When it is something else.
    """
    if given is None or isinstance(given, Schedule):
        return given
    raise DefinitionTypeError(
        f"{owner} has schedule={given!r}, which is no schedule; write CronSchedule('30 9 * * mon-fri'), "
        "IntervalSchedule(interval=timedelta(hours=1)) or Schedule([clock, ...])."
    )


def _listed(name: str, given: Iterable[Any] | None, what: str, fits: Callable[[Any], bool]) -> list[Any]:
    if given is None and name != "clocks":
        return []
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DefinitionTypeError(f"A Schedule has {name}={given!r}; give a list: {name}=[...].")
    listed = list(given)
    for one in listed:
        if not fits(one):
            raise DefinitionTypeError(f"A Schedule has {shown(one)} among its {name}; give a {what}.")
    return listed
