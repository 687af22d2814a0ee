"""Bodies that are async functions are awaited, the same at every place."""

from __future__ import annotations

import asyncio
from typing import Any

from prefectlite import Flow, LocalExecutor, Task, context, signals, task, unmapped
from prefectlite.states import Skipped, TimedOut
from prefectlite.testing import runs, simulate


@task
async def add(x: int, y: int = 1) -> int:
    """Add, by and by."""
    parts = await asyncio.gather(asyncio.sleep(0, x), asyncio.sleep(0, y))
    return sum(parts)


class Named(Task):
    async def run(self, x: Any) -> Any:
        await asyncio.sleep(0)
        return self.name, context.task_name, x


@task
async def skips() -> None:
    await asyncio.sleep(0)
    raise signals.SKIP("no news")


@task(max_retries=1)
async def fails_once(x: int) -> int:
    await asyncio.sleep(0)
    if context.task_run_count == 1:
        raise ValueError(x)
    return x


@task(log_stdout=True)
async def prints(x: int) -> int:
    print("got", x)
    return x


def test_an_async_body_is_awaited_as_others_are_called(world: Any) -> None:
    with Flow("async") as flow:
        one = add(1)
        children = add.map([1, 2, 3], unmapped(10))
        named = Named(name="own")(one)
        skipped, again, printed = skips(), fails_once(7), prints(5)

    state = world.run(flow)

    assert [state.result[each].result for each in (one, children, named, again, printed)] == [
        2,
        [11, 12, 13],
        ("own", "own", 2),
        7,
        5,
    ]
    assert type(state.result[skipped]) is Skipped


def test_an_async_body_ends_at_its_time_limit() -> None:
    @task(timeout=0.1)
    async def waits() -> None:
        await asyncio.sleep(600)

    with Flow("limited") as flow:
        ended = waits()

    assert type(flow.run(executor=LocalExecutor()).result[ended]) is TimedOut


def test_a_flow_runs_in_the_loop_of_a_notebook_and_async_bodies_in_their_own() -> None:
    with Flow("notebook") as flow:
        one = add(1)

    async def cell() -> Any:
        return flow.run(executor=LocalExecutor()).result[one].result

    assert asyncio.run(cell()) == 2


def test_an_async_function_may_stand_in_for_a_body() -> None:
    async def other(x: int) -> int:
        return x * 100

    with Flow("simulated") as flow:
        one = add(1)

    assert simulate(flow, outcomes={one: runs(other)})[one].result == 100
