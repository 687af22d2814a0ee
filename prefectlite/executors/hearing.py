"""What workers and scheduler say becomes events; what was said before changes nothing. Decides no rule."""

from __future__ import annotations

import logging
import pickle
import time
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prefectlite.engine.events import (
    AttemptCrashed,
    AttemptFinished,
    AttemptHeld,
    AttemptStarted,
    CallsFinished,
    Event,
    RangeFinished,
    ResultLost,
)
from prefectlite.executors.books import is_tree
from prefectlite.executors.cargo import Cargo
from prefectlite.executors.protocol import Deliver, DeliverLogs
from prefectlite.executors.trees import Trees
from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.keys import is_part
from prefectlite.lowering.parts import WHOLE
from prefectlite.lowering.shipment import BlockShipment, Shipment
from prefectlite.states.report import Reports, Results
from prefectlite.states.state import Crashed, Scheduled
from prefectlite.worker.wire import (
    ALIKE,
    BUNDLE,
    ERRED,
    GOING,
    HELD,
    LOGS,
    OTHER,
    PLAIN,
    RETURNED,
    SEALED,
    STARTED,
    UNPLACED,
    WORKER,
    BundleReport,
    Item,
    decode,
    plain_report,
    read_bundle,
)

_logger = logging.getLogger(__name__)

#: The values of attempts that have none.
_NOTHING: Final = Results(array("i"), b"")


class Hearing(Trees):
    """The books, kept by what is heard.

    Parameters
    ----------
    client, bundle_size, seconds
        As of ``Books``.
    deliver : callable
        Takes sequences of events.
    deliver_logs : callable
        Takes sequences of log lines.
    """

    def __init__(
        self,
        client: Any,
        bundle_size: int | None,
        seconds: dict[str, float] | None,
        deliver: Deliver,
        deliver_logs: DeliverLogs,
    ) -> None:
        super().__init__(client, bundle_size, seconds)
        self._deliver = deliver
        self._deliver_logs = deliver_logs
        #: Whether the log tells of workers that come and go.
        self.watches_workers = False

    def hear(self, items: Sequence[Item]) -> None:
        """Turn what workers and scheduler say into events; what was said before changes nothing.

        Parameters
        ----------
        items : sequence of tuple
            In order.
        """
        now = time.time()
        events: list[Event] = []
        for item in items:
            kind = item[0]
            if kind == LOGS:
                self._deliver_logs(pickle.loads(item[1]))
            elif kind == STARTED:
                parcel = self._parcel_of(item[1])
                if parcel is not None:
                    events.append(AttemptStarted(item[3], *parcel, item[2]))
            elif kind == UNPLACED:
                self._placed(item[1], item[2])
            elif kind == WORKER:
                self._worker_seen(item[1], item[2])
            elif kind == ERRED:
                self._erred(item[1])
            elif kind == SEALED:
                events += self._sealed(now, *item[1:])
            elif kind == BUNDLE:
                if self._returned:
                    self.doubt.set()
                cargo = self.cargo.get(item[1])
                if cargo is not None:
                    with self._books:
                        events += self._outcomes(now, cargo, read_bundle(item))
                elif is_part(item[1]):
                    with self._books:
                        events += self._part_lost(now, read_bundle(item))
                else:
                    with self._books:
                        events += self._values_lost(now, item[1], _lost_in(read_bundle(item)))
            else:
                events += self._alone(now, item)
        if events:
            self._deliver(events)

    def _alone(self, now: float, item: Item) -> list[Event]:
        """Turn what an attempt says that travelled alone into events."""
        cargo = self.cargo.get(item[1])
        with self._books:
            if cargo is not None:
                return self._outcome(now, cargo, 0, item, "")
            return self._values_lost(now, item[1], dict(_lost_at(WHOLE, item)))

    def _erred(self, key: DaskKey) -> None:
        """Have a look at what erred, if it was not heard of."""
        if key in self.cargo:
            self.doubt.set()

    def _worker_seen(self, address: str, came: bool) -> None:
        """Note a worker that came, and tell the log of it or of one that is gone."""
        if came:
            self.is_deserted = False
        if self.watches_workers:
            _logger.info("Worker %s %s.", address, "came" if came else "is gone")

    def _placed(self, key: DaskKey, asked: str) -> None:
        """Note what no worker has that a Dask task asks for; the first time, say so."""
        with self._books:
            if not asked:
                self.unplaced.pop(key, None)
            elif key in self.cargo:
                if asked not in self.unplaced.values():
                    _logger.warning(
                        "No worker has %s, which task runs of %s ask for; they wait until one comes. Start "
                        "such a worker, or change what the task asks for.",
                        asked,
                        key[0].rsplit("-", 2)[0],
                    )
                self.unplaced[key] = asked

    def _sealed(self, now: float, key: DaskKey, begun: int | None, cause: str, text: str) -> list[Event]:
        """Turn what is left to be said of a Dask task that was lost into events."""
        with self._books:
            self._bereft.add(key)
            self.gone.add(key)
            self.doubt.set()
            cargo = self.cargo.get(key)
            unheard = [] if cargo is None else list(cargo.open_slots())
            if begun is not None:
                self._returned += [(cargo, slot) for slot in unheard if cargo is not None and slot >= begun]
                return []
            returned = {slot for one, slot in self._returned if one is cargo}
            events: list[Event] = []
            if cargo is not None and returned:
                # It was over; what it had sent back never began, and is sent anew all the same.
                lost = [slot for slot in unheard if slot not in returned]
                events += self._crash(now, cargo, lost, cause, text)
            else:
                self.give_up([(key, cause, text)])
            stretches = self.berths.lying_in((key,))
            told = [slot + place for (_, slot), (_, _, count) in stretches for place in range(count)]
            events += self._values_lost(now, key, dict.fromkeys(set(told) - set(unheard), text))
            return events

    def _values_lost(self, now: float, key: DaskKey, lost: Mapping[int, str]) -> list[Event]:
        """Tell of values that are gone though all was heard of their attempts."""
        if not lost:
            return []  # all that was said before is said again for its neighbours' sake
        self.gone.add(key)
        return [
            ResultLost(now, run + place, submission, lost[slot + place])
            for (_, slot), (run, submission, count) in self.berths.lying_in((key,))
            for place in range(count)
            if slot + place in lost
        ]

    def _outcomes(self, now: float, cargo: Cargo, report: BundleReport) -> list[Event]:
        """Turn what a bundle says into events; neighbours that ended alike become one."""
        if cargo.covers:
            return self._part_said(now, cargo, report)
        events: list[Event] = []
        if any(entry[0] == GOING for _, entry in report.others):
            self._cuts.append((cargo, report))
            self.doubt.set()
        at, end = report.first, report.first + len(report.sizes)
        skipped = 0  # bytes of the blob that belong to slots before ``at``
        for slot, entry in [*report.others, (end, None)]:
            while at < slot:
                part, _, stop = cargo.part_at(at)
                if isinstance(part, Shipment):
                    stop, nbytes = self._members(now, cargo, report, at, slot, skipped, events)
                    at, skipped = stop, skipped + nbytes
                    continue
                stop = min(stop, slot)
                sizes = report.sizes[at - report.first : stop - report.first]
                nbytes = sum(sizes)
                results = Results(sizes, report.blob[skipped : skipped + nbytes])
                skipped += nbytes
                started = report.started[at - report.first : stop - report.first]
                ended = report.ended[at - report.first : stop - report.first]
                many = Reports(started, ended, results, report.where)
                events += self._block(now, cargo, part, at, many)
                at = stop
            if entry is None:
                break
            if entry[0] == ALIKE:
                at = slot + entry[1]
                events += self._alike(now, cargo, report, slot, entry)
            else:
                at = slot + 1
                events += self._outcome(now, cargo, slot, entry, report.where)
        return events

    def _members(
        self,
        now: float,
        cargo: Cargo,
        report: BundleReport,
        start: int,
        stop: int,
        skipped: int,
        events: list[Event],
    ) -> tuple[int, int]:
        """Tell of plain successes that are parts themselves; return the slot behind them, and their bytes."""
        first, at = report.first, start
        spent: defaultdict[str, list[float]] = defaultdict(list)
        runs, submissions = array("q"), array("q")
        for part in cargo.parts_from(start):
            if at == stop or not isinstance(part, Shipment):
                break
            place = at - first
            spent[part.task.digest].append(report.ended[place] - report.started[place])
            runs.append(part.run)
            submissions.append(part.submission)
            if part.fold is not None:
                self._end_tree((part.run, part.submission), keep=False)
            at += 1
        for task, seconds in spent.items():
            self.pace.note(task, sum(seconds) / len(seconds), 0, len(seconds))
        some = slice(start - first, at - first)
        sizes = report.sizes[some]
        nbytes = sum(sizes)
        results = Results(sizes, report.blob[skipped : skipped + nbytes])
        many = Reports(report.started[some], report.ended[some], results, report.where)
        if cargo.all_open(start, at):
            events.append(CallsFinished(now, runs, submissions, many))
        else:
            events += [
                AttemptFinished(now, run, submission, many.one(place))
                for place, (run, submission) in enumerate(zip(runs, submissions, strict=True))
                if cargo.is_open(start + place)
            ]
        self._inline_bytes += nbytes
        self._close(cargo, start, at)
        return at, nbytes

    def _alike(self, now: float, cargo: Cargo, report: BundleReport, start: int, entry: Item) -> list[Event]:
        """Tell of attempts side by side that were no plain successes and said the same."""
        events: list[Event] = []
        said = decode(entry)
        at, end = start, start + entry[1]
        while at < end:
            part, _, stop = cargo.part_at(at)
            stop = min(stop, end)
            places = slice(at - report.first, stop - report.first)
            started, ended = report.started[places], report.ended[places]
            if isinstance(part, BlockShipment):
                many = Reports(started, ended, _NOTHING, report.where, said)
                events += self._block(now, cargo, part, at, many)
            else:
                item = (OTHER, None, *entry[2:], started[0], ended[0])
                events += self._outcome(now, cargo, at, item, report.where)
            at = stop
        return events

    def _block(self, now: float, cargo: Cargo, part: BlockShipment, slot: int, many: Reports) -> list[Event]:
        """Tell of attempts of one block that ended alike."""
        count = len(many)
        seconds = (sum(many.ended) - sum(many.started)) / count
        self.pace.note(part.task.digest, seconds, 0, count)
        self._inline_bytes += many.results.nbytes
        events: list[Event] = []
        if cargo.all_open(slot, slot + count):
            run, submission = cargo.parcel(slot)
            events.append(RangeFinished(now, run, submission, many))
        else:
            events += [
                AttemptFinished(now, *cargo.parcel(slot + place), many.one(place))
                for place in range(count)
                if cargo.is_open(slot + place)
            ]
        self._close(cargo, slot, slot + count)
        return events

    def _outcome(self, now: float, cargo: Cargo, slot: int, item: Item, where: str) -> list[Event]:
        """Turn what one attempt says into an event."""
        if isinstance(item[0], float):
            item = (PLAIN, None, where, item)
        if not cargo.is_open(slot):
            # A bundle that was cut told of its first attempts before it was lost, and their values with it.
            return self._values_lost(now, cargo.key, dict(_lost_at(slot, item)))
        kind = item[0]
        if kind == GOING:
            return []
        if kind == RETURNED:
            self._returned.append((cargo, slot))
            self.doubt.set()
            return []
        parcel = cargo.parcel(slot)
        part, _, _ = cargo.part_at(slot)
        if kind == HELD and cargo in self._trees_over(self._returned):
            return []  # for the sake of what is about to be sent anew, and so is this
        self._close(cargo, slot, slot + 1)
        if kind == HELD:
            self._end_tree(parcel, keep=True)
            return [AttemptHeld(now, *parcel)]
        assert kind in (PLAIN, OTHER), item
        report = decode(item) if kind == OTHER else plain_report(item[3], item[2])
        if is_tree(part):
            self._end_tree(parcel, keep=isinstance(report.state, Scheduled))
        self.pace.note(part.task.digest, report.ended - report.started, report.nbytes)
        if kind == PLAIN:
            if report.inline is None:
                self.nbytes[parcel] = report.nbytes
            else:
                self._inline_bytes += len(report.inline)
        return [AttemptFinished(now, *parcel, report)]

    def give_up(self, lost: Sequence[tuple[DaskKey, str, str]]) -> None:
        """Say of Dask tasks that they ended without a word, and with them all that was not heard of.

        Parameters
        ----------
        lost : sequence of (tuple, str, str)
            Dask task, cause and text.
        """
        now = time.time()
        events: list[Event] = []
        with self._books:
            for key, cause, text in lost:
                cargo = self.cargo.get(key)
                if cargo is not None and cargo.covers:
                    self._close(cargo, 0, 1)
                    cargo = self._last_of(cargo.parcel(0))
                if cargo is not None:
                    events += self._crash(now, cargo, list(cargo.open_slots()), cause, text)
        if events:
            self._deliver(events)

    def _crash(self, now: float, cargo: Cargo, slots: Sequence[int], cause: str, text: str) -> list[Event]:
        """Turn the end of attempts of which nothing will be heard into events."""
        for slot in slots:
            self._close(cargo, slot, slot + 1)
        if slots and is_tree(cargo.parts[0]):
            self._end_tree(cargo.parcel(0), keep=False)
        # Readers first: what crashed may have begun, though nobody knows that what it reads had ended.
        return [AttemptCrashed(now, *cargo.parcel(slot), cause, text) for slot in reversed(slots)]

    def hint(self, keys: Sequence[DaskKey]) -> None:
        """Say of Dask tasks that they never ran, since an upstream was no plain success.

        Parameters
        ----------
        keys : sequence of tuple
            The Dask tasks.
        """
        now = time.time()
        events: list[Event] = []
        with self._books:
            for key in keys:
                cargo = self.cargo.get(key)
                if cargo is not None and cargo.covers:
                    self._close(cargo, 0, 1)  # the reduce never ran either
                elif cargo is not None:
                    events += [AttemptHeld(now, *cargo.parcel(slot)) for slot in cargo.open_slots()]
                    self._close(cargo, 0, len(cargo))
                    if is_tree(cargo.parts[0]):
                        self._end_tree(cargo.parcel(0), keep=True)
        if events:
            self._deliver(events)


def _lost_in(report: BundleReport) -> dict[int, str]:
    """Return what is said of the values that a bundle has lost, by slot."""
    return dict(found for slot, entry in report.others for found in _lost_at(slot, entry))


def _lost_at(slot: int, entry: Item) -> Iterator[tuple[int, str]]:
    if entry[0] not in (OTHER, ALIKE):
        return
    state = decode(entry).state
    if isinstance(state, Crashed) and state.cause == "result-lost":
        for place in range(entry[1] if entry[0] == ALIKE else 1):
            yield slot + place, state.message or state.cause
