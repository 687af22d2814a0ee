"""Flows that run on a schedule, in a time that a test holds in its hands; a row of the reference each."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from prefectlite import DaskExecutor, Flow, LocalExecutor, Parameter, context, flow, task
from prefectlite.driver.timetable import LONGEST_SLEEP, WALL_CLOCK, due_starts
from prefectlite.errors import (
    ContextError,
    DefinitionError,
    DefinitionTypeError,
    ExecutorError,
    ParameterError,
)
from prefectlite.schedules import IntervalSchedule, Schedule, clocks
from prefectlite.schedules.clocks import ClockEvent

HERE = LocalExecutor()
EIGHT = datetime(2026, 11, 26, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Hourglass:
    """A time that passes when somebody sleeps, or when a test says so."""

    def __init__(self, now: datetime = EIGHT) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


def every_minute(times: int, **options: Any) -> Schedule:
    return Schedule([clocks.IntervalClock(MINUTE, EIGHT, EIGHT + times * MINUTE, **options)])


class Recorder:
    """A flow that notes when it was meant to run, when it did, and takes as long as it is told."""

    def __init__(self, schedule: Schedule | None, takes: dict[int, timedelta] | None = None) -> None:
        self.glass = Hourglass()
        self.seen: list[tuple[int, float, Any]] = []

        @task
        def note(x: Any) -> None:
            meant = context.scheduled_start_time
            minute = meant.diff(EIGHT).in_minutes()
            self.seen.append((minute, (self.glass.now() - EIGHT) / MINUTE, x))
            self.glass.time += (takes or {}).get(minute, timedelta(0))

        with Flow("recorded", schedule=schedule) as self.flow:
            note(Parameter("x", default=0))

    @property
    def minutes(self) -> list[int]:
        return [minute for minute, _, _ in self.seen]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that is not there is given up soon."""
    monkeypatch.setattr("prefectlite.executors.reach.CONNECT_TIMEOUT", 0.2)


class TestFlowRun:
    def test_it_waits_for_each_start_until_the_schedule_ends(self) -> None:  # 11.2
        it = Recorder(every_minute(3))

        state = it.flow.run(executor=HERE, clock=it.glass)

        assert state.is_successful()
        assert it.seen == [(1, 1.0, 0), (2, 2.0, 0), (3, 3.0, 0)]

    def test_the_start_has_the_schedules_zone_and_the_date_is_that_of_utc(self) -> None:
        morning = datetime(2026, 11, 26, 9, 0, tzinfo=ZoneInfo("Pacific/Auckland"))

        @task
        def when() -> Any:
            return (
                context.scheduled_start_time.to_datetime_string(),
                context.date.timezone_name,
                context.today,
            )

        with Flow("far east", schedule=Schedule([clocks.DatesClock([morning])])) as made:
            found = when()

        state = made.run(executor=HERE, clock=Hourglass(morning.astimezone(UTC) - MINUTE))
        assert state.result[found].result == ("2026-11-26 09:00:00", "UTC", "2026-11-25")
        given = {"scheduled_start_time": EIGHT}
        state = made.run(executor=HERE, clock=Hourglass(morning.astimezone(UTC) - MINUTE), context=given)
        assert state.result[found].result == ("2026-11-26 08:00:00", "UTC", "2026-11-25")

    def test_the_state_is_that_of_the_last_run(self) -> None:  # 11.2
        glass = Hourglass()

        @task
        def fails_first() -> None:
            if context.scheduled_start_time < EIGHT + 2 * MINUTE:
                raise ValueError

        with Flow("mends itself", schedule=every_minute(2)) as made:
            fails_first()

        assert made.run(executor=HERE, clock=glass).is_successful()

    def test_run_on_schedule_false_runs_once_and_now(self) -> None:  # 11.2
        it = Recorder(every_minute(3))

        it.flow.run(executor=HERE, clock=it.glass, run_on_schedule=False)

        assert len(it.seen) == 1
        assert it.glass.slept == []

    @pytest.mark.parametrize("run_on_schedule", [None, True, False])
    def test_a_flow_without_a_schedule_runs_once(self, run_on_schedule: bool | None) -> None:  # 11.2
        it = Recorder(None)

        it.flow.run(executor=HERE, run_on_schedule=run_on_schedule)

        assert len(it.seen) == 1

    def test_a_schedule_that_is_over_is_refused(self) -> None:  # 11.2
        it = Recorder(every_minute(3))
        it.glass.time = EIGHT + 3 * MINUTE

        with pytest.raises(DefinitionError, match="'recorded' has no more scheduled runs"):
            it.flow.run(executor=HERE, clock=it.glass)

    def test_parameter_defaults_of_a_clock_go_over_those_that_are_given(self) -> None:  # 5
        both = Schedule(
            [
                clocks.DatesClock([EIGHT + MINUTE, EIGHT + 3 * MINUTE], {"x": "clock"}),
                clocks.DatesClock([EIGHT + 2 * MINUTE]),
            ]
        )
        it = Recorder(both)

        it.flow.run(x="given", executor=HERE, clock=it.glass)

        assert it.seen == [(1, 1.0, "clock"), (2, 2.0, "given"), (3, 3.0, "clock")]

    def test_a_required_parameter_may_be_a_clocks_alone(self) -> None:  # 5
        seen: list[int] = []
        with Flow("ported", schedule=every_minute(2, parameter_defaults={"x": 3})) as made:
            task(lambda x: seen.append(x), name="see")(Parameter("x", type=int))

        assert made.run(executor=HERE, clock=Hourglass()).is_successful()
        assert seen == [3, 3]

    def test_what_a_clock_says_of_parameters_that_the_flow_has_not_is_in_the_context_alone(self) -> None:  # 5
        seen: list[Any] = []
        with Flow("one of several", schedule=every_minute(1, parameter_defaults={"x": "3", "y": 4})) as made:
            task(lambda x: seen.append((x, context.parameters)), name="see")(Parameter("x", type=int))

        assert made.run(executor=HERE, clock=Hourglass()).is_successful()
        assert seen == [(3, {"x": 3, "y": 4})]

    def test_two_clocks_with_other_parameters_at_one_moment_both_run(self) -> None:  # 18
        it = Recorder(
            Schedule([clocks.DatesClock([EIGHT + MINUTE], {"x": x}) for x in (1, 2)]),
            {1: timedelta(seconds=1)},
        )

        it.flow.run(executor=HERE, clock=it.glass)

        assert [x for _, _, x in it.seen] == [1, 2]

    def test_starts_that_pass_during_a_run_are_left_out(self) -> None:  # 11.2
        it = Recorder(every_minute(5), {1: 2.5 * MINUTE})

        it.flow.run(executor=HERE, clock=it.glass)

        assert it.seen == [(1, 1.0, 0), (4, 4.0, 0), (5, 5.0, 0)]

    def test_each_run_has_its_own_start_and_dates_in_the_context(self) -> None:  # 11.1, 18
        seen = []
        dates = [datetime(2026, 12, day, 23, 30, tzinfo=UTC) for day in (30, 31)]

        @task
        def look() -> None:
            seen.append((context.scheduled_start_time, context.today, context.tomorrow))

        with Flow("dated", schedule=Schedule([clocks.DatesClock(dates)])) as made:
            look()
        made.run(executor=HERE, clock=Hourglass())

        assert seen == [(dates[0], "2026-12-30", "2026-12-31"), (dates[1], "2026-12-31", "2027-01-01")]

    def test_the_flow_is_left_as_it_was_and_can_run_again(self) -> None:  # SEMANTICS 1.4
        it = Recorder(every_minute(2))
        for _ in range(2):
            it.glass.time = EIGHT
            it.flow.run(executor=HERE, clock=it.glass)

        assert it.minutes == [1, 2, 1, 2]

    def test_a_place_that_cannot_be_reached_ends_it(self, impatient: None) -> None:
        it = Recorder(every_minute(2))

        with pytest.raises(ExecutorError):
            it.flow.run(executor=DaskExecutor("tcp://127.0.0.1:1"), clock=it.glass)

    def test_progress_shows_each_run(self, capfd: pytest.CaptureFixture[str]) -> None:
        it = Recorder(every_minute(2))

        it.flow.run(executor=HERE, clock=it.glass, progress=True)

        assert capfd.readouterr().err.count("recorded begins") == 2

    def test_the_decorator_takes_a_schedule(self) -> None:
        @flow(schedule=every_minute(1))
        def made() -> None:
            pass

        assert made.run(executor=HERE, clock=Hourglass()).is_successful()


class TestServe:
    def test_it_runs_at_each_start_and_counts_how_runs_ended(self) -> None:
        @task
        def sometimes() -> None:
            if context.scheduled_start_time == EIGHT + 2 * MINUTE:
                raise ValueError

        with Flow("some", schedule=every_minute(3)) as made:
            sometimes()

        assert made.serve(executor=HERE, clock=Hourglass()) == {"Success": 2, "Failed": 1}

    def test_starts_do_not_drift_when_runs_take_time(self) -> None:
        it = Recorder(every_minute(4), dict.fromkeys(range(9), timedelta(seconds=50)))

        it.flow.serve(executor=HERE, clock=it.glass)

        assert [at for _, at, _ in it.seen] == [1.0, 2.0, 3.0, 4.0]

    @pytest.mark.parametrize(
        ("catch_up", "expected"),
        [
            ("skip", [(1, 1.0, 0), (5, 5.0, 0), (6, 6.0, 0)]),
            ("latest", [(1, 1.0, 0), (4, 4.5, 0), (5, 5.0, 0), (6, 6.0, 0)]),
            ("all", [(1, 1.0, 0), (2, 4.5, 0), (3, 4.5, 0), (4, 4.5, 0), (5, 5.0, 0), (6, 6.0, 0)]),
        ],
    )
    def test_starts_that_pass_during_a_run_follow_the_policy(
        self, catch_up: Literal["skip", "latest", "all"], expected: Any
    ) -> None:
        it = Recorder(every_minute(6), {1: 3.5 * MINUTE})

        it.flow.serve(executor=HERE, clock=it.glass, catch_up=catch_up)

        assert it.seen == expected

    @pytest.mark.parametrize(("catch_up", "last"), [("skip", []), ("latest", [6]), ("all", [2, 3, 4, 5, 6])])
    def test_starts_may_pass_until_the_schedule_is_over(self, catch_up: Any, last: list[int]) -> None:
        it = Recorder(every_minute(6), {1: 30 * MINUTE})

        it.flow.serve(executor=HERE, clock=it.glass, catch_up=catch_up)

        assert it.minutes == [1, *last]

    def test_what_comes_and_what_is_left_out_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        it = Recorder(every_minute(4), {1: 2.5 * MINUTE})

        with caplog.at_level(logging.INFO, "prefectlite.driver.service"):
            it.flow.serve(executor=HERE, clock=it.glass)

        said = "\n".join(record.getMessage() for record in caplog.records if "service" in record.name)
        assert said.replace("2026-11-26 ", "").replace("+00:00", "") == (
            "Flow 'recorded': the next run starts at 08:01:00.\n"
            "Flow 'recorded': the run for 08:01:00 ended Success: All reference tasks succeeded.\n"
            "Flow 'recorded': 2 starts from 08:02:00 to 08:03:00 passed meanwhile and are left out.\n"
            "Flow 'recorded': the next run starts at 08:04:00.\n"
            "Flow 'recorded': the run for 08:04:00 ended Success: All reference tasks succeeded."
        )

    def test_what_comes_is_told_where_nobody_set_up_logging(self) -> None:
        code = """
from datetime import UTC, datetime, timedelta
from prefectlite import Flow, LocalExecutor
from prefectlite.schedules import Schedule, clocks

soon = datetime.now(UTC) + timedelta(seconds=0.5)
flow = Flow("waiting", schedule=Schedule(clocks=[clocks.DatesClock([soon])]), executor=LocalExecutor())
flow.run()
"""
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
        )

        assert "Flow 'waiting': the next run starts at " in done.stdout.partition("Running.")[0]

    def test_runs_overlap_only_when_asked_and_no_more_than_so_many(self) -> None:
        glass = Hourglass()
        running, most, lock = 0, 0, threading.Lock()
        two_are_there = threading.Barrier(2)

        @task
        def overlaps() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            two_are_there.wait(30)
            with lock:
                running -= 1

        with Flow("side by side", schedule=every_minute(6)) as made:
            overlaps()

        assert made.serve(executor=HERE, clock=glass, catch_up="all", max_instances=2) == {"Success": 6}
        assert most == 2

    @pytest.mark.parametrize("max_instances", [1, 2])
    def test_a_place_that_cannot_be_reached_ends_one_run_and_not_the_service(
        self, max_instances: int, impatient: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Flow("nowhere", schedule=every_minute(2)) as made:
            Parameter("x", default=1)()
        nowhere = DaskExecutor("tcp://127.0.0.1:1")

        with caplog.at_level(logging.INFO, "prefectlite.driver.service"):
            ended = made.serve(
                executor=nowhere, clock=Hourglass(), max_instances=max_instances, catch_up="all"
            )

        assert ended == {"Failed": 2}
        assert caplog.text.count("could not be driven: ") == 2

    @pytest.mark.parametrize("max_instances", [1, 2])
    def test_ctrl_c_while_waiting_ends_it_after_the_runs_that_go_on(self, max_instances: int) -> None:
        states = []

        class Interrupted(Hourglass):
            def sleep(self, seconds: float) -> None:
                if self.time > EIGHT + MINUTE:
                    raise KeyboardInterrupt
                super().sleep(seconds)

        with Flow("interrupted", schedule=every_minute(9)) as made:
            task(lambda: states.append(context.scheduled_start_time), name="note")()

        with pytest.raises(KeyboardInterrupt):
            made.serve(executor=HERE, clock=Interrupted(), max_instances=max_instances)
        assert not [one for one in threading.enumerate() if one.name == "prefectlite-interrupted"]

    def test_runs_in_other_threads_are_cancelled_by_ctrl_c(self) -> None:
        glass, began, first = Hourglass(), threading.Event(), []

        @task
        def one() -> None:
            first.append(context.flow_run_id)
            began.set()
            cancelled.wait(30)

        @task
        def two() -> None:
            first.append("two")

        cancelled = threading.Event()

        class Interrupted(Hourglass):
            def sleep(self, seconds: float) -> None:
                if first or self.time > EIGHT + MINUTE:
                    began.wait(30)
                    threading.Timer(0.2, cancelled.set).start()
                    raise KeyboardInterrupt
                super().sleep(seconds)

        glass = Interrupted()
        with Flow("cancelled", schedule=every_minute(9)) as made:
            two(upstream_tasks=[one()])

        with pytest.raises(KeyboardInterrupt):
            made.serve(executor=HERE, clock=glass, max_instances=2)
        assert "two" not in first

    @pytest.mark.parametrize("verb", ["run", "serve"])
    @pytest.mark.parametrize(
        ("clock_gives", "match"),
        [({"x": "many"}, "'x' has the value 'many'"), ({"y": 1}, "'x' .*has no value")],
    )
    def test_bad_parameters_of_any_clock_are_refused_before_anything_is_waited_for(
        self, verb: str, clock_gives: dict[str, Any], match: str
    ) -> None:  # 5
        good = clocks.DatesClock([EIGHT + MINUTE], {"x": 1})
        glass = Hourglass()
        with Flow(
            "typed", schedule=Schedule([good, *every_minute(2, parameter_defaults=clock_gives).clocks])
        ) as made:
            Parameter("x", type=int)()

        with pytest.raises(ParameterError, match=match):
            getattr(made, verb)(executor=HERE, clock=glass)
        assert glass.slept == []

    @pytest.mark.parametrize("verb", ["run", "serve"])
    def test_a_context_that_does_not_fit_is_refused_before_anything_is_waited_for(self, verb: str) -> None:
        it = Recorder(every_minute(1))

        with pytest.raises(ContextError, match="'date': 'someday'"):
            getattr(it.flow, verb)(executor=HERE, clock=it.glass, context={"date": "someday"})
        assert it.glass.slept == []

    @pytest.mark.parametrize("verb", ["run", "serve"])
    def test_a_required_parameter_may_be_the_contexts_alone(self, verb: str) -> None:
        seen: list[int] = []
        with Flow("typed", schedule=every_minute(2)) as made:
            task(lambda x: seen.append(x), name="see")(Parameter("x", type=int))

        getattr(made, verb)(executor=HERE, clock=Hourglass(), context={"parameters": {"x": 3}})
        assert seen == [3, 3]

    def test_parameters_that_callers_give_have_to_be_the_flows(self) -> None:
        it = Recorder(every_minute(1, parameter_defaults={"y": 1}))

        with pytest.raises(ParameterError, match="no parameter 'y'"):
            it.flow.serve(y=1, executor=HERE, clock=it.glass)

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"catch_up": "some"}, "catch_up='some' is no policy"),
            ({"max_instances": 0}, "max_instances=0 is no number of runs"),
            ({"max_instances": True}, "max_instances=True is no number of runs"),
        ],
    )
    def test_bad_options_are_refused(self, options: Any, match: str) -> None:
        with pytest.raises(DefinitionError, match=match):
            Recorder(every_minute(1)).flow.serve(executor=HERE, **options)

    def test_a_flow_without_a_schedule_is_refused(self) -> None:
        with pytest.raises(DefinitionError, match=r"'recorded' has no schedule.*schedule=IntervalSchedule"):
            Recorder(None).flow.serve(executor=HERE)

    def test_a_flow_that_is_being_built_is_refused(self) -> None:
        with (
            Flow("open", schedule=every_minute(1)) as made,
            pytest.raises(RuntimeError, match="cannot serve"),
        ):
            made.serve(executor=HERE)


@pytest.mark.parametrize("given", ["0 9 * * *", timedelta(hours=1), clocks.IntervalClock(MINUTE)])
def test_what_is_no_schedule_is_refused_by_the_flow(given: Any) -> None:
    with pytest.raises(DefinitionTypeError, match=r"Flow 'x' has schedule=.*write CronSchedule"):
        Flow("x", schedule=given)


def test_a_schedule_that_was_put_on_the_flow_later_is_looked_at_too() -> None:
    made = Flow("x")

    with pytest.raises(DefinitionTypeError, match="schedule='hourly'"):
        made.schedule = "hourly"  # type: ignore[assignment]


class TestTimetable:
    def starts(self, *minutes: int) -> Iterator[ClockEvent]:
        return iter([ClockEvent(EIGHT + minute * MINUTE) for minute in minutes])

    def test_long_waits_are_cut_so_that_a_jump_of_the_clock_is_seen(self) -> None:
        glass = Hourglass()

        list(due_starts(self.starts(60), glass))

        assert set(glass.slept) == {LONGEST_SLEEP}

    def test_a_start_that_was_waited_for_is_given_even_if_the_machine_slept_through_it(self) -> None:
        class Suspended(Hourglass):
            def sleep(self, seconds: float) -> None:
                self.time += timedelta(hours=4)

        given = [event.moment for event in due_starts(self.starts(1, 60, 500), Suspended())]

        assert given == [EIGHT + MINUTE, EIGHT + 500 * MINUTE]

    def test_starts_out_of_order_are_taken_as_they_come(self) -> None:
        given = [event.moment for event in due_starts(self.starts(2, 1, 3), Hourglass(), "all")]

        assert given == [EIGHT + minute * MINUTE for minute in (2, 1, 3)]

    def test_the_wall_clock_tells_the_time_and_sleeps(self) -> None:
        before = WALL_CLOCK.now()
        WALL_CLOCK.sleep(0.001)

        assert WALL_CLOCK.now() > before
        assert before.tzinfo is UTC


def test_a_real_schedule_in_real_time_runs_twice() -> None:
    now = datetime.now(UTC)
    soon = Schedule([clocks.DatesClock([now + timedelta(seconds=seconds) for seconds in (0.3, 0.6)])])
    seen = []
    with Flow("real", schedule=soon) as made:
        task(lambda: seen.append(context.scheduled_start_time), name="note")()

    made.serve(executor=HERE, catch_up="all")

    assert seen == soon.clocks[0].dates  # type: ignore[attr-defined]


@pytest.mark.cluster
def test_each_run_on_a_cluster_has_its_start_in_its_tasks_context() -> None:
    glass = Hourglass()

    @task
    def when() -> datetime:
        found: datetime = context.scheduled_start_time
        return found

    schedule = IntervalSchedule(EIGHT, MINUTE, EIGHT + 2 * MINUTE)
    with Flow("on a cluster", schedule=schedule) as made:
        found = when()

    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        state = made.run(executor=DaskExecutor(client), clock=glass)
        assert state.result[found].result == EIGHT + 2 * MINUTE


def test_a_copy_of_a_flow_and_one_that_was_written_to_a_file_keep_the_schedule(tmp_path: Path) -> None:
    made = Recorder(every_minute(2)).flow.copy()
    Flow("saved", schedule=every_minute(2)).save(str(tmp_path / "saved.flow"))

    for one in (made, Flow.load(str(tmp_path / "saved.flow"))):
        assert one.schedule is not None
        assert one.schedule.next(9, EIGHT) == [EIGHT + MINUTE, EIGHT + 2 * MINUTE]
