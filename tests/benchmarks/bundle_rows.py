"""The rows of the bundles' table that share a warm cluster: what each runs, against what, and its target."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefectlite import DaskExecutor
from tests.benchmarks import ours, plain
from tests.benchmarks.meter import Bench, Sample, Summary
from tests.benchmarks.pace import Pace
from tests.benchmarks.pairs import (
    Form,
    PrepareSized,
    Shape,
    contest,
    cpu_split,
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

    pace: Pace = field(default_factory=lambda: Pace(15, 75.0))
    bundle_size: Any = UNSAID
    #: Steps of the METG graphs.
    steps: int = 100
    #: Whether Dask runs 100,000 tasks once, and all steps of the METG graphs.
    full: bool = False
    #: Where the METG curves are drawn.
    plot: Path | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What every executor of ours is made with: one setting for all rows."""
        return {} if self.bundle_size == UNSAID else {"bundle_size": self.bundle_size}

    def executor(self, bench: Bench) -> DaskExecutor:
        return DaskExecutor(bench.client, **self.options)


def _wide(bench: Bench, prepare: PrepareSized) -> Shape:
    return Shape(
        "wide",
        prepare,
        {
            "graph": lambda n: plain.wide_graph(bench.client, n),
            "map": lambda n: plain.wide_map(bench.client, n),
        },
    )


def map_10k(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, executor = scale.of(10_000), scale.executor(bench)
    shape = _wide(bench, lambda n: ours.mapped(executor, n))
    found = contest(bench, scale.pace, shape, n, scale.of(2_000))
    yield from speed_lines("map-10k", f"map over {n:,}", found, 20)


def map_100k(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, few, executor = scale.of(100_000), scale.of(10_000), scale.executor(bench)
    shape = _wide(bench, lambda n: ours.mapped(executor, n))
    found = contest(bench, scale.pace, shape, n, scale.of(2_000), few)
    yield from speed_lines("map-100k", f"map over {n:,}", found, 50)
    yield said("map-100k", f"Dask is measured at {few:,} and extrapolated linearly; the aim is 150x")
    if scale.full:
        form = shape.dask_forms(bench, n)[found.best]
        (sample,) = scale.pace.rounds(lambda _: bench.measure(form.prepare(), form.saturation), most=1)
        speed = Interval.of([sample.wall / one.wall for one in found.mine])
        yield Line(
            "map-100k",
            f"against Dask at {n:,}",
            speed.median,
            50,
            detail=f"Dask: {found.best}, once; {cpu_split([sample], n)}",
            interval=speed,
            at_least=True,
            ours=found.walls["ours"],
            against=per_task(sample.wall, n),
        )


def map_1m(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, few, executor = scale.of(1_000_000), scale.of(10_000), scale.executor(bench)
    longest: list[float] = []
    most: list[int] = []

    def probed(tasks: int) -> Callable[[], Any]:
        work = ours.mapped(executor, tasks)

        def watched() -> Any:
            with bench.probe() as probe:
                kept = work()
            if tasks == n:
                longest.append(probe.longest)
                most.append(probe.most)
            return kept

        return watched

    found = contest(bench, scale.pace, _wide(bench, probed), n, scale.of(2_000), few)
    yield from speed_lines("map-1m", f"map over {n:,}", found, 20)
    yield said("map-1m", f"Dask is measured at {few:,} and extrapolated linearly")
    detail = f"worst of {len(longest)} runs: {', '.join(f'{one:.2f}' for one in longest)}"
    yield Line("map-1m", "longest block of the scheduler's event loop", max(longest), 1, " s", detail)
    with bench.probe() as planted:
        planted.loop.call_soon_threadsafe(time.sleep, 0.3)
        time.sleep(0.1)
    yield Line("map-1m", "the probe misses a planted block", float(planted.longest < 0.25), 0, "")
    yield Line("map-1m", "Dask tasks on the scheduler at once", max(most), 4_000, "", "looked at every 10 ms")


def fan_out(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, executor = scale.of(10_000), scale.executor(bench)
    shape = _wide(bench, lambda n: ours.built_fan_out(executor, n))
    found = contest(bench, scale.pace, shape, n, scale.of(2_000))
    yield from speed_lines("fan-out", f"{n:,} calls, our flow built within", found, 8)


def chain(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, executor = scale.of(1_000), scale.executor(bench)
    shape = Shape(
        "chain",
        lambda n: ours.chain(executor, n),
        {"graph": lambda n: plain.chain(bench.client, n)},
    )
    found = contest(bench, scale.pace, shape, n, scale.of(200))
    yield from speed_lines("chain", f"chain of {n:,}", found, 20)


def tree(bench: Bench, scale: Scale) -> Iterator[Line]:
    executor = scale.executor(bench)
    leaves, few = (2 ** round(math.log2(scale.of(full))) for full in (4_096, 512))
    shape = Shape(
        "tree",
        lambda leaves: ours.tree(executor, leaves),
        {
            "graph": lambda leaves: plain.tree(bench.client, leaves),
            "map": lambda leaves: plain.tree_map(bench.client, leaves),
        },
        lambda leaves: 2 * leaves - 1,
    )
    found = contest(bench, scale.pace, shape, leaves, few)
    yield from speed_lines("tree", f"binary tree over {leaves:,} leaves", found, 2)


def diamond(bench: Bench, scale: Scale) -> Iterator[Line]:
    layers, width, executor = scale.of(20, least=4), scale.of(100), scale.executor(bench)
    shape = Shape(
        "diamond",
        lambda width: ours.diamond(executor, layers, width),
        {
            "graph": lambda width: plain.diamond(bench.client, layers, width),
            "map": lambda width: plain.diamond_map(bench.client, layers, width),
        },
        lambda width: layers * width,
    )
    found = contest(bench, scale.pace, shape, width, scale.of(25))
    yield from speed_lines("diamond", f"diamond of {layers} x {width}", found, 2)


def retries(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, executor, at = scale.of(10_000), scale.executor(bench), bench.default_saturation
    found = in_turn(
        bench,
        {
            "failing": Form(n, at, lambda: ours.mapped_failing(executor, n, fails=True)),
            "smooth": Form(n, at, lambda: ours.mapped_failing(executor, n, fails=False)),
        },
        scale.pace,
    )
    failing, smooth = found["failing"], found["smooth"]
    ratio = Interval.of([a.wall / b.wall for a, b in zip(failing, smooth, strict=True)])
    yield Line(
        "retries",
        f"map of {n:,}, each child fails once",
        ratio.median,
        2.5,
        detail=f"against ours without failures; CPU {cpu_split(failing, n)}, without {cpu_split(smooth, n)}",
        facts=found,
        interval=ratio,
        ours=_wall(failing, n),
        against=_wall(smooth, n),
    )


def _wall(samples: list[Sample], tasks: int) -> str:
    return per_task(Summary.of(samples).wall, tasks)


def sleeps(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, seconds, executor = scale.of(2_000, least=20), 0.01, scale.executor(bench)
    durations, ideal = [seconds] * n, n * seconds / 2
    # A few of them warm the workers up.
    ours.pauses(executor, durations[:20])()
    plain.pauses_map(bench.client, durations[:20])()
    form = Form(n, bench.default_saturation, lambda: ours.pauses(executor, durations))
    mine = in_turn(bench, {"ours": form}, scale.pace, warm=False)["ours"]
    share = Interval.of([ideal / one.wall for one in mine])
    yield Line(
        "sleeps",
        f"{n:,} x 10 ms, ideal over wall",
        share.median,
        0.95,
        "",
        f"against the ideal on two workers; CPU {cpu_split(mine, n)}",
        {"ours": mine},
        share,
        at_least=True,
        ours=_wall(mine, n),
        against=per_task(ideal, n),
    )
    beside = scale.pace.rounds(
        lambda _: bench.measure(plain.pauses_map(bench.client, durations), math.inf), most=2
    )
    theirs = Interval.of([ideal / one.wall for one in beside])
    yield Line(
        "sleeps",
        "the same of Dask",
        theirs.median,
        None,
        "",
        f"map, inf; CPU {cpu_split(beside, n)}",
        {"dask": beside},
        theirs,
        ours=_wall(mine, n),
        against=_wall(beside, n),
    )


def log_normal(count: int) -> list[float]:
    """Return durations in seconds, log-normal and clipped: 1 ms and 3 s lie three sigmas from their median."""
    shortest, longest = math.log(0.001), math.log(3)
    draw = random.Random(20)
    drawn = (draw.lognormvariate((shortest + longest) / 2, (longest - shortest) / 6) for _ in range(count))
    return [min(max(one, 0.001), 3.0) for one in drawn]


def mixed(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, executor = scale.of(200, least=4), scale.executor(bench)
    durations = log_normal(n)
    shape = Shape(
        "pauses",
        lambda n: ours.pauses(executor, durations[:n]),
        # A graph that is not queued does as this does at inf.
        {"map": lambda n: plain.pauses_map(bench.client, durations[:n])},
    )
    # In small, other ways are the best: where the last body ends decides.
    found = contest(bench, scale.pace, shape, n, n)
    slowdown = found.slowdown
    yield Line(
        "mixed",
        f"{n} bodies of 1 ms to 3 s, wall over Dask's",
        slowdown.median,
        1.03,
        detail=f"{sum(durations):.1f} s of bodies; Dask: {found.best}; CPU {found.split}",
        facts=found.facts,
        interval=slowdown,
        **found.walls,
    )


def straggler(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, executor, seconds = scale.of(10_000), scale.executor(bench), 30.0

    def once(held: float) -> float:
        work = ours.straggling(executor, n, held)
        bench.settle(bench.default_saturation)
        return work()

    once(0.0)
    rounds = scale.pace.rounds(lambda _: (once(0.0), once(seconds)))
    share = Interval.of([b / (2.2 * a + 0.5) for a, b in rounds])
    without, beside = (statistics.median(one) for one in zip(*rounds, strict=True))
    yield Line(
        "straggler",
        f"beside {seconds:g} s in {n:,}: the others over 2.2x + 0.5 s",
        share.median,
        1,
        "",
        "two mapped stages; against ours without the straggler",
        {"without and with": rounds},
        share,
        ours=f"{beside:.2f} s",
        against=f"{without:.2f} s",
    )
    # Else everything could wait for the straggler, and nobody would see it.
    limit = (2.2 * max(one for one, _ in rounds) + 0.5) / seconds
    yield Line("straggler", "the limit over the straggler", limit, 1, "")


def blocks(bench: Bench, scale: Scale) -> Iterator[Line]:
    steps, nbytes, executor = 10, scale.of(100 * MIB, least=8 * MIB), scale.executor(bench)
    shape = Shape(
        "blocks",
        lambda nbytes: ours.blocks(executor, steps, nbytes),
        {"graph": lambda nbytes: plain.blocks(bench.client, steps, nbytes)},
        lambda _: steps,
    )
    found = contest(bench, scale.pace, shape, nbytes, nbytes)
    slowdown = found.slowdown
    yield Line(
        "blocks",
        f"chain of {steps} passing {nbytes / MIB:.0f} MiB, wall over Dask's",
        slowdown.median,
        1.1,
        detail=f"Dask: {found.best}; CPU {found.split}",
        facts=found.facts,
        interval=slowdown,
        **found.walls,
    )
    rises = scale.pace.rounds(lambda _: bench.rise(ours.blocks(executor, steps, nbytes)) / MIB, most=3)
    yield Line("blocks", "driver memory rises by", max(rises), 64, " MiB", f"worst of {len(rises)}")
    fetched = bench.rise(lambda: bench.client.submit(bytes, nbytes, pure=False).result())
    yield Line(
        "blocks",
        "the sampler misses a fetched block",
        float(fetched < nbytes // 2),
        0,
        "",
        f"fetching a block: {fetched / MIB:.1f} MiB",
    )


def shared(bench: Bench, scale: Scale) -> Iterator[Line]:
    n, nbytes, executor = scale.of(1_000), scale.of(100 * MIB, least=8 * MIB), scale.executor(bench)
    cases: tuple[tuple[str, bytes | int, float], ...] = (
        ("that a task made", nbytes, 1.05),
        ("in the flow", b"x" * nbytes, 2.05),
    )
    for what, data, target in cases:
        work, plainly = ours.shared(executor, n, data), plain.shared(bench.client, n, data)
        found = scale.pace.rounds(lambda _: (bench.shipped(work), bench.shipped(plainly)), most=3)  # noqa: B023
        mine, theirs = (statistics.median(one) / MIB for one in zip(*found, strict=True))
        yield Line(
            "shared",
            f"{nbytes / MIB:.0f} MiB {what} reach workers, times",
            max(one for one, _ in found) / nbytes,
            target,
            detail=f"a map of {n:,} reads it; worst of {len(found)}",
            facts={"bytes": found},
            ours=f"{mine:,.0f} MiB",
            against=f"{theirs:,.0f} MiB",
        )
    # The last came from the flow, and so on a way that counts at least once.
    yield Line("shared", "the counter misses a block", float(min(one for one, _ in found) < nbytes), 0, "")


ON_THE_CLUSTER: dict[str, Callable[[Bench, Scale], Iterator[Line]]] = {
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
    "shared": shared,
}
