"""What ``flow.run`` is given beside parameters, the same at every place (reference section 11.2)."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, Parameter, context, task, triggers
from prefectlite.cache_validators import duration_only
from prefectlite.errors import DefinitionTypeError, ParameterError
from prefectlite.results import LocalResult
from prefectlite.schedules import IntervalSchedule, Schedule
from prefectlite.schedules.clocks import DatesClock
from prefectlite.signals import LOOP, PAUSE
from prefectlite.states import (
    Cached,
    Failed,
    Mapped,
    Paused,
    Pending,
    Resume,
    Retrying,
    Running,
    Scheduled,
    State,
    Submitted,
    Success,
)

LATER = datetime(2999, 1, 1, tzinfo=UTC)


@task
def goes_on(x: int = 0) -> tuple[Any, ...]:
    return x, context.task_run_count, context.get("resume"), context.get("task_loop_result")


@task(max_retries=2)
def fails_in_vain(x: int) -> None:
    raise ValueError(x)


def test_runs_go_on_from_the_states_that_they_are_given(world: Any, tmp_path: Any) -> None:
    keeps = {"cache_for": 60, "cache_validator": duration_only, "result": LocalResult(str(tmp_path / "kept"))}
    with Flow("on") as flow:
        retried, approved, looped, cached = (goes_on(n) for n in range(4))
        paused, below = goes_on(4, task_args={"trigger": triggers.manual_only}), goes_on(retried)
        cached = goes_on(task_args=keeps)
        children, spent = goes_on.map(list(range(6))), fails_in_vain.map([1, 2])
    soon = datetime.now(UTC) + timedelta(seconds=0.02)

    state = world.run(
        flow,
        wait_for_approval=False,
        task_states={
            retried: Retrying(run_count=1, start_time=soon),
            approved: Resume(),
            looped: Pending(context={"task_loop_count": 3, "task_loop_result": "handed on"}),
            cached: Cached(result="cached", cached_result_expiration=LATER),
            paused: Paused("look"),
            children: Mapped(
                map_states=[
                    Success(result="kept"),
                    Retrying(run_count=2),
                    Failed(result=KeyError("kept")),
                    Scheduled(start_time=soon),
                    Paused("look"),
                ]
            ),
            spent: Mapped(map_states=[Retrying(run_count=2), Retrying(run_count=1)]),
        },
    )

    assert type(state) is Running
    found = {one: state.result[one].result for one in (retried, approved, looped, cached, below)}
    assert found == {
        retried: (0, 2, None, None),
        approved: (1, 1, True, None),
        looped: (2, 1, None, "handed on"),
        cached: "cached",
        below: ((0, 2, None, None), 1, None, None),
    }
    assert type(state.result[paused]) is Paused
    first, second, third, fourth, fifth, sixth = state.result[children].map_states
    assert [one.result for one in (first, second, fourth, sixth)] == [
        "kept",
        (1, 3, None, None),
        (3, 1, None, None),
        (5, 1, None, None),
    ]
    assert (str(third.result), type(fifth)) == ("'kept'", Paused)
    assert [type(one) for one in state.result[spent].map_states] == [Failed, Failed]


def test_a_run_that_was_left_goes_on_as_if_it_had_not_been(world: Any) -> None:
    @task
    def laps() -> int:
        if "task_loop_count" not in context:
            raise LOOP(result=40)
        if not context.get("resume"):
            raise PAUSE("look")
        return context.task_loop_result + context.task_loop_count

    @task
    def child(x: int) -> int:
        if x == 2 and not context.get("resume"):
            raise PAUSE("look")
        return 10 * x

    ran = world.ran

    @task
    def total(x: int, xs: list[int]) -> int:
        ran("total")
        return x + sum(xs)

    with Flow("left") as flow:
        one, many = laps(), child.map([1, 2, 3])
        last = total(one, many)

    left = world.run(flow, wait_for_approval=False)
    states = {
        task_: approved(state)
        if not isinstance(state, Mapped)
        else Mapped(map_states=[approved(child) for child in state.map_states])
        for task_, state in left.result.items()
    }
    again = world.run(flow, wait_for_approval=False, task_states=left.result)
    done = world.run(flow, task_states=states)

    assert [type(one) for one in (left, again, done)] == [Running, Running, Success]
    assert [type(again.result[task_]) for task_ in (one, last)] == [Paused, Pending]
    assert done.result[last].result == 42 + 60
    assert world.runs() == {"total": 1}


def approved(state: State) -> State:
    return Resume(context=state.context) if isinstance(state, Paused) else state


def test_the_context_of_a_task_holds_what_it_alone_is_given(world: Any, place: str) -> None:
    heard: list[Any] = []

    def hears(task_: Any, old: State, new: State) -> None:
        if new.is_finished() and not new.is_mapped():
            heard.append(context.get("region"))

    def agrees(upstreams: Any) -> bool:
        heard.append(("trigger", context.region))
        return True

    @task(state_handlers=[hears], max_retries=1)
    def place(x: int) -> tuple[Any, ...]:
        if context.task_run_count == 1:
            raise ValueError
        return x, context.get("region"), context.today, context.secrets.get("KEY")

    with Flow("regions") as flow:
        one, other, isolated = place(1), place(1), place(1, task_args={"isolate": place == "local"})
        many = place.map([1, 2, 3])
        asked = place(4, task_args={"trigger": agrees})
        n = Parameter("n", default=1)
        flow.add_task(n)

    state = world.run(
        flow,
        context={"region": "all", "date": "2026-03-01", "secrets": {"KEY": "for all 12345"}},
        task_contexts={
            one: {"region": "north", "date": "2026-05-01"},
            many: {"region": "south", "secrets": {"KEY": "for maps 12345"}},
            asked: {"region": "west"},
            isolated: {"region": "far"},
            n: {"region": "nowhere"},
        },
    )

    same, key = "2026-03-01", "for all 12345"
    assert [state.result[task_].result for task_ in (one, other, many, asked, isolated)] == [
        (1, "north", "2026-05-01", key),
        (1, "all", same, key),
        [(x, "south", same, "for maps 12345") for x in (1, 2, 3)],
        (4, "west", same, key),
        (1, "far", same, key),
    ]
    assert sorted(map(str, heard)) == sorted(
        [str(("trigger", "west")), *["all"] * 2, *["far"] * 2, *["north"] * 2, *["south"] * 6, *["west"] * 2]
    )


def test_what_cannot_travel_in_the_context_of_a_task_fails_that_task_alone(world: Any, pickles: bool) -> None:
    with Flow("locked") as flow:
        one, other = goes_on(1), goes_on(2)

    state = world.run(flow, task_contexts={one: {"region": "north", "lock": threading.Lock()}})

    assert state.result[other].is_successful()
    assert state.result[one].is_failed() is pickles
    if pickles:
        assert "'goes_on' cannot be sent to a worker: 'lock' in its context cannot be" in str(
            state.result[one].result
        )


# The state of the flow run


def flow_of(heard: list[Any], **options: Any) -> Flow:
    with Flow(
        "from", state_handlers=[lambda flow, old, new: heard.append((old, type(new)))], **options
    ) as flow:
        goes_on(1)
    return flow


@pytest.mark.parametrize(
    "state", [Pending(), Scheduled("now"), Scheduled(start_time=datetime(2020, 1, 1, tzinfo=UTC)), Resume()]
)
def test_a_flow_run_begins_with_the_state_that_it_is_given(state: State) -> None:
    heard: list[Any] = []
    ended = flow_of(heard).run(executor=LocalExecutor(), state=Submitted(state=state))

    assert ended.is_successful()
    assert heard[0][0] is state
    assert [new for _, new in heard] == [Running, Success]


def test_a_flow_run_that_runs_already_is_not_begun() -> None:
    heard: list[Any] = []

    assert flow_of(heard).run(executor=LocalExecutor(), state=Running()).is_successful()
    assert [new for _, new in heard] == [Success]


class FakeTime:
    """A timepiece whose time passes when somebody waits."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 9, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def test_a_flow_run_waits_for_the_time_that_it_is_scheduled_for() -> None:
    clock = FakeTime()
    start = datetime(2026, 3, 1, 10, tzinfo=UTC)
    with Flow("later", schedule=IntervalSchedule(interval=timedelta(days=1))) as flow:
        one = task(lambda: context.scheduled_start_time, name="one")()

    state = flow.run(
        executor=LocalExecutor(), state=Scheduled(start_time=start), clock=clock, run_on_schedule=False
    )

    assert state.result[one].result == start
    assert clock.moment == start


@pytest.mark.parametrize(
    "state",
    [Success("over", {}), Failed("over"), Success("over", {goes_on: Success()}), Failed("over", KeyError())],
)
def test_a_flow_run_that_is_over_ends_with_that_state_and_runs_nothing(state: State) -> None:
    heard: list[Any] = []
    flow = flow_of(heard)

    ended = flow.run(executor=LocalExecutor(), state=state)

    assert (type(ended), ended.message) == (type(state), "over")
    assert heard == []
    if isinstance(state.result, KeyError):
        assert ended is state
    else:
        assert all(type(ended.result[one]) is Pending for one in flow.tasks)
        assert ended.result.keys() - flow.tasks == (state.result or {}).keys()
    with pytest.raises(ParameterError):
        flow.run(executor=LocalExecutor(), state=state, z=1)
    with pytest.raises(DefinitionTypeError, match="clock=3"):
        flow.run(executor=LocalExecutor(), state=state, clock=3)  # type: ignore[arg-type]
    assert flow.run(executor=LocalExecutor(), state=ended) is ended


def test_a_flow_run_goes_on_from_the_tasks_states_in_its_own(world: Any) -> None:
    with Flow("on") as flow:
        first = goes_on(1)
        second = goes_on(first)
    left = Running("left", {first: Success(result=5)})

    state = world.run(flow, state=left)
    other = world.run(flow, state=left, task_states={first: Success(result=7)})
    over = world.run(
        flow, state=Success("over", {first: Success(result=5)}), task_states={second: Failed("no")}
    )

    assert (state.result[first].result, state.result[second].result[0]) == (5, 5)
    assert (other.result[first].result, other.result[second].result[0]) == (7, 7)
    assert over.result[first].result == 5
    assert over.result[second].is_failed()


@pytest.mark.parametrize(
    ("state", "days"), [(Pending(), [0, 1, 2]), (Success("over", {}), [1, 2]), (Running(), [0, 1, 2])]
)
def test_a_schedule_is_followed_after_the_run_that_begins_with_a_state(state: State, days: list[int]) -> None:
    """Prefect 1 makes the first run for the schedule's first start, and that start once more."""
    begun, clock = FakeTime().moment, FakeTime()
    ran: list[int] = []
    with Flow(
        "goes on", schedule=Schedule([DatesClock([begun + timedelta(days=n) for n in (1, 2)])])
    ) as flow:
        one = task(lambda: ran.append((clock.moment - begun).days), name="one")()

    ended = flow.run(executor=LocalExecutor(), state=state, clock=clock)

    assert ran == days
    assert ended.result[one].is_successful()


def test_of_the_runs_of_a_schedule_the_first_begins_with_the_states_that_are_given() -> None:
    starts: list[datetime] = []
    with Flow(
        "twice", schedule=Schedule([DatesClock([FakeTime().moment + timedelta(days=n) for n in (1, 2)])])
    ) as flow:
        one = task(lambda: starts.append(context.scheduled_start_time), name="one")()

    state = flow.run(executor=LocalExecutor(), task_states={one: Success("given")}, clock=FakeTime())

    assert starts == [FakeTime().moment + timedelta(days=2)]
    assert state.result[one].message != "given"
