"""Clocks: where the events of a schedule come from. Knows moments; cron and rrule are their libraries'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import check_kind
from prefectlite.moments import Moment, pendular
from prefectlite.schedules.events import PARAMETERS, ClockEvent
from prefectlite.schedules.moments import (
    after_or_now,
    aware,
    in_order,
    later,
    read_by_its_zone,
    wall_before,
)

if TYPE_CHECKING:
    from pendulum import DateTime

__all__ = ["Clock", "ClockEvent", "CronClock", "DatesClock", "IntervalClock", "RRuleClock"]

#: Where intervals are counted from if nobody says; Prefect 1's choice.
EPOCH: Final = datetime(2019, 1, 1, tzinfo=UTC)
_INSTANT: Final = timedelta(microseconds=1)
_MARGIN: Final = timedelta(days=2)
_PLAIN_FIELDS: Final = 6


class Clock:
    """The base of all clocks; one of your own overrides ``events``.

    Parameters
    ----------
    start_date : datetime or None
        No event is earlier. Its zone is the one whose wall clock counts; UTC without one.
    end_date : datetime or None
        No event is later.
    parameter_defaults : mapping of str to object, or None
        Values for the flow's parameters in the runs that this clock starts; one for no parameter of the flow
        is in ``context.parameters`` alone.
    labels : sequence of str or None
        Kept on the events; nothing here reads them.

    Raises
    ------
    DefinitionTypeError
        When a date is no datetime, or the parameters have no names.
    """

    start_date = Moment()
    end_date = Moment()
    _start_date: datetime | None
    _end_date: datetime | None

    def __init__(
        self,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        name = type(self).__name__
        self.start_date = None if start_date is None else aware(start_date, f"start_date of {name}")
        self.end_date = None if end_date is None else aware(end_date, f"end_date of {name}")
        check_kind(name, "parameter_defaults", parameter_defaults, Mapping | None, PARAMETERS)
        self.parameter_defaults: dict[str, Any] = dict(parameter_defaults or {})
        self.labels = labels

    def __repr__(self) -> str:
        """Return what was given; of parameters the names alone, since their values may be secret."""
        shown = {**vars(self), "parameter_defaults": list(self.parameter_defaults)}
        given = ", ".join(f"{name.removeprefix('_')}={value!r}" for name, value in shown.items() if value)
        return f"{type(self).__name__}({given})"

    def events(self, after: datetime | None = None) -> Iterator[ClockEvent]:
        """Give the events after a moment, soonest first; there may be no end of them.

        Parameters
        ----------
        after : datetime or None
            The moment; None is now.

        Yields
        ------
        ClockEvent
            Each later than ``after``, and than the one before it.

        Raises
        ------
        NotImplementedError
            Here; a clock says which events it has.
        """
        raise NotImplementedError(f"{type(self).__name__} has no events(after); write it.")

    def _from(self, after: datetime | None) -> datetime:
        """Return, in UTC, what all events must be later than."""
        moment = after_or_now(after)
        if self._start_date is None:
            return moment
        return max(moment, self._start_date.astimezone(UTC) - _INSTANT)

    def _told(self, moments: Iterable[datetime], after: datetime) -> Iterator[ClockEvent]:
        """Make events of moments in order, within this clock's bounds and each once."""
        last, end = after, self._end_date
        for moment in moments:
            utc = moment.astimezone(UTC)
            if end is not None and utc > end:
                return
            if utc > last:
                last = utc
                yield ClockEvent(moment, self.parameter_defaults, self.labels)


class IntervalClock(Clock):
    """Events at equal distances.

    Parameters
    ----------
    interval : timedelta
        The distance. Less than a day is time that passes: "every hour" takes no notice of clocks that are put
        forward or back. A day or more is counted on the wall clock of ``start_date``'s zone, so that a daily
        event stays at nine o'clock; of a time that comes twice, when clocks are put back, the second counts.
    start_date : datetime or None
        The first event; by default, 2019-01-01 in UTC.
    end_date : datetime or None
        No event is later.
    parameter_defaults : mapping of str to object, or None
        Values for the flow's parameters in the runs that this clock starts.
    labels : sequence of str or None
        Kept on the events; nothing here reads them.

    Raises
    ------
    DefinitionTypeError
        When the interval is no timedelta, or a date no datetime.
    DefinitionError
        When the interval is not positive.
    """

    def __init__(
        self,
        interval: timedelta,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        check_kind(
            "An IntervalClock", "interval", interval, timedelta, "give a timedelta: timedelta(minutes=10)."
        )
        if interval <= timedelta(0):
            raise DefinitionError(
                f"An IntervalClock has interval={interval!r}, which leads nowhere; give more than zero."
            )
        self.interval = interval
        super().__init__(start_date, end_date, parameter_defaults, labels)

    def events(self, after: datetime | None = None) -> Iterator[ClockEvent]:
        """Give the events after a moment, soonest first.

        Parameters
        ----------
        after : datetime or None
            The moment; None is now.

        Yields
        ------
        ClockEvent
            Each later than ``after``.
        """
        begin = self._from(after)
        yield from self._told(self._moments(begin), begin)

    def _moments(self, begin: datetime) -> Iterator[datetime]:
        start = self._start_date or EPOCH
        # One too early where the wall clock lags behind: what is too early is dropped later.
        number = max((begin - start.astimezone(UTC)) // self.interval - 1, 0)
        while True:
            yield later(start, self.interval, number)
            number += 1


class CronClock(Clock):
    """Events at the times that a cron expression names, by the wall clock of ``start_date``'s zone.

    Each wall time is met once: of an hour that the clocks repeat the second pass counts, so an hourly clock
    pauses for two hours then; what they leap over comes as much later as they leap.

    Parameters
    ----------
    cron : str
        Five fields (minute, hour, day of month, month, day of week), a sixth for seconds, a seventh for
        years, or a word such as ``@daily``; as the library croniter reads it.
    start_date : datetime or None
        No event is earlier. Its zone is that of the wall clock; UTC without one.
    end_date : datetime or None
        No event is later.
    parameter_defaults : mapping of str to object, or None
        Values for the flow's parameters in the runs that this clock starts.
    labels : sequence of str or None
        Kept on the events; nothing here reads them.
    day_or : bool or None
        Whether a day must fit one of day of month and day of week, as cron has it; False asks for both.

    Raises
    ------
    DefinitionTypeError
        When the expression is no text, or a date no datetime.
    DefinitionError
        When the expression is not valid, or names a time that never comes.
    ImportError
        When croniter is not installed.
    """

    def __init__(
        self,
        cron: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
        day_or: bool | None = None,
    ) -> None:
        check_kind("A CronClock", "cron", cron, str, "give a text: '30 9 * * mon-fri'.")
        self.cron = cron
        self.day_or = day_or is not False
        super().__init__(start_date, end_date, parameter_defaults, labels)
        try:
            first = next(self._walls(EPOCH.replace(tzinfo=None)), None)
        except ValueError as error:
            raise DefinitionError(
                f"A CronClock has cron={cron!r}, which is no cron expression: {error} "
                "Write minute, hour, day of month, month and day of week: '30 9 * * mon-fri'."
            ) from error
        # With a field for the year, there may be no time after some year, and none near our epoch.
        if first is None and len(cron.split()) <= _PLAIN_FIELDS:
            raise DefinitionError(
                f"A CronClock has cron={cron!r}, which names a time that never comes; "
                "look at its day of month and month."
            )

    def events(self, after: datetime | None = None) -> Iterator[ClockEvent]:
        """Give the events after a moment, soonest first.

        Parameters
        ----------
        after : datetime or None
            The moment; None is now.

        Yields
        ------
        ClockEvent
            Each later than ``after``.
        """
        begin = self._from(after)
        zone = (self._start_date or EPOCH).tzinfo or UTC
        walls = self._walls(wall_before(begin, zone))
        # Of two equal times the second one, as Prefect 1 has it.
        yield from self._told(in_order(wall.replace(tzinfo=zone, fold=1) for wall in walls), begin)

    def _walls(self, after: datetime) -> Iterator[datetime]:
        # The library is asked without a zone: it would run a daily event twice when clocks are put back.
        try:
            from croniter import CroniterBadDateError, croniter
        except ImportError as error:
            raise _missing(error, "A CronClock", "croniter") from error
        times = croniter(self.cron, after, day_or=self.day_or)
        while True:
            try:
                found = times.get_next(datetime)
            except CroniterBadDateError:
                return
            yield found


class DatesClock(Clock):
    """Events at given moments.

    Parameters
    ----------
    dates : iterable of datetime
        The moments, in any order.
    parameter_defaults : mapping of str to object, or None
        Values for the flow's parameters in the runs that this clock starts.
    labels : sequence of str or None
        Kept on the events; nothing here reads them.

    Raises
    ------
    DefinitionTypeError
        When one of them is no datetime, or they are no list.
    DefinitionError
        When there are none.
    """

    def __init__(
        self,
        dates: Iterable[datetime],
        parameter_defaults: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        check_kind("A DatesClock", "dates", dates, Iterable, "give a list: dates=[...].")
        moments = [aware(date, "A date of a DatesClock") for date in dates]
        if not moments:
            raise DefinitionError(
                "A DatesClock has dates=[], so it has no event; give at least one datetime."
            )
        self._dates = sorted(moments, key=datetime.timestamp)
        super().__init__(self._dates[0], self._dates[-1], parameter_defaults, labels)

    @property
    def dates(self) -> list[DateTime]:
        """The moments, in order."""
        return [pendular(date) for date in self._dates]

    def events(self, after: datetime | None = None) -> Iterator[ClockEvent]:
        """Give the events after a moment, soonest first.

        Parameters
        ----------
        after : datetime or None
            The moment; None is now.

        Yields
        ------
        ClockEvent
            Each later than ``after``.
        """
        yield from self._told(self._dates, self._from(after))


class RRuleClock(Clock):
    """Events at the occurrences of a recurrence rule (RFC 5545), by the wall clock of the rule's zone.

    A rule without a zone is in UTC. Of a time that comes twice, when clocks are put back, the second one
    counts, as with other clocks, if its zone is one of pendulum's or pytz's; dateutil's and zoneinfo's read
    it as the first one.

    The rule is walked from its own start at each call of ``events``, so one that begins long ago and recurs
    every second is slow to begin with.

    Parameters
    ----------
    rrule_obj : dateutil.rrule.rrule, dateutil.rrule.rruleset or str
        The rule; a text is read by dateutil, from ``start_date`` on if it names no ``DTSTART``.
    start_date : datetime or None
        No event is earlier.
    end_date : datetime or None
        No event is later.
    parameter_defaults : mapping of str to object, or None
        Values for the flow's parameters in the runs that this clock starts.
    labels : sequence of str or None
        Kept on the events; nothing here reads them.

    Raises
    ------
    DefinitionTypeError
        When the rule is neither a text nor made by dateutil, or a date no datetime.
    DefinitionError
        When the text is no rule.
    ImportError
        When it is a text and dateutil is not installed.
    """

    def __init__(
        self,
        rrule_obj: Any,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(rrule_obj, str) and not hasattr(rrule_obj, "xafter"):
            raise DefinitionTypeError(
                f"An RRuleClock has rrule_obj={rrule_obj!r}; give a rule of dateutil, "
                "rrule(DAILY, byhour=9), or a text: 'FREQ=DAILY;BYHOUR=9'."
            )
        super().__init__(start_date, end_date, parameter_defaults, labels)
        self.rrule_obj = self._read(rrule_obj) if isinstance(rrule_obj, str) else rrule_obj

    def events(self, after: datetime | None = None) -> Iterator[ClockEvent]:
        """Give the events after a moment, soonest first.

        Parameters
        ----------
        after : datetime or None
            The moment; None is now.

        Yields
        ------
        ClockEvent
            Each later than ``after``.
        """
        begin = self._from(after)
        first: datetime | None = next(iter(self.rrule_obj), None)
        if first is None:
            return
        # The rule compares wall clocks, of its own zone or of none, so it is asked for some too many.
        asked = begin - _MARGIN
        walls = self.rrule_obj.xafter(asked if first.tzinfo else asked.replace(tzinfo=None))
        yield from self._told(in_order(map(read_by_its_zone, walls)), begin)

    def _read(self, text: str) -> Any:
        try:
            from dateutil.rrule import rrulestr
        except ImportError as error:
            raise _missing(error, "An RRuleClock made of a text", "python-dateutil") from error
        try:
            return rrulestr(text, dtstart=self._start_date or EPOCH)
        except (ValueError, TypeError) as error:
            raise DefinitionError(
                f"An RRuleClock has rrule_obj={text!r}, which is no recurrence rule: {error} "
                "Write it as RFC 5545 does: 'FREQ=DAILY;BYHOUR=9'."
            ) from error


def _missing(error: ImportError, owner: str, library: str) -> ImportError:
    return ImportError(
        f"{owner} needs {library}, which is not installed: pip install 'prefectlite[schedules]'.",
        name=error.name,
    )
