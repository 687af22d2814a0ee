"""METG: the smallest body at which half of the workers' time is bodies (Task Bench, SC'20). Knows no drawing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.benchmarks import ours, plain
from tests.benchmarks.bundle_rows import Scale
from tests.benchmarks.curves import Curve, draw
from tests.benchmarks.meter import Bench
from tests.benchmarks.pairs import Form, at_each_saturation, in_turn
from tests.benchmarks.patterns import NAMES, Pattern, pattern
from tests.benchmarks.table import Interval, Line, said

WORKERS = 2
HALF = 0.5
#: Bodies outside of these are not tried, in microseconds.
SHORTEST, LONGEST = 1.0, 2.0**17
#: Makes the form that runs a pattern with a body of so many microseconds.
Make = Callable[[float], Form]


@dataclass(slots=True)
class Side:
    """One side's efficiencies, by the body in microseconds."""

    make: Make
    tasks: int
    found: dict[float, list[float]] = field(default_factory=dict)

    def efficiency(self, micros: float, wall: float) -> float:
        bodies: float = self.tasks * micros * 1e-6
        return bodies / WORKERS / wall

    def curve(self) -> dict[float, float]:
        return {micros: statistics.median(some) for micros, some in sorted(self.found.items())}

    def look(self, bench: Bench, micros: float) -> float:
        """Measure a body once, if it was not yet."""
        if micros not in self.found:
            form = self.make(micros)
            sample = bench.measure(form.prepare(), form.saturation)
            self.found[micros] = [self.efficiency(micros, sample.wall)]
        return self.found[micros][0]

    def bracket(self, bench: Bench, start: float) -> tuple[float, float] | None:
        """Return two bodies, the second twice as long, between which the efficiency passes a half."""
        micros = start
        while self.look(bench, micros) < HALF:
            if micros >= LONGEST:
                return None
            micros *= 2
        while self.look(bench, micros) >= HALF and micros > SHORTEST:
            micros /= 2
        return micros, 2 * micros


def crossing(shorter: float, longer: float, below: float, above: float) -> float:
    """Return the body at which the efficiency is a half, linear in the logarithm between two bodies.

    Where one round's efficiencies do not enclose a half, the line is drawn on beyond them by at most as much
    again.
    """
    share = (HALF - below) / (above - below) if above > below else 0.5
    return shorter * (longer / shorter) ** min(2.0, max(-1.0, share))


def _sides(bench: Bench, scale: Scale, what: Pattern) -> tuple[dict[str, Side], str]:
    executor = scale.executor(bench)

    def dask_at(micros: float) -> dict[str, Form]:
        way = {"graph": lambda: plain.pattern(bench.client, what, micros)}
        return at_each_saturation(bench, what.tasks, way)

    # Near Dask's own crossing, and after a round that warms the workers up.
    tried = in_turn(bench, dask_at(1024.0), 1)
    best = min(tried, key=lambda name: tried[name][0].wall)

    def our_form(micros: float) -> Form:
        work = lambda: ours.pattern(executor, what, micros)  # noqa: E731
        return Form(what.tasks, bench.default_saturation, work)

    our_side = Side(our_form, what.tasks)
    bench.measure(our_form(1.0).prepare(), bench.default_saturation)
    return {"ours": our_side, "Dask": Side(lambda micros: dask_at(micros)[best], what.tasks)}, best


def _rounds(
    bench: Bench, sides: Mapping[str, Side], brackets: Mapping[str, tuple[float, float]], reps: int
) -> dict[str, list[float]]:
    """Measure both ends of both brackets in turn, and return each side's crossing, round by round."""
    ends = {(name, micros): sides[name].make(micros) for name in sides for micros in brackets[name]}
    found = in_turn(bench, {f"{name} {micros}": form for (name, micros), form in ends.items()}, reps)
    crossings: dict[str, list[float]] = {}
    for name, side in sides.items():
        series = []
        for micros in brackets[name]:
            some = [side.efficiency(micros, one.wall) for one in found[f"{name} {micros}"]]
            side.found[micros] = some
            series.append(some)
        crossings[name] = [crossing(*brackets[name], *pair) for pair in zip(*series, strict=True)]
    return crossings


def _lines(
    bench: Bench, name: str, sides: Mapping[str, Side], best: str, reps: int
) -> tuple[list[Line], dict[str, float]]:
    starts = {"ours": 64.0, "Dask": 1024.0}
    brackets: dict[str, tuple[float, float]] = {}
    for side, start in starts.items():
        bracket = sides[side].bracket(bench, start)
        if bracket is None:
            text = f"{side} reaches no half at any body up to {LONGEST / 1000:.0f} ms"
            return [Line("metg", f"{name}: METG", math.inf, 100, " us", text)], {}
        brackets[side] = bracket
    crossings = _rounds(bench, sides, brackets, reps)
    for side, (_, longer) in brackets.items():
        # For the eye only: how the curve goes on.
        sides[side].look(bench, min(LONGEST, longer * 4))
    mine, theirs = Interval.of(crossings["ours"]), Interval.of(crossings["Dask"])
    ratio = Interval.of([a / b for a, b in zip(crossings["ours"], crossings["Dask"], strict=True)])
    facts = {"curves": {side: one.curve() for side, one in sides.items()}, "crossings": crossings}
    tasks = sides["ours"].tasks
    detail = f"Dask ({best}) {theirs.median:.0f} us; {tasks:,} tasks"
    return [
        Line("metg", f"{name}: METG", mine.median, 100, " us", detail, facts, mine),
        Line("metg", f"{name}: METG over Dask's", ratio.median, 0.1, "x", "", {}, ratio),
    ], {"ours": mine.median, "Dask": theirs.median}


def row(bench: Bench, scale: Scale) -> list[Line]:
    lines: list[Line] = []
    curves: list[Curve] = []
    for name in NAMES:
        sides, best = _sides(bench, scale, pattern(name, scale.of(64), scale.steps))
        found, crossings = _lines(bench, name, sides, best, scale.long_reps)
        lines += found
        curves += [
            Curve(name, side, tuple(one.curve().items()), crossings.get(side)) for side, one in sides.items()
        ]
    if scale.plot is not None:
        scale.plot.write_text(draw(curves))
        lines.append(said("metg", f"the curves are drawn in {scale.plot.name}"))
    return lines
