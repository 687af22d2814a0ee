"""Concurrency limits, at every place to run: never more bodies at once than a limit says. Section 2 of SEMANTICS.md.

Each body tells when it ran, by the machine's clock, which all processes share.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest

from prefectlite import Flow, Task, context, tags, task
from prefectlite.states import Mapped, State, Success

#: When a body began and ended.
Span = tuple[float, float]


def body(*_: Any) -> Span:
    began = time.monotonic()
    time.sleep(0.01)
    return began, time.monotonic()


@task
def free(x: Any = None) -> Span:
    return body(x)


@task(max_concurrency=1)
def single(x: Any = None) -> Span:
    return body(x)


def spans(states: Iterable[State]) -> list[Span]:
    found: list[Span] = []
    for state in states:
        found.extend(spans(state.map_states) if isinstance(state, Mapped) else [state.result])
    return found


def at_once(ran: Iterable[Span]) -> int:
    """The most bodies that ran at one moment."""
    steps = sorted(step for began, ended in ran for step in ((began, 1), (ended, -1)))
    most = now = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def test_without_a_limit_two_workers_work_at_once(world: Any, is_alone: bool) -> None:
    with Flow("free") as flow:
        made = [free(n) for n in range(40)]
    state = world.run(flow)
    ran = spans(state.result[one] for one in made)
    assert len(ran) == 40
    if not is_alone:
        assert at_once(ran) == 2


def test_children_and_calls_of_a_task_are_under_one_limit(world: Any) -> None:
    with Flow("task") as flow:
        made = [single.map(list(range(8))), single.map(list(range(4))), single(1), single(2)]
    state = world.run(flow)
    ran = spans(state.result[one] for one in made)
    assert (len(ran), at_once(ran)) == (14, 1)


def test_tasks_with_a_tag_are_under_one_limit(world: Any) -> None:
    class Own(Task):
        def run(self) -> Span:
            return body()

    with Flow("tag", tag_concurrency={"db": 1}) as flow:
        with tags("db"):
            made = [free.map(list(range(6))), free(1), Own()()]
        free.map(list(range(6)))
    state = world.run(flow)
    ran = spans(state.result[one] for one in made)
    assert (len(ran), at_once(ran)) == (8, 1)


def test_all_tasks_of_a_flow_are_under_one_limit(world: Any) -> None:
    with Flow("flow", max_concurrency=1) as flow:
        first = free.map(list(range(6)))
        second = free.map(first)
        last = free(second)
        made = [first, second, last, free(1)]
    state = world.run(flow)
    assert type(state) is Success
    ran = spans(state.result[one] for one in made)
    assert (len(ran), at_once(ran)) == (14, 1)


def test_retries_are_under_the_limit_too(world: Any) -> None:
    folder = str(world._folder)

    @task(max_concurrency=1, max_retries=2)
    def flaky(x: int) -> Span:
        from pathlib import Path

        began, ended = body(x)
        Path(folder, f"span+{x}+{context.attempt}").write_text(f"{began} {ended}")
        if context.attempt < 3:
            raise OSError(x)
        return began, ended

    with Flow("retries") as flow:
        flaky.map(list(range(4)))
    assert type(world.run(flow)) is Success
    written = [path.read_text().split() for path in world._folder.iterdir()]
    ran = [(float(began), float(ended)) for began, ended in written]
    assert (len(ran), at_once(ran)) == (12, 1)


def test_who_waits_longest_starts_next(world: Any) -> None:
    with Flow("order") as flow:
        made = single.map(list(range(10)))
    state = world.run(flow)
    began = [began for began, _ in spans([state.result[made]])]
    assert began == sorted(began)


def test_a_failure_makes_room_like_a_success(world: Any) -> None:
    @task(max_concurrency=1)
    def fails(x: int) -> None:
        raise ValueError(x)

    with Flow("failures") as flow:
        failed = fails.map(list(range(5)))
    state = world.run(flow)
    assert [str(child.result) for child in state.result[failed].map_states] == list("01234")


@pytest.mark.parametrize("most", [1, 2, 5])
def test_handlers_hear_of_no_more_that_run_at_once(most: int, world: Any) -> None:
    running: set[int | None] = set()
    seen: list[int] = []

    def handler(task_: Any, old: Any, new: Any) -> None:
        if new.is_running():
            running.add(context.map_index)
        elif old.is_running():
            seen.append(len(running))
            running.discard(context.map_index)

    with Flow("handled") as flow:
        task(lambda x: x, state_handlers=[handler], max_concurrency=most).map(list(range(8)))
    assert type(world.run(flow)) is Success
    assert (len(seen), max(seen) <= most) == (8, True)
