"""The same work as flows, built before the clock starts. Knows the public names only."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import prefectlite
from prefectlite import DaskExecutor, Flow, task
from prefectlite.errors import DefinitionTypeError
from tests.benchmarks import bodies
from tests.benchmarks.patterns import Pattern

Work = Callable[[], Any]

inc = task(bodies.inc)
add = task(bodies.add)
total = task(bodies.total)
last = task(bodies.last)
passed_on = task(bodies.passed_on)
size = task(bodies.size)
looked_up = task(bodies.looked_up)
pause = task(bodies.pause)
held = task(bodies.held)
spin = task(bodies.spin)
array = task(bodies.array)
plus_one = task(bodies.plus_one)
corners = task(bodies.corners)


def inc_but_at(attempt: int, x: int) -> int:
    """Fail at one attempt; the same body without failures asks for an attempt that never comes."""
    if prefectlite.context.task_run_count == attempt:
        raise RuntimeError("This attempt fails, on purpose.")
    return x + 1


def _run(flow: Flow, executor: DaskExecutor, read: Any, expected: Any) -> Work:
    def work() -> Any:
        state = flow.run(executor=executor)
        if not state.is_successful():
            failed = [f"{task.name}: {one.message}" for task, one in state.result.items() if one.is_failed()]
            raise AssertionError(f"{state}; {failed[:2]}")
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


def built_fan_out(executor: DaskExecutor, tasks: int) -> Work:
    """The fan-out with its flow built while the clock runs."""

    def work() -> Any:
        return fan_out(executor, tasks)()

    return work


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


def tree(executor: DaskExecutor, leaves: int) -> Work:
    with Flow("tree") as flow:
        row: list[Any] = [inc(i) for i in range(leaves)]
        while len(row) > 1:
            row = [add(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return _run(flow, executor, row[0], sum(range(1, leaves + 1)))


def pattern(executor: DaskExecutor, what: Pattern, micros: float) -> Work:
    with Flow(what.name) as flow:
        row: list[Any] = []
        unread: list[Any] = []
        for step, reads in enumerate(what.steps):
            row = [spin(micros, *[row[j] for j in points]) for points in reads]
            unread += [row[j] for j in what.unread[step]]
        end = total(unread)
    return _run(flow, executor, end, what.expected)


def failing(executor: DaskExecutor, tasks: int, *, fails: bool) -> Work:
    body, attempt = task(inc_but_at, name="once", max_retries=1), 1 if fails else 0
    with Flow("retries") as flow:
        end = total([body(attempt, i) for i in range(tasks)])
    return _run(flow, executor, end, sum(range(1, tasks + 1)))


def blocks(executor: DaskExecutor, steps: int, nbytes: int) -> Work:
    with Flow("blocks") as flow:
        data: Any = task(bodies.block)(nbytes)
        for _ in range(steps - 1):
            data = passed_on(data)
        end = size(data)
        # The terminal task decides the flow and keeps its value: a number.
    return _run(flow, executor, end, nbytes)


def shared(executor: DaskExecutor, children: int, data: bytes | int) -> Work:
    """A map whose children all read one block: a constant, or so many bytes that a task makes."""
    with Flow("shared") as flow:
        read: Any = task(bodies.block)(data) if isinstance(data, int) else data
        end = total(looked_up.map(list(range(children)), prefectlite.unmapped(read)))
    return _run(flow, executor, end, children * ord("x"))


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


def mapped_failing(executor: DaskExecutor, tasks: int, *, fails: bool) -> Work:
    body, attempt = task(inc_but_at, name="once", max_retries=1), 1 if fails else 0
    with Flow("mapped-retries") as flow:
        end = total(body.map(prefectlite.unmapped(attempt), list(range(tasks))))
    return _run(flow, executor, end, sum(range(1, tasks + 1)))


def pauses(executor: DaskExecutor, seconds: Sequence[float]) -> Work:
    with Flow("pauses") as flow:
        end = total(pause.map(list(seconds)))
    return _run(flow, executor, end, len(seconds))


def straggling(executor: DaskExecutor, tasks: int, seconds: float) -> Callable[[], float]:
    """Two mapped stages; one child in the middle of the first takes ``seconds``, if that is not 0.

    The work returns after how many seconds all but that child and its reader were final; then it lets that child
    go, so that nobody waits for the rest of its time.
    """
    durations = [0.0] * tasks
    durations[tasks // 2] = seconds
    awaited = 2 * tasks - (2 if seconds else 0)
    folder = tempfile.TemporaryDirectory(prefix="gate-")
    gate = Path(folder.name, "open")
    with Flow("straggler") as flow:
        end = inc.map(held.map(durations, prefectlite.unmapped(str(gate))))

    def work() -> float:
        begun = time.perf_counter()
        run = flow.start(executor=executor)
        try:
            while run.counts().get("Success", 0) < awaited and not run.is_over:
                time.sleep(0.005)
            found = time.perf_counter() - begun
        except KeyboardInterrupt:
            run.cancel()
            raise
        finally:
            gate.touch()
        state = run.wait()
        folder.cleanup()
        assert state.is_successful(), state
        assert state.result[end].result == [2] * tasks
        return found

    return work


def has_associative() -> bool:
    """Whether a task can say that its reduce may go as a tree."""
    try:
        _with(bodies.added, associative=True)
    except DefinitionTypeError:
        return False
    return True


def _with(function: Callable[..., Any], **options: Any) -> Any:
    """Return a task with options that a type checker need not know."""
    made: Any = task
    return made(function, **options)


def arrays(executor: DaskExecutor, count: int, nbytes: int) -> Work:
    added = _with(bodies.added, **({"associative": True} if has_associative() else {}))
    with Flow("arrays") as flow:
        made = array.map(list(range(count)), prefectlite.unmapped(nbytes))
        end = corners(added(plus_one.map(made)))
    expected = sum(range(1, count + 1))
    return _run(flow, executor, end, (nbytes // 8 * 8, expected, expected))
