"""The rows of the bundles' table that share a warm cluster: what each runs, against what, and its target."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefectlite import DaskExecutor
from tests.benchmarks import ours, plain
from tests.benchmarks.meter import Bench
from tests.benchmarks.pairs import (
    Contest,
    Form,
    Prepare,
    at_each_saturation,
    contest,
    in_turn,
    per_task,
    speed_lines,
)
from tests.benchmarks.rows import MIB, Sizes
from tests.benchmarks.table import Interval, Line, said

#: Ours is given no bundle size: what a user gets who says nothing.
UNSAID = "unsaid"


@dataclass(frozen=True, slots=True)
class Scale(Sizes):
    """How large the work is and how often it is done; the issue's figures are those of the defaults."""

    reps: int = 15
    bundle_size: Any = UNSAID
    #: Repetitions of what takes long; six are the fewest whose interval is 95 % sure.
    long_reps: int = 6
    #: Steps of the METG graphs.
    steps: int = 100
    #: Whether Dask runs 100,000 tasks once, and the straggler takes its 30 s.
    full: bool = False
    #: Where the METG curves are drawn.
    plot: Path | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What every executor of ours is made with: one setting for all rows."""
        return {} if self.bundle_size == UNSAID else {"bundle_size": self.bundle_size}

    def executor(self, bench: Bench) -> DaskExecutor:
        return DaskExecutor(bench.client, **self.options)


def _wide(bench: Bench, tasks: int) -> dict[str, Form]:
    ways: dict[str, Prepare] = {
        "graph": lambda: plain.wide_graph(bench.client, tasks),
        "map": lambda: plain.wide_map(bench.client, tasks),
    }
    return at_each_saturation(bench, tasks, ways)


def _against(bench: Bench, tasks: int, prepare: Prepare, dask: Mapping[str, Form], reps: int) -> Contest:
    # What a cluster of others has set, ours must live with.
    return contest(bench, Form(tasks, bench.default_saturation, prepare), dask, reps)


def map_10k(bench: Bench, scale: Scale) -> list[Line]:
    n, executor = scale.of(10_000), scale.executor(bench)
    found = _against(bench, n, lambda: ours.mapped(executor, n), _wide(bench, n), scale.reps)
    return speed_lines("map-10k", f"map over {n:,}", found, 20)


def map_100k(bench: Bench, scale: Scale) -> list[Line]:
    n, few, executor = scale.of(100_000), scale.of(10_000), scale.executor(bench)
    found = _against(bench, n, lambda: ours.mapped(executor, n), _wide(bench, few), scale.reps)
    lines = speed_lines("map-100k", f"map over {n:,}", found, 50)
    lines.append(said("map-100k", f"Dask is measured at {few:,} and extrapolated linearly; the aim is 150x"))
    if scale.full:
        form = _wide(bench, n)[found.best]
        sample = bench.measure(form.prepare(), form.saturation)
        speed = Interval.of([sample.wall / one.wall for one in found.mine])
        detail = f"Dask ({found.best}) {per_task([sample], n)}, once"
        lines.append(
            Line("map-100k", f"against Dask at {n:,}", speed.median, 50, "x", detail, {}, speed, True)
        )
    return lines


def map_1m(bench: Bench, scale: Scale) -> list[Line]:
    n, few, executor = scale.of(1_000_000), scale.of(10_000), scale.executor(bench)
    longest: list[float] = []

    def prepare() -> Callable[[], Any]:
        work = ours.mapped(executor, n)

        def probed() -> Any:
            with bench.probe() as probe:
                kept = work()
            longest.append(probe.longest)
            return kept

        return probed

    found = _against(bench, n, prepare, _wide(bench, few), scale.long_reps)
    with bench.probe() as planted:
        planted.loop.call_soon_threadsafe(time.sleep, 0.3)
        time.sleep(0.1)
    detail = f"worst of {len(longest)} runs: {', '.join(f'{one:.2f}' for one in longest)}"
    return [
        *speed_lines("map-1m", f"map over {n:,}", found, 20),
        said("map-1m", f"Dask is measured at {few:,} and extrapolated linearly"),
        Line("map-1m", "longest block of the scheduler's event loop", max(longest), 1, " s", detail),
        Line("map-1m", "the probe misses a planted block", float(planted.longest < 0.25), 0, ""),
    ]


def fan_out(bench: Bench, scale: Scale) -> list[Line]:
    n, executor = scale.of(10_000), scale.executor(bench)
    found = _against(bench, n, lambda: ours.built_fan_out(executor, n), _wide(bench, n), scale.reps)
    return speed_lines("fan-out", f"{n:,} calls, our flow built within", found, 8)


def chain(bench: Bench, scale: Scale) -> list[Line]:
    n, executor = scale.of(1_000), scale.executor(bench)
    dask = at_each_saturation(bench, n, {"graph": lambda: plain.chain(bench.client, n)})
    found = _against(bench, n, lambda: ours.chain(executor, n), dask, scale.reps)
    return speed_lines("chain", f"chain of {n:,}", found, 20)


def tree(bench: Bench, scale: Scale) -> list[Line]:
    leaves, executor = 2 ** round(math.log2(scale.of(4_096))), scale.executor(bench)
    ways: dict[str, Prepare] = {
        "graph": lambda: plain.tree(bench.client, leaves),
        "map": lambda: plain.tree_map(bench.client, leaves),
    }
    tasks = 2 * leaves - 1
    dask = at_each_saturation(bench, tasks, ways)
    found = _against(bench, tasks, lambda: ours.tree(executor, leaves), dask, scale.reps)
    return speed_lines("tree", f"binary tree over {leaves:,} leaves", found, 2)


def diamond(bench: Bench, scale: Scale) -> list[Line]:
    layers, width, executor = scale.of(20, least=4), scale.of(100), scale.executor(bench)
    ways: dict[str, Prepare] = {
        "graph": lambda: plain.diamond(bench.client, layers, width),
        "map": lambda: plain.diamond_map(bench.client, layers, width),
    }
    tasks = layers * width
    dask = at_each_saturation(bench, tasks, ways)
    found = _against(bench, tasks, lambda: ours.diamond(executor, layers, width), dask, scale.reps)
    return speed_lines("diamond", f"diamond of {layers} x {width}", found, 2)


def retries(bench: Bench, scale: Scale) -> list[Line]:
    n, executor, at = scale.of(10_000), scale.executor(bench), bench.default_saturation
    found = in_turn(
        bench,
        {
            "failing": Form(n, at, lambda: ours.mapped_failing(executor, n, fails=True)),
            "smooth": Form(n, at, lambda: ours.mapped_failing(executor, n, fails=False)),
        },
        scale.reps,
    )
    failing, smooth = found["failing"], found["smooth"]
    ratio = Interval.of([a.wall / b.wall for a, b in zip(failing, smooth, strict=True)])
    detail = f"{per_task(failing, n)}; without failures {per_task(smooth, n)}"
    what = f"map of {n:,}, each child fails once"
    return [Line("retries", what, ratio.median, 2.5, "x", detail, found, ratio)]


def sleeps(bench: Bench, scale: Scale) -> list[Line]:
    n, seconds, executor = scale.of(2_000, least=20), 0.01, scale.executor(bench)
    durations, ideal = [seconds] * n, n * seconds / 2
    found = in_turn(
        bench,
        {
            "ours": Form(n, bench.default_saturation, lambda: ours.pauses(executor, durations)),
            "Dask": Form(n, math.inf, lambda: plain.pauses_map(bench.client, durations)),
        },
        scale.long_reps,
    )
    mine, theirs = (Interval.of([ideal / one.wall for one in found[name]]) for name in ("ours", "Dask"))
    detail = f"ideal {ideal:.2f} s; {per_task(found['ours'], n)}"
    beside = f"client.map, worker-saturation inf; {per_task(found['Dask'], n)}"
    return [
        Line("sleeps", f"{n:,} x 10 ms, ideal over wall", mine.median, 0.95, "", detail, found, mine, True),
        Line("sleeps", "the same of Dask", theirs.median, None, "", beside, {}, theirs),
    ]


def log_normal(count: int) -> list[float]:
    """Return durations in seconds, log-normal and clipped: 1 ms and 3 s lie three sigmas from their median."""
    shortest, longest = math.log(0.001), math.log(3)
    draw = random.Random(20)
    drawn = (draw.lognormvariate((shortest + longest) / 2, (longest - shortest) / 6) for _ in range(count))
    return [min(max(one, 0.001), 3.0) for one in drawn]


def mixed(bench: Bench, scale: Scale) -> list[Line]:
    durations, executor = log_normal(scale.of(200, least=4)), scale.executor(bench)
    n = len(durations)
    ways: dict[str, Prepare] = {
        "graph": lambda: plain.pauses(bench.client, durations),
        "map": lambda: plain.pauses_map(bench.client, durations),
    }
    dask = at_each_saturation(bench, n, ways)
    found = _against(bench, n, lambda: ours.pauses(executor, durations), dask, scale.long_reps)
    slowdown = found.slowdown
    detail = f"{sum(durations):.1f} s of bodies; {found.detail}"
    what = f"{n} bodies of 1 ms to 3 s, wall over Dask"
    return [Line("mixed", what, slowdown.median, 1.03, "x", detail, found.facts, slowdown)]


def straggler(bench: Bench, scale: Scale) -> list[Line]:
    n, executor = scale.of(10_000), scale.executor(bench)
    seconds = 30.0 if scale.full else max(1.0, scale.tasks / 1_000)
    walls: dict[float, list[float]] = {0.0: [], seconds: []}
    for rep in range(scale.long_reps + 1):
        for one, found in walls.items():
            work = ours.straggling(executor, n, one)
            bench.settle(bench.default_saturation)
            wall = work()
            if rep:
                found.append(wall)
    without, beside = walls[0.0], walls[seconds]
    share = Interval.of([b / (2.2 * a + 0.5) for a, b in zip(without, beside, strict=True)])
    alone, held = Interval.of(without), Interval.of(beside)
    detail = f"with {held.median:.2f} s, without {alone.median:.2f} s"
    what = f"beside {seconds:g} s: the others over 2.2x + 0.5 s"
    facts = {"without": without, "with": beside, "seconds": seconds}
    return [
        Line("straggler", what, share.median, 1, "", detail, facts, share),
        # Else everything could wait for the straggler, and nobody would see it.
        Line("straggler", "the limit over the straggler", (2.2 * max(without) + 0.5) / seconds, 1, ""),
    ]


def blocks(bench: Bench, scale: Scale) -> list[Line]:
    steps, nbytes, executor = 10, scale.of(100 * MIB, least=8 * MIB), scale.executor(bench)
    dask = at_each_saturation(bench, steps, {"graph": lambda: plain.blocks(bench.client, steps, nbytes)})
    found = _against(bench, steps, lambda: ours.blocks(executor, steps, nbytes), dask, scale.reps)
    rises = [bench.rise(ours.blocks(executor, steps, nbytes)) / MIB for _ in range(min(3, scale.reps))]
    fetched = bench.rise(lambda: bench.client.submit(bytes, nbytes, pure=False).result())
    slowdown = found.slowdown
    what = f"chain of {steps} passing {nbytes / MIB:.0f} MiB, wall over Dask"
    beside = f"worst of {len(rises)}; fetching a block: {fetched / MIB:.1f} MiB"
    return [
        Line("blocks", what, slowdown.median, 1.1, "x", found.detail, found.facts, slowdown),
        Line("blocks", "driver memory rises by", max(rises), 64, " MiB", beside),
        Line("blocks", "the sampler misses a fetched block", float(fetched < nbytes // 2), 0, ""),
    ]


ON_THE_CLUSTER: dict[str, Callable[[Bench, Scale], list[Line]]] = {
    "map-10k": map_10k,
    "map-100k": map_100k,
    "map-1m": map_1m,
    "fan-out": fan_out,
    "chain": chain,
    "tree": tree,
    "diamond": diamond,
    "retries": retries,
    "sleeps": sleeps,
    "mixed": mixed,
    "straggler": straggler,
    "blocks": blocks,
}
