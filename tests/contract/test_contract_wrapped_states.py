"""States that wrap others are taken for what they wrap, wherever a user gives one, the same at every place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefectlite import Flow, LocalExecutor, signals, task
from prefectlite.states import ClientFailed, Failed, Mapped, Queued, Running, State, Submitted, Success


def wrapped(result: int) -> State:
    return Queued("told", state=Submitted(state=Success(result=result)))


def ends_queued(upstreams: Mapping[Any, State]) -> bool:
    raise signals.ENDRUN(wrapped(4))


def says_submitted(task: Any, old: State, new: State) -> State:
    return wrapped(3) if new.is_finished() else Submitted(state=new)


@task
def given(x: int) -> int:
    return x


@task
def ends() -> int:
    raise signals.ENDRUN(wrapped(2))


def test_a_state_that_wraps_another_is_taken_for_that_one(world: Any) -> None:
    with Flow("wrapped", state_handlers=[lambda flow, old, new: Submitted(state=new)]) as flow:
        kept, anew, children = given(0), given(9), given.map([0, 8])
        ended = ends()
        handled = given(0, task_args={"state_handlers": [says_submitted]})
        refused = given(0, task_args={"trigger": ends_queued})
    states = {
        kept: wrapped(1),
        anew: Queued(state=Running()),
        children: ClientFailed(state=Mapped(map_states=[wrapped(7), Submitted()])),
    }

    state = world.run(flow, task_states=states)

    tasks = (kept, anew, children, ended, handled, refused)
    assert [state.result[one].result for one in tasks] == [1, 9, [7, 8], 2, 3, 4]
    assert type(state) is Success


def test_a_state_that_wraps_nothing_fails_what_cannot_wait() -> None:
    with Flow("nothing") as flow:
        body = given(0, task_args={"state_handlers": [lambda task, old, new: ClientFailed("nothing in it")]})

    state = flow.run(executor=LocalExecutor()).result[body]

    assert type(state) is Failed
    assert state.message == "A state handler made Pending of Pending -> Running, which cannot follow."
