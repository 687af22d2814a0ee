"""What it costs that no body runs twice: ours, and the same without seals, marks and records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefectlite import DaskExecutor
from prefectlite.worker.desk import desk_of
from prefectlite.worker.marks import FILE_NAME
from tests.benchmarks import ours
from tests.benchmarks.bundle_rows import Scale
from tests.benchmarks.meter import Bench, Sample
from tests.benchmarks.pairs import Form, cpu_split
from tests.benchmarks.table import Interval, Line

#: How many times as much CPU a task may take with the safety, by how attempts travel.
TARGETS: dict[str, tuple[Any, float]] = {"bundles off": (None, 1.10), "with bundles": ("auto", 1.05)}


def row(_: Bench | None, scale: Scale) -> Iterator[Line]:
    n = scale.of(10_000)
    with Bench() as safe, Bench() as bare:
        for bench in (safe, bare):
            ours.fan_out(DaskExecutor(bench.client), 10)()  # the plugin is there from then on
        take_off(bare)
        for name, (size, target) in TARGETS.items():
            sides = {
                side: (bench, _form(bench, size, n)) for side, bench in (("with", safe), ("without", bare))
            }
            pairs = _pairs(sides, scale)
            ratio = Interval.of([one["with"].cpu / one["without"].cpu for one in pairs])
            split = "; ".join(f"{side} {cpu_split([one[side] for one in pairs], n)}" for side in sides)
            yield Line(
                "safety",
                f"CPU of a task of {n:,}, {name}, over the same without",
                ratio.median,
                target,
                detail=split,
                facts={"pairs": pairs},
                interval=ratio,
            )
        marked = [all(bench.client.run(_has_marks).values()) for bench in (safe, bare)]
        assert marked == [True, False], "what was measured was not what was meant"


def _pairs(sides: dict[str, tuple[Bench, Form]], scale: Scale) -> list[dict[str, Sample]]:
    """Measure both sides in turn, each on its cluster; every other pair goes the other way round."""

    def once(number: int) -> dict[str, Sample]:
        order = list(sides.items())[:: -1 if number % 2 else 1]
        return {side: bench.measure(form.prepare(), form.saturation) for side, (bench, form) in order}

    once(0)  # warms up
    return scale.pace.rounds(once)


def _form(bench: Bench, size: Any, tasks: int) -> Form:
    executor = DaskExecutor(bench.client, bundle_size=size)
    return Form(tasks, bench.default_saturation, lambda: ours.fan_out(executor, tasks))


def take_off(bench: Bench) -> None:
    """Take the safety off a cluster; nobody but this row should."""
    plugin = bench.cluster.scheduler.handlers["prefectlite_close"].__self__
    opened = plugin.open
    plugin.open = lambda client, route, shares_disk=False: opened(client, route)
    plugin.seals.seal = lambda *_: None
    bench.client.run(_forget_marks)


def _forget_marks(dask_worker: Any) -> None:
    desk = desk_of(dask_worker)
    desk._file.unlink()
    desk._marks = None


def _has_marks(dask_worker: Any) -> bool:
    return Path(dask_worker.local_directory, FILE_NAME).exists()
