"""A ``Result`` that a state is given is opened, wherever a user gives one; a value that is one stays as it is."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

from prefectlite import Flow, context, signals, task
from prefectlite.results import LocalResult, Result
from prefectlite.states import Failed, State, Success


@task
def same(x: Any) -> Any:
    return x


def test_a_result_in_a_state_is_opened_wherever_that_comes_from(world: Any) -> None:
    @task
    def succeeds(how: str) -> None:
        if how == "signal":
            raise signals.SUCCESS("m", result=Result([1, 2]))
        if how == "state":
            raise signals.ENDRUN(Success("m", result=Result([1, 2])))

    @task
    def fails() -> None:
        raise signals.FAIL("m", result=Result("why"))

    @task
    def loops() -> Any:
        if context.get("task_loop_count", 1) == 1:
            raise signals.LOOP(result=Result([1, 2]))
        return context.task_loop_result

    def ends(made: Any, old: State, new: State) -> State | None:
        return Success("m", result=Result([1, 2])) if new.is_successful() else None

    with Flow("opened") as flow:
        made = [
            succeeds("signal"),
            succeeds("state"),
            loops(),
            same(0, task_args={"state_handlers": [ends]}),
            succeeds("not at all"),
        ]
        whole = [same(one) for one in made]
        each = [same.map(one) for one in made]
        failed = fails()

    state = world.run(flow, task_states={made[-1]: Success(result=Result([1, 2]))})

    assert [state.result[one].result for one in (*made, *whole, *each)] == [[1, 2]] * 15
    assert [state.result[one]._result.value for one in (*made, *whole, *each)] == [[1, 2]] * 15
    assert (type(state.result[failed]), state.result[failed].result) == (Failed, "why")
    assert state._result.value == state.result


def test_a_result_that_is_a_value_is_not_opened(world: Any) -> None:
    @task
    def returns() -> Result:
        return Result(3)

    @task
    def says() -> None:
        raise signals.SUCCESS(result=Result(Result(3)))

    with Flow("values") as flow:
        made = [returns(), says(), same(Result(3))]
        read = [same(one) for one in made]

    state = world.run(flow)
    again = world.run(flow, task_states={one: state.result[one] for one in made})

    for found in (state, again):
        assert [found.result[one].result for one in (*made, *read)] == [Result(3)] * 6
        assert [found.result[one].load_result().result for one in (*made, *read)] == [Result(3)] * 6
        assert found.result[made[0]]._result == Result(Result(3))


def test_a_states_result_says_where_the_value_is_stored(world: Any, tmp_path: Path) -> None:
    store = LocalResult(str(tmp_path))
    seen = []

    def sees(made: Any, old: State, new: State) -> None:
        seen.append((new.is_finished(), new._result.location, new._result.value))

    def ends(made: Any, old: State, new: State) -> State | None:
        return Success(result=written) if new.is_finished() else None

    @task
    def writes(value: int) -> None:
        raise signals.ENDRUN(Success(result=LocalResult(str(tmp_path), location="w.pkl").write(value)))

    written = store.write(5)
    with Flow("places") as flow:
        wrote = writes(7)
        read = same(wrote)
        stored = same(
            3, task_args={"result": LocalResult(str(tmp_path), location="s.pkl"), "state_handlers": [sees]}
        )
        at_target = same(4, task_args={"result": store, "target": "t.pkl"})
        given = same(0, task_args={"state_handlers": [ends]})
        nowhere = same(6)

    state, again = world.run(flow), world.run(flow)

    path = str(tmp_path / "s.pkl")
    assert seen[:2] == [(False, None, None), (True, path, 3)]
    assert [state.result[one]._result.location for one in (stored, at_target, given, nowhere, wrote)] == [
        path,
        str(tmp_path / "t.pkl"),
        written.location,
        None,
        str(tmp_path / "w.pkl"),
    ]
    assert again.result[at_target]._result.location == "t.pkl"
    assert state.result[nowhere]._result == Result(6)
    assert state.result[read].result == 7
    for one in (stored, given, wrote):
        again_read = state.result[one]._result
        assert isinstance(again_read, LocalResult)
        assert again_read.dir == str(tmp_path)
        assert again_read.exists(str(again_read.location))
        assert again_read.read(str(again_read.location)) == again_read == copy(again_read)
    assert (given_to := state.result[given]).result == given_to._result.value == 5
    assert store.read(path).value == 3


def test_a_stored_value_is_of_the_result_that_its_run_had_whatever_becomes_of_the_flow(
    world: Any, tmp_path: Path
) -> None:
    with Flow("changed", result=LocalResult(str(tmp_path))) as flow:
        by_flow = same(1)
        by_task = same(2, task_args={"result": LocalResult(str(tmp_path), location="t.pkl")})
    state = world.run(flow)

    flow.result, by_task.result = None, LocalResult(str(tmp_path / "other"))

    for one, value in ((by_flow, 1), (by_task, 2)):
        found = state.result[one]._result
        assert isinstance(found, LocalResult)
        assert (found.dir, found.value) == (str(tmp_path), value)
