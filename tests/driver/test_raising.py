"""raise_on_exception: what a task raises comes out of flow.run."""

from __future__ import annotations

import time
from typing import Any

import pytest

from prefectlite import (
    Flow,
    LocalDaskExecutor,
    LocalExecutor,
    case,
    context,
    merge,
    raise_on_exception,
    signals,
    task,
)
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
    [
        signals.FAIL("why"),
        signals.TRIGGERFAIL("why"),
        signals.VALIDATIONFAIL("why"),
        signals.SKIP("why"),
        signals.ENDRUN(Failed("over")),
        signals.ENDRUN(Failed("over", result="no exception")),
    ],
)
def test_signals_make_states_as_ever(signal: signals.Signal) -> None:
    """Prefect 1 lets no signal out of flow.run."""

    def body() -> None:
        raise signal

    with Flow("asks") as flow:
        first = task(body, name="first")()
        task(lambda x: x, name="second")(first)

    with raise_on_exception():
        state = flow.run(executor=LocalExecutor())

    assert type(state.result[first]) is type(signal.state)
    assert state.is_failed() is signal.state.is_failed()


def test_a_retry_that_is_asked_for_ends_nothing() -> None:
    def body() -> int:
        if context.task_run_count == 1:
            raise signals.RETRY("once more")
        return 1

    assert raised(flow_of(body)) is None


def test_a_branch_that_is_skipped_does_not_end_the_run() -> None:
    with Flow("branches") as flow:
        with case(task(lambda: "north", name="region")(), "south"):
            south = task(lambda: 1, name="south")()
        after = merge(south, task(lambda: 2, name="other")())

    with raise_on_exception():
        state = flow.run(executor=LocalExecutor())

    assert state.result[after].result == 2


def test_a_state_that_a_handler_makes_ends_nothing() -> None:
    def refuse(task: Any, old: Any, new: Any) -> Any:
        return Failed("refused") if new.is_successful() else None

    assert raised(flow_of(lambda: 1, state_handlers=[refuse])) is None


def test_what_a_handler_raises_comes_out() -> None:
    def breaks(task: Any, old: Any, new: Any) -> None:
        raise LookupError("not there")

    assert isinstance(raised(flow_of(lambda: 1, state_handlers=[breaks])), LookupError)


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


def test_an_exception_that_cannot_travel_comes_out_as_its_stand_in() -> None:
    class Local(Exception):
        def __reduce__(self) -> Any:
            raise TypeError("stays here")

    def body() -> None:
        raise Local("boom")

    with raise_on_exception(), pytest.raises(TaskError, match="Local: boom"):
        flow_of(body).run(executor=LocalDaskExecutor("processes", num_workers=1))


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


@pytest.mark.parametrize(
    "signal",
    [signals.FAIL("why", result=KeyError("mine")), signals.ENDRUN(Failed("over", result=KeyError("mine")))],
)
def test_an_exception_that_a_signal_brings_was_not_raised(signal: signals.Signal) -> None:
    """Nobody raised it, as Prefect 1 sees it too."""

    def body() -> None:
        raise signal

    def trigger(upstreams: Any) -> bool:
        raise signal

    def handler(task: Any, old: Any, new: Any) -> Any:
        return signal.state

    assert raised(flow_of(body)) is None
    assert raised(flow_of(lambda: 1, trigger=trigger)) is None
    assert raised(flow_of(lambda: 1, state_handlers=[handler])) is None


def test_a_signal_brings_no_exception_from_another_process_either() -> None:
    def body() -> None:
        raise signals.FAIL("why", result=KeyError("mine"))

    with raise_on_exception():
        state = flow_of(body).run(executor=LocalDaskExecutor("processes", num_workers=1))

    assert state.is_failed()


def test_a_map_without_a_width_raises_nothing() -> None:
    with Flow("maps nothing") as flow:
        task(lambda x: x, name="each").map(task(lambda: None, name="nothing")())

    assert raised(flow) is None


def test_what_a_trigger_raises_comes_out() -> None:
    def breaks(upstreams: Any) -> bool:
        raise LookupError("not there")

    assert isinstance(raised(flow_of(lambda: 1, trigger=breaks)), LookupError)


@pytest.mark.parametrize("ending", [False, True])
def test_what_a_flows_own_handler_raises_comes_out(ending: bool) -> None:
    def breaks(flow: Any, old: Any, new: Any) -> None:
        if new.is_finished() is ending:
            raise LookupError("not there")

    flow = flow_of(lambda: 1)
    flow.state_handlers = [breaks]

    assert isinstance(raised(flow), LookupError)


def test_what_a_terminal_state_handler_raises_comes_out() -> None:
    def breaks(flow: Any, state: Any, references: Any) -> None:
        raise LookupError("not there")

    flow = flow_of(lambda: 1)
    flow.terminal_state_handler = breaks

    assert isinstance(raised(flow), LookupError)


def test_a_flow_that_a_handler_fails_raises_nothing() -> None:
    flow = flow_of(lambda: 1)
    flow.state_handlers = [
        lambda flow, old, new: Failed("no", KeyError("mine")) if new.is_finished() else None
    ]

    assert raised(flow) is None
