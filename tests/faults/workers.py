"""Workers that die under their bodies, are retired or run out of memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections import Counter
from typing import Any

import numpy as np
from distributed import Client

from prefectlite import DaskExecutor, Flow, task
from prefectlite.states import Crashed, Success, TriggerFailed
from tests.faults.ground import PATIENCE, Ground, named, until
from tests.faults.row import row

WIDTH = 1000


def killed_mid_task(ground: Ground, executor: DaskExecutor) -> str:
    starts = ground.starts

    def doomed() -> None:
        starts("doomed")
        time.sleep(300)

    def quick(x: int) -> int:
        starts(f"quick-{x}")
        time.sleep(0.05)
        return x

    with Flow("killed") as flow:
        dead = task(doomed, priority=1)()
        after = task(lambda x: x, name="after")(dead)
        others = task(quick, priority=0).map(list(range(40)))
        total = task(lambda xs: sum(xs), name="total")(others)
    run = flow.start(executor=executor)
    os.kill(starts.wait_for("doomed"), signal.SIGKILL)
    state = run.wait(PATIENCE)

    found = state.result
    starts.once("doomed", *(f"quick-{x}" for x in range(40)))
    assert state.is_failed(), state
    assert named(found[dead]) == "Crashed(worker-lost)", found[dead]
    assert isinstance(found[after], TriggerFailed)
    ends = Counter(named(one) for one in found[others].map_states)
    assert ends == {"Success": 40}, ends
    assert found[total].result == sum(range(40))
    return "1 start each of 41 bodies, Crashed(worker-lost), 40 Success, its reader TriggerFailed"


@row(
    "worker killed -9 mid-task, own cluster",
    "1 start; Crashed(worker-lost); the rest runs elsewhere, 1 start each",
)
def killed_on_own(ground: Ground) -> str:
    return killed_mid_task(ground, ground.own())


@row(
    "worker killed -9 mid-task, borrowed cluster",
    "1 start; Crashed(worker-lost); the rest runs elsewhere, 1 start each",
    slow=True,
)
def killed_on_borrowed(ground: Ground) -> str:
    with ground.borrowed() as client:
        return killed_mid_task(ground, DaskExecutor(client))


def ended_in_bundle(ground: Ground, executor: DaskExecutor) -> str:
    starts = ground.starts

    def body(x: int) -> int:
        starts(x)
        if x == WIDTH // 2:
            os._exit(1)
        return x

    with Flow("bundle") as flow:
        mapped = task(body).map(list(range(WIDTH)))
    state = flow.run(executor=executor)

    ends = state.result[mapped].map_states
    starts.once(*range(WIDTH))
    assert Counter(map(named, ends)) == {"Success": WIDTH - 1, "Crashed(exited)": 1}, Counter(
        map(named, ends)
    )
    assert isinstance(ends[WIDTH // 2], Crashed)
    assert [one.result for place, one in enumerate(ends) if place != WIDTH // 2] == [
        x for x in range(WIDTH) if x != WIDTH // 2
    ]
    return "1 start each, 999 Success with their results, 1 Crashed(exited)"


@row("os._exit in the middle run of a bundle of 1,000", "1 start each, 999 Success, one Crashed(exited)")
def ended_in_one_bundle(ground: Ground) -> str:
    return ended_in_bundle(ground, ground.own(bundle_size=WIDTH))


@row(
    "os._exit in the middle of a map of 1,000, bundles as they come",
    "1 start each, 999 Success, one Crashed(exited)",
    slow=True,
)
def ended_in_a_map(ground: Ground) -> str:
    return ended_in_bundle(ground, ground.own())


@row(
    "os._exit in the middle run of a bundle of 1,000, borrowed cluster",
    "1 start each, 999 Success, one Crashed(exited)",
    slow=True,
)
def ended_in_borrowed_bundle(ground: Ground) -> str:
    with ground.borrowed() as client:
        return ended_in_bundle(ground, DaskExecutor(client, bundle_size=WIDTH))


class Loss:
    """A flow whose first result dies with its worker before its last reader."""

    def __init__(self, ground: Ground, length: int, **options: Any) -> None:
        self.starts, self.gate = ground.starts, ground.folder / "gate"
        starts, gate = self.starts, self.gate

        def make() -> np.ndarray[Any, Any]:
            starts("make")
            return np.arange(length)

        def hold() -> None:
            starts("hold")
            until(gate.exists, "the gate")

        def read(value: np.ndarray[Any, Any], _: object) -> int:
            starts("read")
            return int(value.sum())

        with Flow("lost") as flow:
            self.made, self.held = task(make, **options)(), task(hold)()
            self.end = task(read)(self.made, self.held)
        self.flow = flow

    def run(self, client: Client) -> Any:
        run = self.flow.start(executor=DaskExecutor(client, bundle_size=None))
        maker, holder = self.starts.wait_for("make"), self.starts.wait_for("hold")
        assert maker != holder
        until(lambda: isinstance(run.states()[self.made], Success), "the result")
        os.kill(maker, signal.SIGKILL)
        until(lambda: maker not in workers_of(client), "the worker to be missed")
        self.gate.touch()
        state = run.wait(PATIENCE)
        self.history = run.explain(self.made)
        return state.result


def workers_of(client: Client) -> list[int]:
    with contextlib.suppress(Exception):
        return list(client.run(os.getpid).values())
    return []


@row(
    "worker killed after success, small result still needed",
    "1 start; the value is there all the same, from where it was stored",
    slow=True,
)
def lost_small(ground: Ground) -> str:
    with ground.borrowed() as client:
        loss = Loss(ground, 10)
        found = loss.run(client)
    loss.starts.once("make", "hold", "read")
    assert found[loss.end].result == 45
    return "1 start each; the reader got the value that had been kept beside the dead worker"


@row(
    "worker killed after success, large result still needed",
    "1 start; its run becomes Crashed(result-lost), and rules decide for it and its readers",
    slow=True,
)
def lost_large(ground: Ground) -> str:
    with ground.borrowed() as client:
        loss = Loss(ground, 1_000_000)
        found = loss.run(client)
    loss.starts.once("make", "hold")
    assert named(found[loss.made]) == "Crashed(result-lost)", (
        f"{found[loss.made]!r}, its reader {found[loss.end]!r}"
    )
    assert isinstance(found[loss.end], TriggerFailed)
    return "1 start; Crashed(result-lost); the reader TriggerFailed"


def made_again(ground: Ground, **options: Any) -> str:
    """Lose a large result whose task may run again; its history must count."""
    with ground.borrowed() as client:
        loss = Loss(ground, 1_000_000, **options)
        found = loss.run(client)
    assert loss.starts.count() == {"make": 2, "hold": 1, "read": 1}, loss.starts.count()
    assert isinstance(found[loss.made], Success), found[loss.made]
    assert found[loss.end].result == sum(range(1_000_000))
    assert "Success (attempt 2)" in loss.history, loss.history
    assert ("Crash 1 of 1" in loss.history) == (not options.get("idempotent")), loss.history
    return f"2 starts of the lost one, 1 of the others; the reader has the value; {loss.history.splitlines()[-1].strip()}"


for _options, _told in (
    ({"max_crashes": 1}, "2 starts, Success, the crash in its history"),
    ({"max_retries": 1}, "2 starts, Success, the crash in its history, since max_crashes follows"),
    ({"idempotent": True}, "recomputed with no crash counted"),
):

    @row(
        f"the same with {' '.join(f'{name}={value}' for name, value in _options.items())}",
        f"{_told}; the reader has the value",
        slow=True,
    )
    def lost_and_made(ground: Ground, options: Any = _options) -> str:
        return made_again(ground, **options)


@row("worker killed mid-task with max_crashes=1", "2 starts, Success; its history shows the crash")
def killed_with_crashes(ground: Ground) -> str:
    starts = ground.starts

    def body() -> str:
        starts("body")
        if len(starts.pids("body")) == 1:
            os._exit(1)
        return "second"

    with Flow("again") as flow:
        end = task(body, max_crashes=1)()
    run = flow.start(executor=ground.own(1))
    state = run.wait(PATIENCE)
    assert starts.count() == {"body": 2}, starts.count()
    assert state.result[end].result == "second"
    told = run.explain(end)
    assert "Crash 1 of 1" in told, told
    return "2 starts, Success, 'Crash 1 of 1' in its history"


def segfault() -> None:
    ctypes.string_at(0)


def beside(ground: Ground, body: Any, told: str, size: int | None) -> str:
    """Run a body that ends its process among neighbours; its message must say how."""
    starts = ground.starts

    def child(x: int) -> int:
        starts(x)
        if x == 7:
            body()
        return x

    with Flow("beside") as flow:
        mapped = task(child).map(list(range(20)))
    state = flow.run(executor=ground.own(2, bundle_size=size))
    ends = state.result[mapped].map_states
    starts.once(*range(20))
    assert Counter(map(named, ends)) == {"Success": 19, "Crashed(exited)": 1}, Counter(map(named, ends))
    assert named(ends[7]) == "Crashed(exited)"
    assert told in ends[7].message, ends[7]
    return f"1 start each, Crashed(exited), 19 Success: {ends[7].message}"


for _name, _body, _told, _sizes in (
    ("os._exit", lambda: os._exit(3), "exit status 3", (None, 20)),
    ("os._exit(0)", lambda: os._exit(0), "exit status 0", (20,)),
    ("segfault", segfault, "SIGSEGV", (None, 20)),
):
    for _size in _sizes:

        @row(
            f"{_name} in a body, {'each alone' if _size is None else 'in a bundle'}",
            "1 start; Crashed(exited), saying how; neighbours have 1 start",
        )
        def ends_process(
            ground: Ground, body: Any = _body, told: str = _told, size: int | None = _size
        ) -> str:
            return beside(ground, body, told, size)


@row(
    "memory limit reached",
    "1 start; Crashed('out-of-memory')",
    slow=True,
)
def out_of_memory(ground: Ground) -> str:
    starts = ground.starts

    def greedy() -> None:
        starts("greedy")
        held = []
        while True:
            held.append(np.ones(2_000_000))
            time.sleep(0.02)

    def modest() -> int:
        starts("modest")
        return 1

    with Flow("memory") as flow:
        dead, fine = task(greedy)(), task(modest)()
    state = flow.run(executor=ground.own(2, cluster_kwargs={"memory_limit": "400 MB"}))
    starts.once("greedy", "modest")
    assert state.result[fine].result == 1
    assert named(state.result[dead]) == "Crashed(out-of-memory)", state.result[dead]
    return "1 start; Crashed(out-of-memory); the other Success"


@row(
    "cluster that is scaled down and up under a map of 500",
    "1 start each, all results right",
    slow=True,
)
def adaptive(ground: Ground) -> str:
    starts = ground.starts

    def body(x: int) -> int:
        starts(x)
        time.sleep(0.04)
        return x * x

    with Flow("adaptive") as flow:
        squares = task(body).map(list(range(500)))
        total = task(lambda xs: sum(xs), name="total")(squares)
    with ground.borrowed(2) as client:
        run = flow.start(executor=DaskExecutor(client))
        sizes = []
        for count in (4, 1, 3, 1, 2):
            done = len(starts.lines())
            client.cluster.scale(count)
            until(lambda done=done: run.is_over or len(starts.lines()) >= done + 60, "60 more bodies")
            sizes.append(count)
        state = run.wait(120)
    ends = Counter(named(one) for one in state.result[squares].map_states)
    starts.once(*range(500))
    assert ends == {"Success": 500}, ends
    assert state.result[total].result == sum(x * x for x in range(500))
    return f"1 start each of 500, all results right, {' -> '.join(map(str, sizes))} workers meanwhile"


@row(
    "an own adaptive cluster (0 to 3 workers) under a map of 500",
    "1 start each, all results right",
    slow=True,
)
def own_adaptive(ground: Ground) -> str:
    starts = ground.starts

    def body(x: int) -> int:
        starts(x)
        time.sleep(0.02)
        return x * x

    with Flow("adaptive") as flow:
        squares = task(body).map(list(range(500)))
        total = task(lambda xs: sum(xs), name="total")(squares)
    kwargs = {"n_workers": 0, "threads_per_worker": 1}
    adapt = {"minimum": 0, "maximum": 3, "interval": "200ms", "wait_count": 1}
    state = flow.run(executor=DaskExecutor(cluster_kwargs=kwargs, adapt_kwargs=adapt))
    ends = Counter(named(one) for one in state.result[squares].map_states)
    starts.once(*range(500))
    assert ends == {"Success": 500}, ends
    assert state.result[total].result == sum(x * x for x in range(500))
    return f"1 start each of 500, all results right, in {len({line[1] for line in starts.lines()})} processes"


def silent(ground: Ground, ttl: int, seconds: float) -> Any:
    """Let bodies silence their workers: stopped, at work with Python's lock, waiting with it; return how they ended."""
    starts = ground.starts

    def stopped() -> None:
        starts("stopped")
        time.sleep(300)

    def works() -> str:
        begun = time.monotonic()
        sum(range(10_000_000))
        count = 10_000_000 * seconds / (time.monotonic() - begun)
        starts("works")
        sum(range(int(count)))  # in one go, as C code does that knows nothing of Python
        return "worked"

    def waits() -> str:
        starts("waits")
        begun = time.monotonic()
        while (left := seconds - (time.monotonic() - begun)) > 0:
            ctypes.PyDLL(None).usleep(int(left * 1e6))  # a library that keeps the lock meanwhile
        return "waited"

    def quick(x: int) -> int:
        starts(f"quick-{x}")
        return x

    with Flow("silent") as flow:
        bodies = [task(body, priority=1)() for body in (stopped, works, waits)]
        others = task(quick, priority=0).map(list(range(20)))
    kwargs = {"scheduler_kwargs": {"worker_ttl": f"{ttl}s"}}
    run = flow.start(executor=ground.own(3, cluster_kwargs=kwargs))
    os.kill(starts.wait_for("stopped"), signal.SIGSTOP)
    begun = time.monotonic()
    until(lambda: run.states()[bodies[0]].is_finished(), "the verdict", 60)
    took = time.monotonic() - begun
    found = run.wait(300).result
    starts.once("stopped", "works", "waits", *(f"quick-{x}" for x in range(20)))
    assert Counter(named(one) for one in found[others].map_states) == {"Success": 20}
    ends = [found[one] for one in bodies]
    assert named(ends[0]) == "Crashed(worker-lost)", ends[0]
    assert "was stopped (by SIGSTOP)" in ends[0].message, ends[0]
    assert ends[1].result == "worked", ends[1]
    return ends[2], f"1 start each; what is stopped is Crashed after {took:.0f} s, what works is Success"


@row(
    "workers of an own cluster that are silent for longer than their TTL of 6 s",
    "1 start each; Crashed(worker-lost), saying so, when stopped or idle; Success of what works with Python's lock",
    slow=True,
)
def silent_soon(ground: Ground) -> str:
    waited, told = silent(ground, ttl=6, seconds=25)
    assert named(waited) == "Crashed(worker-lost)", waited
    assert "did nothing" in waited.message, waited
    return f"{told}, what waits: {waited.message}"


@row(
    "workers of an own cluster that are silent for 35 s",
    "1 start each; Crashed(worker-lost) within 60 s when stopped; Success of what works or waits with Python's lock",
    slow=True,
)
def silent_for_long(ground: Ground) -> str:
    waited, told = silent(ground, ttl=300, seconds=35)
    assert waited.result == "waited", waited
    return f"{told}, and so is what waits"
