"""Graphs of Task Bench in our own chunks: by us, with states and rules, and as plain Dask tasks, without. Prints efficiencies.

Plain chunks are what somebody would write by hand who knew how to cut the graph; it is cut as we cut it, by listening to one
run. Each chunk is one Dask task, which calls its bodies one after the other and returns what others read. Nothing else is done,
and the graph is made before the clock starts. What they reach on the same cores says how much of METG is Dask's.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from dask._task_spec import Task, TaskRef
from distributed import wait

from prefectlite import DaskExecutor
from prefectlite.executors.link import Link
from tests.benchmarks import bodies, ours
from tests.benchmarks.meter import Bench
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


def cut_of(run: Callable[[], Any], tasks: int) -> list[list[int]]:
    """Return which bodies share a bundle in a run of ours, by their numbers."""
    sent: list[list[int]] = []
    send = Link._send

    def listening(self: Link, *arguments: Any) -> None:
        before = set(self.cargo)
        send(self, *arguments)
        sent.extend(
            [part.run for part in one.parts] for key, one in list(self.cargo.items()) if key not in before
        )

    Link._send = listening  # type: ignore[method-assign]
    try:
        run()
    finally:
        Link._send = send  # type: ignore[method-assign]
    number = {run: place for place, run in enumerate(sorted(run for one in sent for run in one))}
    if len(number) != tasks + 1:
        raise RuntimeError(
            f"{len(number)} task runs were heard of, not {tasks} and their sum; is the machine that slow?"
        )
    found = [sorted(number[run] for run in one) for one in sent]
    # The last one is the sum, which plain Dask leaves to who asks.
    return [[one for one in numbers if one < tasks] for numbers in found if numbers != [tasks]]


def graph_of(what: Pattern, cut: list[list[int]], micros: float) -> dict[Any, Task]:
    """Return chunks as Dask tasks."""
    every = numbered(what)
    home = {number: place for place, numbers in enumerate(cut) for number in numbers}
    told: defaultdict[int, set[int]] = defaultdict(set)
    needs: defaultdict[int, set[int]] = defaultdict(set)
    for number, reads in every:
        for one in reads:
            if home[one] != home[number]:
                told[home[one]].add(one)
                needs[home[number]].add(home[one])
    return {
        ("chunk", place): Task(
            ("chunk", place),
            chunk,
            [every[number] for number in numbers],
            sorted(told[place] | ({numbers[-1]} if numbers else set())),
            micros,
            *[TaskRef(("chunk", one)) for one in sorted(needs[place])],
        )
        for place, numbers in enumerate(cut)
    }


def by_hand(bench: Bench, what: Pattern, cut: list[list[int]], micros: float) -> Callable[[], Any]:
    """Return what runs chunks and waits for the last."""
    graph = graph_of(what, cut, micros)
    last = numbered(what)[-1][0]
    deepest = len(what.steps)

    def run() -> Any:
        futures = bench.client.get(graph, list(graph), sync=False)
        wait(futures)
        home = next(place for place, numbers in enumerate(cut) if last in numbers)
        found = futures[home].result()[last]
        if found != deepest:
            raise RuntimeError(f"The last body lies {found} deep, not {deepest}.")
        return futures

    return run


def main() -> None:
    """Print the share of the workers' time that bodies have, for both."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.chunked",
        description="METG's graphs in chunks: ours, and the same chunks as plain Dask tasks without states. Prints which "
        "share of the workers' time bodies have (1 is all of it), medians of pairs in turn.",
    )
    parser.add_argument("--patterns", nargs="+", choices=NAMES, default=list(NAMES), help="which graphs")
    parser.add_argument("--micros", nargs="+", type=float, default=[50.0, 100.0, 150.0], help="CPU of a body")
    parser.add_argument("--width", type=int, default=64, help="bodies in a step (default: 64)")
    parser.add_argument("--steps", type=int, default=100, help="steps (default: 100)")
    parser.add_argument("--reps", type=int, default=9, help="pairs for each figure (default: 9)")
    told = parser.parse_args()
    logging.getLogger("prefectlite").setLevel(logging.ERROR)
    print(f"{'graph':<10}{'body, us':>10}{'ours':>8}{'plain chunks':>14}{'chunks':>9}")
    with Bench() as bench:
        executor = DaskExecutor(bench.client)
        for name in told.patterns:
            what = pattern(name, told.width, told.steps)
            for micros in told.micros:
                work = ours.pattern(executor, what, micros)
                work()
                bench.settle(bench.default_saturation)
                cut = cut_of(work, what.tasks)
                sides = {"ours": work, "chunks": by_hand(bench, what, cut, micros)}
                shares: dict[str, list[float]] = {side: [] for side in sides}
                for _ in range(told.reps):
                    for side, run in sides.items():
                        bench.settle(bench.default_saturation)
                        start = time.perf_counter()
                        kept = run()
                        wall = time.perf_counter() - start
                        del kept
                        shares[side].append(what.tasks * micros * 1e-6 / bench.cores / wall)
                mine, plain = (statistics.median(shares[side]) for side in ("ours", "chunks"))
                print(f"{name:<10}{micros:>10g}{mine:>8.2f}{plain:>14.2f}{len(cut):>9}", flush=True)


if __name__ == "__main__":
    main()
