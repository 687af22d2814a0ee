"""Networks that break: a scheduler and workers on hosts of their own, whose cables are pulled."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from distributed import Client

from prefectlite import DaskExecutor, Flow, task
from prefectlite.states import Success, TriggerFailed
from tests.faults.ground import PATIENCE, ROOT, Ground, named, until
from tests.faults.row import CannotRunHere, row

TOOL: Final = ROOT / "tests" / "tools" / "netns-cluster.sh"
MEND: Final = "apt-get install iproute2, then as root: python -m tests.faults network"
#: How long the scheduler believes in a silent worker, in seconds.
TTL: Final = 10
#: How long a run may lack its inputs, in seconds; by default a minute.
STALL: Final = 10
_nets = itertools.count(secrets.randbelow(200))


class Hosts:
    """Host h1 with a scheduler, h2 and h3 with a worker each, on a network that nobody else has.

    Hosts that come up right behind others of the same names and addresses do not always find each other, so no
    two of one program have the same.

    Parameters
    ----------
    ground : Ground
        Where their processes run.
    """

    def __init__(self, ground: Ground) -> None:
        if shutil.which("ip") is None or os.geteuid():
            raise CannotRunHere(f"network namespaces need root and iproute2: {MEND}")
        self.ground = ground
        self.prefix = f"f{secrets.token_hex(2)}-"
        self.net = f"10.79.{next(_nets) % 250}"
        self.environment = {
            **os.environ,
            "NETNS_PREFIX": self.prefix,
            "NETNS_NET": self.net,
            "PYTHONPATH": str(ROOT),
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{TTL}s",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
        }
        self._started: list[subprocess.Popen[bytes]] = []

    @contextlib.contextmanager
    def up(self) -> Iterator[Client]:
        """Bring them up, and give a client of the scheduler."""
        try:
            made = self._tool("up", "3")
            if made.returncode:
                raise CannotRunHere(
                    f"network namespaces are not permitted here ({made.stderr.strip()}): {MEND}"
                )
            scheduler = f"tcp://{self.address(1)}:8786"
            self._start(1, "dask_scheduler", "--host", self.address(1), "--port", "8786")
            for number in (2, 3):
                self._start(number, "dask_worker", scheduler, "--host", self.address(number),
                            "--name", f"h{number}", "--nthreads", "1", "--no-nanny")  # fmt: skip
            with Client(scheduler, timeout=PATIENCE, set_as_default=False) as client:
                client.wait_for_workers(2, timeout=PATIENCE)
                yield client
        finally:
            for one in self._started:
                one.kill()
                one.wait(10)
            self._tool("down")

    def address(self, number: int) -> str:
        return f"{self.net}.{number}"

    def cut(self, number: int) -> None:
        """Pull a host's cable."""
        self._ip("link", "set", f"{self.prefix}v{number}", "down")

    def heal(self, number: int) -> None:
        """Plug it in again."""
        self._ip("link", "set", f"{self.prefix}v{number}", "up")

    def part(self, one: int, other: int) -> None:
        """Let two hosts reach each other no more, and all others as before."""
        for here, there in ((one, other), (other, one)):
            self._ip("-n", f"{self.prefix}h{here}", "route", "add", "blackhole", self.address(there))

    def _ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def _tool(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TOOL, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )

    def _start(self, number: int, program: str, *options: str) -> None:
        self._started.append(
            subprocess.Popen(
                [TOOL, "exec", f"h{number}", sys.executable, "-m", f"distributed.cli.{program}", *options,
                 "--no-dashboard"],
                cwd=self.ground.folder,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip


def cut_off(ground: Ground, back_after: float | None) -> tuple[str, float]:
    """Cut the worker off that runs a body; return how its run ended, and how long after.

    The flow run goes on until what the worker has to say has come, if its cable is plugged in again.
    """
    starts, stay = ground.starts, (back_after or 0.0) + 12.0

    def body() -> int:
        starts("body")
        time.sleep(8)
        starts("through")
        return 1

    def remain() -> None:
        starts("other")
        time.sleep(stay)

    with Flow("cut") as flow:
        lone = task(body, workers="h2")()
        after = task(lambda x: x, name="after", workers="h3")(lone)
        other = task(remain, name="other", workers="h3")()
    hosts = Hosts(ground)
    with hosts.up() as client:
        run = flow.start(executor=DaskExecutor(client))
        starts.wait_for("body")
        hosts.cut(2)
        begun = time.monotonic()
        if back_after is not None:
            threading.Timer(back_after, hosts.heal, [2]).start()
        until(lambda: run.states()[lone].is_finished(), "the verdict", TTL + 60)
        verdict, took = run.states()[lone], time.monotonic() - begun
        found = run.wait(TTL + 60).result
        until(lambda: starts.pids("through"), "the body's end", 20)
    assert found[lone] == verdict, "a late report changed it"
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


def parted(ground: Ground, reader: dict[str, Any]) -> tuple[Any, float]:
    """Part two workers of which the second is to read what the first made; return how the reader ended."""
    starts = ground.starts

    def make() -> bytes:
        starts("make")
        return bytes(1_000_000)

    def stay() -> None:
        starts("stay")
        time.sleep(1.5 * STALL)  # so that Dask would rather have the reader elsewhere

    def read(value: bytes) -> int:
        starts("read")
        return len(value)

    with Flow("apart") as flow:
        made = task(make, workers="h2")()
        busy = task(stay, workers="h2", priority=-1)(upstream_tasks=[made])
        end = task(read, **reader)(made)
    hosts = Hosts(ground)
    with hosts.up() as client:
        hosts.part(2, 3)
        run = flow.start(executor=DaskExecutor(client, stall_timeout=STALL, bundle_size=None))
        begun = time.monotonic()
        until(lambda: run.states()[end].is_finished(), "the reader", 90)
        took = time.monotonic() - begun
        found = run.wait(PATIENCE).result
    assert isinstance(found[busy], Success)
    assert took < 3 * STALL + 30, f"{took:.0f} s"
    return found[end], took


@row(
    "network: two workers cut off from each other, and only one may run what reads from the other",
    "Crashed(input-unreachable) within stall_timeout + 30 s, naming both; its body has no start",
    slow=True,
)
def cut_from_each_other(ground: Ground) -> str:
    ended, took = parted(ground, {"workers": "h3"})
    assert named(ended) == "Crashed(input-unreachable)", ended
    assert "could not fetch them from" in ended.message, ended
    ground.starts.once("make", "stay")
    return f"{named(ended)} after {took:.0f} s (stall_timeout {STALL} s): {ended.message}"


@row(
    "network: two workers cut off from each other, and both may run what reads from one",
    "1 start, Success: where it lacks its inputs it does not stay",
    slow=True,
)
def read_elsewhere(ground: Ground) -> str:
    ended, took = parted(ground, {})
    assert ended.result == 1_000_000, ended
    ground.starts.once("make", "stay", "read")
    return f"1 start each, Success after {took:.0f} s (stall_timeout {STALL} s)"
