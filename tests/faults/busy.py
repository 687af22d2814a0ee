"""Workers that die while nobody is there to tell of it: all others are busy for long, there is none, the run is over."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from typing import Final

import numpy as np
import psutil

from prefectlite import DaskExecutor, Flow, task
from prefectlite.errors import ResultUnavailable
from prefectlite.results import LocalResult
from tests.faults.ground import PATIENCE, Ground, is_alive, named, until
from tests.faults.row import row
from tests.faults.workers import workers_of

#: How soon a verdict must be there, in seconds; the bodies of the others end when it is.
SOON: Final = 20


def killed_among_busy(ground: Ground, width: int, bundle_size: int | None) -> tuple[Counter[str], str]:
    """Kill the worker that runs a map's child in the middle, while two others run what ends after the verdict.

    Returns how the children ended, and what was seen meanwhile.
    """
    starts, gate, doomed = ground.starts, ground.folder / "gate", width // 2

    def stay(number: int) -> None:
        starts(f"stay-{number}")
        until(gate.exists, "the gate")

    def body(x: int) -> int:
        starts(x)
        if x == doomed:
            time.sleep(300)
        return x

    with Flow("busy") as flow:
        others = [task(stay, priority=1, bundle_size=None)(number) for number in range(2)]
        children = task(body).map(list(range(width)))
        after = task(lambda xs: sum(xs), name="after")(children)
    with ground.bare(3) as client:
        run = flow.start(executor=DaskExecutor(client, bundle_size=bundle_size))
        for number in range(2):
            starts.wait_for(f"stay-{number}")
        os.kill(starts.wait_for(doomed), signal.SIGKILL)
        begun = time.monotonic()
        until(lambda: run.states()[children].map_states[doomed].is_finished(), "the verdict", SOON)
        took = time.monotonic() - begun
        meanwhile = Counter(named(one) for one in run.states()[children].map_states[: doomed + 1])
        assert meanwhile == Counter({"Success": doomed, "Crashed(worker-lost)": 1}), meanwhile
        assert not any(run.states()[one].is_finished() for one in others)
        gate.touch()
        found = run.wait(PATIENCE).result
        starts.once("stay-0", "stay-1", *range(width))
    assert named(found[after]) == "TriggerFailed", found[after]
    ends = Counter(named(one) for one in found[children].map_states)
    return ends, f"Crashed(worker-lost) {took:.1f} s after the death, the other bodies still at work"


@row(
    "worker killed -9 mid-task while all others are busy for long",
    f"1 start; Crashed(worker-lost) within {SOON} s, before any of their threads is free",
    slow=True,
)
def killed_alone(ground: Ground) -> str:
    ends, told = killed_among_busy(ground, 1, None)
    assert ends == {"Crashed(worker-lost)": 1}, ends
    return told


@row(
    "worker killed -9 in a bundle while all others are busy for long",
    f"within {SOON} s Crashed(worker-lost) of the run that had begun, Success of those before it; the rest runs "
    "elsewhere when a thread is free; 1 start each",
    slow=True,
)
def killed_in_bundle(ground: Ground) -> str:
    ends, told = killed_among_busy(ground, 8, 8)
    assert ends == {"Success": 7, "Crashed(worker-lost)": 1}, ends
    return f"{told}; then 7 Success"


@row(
    "the only worker killed -9 mid-task, and none comes after it",
    f"1 start; Crashed(worker-lost), its reader TriggerFailed, and the flow run ends within {SOON} s",
    slow=True,
)
def killed_the_last(ground: Ground) -> str:
    starts = ground.starts

    def body() -> None:
        starts("body")
        time.sleep(300)

    with Flow("last") as flow:
        dead = task(body)()
        after = task(lambda x: x, name="after")(dead)
    with ground.bare(1) as client:
        run = flow.start(executor=DaskExecutor(client))
        os.kill(starts.wait_for("body"), signal.SIGKILL)
        found = run.wait(SOON).result
    starts.once("body")
    assert named(found[dead]) == "Crashed(worker-lost)", found[dead]
    assert named(found[after]) == "TriggerFailed", found[after]
    return "1 start, Crashed(worker-lost), TriggerFailed, and the flow run is over"


@row(
    "worker killed after the flow run, whose result it keeps",
    "1 start: what is lost after the end is not made again, and its result says so when asked for",
    slow=True,
)
def killed_afterwards(ground: Ground) -> str:
    starts = ground.starts

    def make() -> object:
        starts("make")
        return np.arange(1_000_000)

    with Flow("kept") as flow:
        made = task(make)()
    with ground.borrowed() as client:
        state = flow.run(executor=DaskExecutor(client))
        [maker] = starts.pids("make")
        os.kill(maker, signal.SIGKILL)
        until(lambda: maker not in workers_of(client), "the worker to be missed")
        try:
            told = repr(state.result[made].result)
        except ResultUnavailable as error:
            told = str(error)
    starts.once("make")
    assert "is gone" in told or "left no result" in told, told
    return f"1 start; {told}"


@row(
    "a worker that was given up (SIGSTOP, then SIGCONT) when a later attempt has stored its value in the same place",
    "the later attempt's value stays there: who was given up stores nothing more",
    slow=True,
)
def stored_late(ground: Ground) -> str:
    starts, gate, folder = ground.starts, ground.folder / "gate", ground.folder / "stored"

    def body() -> int:
        starts("body")
        attempt = len(starts.pids("body"))
        if attempt == 1:
            until(gate.exists, "the gate", 300)
        return attempt

    with Flow("late") as flow:
        made = task(body, target="value", result=LocalResult(folder), max_crashes=1)()
    with ground.bare(2, scheduler_kwargs={"worker_ttl": "5s"}) as client:
        run = flow.start(executor=DaskExecutor(client))
        worker = psutil.Process(starts.wait_for("body"))
        worker.suspend()
        found = run.wait(90).result[made]
        gate.touch()
        worker.resume()
        until(lambda: not is_alive(worker), "the first worker to see that it was given up and end")
    assert starts.count() == {"body": 2}, starts.count()
    assert found.result == 2, found
    stored = LocalResult(folder).read("value").value
    assert stored == 2, f"attempt {stored} stored its value last"
    return "2 starts, attempt 2 Success, and its value lies there after the first attempt's end"
