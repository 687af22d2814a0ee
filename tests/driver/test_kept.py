"""States that a run is given: what is kept, what is not, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite import EnvVarSecret, Flow, LocalExecutor, resource_manager, task
from prefectlite.driver.kept import KeptStates
from prefectlite.errors import DefinitionError, DefinitionTypeError, ResultUnavailable
from prefectlite.states import (
    Failed,
    Looped,
    Mapped,
    Paused,
    ResultRef,
    Resume,
    Retrying,
    RunKey,
    Running,
    Skipped,
    State,
    Success,
)


@task
def inc(x: int) -> int:
    return x + 1


@resource_manager
class Scratch:
    def setup(self) -> int:
        return 1

    def cleanup(self, resource: int) -> None: ...


@pytest.mark.parametrize("state", [Running(), Retrying(), Paused(), Looped()])
def test_what_is_not_final_begins_anew(state: State) -> None:
    with Flow("anew") as flow:
        one = inc(1)

    assert KeptStates(flow, {one: state}).tasks == frozenset()
    assert flow.run(executor=LocalExecutor(), task_states={one: state}).result[one].result == 2


def test_secrets_and_resources_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "now")
    with Flow("own") as flow:
        secret = EnvVarSecret("KEPT")
        flow.add_task(secret)
        with Scratch() as scratch:  # type: ignore[attr-defined]
            inc(scratch)

    assert not KeptStates(flow, dict.fromkeys(flow.tasks, Success(result=3))).tasks & {secret, scratch}


def test_a_state_that_does_not_say_how_children_ended_is_none_of_a_map_and_the_other_way_round() -> None:
    with Flow("maps") as flow:
        mapped, plain = inc.map([1]), inc(1)

    assert not KeptStates(flow, {mapped: Skipped(), plain: Mapped(map_states=[Success()])}).tasks


def test_a_child_keeps_its_own_state_if_that_is_final() -> None:
    with Flow("maps") as flow:
        mapped = inc.map([1, 2, 3])
    kept = KeptStates(flow, {mapped: Mapped(map_states=[Failed("f"), Running()])})

    found = [kept.of(mapped, RunKey("inc-1", index)) for index in (0, 1, 2)]
    assert [one and one.message for one in found] == ["f", None, None]
    assert kept.of(mapped, RunKey("inc-1")) is None


def test_a_value_comes_along_or_is_said_to_be_gone() -> None:
    with Flow("values") as flow:
        one, other = inc(1), inc(2)
    first = flow.run(executor=LocalExecutor())

    (state,) = [KeptStates(flow, first.result).of(one, RunKey("inc-1"))]
    assert state is not None
    assert state.result_ref is None
    assert state.result == 2
    gone = Success(result=ResultRef(RunKey("inc-2")))
    with pytest.raises(ResultUnavailable, match=r"inc> in task_states is gone: .* Leave the task out"):
        KeptStates(flow, {other: gone})


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
        ("resume", DefinitionError, r"<Resume> for <FunctionTask: inc>, .*run.resume\(task\)"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name_value_and_mend(
    given: Any, error: type[Exception], text: str
) -> None:
    with Flow("f") as flow:
        one = inc(1)
    states = {"foreign": {inc: Success()}, "no state": {one: 3}, "resume": {one: Resume()}}.get(given, given)

    with pytest.raises(error, match=text):
        flow.run(executor=LocalExecutor(), task_states=states)
