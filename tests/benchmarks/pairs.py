"""Forms of one piece of work, measured in turn, and the ratio of two of them pair by pair. Knows no flows."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.meter import Bench, Sample, Summary
from tests.benchmarks.pace import Pace
from tests.benchmarks.table import Interval, Line, said

#: Makes the piece of work for one repetition; what it does itself is not measured.
Prepare = Callable[[], Callable[[], Any]]
#: The same for work of a given size.
PrepareSized = Callable[[int], Callable[[], Any]]

#: A form that takes this much longer than the fastest in its first heat is out.
_OUT = 1.25
#: After so many seconds of heats no further one begins.
_HEAT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Form:
    """One way to do a piece of work: how many tasks it is, and at which ``worker-saturation`` it runs."""

    tasks: int
    saturation: float
    prepare: Prepare


@dataclass(frozen=True, slots=True)
class Shape:
    """Work of any size, as ours does it and in the ways of Dask.

    Parameters
    ----------
    name : str
        Rows with the same name share what was found out about the ways of Dask.
    ours : callable
        Makes our work of a size.
    dask : mapping of str to callable
        Each makes the same work in plain Dask.
    tasks : callable, optional
        How many tasks a size is; as many as the size by default.
    """

    name: str
    ours: PrepareSized
    dask: Mapping[str, PrepareSized]
    tasks: Callable[[int], int] = lambda size: size

    def our_form(self, bench: Bench, size: int) -> Form:
        # What a cluster of others has set, ours must live with.
        return Form(self.tasks(size), bench.default_saturation, lambda: self.ours(size))

    def dask_forms(self, bench: Bench, size: int) -> dict[str, Form]:
        ways = {name: _of_size(way, size) for name, way in self.dask.items()}
        return at_each_saturation(bench, self.tasks(size), ways)


def _of_size(way: PrepareSized, size: int) -> Prepare:
    return lambda: way(size)


def one_round(bench: Bench, forms: Mapping[str, Form], number: int) -> dict[str, Sample]:
    """Measure every form once; every other round goes backwards, so that none always comes behind the same other."""
    order = list(forms)[:: -1 if number % 2 else 1]
    return {name: bench.measure(forms[name].prepare(), forms[name].saturation) for name in order}


def in_turn(
    bench: Bench,
    forms: Mapping[str, Form],
    pace: Pace,
    *,
    warm: bool = True,
    seconds: float | None = None,
) -> dict[str, list[Sample]]:
    """Measure every form once before any is measured again; one round beforehand warms the workers up."""
    if warm:
        one_round(bench, forms, 1)
    rounds = pace.rounds(lambda number: one_round(bench, forms, number), seconds=seconds)
    return {name: [one[name] for one in rounds] for name in forms}


def at_each_saturation(bench: Bench, tasks: int, ways: Mapping[str, Prepare]) -> dict[str, Form]:
    """Return each way at the scheduler's default ``worker-saturation`` and without a bound."""
    settings = {"default": bench.default_saturation, "inf": math.inf}
    return {
        f"{name}, {setting}": Form(tasks, at, way)
        for setting, at in settings.items()
        for name, way in ways.items()
    }


def heats(bench: Bench, shape: str, forms: Mapping[str, Form]) -> dict[str, float]:
    """Return the wall seconds a task of each form, the fastest first; a shape is measured once on a cluster.

    All forms run once; those that come near the fastest run twice more, unless that would take long.
    """
    if shape not in bench.qualified:
        begun = time.monotonic()
        walls = {name: [one.wall] for name, one in one_round(bench, forms, 0).items()}
        limit = _OUT * min(wall for (wall,) in walls.values())
        near = {name: forms[name] for name, (wall,) in walls.items() if wall <= limit}
        for number in range(1, 3 if len(near) > 1 else 1):
            if time.monotonic() - begun > _HEAT_SECONDS:
                break
            for name, one in one_round(bench, near, number).items():
                walls[name].append(one.wall)
        # One that is out has no second chance to be lucky.
        order = sorted(forms, key=lambda name: (name not in near, statistics.median(walls[name])))
        bench.qualified[shape] = {name: statistics.median(walls[name]) / forms[name].tasks for name in order}
    return bench.qualified[shape]


@dataclass(frozen=True, slots=True)
class Contest:
    """Ours and the best of the other forms, pair by pair."""

    ours: Form
    theirs: Form
    best: str
    mine: list[Sample]
    other: list[Sample]
    #: Wall seconds a task of every form of the heats, and how many tasks those had.
    qualified: Mapping[str, float]
    qualified_at: int

    @property
    def speedup(self) -> Interval:
        """How many times as many tasks a second ours does."""
        scale = self.ours.tasks / self.theirs.tasks
        return Interval.of([b.wall / a.wall * scale for a, b in zip(self.mine, self.other, strict=True)])

    @property
    def slowdown(self) -> Interval:
        """How many times as long ours takes for a task."""
        scale = self.theirs.tasks / self.ours.tasks
        return Interval.of([a.wall / b.wall * scale for a, b in zip(self.mine, self.other, strict=True)])

    @property
    def cpu_saving(self) -> Interval:
        """How many times as much CPU the other takes for a task."""
        scale = self.ours.tasks / self.theirs.tasks
        return Interval.of([b.cpu / a.cpu * scale for a, b in zip(self.mine, self.other, strict=True)])

    @property
    def walls(self) -> dict[str, str]:
        """Wall time of a task of both sides, as a line shows them."""
        return {
            "ours": per_task(Summary.of(self.mine).wall, self.ours.tasks),
            "against": per_task(Summary.of(self.other).wall, self.theirs.tasks),
        }

    @property
    def cpus(self) -> dict[str, str]:
        return {
            "ours": per_task(Summary.of(self.mine).cpu, self.ours.tasks),
            "against": per_task(Summary.of(self.other).cpu, self.theirs.tasks),
        }

    @property
    def split(self) -> str:
        """Where the CPU time of both sides goes."""
        return (
            f"ours {cpu_split(self.mine, self.ours.tasks)}; Dask {cpu_split(self.other, self.theirs.tasks)}"
        )

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "tasks": self.ours.tasks,
            "dask_tasks": self.theirs.tasks,
            "best": self.best,
            "qualified": dict(self.qualified),
            "ours": self.mine,
            "dask": self.other,
        }


def contest(
    bench: Bench, pace: Pace, shape: Shape, size: int, trial: int, dask_size: int | None = None
) -> Contest:
    """Measure ours and the fastest way of Dask in pairs.

    Parameters
    ----------
    bench, pace
        On what, and how often.
    shape : Shape
        What.
    size : int
        How large the work is.
    trial : int
        At which size the ways of Dask run against each other first. An eighth of it warms everything up.
    dask_size : int, optional
        How large Dask's work is, if not as ours; compared is by the task.
    """
    warm = max(1, trial // 8)
    one_round(
        bench, {"ours": shape.our_form(bench, warm), shape.name: _any_form(shape.dask_forms(bench, warm))}, 0
    )
    trials = shape.dask_forms(bench, trial)
    qualified = heats(bench, shape.name, trials)
    best = next(iter(qualified))
    ours, dask = shape.our_form(bench, size), shape.dask_forms(bench, dask_size or size)[best]
    found = in_turn(bench, {"ours": ours, "dask": dask}, pace, warm=False)
    return Contest(ours, dask, best, found["ours"], found["dask"], qualified, _any_form(trials).tasks)


def _any_form(forms: Mapping[str, Form]) -> Form:
    return next(iter(forms.values()))


def speed_lines(row: str, what: str, found: Contest, target: float) -> Iterator[Line]:
    """Return how many times as many tasks a second, and as much CPU beside it."""
    speed, cpu = found.speedup, found.cpu_saving
    yield Line(
        row,
        f"tasks a second, {what}",
        speed.median,
        target,
        detail=f"Dask: {found.best}",
        facts=found.facts,
        interval=speed,
        at_least=True,
        **found.walls,
    )
    yield Line(
        row, "CPU of a task, Dask over ours", cpu.median, None, detail=found.split, interval=cpu, **found.cpus
    )
    others = "; ".join(f"{name} {one * 1e6:.0f}" for name, one in found.qualified.items())
    yield said(row, f"all ways of Dask over {found.qualified_at:,} tasks, wall us/task: {others}")


def per_task(seconds: float, tasks: int) -> str:
    """Return the time of one task in the unit that suits it."""
    micros = seconds / tasks * 1e6
    return f"{micros:,.1f} us" if micros < 1_000 else f"{micros / 1_000:,.2f} ms"


def cpu_split(samples: list[Sample], tasks: int) -> str:
    found = Summary.of(samples)
    driver, workers = (one / tasks * 1e6 for one in (found.driver, found.workers))
    return f"{driver:.1f} driver + {workers:.1f} workers"
