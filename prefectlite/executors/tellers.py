"""Makes events of outcomes in this process: plain successes one after the other become one. Knows no Dask."""

from __future__ import annotations

import time
from array import array

from prefectlite.engine.events import AttemptFinished, AttemptHeld, CallsFinished, Event, RangeFinished
from prefectlite.states.report import Report, Reports, Results
from prefectlite.worker.attempt import Outcome


class Teller:
    """Gathers plain successes that may be told of as one.

    Parameters
    ----------
    events : list of Event
        Where they go, in order.
    """

    __slots__ = ("_events", "_reports")

    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self._reports: list[Report] = []

    def close(self) -> None:
        """Tell of what was taken in so far."""
        raise NotImplementedError

    def _tell(self, run: int, submission: int, report: Report | None) -> None:
        """Tell of one that is told of by itself."""
        self.close()
        if report is None:
            self._events.append(AttemptHeld(time.time(), run, submission))
        else:
            self._events.append(AttemptFinished(report.ended, run, submission, report))

    def _taken(self) -> Reports:
        reports = self._reports
        inlines = [report.inline or b"" for report in reports]
        started, ended = array("d"), array("d")
        started.extend([report.started for report in reports])
        ended.extend([report.ended for report in reports])
        self._reports = []
        return Reports(started, ended, Results(array("i", map(len, inlines)), b"".join(inlines)), "local")


class Children(Teller):
    """Gathers children of a map that stand side by side.

    Parameters
    ----------
    events : list of Event
        Where they go, in order.
    submission : int
        Which the outcomes are of.
    is_measured : bool
        Whether maps below must know of the values, so that each is told of by itself.
    """

    __slots__ = ("_is_measured", "_next", "_submission")

    def __init__(self, events: list[Event], submission: int, is_measured: bool) -> None:
        super().__init__(events)
        self._submission = submission
        self._is_measured = is_measured
        self._next = -1

    def add(self, run: int, outcome: Outcome) -> None:
        """Take in how a run ended.

        Parameters
        ----------
        run : int
            Its number.
        outcome : Outcome
            What it came to.
        """
        report = outcome.report
        if report is None or self._is_measured or not _is_plain(report):
            self._tell(run, self._submission, report)
            return
        if run != self._next:
            self.close()
        self._next = run + 1
        self._reports.append(report)

    def close(self) -> None:
        """Tell of what was taken in so far."""
        count = len(self._reports)
        if count:
            reports = self._taken()
            first = self._next - count
            self._events.append(RangeFinished(reports.ended[-1], first, self._submission, reports))


class Calls(Teller):
    """Gathers runs of separate tasks.

    Parameters
    ----------
    events : list of Event
        Where they go, in order.
    """

    __slots__ = ("_runs", "_submissions")

    def __init__(self, events: list[Event]) -> None:
        super().__init__(events)
        self._runs, self._submissions = array("q"), array("q")

    def add(self, run: int, submission: int, is_measured: bool, outcome: Outcome) -> None:
        """Take in how a run ended.

        Parameters
        ----------
        run, submission : int
            Which.
        is_measured : bool
            As of ``Children``.
        outcome : Outcome
            What it came to.
        """
        report = outcome.report
        if report is None or is_measured or not _is_plain(report):
            self._tell(run, submission, report)
            return
        self._runs.append(run)
        self._submissions.append(submission)
        self._reports.append(report)

    def close(self) -> None:
        """Tell of what was taken in so far."""
        reports, runs, submissions = self._reports, self._runs, self._submissions
        if not reports:
            return
        self._runs, self._submissions = array("q"), array("q")
        if len(reports) == 1:
            self._reports = []
            self._events.append(AttemptFinished(reports[0].ended, runs[0], submissions[0], reports[0]))
        else:
            self._events.append(CallsFinished(reports[-1].ended, runs, submissions, self._taken()))


def _is_plain(report: Report) -> bool:
    is_bare = report.success is None and not report.forced
    return report.state is None and report.inline is not None and is_bare
