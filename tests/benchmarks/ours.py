"""The same work as flows, built before the clock starts. Knows the public names only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import prefectlite
from prefectlite import DaskExecutor, Flow, task
from tests.benchmarks import bodies

Work = Callable[[], Any]

inc = task(bodies.inc)
add = task(bodies.add)
total = task(bodies.total)
last = task(bodies.last)
passed_on = task(bodies.passed_on)
size = task(bodies.size)


def fails_once(x: int) -> int:
    if prefectlite.context.task_run_count == 1:
        raise RuntimeError("The first attempt fails, on purpose.")
    return x + 1


def _run(flow: Flow, executor: DaskExecutor, read: Any, expected: int) -> Work:
    def work() -> Any:
        state = flow.run(executor=executor)
        failed = [f"{task.name}: {one.message}" for task, one in state.result.items() if one.is_failed()]
        assert state.is_successful(), f"{state}; {failed[:2]}"
        # Read after the run, from its own state: what is asked for travels then.
        found = state.result[read].result
        assert found == expected, found
        return state

    return work


def fan_out(executor: DaskExecutor, tasks: int) -> Work:
    with Flow("fan-out") as flow:
        end = total([inc(i) for i in range(tasks)])
    return _run(flow, executor, end, sum(range(1, tasks + 1)))


def mapped(executor: DaskExecutor, tasks: int) -> Work:
    with Flow("map") as flow:
        end = total(inc.map(list(range(tasks))))
    return _run(flow, executor, end, sum(range(1, tasks + 1)))


def chain(executor: DaskExecutor, tasks: int) -> Work:
    with Flow("chain") as flow:
        end: Any = 0
        for _ in range(tasks):
            end = inc(end)
    return _run(flow, executor, end, tasks)


def diamond(executor: DaskExecutor, layers: int, width: int) -> Work:
    with Flow("diamond") as flow:
        row: list[Any] = [inc(0) for _ in range(width)]
        for _ in range(1, layers):
            row = [add(row[j], row[(j + 1) % width]) for j in range(width)]
        end = total(row)
    return _run(flow, executor, end, width * 2 ** (layers - 1))


def failing(executor: DaskExecutor, tasks: int, *, fails: bool) -> Work:
    body = task(fails_once if fails else bodies.inc, name="once", max_retries=1)
    with Flow("retries") as flow:
        end = total([body(i) for i in range(tasks)])
    return _run(flow, executor, end, sum(range(1, tasks + 1)))


def blocks(executor: DaskExecutor, steps: int, nbytes: int) -> Work:
    with Flow("blocks") as flow:
        data: Any = task(bodies.block)(nbytes)
        for _ in range(steps - 1):
            data = passed_on(data)
        end = size(data)
        # The terminal task decides the flow and keeps its value: a number.
    return _run(flow, executor, end, nbytes)


def apart(executor: DaskExecutor, nbytes: int, addresses: list[str], *, data_edge: bool) -> Work:
    """A large result on one worker and its downstream on the other, with or without the value."""
    first, second = addresses
    with Flow("apart") as flow:
        # Kept, so that there is a value that could move: one that nobody reads is dropped where it was made.
        made = task(bodies.block, workers=first, keep_result=True)(nbytes)
        if data_edge:
            end = task(bodies.size, workers=second)(made)
        else:
            end = task(bodies.nothing, workers=second)(upstream_tasks=[made])
    return _run(flow, executor, end, nbytes if data_edge else 0)
