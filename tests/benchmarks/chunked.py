"""Graphs of Task Bench in our own chunks: by us, with states and rules, and as plain Dask tasks, without. Prints efficiencies.

Plain chunks are what somebody would write by hand who knew how to cut the graph; it is cut as we cut it, by listening to one
run. Each chunk is one Dask task, which calls its bodies one after the other and returns what others read. Nothing else is done,
and the graph is made before the clock starts. Dask places them, which may well be all on one worker, or they are sent to the
worker that had the bundle in the run that was listened to. What the latter reach on the same cores, and what CPU a body costs
beside itself there, says how much of METG is Dask's.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import accumulate, count
from typing import Any

import dask
from dask._task_spec import Task, TaskRef
from distributed import wait

from prefectlite import DaskExecutor
from prefectlite.executors.hearing import Hearing
from prefectlite.executors.link import Link
from tests.benchmarks import bodies, ours
from tests.benchmarks.meter import Bench, Sample, Summary
from tests.benchmarks.patterns import NAMES, Pattern, pattern

#: A body of a pattern, by its number, and the numbers of those that it reads.
Body = tuple[int, tuple[int, ...]]


def chunk(
    plan: Sequence[Body], told: Sequence[int], micros: float, *read: Mapping[int, int]
) -> dict[int, int]:
    """Call bodies one after the other; return the values that other chunks need."""
    known: dict[int, int] = {}
    for values in read:
        known.update(values)
    for number, reads in plan:
        known[number] = bodies.spin(micros, *[known[one] for one in reads])
    return {number: known[number] for number in told}


def numbered(what: Pattern) -> list[Body]:
    """Return the bodies of a pattern in the order in which they are called."""
    starts = list(accumulate(map(len, what.steps), initial=0))
    return [
        (starts[step] + place, tuple(starts[step - 1] + one for one in points))
        for step, reads in enumerate(what.steps)
        for place, points in enumerate(reads)
    ]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bodies of a bundle, by their numbers, and the worker that had it."""

    numbers: list[int]
    worker: str = ""


def cut_of(run: Callable[[], Any], tasks: int) -> list[Chunk]:
    """Return which bodies share a bundle in a run of ours."""
    sent: list[list[int]] = []
    home: dict[int, str] = {}
    send, outcomes = Link._send, Hearing._outcomes

    def listening(self: Link, *arguments: Any) -> None:
        before = set(self.cargo)
        send(self, *arguments)
        sent.extend(
            [one.parcel(slot)[0] for slot in range(len(one))]
            for key, one in list(self.cargo.items())
            if key not in before
        )

    def hearing(self: Hearing, now: float, cargo: Any, report: Any) -> Any:
        last = report.first + len(report.sizes)
        home.update((cargo.parcel(slot)[0], report.where) for slot in range(report.first, last))
        return outcomes(self, now, cargo, report)

    Link._send, Hearing._outcomes = listening, hearing  # type: ignore[assignment,method-assign]
    try:
        run()
    finally:
        Link._send, Hearing._outcomes = send, outcomes  # type: ignore[method-assign]
    number = {run: place for place, run in enumerate(sorted(run for one in sent for run in one))}
    if len(number) != tasks + 1 or number.keys() != home.keys():
        raise RuntimeError(
            f"{len(number)} task runs were sent in bundles and {len(home)} heard of, not {tasks} and their sum; is the "
            "machine that slow?"
        )
    chunks = []
    for runs in sent:
        # The last one is the sum, which plain Dask leaves to who asks.
        numbers = sorted(number[one] for one in runs if number[one] < tasks)
        if numbers:
            # What was sent back from a bundle may have been elsewhere.
            ((worker, _),) = Counter(home[one] for one in runs).most_common(1)
            chunks.append(Chunk(numbers, worker))
    return chunks


def graph_of(what: Pattern, cut: list[Chunk], micros: float, name: str = "chunk") -> dict[Any, Task]:
    """Return chunks as Dask tasks of one name."""
    every = numbered(what)
    home = {number: place for place, one in enumerate(cut) for number in one.numbers}
    told: defaultdict[int, set[int]] = defaultdict(set)
    needs: defaultdict[int, set[int]] = defaultdict(set)
    for number, reads in every:
        for one in reads:
            if home[one] != home[number]:
                told[home[one]].add(one)
                needs[home[number]].add(home[one])
    return {
        (name, place): Task(
            (name, place),
            chunk,
            [every[number] for number in one.numbers],
            sorted({*told[place], one.numbers[-1]}),
            micros,
            *[TaskRef((name, need)) for need in sorted(needs[place])],
        )
        for place, one in enumerate(cut)
    }


def by_hand(
    bench: Bench, what: Pattern, cut: list[Chunk], micros: float, *, pinned: bool
) -> Callable[[], Callable[[], Any]]:
    """Return what makes a run of chunks, each where its bundle was or where Dask wants it, that waits for the last."""
    last = numbered(what)[-1][0]
    home = next(place for place, one in enumerate(cut) if last in one.numbers)
    serial = count()

    def prepared() -> Callable[[], Any]:
        # A name of its own: what a worker has not yet let go of would else be found there, and not made again.
        name = f"chunk-{'pinned' if pinned else 'free'}-{next(serial)}"
        graph = graph_of(what, cut, micros, name)
        places = {(name, place): one.worker for place, one in enumerate(cut)}

        def run() -> Any:
            with dask.annotate(workers=places.get) if pinned else nullcontext():
                futures = bench.client.get(graph, list(graph), sync=False)
            wait(futures)
            found = futures[home].result()[last]
            if found != len(what.steps):
                raise RuntimeError(f"The last body lies {found} deep, not {len(what.steps)}.")
            if pinned:
                _look(bench, places)
            return futures

        return run

    return prepared


def _look(bench: Bench, places: Mapping[Any, str]) -> None:
    """Raise if a chunk was not bound to its worker. (Copies say nothing: Dask drops those that it has twice.)"""
    tasks = bench.cluster.scheduler.tasks
    loose = [key for key, worker in places.items() if tasks[key].worker_restrictions != {worker}]
    if loose:
        raise RuntimeError(
            f"{len(loose)} of {len(places)} chunks were bound to no worker, or to another one."
        )


def main() -> None:
    """Print the share of the workers' time that bodies have, and what a body costs beside itself, for all sides."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.chunked",
        description="METG's graphs in chunks: ours, and the same chunks as plain Dask tasks without states, where Dask wants "
        "them (free) and where ours had been (pinned). Prints which share of the workers' time bodies have (1 is all of it) and "
        "the CPU that all processes have for each body beside it, medians of rounds in turn.",
    )
    parser.add_argument("--patterns", nargs="+", choices=NAMES, default=list(NAMES), help="which graphs")
    parser.add_argument("--micros", nargs="+", type=float, default=[50.0, 100.0, 150.0], help="CPU of a body")
    parser.add_argument("--width", type=int, default=64, help="bodies in a step (default: 64)")
    parser.add_argument("--steps", type=int, default=100, help="steps (default: 100)")
    parser.add_argument("--reps", type=int, default=9, help="rounds for each figure (default: 9)")
    told = parser.parse_args()
    logging.getLogger("prefectlite").setLevel(logging.ERROR)
    sides = ("ours", "free", "pinned")
    print(
        f"{'graph':<10}{'body, us':>10}" + "".join(f"{side:>8}{'beside':>9}" for side in sides) + "  chunks"
    )
    with Bench() as bench:
        executor = DaskExecutor(bench.client)
        for name in told.patterns:
            what = pattern(name, told.width, told.steps)
            for micros in told.micros:
                work = ours.pattern(executor, what, micros)
                work()
                bench.settle(bench.default_saturation)
                cut = cut_of(work, what.tasks)
                ways: dict[str, Callable[[], Callable[[], Any]]] = {
                    "ours": lambda work=work: work,  # type: ignore[misc]
                    "free": by_hand(bench, what, cut, micros, pinned=False),
                    "pinned": by_hand(bench, what, cut, micros, pinned=True),
                }
                found: dict[str, list[Sample]] = {side: [] for side in sides}
                for _ in range(told.reps):
                    for side in sides:
                        found[side].append(bench.measure(ways[side](), bench.default_saturation))
                line = f"{name:<10}{micros:>10g}"
                for side in sides:
                    some = Summary.of(found[side])
                    share = what.tasks * micros * 1e-6 / bench.cores / some.wall
                    line += f"{share:>8.2f}{some.cpu / what.tasks * 1e6 - micros:>6.0f} us"
                print(f"{line}{len(cut):>8}", flush=True)


if __name__ == "__main__":
    main()
