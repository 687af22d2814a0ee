"""METG: the smallest body at which half of the workers' time is bodies (Task Bench, SC'20). Knows no drawing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tests.benchmarks import ours, plain
from tests.benchmarks.bundle_rows import Scale
from tests.benchmarks.curves import Curve, draw
from tests.benchmarks.meter import Bench
from tests.benchmarks.pace import Pace
from tests.benchmarks.pairs import Form, at_each_saturation, heats, in_turn
from tests.benchmarks.patterns import NAMES, Pattern, pattern
from tests.benchmarks.table import Interval, Line, said

HALF = 0.5
#: Bodies outside of these are not tried, in microseconds.
SHORTEST, LONGEST = 1.0, 2.0**17
#: Nor are those that would keep each core busy for more seconds than this.
BUSY = 10.0
#: Makes the form that runs a pattern with a body of so many microseconds.
Make = Callable[[float], Form]


@dataclass(slots=True)
class Side:
    """One side's efficiencies, by the body in microseconds."""

    make: Make
    #: How many bodies it runs.
    tasks: int
    #: How many cores the workers have.
    cores: int = 2
    found: dict[float, list[float]] = field(default_factory=dict)

    @property
    def longest(self) -> float:
        """The longest body that is tried, a power of two microseconds."""
        return min(LONGEST, 2.0 ** math.floor(math.log2(BUSY * self.cores / self.tasks * 1e6)))

    def efficiency(self, micros: float, wall: float) -> float:
        bodies: float = self.tasks * micros * 1e-6
        return bodies / self.cores / wall

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
        # A body as long as what a task costs beside it makes a half: the first look says nearly where.
        overhead = start * (1 / self.look(bench, start) - 1)
        micros = 2.0 ** round(math.log2(min(self.longest, max(SHORTEST, overhead))))
        while self.look(bench, micros) < HALF:
            if micros >= self.longest:
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


def _sides(bench: Bench, scale: Scale, what: Pattern, few: Pattern) -> tuple[dict[str, Side], str]:
    executor = scale.executor(bench)
    # What a task costs in Dask does not depend on how many steps there are, and all of them take minutes.
    theirs = what if scale.full else few

    def dask_at(micros: float) -> dict[str, Form]:
        ways = {"graph": lambda: plain.pattern(bench.client, theirs, micros)}
        return at_each_saturation(bench, theirs.tasks, ways)

    def our_form(what: Pattern, micros: float) -> Form:
        return Form(what.tasks, bench.default_saturation, lambda: ours.pattern(executor, what, micros))

    # Few steps warm the workers up; near Dask's own crossing its ways compete.
    scale.pace.rounds(lambda _: bench.measure(our_form(few, 1.0).prepare(), bench.default_saturation), most=1)
    best = next(iter(heats(bench, f"METG {what.name}", dask_at(1024.0))))
    return {
        "ours": Side(lambda micros: our_form(what, micros), what.tasks, bench.cores),
        "Dask": Side(lambda micros: dask_at(micros)[best], theirs.tasks, bench.cores),
    }, best


def _rounds(
    bench: Bench, sides: Mapping[str, Side], brackets: Mapping[str, tuple[float, float]], pace: Pace
) -> dict[str, list[float]]:
    """Measure both ends of both brackets in turn, and return each side's crossing, round by round."""
    ends = {(name, micros): sides[name].make(micros) for name in sides for micros in brackets[name]}
    forms = {f"{name} {micros}": form for (name, micros), form in ends.items()}
    found = in_turn(bench, forms, pace, warm=False, seconds=pace.seconds / len(NAMES))
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
    bench: Bench, row: str, name: str, sides: Mapping[str, Side], best: str, scale: Scale
) -> tuple[list[Line], dict[str, float]]:
    starts = {"ours": 64.0, "Dask": 1024.0}
    brackets: dict[str, tuple[float, float]] = {}
    for side, start in starts.items():
        bracket = sides[side].bracket(bench, start)
        if bracket is None:
            text = f"{side} reaches no half at any body up to {sides[side].longest / 1000:.3g} ms"
            return [
                Line(row, f"{name}: METG", math.inf, 100, " us", text),
                Line(row, f"{name}: METG over Dask's", math.inf, 0.1, detail=text),
            ], {}
        brackets[side] = bracket
    crossings = _rounds(bench, sides, brackets, scale.pace)
    if scale.plot is not None and not scale.pace.interrupted:
        for side, (_, longer) in brackets.items():
            # For the eye only: how the curve goes on.
            sides[side].look(bench, min(sides[side].longest, longer * 2))
    mine, theirs = Interval.of(crossings["ours"]), Interval.of(crossings["Dask"])
    ratio = Interval.of([a / b for a, b in zip(crossings["ours"], crossings["Dask"], strict=True)])
    facts = {"curves": {side: one.curve() for side, one in sides.items()}, "crossings": crossings}
    detail = f"{sides['ours'].tasks:,} tasks; Dask: {best}, {sides['Dask'].tasks:,} tasks"
    texts = {"ours": f"{mine.median:,.1f} us", "against": f"{theirs.median:,.1f} us"}
    return [
        Line(row, f"{name}: METG", mine.median, 100, " us", detail, facts, mine, **texts),
        Line(row, f"{name}: METG over Dask's", ratio.median, 0.1, interval=ratio, **texts),
    ], {"ours": mine.median, "Dask": theirs.median}


def apart(_: None, scale: Scale) -> Iterator[Line]:
    """The same where client and scheduler have a core, and both workers another, as the paper gave them nodes."""
    plot = scale.plot and scale.plot.with_stem(f"{scale.plot.stem}-apart")
    with Bench(apart=True) as bench:
        yield from _patterns(bench, replace(scale, plot=plot), "metg-apart")


def row(bench: Bench, scale: Scale) -> Iterator[Line]:
    yield from _patterns(bench, scale, "metg")


def _patterns(bench: Bench, scale: Scale, row: str) -> Iterator[Line]:
    curves: list[Curve] = []
    width = scale.of(64)
    for name in NAMES:
        what, few = (pattern(name, width, steps) for steps in (scale.steps, max(2, scale.steps // 5)))
        sides, best = _sides(bench, scale, what, few)
        lines, crossings = _lines(bench, row, name, sides, best, scale)
        yield from lines
        curves += [
            Curve(name, side, tuple(one.curve().items()), crossings.get(side)) for side, one in sides.items()
        ]
        if scale.plot is not None:
            scale.plot.write_text(draw(curves))
    if scale.plot is not None:
        yield said(row, f"the curves are drawn in {scale.plot.name}")
