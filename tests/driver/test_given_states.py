"""States that a run is given: what is kept, what is gone on from, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefectlite import EnvVarSecret, Flow, LocalExecutor, Parameter, context, flatten, resource_manager, task
from prefectlite.cache_validators import duration_only
from prefectlite.driver.given_states import GivenStates
from prefectlite.errors import DefinitionError, DefinitionTypeError, ResultUnavailable
from prefectlite.results import LocalResult
from prefectlite.signals import LOOP, PAUSE
from prefectlite.states import (
    Cached,
    Failed,
    Looped,
    Mapped,
    Paused,
    ResultRef,
    Resume,
    Retrying,
    RunKey,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
)
from prefectlite.triggers import manual_only

PAST, LATER = datetime(2020, 1, 1, tzinfo=UTC), timedelta(seconds=0.05)


@task
def inc(x: int) -> int:
    return x + 1


@task
def told() -> dict[str, Any]:
    names = ("task_run_count", "resume", "task_loop_count", "task_loop_result")
    return {name: context[name] for name in names if name in context}


@resource_manager
class Scratch:
    def setup(self) -> int:
        return 1

    def cleanup(self, resource: int) -> None: ...


def run(flow: Flow, **options: Any) -> State:
    return flow.run(executor=LocalExecutor(), **options)


@pytest.mark.parametrize(
    ("state", "knows"),
    [
        (Running(), {"task_run_count": 1}),
        (Retrying(run_count=2), {"task_run_count": 3}),
        (Scheduled(start_time=PAST), {"task_run_count": 1}),
        (Paused(start_time=PAST), {"task_run_count": 1, "resume": True}),
        (Resume(), {"task_run_count": 1, "resume": True}),
        (
            Looped(loop_count=2, result="x"),
            {"task_run_count": 1, "task_loop_count": 3, "task_loop_result": "x"},
        ),
    ],
)
def test_a_body_goes_on_from_the_state_that_it_is_given(state: State, knows: dict[str, Any]) -> None:
    with Flow("on") as flow:
        one = told()

    assert run(flow, task_states={one: state}).result[one].result == knows


def test_times_are_kept_and_others_go_on_meanwhile() -> None:
    ended: list[str] = []

    @task
    def ends(name: str) -> None:
        ended.append(name)

    with Flow("times") as flow:
        retried, scheduled, paused, _ = (ends(name) for name in ("retried", "scheduled", "paused", "-"))
    begun = datetime.now(UTC)
    states = {
        retried: Retrying(run_count=1, start_time=begun + 2 * LATER),
        scheduled: Scheduled(start_time=begun + LATER),
        paused: Paused(start_time=begun + 3 * LATER),
    }

    assert run(flow, task_states=states).is_successful()
    assert ended == ["-", "scheduled", "retried", "paused"]
    assert datetime.now(UTC) - begun >= 3 * LATER


def test_what_is_paused_stays_so_until_it_is_approved() -> None:
    with Flow("approval") as flow:
        one = told(task_args={"trigger": manual_only})
    states = {one: Paused("look")}

    left = run(flow, task_states=states, wait_for_approval=False)
    assert type(left) is Running
    assert left.result[one].message == "look"
    handle = flow.start(executor=LocalExecutor(), task_states=states, wait_for_approval=False)
    assert type(handle.wait(60)) is Running
    handle.resume(one)
    assert handle.wait(60).result[one].result == {"task_run_count": 1, "resume": True}
    approved = run(flow, task_states={**left.result, one: Resume()})
    assert approved.result[one].result == {"task_run_count": 1, "resume": True}


def test_a_run_that_was_left_is_gone_on_from_with_its_states() -> None:
    bodies: list[tuple[str, int, Any]] = []

    @task
    def steps(x: int) -> int:
        bodies.append(("steps", context.get("task_loop_count", 1), context.get("task_loop_result")))
        if "task_loop_count" not in context:
            raise LOOP(result=7)
        if not context.get("resume"):
            raise PAUSE("look")
        return context.task_loop_result + x

    @task
    def child(x: int) -> int:
        bodies.append(("child", x, None))
        if x == 2 and not context.get("resume"):
            raise PAUSE("look")
        return 10 * x

    with Flow("left") as flow:
        first = steps(1)
        children = child.map([1, 2, 3])
        total = inc(first)
        all_children = inc.map(children)

    left = run(flow, wait_for_approval=False)
    assert type(left) is Running
    paused = left.result[children].map_states[1]
    went_on = dict(left.result)
    went_on[first] = Resume(context=went_on[first].context)
    states = list(left.result[children].map_states)
    went_on[children] = Mapped(map_states=[states[0], Resume(context=paused.context), states[2]])
    bodies.clear()
    done = run(flow, task_states=went_on)

    assert done.is_successful()
    assert done.result[total].result == 9
    assert done.result[all_children].result == [11, 21, 31]
    assert sorted(bodies) == [("child", 2, None), ("steps", 2, 7)]


def test_the_attempts_that_are_left_are_made() -> None:
    bodies: list[int] = []

    @task(max_retries=2)
    def fails() -> None:
        bodies.append(context.task_run_count)
        raise ValueError

    with Flow("budget") as flow:
        retried, paused = fails(), fails()
    states = {
        retried: Retrying(run_count=1),
        paused: Resume(context={"task_run_count": 3}),
    }

    assert run(flow, task_states=states).is_failed()
    assert sorted(bodies) == [2, 3, 3]


def test_a_cached_value_is_used_if_the_tasks_cache_agrees(tmp_path: Any) -> None:
    cached = Cached(result=99, cached_result_expiration=datetime(2999, 1, 1, tzinfo=UTC))
    expired = cached.replace(cached_result_expiration=PAST)
    keeps = {
        "cache_for": timedelta(hours=1),
        "cache_validator": duration_only,
        "result": LocalResult(tmp_path),
    }
    with Flow("cached") as flow:
        agrees, refuses = inc(1, task_args=keeps), inc(2, task_args={**keeps, "cache_key": "other"})
        has_none = inc(3)
        child = inc.map([4], task_args={**keeps, "cache_key": "child"})
        is_told = task(lambda x: context.upstream_states["x"].has_result, name="is_told")(agrees)

    state = run(
        flow,
        task_states={agrees: cached, refuses: expired, has_none: cached, child: Mapped(map_states=[cached])},
    )

    found = {one: (type(state.result[one]), state.result[one].result) for one in (agrees, refuses, has_none)}
    assert found == {agrees: (Cached, 99), refuses: (Cached, 3), has_none: (Success, 4)}
    assert state.result[child].result == [99]
    assert state.result[is_told].result is False  # the state travels without the value


def test_secrets_and_resources_that_had_ended_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "now")
    with Flow("own") as flow:
        secret = EnvVarSecret("KEPT")
        length = measured(secret)
        with Scratch() as scratch:  # type: ignore[attr-defined]
            made = inc(scratch)
        n = Parameter("n", default=1)
        flow.add_task(n)

    state = run(flow, task_states=dict.fromkeys([secret, scratch, n], Success(result=30)))

    assert [state.result[one].result for one in (length, made, n)] == [3, 2, 1]


@task
def measured(text: str) -> int:
    return len(text)


def test_a_value_that_is_kept_in_place_of_a_map_is_mapped_over_and_a_plain_task_is_no_map() -> None:
    with Flow("maps") as flow:
        mapped, plain = inc.map([1]), inc(1)
        below, whole = inc.map(mapped), inc.map(flatten([plain_list := listed()]))

    state = run(
        flow,
        task_states={
            mapped: Success(result=[5, 6]),
            plain: Mapped(map_states=[Success(result=3)]),
            plain_list: Success(result=[7, 8]),
        },
    )

    assert [state.result[one].result for one in (below, plain, whole)] == [[6, 7], 2, [8, 9]]


@task
def listed() -> list[int]:
    return []


@pytest.mark.parametrize("state", [Failed("f"), Skipped("s")])
def test_a_map_that_did_not_unfold_is_kept_as_it_is(state: State) -> None:
    with Flow("maps") as flow:
        mapped = inc.map([1, 2])

    assert run(flow, task_states={mapped: state}).result[mapped] is state


def test_a_value_comes_along_that_somebody_reads_or_is_said_to_be_gone() -> None:
    with Flow("values") as flow:
        one = inc(1)
        listed_ = [one, inc(2)]
        read = [measured_all(listed_), inc(one)]
    gone = ResultRef(RunKey("inc-1"))
    first = run(flow)

    for reader in read:
        others = {task_: state for task_, state in first.result.items() if task_ is not reader}
        again = run(flow, task_states=others).result[reader]
        assert again.result == first.result[reader].result
        with pytest.raises(ResultUnavailable, match=r"inc> in task_states is gone: .* Leave the task out"):
            GivenStates(flow, {**others, one: Success(result=gone)})
    kept = run(flow, task_states={**first.result, one: Success("unread", result=gone)})
    assert kept.is_successful()
    assert kept.result[one].message == "unread"
    assert run(flow, task_states={one: Cached(result=gone)}).result[read[1]].result == 3


@task
def measured_all(numbers: list[int]) -> int:
    return len(numbers)


def test_what_was_let_go_of_since_it_was_read_is_not_missed() -> None:
    large = 20_000

    @task
    def chunks() -> list[int]:
        return list(range(large))

    @task
    def few(numbers: list[int]) -> list[list[int]]:
        return [numbers[:1], numbers[1:2]]

    @task
    def keeps(numbers: list[int]) -> int:
        return len(numbers)

    @task(trigger=manual_only)
    def ends(numbers: list[int]) -> int:
        return sum(numbers)

    with Flow("large") as flow:
        source = chunks()
        some = few(source)
        ends(keeps.map(some))
        last = ends(inc.map(flatten(some)))
    left = run(flow, wait_for_approval=False)
    for task_ in (source, some):
        left.result[task_] = Success("let go of", result=ResultRef(left.result[task_].result_ref.run))

    state = run(flow, task_states={**left.result, last: Resume()}, wait_for_approval=False)

    assert state.result[last].result == 3
    assert [state.result[task_].message for task_ in (source, some)] == ["let go of"] * 2


def test_children_whose_values_were_let_go_of_are_missed_by_children_that_still_read_them_alone() -> None:
    with Flow("pairs") as flow:
        above = inc.map([1, 2, 3])
        below = inc.map(above)
        whole = measured_all(below)
    gone, here = Success(result=ResultRef(RunKey("inc-1", 0))), Success(result=2)
    ended, waits = Success(result=5), Retrying(run_count=1)
    states = {above: Mapped(map_states=[gone, here, Success(result=4)])}

    state = run(flow, task_states={**states, below: Mapped(map_states=[ended, waits])})
    assert state.result[below].result == [5, 3, 5]
    assert state.result[whole].result == 3
    with pytest.raises(ResultUnavailable, match="is gone"):
        run(flow, task_states={**states, below: Mapped(map_states=[waits, ended, ended])})


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (3, DefinitionTypeError, r"'f' is given task_states=3, which is no mapping .*; pass \{task: state\}"),
        (
            "foreign",
            DefinitionError,
            "'f' is given a state for <FunctionTask: inc>, which is not in it; use what",
        ),
        ("no state", DefinitionTypeError, r"inc>: 3\}, which is no state; pass \{task: state\}"),
    ],
)
def test_what_is_no_state_of_the_flow_is_refused_by_name_value_and_mend(
    given: Any, error: type[Exception], text: str
) -> None:
    with Flow("f") as flow:
        one = inc(1)
    states = {"foreign": {inc: Success()}, "no state": {one: 3}}.get(given, given)

    with pytest.raises(error, match=text):
        run(flow, task_states=states)


@pytest.mark.parametrize(
    ("made", "values"),
    [
        (Mapped("made"), []),
        (Mapped("made", map_states=[Success(result=1), Success(result=2)]), [2, 3]),
        (Success("made", [7, 8]), [8, 9]),
        (Success("made"), None),
    ],
    ids=["nobody", "children", "a list", "nothing"],
)
def test_a_map_goes_on_over_what_somebody_made_of_a_failed_one(made: State, values: list[int] | None) -> None:
    """Prefect 1 hangs there, or fails the flow run."""

    def mends(task: Any, old: State, new: State) -> State | None:
        return made if new.is_failed() else None

    with Flow("mended") as flow:
        first = inc.map(task(lambda: None, name="nothing")(), task_args={"state_handlers": [mends]})
        second = inc.map(first)

    for state in (run(flow), run(flow, task_states={first: made})):
        assert state.result[first].message == "made"
        assert state.is_successful() is (values is not None)
        if values is None:
            assert "input 'x': it is None" in str(state.result[second].message)
        else:
            assert state.result[second].result == values


def test_a_map_that_is_given_tells_how_long_a_value_is_that_is_left_out() -> None:
    with Flow("over") as flow:
        rows = task(lambda: [1, 2], name="rows")()
        first = inc.map(rows)
        second = inc.map(first)
    done = Mapped(map_states=[Success(result=5), Success(result=6)])

    state = run(flow, task_states={rows: Success(), first: done})

    assert state.result[second].result == [6, 7]
