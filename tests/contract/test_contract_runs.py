"""Flow runs as a whole: context, logs, handles, cancelling, explaining, many at once."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, Parameter, context, task
from prefectlite import flow as as_flow
from prefectlite.engine.transitions import Transition
from prefectlite.journal.protocol import Submitted
from prefectlite.rules import triggers
from prefectlite.states import Cancelled, Failed, Mapped, Pending, RunKey, Skipped, Success


@task
def double(x: int) -> int:
    return 2 * x


@task
def fails(x: Any = None) -> None:
    raise ValueError("always")


def test_a_body_sees_its_run_and_its_upstreams(world: Any) -> None:
    @task(trigger=triggers.all_finished)
    def looks(a: int, b: Any) -> dict[str, Any]:
        seen = context.upstream_states
        return {
            "a": type(seen["a"]).__name__,
            "b": type(seen["b"]).__name__,
            "slug": type(seen["fails-1"]).__name__,
            "said": "always" in str(seen["b"].message),
            "values": [seen["a"].has_result, seen["b"].has_result],
            "order": type(seen["double-2"]).__name__,
            "x": context.parameters["x"],
            "flow": context.flow_name,
            "task": (context.task_name, context.task_slug),
            "run": len(context.flow_run_id),
        }

    with Flow("context") as flow:
        x = Parameter("x", default=3)
        looked = looks(double(x), fails(), upstream_tasks=[double(1)])

    assert world.run(flow).result[looked].result == {
        "a": "Success",
        "b": "Failed",
        "slug": "Failed",
        "said": True,
        "values": [False, False],
        "order": "Success",
        "x": 3,
        "flow": "context",
        "task": ("looks", "looks-1"),
        "run": 32,
    }


def test_callbacks_see_the_context_of_their_run(world: Any) -> None:
    seen: set[Any] = set()

    def handler(task_: Any, old: Any, new: Any) -> None:
        names = context.flow_name, context.task_full_name, context.map_index, context.task_run_count
        seen.add((*names, *context.parameters["x"]))

    @task(state_handlers=[handler])
    def child(x: int) -> int:
        return x

    with Flow("callbacks") as flow:
        child.map(Parameter("x", default=[5]))

    world.run(flow)

    assert seen == {("callbacks", "child", None, 1, 5), ("callbacks", "child[0]", 0, 1, 5)}


def test_log_records_and_prints_reach_the_driver_with_their_names(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @task(log_stdout=True)
    def speaks(x: int) -> None:
        logging.getLogger("somewhere").warning("record %d", x)
        print("printed", x)

    with Flow("logs") as flow:
        speaks.map([1, 2])

    lines: list[Any] = []

    class Listener:
        def started(self, run: Any) -> None: ...
        def turn(self, transitions: Any, counts: Any) -> None: ...
        def ended(self, state: Any) -> None: ...
        def log(self, more: Any) -> None:
            lines.extend(more)

    from prefectlite.driver.run import Run

    assert type(Run(flow, {}, world.place, observers=[Listener()]).drive()) is Success
    told = {(line.logger, line.message, line.flow, line.run, line.attempt) for line in lines}
    assert told >= {
        ("somewhere", "record 1", "logs", "speaks-1[0]", 1),
        ("somewhere", "record 2", "logs", "speaks-1[1]", 1),
        ("stdout", "printed 1", "logs", "speaks-1[0]", 1),
        ("stdout", "printed 2", "logs", "speaks-1[1]", 1),
    }


def test_a_started_run_can_be_looked_at_and_waited_for(world: Any) -> None:
    with Flow("started") as flow:
        x = Parameter("x", type=int)
        doubled = double(x)
        double.map([1, 2])

    run = flow.start(executor=world.executor, x=4)
    state = run.wait(60)

    assert len(run.run_id) == 32
    assert run.is_over
    assert type(state) is Success
    assert run.states()[doubled].result == 8
    assert run.states() == dict(state.result)
    assert run.counts() == {"Success": 3}
    assert "started" in repr(run)
    assert run.wait() is state


def test_an_awaited_run_leaves_the_event_loop_free(world: Any) -> None:
    @task
    def sleeps() -> int:
        time.sleep(0.3)
        return 1

    with Flow("awaited") as flow:
        slept = sleeps()

    async def main() -> tuple[Any, int]:
        run = flow.start(executor=world.executor)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.02)

        ticking = asyncio.ensure_future(tick())
        state = await run
        ticking.cancel()
        return state, ticks

    state, ticks = asyncio.run(main())

    assert state.result[slept].result == 1
    assert ticks >= 5


def test_a_flow_runs_inside_a_running_event_loop(world: Any) -> None:
    with Flow("inside") as flow:
        doubled = double(4)

    async def main() -> Any:
        return world.run(flow)

    assert asyncio.run(main()).result[doubled].result == 8


def test_a_cancelled_run_ends_cancelled_and_the_next_one_works(world: Any, place: str) -> None:
    ran = world.ran

    @task
    def slow(n: int) -> int:
        ran("slow")
        time.sleep(0.2)
        return n

    @task
    def below(x: int) -> None:
        ran("below")

    with Flow("cancelled") as flow:
        chain = slow(0)
        for _ in range(50):
            chain = slow(chain)
        last = below(chain)

    run = flow.start(executor=world.executor)
    while not world.runs():
        time.sleep(0.01)
    run.cancel()
    state = run.wait(60)

    assert type(state) is Cancelled
    assert type(state.result[last]) is Cancelled
    assert all(one.is_finished() for one in state.result.values())
    assert "below" not in world.runs()
    assert world.runs()["slow"] < 10
    with Flow("next") as after:
        doubled = double(4)
    assert world.run(after).result[doubled].result == 8


def test_a_cancelled_coroutine_cancels_its_run(world: Any) -> None:
    @task
    def slow(x: int) -> int:
        time.sleep(0.1)
        return x

    with Flow("coroutine") as flow:
        chain = slow(0)
        for _ in range(100):
            chain = slow(chain)

    async def main() -> Any:
        run = flow.start(executor=world.executor)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(run, 0.3)
        return run

    assert type(asyncio.run(main()).wait(60)) is Cancelled


def test_explain_tells_why_in_plain_words(world: Any) -> None:
    @task
    def below(x: Any) -> None: ...

    with Flow("explained") as flow:
        failed = fails()
        refused = below(failed)
        children = double.map([1, "a", None])

    run = flow.start(executor=world.executor)
    run.wait(60)

    said = run.explain(failed)
    assert "fails-1 is Failed" in said
    assert "always" in said
    assert "Pending -> Running" in said
    assert "Sent to run (attempt 1" in said
    said = run.explain(refused)
    assert "below-1 is TriggerFailed" in said
    assert "It read fails-1, which is Failed" in said
    said = run.explain(children)
    assert "2 Success" in said
    assert "double-1[2] is Failed" in said
    assert run.explain("double-1[1]").startswith("double-1[1] is Success")
    assert run.explain(RunKey("double-1", 0)) == run.explain("double-1[0]")
    assert run.explain().startswith("Flow 'explained' is Failed")
    with pytest.raises(KeyError, match="nothing-1"):
        run.explain("nothing-1")
    with pytest.raises(KeyError, match="returned"):
        run.explain(double)


def test_the_journal_keeps_every_transition_with_its_reason_and_the_act_before_it(world: Any) -> None:
    from prefectlite.states import Running

    with Flow("journal") as flow:
        doubled = double(double(1))

    run = flow.start(executor=world.executor)
    run.wait(60)
    history = run.history(doubled)

    kinds = [type(one.new).__name__ if isinstance(one, Transition) else "Submitted" for one in history]
    assert kinds == ["Submitted", "Running", "Success"]
    assert all(one.why.text and one.why.rule for one in history if isinstance(one, Transition))
    submitted = next(one for one in history if isinstance(one, Submitted))
    running = next(one for one in history if isinstance(one, Transition) and isinstance(one.new, Running))
    assert submitted.attempt == running.attempt == 1
    assert [type(one.new).__name__ for one in run.history("") if isinstance(one, Transition)] == [
        "Running",
        "Success",
    ]


def test_every_task_has_a_state_and_is_pending_if_it_never_ran(world: Any) -> None:
    @task(trigger=triggers.manual_only)
    def approve() -> None: ...

    with Flow("every") as flow:
        n = Parameter("n", default=2)
        doubled = double(n)
        waits = approve()
        below = double(waits)
        children = double.map([doubled, n])

    state = world.run(flow, wait_for_approval=False)

    assert set(state.result) == set(flow.tasks)
    assert [type(state.result[one]).__name__ for one in (n, doubled, waits, below, children)] == [
        "Success",
        "Success",
        "Paused",
        "Pending",
        "Mapped",
    ]


def test_states_that_are_given_are_kept_and_their_bodies_do_not_run(world: Any) -> None:
    ran = world.ran
    heard: list[str] = []

    def hears(task_: Any, old: Any, new: Any) -> None:
        heard.append(type(new).__name__)

    @task(state_handlers=[hears], on_failure=lambda task_, state: heard.append("on_failure"))
    def made(n: int) -> list[int]:
        ran("made")
        return [n]

    @task(trigger=triggers.all_failed)
    def lucky(x: Any) -> None:
        ran("lucky")

    @task
    def child(x: int) -> int:
        ran("child")
        if x == 3:
            raise ValueError("three")
        return 10 * x

    @task(trigger=triggers.all_finished)
    def told(*, value: Any, error: Any, children: list[Any]) -> tuple[Any, ...]:
        return value, type(error).__name__, [getattr(one, "args", one) for one in children]

    with Flow("kept") as flow:
        n = Parameter("n", default=1)
        value = made(n)
        error = made(value)
        unlucky = lucky(value)
        children = child.map(made(value, task_args={"name": "source"}))
        last = told(value=value, error=error, children=children)
    (source,) = [one for one in flow.tasks if one.name == "source"]

    given = {
        n: Success(result=5),
        value: Success("kept", result=[7]),
        error: Failed("kept too", result=KeyError("old")),
        unlucky: Skipped("kept as well"),
        source: Success(result=[1, 2, 3, 4]),
        children: Mapped(map_states=[Success(result=11), Pending(), Failed(result=KeyError("two"))]),
    }
    state = world.run(flow, task_states=given)

    assert {one: (type(state.result[one]), state.result[one].message) for one in (value, error, unlucky)} == {
        value: (Success, "kept"),
        error: (Failed, "kept too"),
        unlucky: (Skipped, "kept as well"),
    }
    assert state.result[n].result == 1
    assert [type(one).__name__ for one in state.result[children].map_states] == [
        "Success",
        "Success",
        "Failed",
        "Success",
    ]
    assert state.result[last].result == ([7], "KeyError", [11, 20, ("two",), 40])
    assert world.runs() == {"child": 2}
    assert heard == []


def test_what_succeeded_in_an_earlier_run_need_not_run_again(world: Any) -> None:
    ran = world.ran

    @task
    def child(x: int) -> int:
        ran("child")
        return 2 * x

    @task
    def picky(xs: list[int], limit: int) -> int:
        ran("picky")
        if limit < 3:
            raise ValueError(limit)
        return sum(xs)

    with Flow("again") as flow:
        children = child.map([1, 2])
        picked = picky(children, Parameter("limit"))

    first = world.run(flow, limit=1)
    successes = {one: state for one, state in first.result.items() if state.is_successful()}
    second = world.run(flow, limit=3, task_states=successes)

    assert (type(first), type(second)) == (Failed, Success)
    assert second.result[picked].result == 6
    assert world.runs() == {"child": 2, "picky": 2}


def test_one_flow_runs_many_times_at_once(world: Any) -> None:
    with Flow("many") as flow:
        x = Parameter("x", type=int)
        doubled = double(x)
        children = double.map([x, doubled])

    runs = [flow.start(executor=world.executor, x=n) for n in range(8)]
    states = [run.wait(60) for run in runs]

    assert [state.result[children].result for state in states] == [[2 * n, 4 * n] for n in range(8)]
    assert len({run.run_id for run in runs}) == 8


def test_a_traced_function_is_the_same_flow(world: Any) -> None:
    @as_flow
    def traced(x: int, y: int = 5) -> None:
        double(x)
        double.map([x, y])

    state = world.run(traced, x="2")

    found = {traced.slugs[one]: one_state.result for one, one_state in state.result.items()}
    assert traced.name == "traced"
    assert (found["x"], found["y"], found["double-1"], found["double-2"]) == (2, 5, 4, [4, 10])


def test_a_flow_is_left_as_it_was(world: Any) -> None:
    with Flow("unchanged") as flow:
        total = double(Parameter("x", default=1))
        double.map([total, 2])
    before = (set(flow.tasks), set(flow.edges), dict(flow.slugs), dict(flow.constants))

    world.run(flow)
    world.run(flow, x=7)

    assert (set(flow.tasks), set(flow.edges), dict(flow.slugs), dict(flow.constants)) == before


def test_a_run_that_has_begun_takes_no_notice_of_changes() -> None:
    begun, go_on = threading.Event(), threading.Event()
    heard = []

    @task
    def waits() -> None:
        begun.set()
        assert go_on.wait(30)

    @task(tags=["early"], state_handlers=[lambda one, old, new: heard.append(type(new).__name__)])
    def tells(x: int) -> Any:
        return x, sorted(context.task_tags)

    with Flow("changing") as flow:
        first = waits()
        last = tells(1, upstream_tasks=[first])
    run = flow.start(executor=LocalExecutor())
    assert begun.wait(30)

    last.tags.add("late")
    last.state_handlers.append(lambda one, old, new: heard.append("late"))
    flow.constants[last]["x"] = 2
    flow.tasks.remove(last)
    go_on.set()
    state = run.wait()

    assert state.result[last].result == (1, ["early"])
    assert heard == ["Running", "Success"]


def test_a_failed_flow_says_so(world: Any) -> None:
    with Flow("failed") as flow:
        fails()

    state = world.run(flow)

    assert type(state) is Failed
    assert state.message


def test_bodies_run_where_the_place_says(world: Any, is_alone: bool, is_elsewhere: bool) -> None:
    @task
    def where() -> tuple[int, int]:
        return os.getpid(), threading.get_ident()

    with Flow("where") as flow:
        told = where()

    process, thread = world.run(flow).result[told].result

    assert (process == os.getpid()) == (not is_elsewhere)
    assert is_elsewhere or (thread == threading.get_ident()) == is_alone
