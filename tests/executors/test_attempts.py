"""What an executor of one's own builds on: order, values, what is let go of, what is called off."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from prefectlite import Flow, task
from prefectlite.executors.attempts import Attempt, AttemptSession
from prefectlite.executors.protocol import RunBrief
from prefectlite.states import Cancelled, Crashed, State


class Place:
    """An executor whose ``begin`` is a function of the test's."""

    def __init__(self, begin: Callable[[Any, Attempt], None]) -> None:
        self._begin = begin
        self.session: Any = None

    def open(self, *told: Any) -> AttemptSession:
        begin = self._begin

        class Session(AttemptSession):
            def begin(self, attempt: Attempt) -> None:
                begin(self, attempt)

        self.session = Session(*told)
        return self.session


def at_once(session: AttemptSession, attempt: Attempt) -> None:
    session.finish(attempt, attempt.perform())


@task
def one() -> int:
    return 1


@task
def add(x: int, y: int = 1) -> int:
    return x + y


def test_a_session_that_says_not_where_bodies_run_is_none() -> None:
    with pytest.raises(TypeError, match="begin"):
        AttemptSession(RunBrief("0" * 32, "f"), print, print)


def test_attempts_begin_once_their_inputs_are_there() -> None:
    begun: list[str] = []

    def begin(session: AttemptSession, attempt: Attempt) -> None:
        begun.append(f"{attempt.key} {attempt.number}")
        at_once(session, attempt)

    with Flow("order") as flow:
        last = add(add(one()), add(5))

    assert flow.run(executor=Place(begin)).result[last].result == 8
    assert sorted(begun) == ["add-1 1", "add-2 1", "add-3 1", "one-1 1"]
    assert begun[-1] == "add-3 1"


def test_the_children_of_a_map_begin_one_by_one() -> None:
    keys: list[Any] = []

    def begin(session: AttemptSession, attempt: Attempt) -> None:
        keys.append(attempt.key)
        at_once(session, attempt)

    with Flow("map") as flow:
        mapped = add.map(add.map([1, 2, 3]))

    assert flow.run(executor=Place(begin)).result[mapped].result == [3, 4, 5]
    assert sorted(keys) == sorted((slug, index, 1) for slug in ("add-1", "add-2") for index in range(3))


def test_another_body_gets_the_same_arguments() -> None:
    def begin(session: AttemptSession, attempt: Attempt) -> None:
        session.finish(attempt, attempt.perform(lambda **given: sorted(given.items())))

    with Flow("other") as flow:
        last = add(2)

    assert flow.run(executor=Place(begin)).result[last].result == [("x", 2)]


def test_a_crash_ends_the_attempt_with_its_text() -> None:
    def begin(session: AttemptSession, attempt: Attempt) -> None:
        session.crash(attempt, "The lights went out.", cause="out-of-memory")

    with Flow("crash") as flow:
        made = one()
        add(made)

    state = flow.run(executor=Place(begin)).result[made]
    assert isinstance(state, Crashed)
    assert (state.message, state.cause) == ("The lights went out.", "out-of-memory")


def test_one_that_was_let_go_of_does_not_run_and_its_end_is_not_told() -> None:
    delivered: list[Any] = []
    bodies: list[str] = []
    place, begun = None, threading.Event()

    @task
    def body() -> None:
        bodies.append("ran")

    late: list[tuple[AttemptSession, Attempt]] = []

    def begin(session: AttemptSession, attempt: Attempt) -> None:
        late.append((session, attempt))
        begun.set()

    with Flow("late") as flow:
        made = body()
    place = Place(begin)
    run = flow.start(executor=place)
    assert begun.wait(30)
    run.cancel()
    state = run.wait(30)
    [(session, attempt)] = late

    session._deliver = delivered.extend
    outcome = attempt.perform()
    session.finish(attempt, outcome)
    session.crash(attempt, "too late")

    assert not session.awaits(attempt)
    assert bodies == []
    assert isinstance(outcome.report and outcome.report.state, Cancelled)
    assert delivered == []
    assert isinstance(state.result[made], Cancelled)


def test_a_body_in_a_thread_is_interrupted_when_the_run_is_called_off() -> None:
    running, ended = threading.Event(), threading.Event()
    pool = ThreadPoolExecutor(1)

    @task
    def loops() -> None:
        try:
            running.set()
            while True:
                time.sleep(0.01)
        finally:
            ended.set()

    def begin(session: AttemptSession, attempt: Attempt) -> None:
        pool.submit(at_once, session, attempt)

    with Flow("loops") as flow:
        made = loops()
    run = flow.start(executor=Place(begin))
    assert running.wait(30)
    run.cancel()

    assert isinstance(run.wait(30).result[made], Cancelled)
    assert ended.wait(30)
    pool.shutdown()


def test_ctrl_c_interrupts_a_body_in_the_drivers_thread_and_no_other_begins() -> None:
    begun: list[str] = []

    @task
    def loops(x: int) -> None:
        begun.append("body")
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            time.sleep(0.01)

    with Flow("loops") as flow:
        loops(1)
        loops(2)
    with pytest.raises(KeyboardInterrupt):
        flow.run(executor=Place(at_once))

    assert begun == ["body"]


def test_values_are_let_go_of_with_the_state() -> None:
    with Flow("keeps") as flow:
        made = add(one())
    place = Place(at_once)
    state: State | None = flow.run(executor=place)
    assert state is not None

    assert state.result[made].result == 2
    assert len(place.session._values) == 1
    assert place.session._shipments == {}
    assert place.session._bodies == {}
    state = None
    assert place.session._values == {}
