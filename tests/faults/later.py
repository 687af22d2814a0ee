"""Hard limits of time, and networks that break."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from distributed import Client

from prefectlite import DaskExecutor, Flow, task
from prefectlite.states import TimedOut, TriggerFailed
from tests.faults.ground import ROOT, Ground, named, until
from tests.faults.row import CannotRunHere, row

TOOL = ROOT / "tests" / "tools" / "netns-cluster.sh"
#: Names of our own, so that somebody else's namespaces stay as they are.
NET = {"NETNS_PREFIX": "flt-", "NETNS_NET": "10.79.0"}
SCHEDULER = "tcp://10.79.0.1:8786"
#: How long the scheduler believes in a silent worker, in seconds.
TTL = 10
ENVIRONMENT = {
    **os.environ,
    **NET,
    "PYTHONPATH": str(ROOT),
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{TTL}s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
}


@row(
    "timeout=2 over: a sleep, a Python loop",
    "TimedOut by 4 s",
    slow=True,
)
def timed_out(ground: Ground) -> str:
    def spin(how: str) -> None:
        end = time.monotonic() + 8
        while how == "loop" and time.monotonic() < end:
            pass
        time.sleep(8 if how == "sleep" else 0)

    took = {}
    for how in ("sleep", "loop"):
        with Flow("late") as flow:
            late = task(spin, timeout=2)(how)
        begun = time.monotonic()
        state = flow.run(executor=ground.own(1))
        took[how] = time.monotonic() - begun
        assert isinstance(state.result[late], TimedOut), (
            f"{how}: {state.result[late]!r} after {took[how]:.0f} s"
        )
    return ", ".join(f"{how}: {seconds:.1f} s" for how, seconds in took.items())


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TOOL, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def hosts(ground: Ground) -> Iterator[Client]:
    """Give a scheduler on host h1 and workers on h2 and h3, each with a network of its own."""
    mend = "apt-get install iproute2, then as root: python -m tests.faults network"
    if shutil.which("ip") is None or os.geteuid():
        raise CannotRunHere(f"network namespaces need root and iproute2: {mend}")
    made = tool("up", "3")
    end = time.monotonic() + 20
    while "File exists" in made.stderr and time.monotonic() < end:  # the last ones are still going
        time.sleep(0.5)
        made = tool("up", "3")
    started: list[subprocess.Popen[bytes]] = []

    def start(host: str, *words: str) -> None:
        started.append(
            subprocess.Popen(
                [TOOL, "exec", host, sys.executable, "-m", *words],
                cwd=ground.folder,
                env=ENVIRONMENT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    try:
        if made.returncode:
            raise CannotRunHere(f"network namespaces are not permitted here ({made.stderr.strip()}): {mend}")
        start(
            "h1", "distributed.cli.dask_scheduler", "--host", "10.79.0.1", "--port", "8786", "--no-dashboard"
        )
        for number in (2, 3):
            host, address = f"h{number}", f"10.79.0.{number}"
            start(host, "distributed.cli.dask_worker", SCHEDULER, "--host", address, "--name", host,
                  "--nthreads", "1", "--no-nanny", "--no-dashboard")  # fmt: skip
        with Client(SCHEDULER, timeout=30, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=30)
            yield client
    finally:
        for one in started:
            one.kill()
            one.wait(10)
        tool("down")


def cut_off(ground: Ground, back_after: float | None) -> tuple[str, float]:
    """Cut the worker off that runs a body; return how its run ended, and how long after."""
    starts = ground.starts

    def body() -> int:
        starts("body")
        time.sleep(8)
        starts("through")
        return 1

    with Flow("cut") as flow:
        lone = task(body, workers="h2")()
        after = task(lambda x: x, name="after", workers="h3")(lone)
        other = task(lambda: starts("other"), name="other", workers="h3")()
    with hosts(ground) as client:
        run = flow.start(executor=DaskExecutor(client))
        starts.wait_for("body")
        tool("cut", "h2")
        begun = time.monotonic()
        if back_after is not None:
            time.sleep(back_after)
            subprocess.run(["ip", "link", "set", "flt-v2", "up"], check=True)
        found = run.wait(TTL + 60).result
        took = time.monotonic() - begun
        until(lambda: starts.pids("through"), "the body's end", 20)
    starts.once("body", "through", "other")
    assert took < TTL + 30, f"{took:.0f} s"
    assert named(found[other]) == "Success"
    if back_after is None:
        assert isinstance(found[after], TriggerFailed), found[after]
    return named(found[lone]), took


@row(
    "network: a worker cut off from the scheduler for good",
    "Crashed(worker-lost) within the TTL + 30 s; 1 start",
    slow=True,
)
def cut_for_good(ground: Ground) -> str:
    ended, took = cut_off(ground, None)
    assert ended == "Crashed(worker-lost)", ended
    return f"1 start, {ended} after {took:.0f} s (TTL {TTL} s)"


@row("network: a worker cut off for 3 s", "1 start; Success", slow=True)
def cut_for_a_while(ground: Ground) -> str:
    ended, took = cut_off(ground, 3.0)
    assert ended == "Success", ended
    return f"1 start, {ended} {took:.0f} s after the cut"


@row(
    "network: a worker cut off for longer than the TTL, then healed",
    "1 start; its late report changes nothing",
    slow=True,
)
def healed_late(ground: Ground) -> str:
    ended, took = cut_off(ground, TTL + 12.0)
    assert ended == "Crashed(worker-lost)", ended
    return f"1 start, {ended} after {took:.0f} s (TTL {TTL} s)"


@row(
    "network: two workers cut off from each other only",
    "re-placed after stall_timeout (60 s), then Crashed(input-unreachable); 1 start",
    slow=True,
    missing="there is no stall_timeout yet: a run that never gets its inputs is left to Dask",
)
def cut_from_each_other(ground: Ground) -> str:
    starts = ground.starts

    def make() -> bytes:
        starts("make")
        return bytes(1_000_000)

    def read(value: bytes) -> int:
        starts("read")
        return len(value)

    with Flow("apart") as flow:
        end = task(read, workers="h3")(task(make, workers="h2")())
    with hosts(ground) as client:
        for host, other in ((2, 3), (3, 2)):
            tool("exec", f"h{host}", "ip", "route", "add", "blackhole", f"10.79.0.{other}")
        run = flow.start(executor=DaskExecutor(client))
        try:
            found = run.wait(90).result
        except TimeoutError:
            run.cancel()
            run.wait(30)
            raise AssertionError("no end within 90 s") from None
    assert named(found[end]) == "Crashed(input-unreachable)", found[end]
    starts.once("make")
    return named(found[end])
