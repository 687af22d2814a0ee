"""What holds for every schedule, in every zone, at every moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from prefectlite.schedules.clocks import Clock, CronClock, IntervalClock
from prefectlite.schedules.moments import in_order, localized, wall_before
from prefectlite.schedules.schedules import Schedule

# Lord Howe moves by half an hour, Apia once left out a day, Casablanca moves back in spring.
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "America/New_York",
        "Europe/Oslo",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Pacific/Apia",
    )
]
moments = st.datetimes(datetime(2011, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))
walls = st.datetimes(datetime(2011, 1, 1), datetime(2031, 1, 1))
zones = st.sampled_from(ZONES)
crons = st.sampled_from(
    ["*/7 * * * *", "0 * * * *", "30 2 * * *", "15 1 * * 0", "0 0 * * *", "*/20 1-3 * 3,10,11 *"]
)
intervals = st.timedeltas(timedelta(minutes=1), timedelta(days=40))


@st.composite
def some_clocks(draw: Any) -> Clock:
    start = localized(draw(walls), draw(zones))
    if draw(st.booleans()):
        return CronClock(draw(crons), start)
    return IntervalClock(draw(intervals), start)


@given(some_clocks(), moments)
@settings(max_examples=300, deadline=None)
def test_events_come_after_the_moment_and_each_after_the_one_before(clock: Clock, after: datetime) -> None:
    found = [event.moment for event in islice(clock.events(after), 30)]

    assert all(moment > after for moment in found)
    assert all(first < second for first, second in pairwise(found))
    assert clock.start_date is not None
    assert all(moment >= clock.start_date.astimezone(UTC) for moment in found)


@given(some_clocks(), moments, st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_asking_again_from_an_event_on_gives_those_that_would_have_come(
    clock: Clock, after: datetime, n: int
) -> None:
    found = [event.moment for event in islice(clock.events(after), n + 10)]

    assert [event.moment for event in islice(clock.events(found[n]), 9)] == found[n + 1 :]


@given(st.lists(walls, max_size=9), zones)
@settings(max_examples=500, deadline=None)
def test_wall_times_in_order_give_all_their_moments_in_order(times: list[datetime], zone: ZoneInfo) -> None:
    found = list(in_order(wall.replace(tzinfo=zone, fold=1) for wall in sorted(times)))

    moments = [moment.astimezone(UTC) for moment in found]
    assert moments == sorted(localized(wall, zone).astimezone(UTC) for wall in times)


@given(walls, zones, st.timedeltas(timedelta(microseconds=1), timedelta(hours=25)))
@settings(max_examples=500, deadline=None)
def test_a_wall_time_that_is_met_after_a_moment_is_asked_for(
    wall: datetime, zone: ZoneInfo, by: timedelta
) -> None:
    moment = localized(wall, zone).astimezone(UTC) - by

    assert wall_before(moment, zone) < wall


@given(walls, zones)
@settings(max_examples=500, deadline=None)
def test_a_wall_time_is_shown_at_its_moment_for_the_last_time_unless_the_clocks_leap_over_it(
    wall: datetime, zone: ZoneInfo
) -> None:
    def shown_at(moment: datetime) -> datetime:
        return moment.astimezone(zone).replace(tzinfo=None, fold=0)

    moment = localized(wall, zone).astimezone(UTC)
    leap = shown_at(moment) - wall

    if leap:
        assert leap > timedelta(0)
        assert shown_at(moment - leap) == wall - leap
    else:
        assert wall not in {shown_at(moment + timedelta(minutes=minutes)) for minutes in (30, 60)}


@given(st.lists(some_clocks(), min_size=1, max_size=3), moments)
@settings(max_examples=100, deadline=None)
def test_a_schedule_gives_what_its_clocks_give_in_order_and_each_moment_once(
    clocks: list[Clock], after: datetime
) -> None:
    found = [event.moment for event in islice(Schedule(clocks).events(after), 20)]

    expected = {event.moment for clock in clocks for event in islice(clock.events(after), 20)}
    assert found == sorted(expected)[:20]


def test_years_pass_without_a_day_missed_or_doubled() -> None:
    for zone in ZONES:
        clock = CronClock("30 2 * * *", datetime(2012, 1, 1, tzinfo=zone))
        days = [
            event.start_time.date() for event in islice(clock.events(datetime(2012, 1, 1, tzinfo=UTC)), 1500)
        ]

        assert all(second - first == timedelta(days=1) for first, second in pairwise(days)), zone
