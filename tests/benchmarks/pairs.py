"""Forms of one piece of work, measured in turn, and the ratio of two of them pair by pair. Knows no flows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.meter import Bench, Sample, Summary
from tests.benchmarks.table import Interval, Line, said

#: Makes the piece of work for one repetition; what it does itself is not measured.
Prepare = Callable[[], Callable[[], Any]]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to do a piece of work: how many tasks it is, and at which ``worker-saturation`` it runs."""

    tasks: int
    saturation: float
    prepare: Prepare


def in_turn(bench: Bench, forms: Mapping[str, Form], reps: int) -> dict[str, list[Sample]]:
    """Measure every form once before any is measured again; one round beforehand warms the workers up.

    Every other round goes backwards, so that no form always comes behind the same other.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in forms}
    for rep in range(reps + 1):
        for name in list(forms)[:: 1 if rep % 2 else -1]:
            sample = bench.measure(forms[name].prepare(), forms[name].saturation)
            if rep:
                samples[name].append(sample)
    return samples


def at_each_saturation(bench: Bench, tasks: int, ways: Mapping[str, Prepare]) -> dict[str, Form]:
    """Return each way at the scheduler's default ``worker-saturation`` and without a bound."""
    settings = {"default": bench.default_saturation, "inf": math.inf}
    return {
        f"{name}, {setting}": Form(tasks, at, way)
        for setting, at in settings.items()
        for name, way in ways.items()
    }


@dataclass(frozen=True, slots=True)
class Contest:
    """Ours and the best of the other forms, pair by pair."""

    ours: Form
    theirs: Form
    best: str
    mine: list[Sample]
    other: list[Sample]
    #: Wall seconds a task of every form of the qualifying rounds.
    qualified: Mapping[str, float]

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
    def detail(self) -> str:
        return (
            f"{per_task(self.mine, self.ours.tasks)}; Dask ({self.best}) "
            f"{per_task(self.other, self.theirs.tasks)}"
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


def contest(bench: Bench, ours: Form, dask: Mapping[str, Form], reps: int) -> Contest:
    """Let the forms of Dask qualify, at most three rounds, then measure ours and the fastest in pairs."""
    best, qualified = next(iter(dask)), dict.fromkeys(dask, math.nan)
    if len(dask) > 1:
        rounds = in_turn(bench, dask, min(3, reps))
        qualified = {
            name: statistics.median(one.wall for one in found) / dask[name].tasks
            for name, found in rounds.items()
        }
        best = min(qualified, key=qualified.__getitem__)
    found = in_turn(bench, {"ours": ours, "dask": dask[best]}, reps)
    return Contest(ours, dask[best], best, found["ours"], found["dask"], qualified)


def speed_lines(row: str, what: str, found: Contest, target: float) -> list[Line]:
    """Return how many times as many tasks a second, and as much CPU beside it."""
    others = "; ".join(
        f"{name} {one * 1e6:.0f}" for name, one in found.qualified.items() if not math.isnan(one)
    )
    speed, cpu = found.speedup, found.cpu_saving
    lines = [
        Line(
            row, f"tasks a second, {what}", speed.median, target, "x", found.detail, found.facts, speed, True
        ),
        Line(row, "CPU of a task, Dask over ours", cpu.median, None, interval=cpu),
    ]
    return [*lines, said(row, f"all forms of Dask, wall us/task: {others}")] if others else lines


def per_task(samples: list[Sample], tasks: int) -> str:
    found = Summary.of(samples)
    wall, driver, workers = (one / tasks * 1e6 for one in (found.wall, found.driver, found.workers))
    return f"{wall:.1f} us/task, CPU {driver:.1f} driver + {workers:.1f} workers"
