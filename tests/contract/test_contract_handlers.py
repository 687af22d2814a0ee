"""State handlers and callbacks of flows: a row per rule of sections 4.1, 11.1 and 15 of the reference.

Those of tasks are in ``test_contract_outcomes``. Where we differ from Prefect 1, the row says so and names the
section of SEMANTICS.md (``S5`` and so on), or what it mends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, Parameter, callback_factory, signals, task
from prefectlite.states import (
    Cancelled,
    Failed,
    Finished,
    Paused,
    Pending,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
)
from tests.contract.rows import Rows
from tests.contract.test_contract_tasks import refused

row = Rows()
Seen = list[tuple[str, str]]


@task
def inc(x: int) -> int:
    return x + 1


@task
def fails() -> None:
    raise ValueError("no")


def run(*ends: Any, work: Callable[[], Any] = lambda: inc(1), **options: Any) -> State:
    """Run a flow in this process; ``ends`` are its state handlers."""
    with Flow("f", state_handlers=list(ends), **options) as flow:
        work()
    return flow.run(executor=LocalExecutor())


def watcher(seen: Seen) -> Callable[[Any, State, State], None]:
    def handler(flow: Any, old: State, new: State) -> None:
        seen.append((type(old).__name__, type(new).__name__))

    return handler


def at_end(answer: Callable[[State], Any]) -> Callable[[Any, State, State], Any]:
    """A handler that has something to say of how a flow ends."""
    return lambda flow, old, new: answer(new) if new.is_finished() else None


@row("4.1", "state_handlers are a sequence, empty by default; anything else is a TypeError")
def _() -> None:
    assert Flow("f").state_handlers == []
    assert Flow("f", state_handlers=(print,)).state_handlers == [print]
    for wrong in (print, "no", 3):
        with refused(TypeError, "Flow 'f' has state_handlers="):
            Flow("f", state_handlers=wrong)  # type: ignore[arg-type]


@row("4.1", "on_failure and terminal_state_handler are functions or None")
def _() -> None:
    assert (Flow("f").on_failure, Flow("f").terminal_state_handler) == (None, None)
    assert Flow("f", on_failure=print).on_failure is print
    for option in ("on_failure", "terminal_state_handler"):
        with refused(TypeError, f"Flow 'f' has {option}=3"):
            Flow("f", **{option: 3})  # type: ignore[arg-type]


@row("4.1", "handlers may be set and appended to later; each run takes those that are there when it begins")
def _() -> None:
    seen: Seen = []
    flow = Flow("f", tasks=[task(lambda: 1)])
    flow.state_handlers.append(watcher(seen))
    flow.terminal_state_handler = lambda flow, state, states: Failed("mine")
    assert flow.run(executor=LocalExecutor()).message == "mine"
    assert seen == [("Scheduled", "Running"), ("Running", "Failed")]


@row("15", "flow handlers see Scheduled > Running and Running > Success or Failed, with the flow")
def _() -> None:
    for work, last in ((lambda: inc(1), "Success"), (fails, "Failed")):
        seen: Seen = []
        state = run(watcher(seen), work=work)
        assert type(state).__name__ == last
        assert seen == [("Scheduled", "Running"), ("Running", last)]
    flows: list[Any] = []
    flow = Flow("f", state_handlers=[lambda flow, old, new: flows.append(flow)])
    flow.run(executor=LocalExecutor())
    assert flows == [flow, flow]
    assert flows[0] is flow


@row("15", "handlers of a flow are called in order, each sees what the last one made, the last word counts")
def _() -> None:
    seen: list[str | None] = []

    def first(flow: Any, old: State, new: State) -> State | None:
        return Success("first") if new.is_failed() else None

    def second(flow: Any, old: State, new: State) -> State | None:
        seen.append(new.message)
        return new.replace(message="second") if new.is_finished() else None

    state = run(first, second, work=fails)
    assert (type(state), state.message) == (Success, "second")
    assert seen == ["The flow run is in progress.", "first"]


@row("15", "None leaves the state as it is")
def _() -> None:
    assert run(at_end(lambda new: None)).message == "All reference tasks succeeded."


@row(
    "15",
    "a final state is shown with the tasks' states, and has them whatever handlers make of it (mends 1.x)",
)
def _() -> None:
    shown: list[Any] = []
    state = run(at_end(lambda new: shown.append(new.result) or Failed("mine", result=3)))
    (only,) = state.result.values()
    assert (type(state), only.result) == (Failed, 2)
    assert [one.result for one in shown[0].values()] == [2]


@row("15", "a handler that raises fails the flow, whose tasks' states stay (1.x: an error text, S1.5)")
def _() -> None:
    def breaks(flow: Any, old: State, new: State) -> None:
        raise OSError("full")

    state = run(at_end(lambda new: breaks(None, new, new)))
    assert state.message == "A state handler raised at Running -> Success: OSError: full"
    assert [one.result for one in state.result.values()] == [2]
    state = run(breaks)
    assert state.message == "A state handler raised at Pending -> Running: OSError: full"
    assert [type(one) for one in state.result.values()] == [Pending]


@row("15", "a signal in a handler of a flow becomes its state")
def _() -> None:
    for signal, kind in ((signals.SKIP, Skipped), (signals.FAIL, Failed), (signals.SUCCESS, Success)):

        def handler(flow: Any, old: State, new: State, signal: Any = signal) -> None:
            if new.is_finished():
                raise signal("so")

        state = run(handler)
        assert (type(state), state.message) == (kind, "so")


@row("15", "a handler that puts a final state in the place of Running keeps the flow from starting")
def _() -> None:
    ran: list[int] = []
    for given in (Skipped("not today"), Cancelled("no"), Failed("no"), Finished("mine")):
        seen: Seen = []
        state = run(lambda *_, given=given: given, watcher(seen), work=task(lambda: ran.append(1)))
        assert type(state) is type(given)
        assert seen == [("Scheduled", type(given).__name__)]
        assert [type(one) for one in state.result.values()] == [Pending]
    assert ran == []


@row("15", "a flow cannot wait: what is neither Running nor final fails it (1.x tried again for ever)")
def _() -> None:
    for given in (Paused("wait"), Scheduled("later"), Running("on")):
        state = run(at_end(lambda new, given=given: given))
        assert type(state) is Failed
        assert f"made {type(given).__name__} of Running -> Success" in (state.message or "")


@row("15", "what is no state is an error that names handler and flow")
def _() -> None:
    def odd(flow: Any, old: State, new: State) -> Any:
        return "fine"

    assert "State handler 'odd' of flow 'f' returned 'fine'" in (run(odd).message or "")


@row("15", "on_failure of a flow is called with flow and state when it has failed, after the handlers")
def _() -> None:
    told: list[Any] = []

    def on_failure(flow: Any, state: State) -> None:
        told.append((flow.name, type(state).__name__, state.message, len(state.result)))

    run(on_failure=on_failure)
    assert told == []
    run(on_failure=on_failure, work=fails)
    assert told.pop()[:2] == ("f", "Failed")
    run(at_end(lambda new: Failed("not good enough")), on_failure=on_failure)
    assert told == [("f", "Failed", "not good enough", 1)]
    run(at_end(lambda new: Success("made good")), on_failure=on_failure, work=fails)
    assert len(told) == 1


@row(
    "15", "on_failure of a flow changes nothing, also when it raises, and hears of handlers that raised (S5)"
)
def _() -> None:
    told: list[State] = []

    def on_failure(flow: Any, state: State) -> State:
        told.append(state)
        raise OSError("no mail")

    assert (run(on_failure=on_failure, work=fails).message or "").startswith("Some reference tasks failed")
    state = run(at_end(lambda new: 1 / 0), on_failure=on_failure)
    assert state.message == told[-1].message
    assert len(told) == 2


@row("11.1", "terminal_state_handler(flow, state, reference states) may replace the state; None leaves it")
def _() -> None:
    seen: list[Any] = []

    def handler(flow: Any, state: State, states: Any) -> State | None:
        seen.append((flow.name, type(state).__name__, sorted(one.result for one in states)))
        return Failed("too few") if len(states) < 3 else None

    assert run(terminal_state_handler=handler).message == "too few"
    state = run(terminal_state_handler=handler, work=lambda: inc.map([inc(1), 2, 3]))
    assert state.message == "All reference tasks succeeded."
    # Children of a map are told one by one.
    assert seen == [("f", "Success", [2]), ("f", "Success", [3, 3, 4])]


@row("11.1", "a replacement by terminal_state_handler has the tasks' states as its result (1.x crashed)")
def _() -> None:
    shown: list[Any] = []
    handler = at_end(lambda new: shown.append((new.message, len(new.result))))
    state = run(handler, terminal_state_handler=lambda flow, state, states: Success("fresh"), work=fails)
    assert (type(state), state.message) == (Success, "fresh")
    assert [type(one) for one in state.result.values()] == [Failed]
    assert shown == [("fresh", 1)]


@row("11.1", "terminal_state_handler comes before the state handlers, and a signal in it is its word")
def _() -> None:
    seen: Seen = []

    def skips(flow: Any, state: State, states: Any) -> None:
        raise signals.SKIP("nothing new")

    assert type(run(watcher(seen), terminal_state_handler=skips)) is Skipped
    assert seen == [("Scheduled", "Running"), ("Running", "Skipped")]


@row(
    "11.1",
    "a terminal_state_handler that raises, or returns no state, fails the flow; no state is lost (S1.5)",
)
def _() -> None:
    for handler, text in (
        (lambda flow, state, states: 1 / 0, "ZeroDivisionError"),
        (lambda flow, state, states: 7, "returned 7"),
    ):
        state = run(terminal_state_handler=handler)
        assert type(state) is Failed
        assert text in (state.message or "")
        assert [one.result for one in state.result.values()] == [2]


@row(
    "15",
    "callback_factory(fn, check) makes a handler, for tasks and flows, that calls fn when check says True",
)
def _() -> None:
    told: list[str] = []
    tell = callback_factory(lambda obj, state: told.append(obj.name), lambda state: state.is_failed())
    run(tell, work=task(lambda: 1 / 0, name="broken", state_handlers=[tell]))
    run(tell, work=task(lambda: 1, name="fine", state_handlers=[tell]))
    assert told == ["broken", "f"]


@row("15", "a run's handlers hear of all its tasks, after a task's own, with an object that has the task")
def _() -> None:
    told: list[Any] = []

    def own(task: Any, old: State, new: State) -> State | None:
        return Success("by the task", result=1) if new.is_failed() else None

    def of_run(runner: Any, old: State, new: State) -> None:
        told.append((runner.task.name, runner.name, type(old).__name__, type(new).__name__, new.message))

    with Flow("f") as flow:
        broken = task(lambda: 1 / 0, name="broken", state_handlers=[own])()
        task(lambda x, y: x, name="reader")(broken, Parameter("y", default=2))
    assert flow.run(executor=LocalExecutor(), task_runner_state_handlers=[of_run]).is_successful()
    assert [one[:4] for one in told] == [
        ("broken", "broken", "Pending", "Running"),
        ("broken", "broken", "Running", "Success"),
        ("reader", "reader", "Pending", "Running"),
        ("reader", "reader", "Running", "Success"),
    ]
    assert told[1][4] == "by the task"
    told.clear()
    assert flow.run(executor=LocalExecutor()).is_successful()
    assert told == []


@row("15", "a run's handlers may replace a state; what is no state, or no handler, is refused by name")
def _() -> None:
    flow = Flow("f", tasks=[task(lambda: 1, name="one")])

    def outcome(handler: Any) -> State:
        state = flow.run(executor=LocalExecutor(), task_runner_state_handlers=[handler])
        (found,) = state.result.values()
        return found

    def refuses(runner: Any, old: State, new: State) -> State | None:
        return Failed("not good enough") if new.is_successful() else None

    assert outcome(refuses).message == "not good enough"
    assert "'<lambda>' of task 'one' returned 3" in str(outcome(lambda runner, old, new: 3).message)
    with pytest.raises(
        TypeError, match=r"'f' has task_runner_state_handlers=\[3\]; give a list of functions of a task"
    ):
        outcome(3)


@pytest.mark.parametrize("rule", row)
def test_the_rules_of_flow_handlers_hold(rule: str) -> None:
    row[rule]()


def test_handlers_of_a_flow_are_asked_at_every_place(world: Any) -> None:
    seen: list[Any] = []

    def handler(flow: Any, old: State, new: State) -> State | None:
        seen.append((type(old).__name__, type(new).__name__))
        if new.is_finished():
            seen.append([one.result for one in new.result.values()])
            return Failed("seen")
        return None

    def terminal(flow: Any, state: State, states: Any) -> State:
        seen.append([one.result for one in states])
        return Success("mine")

    with Flow(
        "everywhere",
        state_handlers=[handler],
        terminal_state_handler=terminal,
        on_failure=lambda flow, state: seen.append(state.message),
    ) as flow:
        inc.map([inc(1), 10])

    state = world.run(flow)

    assert (type(state), state.message) == (Failed, "seen")
    assert seen[0] == ("Scheduled", "Running")
    assert seen[1] == [3, 11]
    assert seen[2] == ("Running", "Success")
    assert [3, 11] in seen[3]
    assert seen[4] == "seen"


def test_handlers_of_a_run_are_asked_at_every_place(world: Any) -> None:
    """S1.2: they are asked on the driver; nothing is lowered ahead of what they may refuse."""
    heard: list[tuple[str, str]] = []
    ran = world.ran

    def of_run(runner: Any, old: State, new: State) -> State | None:
        heard.append((runner.task.name, type(new).__name__))
        if runner.task.name == "child" and new.is_successful() and new.result == 1:
            return Failed("no ones")
        return None

    @task
    def child(x: int) -> int:
        return x

    @task
    def below(x: int) -> int:
        ran("below")
        return x

    with Flow("everywhere") as flow:
        children = child.map([0, 1, 2])
        read = below.map(children)

    state = world.run(flow, task_runner_state_handlers=[of_run])

    assert [type(one).__name__ for one in state.result[children].map_states] == [
        "Success",
        "Failed",
        "Success",
    ]
    assert [type(one).__name__ for one in state.result[read].map_states] == [
        "Success",
        "TriggerFailed",
        "Success",
    ]
    assert world.runs() == {"below": 2}
    assert heard.count(("child", "Mapped")) == heard.count(("child", "Success")) - 2 == 1
    assert heard.count(("below", "TriggerFailed")) == 1


def test_handlers_of_a_flow_hear_of_a_cancel_and_terminal_state_handler_does_not() -> None:
    seen: Seen = []
    begun, told = threading.Event(), []

    @task
    def waits() -> None:
        begun.set()
        time.sleep(0.05)

    with Flow(
        "called off",
        state_handlers=[watcher(seen)],
        terminal_state_handler=lambda flow, state, states: told.append(state),
    ) as flow:
        last = inc(waits())

    run = flow.start(executor=LocalExecutor())
    assert begun.wait(30)
    run.cancel()
    state = run.wait(30)

    assert type(state) is Cancelled
    assert type(state.result[last]) is Cancelled
    assert (seen, told) == ([("Scheduled", "Running"), ("Running", "Cancelled")], [])


def test_the_journal_tells_what_handlers_of_a_flow_made_of_its_end() -> None:
    flow = Flow("told", tasks=[task(lambda: 1)], state_handlers=[at_end(lambda new: Failed("not enough"))])
    run = flow.start(executor=LocalExecutor())
    run.wait(30)
    last = run.history("")[-1]
    assert (type(last.new).__name__, last.why.rule) == ("Failed", "state handler")  # type: ignore[union-attr]
    assert "not enough" in run.explain()
