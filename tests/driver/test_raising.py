"""raise_on_exception: what a task raises comes out of flow.run."""

from __future__ import annotations

import time
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, raise_on_exception, signals, task
from prefectlite.errors import TaskError
from prefectlite.states import Failed, Success


def flow_of(body: Any, **options: Any) -> Flow:
    with Flow("raises") as flow:
        task(body, name="body", **options)()
    return flow


def raised(flow: Flow) -> BaseException | None:
    """What comes out of a run inside the block."""
    try:
        with raise_on_exception():
            flow.run(executor=LocalExecutor())
    except BaseException as error:
        return error
    return None


def test_the_exception_itself_comes_out_with_the_users_lines() -> None:
    mine = ValueError("boom")

    def body() -> None:
        raise mine

    error = raised(flow_of(body))

    assert error is mine
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames[-1] == "body"


@pytest.mark.parametrize(
    "signal",
    [signals.FAIL, signals.TRIGGERFAIL, signals.VALIDATIONFAIL, signals.SKIP, signals.PAUSE, signals.RETRY],
)
def test_signals_come_out_as_themselves(signal: type[signals.Signal]) -> None:
    def body() -> None:
        raise signal("why")

    error = raised(flow_of(body))

    assert type(error) is signal
    assert error.args == ("why",)


def test_a_timeout_comes_out_too() -> None:
    def body() -> None:
        time.sleep(60)

    assert isinstance(raised(flow_of(body, timeout=0.2)), TimeoutError)


def test_the_first_attempt_counts_though_there_are_retries() -> None:
    tries = []

    def body() -> None:
        tries.append(1)
        raise ValueError(len(tries))

    error = raised(flow_of(body, max_retries=3))

    assert isinstance(error, ValueError)
    assert len(tries) == 1


def test_a_failure_without_an_exception_comes_out_as_a_stand_in() -> None:
    def body() -> None:
        raise signals.ENDRUN(Failed("over", result="no exception"))

    error = raised(flow_of(body))

    assert isinstance(error, TaskError)
    assert str(error) == "Failed: over"


def test_what_goes_well_returns_its_state() -> None:
    def loops() -> int:
        from prefectlite import context

        if context.get("task_loop_count") is None:
            raise signals.LOOP(result=1)
        return 2

    for body in (lambda: 1, loops):
        with raise_on_exception():
            assert type(flow_of(body).run(executor=LocalExecutor())) is Success


def test_what_is_skipped_by_the_rules_is_no_signal() -> None:
    with Flow("skips") as flow:
        one = task(lambda: 1, name="one")()
        task(lambda x: x, name="two", trigger=lambda up: (_ for _ in ()).throw(signals.SKIP("no")))(one)

    assert raised(flow) is None


def test_outside_of_the_block_and_in_bodies_nothing_is_raised() -> None:
    inner = flow_of(lambda: 1 / 0)

    def body() -> str:
        return type(inner.run(executor=LocalExecutor())).__name__

    with Flow("outer") as flow:
        ran = task(body, name="outer")()
    with raise_on_exception():
        state = flow.run(executor=LocalExecutor())

    assert state.result[ran].result == "Failed"
    assert type(inner.run(executor=LocalExecutor())) is Failed


def test_a_run_whose_context_is_given_it_raises_too() -> None:
    def body() -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        flow_of(body).run(executor=LocalExecutor(), context={"raise_on_exception": True})
