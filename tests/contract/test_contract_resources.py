"""Resource managers, a row per rule of section 18 of the reference."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from prefectlite import (
    Flow,
    LocalExecutor,
    Parameter,
    apply_map,
    case,
    resource_manager,
    signals,
    task,
    triggers,
)
from prefectlite.states import Cancelled, Success
from tests.contract.conftest import came_to
from tests.contract.rows import Rows

#: What a row builds: a flow, what some of its tasks come to, what was opened and closed in order, how the
#: flow ends.
Row = tuple[Flow, dict[Any, Any], list[str]] | tuple[Flow, dict[Any, Any], list[str], str]

row = Rows()


@resource_manager
class Scratch:
    """Notes in a file, which all processes of a test share, what is opened and closed."""

    def __init__(self, log: Path, name: Any = "scratch", bad: str = "") -> None:
        self.log = log
        self.name = name
        if bad == "init":
            raise ValueError("init")
        self.bad = bad

    def setup(self) -> str:
        if self.bad == "skip":
            raise signals.SKIP("no resource today")
        if self.bad == "setup":
            raise ValueError("setup")
        note(self.log, f"open {self.name}")
        return f"<{self.name}>"

    def cleanup(self, resource: str) -> None:
        note(self.log, f"close {resource}")
        if self.bad == "cleanup":
            raise ValueError("cleanup")


@resource_manager(name="lock", cleanup_task_kwargs={"tags": ["housekeeping"]})
class Lock:
    def __init__(self, log: Path) -> None:
        self.log = log

    def cleanup(self, resource: None) -> None:
        note(self.log, f"unlock {resource}")


def note(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(f"{text}\n")


@task
def use(log: Path, resource: Any = None, x: Any = None) -> Any:
    note(log, f"use {resource}")
    return x


@task
def fails(resource: Any = None) -> None:
    raise ValueError("of itself")


@task
def skips(resource: Any = None) -> None:
    raise signals.SKIP("of itself")


@task
def same(x: Any) -> Any:
    return x


OPEN, USE, CLOSE = "open scratch", "use <scratch>", "close <scratch>"


def parts(flow: Flow, name: str = "Scratch") -> Any:
    """The three tasks of a manager that was used once."""
    return tuple(flow.get_tasks(name=one)[0] for one in (name, f"{name}.setup", f"{name}.cleanup"))


@row("18", "the block runs between setup and cleanup, and the cleanup decides nothing")
def _(log: Path) -> Row:
    with Flow("use") as flow:
        with Scratch(log, bad="cleanup") as scratch:
            used = use(log, scratch, 5)
        after = same(used)
    *_, cleanup = parts(flow)
    return flow, {used: 5, after: 5, scratch: "<scratch>", cleanup: "Failed(ValueError)"}, [OPEN, USE, CLOSE]


@row("18", "a task that does not read the resource waits for it all the same, and the cleanup for the task")
def _(log: Path) -> Row:
    with Flow("wait") as flow, Scratch(log):
        first = use(log, x=1)
        last = use(log, x=first)
    return flow, {last: 1}, [OPEN, "use None", "use None", CLOSE]


@row("18", "arguments may be tasks and parameters")
def _(log: Path) -> Row:
    with Flow("arguments") as flow:
        name = Parameter("name", default="p")
        with Scratch(same(log), name=name) as scratch:
            use(log, scratch)
    return flow, {scratch: "<p>"}, ["open p", "use <p>", "close <p>"]


@row("18", "the cleanup runs when tasks of the block failed, and the flow fails by them")
def _(log: Path) -> Row:
    with Flow("fails") as flow, Scratch(log) as scratch:
        failed = fails(scratch)
        refused = use(log, scratch, failed)
    *_, cleanup = parts(flow)
    return (
        flow,
        {failed: "Failed(ValueError)", refused: "TriggerFailed(TaskError)", cleanup: None},
        [OPEN, CLOSE],
        "Failed",
    )


@row("18", "the cleanup runs when tasks of the block were skipped")
def _(log: Path) -> Row:
    with Flow("skips") as flow, Scratch(log) as scratch:
        skipped = use(log, scratch, skips(scratch))
    return flow, {skipped: "Skipped"}, [OPEN, CLOSE]


@row("18", "a setup that failed fails the block and skips the cleanup")
def _(log: Path) -> Row:
    with Flow("setup-fails") as flow, Scratch(log, bad="setup") as scratch:
        read, waited = use(log, scratch), use(log)
    *_, cleanup = parts(flow)
    refused = "TriggerFailed(TaskError)"
    return (
        flow,
        {scratch: "Failed(ValueError)", read: refused, waited: refused, cleanup: "Skipped"},
        [],
        "Failed",
    )


@row("18", "an init that failed fails setup and block and skips the cleanup")
def _(log: Path) -> Row:
    with Flow("init-fails") as flow, Scratch(log, bad="init") as scratch:
        waited = use(log)
    init, _, cleanup = parts(flow)
    refused = "TriggerFailed(TaskError)"
    return (
        flow,
        {init: "Failed(ValueError)", scratch: refused, waited: refused, cleanup: "Skipped"},
        [],
        "Failed",
    )


@row("18", "a setup that was skipped skips the block and the cleanup")
def _(log: Path) -> Row:
    with Flow("setup-skips") as flow, Scratch(log, bad="skip") as scratch:
        read = use(log, scratch)
    *_, cleanup = parts(flow)
    return flow, {scratch: "Skipped", read: "Skipped", cleanup: "Skipped"}, []


@row("18", "a manager without setup has no setup task; its cleanup gets None")
def _(log: Path) -> Row:
    with Flow("lock") as flow, Lock(log) as nothing:
        waited = use(log)
    assert nothing is None
    assert not flow.get_tasks(name="lock.setup")
    [cleanup] = flow.get_tasks(name="lock.cleanup", tags=["housekeeping"])
    return flow, {waited: None, cleanup: None}, ["use None", "unlock None"]


@row("18", "blocks inside each other are cleaned up from inside to outside")
def _(log: Path) -> Row:
    with Flow("nested") as flow, Scratch(log, "outer") as outer, Scratch(log, outer) as inner:
        use(log, inner)
    return (
        flow,
        {inner: "<<outer>>"},
        ["open outer", "open <outer>", "use <<outer>>", "close <<outer>>", "close <outer>"],
    )


@row("18", "a case in the block waits for the resource and is waited for")
def _(log: Path) -> Row:
    with Flow("case-inside") as flow, Scratch(log) as scratch:
        with case(same(1), 1):
            taken = use(log, x="taken")
        with case(same(1), 2):
            left = use(log, scratch)
    return flow, {taken: "taken", left: "Skipped"}, [OPEN, "use None", CLOSE]


@row("18", "a block in a case is left out as a whole")
def _(log: Path) -> Row:
    with Flow("in-case") as flow:
        with case(same(1), 2), Scratch(log) as scratch:
            left = use(log, scratch)
        with case(same(1), 1), Scratch(log, "yes") as yes:
            taken = use(log, yes, 1)
    cleanup, _ = flow.get_tasks(name="Scratch.cleanup")
    return (
        flow,
        {scratch: "Skipped", left: "Skipped", cleanup: "Skipped", taken: 1},
        ["open yes", "use <yes>", "close <yes>"],
    )


@row("18", "a map in the block is waited for as a whole, whatever became of its children")
def _(log: Path) -> Row:
    @task
    def odd_only(x: int) -> int:
        if x % 2 == 0:
            raise ValueError
        return x

    with Flow("map") as flow, Scratch(log):
        children = odd_only.map([1, 2, 3])
    return flow, {children: [1, "Failed(ValueError)", 3]}, [OPEN, CLOSE], "Failed"


@row("18", "in apply_map each child has a resource of its own")
def _(log: Path) -> Row:
    def with_scratch(x: Any) -> Any:
        with Scratch(log, x) as scratch:
            return same([scratch, x])

    with Flow("apply") as flow:
        made = apply_map(with_scratch, ["a"])
    return flow, {made: [["<a>", "a"]]}, ["open a", "close <a>"]


@row("18", "options of the three tasks may be given")
def _(log: Path) -> Row:
    never = resource_manager(
        Scratch.resource_class,
        name="never",
        setup_task_kwargs={"trigger": triggers.all_failed},
        cleanup_task_kwargs={"trigger": triggers.all_successful},
    )
    with Flow("options") as flow, never(log) as scratch:
        pass
    *_, cleanup = parts(flow, "never")
    return flow, {scratch: "TriggerFailed(TaskError)", cleanup: "TriggerFailed(TaskError)"}, [], "Failed"


@pytest.mark.parametrize("rule", row)
def test_row(world: Any, rule: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("log") / "log"
    flow, expected, said, *ends = row[rule](log)

    state = world.run(flow)

    assert {flow.slugs[one]: came_to(state.result[one]) for one in expected} == {
        flow.slugs[one]: outcome for one, outcome in expected.items()
    }
    assert (log.read_text().splitlines() if log.exists() else []) == said
    assert type(state).__name__ == (ends[0] if ends else "Success")


def test_only_tasks_of_the_block_decide_how_the_flow_ends() -> None:
    with Flow("reference") as flow:
        with Scratch(Path("log")) as scratch:
            used = same(scratch)
        other = same(1)
    [init], [cleanup] = flow.get_tasks(name="Scratch"), flow.get_tasks(name="Scratch.cleanup")

    assert flow.reference_tasks() == {used, other}
    assert flow.terminal_tasks() == {cleanup, other}
    flow.set_reference_tasks([cleanup, init])
    assert flow.reference_tasks() == {cleanup, init}


@resource_manager
class Stubborn:
    """A resource whose cleanup takes as long as it is let."""

    def __init__(self, log: Path, stop: Path) -> None:
        self.log = log
        self.stop = stop

    def cleanup(self, resource: None) -> None:
        lasts(self.log, self.stop)


def lasts(log: Path, stop: Path) -> None:
    note(log, "begun")
    until = time.monotonic() + 60
    while not stop.exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)  # long enough for a driver in this thread to look up
    note(log, "over")


def wait_for(log: Path, text: str) -> None:
    while not log.exists() or text not in log.read_text().splitlines():
        time.sleep(0.01)


def test_a_cancelled_run_cleans_up_from_inside_to_outside(
    world: Any, is_deaf: bool, ends_bodies: bool, tmp_path: Path
) -> None:
    log, stop = tmp_path / "log", tmp_path / "stop"

    @task
    def long(resource: Any) -> None:
        lasts(log, stop)

    with Flow("cancelled") as flow:
        with Scratch(log, "outer") as outer, Scratch(log, outer) as inner:
            work = long(inner)
            after = use(log, inner, work)
        with Scratch(log, "never", upstream_tasks=[after]) as never:
            use(log, never)
    outside, inside, unused = flow.get_tasks(name="Scratch.cleanup")

    run = flow.start(executor=world.executor)
    wait_for(log, "begun")
    run.cancel()
    if not ends_bodies:
        if not is_deaf:
            wait_for(log, "close <outer>")
        stop.touch()
    state = run.wait(60)

    assert type(state) is Cancelled
    said = [line for line in log.read_text().splitlines() if line != "over"]
    assert said == ["open outer", "open <outer>", "begun", "close <<outer>>", "close <outer>"]
    assert type(state.result[work]) is (Success if is_deaf else Cancelled)
    assert {type(state.result[one]) for one in (after, never, unused)} == {Cancelled}
    assert {type(state.result[one]) for one in (inside, outside)} == {Success}


def test_a_second_cancel_calls_off_the_cleanup(
    world: Any, is_deaf: bool, ends_bodies: bool, tmp_path: Path
) -> None:
    log, stop, used, free = (tmp_path / name for name in ("log", "stop", "used", "free"))

    @task
    def long() -> None:
        lasts(used, free)

    with Flow("twice") as flow, Stubborn(log, stop):
        long()
    [cleanup] = flow.get_tasks(name="Stubborn.cleanup")

    run = flow.start(executor=world.executor)
    wait_for(used, "begun")
    run.cancel()
    if is_deaf:
        free.touch()
    wait_for(log, "begun")
    run.cancel()
    if not ends_bodies:
        while not is_deaf and not all(one.is_finished() for one in run.states().values()):
            time.sleep(0.01)
        free.touch()
        stop.touch()
    state = run.wait(60)

    assert type(state) is Cancelled
    assert type(state.result[cleanup]) is (Success if is_deaf else Cancelled)


def test_ctrl_c_in_this_process_cleans_up_and_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"

    @task
    def interrupted(resource: Any) -> None:
        note(log, "begun")
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    with Flow("ctrl-c") as flow, Scratch(log) as scratch:
        interrupted(scratch)

    with pytest.raises(KeyboardInterrupt):
        flow.run(executor=LocalExecutor())

    assert log.read_text().splitlines() == [OPEN, "begun", CLOSE]
