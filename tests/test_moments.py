"""Moments for users are pendulum's, inside they are plain, and who looks at none does not load the library."""

from __future__ import annotations

import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest

from prefectlite import DateTimeParameter, Flow, LocalExecutor, context, task
from prefectlite.core.given_context import checked
from prefectlite.errors import ContextError, ParameterError
from prefectlite.moments import Named, pendular, plain
from prefectlite.results import LocalResult
from prefectlite.schedules import IntervalSchedule, Schedule, adjustments, clocks, filters
from prefectlite.serializers import DateTimeSerializer
from prefectlite.states import Cached, Paused, Queued, Retrying, Scheduled
from prefectlite.states.json import state_from_json, state_to_json

OSLO = ZoneInfo("Europe/Oslo")
MOMENT = datetime(2026, 3, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment",
    [
        MOMENT,
        MOMENT.astimezone(OSLO),
        datetime(2026, 10, 25, 2, 30, tzinfo=OSLO),
        datetime(2026, 10, 25, 2, 30, tzinfo=OSLO, fold=1),
        MOMENT.astimezone(timezone(timedelta(hours=5, minutes=45))),
        MOMENT.replace(tzinfo=None),
        datetime.max.replace(tzinfo=UTC),
    ],
    ids=str,
)
def test_a_moment_goes_to_pendulum_and_back_as_it_was(moment: datetime) -> None:
    there = pendular(moment)
    back = plain(there)

    assert isinstance(there, pendulum.DateTime)
    assert there.isoformat() == moment.isoformat()
    assert (type(back), back.isoformat(), back.fold) == (datetime, moment.isoformat(), moment.fold)
    assert type(back.tzinfo) is type(moment.tzinfo)
    assert pickle.dumps(back) == pickle.dumps(moment)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T06:00", "2026-03-01T06:00:00+00:00"),
        (" 2026-03-01 06:00:00+02:00 ", "2026-03-01T06:00:00+02:00"),
        ("20260301", "2026-03-01T00:00:00+00:00"),
        ("2026/03/01", "2026-03-01T00:00:00+00:00"),
        ("2026-060", "2026-03-01T00:00:00+00:00"),
        ("2026-03", "2026-03-01T00:00:00+00:00"),
        ("2026", "2026-01-01T00:00:00+00:00"),
        ("2026-W10", "2026-03-02T00:00:00+00:00"),
        ("1772344800", "2026-03-01T06:00:00+00:00"),
    ],
)
def test_texts_are_read_as_prefect_1_did(text: str, expected: str) -> None:
    since = DateTimeParameter("since")
    moments = [since.validate(text), since.parse(text)]
    if not text.startswith("1"):  # seconds since the epoch, which pydantic reads
        moments.append(checked({"date": text}, "f")["date"])

    assert [moment and (type(moment), moment.isoformat()) for moment in moments] == [
        (datetime, expected) for _ in moments
    ]


@pytest.mark.parametrize(
    "text", ["soon", "12:00", "2026-03-01/2026-04-01", "2026-3-1", "2026-13", "9" * 40, ""]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    for read in (DateTimeParameter("since").validate, DateTimeParameter("since").parse):
        with pytest.raises(ParameterError, match="Parameter 'since' has the value"):
            read(text)
    with pytest.raises(ContextError, match="which is no moment"):
        checked({"date": text}, "f")


class Zone(tzinfo):
    """A zone as pendulum 2 has them: its own, with a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(hours=2 if self.name == "Europe/Oslo" else 5 if self.name == "+05:00" else 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Europe/Oslo", OSLO), ("UTC", UTC), ("+05:00", timezone(timedelta(hours=5))), ("", UTC)],
)
def test_zones_of_pendulum_2_are_those_of_their_names(name: str, expected: tzinfo) -> None:
    moment = pendulum.DateTime(2026, 7, 1, 6, tzinfo=Zone(name))

    assert plain(moment) == datetime(2026, 7, 1, 6, tzinfo=expected)
    assert plain(moment).tzinfo == expected


def test_what_is_not_pendulums_stays_what_it_is() -> None:
    class Stamp(datetime):
        pass

    stamp = Stamp(2026, 3, 1, tzinfo=UTC)
    assert plain(stamp) is stamp
    assert plain(MOMENT) is MOMENT


@pytest.mark.parametrize("kind", [Scheduled, Paused, Retrying, Queued])
def test_states_give_pendulums_and_keep_plain_ones(kind: type[Any]) -> None:
    state, given = kind(start_time=MOMENT), kind(start_time=pendulum.instance(MOMENT))

    assert state.start_time.subtract(days=1).to_date_string() == "2026-02-28"
    assert given == state == state.replace(message="again")
    assert given.attributes() == state.attributes()
    assert type(given.attributes()["start_time"]) is datetime
    assert state_to_json(given) == state_to_json(state)
    assert state_from_json(state_to_json(given)) == state
    assert pickle.dumps(given) == pickle.dumps(state)


def test_a_pause_without_an_end_has_no_moment() -> None:
    assert Paused(start_time=None).start_time is None


def test_a_cached_state_tells_its_expiration_in_pendulums_words() -> None:
    state = Cached(cached_result_expiration=pendulum.instance(MOMENT))

    assert state.cached_result_expiration is not None
    assert state.cached_result_expiration.diff(pendulum.instance(MOMENT).add(hours=2)).in_hours() == 2
    assert state == Cached(cached_result_expiration=MOMENT)


def test_schedules_clocks_filters_and_adjustments_have_to_do_with_pendulums() -> None:
    seen: list[Any] = []

    def accepts(moment: pendulum.DateTime) -> bool:
        seen.append(moment.day_of_week)
        return moment.hour % 2 == 0

    start = pendulum.datetime(2026, 3, 1, tz="Europe/Oslo")
    hourly = clocks.IntervalClock(pendulum.duration(hours=1), start_date=start, end_date=start.add(days=1))
    schedule = Schedule(
        [hourly],
        [accepts, filters.between_datetimes(start, start.add(hours=8))],
        adjustments=[lambda moment: moment.add(minutes=30), adjustments.add(pendulum.duration(minutes=1))],
    )

    found = schedule.next(2, after=start)
    (event,) = schedule.next(1, after=start, return_events=True)

    assert [moment.to_datetime_string() for moment in found] == ["2026-03-01 02:31:00", "2026-03-01 04:31:00"]
    assert {moment.timezone_name for moment in found} == {"Europe/Oslo"}
    assert event.start_time == found[0]
    assert event.start_time.format("HH:mm") == "02:31"
    assert len(seen) > 2
    assert repr(event) == "<ClockEvent: 2026-03-01 02:31:00+01:00>"
    assert repr(clocks.ClockEvent(start, {"x": "hush"})) == "<ClockEvent: 2026-03-01 00:00:00+01:00 with x>"


def test_an_hour_that_is_repeated_counts_twice_where_pendulum_gave_the_start() -> None:
    second = pendulum.datetime(2026, 10, 25, 1, 30).in_timezone("Europe/Oslo")

    assert IntervalSchedule(second, timedelta(hours=1)).next(1, after=second)[0].hour == 3
    assert clocks.ClockEvent(second).moment == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_serializer_of_moments_gives_pendulums() -> None:
    serializer = DateTimeSerializer()

    assert serializer.deserialize(serializer.serialize(MOMENT)).add(days=1).day == 2
    assert serializer.serialize(pendulum.instance(MOMENT)) == serializer.serialize(MOMENT)


def test_templates_name_moments_in_either_way_of_writing() -> None:
    names = Named({"date": MOMENT, "mine": MOMENT})

    text = "{date:YYYY-MM} {date:%d} {date.day_of_week} {mine:%Y}"
    assert text.format_map(names) == f"2026-03 01 {pendulum.instance(MOMENT).day_of_week} 2026"


def test_flows_take_pendulums_moments_and_durations(tmp_path: Any) -> None:
    since = DateTimeParameter("since")

    @task(
        max_retries=1,
        retry_delay=pendulum.duration(seconds=0),
        timeout=pendulum.duration(minutes=5),
        result=LocalResult(str(tmp_path), location=lambda date, **_: date.add(days=1).format("YYYYMMDD")),
    )
    def look(since: pendulum.DateTime) -> Any:
        return since.diff(context.date).in_days(), context.today, context.parameters["since"] == since

    with Flow("f") as flow:
        made = look(since)
    state = flow.run(
        executor=LocalExecutor(),
        since=pendulum.instance(MOMENT).subtract(days=3),
        context={"date": pendulum.instance(MOMENT)},
    )

    assert state.is_successful(), state.result[made].message
    assert state.result[made].result == (3, "2026-03-01", True)
    assert (tmp_path / "20260302").exists()
    assert state.result[since].result.to_date_string() == "2026-02-26"


UNSEEN = """
import sys, tempfile
from prefectlite import DaskExecutor, Flow, LocalExecutor, Parameter, context, task
from prefectlite.results import LocalResult

@task(max_retries=1, result=LocalResult(tempfile.mkdtemp(), location="{today}/{task_name}"))
def look():
    if context.attempt == 1:
        raise ValueError
    context.seen = context.today
    return "pendulum" in sys.modules

with Flow("f") as flow:
    made = look()
    Parameter("p", default=1)()
state = flow.run(executor=eval(sys.argv[1]))
assert state.is_successful(), state.result[made].traceback
print("pendulum" in sys.modules or state.result[made].result)
"""


@pytest.mark.parametrize(
    "executor",
    [
        "LocalExecutor()",
        pytest.param("DaskExecutor(cluster_kwargs={'n_workers': 1})", marks=pytest.mark.slow),
    ],
)
def test_a_flow_whose_bodies_look_at_no_moment_does_not_load_the_library(executor: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNSEEN, executor], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split()[-1] == "False"
