"""The rows of the straight path: what each runs in turn, against what, and its target. Knows no formatting."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks import bodies, plain, programs
from tests.benchmarks.meter import Bench, Summary
from tests.benchmarks.pace import Pace
from tests.benchmarks.pairs import Form, Prepare, at_each_saturation, in_turn
from tests.benchmarks.table import Line, said

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the work is; the issue's figures are those of 10,000 tasks."""

    tasks: int = 10_000
    pace: Pace = field(default_factory=lambda: Pace(5))
    #: What ours is given; the issue's figures are those without.
    bundle_size: Any = None

    def of(self, full: int, least: int = 2) -> int:
        return max(least, full * self.tasks // 10_000)


def against_dask(
    bench: Bench,
    sizes: Sizes,
    row: str,
    tasks: int,
    ours: Prepare,
    dask: Mapping[str, Prepare],
    wall: float,
    cpu: float | None = None,
) -> list[Line]:
    forms, own = (at_each_saturation(bench, tasks, ways) for ways in (dask, {"ours": ours}))
    samples = in_turn(bench, {**own, **forms}, sizes.pace)
    found = {name: Summary.of(one) for name, one in samples.items()}
    best = min(forms, key=lambda name: found[name].wall)
    lines = []
    for name in own:
        mine, theirs = found[name], found[best]
        beside = f"{_per_task(mine, tasks)}; Dask ({best}) {_per_task(theirs, tasks)}"
        facts = {"tasks": tasks, "ours": mine, "dask": theirs, "best": best}
        lines.append(Line(row, f"wall, {name}", mine.wall / theirs.wall, wall, detail=beside, facts=facts))
        if cpu is not None:
            lines.append(Line(row, f"CPU, {name}", mine.cpu / theirs.cpu, cpu, facts=facts))
    others = "; ".join(f"{name} {found[name].wall / tasks * 1e6:.0f}" for name in forms if name != best)
    return [*lines, said(row, f"other forms of Dask, wall us/task: {others}")]


def _per_task(found: Summary, tasks: int) -> str:
    wall, driver, workers = (one / tasks * 1e6 for one in (found.wall, found.driver, found.workers))
    return f"{wall:.0f} us/task, CPU {driver:.0f} driver + {workers:.0f} workers, spread {found.low:.2f}-{found.high:.2f}"


def _executor(bench: Bench, sizes: Sizes) -> Any:
    from prefectlite import DaskExecutor

    return DaskExecutor(bench.client, bundle_size=sizes.bundle_size)


def fan_out(bench: Bench, sizes: Sizes) -> list[Line]:
    from tests.benchmarks import ours

    n = sizes.of(10_000)
    dask = {
        "graph": lambda: plain.wide_graph(bench.client, n),
        "map": lambda: plain.wide_map(bench.client, n),
    }
    executor = _executor(bench, sizes)
    return against_dask(bench, sizes, "fan-out", n, lambda: ours.fan_out(executor, n), dask, 1.3, 1.5)


def mapped(bench: Bench, sizes: Sizes) -> list[Line]:
    from tests.benchmarks import ours

    n = sizes.of(10_000)
    dask = {
        "graph": lambda: plain.wide_graph(bench.client, n),
        "map": lambda: plain.wide_map(bench.client, n),
    }
    executor = _executor(bench, sizes)
    return against_dask(bench, sizes, "map", n, lambda: ours.mapped(executor, n), dask, 1.3)


def chain(bench: Bench, sizes: Sizes) -> list[Line]:
    from tests.benchmarks import ours

    n = sizes.of(1_000)
    dask = {"graph": lambda: plain.chain(bench.client, n)}
    executor = _executor(bench, sizes)
    return against_dask(bench, sizes, "chain", n, lambda: ours.chain(executor, n), dask, 1.3)


def diamond(bench: Bench, sizes: Sizes) -> list[Line]:
    from tests.benchmarks import ours

    layers, width = 20, sizes.of(100)
    dask = {"graph": lambda: plain.diamond(bench.client, layers, width)}
    executor = _executor(bench, sizes)
    made: Prepare = lambda: ours.diamond(executor, layers, width)  # noqa: E731
    return against_dask(bench, sizes, "diamond", layers * width, made, dask, 1.4)


def retries(bench: Bench, sizes: Sizes) -> list[Line]:
    from tests.benchmarks import ours

    n = sizes.of(1_000)
    executor, at = _executor(bench, sizes), bench.default_saturation
    workers = bench.worker_addresses()
    found = in_turn(
        bench,
        {
            "failing": Form(n, at, lambda: ours.failing(executor, n, fails=True)),
            "smooth": Form(n, at, lambda: ours.failing(executor, n, fails=False)),
        },
        sizes.pace,
    )
    failing, smooth = Summary.of(found["failing"]), Summary.of(found["smooth"])
    detail = f"{_per_task(failing, n)}; without failures {_per_task(smooth, n)}"
    started = len(set(bench.worker_addresses()) - set(workers))
    return [
        Line("retries", "wall, each fails once", failing.wall / smooth.wall, 2.5, detail=detail),
        Line("retries", "workers started meanwhile", started, 0, unit=""),
    ]


def memory(bench: Bench, sizes: Sizes) -> list[Line]:
    from tests.benchmarks import ours

    nbytes, executor = sizes.of(100 * MIB), _executor(bench, sizes)
    bench.rise(ours.blocks(executor, 10, nbytes))  # the first run's imports are no rise
    rises = sizes.pace.rounds(lambda _: bench.rise(ours.blocks(executor, 10, nbytes)))
    fetched = bench.rise(lambda: bench.client.submit(bodies.block, nbytes, pure=False).result())
    detail = f"a block of {nbytes / MIB:.1f} MiB through 10 tasks; worst of {len(rises)}; fetching it: {fetched / MIB:.1f} MiB"
    return [
        Line("memory", "driver memory rises by", max(rises) / MIB, 64, unit=" MiB", detail=detail),
        Line("memory", "the sampler misses a fetched block", float(fetched < nbytes // 2), 0, unit=""),
    ]


def state_edge(bench: Bench, sizes: Sizes) -> list[Line]:
    from tests.benchmarks import ours

    nbytes, executor, addresses = sizes.of(500 * MIB), _executor(bench, sizes), bench.worker_addresses()
    state = bench.moved(ours.apart(executor, nbytes, addresses, data_edge=False))
    data = bench.moved(ours.apart(executor, nbytes, addresses, data_edge=True))
    detail = f"a result of {nbytes / MIB:.1f} MiB; a data edge moves {data / MIB:.1f} MiB"
    seen = data >= nbytes
    return [
        Line("state-edge", "bytes moved by a state-only edge", state, 0, unit=" B", detail=detail),
        Line("state-edge", "the counter misses a data edge", float(not seen), 0, unit=""),
    ]


def _middle(found: list[dict[str, Any]], name: str) -> float:
    return statistics.median(float(one[name]) for one in found)


def _versus(row: str, what: str, found: dict[str, list[dict[str, Any]]], name: str, target: float) -> Line:
    ours, theirs = (_middle(one, name) for one in found.values())
    low, high = (pick(one[name] for one in next(iter(found.values()))) / ours for pick in (min, max))
    labels = list(found)
    detail = f"{labels[0]} {ours:.2f} s, {labels[1]} {theirs:.2f} s, spread {low:.2f}-{high:.2f}"
    return Line(row, what, ours / theirs, target, detail=detail)


def imports(_: Bench | None, sizes: Sizes) -> list[Line]:
    # The names come lazily: the first line is what the issue names, the second what a program pays.
    statements = {
        "import prefectlite": "bare",
        "from prefectlite import Flow, Parameter, task, unmapped": "with names",
    }
    sources = {one: programs.IMPORT.format(statement=one) for one in [*statements, "import distributed"]}
    found = programs.repeated(sources, sizes.pace)
    return [
        _versus(
            "import",
            f"wall against import distributed, {label}",
            {"ours": found[one], "distributed": found["import distributed"]},
            "wall",
            0.5,
        )
        for one, label in statements.items()
    ]


def cold(_: Bench | None, sizes: Sizes) -> list[Line]:
    found = programs.repeated({"ours": programs.COLD_OURS, "Dask": programs.COLD_DASK}, sizes.pace)
    return [_versus("cold", "whole program, own LocalCluster", found, "process", 1.3)]


def cold_local(_: Bench | None, sizes: Sizes) -> list[Line]:
    found = programs.repeated({"ours": programs.COLD_LOCAL}, sizes.pace)["ours"]
    return [Line("cold-local", "whole program, LocalExecutor", _middle(found, "process"), 0.6, unit=" s")]


def local(_: Bench | None, sizes: Sizes) -> list[Line]:
    n = sizes.of(10_000)
    found = programs.repeated({"ours": programs.LOCAL.format(tasks=n, inputs=programs.CALLS)}, sizes.pace)[
        "ours"
    ]
    detail = f"CPU {_middle(found, 'cpu') / n * 1e6:.0f} us/task"
    value = _middle(found, "wall") / n * 1e6
    return [Line("local", "LocalExecutor, build and compile included", value, 100, " us/task", detail)]


def build(_: Bench | None, sizes: Sizes) -> list[Line]:
    n = sizes.of(100_000, least=100)
    timed = programs.repeated({"ours": programs.BUILD.format(tasks=n, traced=False)}, sizes.pace)["ours"]
    traced = programs.repeated({"ours": programs.BUILD.format(tasks=n, traced=True)}, sizes.pace, most=1)[
        "ours"
    ]
    detail = f"{n} tasks and as many edges, one in a hundred with a constant instead"
    return [
        Line("build", "CPU of building and compiling", _middle(timed, "cpu"), 5, " s", detail),
        Line("build", "memory of flow and plan", _middle(traced, "nbytes") / n, 2048, " B/task"),
    ]


#: By name, in the order of the issue's table; those of the second group start their own processes.
ON_THE_CLUSTER: dict[str, Callable[[Bench, Sizes], list[Line]]] = {
    "fan-out": fan_out,
    "chain": chain,
    "map": mapped,
    "diamond": diamond,
    "retries": retries,
    "memory": memory,
    "state-edge": state_edge,
}
ALONE: dict[str, Callable[[Bench | None, Sizes], list[Line]]] = {
    "build": build,
    "import": imports,
    "cold": cold,
    "cold-local": cold_local,
    "local": local,
}
