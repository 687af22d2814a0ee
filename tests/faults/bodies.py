"""Bodies that raise what ends programs, and values that fight back; bodies that say or return too much."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from typing import Any, Final

import psutil

from prefectlite import DaskExecutor, Flow, task
from prefectlite.states import Failed, Success, TimedOut
from prefectlite.triggers import all_failed
from tests.faults.ground import Ground, is_alive, named, until
from tests.faults.row import row


def raises(kind: type[BaseException]) -> Any:
    def act() -> None:
        raise kind("said by the body")

    return act


def among(ground: Ground, act: Any, expected: str, size: int | None) -> Any:
    """Run a body that misbehaves in the middle of neighbours; return its state."""
    starts = ground.starts

    def child(x: int) -> Any:
        starts(x)
        return act() if x == 7 else x

    with Flow("among") as flow:
        mapped = task(child).map(list(range(15)))
        task(lambda x: x, name="pid").map(mapped)
    state = flow.run(executor=ground.own(1, bundle_size=size))
    ends = state.result[mapped].map_states
    starts.once(*range(15))
    assert len({line[1] for line in starts.lines()}) == 1, "the worker did not survive"
    assert Counter(map(named, ends)) == {"Success": 14, expected: 1}, ends[7]
    assert named(ends[7]) == expected, ends[7]
    assert [one.result for one in ends if isinstance(one, Success)] == [x for x in range(15) if x != 7]
    return ends[7]


for _name, _act, _expected in (
    ("sys.exit", lambda: sys.exit(3), "Crashed(exited)"),
    ("KeyboardInterrupt", raises(KeyboardInterrupt), "Crashed(exited)"),
    ("GeneratorExit", raises(GeneratorExit), "Failed"),
    ("asyncio.CancelledError", raises(asyncio.CancelledError), "Failed"),
    ("a BaseException of the user", raises(type("Mine", (BaseException,), {})), "Failed"),
):
    for _size in (None, 15):

        @row(
            f"{_name} raised in a body, {'each alone' if _size is None else 'in a bundle'}",
            f"1 start; {_expected}; the worker survives; neighbours have 1 start",
        )
        def raised(
            ground: Ground, act: Any = _act, expected: str = _expected, size: int | None = _size
        ) -> str:
            among(ground, act, expected, size)
            return f"1 start each in one process, {expected}, 14 Success"


HOW: Final = ("sleeps", "loops", "loops in C", "starts processes")


def overdue(ground: Ground) -> Any:
    """Return a body that never ends by itself, in one of four ways; its processes are written down."""
    starts = ground.starts

    def body(how: str) -> None:
        starts(how.replace(" ", "-"))
        if how == "sleeps":
            time.sleep(600)
        while how == "loops":
            pass
        if how == "loops in C":
            deque(itertools.repeat(None), maxlen=0)
        code = "echo child $$ >> {0}; sh -c 'echo grandchild $$ >> {0}; exec sleep 600' & exec sleep 600"
        subprocess.run(["sh", "-c", code.format(starts.path)], check=True)

    return body


def burning(ground: Ground) -> list[int]:
    """Return the processes that were written down and are still there."""
    found = [int(pid) for _, pid in ground.starts.lines()]
    return [pid for pid in found if psutil.pid_exists(pid) and is_alive(psutil.Process(pid))]


@row(
    "timeout=2 over: a sleep, a Python loop, a C loop, a tree of processes",
    "TimedOut by 4 s, with 1 start; no process of it is left by 6 s; the slot works",
    slow=True,
)
def timed_out(ground: Ground) -> str:
    took = {}
    with ground.borrowed(1) as client:
        for how in HOW:
            with Flow("late") as flow:
                late = task(overdue(ground), timeout=2)(how)
                after = task(lambda: 1, name="after", trigger=all_failed)(upstream_tasks=[late])
            run = flow.start(executor=DaskExecutor(client))
            ground.starts.wait_for(how.replace(" ", "-"))
            begun = time.monotonic()
            until(lambda run=run, late=late: run.states()[late].is_finished(), how, 10)
            took[how] = time.monotonic() - begun
            until(lambda: not burning(ground), "the end of what was started", 6 - took[how])
            found = run.wait(30).result
            assert isinstance(found[late], TimedOut), found[late]
            assert found[after].result == 1, found[after]
    assert max(took.values()) < 4, took
    ground.starts.once(*(how.replace(" ", "-") for how in HOW), "child", "grandchild")
    return ", ".join(f"{how}: {seconds:.1f} s" for how, seconds in took.items()) + ", 1 start each, all dead"


@row(
    "timeout over in 20 bodies that would never end",
    "20 of 20 TimedOut, 1 start each, no process left; the slots work",
    slow=True,
)
def many_timed_out(ground: Ground, count: int = 20) -> str:
    with Flow("late") as flow:
        late = task(overdue(ground), timeout=0.3).map([HOW[place % len(HOW)] for place in range(count)])
        after = task(lambda: 1, name="after", trigger=all_failed)(upstream_tasks=[late])
    with ground.borrowed(2) as client:
        state = flow.run(executor=DaskExecutor(client))
        until(lambda: not burning(ground), "the end of what was started", 10)
    ends = Counter(map(named, state.result[late].map_states))
    assert ends == {"TimedOut": count}, ends
    assert state.result[after].result == 1, state.result[after]
    begun = ground.starts.count()
    assert all(begun[how.replace(" ", "-")] <= count / len(HOW) for how in HOW), begun
    return f"{count} TimedOut, {sum(begun.values())} processes were started, none is left"


def hostile(method: str, base: type = object) -> Any:
    def fight(*_: Any) -> Any:
        raise RuntimeError(f"{method} fights back")

    return type(f"Hostile{method.strip('_').title()}", (base,), {method: fight})


class TwoArguments(Exception):
    """Cannot be rebuilt from its args."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class LockedError(Exception):
    """Cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("locked")
        self.lock = threading.Lock()


def unloads() -> Any:
    raise RuntimeError("it cannot be rebuilt")


class Bomb:
    """Can be pickled and not rebuilt."""

    def __reduce__(self) -> Any:
        return unloads, ()


class BombError(Exception):
    """The same."""

    def __reduce__(self) -> Any:
        return unloads, ()


def raised_one(kind: Any) -> Any:
    def act() -> None:
        raise kind()

    return act


@row("a result that cannot be pickled", "Failed, saying what and where; other tasks unharmed")
def result_unpicklable(ground: Ground) -> str:
    for size in (None, 15):
        (ground.starts.path).unlink(missing_ok=True)
        ended = among(ground, threading.Lock, "Failed", size)
        assert "pickle" in ended.message, ended.message
    return f"Failed, alone and in a bundle: {ended.message}"


@row("a result that cannot be rebuilt elsewhere", "Failed, saying what and where; other tasks unharmed")
def result_unrebuildable(ground: Ground) -> str:
    for size in (None, 15):
        (ground.starts.path).unlink(missing_ok=True)
        ended = among(ground, Bomb, "Failed", size)
        assert "rebuilt" in ended.message, ended.message
    return f"Failed, alone and in a bundle: {ended.message}"


@row(
    "an exception that cannot be pickled, or not be rebuilt",
    "Failed, saying what and where; other tasks unharmed",
)
def exception_unpicklable(ground: Ground) -> str:
    for kind, name in (
        (LockedError, "LockedError"),
        (lambda: TwoArguments(1, 2), "TwoArguments"),
        (BombError, "BombError"),
    ):
        for size in (None, 15):
            (ground.starts.path).unlink(missing_ok=True)
            ended = among(ground, raised_one(kind), "Failed", size)
            assert name in f"{ended.message} {ended.result!r}", ended
            assert "act" in ended.traceback
    return "Failed with the exception's name, text and traceback, alone and in a bundle"


METHODS = ("__repr__", "__str__", "__eq__", "__hash__", "__sizeof__", "__bool__", "__len__", "__getattr__")


@row(
    "results whose repr, eq, hash, sizeof, bool, len or getattr raises",
    "Success or Failed, saying what; others unharmed",
)
def hostile_results(ground: Ground) -> str:
    ends = fight(ground, lambda kind: kind(), object)
    assert set(ends.values()) <= {"Success", "Failed"}, ends
    return ", ".join(f"{name}: {end}" for name, end in ends.items())


@row("exceptions whose repr, eq, hash, sizeof, bool, len or getattr raises", "Failed; other tasks unharmed")
def hostile_exceptions(ground: Ground) -> str:
    def throw(kind: Any) -> None:
        raise kind("text")

    ends = fight(ground, throw, Exception)
    assert set(ends.values()) == {"Failed"}, ends
    return "all Failed, 1 start each"


def fight(ground: Ground, act: Any, base: type) -> dict[str, str]:
    """Return how each of a bundle and of lone bodies ended that met a class with a hostile method."""
    starts = ground.starts

    def child(x: int) -> Any:
        starts(x)
        return act(hostile(METHODS[x], base)) if x < len(METHODS) else x

    with Flow("hostile") as flow:
        mapped = task(child).map(list(range(20)))
        # A reader, so that values are kept and travel.
        read = task(lambda x: type(x).__name__, name="read").map(mapped)
    ends: dict[str, str] = {}
    for size in (None, 20):
        starts.path.unlink(missing_ok=True)
        state = flow.run(executor=ground.own(2, bundle_size=size))
        starts.once(*range(20))
        found = [named(one) for one in state.result[mapped].map_states]
        assert found[len(METHODS) :] == ["Success"] * (20 - len(METHODS)), found
        assert all(isinstance(one, Success) for one in state.result[read].map_states[len(METHODS) :])
        assert not ends or list(ends.values()) == found[: len(METHODS)], (ends, found)
        ends = dict(zip(METHODS, found, strict=False))
    return ends


class Trap:
    """Can be unpickled where it was made, and nowhere else."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __reduce__(self) -> Any:
        return _open_trap, (self.home,)

    def __call__(self) -> int:
        return 1


def _open_trap(home: int) -> Trap:
    if os.getpid() != home:
        raise ValueError("away from home")
    return Trap()


@row("a function or an argument that cannot be unpickled on a worker", "Failed of those task runs only")
def unpickled_nowhere(ground: Ground) -> str:
    starts = ground.starts

    def take(x: Any) -> Any:
        starts(f"take-{x}")
        return x

    trap = Trap()

    def through() -> int:
        starts("through")
        return trap()

    for size in (None, "auto"):
        starts.path.unlink(missing_ok=True)
        with Flow("unpickled") as flow:
            bad_function = task(through)()
            bad_argument = task(take)(Trap())
            mapped = task(take, name="mapped").map([1, 2, Trap(), 4])
            fine = task(take, name="fine")(5)
        found = flow.run(executor=ground.own(1, bundle_size=size)).result
        starts.once(*(f"take-{x}" for x in (1, 2, 4, 5)))
        assert isinstance(found[bad_function], Failed), found[bad_function]
        assert isinstance(found[bad_argument], Failed), found[bad_argument]
        children = [named(one) for one in found[mapped].map_states]
        assert children == ["Success", "Success", "Failed", "Success"], children
        assert found[fine].result == 5
        texts = {
            one.message for one in (found[bad_function], found[bad_argument], found[mapped].map_states[2])
        }
        assert all("away from home" in text for text in texts), texts
    return f"Failed of those three only, alone and in bundles: {found[bad_argument].message}"


# What is said, returned or raised at excess; the driver's memory is looked at from a program of its own, which
# has run a flow before. The scheduler of an own cluster lives in the driver's process, so it is counted too.
EXCESS = """
    import gc, logging, sys, time
    from pathlib import Path
    from prefectlite import DaskExecutor, Flow, task

    def figure(name):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024

    class Huge(Exception):
        pass

    def prints():
        line = "x" * 199
        for _ in range(5_000_000):
            print(line)

    def returns():
        return bytes(500_000_000)

    def raises():
        raise Huge("y" * 100_000_000)

    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    body = {"prints": prints, "returns": returns, "raises": raises}[sys.argv[1]]
    executor = DaskExecutor(n_workers=1)
    with Flow("warm") as warm:
        task(lambda: print("warm"), name="warm", log_stdout=True)()
    warm.run(executor=executor)
    with Flow("excess") as flow:
        end = task(body, log_stdout=True)()
        # What reads it is where it is.
        task(lambda x: len(x), name="read")(end) if body is returns else None
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark begins anew
    before = figure("VmRSS")
    state = flow.run(executor=executor)
    print("rise", figure("VmHWM") - before)
    print("state", type(state.result[end]).__name__)
    if body is raises:
        print("told", state.result[end].message[:60])
"""


def rise(ground: Ground, what: str, expected: str) -> tuple[float, str]:
    out = ground.said(EXCESS, what, seconds=170)
    told = dict(
        line.split(" ", 1) for line in out.splitlines() if line.startswith(("rise ", "state ", "told "))
    )
    assert told["state"] == expected, told
    nbytes = float(told["rise"])
    assert nbytes < 64, f"the driver's memory rose by {nbytes:.0f} MiB"
    return nbytes, out


@row(
    "a body that prints 1 GB", "driver memory rises less than 64 MiB; logs capped, and it says so", slow=True
)
def prints_much(ground: Ground) -> str:
    nbytes, out = rise(ground, "prints", "Success")
    assert "left out" in out, f"nothing says that lines are missing; {len(out)} characters came"
    return f"{nbytes:.0f} MiB; {len(out) / 1e6:.1f} MB of lines came"


@row("a body that returns 500 MB", "driver memory rises less than 64 MiB", slow=True)
def returns_much(ground: Ground) -> str:
    return f"{rise(ground, 'returns', 'Success')[0]:.0f} MiB"


@row("a body that raises an exception of 100 MB", "driver memory rises less than 64 MiB", slow=True)
def raises_much(ground: Ground) -> str:
    return f"{rise(ground, 'raises', 'Failed')[0]:.0f} MiB"
