"""The rows of the bundles' table that start their own processes: memory, and the driver by itself."""

from __future__ import annotations

import pickle
import statistics
from collections.abc import Callable
from typing import Any

from tests.benchmarks import engine_alone, ours, plain, programs
from tests.benchmarks.bundle_rows import Scale
from tests.benchmarks.meter import Bench
from tests.benchmarks.rows import MIB
from tests.benchmarks.table import Interval, Line, said


def _inline(tasks: int) -> int:
    """Bytes of the pickled results of ``inc`` over ``range(tasks)``."""
    return sum(len(pickle.dumps(i + 1, 5)) for i in range(tasks))


def memory_1m(_: Bench | None, scale: Scale) -> list[Line]:
    wide = scale.of(1_000_000)
    narrow = wide // 2
    # Traced, both widths come in one process: what is left of the first is no part of the second's rise. Of
    # resident memory it would be, as freed memory is used again; so there the wide one is alone.
    sources = {
        name: programs.FINISHED.format(widths=widths, traced=traced, options=scale.options)
        for name, traced, widths in (
            ("traced", True, [narrow, wide]),
            ("resident", False, [wide]),
        )
    }
    found = {name: one[0]["found"] for name, one in programs.repeated(sources, 1, warm=False).items()}
    results = (_inline(wide) - _inline(narrow)) / (wide - narrow)
    lines = []
    # After the run nobody needs the results: those that are kept all the same count.
    for moment, what, less in (
        ("alive", "while its reader runs", results),
        ("over", "after the run, its state held", 0.0),
    ):
        first, second = (one[moment] for one in found["traced"])
        value = (second - first) / (wide - narrow) - less
        detail = (
            f"slope from {narrow:,} to {wide:,} children; {less:.1f} B of inline results taken off; resident "
            f"memory rises by {found['resident'][0][moment] / wide:.0f} B a child, nothing taken off"
        )
        lines.append(
            Line("memory-1m", f"a finished child {what}", value, 200, " B", detail, {"found": found})
        )
    return lines


def arrays(_: Bench | None, scale: Scale) -> list[Line]:
    count, nbytes = scale.of(200, least=4), scale.of(20 * 10**6, least=4 * 10**6)
    ways: dict[str, Callable[[Bench], Callable[[], Any]]] = {
        "ours": lambda bench: ours.arrays(scale.executor(bench), count, nbytes),
        "graph, tree": lambda bench: plain.arrays(bench.client, count, nbytes),
        "map by stages, tree": lambda bench: plain.arrays_staged(bench.client, count, nbytes),
    }
    warm_ups: list[Callable[[Bench], Callable[[], Any]]] = [
        lambda bench: ours.arrays(scale.executor(bench), 4, 80),
        lambda bench: plain.arrays(bench.client, 4, 80),
    ]
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in ways}
    for _rep in range(scale.long_reps):
        for name, way in ways.items():
            # Of its own: what an allocator kept from the run before would hide a peak.
            with Bench() as bench:
                for warm_up in warm_ups:
                    warm_up(bench)()
                found[name].append(bench.peaks(way(bench)))
    peaks = {name: [workers for _, workers in one] for name, one in found.items()}
    best = min((name for name in ways if name != "ours"), key=lambda name: statistics.median(peaks[name]))
    ratio = Interval.of([a / b for a, b in zip(peaks["ours"], peaks[best], strict=True)])
    mine, theirs = (statistics.median(peaks[name]) / MIB for name in ("ours", best))
    form = "associative=True" if ours.has_associative() else "a flat sum: associative=True does not exist"
    detail = f"{mine:.0f} MiB ({form}); Dask ({best}) {theirs:.0f} MiB"
    rise = max(driver for driver, _ in found["ours"]) / MIB
    others = "; ".join(f"{name} {statistics.median(one) / MIB:.0f}" for name, one in peaks.items())
    # An array that exists at all must show; the sum alone needs two at once.
    seen = all(peak > nbytes for one in peaks.values() for peak in one)
    return [
        Line(
            "arrays",
            f"{count} x {nbytes / 1e6:g} MB, workers' peak over Dask's",
            ratio.median,
            1.2,
            "x",
            detail,
            found,
            ratio,
        ),
        Line("arrays", "driver memory rises by", rise, 64, " MiB", f"worst of {len(found['ours'])}"),
        Line("arrays", "the sampler misses an array", float(not seen), 0, ""),
        said("arrays", f"workers' peak over their start, MiB: {others}"),
    ]


def local(_: Bench | None, scale: Scale) -> list[Line]:
    n = scale.of(10_000)
    shapes = {"fan-out": programs.CALLS, "map": programs.CHILDREN}
    sources = {name: programs.LOCAL.format(tasks=n, inputs=inputs) for name, inputs in shapes.items()}
    lines = []
    for name, found in programs.repeated(sources, scale.reps).items():
        wall, cpu = (Interval.of([one[clock] / n * 1e6 for one in found]) for clock in ("wall", "cpu"))
        detail = f"in a fresh process, building included; CPU {cpu.median:.1f} us"
        what = f"LocalExecutor, {name} of {n:,}, a task"
        lines.append(Line("local", what, wall.median, 40, " us", detail, {"found": found}, wall))
    return lines


ALONE: dict[str, Callable[[Bench | None, Scale], list[Line]]] = {
    "memory-1m": memory_1m,
    "arrays": arrays,
    "engine": engine_alone.row,
    "local": local,
}
