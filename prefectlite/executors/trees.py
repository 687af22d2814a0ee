"""Reduces that went to the cluster as trees of calls, whose word is the reduce's. Knows no client."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from prefectlite.engine.events import AttemptFinished, Event, InputsConsumed
from prefectlite.executors.books import Books
from prefectlite.executors.cargo import Cargo
from prefectlite.executors.protocol import Parcel
from prefectlite.lowering.order import spans_of
from prefectlite.lowering.shipment import Shipment, Span
from prefectlite.states.report import Report
from prefectlite.states.state import Failed, Scheduled, Skipped, Success
from prefectlite.worker.wire import GOING, HELD, OTHER, PLAIN, RETURNED, BundleReport, Item, decode

#: How often a reduce is sent anew with what it reads, before it waits for all of that.
MOST_RESENT: Final = 16


class Trees(Books):
    """The books, and what is to be known of reduces in them."""

    def _last_of(self, parcel: Parcel) -> Cargo | None:
        """Return the Dask task of a tree whose outcome is the reduce's."""
        return next((one for one in self._trees.get(parcel, ()) if not one.covers), None)

    def _trees_over(self, attempts: Sequence[tuple[Cargo, int]]) -> list[Cargo]:
        """Return the reduces that read what comes of some attempts and may be sent anew for their sake."""
        if not attempts or not self._trees:
            return []
        runs: dict[int, list[int]] = {}
        for run, submission in sorted(cargo.parcel(slot) for cargo, slot in attempts):
            runs.setdefault(submission, []).append(run)
        found: list[Cargo] = []
        for parcel, tree in self._trees.items():
            part = tree[-1].parts[0]
            assert isinstance(part, Shipment)
            if self._resent[parcel] < MOST_RESENT and any(
                _has_one(runs.get(submission, ()), first, count)
                for first, submission, count in spans_of(part)
            ):
                last = self._last_of(parcel)
                if last is not None:
                    found.append(last)
        return found

    def _end_tree(self, parcel: Parcel, *, keep: bool) -> None:
        """Take a reduce's Dask tasks off the books, all but its own that stays till it is released.

        What came of its parts is kept where it is to be submitted again: the engine may have let go of what
        they read. If it never is, that stays until the flow run is over.
        """
        with self._books:
            tree = self._trees.pop(parcel, ())
            for one in tree:
                if one.covers:
                    self._close(one, 0, 1)
            gone = [] if keep else self._sums.drop(parcel[0])
            kept = self._sums.of(parcel[0])
            gone += [one.key for one in tree if one.covers and one.key not in kept]
        self.futures.give_back([(key, 1) for key in gone])

    def _part_said(self, now: float, cargo: Cargo, report: BundleReport) -> list[Event]:
        """Turn what came of a part of a reduce into events: a success is none, a failure is the reduce's."""
        entry: Item = report.others[0][1] if report.others else (0.0,)
        kind = PLAIN if isinstance(entry[0], float) else entry[0]
        if not cargo.is_open(0) or kind == GOING:
            return []
        if kind == RETURNED:
            self._returned.append((cargo, 0))
            self.doubt.set()
            return []
        self._close(cargo, 0, 1)
        parcel = cargo.parcel(0)
        if kind == OTHER:
            return self._part_failed(now, parcel, decode(entry))
        if kind == HELD:
            return []  # so does the reduce
        gone = self._sums.put(parcel[0], cargo.key, cargo.covers)
        self.futures.give_back([(key, 1) for key in gone])
        return [InputsConsumed(now, *parcel, first, count) for first, count in _neighbours(cargo.took)]

    def _part_lost(self, now: float, report: BundleReport) -> list[Event]:
        """Turn what is said of a part that was heard of into events: if it is lost, so is the attempt."""
        run = self._sums.run_of(report.key)
        entry = report.others[0][1] if report.others else None
        if run is None or entry is None or entry[0] != OTHER:
            return []
        parcel = next((parcel for parcel in self._trees if parcel[0] == run), None)
        if parcel is not None:
            return self._part_failed(now, parcel, decode(entry))
        covers = self._sums.of(run)[report.key]
        if all(sum(count for *_, count in self.berths.known(span)) == span[2] for span in covers):
            self._sums.forget(run, report.key)
        # Else the reduce, if it is submitted again, finds out that this cannot be reached.
        return []

    def _part_failed(self, now: float, parcel: Parcel, report: Report) -> list[Event]:
        last = self._last_of(parcel)
        if last is None or not last.is_open(0):
            return []
        self._close(last, 0, 1)
        self._end_tree(parcel, keep=isinstance(report.state, Scheduled))
        if isinstance(report.state, Success) and not isinstance(report.state, Skipped):
            text = (
                "A call on a part of the list ended with a signal of success, which would end the whole; an "
                "associative task returns its value."
            )
            report = report._replace(state=Failed(text))
        return [AttemptFinished(now, *parcel, report)]


def _has_one(runs: Sequence[int], first: int, count: int) -> bool:
    """Return whether one of some runs, in order, is among others that stand side by side."""
    at = bisect_left(runs, first)
    return at < len(runs) and runs[at] < first + count


def _neighbours(spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Yield first run and count of values, those that stand side by side together."""
    start, stop = 0, 0
    for run, _, count in spans:
        if run != stop:
            if stop > start:
                yield start, stop - start
            start = run
        stop = run + count
    yield start, stop - start
