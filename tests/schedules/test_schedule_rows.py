"""The rules of the reference about schedules, a row each: its section, the rule, what is so, what should be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import cloudpickle
import pendulum
import pytest
from dateutil.rrule import DAILY, HOURLY, rrule, rruleset
from dateutil.tz import gettz

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.schedules import (
    CronSchedule,
    IntervalSchedule,
    RRuleSchedule,
    Schedule,
    adjustments,
    clocks,
    filters,
)

NEW_YORK = ZoneInfo("America/New_York")  # forward on 2026-03-08 at 2:00, back on 2026-11-01 at 2:00
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # forward on 2026-10-04 at 2:00, by half an hour
LORD_HOWE_LEAPS = datetime(2026, 10, 4, 2, tzinfo=LORD_HOWE)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def new_york(*when: int, fold: int = 0) -> datetime:
    return datetime(*when, tzinfo=NEW_YORK, fold=fold)  # type: ignore[misc,arg-type]


def days(*numbers: int) -> list[datetime]:
    return [MONDAY.replace(day=number) for number in numbers]


def walls(found: list[datetime]) -> list[str]:
    return [f"{moment:%d %H:%M %Z}" for moment in found]


def admitted(accepts: Callable[[datetime], bool], *moments: datetime) -> list[bool]:
    return [bool(accepts(moment)) for moment in moments]


def hourly(**options: Any) -> clocks.IntervalClock:
    return clocks.IntervalClock(HOUR, **options)


def daily(**options: Any) -> clocks.IntervalClock:
    return clocks.IntervalClock(DAY, **options)


def after(clock: clocks.Clock, moment: datetime, n: int = 4) -> list[datetime]:
    return [event.start_time for event in islice(clock.events(moment), n)]


ROWS: list[tuple[str, str, Callable[[], Any], Any]] = [
    (
        "18",
        "a schedule gives the next n starts after a moment, which is none of them",
        lambda: Schedule([daily()]).next(2, after=MONDAY),
        days(24, 25),
    ),
    (
        "18",
        "without a moment, they come after now",
        lambda: all(start > datetime.now(UTC) for start in Schedule([hourly()]).next(3)),
        True,
    ),
    (
        "18",
        "return_events gives events with their parameter defaults",
        lambda: [
            (event.start_time, event.parameter_defaults)
            for event in Schedule([daily(parameter_defaults={"x": 1})]).next(1, MONDAY, return_events=True)
        ],
        [(MONDAY + DAY, {"x": 1})],
    ),
    (
        "18",
        "filters must all accept",
        lambda: Schedule([hourly()], [filters.is_month_end, filters.at_time(time(9))]).next(1, MONDAY),
        [datetime(2026, 11, 30, 9, tzinfo=UTC)],
    ),
    (
        "18",
        "one of or_filters must accept",
        lambda: Schedule([hourly()], or_filters=[filters.at_time(time(9)), filters.at_time(time(17))]).next(
            3, MONDAY
        ),
        [MONDAY + 9 * HOUR, MONDAY + 17 * HOUR, MONDAY + 33 * HOUR],
    ),
    (
        "18",
        "none of not_filters may accept",
        lambda: Schedule([daily()], not_filters=[filters.is_weekday, filters.is_month_start]).next(2, MONDAY),
        days(28, 29),
    ),
    (
        "18",
        "adjustments move events in sequence",
        lambda: Schedule(
            [daily()], adjustments=[adjustments.next_weekday, adjustments.add(timedelta(hours=3))]
        ).next(2, MONDAY),
        [MONDAY + DAY + 3 * HOUR, MONDAY + 2 * DAY + 3 * HOUR],
    ),
    (
        "18",
        "events that adjustments move to one moment are one",
        lambda: Schedule([daily()], adjustments=[adjustments.next_weekday]).next(3, MONDAY.replace(day=27)),
        [
            datetime(2026, 11, 30, tzinfo=UTC),
            datetime(2026, 12, 1, tzinfo=UTC),
            datetime(2026, 12, 2, tzinfo=UTC),
        ],
    ),
    (
        "18",
        "what an adjustment moves to before the moment is not after it",
        lambda: Schedule([daily()], adjustments=[adjustments.add(-HOUR)]).next(
            1, MONDAY - 30 * timedelta(minutes=1)
        ),
        [MONDAY + 23 * HOUR],
    ),
    (
        "18",
        "a schedule whose filters accept nothing gives up after 10,000 candidates",
        lambda: Schedule([hourly()], [lambda moment: False]).next(1, MONDAY),
        [],
    ),
    (
        "18",
        "the same moment from several clocks is one start",
        lambda: Schedule([daily(), clocks.IntervalClock(2 * DAY)]).next(3, MONDAY),
        days(24, 25, 26),
    ),
    (
        "18",
        "the same moment with other parameters is another start",
        lambda: [
            event.parameter_defaults
            for event in Schedule([daily(parameter_defaults={"x": x}) for x in (1, 2, 1)]).next(
                2, MONDAY, return_events=True
            )
        ],
        [{"x": 1}, {"x": 2}],
    ),
    (
        "18",
        "a schedule knows the first start and the last end of its clocks",
        lambda: [
            (schedule.start_date, schedule.end_date)
            for schedule in [
                Schedule([daily(start_date=MONDAY), daily(end_date=MONDAY), daily(start_date=MONDAY - DAY)]),
                Schedule([]),
            ]
        ],
        [(MONDAY - DAY, MONDAY), (None, None)],
    ),
    ("18", "a schedule without clocks has no starts", lambda: Schedule([]).next(1), []),
    (
        "18",
        "intervals are counted from 2019-01-01 in UTC by default",
        lambda: after(clocks.IntervalClock(timedelta(days=7)), datetime(2018, 5, 1, tzinfo=UTC), 2),
        [datetime(2019, 1, 1, tzinfo=UTC), datetime(2019, 1, 8, tzinfo=UTC)],
    ),
    (
        "18",
        "start_date is the first event and end_date may be the last",
        lambda: after(hourly(start_date=MONDAY, end_date=MONDAY + 2 * HOUR), MONDAY - DAY, 9),
        [MONDAY, MONDAY + HOUR, MONDAY + 2 * HOUR],
    ),
    (
        "18",
        "an hour is time that passes, where clocks are put forward",
        lambda: walls(after(hourly(start_date=new_york(2026, 1, 1)), new_york(2026, 3, 8, 0, 30))),
        ["08 01:00 EST", "08 03:00 EDT", "08 04:00 EDT", "08 05:00 EDT"],
    ),
    (
        "18",
        "and where they are put back",
        lambda: walls(
            Schedule([hourly(start_date=new_york(2026, 1, 1))]).next(4, new_york(2026, 11, 1, 0, 30))
        ),
        ["01 01:00 EDT", "01 01:00 EST", "01 02:00 EST", "01 03:00 EST"],
    ),
    (
        "18",
        "a day is counted on the wall clock",
        lambda: walls(after(daily(start_date=new_york(2026, 1, 1, 9)), new_york(2026, 3, 7, 8), 3)),
        ["07 09:00 EST", "08 09:00 EDT", "09 09:00 EDT"],
    ),
    (
        "18",
        "no event of a day's clock lies before the moment, on either side of a change",
        lambda: walls(after(daily(start_date=new_york(2026, 1, 1, 9)), new_york(2026, 7, 1, 9, 30), 1)),
        ["02 09:00 EDT"],
    ),
    (
        "18",
        "a day's event that the clocks leap over comes as much later as they leap",
        lambda: walls(after(daily(start_date=new_york(2026, 1, 1, 2, 30)), new_york(2026, 3, 7, 12), 2)),
        ["08 03:30 EDT", "09 02:30 EDT"],
    ),
    (
        "18",
        "a day's event at a time that comes twice counts the second time",
        lambda: walls(after(daily(start_date=new_york(2026, 1, 1, 1, 30)), new_york(2026, 10, 31, 12), 2)),
        ["01 01:30 EST", "02 01:30 EST"],
    ),
    (
        "18",
        "but a start_date is the moment that it says",
        lambda: walls(after(daily(start_date=new_york(2026, 11, 1, 1, 30)), new_york(2026, 11, 1), 2)),
        ["01 01:30 EDT", "02 01:30 EST"],
    ),
    (
        "18",
        "cron goes by UTC without a start_date",
        lambda: CronSchedule("30 9 * * mon-fri").next(2, MONDAY.replace(day=27)),
        [datetime(2026, 11, 27, 9, 30, tzinfo=UTC), datetime(2026, 11, 30, 9, 30, tzinfo=UTC)],
    ),
    (
        "18",
        "cron goes by the wall clock of start_date's zone, and stays at nine",
        lambda: walls(CronSchedule("0 9 * * *", new_york(2026, 1, 1)).next(2, new_york(2026, 3, 7, 12))),
        ["08 09:00 EDT", "09 09:00 EDT"],
    ),
    (
        "18",
        "a cron time that the clocks leap over comes as much later as they leap",
        lambda: walls(CronSchedule("30 2 * * *", new_york(2026, 1, 1)).next(2, new_york(2026, 3, 7, 12))),
        ["08 03:30 EDT", "09 02:30 EDT"],
    ),
    (
        "18",
        "also when asked behind the leap",
        lambda: walls(
            CronSchedule("15,45 1,2 * * *", new_york(2026, 1, 1)).next(2, new_york(2026, 3, 8, 3, 20))
        ),
        ["08 03:45 EDT", "09 01:15 EDT"],
    ),
    (
        "18",
        "and in order with the times behind it, where the leap is no hour",
        lambda: walls(
            CronSchedule("10,35 2-3 * * *", datetime(2026, 1, 1, tzinfo=LORD_HOWE)).next(5, LORD_HOWE_LEAPS)
        ),
        ["04 02:35 +11", "04 02:40 +11", "04 03:10 +11", "04 03:35 +11", "05 02:10 +11"],
    ),
    (
        "18",
        "cron times that are always leapt over come too",
        lambda: walls(
            CronSchedule("30 2 8-14 3 0", new_york(2026, 1, 1), day_or=False).next(2, new_york(2026, 1, 1))
        ),
        ["08 03:30 EDT", "14 03:30 EDT"],
    ),
    (
        "18",
        "a cron time that comes twice counts the second time",
        lambda: walls(CronSchedule("30 1 * * *", new_york(2026, 1, 1)).next(2, new_york(2026, 10, 31, 12))),
        ["01 01:30 EST", "02 01:30 EST"],
    ),
    (
        "18",
        "an hourly cron pauses for two hours where clocks are put back",
        lambda: walls(
            CronSchedule("0 * * * *", new_york(2026, 1, 1)).next(3, new_york(2026, 10, 31, 23, 30))
        ),
        ["01 00:00 EDT", "01 01:00 EST", "01 02:00 EST"],
    ),
    (
        "18",
        "and goes on where they are put forward",
        lambda: walls(CronSchedule("*/30 * * * *", new_york(2026, 1, 1)).next(4, new_york(2026, 3, 8, 1))),
        ["08 01:30 EST", "08 03:00 EDT", "08 03:30 EDT", "08 04:00 EDT"],
    ),
    (
        "18",
        "asked in either pass of an hour, cron gives what is left of the second",
        lambda: [
            walls(
                CronSchedule("*/30 * * * *", new_york(2026, 1, 1)).next(
                    3, new_york(2026, 11, 1, 1, 40, fold=fold)
                )
            )
            for fold in (0, 1)
        ],
        [["01 01:00 EST", "01 01:30 EST", "01 02:00 EST"], ["01 02:00 EST", "01 02:30 EST", "01 03:00 EST"]],
    ),
    (
        "18",
        "cron respects microseconds",
        lambda: CronSchedule("0 0 * * *", datetime(2020, 1, 1, 0, 0, 0, 1)).next(1, datetime(2019, 1, 1)),
        [datetime(2020, 1, 2, tzinfo=UTC)],
    ),
    (
        "18",
        "a start_date that the cron expression names is its first event",
        lambda: CronSchedule("0 0 * * *", MONDAY, MONDAY).next(2, MONDAY - DAY),
        [MONDAY],
    ),
    (
        "18",
        "day_or joins day of month and day of week by or, as cron has it",
        lambda: CronSchedule("0 0 13 * fri").next(2, datetime(2026, 11, 8)),
        [datetime(2026, 11, 13, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)],
    ),
    (
        "18",
        "day_or=False joins them by and",
        lambda: CronSchedule("0 0 13 * fri", day_or=False).next(2, datetime(2026, 11, 8)),
        [datetime(2026, 11, 13, tzinfo=UTC), datetime(2027, 8, 13, tzinfo=UTC)],
    ),
    (
        "18",
        "cron knows words, seconds and years",
        lambda: [
            CronSchedule(cron).next(9, MONDAY)[:1]
            for cron in ("@weekly", "* * * * * 30", "0 0 1 1 * 0 2050", "0 0 1 1 * 0 2020")
        ],
        [
            [datetime(2026, 11, 29, tzinfo=UTC)],
            [datetime(2026, 11, 23, 0, 0, 30, tzinfo=UTC)],
            [datetime(2050, 1, 1, tzinfo=UTC)],
            [],
        ],
    ),
    (
        "18",
        "a dates clock gives its dates in order, those after the moment",
        lambda: after(clocks.DatesClock(days(26, 24, 23, 26, 25)), MONDAY),
        days(24, 25, 26),
    ),
    (
        "18",
        "a dates clock begins and ends with them",
        lambda: (clocks.DatesClock(days(26, 24)).start_date, clocks.DatesClock(days(26, 24)).end_date),
        tuple(days(24, 26)),
    ),
    (
        "18",
        "an rrule clock gives the occurrences of a rule of dateutil",
        lambda: RRuleSchedule(rrule(DAILY, dtstart=MONDAY, interval=2)).next(2, MONDAY),
        days(25, 27),
    ),
    (
        "18",
        "an rrule stays at nine in its own zone",
        lambda: walls(
            RRuleSchedule(rrule(DAILY, dtstart=new_york(2026, 3, 7, 9))).next(2, new_york(2026, 3, 7, 9))
        ),
        ["08 09:00 EDT", "09 09:00 EDT"],
    ),
    (
        "18",
        "an rrule without a zone is in UTC, whatever the zone of start_date and end_date",
        lambda: walls(
            RRuleSchedule(
                rrule(DAILY, dtstart=datetime(2026, 1, 1, 3)), new_york(2026, 3, 7), new_york(2026, 3, 9)
            ).next(9, new_york(2026, 3, 1))
        ),
        ["08 03:00 UTC", "09 03:00 UTC"],
    ),
    (
        "18",
        "of a time that comes twice, zoneinfo and dateutil read the first one",
        lambda: [
            walls(
                [
                    start.astimezone(UTC)
                    for start in RRuleSchedule(
                        rrule(DAILY, dtstart=datetime(2026, 1, 1, 1, 30, tzinfo=zone))
                    ).next(2, new_york(2026, 10, 31, 12))
                ]
            )
            for zone in (NEW_YORK, gettz("America/New_York"))
        ],
        [["01 05:30 UTC", "02 06:30 UTC"]] * 2,
    ),
    (
        "18",
        "and what the clocks leap over comes as much later as they leap",
        lambda: [
            [
                start.astimezone(UTC).hour
                for start in RRuleSchedule(
                    rrule(HOURLY, dtstart=datetime(2026, 1, 1, 0, 30, tzinfo=zone))
                ).next(3, new_york(2026, 3, 8, 1))
            ]
            for zone in (NEW_YORK, gettz("America/New_York"), pendulum.timezone("America/New_York"))
        ],
        [[6, 7, 8]] * 3,
    ),
    (
        "18",
        "a set of rules is a rule, with its exceptions",
        lambda: RRuleSchedule(rules_without_tuesday()).next(2, MONDAY),
        days(25, 26),
    ),
    (
        "18",
        "a text is a rule, from start_date on and until end_date",
        lambda: RRuleSchedule("FREQ=DAILY;BYHOUR=0", MONDAY, MONDAY + DAY).next(9, MONDAY - DAY),
        days(23, 24),
    ),
    ("18", "a rule without occurrences gives none", lambda: RRuleSchedule(rruleset()).next(1), []),
    (
        "18",
        "clocks keep their labels on the events",
        lambda: next(daily(labels=["gpu"]).events(MONDAY)).labels,
        ["gpu"],
    ),
    (
        "18",
        "on_datetime accepts that moment, in whatever zone",
        lambda: admitted(
            filters.on_datetime(MONDAY), MONDAY.astimezone(NEW_YORK), MONDAY + timedelta(microseconds=1)
        ),
        [True, False],
    ),
    (
        "18",
        "between_datetimes accepts both ends",
        lambda: admitted(
            filters.between_datetimes(datetime(2026, 11, 23), MONDAY + DAY), *days(22, 23, 24, 25)
        ),
        [False, True, True, False],
    ),
    (
        "18",
        "on_date accepts a day of each year",
        lambda: admitted(filters.on_date(11, 24), *days(23, 24)),
        [False, True],
    ),
    (
        "18",
        "between_dates wraps around the new year, also inside a month",
        lambda: (
            admitted(filters.between_dates(11, 24, 11, 22), *days(22, 23, 24))
            + admitted(filters.between_dates(12, 1, 11, 22), *days(22, 23))
        ),
        [True, False, True, True, False],
    ),
    (
        "18",
        "at_time accepts a time of the wall clock",
        lambda: admitted(filters.at_time(time(9)), new_york(2026, 7, 1, 9), new_york(2026, 7, 1, 10)),
        [True, False],
    ),
    (
        "18",
        "between_times wraps around midnight",
        lambda: admitted(
            filters.between_times(time(22), time(6)), *(MONDAY + hour * HOUR for hour in (21, 22, 0, 6, 7))
        ),
        [False, True, True, True, False],
    ),
    (
        "18",
        "is_weekday",
        lambda: admitted(filters.is_weekday, *days(27, 28, 29, 30)),
        [True, False, False, True],
    ),
    (
        "18",
        "is_weekend",
        lambda: admitted(filters.is_weekend, *days(27, 28, 29, 30)),
        [False, True, True, False],
    ),
    ("18", "is_month_start", lambda: admitted(filters.is_month_start, *days(1, 2, 30)), [True, False, False]),
    ("18", "is_month_end", lambda: admitted(filters.is_month_end, *days(1, 29, 30)), [False, False, True]),
    (
        "18",
        "is_day_of_week counts from Sunday, as documented and not as 1.x computed",
        lambda: [[day for day in range(7) if filters.is_day_of_week(day)(date)] for date in days(22, 23, 28)],
        [[0], [1], [6]],
    ),
    (
        "18",
        "add moves by time that passes, of which a day has 24 hours",
        lambda: walls(
            [adjustments.add(by)(new_york(2026, 3, 7, 12)) for by in (timedelta(hours=23), DAY, -DAY)]
        ),
        ["08 12:00 EDT", "08 13:00 EDT", "06 12:00 EST"],
    ),
    (
        "18",
        "next_weekday moves to Monday, at the same time",
        lambda: [adjustments.next_weekday(day) for day in days(20, 21, 22, 23)],
        days(20, 23, 23, 23),
    ),
    (
        "18",
        "also where it passes a leap of the clocks",
        lambda: walls([adjustments.next_weekday(new_york(2026, 3, 7, 2, 30))]),
        ["09 02:30 EDT"],
    ),
]


def rules_without_tuesday() -> rruleset:
    rules = rruleset()
    rules.rrule(rrule(DAILY, dtstart=MONDAY))
    rules.exdate(MONDAY + DAY)
    return rules


@pytest.mark.parametrize(
    ("found", "expected"), [row[2:] for row in ROWS], ids=[f"{row[0]}: {row[1]}" for row in ROWS]
)
def test_rule_of_the_reference(found: Callable[[], Any], expected: Any) -> None:
    assert found() == expected


REFUSED: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("18", lambda: Schedule(daily()), DefinitionTypeError, r"clocks=.*give a list"),  # type: ignore[arg-type]
    ("18", lambda: Schedule(None), DefinitionTypeError, r"clocks=None; give a list"),  # type: ignore[arg-type]
    (
        "18",
        lambda: Schedule(["daily"]),
        DefinitionTypeError,
        r"'daily' among its clocks; give a clock: CronClock",
    ),  # type: ignore[list-item]
    ("18", lambda: Schedule([], "is_weekday"), DefinitionTypeError, r"filters='is_weekday'; give a list"),  # type: ignore[arg-type]
    (
        "18",
        lambda: Schedule([], [1]),
        DefinitionTypeError,
        r"1 among its filters; give a function of a datetime",
    ),  # type: ignore[list-item]
    ("18", lambda: clocks.IntervalClock(timedelta(0)), DefinitionError, r"which leads nowhere"),
    ("18", lambda: clocks.IntervalClock(60), DefinitionTypeError, r"interval=60; give a timedelta"),  # type: ignore[arg-type]
    ("18", IntervalSchedule, DefinitionTypeError, r"interval=None; give a timedelta"),
    (
        "18",
        lambda: daily(start_date="monday"),
        DefinitionTypeError,
        r"start_date of IntervalClock is 'monday'",
    ),
    ("18", lambda: daily(end_date=MONDAY.date()), DefinitionTypeError, r"end_date of IntervalClock"),
    (
        "18",
        lambda: CronSchedule("every day"),
        DefinitionError,
        r"cron='every day', which is no cron expression",
    ),
    ("18", lambda: CronSchedule("0 25 * * *"), DefinitionError, r"cron='0 25 \* \* \*'"),
    ("18", lambda: CronSchedule("0 0 30 2 *"), DefinitionError, r"a time that never comes"),
    ("18", lambda: CronSchedule(9), DefinitionTypeError, r"cron=9; give a text"),  # type: ignore[arg-type]
    ("18", lambda: clocks.DatesClock([]), DefinitionError, r"no event; give at least one"),
    ("18", lambda: clocks.DatesClock(["monday"]), DefinitionTypeError, r"date of a DatesClock is 'monday'"),  # type: ignore[list-item]
    ("18", lambda: RRuleSchedule("FREQ=SOMETIMES"), DefinitionError, r"which is no recurrence rule"),
    ("18", lambda: RRuleSchedule(7), DefinitionTypeError, r"rrule_obj=7; give a rule of dateutil"),
    ("18", lambda: filters.on_date(2, 30), DefinitionError, r"month 2 and day 30"),
    ("18", lambda: filters.between_dates(1, 1, 13, 1), DefinitionError, r"month 13 and day 1"),
    ("18", lambda: filters.is_day_of_week(7), DefinitionError, r"given 7; give a number from 0, Sunday"),
    (
        "18",
        lambda: Schedule([daily()], adjustments=[str]).next(1),
        DefinitionTypeError,
        r"What the adjustment <class 'str'>",
    ),  # type: ignore[list-item]
    ("18", lambda: clocks.Clock().events(), NotImplementedError, r"Clock has no events"),
]


@pytest.mark.parametrize(
    ("act", "error", "match"), [row[1:] for row in REFUSED], ids=[row[3] for row in REFUSED]
)
def test_bad_input_is_refused_by_name_value_and_mend(
    act: Callable[[], Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        act()


class OfPytz(tzinfo):
    """A zone as pytz makes it: the offset of the moment that it was made for, and a name."""

    zone = "America/New_York"

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=-5)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, moment: datetime | None) -> str:
        return "EST"


def test_a_zone_of_pytz_is_that_of_its_name() -> None:
    start = datetime(2026, 1, 1, 9, tzinfo=OfPytz())

    assert walls(after(daily(start_date=start), MONDAY.replace(month=7), 1)) == ["23 09:00 EDT"]


@pytest.mark.parametrize("zone", [pendulum.timezone("America/New_York"), OfPytz()], ids=["pendulum", "pytz"])
def test_a_rule_in_a_zone_of_pendulum_or_pytz_goes_by_its_name_and_takes_the_second_of_two_times(
    zone: tzinfo,
) -> None:
    schedule = RRuleSchedule(rrule(DAILY, dtstart=datetime(2026, 1, 1, 1, 30, tzinfo=zone)))

    assert walls(schedule.next(3, new_york(2026, 10, 30, 12))) == [
        "31 01:30 EDT",
        "01 01:30 EST",
        "02 01:30 EST",
    ]
    between = new_york(2026, 11, 1, 1, 40)
    assert walls(schedule.next(2, between)) == ["01 01:30 EST", "02 01:30 EST"]


@pytest.mark.parametrize("fold", [0, 1])
def test_a_plain_datetime_in_a_zone_of_pendulum_is_the_moment_that_it_says(fold: int) -> None:
    start = datetime(2026, 11, 1, 1, tzinfo=pendulum.timezone("America/New_York"), fold=fold)

    found = walls(after(hourly(start_date=start), MONDAY.replace(month=10), 2))

    assert found == [["01 01:00 EDT", "01 01:00 EST"], ["01 01:00 EST", "01 02:00 EST"]][fold]


def test_a_subclass_of_datetime_is_taken_as_a_plain_one() -> None:
    class Stubborn(datetime):
        def __add__(self, other: timedelta) -> datetime:
            raise AssertionError

    start = Stubborn(2026, 1, 1, 9, tzinfo=NEW_YORK)

    assert walls(after(daily(start_date=start), MONDAY.replace(month=7), 1)) == ["23 09:00 EDT"]


def test_a_clock_of_ones_own_is_a_clock() -> None:
    class Eclipses(clocks.Clock):
        def events(self, after: datetime | None = None) -> Any:
            yield from (clocks.ClockEvent(day) for day in days(24, 26) if after is None or day > after)

    assert Schedule([Eclipses()]).next(5, MONDAY.replace(day=24)) == days(26)


@pytest.mark.parametrize(
    "schedule",
    [
        IntervalSchedule(new_york(2026, 1, 1), HOUR, parameter_defaults={"x": 1}),
        CronSchedule("0 9 * * *", new_york(2026, 1, 1)),
        RRuleSchedule(rrule(HOURLY, dtstart=MONDAY)),
        Schedule([clocks.DatesClock(days(24))], [filters.between_times(time(0), time(1))]),
    ],
    ids=["interval", "cron", "rrule", "dates"],
)
def test_a_schedule_survives_pickling_and_shows_what_it_is(schedule: Schedule) -> None:
    again = cloudpickle.loads(cloudpickle.dumps(schedule))

    assert again.next(3, MONDAY) == schedule.next(3, MONDAY)
    assert repr(schedule).startswith("Schedule(clocks=[")


def test_events_compare_by_their_moment_with_each_other_and_with_datetimes() -> None:
    first, second = clocks.ClockEvent(MONDAY), clocks.ClockEvent(MONDAY.astimezone(NEW_YORK))
    late = clocks.ClockEvent(MONDAY + DAY, {"x": 1})

    assert first == second == MONDAY
    assert hash(first) == hash(second)
    assert first < late > second
    assert late > MONDAY
    assert late != clocks.ClockEvent(MONDAY + DAY)
    assert late != "late"
    with pytest.raises(TypeError):
        assert late > "late"  # type: ignore[operator]
    with pytest.raises(TypeError):
        assert late < 3  # type: ignore[operator]


@pytest.mark.parametrize("fold", [0, 1])
def test_an_event_at_a_time_that_comes_twice_is_that_of_its_moment(fold: int) -> None:
    event = clocks.ClockEvent(new_york(2026, 11, 1, 1, 30, fold=fold))

    assert event == event.start_time
    assert event == new_york(2026, 11, 1, 1, 30, fold=fold)
    assert event != new_york(2026, 11, 1, 1, 30, fold=1 - fold)
    assert event != datetime(2026, 11, 1, 5 + fold, 30)  # of no zone


def test_an_event_without_a_zone_is_of_utc() -> None:
    assert clocks.ClockEvent(datetime(2030, 1, 1)).start_time == datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("module", "act"),
    [
        ("croniter", lambda: CronSchedule("0 9 * * *")),
        ("dateutil.rrule", lambda: RRuleSchedule("FREQ=DAILY")),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    module: str, act: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)

    with pytest.raises(ImportError, match=r"pip install 'prefectlite\[schedules\]'"):
        act()


def test_the_moments_that_a_clock_was_given_are_pendulums_as_in_prefect_1() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    end = start + 3 * DAY
    hours = clocks.IntervalClock(HOUR, start, end_date=end)
    dates = clocks.DatesClock([end, start])

    given = [hours.start_date, hours.end_date]
    assert dates.dates == [dates.start_date, dates.end_date] == given == [start, end]
    assert all(isinstance(date, pendulum.DateTime) for date in (*given, *dates.dates))
    assert isinstance(Schedule(clocks=[hours, dates]).start_date, pendulum.DateTime)
    assert clocks.CronClock("0 6 * * *").start_date is None
    assert repr(hours) == repr(cloudpickle.loads(cloudpickle.dumps(hours)))
    assert ", start_date=datetime" in repr(hours)
