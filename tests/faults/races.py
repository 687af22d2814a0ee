"""Bodies that end just when their time is over: ``python -m tests.faults.races [COUNT]``, 10,000 if nothing is said."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from distributed import Client

from prefectlite import DaskExecutor, Flow, task
from prefectlite.states import State, Success, TimedOut
from tests.faults.ground import Ground, named
from tests.faults.row import row

#: The limit, in seconds.
LIMIT: Final = 0.02
#: How many race in one flow run.
FIELD: Final = 250


def run_races(
    client: Client, ground: Ground, count: int, say: bool = False, spread: float = 0.1
) -> Counter[str]:
    """Let bodies race against their limit; return how many ended how, and fail when an outcome is lost or doubled.

    How long they take differs from each other by twice the spread, as a share of the limit.
    """
    path = str(ground.starts.path)

    def body(number: int, seconds: float) -> int:
        begun = time.perf_counter()
        _note(path, f"{number} {os.getpid()}\n")
        while time.perf_counter() - begun < seconds:
            pass
        return number

    ends: Counter[str] = Counter()
    # Where half of them win depends on the machine, and is found on the way.
    center = LIMIT
    for first in range(0, count, FIELD):
        numbers = list(range(first, min(first + FIELD, count)))
        seconds = [center * (1 - spread + 2 * spread * place / len(numbers)) for place in range(len(numbers))]
        with Flow("races") as flow:
            racing = task(body, timeout=LIMIT).map(numbers, seconds)
        children = flow.run(executor=DaskExecutor(client)).result[racing].map_states
        outcomes = list(map(_outcome, numbers, children))
        found = Counter(outcomes)
        assert set(found) <= {"in time", "ended"}, found
        begun = ground.starts.count()
        assert all(begun[str(number)] <= 1 for number in numbers), "began more than once"
        # One that gets no core while its time runs may be ended before its first line.
        won = [number for number, outcome in zip(numbers, outcomes, strict=True) if outcome == "in time"]
        assert all(begun[str(number)] for number in won), "has a value and never began"
        ends += found
        center *= 1 + 0.1 * (found["in time"] - found["ended"]) / len(numbers)
        if say:
            print(
                f"{first + len(numbers):>7,} {dict(ends)}, half of them at {center * 1e3:.1f} ms", flush=True
            )
    assert ends.total() == count, ends
    return ends


def _note(path: str, line: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)


def _outcome(number: int, state: State) -> str:
    if isinstance(state, Success) and state.result == number:
        return "in time"
    return "ended" if isinstance(state, TimedOut) else f"{number}: {named(state)}: {state.message}"


@row(
    "40 races of bodies with their limit (python -m tests.faults.races: 10,000)",
    "each has one outcome, its value or TimedOut, and no second start",
    slow=True,
)
def races(ground: Ground) -> str:
    with ground.borrowed() as client:
        # A loaded machine ends those that would have been in time a few milliseconds too late.
        ends = run_races(client, ground, 40, spread=0.9)
    assert min(ends["in time"], ends["ended"]) > 2, f"hardly a race: {ends}"
    return f"no second start, {ends['in time']} in time with their values, {ends['ended']} TimedOut"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="races-") as folder:
        ground = Ground(Path(folder))
        with ground.borrowed() as client:
            print(run_races(client, ground, int(sys.argv[1]) if sys.argv[1:] else 10_000, say=True))
