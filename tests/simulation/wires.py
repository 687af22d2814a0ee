"""What is said on the virtual cluster on its way to the driver: late, twice, or not before somebody asks."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from prefectlite.engine.events import AttemptFinished, AttemptHeld, CallsFinished, Event, RangeFinished
from prefectlite.states.report import Report, Reports, Results
from prefectlite.states.state import Failed
from tests.simulation.case import Faults
from tests.simulation.parcels import Parcel

#: Makes an event once the moment of its delivery is known.
Maker: TypeAlias = Callable[[float], Event]
#: Takes seconds from now, what to do or tell then, and whether it is an event to tell.
Schedule: TypeAlias = Callable[[float, Any, bool], None]


class Wires:
    """Carries words to the driver.

    Parameters
    ----------
    faults : Faults
        What goes wrong on the way.
    rng : random.Random
        The chance that decides.
    schedule : callable
        Takes seconds from now, what to do or tell then, and whether it is an event to tell.
    """

    def __init__(self, faults: Faults, rng: random.Random, schedule: Schedule) -> None:
        self._faults = faults
        self._rng = rng
        self._schedule = schedule
        self._together: dict[tuple[int, int], tuple[Parcel, Report]] = {}

    def latency(self) -> float:
        """Return how many seconds a word takes."""
        return self._rng.expovariate(1) * self._faults.latency

    def tell(self, ended: list[Parcel], make: Maker) -> None:
        """Tell of something that happened; all is heard of the attempts that ended with it."""
        faults, rng = self._faults, self._rng

        def maker(time: float) -> Event:
            for parcel in ended:
                parcel.is_heard = True
            return make(time)

        if rng.random() < faults.lost:
            # The stream lost it; the driver finds out when it compares notes.
            self._schedule(5 + rng.random() * 30, maker, True)
        else:
            self._schedule(self.latency(), maker, True)
        while rng.random() < faults.doubled:
            self._schedule(rng.random() * 20, maker, True)

    def hint(self, parcel: Parcel) -> None:
        """Tell of an attempt that was held since an upstream of it is no success; often nobody does."""
        if self._rng.random() < self._faults.hints:
            run, submission = parcel.submit.run, parcel.submit.submission
            self._schedule(self.latency(), lambda t: AttemptHeld(t, run, submission), True)

    def report(self, parcel: Parcel, report: Report) -> None:
        """Tell how an attempt ended, at once or together with its neighbours."""
        run, submission = parcel.submit.run, parcel.submit.submission
        # What must be measured, was stored or found is told of one by one, as in a bundle.
        more = (report.state, report.success, report.location, report.inline)
        is_plain = all(one is None for one in more)
        is_child = parcel.name[1] >= 0
        is_alike = is_plain or (is_child and isinstance(report.state, Failed))
        is_alike = is_alike and not parcel.submit.measure
        if is_alike and self._rng.random() < self._faults.together:
            if not self._together:
                self._schedule(self.latency() + self._rng.random() * 3, self._tell_together, False)
            self._together[run, submission] = parcel, report
        else:
            self.tell([parcel], lambda t: AttemptFinished(t, run, submission, report))

    def _tell_together(self) -> None:
        """Tell of what ended, calls and neighbours in one event each, as a bundle does."""
        told, self._together = self._together, {}
        calls = {mark: told.pop(mark) for mark in [*told] if told[mark][0].name[1] < 0}
        if calls:
            runs, submissions = zip(*calls, strict=True)
            reports = _many([report for _, report in calls.values()])
            self.tell([parcel for parcel, _ in calls.values()], partial(_calls, runs, submissions, reports))
        while told:
            run, submission = min(told)
            ended = [told.pop((run, submission))]
            while _are_alike(ended[0], told.get((run + len(ended), submission))):
                ended.append(told.pop((run + len(ended), submission)))
            reports = _many([report for _, report in ended])
            self.tell([parcel for parcel, _ in ended], partial(_range, run, submission, reports))


def _calls(
    runs: tuple[int, ...], submissions: tuple[int, ...], reports: Reports, time: float
) -> CallsFinished:
    return CallsFinished(time, runs, submissions, reports)


def _range(run: int, submission: int, reports: Reports, time: float) -> RangeFinished:
    return RangeFinished(time, run, submission, reports)


def _are_alike(one: tuple[Parcel, Report], other: tuple[Parcel, Report] | None) -> bool:
    """Return whether a bundle could tell of both in one; their exceptions are taken for the same."""
    return other is not None and _likeness(one[1]) == _likeness(other[1])


def _likeness(report: Report) -> tuple[Any, ...]:
    return type(report.state), report.retryable, report.forced


def _many(reports: list[Report]) -> Reports:
    started, ended = array("d"), array("d")
    for report in reports:
        started.append(report.started)
        ended.append(report.ended)
    if reports[0].state is not None:
        return Reports(started, ended, Results(array("i"), b""), "virtual", reports[0])
    sizes = array("i", [8] * len(reports))
    results = Results(sizes, bytes(8 * len(reports)))
    results.drop()  # of too many the driver keeps no copies
    return Reports(started, ended, results, "virtual")
