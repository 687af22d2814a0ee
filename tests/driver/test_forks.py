"""Processes that are forked while a flow run is driven in the main thread: they end as without it."""

from __future__ import annotations

import multiprocessing
import signal
import time
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, task

# Python 3.12 and later warn of any fork beside threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
FORK = multiprocessing.get_context("fork")


def ended_by(number: signal.Signals) -> int | None:
    process = FORK.Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate() if number == signal.SIGTERM else process.kill()
    process.join(20)
    return process.exitcode


def squares() -> list[int]:
    with FORK.Pool(2) as pool:
        return pool.map(abs, range(4))


def run(body: Any, *arguments: Any) -> Any:
    with Flow("forks") as flow:
        told = task(body)(*arguments)
    return flow.run(executor=LocalExecutor()).result[told].result


def test_sigterm_ends_a_forked_process_as_it_would_without_a_flow_run() -> None:
    assert run(ended_by, signal.SIGTERM) == ended_by(signal.SIGTERM) == -signal.SIGTERM


def test_a_pool_in_a_body_ends() -> None:
    assert run(squares) == [0, 1, 2, 3]


def test_a_pool_in_the_body_of_a_flow_in_a_flow_ends() -> None:
    assert run(lambda: run(squares)) == [0, 1, 2, 3]


def test_a_state_handler_may_have_a_pool() -> None:
    seen: list[Any] = []

    def look(one: object, old: object, new: object) -> None:
        seen.append(squares())

    with Flow("forks", state_handlers=[look]) as flow:
        task(lambda: 1, name="one")()

    assert flow.run(executor=LocalExecutor()).is_successful()
    assert seen == [[0, 1, 2, 3]] * 2


def test_this_process_still_takes_the_signals_after_a_fork() -> None:
    def interrupted_after_a_fork() -> None:
        ended_by(signal.SIGKILL)
        signal.raise_signal(signal.SIGINT)
        time.sleep(60)

    with Flow("forks") as flow:
        task(interrupted_after_a_fork)()
    with pytest.raises(KeyboardInterrupt):
        flow.run(executor=LocalExecutor())
