"""The engine without a place to run: events are made up, and only its own time counts. Knows no Dask."""

from __future__ import annotations

import gc
import pickle
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

from prefectlite.engine import events, instructions
from prefectlite.engine.engine import Engine
from prefectlite.engine.plan import FlowPlan, PlanEdge, PlanNode, Policy
from prefectlite.rules.triggers import all_successful
from prefectlite.states import report
from tests.benchmarks.bundle_rows import Scale
from tests.benchmarks.meter import Bench
from tests.benchmarks.pace import Pace
from tests.benchmarks.table import Interval, Line, said

#: How task runs come back: one by one, or as many at once as a bundle holds.
Travel: TypeAlias = Literal["alone", "bundled"]
#: What a bundle holds at most.
BUNDLE = 1_000
#: Up to how many tasks a plan is small.
_WARM = 10_000
_POLICY = Policy(all_successful)
_INLINE = pickle.dumps(1, 5)
_WHERE = "tcp://10.0.0.1:40000"
_REPORT = report.Report(None, 1.0, 1.0, _INLINE, len(_INLINE), where=_WHERE)


def calls(tasks: int) -> FlowPlan:
    """Return a plan of separate calls."""
    every = frozenset(range(tasks))
    return FlowPlan("calls", tuple([PlanNode(f"inc-{i}", _POLICY) for i in every]), every, every)


def children(tasks: int) -> FlowPlan:
    """Return a plan of one map over a constant."""
    edge = PlanEdge(0, 1, "x", mapped=True)
    value = PlanNode("items", _POLICY, "value", (), (edge,), length=tasks)
    return FlowPlan(
        "children", (value, PlanNode("inc-1", _POLICY, "task", (edge,))), frozenset({1}), frozenset({1})
    )


class NoBundlesError(Exception):
    """The engine gives no leave to bundle."""


def seconds_of(plan: FlowPlan, tasks: int, travel: Travel) -> float:
    """Drive a plan to its end, every attempt a success, and return the seconds that the engine took."""
    engine = Engine(plan)
    taken, answered = 0.0, 0
    todo: Sequence[Any] = [events.RunStarted(0.0)]
    gc.collect()
    # As the driver does during a turn.
    gc.disable()
    try:
        while todo:
            out: list[Any] = []
            begun = time.perf_counter()
            for event in todo:
                out += engine.handle(event)
            taken += time.perf_counter() - begun
            todo = [answer for step in out for answer in _answers(step, travel)]
            answered += sum(map(_width, todo))
    finally:
        gc.enable()
    finished = engine.counts()
    assert engine.ended, "the engine wants nothing, but has not ended"
    assert engine.flow_state.is_successful(), engine.flow_state
    assert (answered, finished) == (tasks, {"Success": tasks}), (answered, finished)
    return taken


def _answers(step: Any, travel: Travel) -> Iterator[Any]:
    many = getattr(instructions, "SubmitMany", None)
    if isinstance(step, instructions.Submit):
        if travel == "bundled":
            raise NoBundlesError("the engine submits the children of a map one by one")
        yield events.AttemptFinished(1.0, step.run, step.submission, _REPORT)
    elif many is not None and isinstance(step, many):
        runs = step.runs
        if travel == "alone":
            for run in runs:
                yield events.AttemptFinished(1.0, run, step.submission, _REPORT)
            return
        for first in range(0, len(runs), BUNDLE):
            part = runs[first : first + BUNDLE]
            yield events.RangeFinished(1.0, part.start, step.submission, _reports(len(part)))


def _reports(count: int) -> report.Reports:
    times = array("d", [1.0]) * count
    results = report.Results(array("q", [len(_INLINE)]) * count, _INLINE * count)
    return report.Reports(times, times, results, _WHERE)


def _width(event: Any) -> int:
    reports = getattr(event, "reports", None)
    return 1 if reports is None else len(reports)


#: What is driven, its plan, how it travels, and how many microseconds it may take.
_CASES: tuple[tuple[str, Callable[[int], FlowPlan], Travel, float], ...] = (
    ("calls, each alone", calls, "alone", 25.0),
    ("children of a map, each alone", children, "alone", 25.0),
    (f"children of a map, by {BUNDLE:,}", children, "bundled", 2.0),
)


def row(_: Bench | None, scale: Scale) -> Iterator[Line]:
    widths = sorted({scale.of(full) for full in (1_000, 10_000, 100_000, 1_000_000)})
    yield said("engine", "microseconds of the engine for a task run, from Submit to its final state")
    for what, plan_of, travel, target in _CASES:
        costs: dict[int, Interval] = {}
        try:
            for n in widths:
                costs[n] = _cost(plan_of(n), n, travel, scale.pace)
                shown = f"{costs[n].median:.2f} us"
                yield Line(
                    "engine", f"{what}: {n:,}", costs[n].median, target, " us", interval=costs[n], ours=shown
                )
        except NoBundlesError as error:
            yield Line("engine", what, float("inf"), target, " us", str(error))
            continue
        first, last = costs[widths[0]].median, costs[widths[-1]].median
        yield Line(
            "engine",
            f"{what}: {widths[-1]:,} over {widths[0]:,}",
            last / first,
            1.5,
            ours=f"{last:.2f} us",
            against=f"{first:.2f} us",
        )


def _cost(plan: FlowPlan, tasks: int, travel: Travel, pace: Pace) -> Interval:
    """Drive a plan as often as a quarter of a minute allows; a small one once more, to warm up."""
    if tasks <= _WARM:
        seconds_of(plan, tasks, travel)
    return Interval.of(
        pace.rounds(lambda _: seconds_of(plan, tasks, travel) / tasks * 1e6, seconds=15, least=1)
    )
