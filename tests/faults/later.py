"""Hard limits of time, and networks that break."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from prefectlite import Flow, task
from prefectlite.states import TimedOut
from tests.faults.ground import ROOT, Ground
from tests.faults.row import CannotRunHere, row

TOOL = ROOT / "tests" / "tools" / "netns-cluster.sh"


@row(
    "timeout=2 over: a sleep, a Python loop",
    "TimedOut by 4 s, the slot works",
    slow=True,
    missing="timeout does not end a body yet",
)
def timed_out(ground: Ground) -> str:
    def spin(how: str) -> None:
        until = time.monotonic() + 20
        while how == "loop" and time.monotonic() < until:
            pass
        time.sleep(20 if how == "sleep" else 0)

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


def need_namespaces() -> None:
    """Raise unless this machine lets us make network namespaces."""
    lacks = [name for name in ("ip", "iptables") if shutil.which(name) is None]
    mend = "apt-get install iproute2 iptables, then run as root: python -m tests.faults network"
    if lacks or os.geteuid():
        raise CannotRunHere(f"network namespaces need root and {', '.join(lacks) or 'ip'}: {mend}")
    made = subprocess.run([TOOL, "up", "0"], capture_output=True, text=True, check=False)
    subprocess.run([TOOL, "down"], capture_output=True, check=False)
    if made.returncode:
        raise CannotRunHere(f"network namespaces are not permitted here ({made.stderr.strip()}): {mend}")
