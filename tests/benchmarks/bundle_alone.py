"""The rows of the bundles' table that start their own processes: memory, and the driver by itself."""

from __future__ import annotations

import pickle
import statistics
from collections.abc import Callable, Iterator
from typing import Any

from tests.benchmarks import engine_alone, ours, plain, programs, safety
from tests.benchmarks.bundle_rows import Scale
from tests.benchmarks.meter import Bench
from tests.benchmarks.rows import MIB
from tests.benchmarks.table import Interval, Line, said


def _inline(tasks: int) -> int:
    """Bytes of the pickled results of ``inc`` over ``range(tasks)``."""
    return sum(len(pickle.dumps(i + 1, 5)) for i in range(tasks))


def memory_1m(_: Bench | None, scale: Scale) -> Iterator[Line]:
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
    printed = programs.repeated(sources, scale.pace, warm=False, most=1)
    found = {name: one[0]["found"] for name, one in printed.items()}
    results = (_inline(wide) - _inline(narrow)) / (wide - narrow)
    # After the run nobody needs the results: those that are kept all the same count.
    for moment, what, less in (
        ("alive", "while its reader runs", results),
        ("over", "after the run, its state held", 0.0),
    ):
        first, second = (one[moment] for one in found["traced"])
        value = (second - first) / (wide - narrow) - less
        detail = (
            f"driver and scheduler; slope from {narrow:,} to {wide:,} children; {less:.1f} B of inline results taken "
            f"off; resident memory rises by {found['resident'][0][moment] / wide:.0f} B a child, nothing taken off"
        )
        yield Line(
            "memory-1m",
            f"a finished child {what}",
            value,
            200,
            " B",
            detail,
            {"found": found},
            ours=f"{value:.1f} B",
        )
    blocked = found["resident"][0]["blocked"]
    detail = f"{wide:,} children, from the start until all are final and their results held"
    yield Line("memory-1m", "longest block of the scheduler's event loop", blocked, 1, " s", detail)


def arrays(_: Bench | None, scale: Scale) -> Iterator[Line]:
    count, nbytes = scale.of(200, least=4), scale.of(20 * 10**6, least=4 * 10**6)
    ways: dict[str, Callable[[Bench], Callable[[], Any]]] = {
        "graph, tree": lambda bench: plain.arrays(bench.client, count, nbytes),
        "map by stages, tree": lambda bench: plain.arrays_staged(bench.client, count, nbytes),
    }
    warm_ups: list[Callable[[Bench], Callable[[], Any]]] = [
        lambda bench: ours.arrays(scale.executor(bench), 4, 80),
        lambda bench: plain.arrays(bench.client, 4, 80),
    ]

    def peaks(way: Callable[[Bench], Callable[[], Any]]) -> tuple[int, int]:
        # Of its own: what an allocator kept from the run before would hide a peak.
        with Bench() as bench:
            for warm_up in warm_ups:
                warm_up(bench)()
            return bench.peaks(way(bench))

    (tried,) = scale.pace.rounds(lambda _: {name: peaks(way)[1] for name, way in ways.items()}, most=1)
    best = min(tried, key=tried.__getitem__)
    our_way = lambda bench: ours.arrays(scale.executor(bench), count, nbytes)  # noqa: E731
    pairs = scale.pace.rounds(lambda _: (peaks(our_way), peaks(ways[best])))
    mine, theirs = ([one[side][1] for one in pairs] for side in (0, 1))
    ratio = Interval.of([a / b for a, b in zip(mine, theirs, strict=True)])
    form = "associative=True" if ours.has_associative() else "a flat sum: associative=True does not exist"
    yield Line(
        "arrays",
        f"{count} x {nbytes / 1e6:g} MB, workers' peak over Dask's",
        ratio.median,
        1.2,
        detail=f"ours: {form}; Dask: {best}",
        facts={"tried": tried, "pairs": pairs},
        interval=ratio,
        ours=f"{statistics.median(mine) / MIB:,.0f} MiB",
        against=f"{statistics.median(theirs) / MIB:,.0f} MiB",
    )
    rise = max(driver for (driver, _), _ in pairs) / MIB
    yield Line("arrays", "driver memory rises by", rise, 64, " MiB", f"worst of {len(pairs)}")
    # An array that exists at all must show; the sum alone needs two at once.
    seen = all(peak > nbytes for peak in (*mine, *theirs, *tried.values()))
    yield Line("arrays", "the sampler misses an array", float(not seen), 0, "")
    others = "; ".join(f"{name} {one / MIB:,.0f}" for name, one in tried.items())
    yield said("arrays", f"both ways of Dask, workers' peak over their start, MiB: {others}")


def local(_: Bench | None, scale: Scale) -> Iterator[Line]:
    n = scale.of(10_000)
    shapes = {"fan-out": programs.CALLS, "map": programs.CHILDREN}
    sources = {name: programs.LOCAL.format(tasks=n, inputs=inputs) for name, inputs in shapes.items()}
    for name, found in programs.repeated(sources, scale.pace).items():
        wall, cpu = (Interval.of([one[clock] / n * 1e6 for one in found]) for clock in ("wall", "cpu"))
        yield Line(
            "local",
            f"LocalExecutor, {name} of {n:,}, a task",
            wall.median,
            40,
            " us",
            f"in a fresh process, building included; CPU {cpu.median:.1f} us",
            {"found": found},
            wall,
            ours=f"{wall.median:.1f} us",
        )


ALONE: dict[str, Callable[[Bench | None, Scale], Iterator[Line]]] = {
    "memory-1m": memory_1m,
    "arrays": arrays,
    "engine": engine_alone.row,
    "local": local,
    "safety": safety.row,
}
