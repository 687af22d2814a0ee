"""Drivers and schedulers that end, clocks that jump, and work that nobody can take."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import dask
import psutil
from distributed import Client

from prefectlite import DaskExecutor, Flow, task
from prefectlite.states import Cancelled, Success
from tests.faults.ground import PATIENCE, Ground, family, is_alive, named, until
from tests.faults.row import CannotRunHere, row

DRIVER = """
    import os, signal, subprocess, time
    from pathlib import Path
    from prefectlite import DaskExecutor, Flow, task
    from tests.faults.ground import Starts

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what measures tests may have set one of its own
    starts = Starts(Path(os.environ["FOLDER"]) / "starts")

    def nap(x):
        starts(f"nap-{x}")
        until = time.monotonic() + 300
        while time.monotonic() < until:
            time.sleep(0.01)

    def tell(flow, old, new):
        print("flow", type(new).__name__, flush=True)
        return new

    if __name__ == "__main__":
        with Flow("long", state_handlers=[tell]) as flow:
            task(nap).map([0, 1, 2, 3])
        flow.run(executor=DaskExecutor(cluster_kwargs={"n_workers": 2, "threads_per_worker": 1}))
"""


def stopped(ground: Ground, sent: signal.Signals) -> str:
    driver = ground.program(DRIVER)
    until(lambda: len(ground.starts.lines()) >= 2, "two bodies")
    relatives = family(driver.pid)
    assert len(relatives) >= 2
    driver.send_signal(sent)
    begun = time.monotonic()
    try:
        out, _ = driver.communicate(timeout=15)
    finally:
        driver.kill()
    left = psutil.wait_procs(relatives, timeout=10)[1]
    left = [one for one in left if is_alive(one)]
    told = [one.name() for one in left]
    for one in left:
        one.kill()
    assert not left, f"left after 10 s: {told}"
    assert driver.returncode == -sent or sent == signal.SIGINT, driver.returncode
    assert ("flow Cancelled" in out) == (sent != signal.SIGKILL), out
    assert len(ground.starts.lines()) == 2
    return f"status {driver.returncode}, none of {len(relatives)} processes left, {time.monotonic() - begun:.1f} s after"


for _sent in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):

    @row(
        f"driver of an own cluster gets {_sent.name}",
        "no process is left after 10 s"
        + ("" if _sent == signal.SIGKILL else "; the flow run ends Cancelled"),
        slow=_sent == signal.SIGKILL,
    )
    def driver_stopped(ground: Ground, sent: signal.Signals = _sent) -> str:
        return stopped(ground, sent)


def cancelled(ground: Ground, client: Client | None) -> float:
    starts, folder = ground.starts, ground.folder

    def spin(x: int) -> None:
        end = time.monotonic() + 300
        try:
            # In here: it may be interrupted as soon as it has said so, before the next line of Python.
            starts(f"spin-{x}")
            while time.monotonic() < end:
                time.sleep(0.01)
        finally:
            (folder / f"over-{x}").touch()

    with Flow("endless") as flow:
        bodies = task(spin).map([0, 1, 2, 3])
    run = flow.start(executor=ground.own() if client is None else DaskExecutor(client))
    until(lambda: len(starts.lines()) >= 2, "two bodies")
    begun = time.monotonic()
    run.cancel()
    state = run.wait(20)
    took = time.monotonic() - begun
    if client is not None:
        until(lambda: len(list(folder.glob("over-*"))) == 2, "the end of both bodies", max(5 - took, 0))
    assert took < 5, f"{took:.0f} s"
    assert isinstance(state, Cancelled)
    ends = state.result[bodies].map_states
    assert Counter(map(named, ends)) == {"Cancelled": 4}
    assert len({one.message for one in ends}) == 1
    assert ("may run on" in ends[0].message) == (client is not None), ends[0]
    assert len(starts.lines()) == 2
    return took


@row("run.cancel() on an own cluster", "states Cancelled within 5 s, no process left after 10 s")
def cancel_own(ground: Ground) -> str:
    import os

    before = {one.pid for one in family(os.getpid())}
    took = cancelled(ground, None)
    until(
        lambda: (
            not {int(line[1]) for line in ground.starts.lines()} & {one.pid for one in family(os.getpid())}
        ),
        "the end of the workers",
        10,
    )
    return f"4 Cancelled after {took:.1f} s, no worker left ({len(before)} processes before)"


@row(
    "run.cancel() on a borrowed cluster",
    "states Cancelled and bodies interrupted within 5 s; the client runs the next flow",
)
def cancel_borrowed(ground: Ground) -> str:
    with ground.borrowed() as client:
        took = cancelled(ground, client)
        with Flow("next") as following:
            one = task(lambda: 1, name="one")()
        assert following.run(executor=DaskExecutor(client)).result[one].result == 1
    return f"4 Cancelled after {took:.1f} s, both bodies interrupted within 5 s, and the next flow is through"


@row(
    "run.cancel() on a borrowed cluster under C code that heeds nothing, with isolate=True and without",
    "states Cancelled within 5 s; with isolate=True its process is dead, without it the state says that it runs on",
    slow=True,
)
def cancel_deaf(ground: Ground) -> str:
    starts = ground.starts

    def deaf(name: str) -> None:
        try:
            starts(name)
            time.sleep(10)
        finally:
            starts(f"{name}-over")

    with Flow("deaf") as flow:
        left, ended = task(deaf)("left"), task(deaf, isolate=True)("ended")
    with ground.borrowed() as client:
        run = flow.start(executor=DaskExecutor(client))
        starts.wait_for("left")
        process = psutil.Process(starts.wait_for("ended"))
        begun = time.monotonic()
        run.cancel()
        found = run.wait(20).result
        took = time.monotonic() - begun
        assert [named(found[one]) for one in (left, ended)] == ["Cancelled"] * 2
        assert took < 5, f"{took:.0f} s"
        assert "C code may run on" in found[left].message, found[left]
        until(lambda: not is_alive(process), "the end of the isolated body", 5)
        starts.wait_for("left-over")
        over = time.monotonic() - begun
    starts.once("left", "ended", "left-over", "ended-over")
    assert over > 5, "it did not run on"
    return f"both Cancelled after {took:.1f} s, the isolated one dead, the other {over:.0f} s after: {found[left].message}"


@row(
    "scheduler killed -9",
    "the run ends within 30 s, each state true (finished ones keep theirs), reason named",
    slow=True,
)
def scheduler_killed(ground: Ground, crashes: int = 0) -> str:
    starts, file = ground.starts, ground.folder / "scheduler.json"

    def quick(x: int) -> int:
        starts(f"quick-{x}")
        return x

    def slow(x: int) -> None:
        starts("slow")
        time.sleep(20)

    python = Path(subprocess.sys.executable)
    common = {"cwd": ground.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen(
            [python, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
             "--scheduler-file", file],
            **common,
        )
    ]  # fmt: skip
    try:
        until(file.exists, "the scheduler")
        started.append(
            subprocess.Popen(
                [python, "-m", "distributed.cli.dask_worker", "--scheduler-file", file, "--nthreads", "1", "--no-dashboard"],
                **common,
            )
        )  # fmt: skip
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(1)
            with Flow("orphaned") as flow:
                done = task(quick)(1)
                stuck = task(slow, max_crashes=crashes)(done)
                after = task(lambda x: x, name="after")(stuck)
            run = flow.start(executor=DaskExecutor(client))
            starts.wait_for("slow")
            until(lambda: isinstance(run.states()[done], Success), "the first to be heard of")
            started[0].kill()
            begun = time.monotonic()
            state = run.wait(60)
            took = time.monotonic() - begun
    finally:
        for one in started:
            for relative in family(one.pid):
                relative.kill()
            one.kill()
            one.wait(10)
    found = state.result
    assert took < 30, f"{took:.0f} s"
    assert found[done].result == 1
    if crashes:
        assert isinstance(found[stuck], Cancelled), found[stuck]
        assert "Nothing can be sent" in state.message, state
    else:
        assert named(found[stuck]) == "Crashed(scheduler-lost)", found[stuck]
    assert found[stuck].message
    starts.once("quick-1", "slow")
    return f"ended after {took:.1f} s; Success kept, {named(found[stuck])}, {named(found[after])}"


@row(
    "scheduler killed -9 under a task that may crash once",
    "the run ends within 30 s, each state true: nothing can be sent any more",
    slow=True,
)
def scheduler_killed_for_good(ground: Ground) -> str:
    return scheduler_killed(ground, crashes=1)


@row("no worker can meet a task's resources", "said in progress and in explain, not silent", slow=False)
def nobody_can(ground: Ground) -> str:
    with Flow("demanding") as flow:
        wanting = task(lambda: 1, name="wanting", resources={"GPU": 1})()
    with ground.borrowed(1) as client:
        run = flow.start(executor=DaskExecutor(client))
        try:
            until(lambda: "GPU" in run._run.description, "progress to say so")
            shown = run._run.description
            told = run.explain(wanting)
            assert "GPU" in told, told
        finally:
            run.cancel()
            run.wait(20)
    return f"{shown!r}; explain: {told.splitlines()[-1].strip()!r}"


@row(
    "no worker can meet a task's resources, and the cluster has a limit for that (no-workers-timeout)",
    "Crashed when it is over, saying why; its body has no start",
    slow=True,
)
def nobody_can_in_time(ground: Ground) -> str:
    starts = ground.starts
    with Flow("demanding") as flow:
        wanting = task(lambda: starts("wanting"), name="wanting", resources={"GPU": 1})()
        other = task(lambda: 1, name="other")()
    with dask.config.set({"distributed.scheduler.no-workers-timeout": "2s"}), ground.borrowed(1) as client:
        found = flow.start(executor=DaskExecutor(client)).wait(PATIENCE).result
    assert named(found[wanting]) == "Crashed(not-run)", found[wanting]
    assert "NoValidWorkerError" in found[wanting].message, found[wanting]
    assert found[other].result == 1
    starts.once()
    return f"{named(found[wanting])}: {found[wanting].message}"


# Stands between a program and the system's wall clock, and adds what a file says.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static long jump(void) {
    static const volatile long *at;
    if (!at) {
        int file = open(getenv("JUMP"), O_RDONLY);
        if (file < 0) return 0;
        at = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    }
    return *at;
}
int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(which, now);
    if (which == CLOCK_REALTIME) now->tv_sec += jump();
    return status;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *out) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (out) *out = exact.tv_sec;
    return exact.tv_sec;
}
"""

JUMPING = """
    import json, os, sys, time
    from pathlib import Path
    from prefectlite import DaskExecutor, Flow, context, task
    from tests.faults.ground import Starts

    starts = Starts(Path(os.environ["FOLDER"]) / "starts")
    jump = Path(os.environ["JUMP"])
    days = int(sys.argv[1])

    def flaky(x):
        starts(f"flaky-{x}-{context.attempt}")
        if context.attempt == 1:
            time.sleep(0.5)
            raise ValueError("first")
        return x

    def chat():
        # So that something is on its way whenever the clock is set.
        starts("chat")
        until = time.monotonic() + 2
        while time.monotonic() < until:
            print("so to say")
            time.sleep(0.001)

    def leap(times, _):
        starts(f"leap-{times}")
        time.sleep(0.2)
        with jump.open("r+b") as file:
            file.write((times * days * 86400).to_bytes(8, "little", signed=True))
        return times

    if __name__ == "__main__":
        real = time.time()
        with Flow("jump") as flow:
            tried = task(flaky, max_retries=1, retry_delay=1).map([1, 2, 3])
            total = task(lambda xs: sum(xs), name="total")(tried)
            task(chat, log_stdout=True)()
            jumps = 0
            for times in range(1, 6):
                jumps = task(leap)(times, jumps)
        begun = time.monotonic()
        state = flow.run(executor=DaskExecutor(n_workers=2))
        assert abs(time.time() - real - 5 * days * 86400) < 3600, "the clock did not jump"
        print(json.dumps([type(state).__name__, state.result[total].result, time.monotonic() - begun]))
"""


for _days, _way in ((1, "forward"), (-1, "back")):

    @row(f"wall clock of driver and workers jumps {_way}, five times a day", "same states", slow=True)
    def clock(ground: Ground, days: int = _days) -> str:
        return clock_jumps(ground, days)


def clock_jumps(ground: Ground, days: int) -> str:
    import json

    compiler = shutil.which("cc")
    if compiler is None:
        raise CannotRunHere("a C compiler makes the clock jump: apt-get install gcc libc6-dev")
    (ground.folder / "shim.c").write_text(SHIM)
    library = ground.folder / "shim.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", library, ground.folder / "shim.c", "-ldl"], check=True
    )
    (ground.folder / "jump").write_bytes(bytes(8))
    env = {"LD_PRELOAD": str(library), "JUMP": str(ground.folder / "jump")}
    out = ground.said(JUMPING, str(days), env=env, seconds=120)
    name, total, seconds = json.loads(out.splitlines()[-1])
    leaps = [f"leap-{times}" for times in range(1, 6)]
    ground.starts.once("chat", *leaps, *(f"flaky-{x}-{attempt}" for x in (1, 2, 3) for attempt in (1, 2)))
    assert (name, total) == ("Success", 6), (name, total)
    return f"same states, same starts, after {seconds:.1f} s"
