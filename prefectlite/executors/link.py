"""One flow run on one Dask cluster: shipments become graphs, reports become events. Decides nothing.

Imports Dask, so it is imported when a place to run is being opened, behind the program's back.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import threading
import time
import warnings
import weakref
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import dask.config

from prefectlite.engine.events import (
    AttemptCrashed,
    AttemptFinished,
    AttemptHeld,
    AttemptStarted,
    Event,
    InputsConsumed,
    RangeFinished,
)
from prefectlite.errors import ExecutorError
from prefectlite.executors.cargo import Cargo
from prefectlite.executors.cluster import Place, ask_workers
from prefectlite.executors.futures import Futures
from prefectlite.executors.plugin import ReportPlugin
from prefectlite.executors.protocol import Deliver, DeliverLogs, Parcel, RunBrief
from prefectlite.lowering.berths import Berths, DaskKey
from prefectlite.lowering.bundles import Bundle, Packer
from prefectlite.lowering.envelope import by_value_names
from prefectlite.lowering.folds import Sums
from prefectlite.lowering.graph import build_graph
from prefectlite.lowering.keys import DataKey, is_part
from prefectlite.lowering.order import AnyShipment, apart, in_order, readers_of, spans_of
from prefectlite.lowering.pace import Pace
from prefectlite.lowering.shipment import BlockShipment, Literal, Lowered, Shipment, Span
from prefectlite.states.report import Report, Reports, Results
from prefectlite.states.state import Failed, Scheduled, Skipped, Success
from prefectlite.worker.bundle import run_bundle, run_bundle_by_topic
from prefectlite.worker.entry import (
    interrupt_attempts,
    run_attempt,
    run_attempt_by_topic,
    run_beside,
    run_beside_by_topic,
)
from prefectlite.worker.wire import (
    BUNDLE,
    ERRED,
    GOING,
    HELD,
    LOGS,
    MARK,
    OTHER,
    PLAIN,
    RETURNED,
    STARTED,
    BundleReport,
    Item,
    decode,
    plain_report,
    read_bundle,
)

_logger = logging.getLogger(__name__)

#: Literals of more bytes in one graph make Dask warn about a large graph; ours are meant.
LARGE_GRAPH: Final = 1_000_000
#: How long a cancel waits for the workers to interrupt their bodies, in seconds.
INTERRUPT_TIMEOUT: Final = 2.0
#: Up to so many bytes of results that came with reports, the driver is trusted to have kept them all.
INLINE_TRUST: Final = 32 * 1024 * 1024
#: How many Dask tasks of a flow run may be on the scheduler at once: a graph of these keeps its loop busy for
#: half a second.
TASKS: Final = 4096
#: How many task runs in bundles may be, for a small cluster and per thread of a large one.
MOST_RUNS: Final = 64 * 1024
RUNS_PER_THREAD: Final = 2048
#: How often a reduce is sent anew with what it reads, before it waits for all of that.
MOST_RESENT: Final = 16
#: Of so many values that wait for slow bodies it is known; what waits for more is not taken back.
MOST_HELD_UP: Final = 4096


class Link:
    """Send a flow run's shipments through a client, and turn what comes back into events.

    Parameters
    ----------
    place : Place
        The cluster.
    brief : RunBrief
        The flow run.
    deliver : callable
        Takes sequences of events.
    deliver_logs : callable
        Takes sequences of log lines.
    plugin_allowed : bool
        Whether to install the scheduler plugin.
    bundle_size : int or None
        How many attempts travel together; 1 for each alone, None for as many as pay.
    seconds : dict of str to float or None
        How long tasks took in earlier runs, by their digest; grows.
    """

    def __init__(
        self,
        place: Place,
        brief: RunBrief,
        deliver: Deliver,
        deliver_logs: DeliverLogs,
        plugin_allowed: bool = True,
        bundle_size: int | None = 1,
        seconds: dict[str, float] | None = None,
    ) -> None:
        self.place = place
        self.client = place.client
        self.route = brief.run_id[:8]
        self.futures = Futures(self.client)
        self.berths = Berths()
        #: Dask tasks with attempts that were not heard of.
        self.cargo: dict[DaskKey, Cargo] = {}
        self._flying = 0
        self._returned: list[tuple[Cargo, int]] = []
        #: Bundles that a long body holds, with what they told so far; then those whose values were moved.
        self._cuts: list[tuple[Cargo, BundleReport]] = []
        self._slow: dict[DaskKey, Cargo] = {}
        self.pace = Pace(bundle_size, self._threads, seconds)
        #: Reduces that went as trees: their Dask tasks, and what came of parts of them.
        self._trees: dict[Parcel, list[Cargo]] = {}
        self._sums = Sums()
        self._resent: Counter[Parcel] = Counter()
        self._packer = Packer(self.pace, self.berths, by_value_names(), self._sums)
        #: Held while something is packed and sent: what a bundle sends back is sent anew by another thread.
        self._sending = threading.RLock()
        #: Held for moments, while it is noted what was heard of: by the client's loop too, which must not
        #: wait for a graph to be made.
        self._books = threading.RLock()
        #: Sizes of values that did not come with their reports.
        self.nbytes: dict[Parcel, int] = {}
        self._inline_bytes = 0
        self._deliver = deliver
        self._deliver_logs = deliver_logs
        #: Set when somebody should look at the futures soon.
        self.doubt = threading.Event()
        self.has_plugin = plugin_allowed and self._install()
        if bundle_size == 1:
            self._entry = run_attempt if self.has_plugin else run_attempt_by_topic
        else:
            self._entry = run_beside if self.has_plugin else run_beside_by_topic
        self._bundle_entry = run_bundle if self.has_plugin else run_bundle_by_topic
        _listen(self.client, self.route, self)

    def _install(self) -> bool:
        client = self.client
        try:
            try:
                # It stays on the scheduler, so most runs of a client need not bring it.
                answer = self._open() if client in _brought else None
            except Exception:
                answer = None  # the scheduler began anew
            if answer is None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    client.register_plugin(ReportPlugin())
                answer = self._open()
                _brought.add(client)
        except Exception as error:
            _logger.warning(
                "The scheduler at %s accepts no plugin (%s: %s), so reports come as events of a Dask "
                "topic, which is a little slower. Allow plugins there (distributed.scheduler.pickle, "
                "blocked_handlers) to be rid of this.",
                self.place.name,
                type(error).__name__,
                error,
            )
            return False
        if answer == "taken":
            raise ExecutorError(
                f"A flow run whose identity begins with {self.route} is under way on this scheduler "
                "already; give this one another run_id, or wait for the other to end."
            )
        return True

    def _open(self) -> Any:
        client = self.client
        return client.sync(
            client.scheduler.prefectlite_open,
            client=client.id,
            route=self.route,
            shares_disk=self.place.can_kill,
        )

    def submit(self, lowered: Lowered) -> None:
        """Send a turn's shipments as one graph.

        Parameters
        ----------
        lowered : Lowered
            Shipments and shared literals.

        Raises
        ------
        ExecutorError
            When the client cannot send any more.
        """
        with self._sending:
            self._send(lowered.shipments, [*self._shelve(), *lowered.literals])

    def room(self) -> int:
        """Return how many task runs may be in flight.

        Returns
        -------
        int
            As many more as there may be Dask tasks more: each might need one of its own.
        """
        if not self.pace.is_known:
            return TASKS  # what is not sent yet can be cut better soon
        most = max(MOST_RUNS, RUNS_PER_THREAD * self._threads())
        return max(TASKS, min(self._flying + TASKS - len(self.cargo), most))

    @property
    def is_slow(self) -> bool:
        """Whether a bundle is held up by a long body."""
        return bool(self._slow)

    def send_again(self) -> None:
        """Send anew what bundles sent back because they took too long; callable from any thread.

        What waits for such a bundle though all that it reads there is done is taken back from the scheduler
        and sent anew as well, so that one long body does not hold its mates' readers.
        """
        with self._sending:
            shelves = self._shelve()
            with self._books:
                returned, self._returned = self._returned, []
                if self._is_early(returned):
                    returned, self._returned = [], returned
                # A reduce that reads what is sent anew goes along, so that it is not last in the queue.
                trees = self._trees_over(returned)
                self._resent.update(tree.parcel(0) for tree in trees)
            again = self._taken_back([*returned, *((tree, 0) for tree in trees)])
            if self._slow:
                again += self._taken_back(self._recall())
            if not again and not shelves:
                return
            again = in_order(again)
            # What needs a body that goes on would make its bundle wait for it.
            slow, _ = self._held_up()
            again = apart(again, slow)
            stuck = readers_of(again, slow) if slow else set()
            self._send([one for place, one in enumerate(again) if place not in stuck], shelves)
            if stuck:
                self._send([again[place] for place in sorted(stuck)], ())

    def _is_early(self, returned: Sequence[tuple[Cargo, int]]) -> bool:
        """Return whether bundles are about to send back more of what was too large for them.

        It is sent anew as one graph, whose order bounds how many values there are at once; graphs one behind
        the other would each begin at an end of their own.
        """
        large = {part.task.digest for cargo, slot in returned for part in [cargo.part_at(slot)[0]]}
        large = {task for task in large if self.pace.is_large(task)}
        return bool(large) and any(
            len(cargo) > 1 and cargo.all_open(0, len(cargo)) and cargo.parts[0].task.digest in large
            for cargo in self.cargo.values()
        )

    def _taken_back(self, attempts: Iterable[tuple[Cargo, int]]) -> list[AnyShipment]:
        """Return attempts that have not begun as shipments; they are in their Dask tasks no more."""
        by_cargo: dict[int, tuple[Cargo, set[int]]] = {}
        for one, slot in attempts:
            # A part of a reduce is no attempt: all of it is sent anew, but for what came of other parts.
            cargo = self._last_of(one.parcel(0)) if one.covers else one
            if cargo is not None and cargo.is_open(slot):
                by_cargo.setdefault(id(cargo), (cargo, set()))[1].add(slot)
        again: list[AnyShipment] = []
        for cargo, slots in by_cargo.values():
            for piece, start, stop in cargo.pieces(sorted(slots)):
                again.append(piece)
                self._close(cargo, start, stop)
                self.futures.give_back([(cargo.key, stop - start)])
                if _is_tree(piece):
                    self._end_tree(cargo.parcel(0), keep=True)
        return again

    def _shelve(self) -> list[Literal]:
        """Give values that a bundle made before it got stuck a place where their readers find them now."""
        shelves: list[Literal] = []
        with self._books:
            cuts, self._cuts = self._cuts, []
        for cargo, report in cuts:
            key = self._packer.new_key(cargo.key)
            told: list[tuple[float, float, int, bytes | None] | None] = [None] * len(cargo)
            at, moved = 0, 0
            for slot, size in enumerate(report.sizes, report.first):
                if size < 0:
                    continue
                value = report.blob[at : at + size]
                at += size
                run, submission = cargo.parcel(slot)
                if self.berths.find(run, submission) != (cargo.key, slot):
                    continue  # nobody wants it any more
                part, _, _ = cargo.part_at(slot)
                place = slot - report.first
                told[slot] = (report.started[place], report.ended[place], part.attempt, value)
                self.berths.move(run, submission, key, slot)
                moved += 1
            if moved:
                shelves.append(Literal(key, pickle.dumps(told, 5), "shelf"))
                self.futures.give_back([(cargo.key, moved)])
            self._slow[cargo.key] = cargo
        return shelves

    def _held_up(self) -> tuple[list[Span], list[DaskKey]]:
        """Return what slow bodies make and all that comes of it, and the Dask tasks that make more too."""
        with self._books:
            spans = [(*cargo.parcel(slot), 1) for cargo in self._slow.values() for slot in cargo.open_slots()]
            keys, mixed = set(self._slow), []
            for one in self.cargo.values():  # each behind those that it needs
                if len(spans) > MOST_HELD_UP:
                    break
                if one.key in keys or keys.isdisjoint(one.needs):
                    continue
                parts = apart(one.parts, spans)
                if len(readers_of(parts, spans)) == len(parts):
                    keys.add(one.key)
                    spans += [
                        (part.run, part.submission, 1)
                        if isinstance(part, Shipment)
                        else (part.runs.start, part.submission, len(part.runs))
                        for part in one.parts
                    ]
                else:
                    mixed.append(one.key)
        return spans, mixed

    def _recall(self) -> list[tuple[Cargo, int]]:
        """Take back what waits for a slow bundle and reads nothing of what still goes on there."""
        if not self.has_plugin:
            return []
        with self._books:
            for key in [key for key in self._slow if key not in self.cargo]:
                del self._slow[key]  # it is over
            _, wanted = self._held_up()
        scheduler = self.client.scheduler
        if self._slow:
            with contextlib.suppress(Exception):  # they wait, as they would without us
                self.client.sync(scheduler.prefectlite_relieve, keys=list(self._slow))
        if not wanted:
            return []
        try:
            gone = self.client.sync(scheduler.prefectlite_recall, client=self.client.id, keys=wanted)
        except Exception:
            return []  # they wait, as they would without us
        found: list[tuple[Cargo, int]] = []
        with self._books:
            for key in gone:
                cargo = self.cargo.get(tuple(key))
                if cargo is not None:
                    found += [(cargo, slot) for slot in cargo.open_slots()]
        return found

    def _send(self, shipments: Sequence[AnyShipment], literals: Sequence[Literal]) -> None:
        packed = self._packer.pack(shipments)
        for one in packed:
            # First: a report may be faster than the call that sends the graph.
            if isinstance(one, Bundle):
                cargo = Cargo(one.key, one.shipments, one.needs, one.covers, one.took)
            else:
                cargo = Cargo(one.key, (one,), self._needs_of(one))
            with self._books:
                self.cargo[one.key] = cargo
                self._flying += len(cargo)
                if _is_tree(cargo.parts[0]):
                    self._trees.setdefault(cargo.parcel(0), []).append(cargo)
        graph, keys = build_graph(packed, literals, self._entry, self._bundle_entry, self._needs_of)
        is_large = bool(literals) and sum(len(literal.payload) for literal in literals) > LARGE_GRAPH
        quiet: Any = contextlib.nullcontext()
        if is_large:
            quiet = dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PiB"})
        try:
            with quiet:
                futures = self.client.get(graph, keys, sync=False)
        except Exception as error:
            raise ExecutorError(
                f"Nothing can be sent to {self.place.name} any more ({type(error).__name__}: {error}). "
                "Its scheduler or the client is gone; start it again and run the flow again."
            ) from error
        count = len(literals)
        # A shelf's values may be many, but are small: what is let go of there stays until the run is over.
        self.futures.share(futures[:count])
        for one, future in zip(packed, futures[count:], strict=True):
            shares = sum(map(_attempts_in, one.shipments)) if isinstance(one, Bundle) else 1
            self.futures.hold(future, shares)
            if isinstance(one, Bundle) and one.covers:
                self._drop_if_over(one)

    def _drop_if_over(self, one: Bundle) -> None:
        """Let go of a part of a reduce that was heard of, and needed no more, before its future was held."""
        part = one.shipments[0]
        assert isinstance(part, Shipment)
        with self._books:
            is_over = one.key not in self.cargo and one.key not in self._sums.of(part.run)
        if is_over:
            self.futures.give_back([(one.key, 1)])

    def _needs_of(self, shipment: Shipment) -> list[DaskKey]:
        """Return the Dask tasks that a shipment which travels alone needs, in order of position."""
        needs: list[DaskKey] = []
        for need in shipment.needs:
            if len(need) == 3:
                needs += [key for key, _, _ in self.berths.stretches(need)]
            else:
                needs.append(need)
        return needs

    def _threads(self) -> int:
        workers = self.client._scheduler_identity.get("workers") or {}
        return sum(worker["nthreads"] for worker in workers.values()) or 1

    def release(self, spans: Sequence[Span]) -> None:
        """Let go of submissions.

        Parameters
        ----------
        spans : sequence of (int, int, int)
            First run, submission, count.
        """
        shares: list[tuple[DaskKey, int]] = []
        with self._sending:
            for run, submission, count in spans:
                if self.nbytes:
                    for one in range(run, run + count):
                        self.nbytes.pop((one, submission), None)
                for key, slot, found in self.berths.known((run, submission, count)):
                    shares.append((key, found))
                    cargo = self.cargo.get(key)
                    if cargo is not None:
                        start = max(slot, 0)
                        self._close(cargo, start, start + found)
                if count == 1:
                    self._end_tree((run, submission), keep=True)
                    self.berths.forget(run, submission)
                else:
                    self.berths.forget_row(range(run, run + count), submission)
        self.futures.give_back(shares)

    def _close(self, cargo: Cargo, start: int, stop: int) -> None:
        """Note that attempts were heard of, or let go of."""
        with self._books:
            self._flying -= cargo.close(start, stop)
            if 1 not in cargo.open:
                self.cargo.pop(cargo.key, None)

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
            elif kind == ERRED:
                if item[1] in self.cargo:
                    self.doubt.set()
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
                cargo = self.cargo.get(item[1])
                if cargo is not None:
                    with self._books:
                        events += self._outcome(now, cargo, 0, item, "")
        if events:
            self._deliver(events)

    def _parcel_of(self, key: DataKey) -> Parcel | None:
        """Return whose attempt has a data key, if it was not heard of."""
        alone = self.cargo.get(key)
        for cargo in [alone] if alone is not None else list(self.cargo.values()):
            slot = cargo.slot_of(key)
            if slot is not None and cargo.is_open(slot):
                return cargo.parcel(slot)
        return None

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
                stop = min(stop, slot)
                sizes = report.sizes[at - report.first : stop - report.first]
                nbytes = sum(sizes)
                results = Results(sizes, report.blob[skipped : skipped + nbytes])
                skipped += nbytes
                started = report.started[at - report.first : stop - report.first]
                ended = report.ended[at - report.first : stop - report.first]
                many = Reports(started, ended, results, report.where)
                events += self._plain(now, cargo, part, at, many)
                at = stop
            if entry is not None:
                events += self._outcome(now, cargo, slot, entry, report.where)
                at = slot + 1
        return events

    def _plain(self, now: float, cargo: Cargo, part: AnyShipment, slot: int, many: Reports) -> list[Event]:
        """Tell of plain successes of one part, whose values came with their reports."""
        count = len(many)
        seconds = (sum(many.ended) - sum(many.started)) / count
        self.pace.note(part.task.digest, seconds, 0, count)
        self._inline_bytes += many.results.nbytes
        events: list[Event] = []
        if isinstance(part, BlockShipment) and cargo.all_open(slot, slot + count):
            run, submission = cargo.parcel(slot)
            events.append(RangeFinished(now, run, submission, many))
        else:
            events += [
                AttemptFinished(now, *cargo.parcel(slot + place), many.one(place))
                for place in range(count)
                if cargo.is_open(slot + place)
            ]
            if _is_tree(part):
                self._end_tree(cargo.parcel(slot), keep=False)
        self._close(cargo, slot, slot + count)
        return events

    def _outcome(self, now: float, cargo: Cargo, slot: int, item: Item, where: str) -> list[Event]:
        """Turn what one attempt says into an event."""
        if not cargo.is_open(slot):
            return []
        if isinstance(item[0], float):
            item = (PLAIN, None, where, item)
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
        if _is_tree(part):
            self._end_tree(parcel, keep=isinstance(report.state, Scheduled))
        self.pace.note(part.task.digest, report.ended - report.started, report.nbytes)
        if kind == PLAIN:
            if report.inline is None:
                self.nbytes[parcel] = report.nbytes
            else:
                self._inline_bytes += len(report.inline)
        return [AttemptFinished(now, *parcel, report)]

    # Reduces that go as trees

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
            report = replace(report, state=Failed(text))
        return [AttemptFinished(now, *parcel, report)]

    @property
    def must_keep(self) -> bool:
        """Whether any value must outlive its cluster, as of ``is_needed``."""
        return bool(self.nbytes) or self._inline_bytes > INLINE_TRUST

    def is_needed(self, parcel: Parcel) -> bool:
        """Whether a value must outlive its cluster; what came with its report is the driver's already.

        Parameters
        ----------
        parcel : (int, int)
            Run and submission.

        Returns
        -------
        bool
            True for all once so much came with reports that the driver may have let go of some.
        """
        return parcel in self.nbytes or self._inline_bytes > INLINE_TRUST

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
                    events += [
                        AttemptCrashed(now, *cargo.parcel(slot), cause, text) for slot in cargo.open_slots()
                    ]
                    self._close(cargo, 0, len(cargo))
                    if _is_tree(cargo.parts[0]):
                        self._end_tree(cargo.parcel(0), keep=False)
        if events:
            self._deliver(events)

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
                    if _is_tree(cargo.parts[0]):
                        self._end_tree(cargo.parcel(0), keep=True)
        if events:
            self._deliver(events)

    def cancel(self) -> None:
        """Take everything off the scheduler, and interrupt the bodies that run."""
        self._forget_all()
        self.futures.release_all()
        if not self.place.can_kill:
            ask_workers(self.client, interrupt_attempts, self.route, timeout=INTERRUPT_TIMEOUT)

    def _forget_all(self) -> None:
        with self._books:
            self.cargo.clear()
            self._returned.clear()
            self._cuts.clear()
            self._slow.clear()
            self._trees.clear()
            self._sums.clear()
            self._flying = 0

    def close(self, keep: Iterable[DaskKey]) -> None:
        """Stop listening, and let go of all but some values.

        Parameters
        ----------
        keep : iterable of tuple
            The Dask tasks whose values stay on the cluster.
        """
        _unlisten(self.client, self.route)
        self._forget_all()
        self.futures.release_all(but=keep)
        if self.has_plugin and self.client.status == "running":
            with contextlib.suppress(Exception):
                self.client.sync(self.client.scheduler.prefectlite_close, route=self.route)


def _is_tree(part: AnyShipment) -> bool:
    """Return whether a shipment is a reduce that may go as a tree."""
    return isinstance(part, Shipment) and part.fold is not None


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


def _attempts_in(shipment: AnyShipment) -> int:
    return 1 if isinstance(shipment, Shipment) else len(shipment.runs)


class _Ear:
    """What one client hears, passed on to the runs that it drives."""

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}

    def __call__(self, event: tuple[float, tuple[str, Sequence[Item]]]) -> None:
        route, items = event[1]
        link = self.links.get(route)
        if link is not None:
            link.hear(items)


# One subscription for each client, however many runs it drives: a topic, once named, stays on the scheduler
# for ever.
_ears: weakref.WeakKeyDictionary[Any, _Ear] = weakref.WeakKeyDictionary()
_guard = threading.Lock()
#: Clients that brought our plugin to their scheduler.
_brought: weakref.WeakSet[Any] = weakref.WeakSet()


def _listen(client: Any, route: str, link: Link) -> None:
    with _guard:
        ear = _ears.get(client)
        if ear is None:
            ear = _ears[client] = _Ear()
        if not ear.links:
            client.subscribe_topic(MARK, ear)
        ear.links[route] = link


def _unlisten(client: Any, route: str) -> None:
    with _guard:
        ear = _ears.get(client)
        if ear is None or ear.links.pop(route, None) is None or ear.links:
            return
        if client.status == "running":
            with contextlib.suppress(Exception):
                client.unsubscribe_topic(MARK)
