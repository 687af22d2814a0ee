"""One flow run on one Dask cluster: shipments become graphs, reports become events. Decides nothing.

Imports Dask, so it is imported when a place to run is being opened, behind the program's back.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

import dask.config

from prefectlite.errors import ExecutorError
from prefectlite.executors.books import is_tree
from prefectlite.executors.cargo import Cargo
from prefectlite.executors.cluster import Place, ask_workers
from prefectlite.executors.ears import listen, unlisten
from prefectlite.executors.hearing import Hearing
from prefectlite.executors.plugin import ReportPlugin
from prefectlite.executors.promises import WITHOUT_PLUGIN, reservations
from prefectlite.executors.protocol import Deliver, DeliverLogs, RunBrief
from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.bundles import Bundle, Packer
from prefectlite.lowering.envelope import by_value_names
from prefectlite.lowering.graph import build_graph
from prefectlite.lowering.order import AnyShipment, apart, in_order, readers_of
from prefectlite.lowering.shipment import Literal, Lowered, Shipment, Span
from prefectlite.worker.bundle import run_bundle, run_bundle_by_topic
from prefectlite.worker.entry import (
    interrupt_attempts,
    run_attempt,
    run_attempt_by_topic,
    run_beside,
    run_beside_by_topic,
)

_logger = logging.getLogger(__name__)

#: Literals of more bytes in one graph make Dask warn about a large graph; ours are meant.
LARGE_GRAPH: Final = 1_000_000
#: How long the scheduler may take to let other workers have what waits, in seconds.
RELIEVE_TIMEOUT: Final = 5.0
#: How long a cancel waits for the workers to interrupt their bodies, in seconds.
INTERRUPT_TIMEOUT: Final = 2.0
#: How many Dask tasks of a flow run may be on the scheduler at once: a graph of these keeps its loop busy for
#: half a second.
TASKS: Final = 4096
#: How many task runs in bundles may be, for a small cluster and per thread of a large one.
MOST_RUNS: Final = 64 * 1024
RUNS_PER_THREAD: Final = 2048
#: Of so many values that wait for slow bodies it is known; what waits for more is not taken back.
MOST_HELD_UP: Final = 4096
#: Of so many graphs, the latest, it is asked whether the scheduler has taken them in.
MOST_UNCONFIRMED: Final = 64

#: Clients that brought our plugin to their scheduler.
_brought: weakref.WeakSet[Any] = weakref.WeakSet()


class Link(Hearing):
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
        super().__init__(place.client, bundle_size, seconds, deliver, deliver_logs)
        self.place = place
        self.route = brief.run_id[:8]
        self._packer = Packer(self.pace, self.berths, by_value_names(), self._sums)
        #: Held while something is packed and sent: what a bundle sends back is sent anew by another thread.
        self._sending = threading.RLock()
        #: The last Dask task of each graph that the scheduler may not have taken in yet.
        self._unconfirmed: deque[DaskKey] = deque(maxlen=MOST_UNCONFIRMED)
        self.has_plugin = plugin_allowed and self._install()
        if bundle_size == 1:
            self._entry = run_attempt if self.has_plugin else run_attempt_by_topic
        else:
            self._entry = run_beside if self.has_plugin else run_beside_by_topic
        self._bundle_entry = run_bundle if self.has_plugin else run_bundle_by_topic
        #: What is not promised here, in a few words each.
        self.reservations = reservations(place, self.has_plugin)
        listen(self.client, self.route, self)

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
                "The scheduler at %s accepts no plugin (%s: %s). %s Allow plugins there "
                "(distributed.scheduler.pickle, blocked_handlers) to be rid of this.",
                self.place.name,
                type(error).__name__,
                error,
                WITHOUT_PLUGIN,
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
            shares_disk=not self.place.in_process,
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
        here = {id(cargo) for cargo, _ in returned}
        return bool(large) and any(
            len(cargo) > 1
            and id(cargo) not in here
            and cargo.all_open(0, len(cargo))
            and cargo.parts[0].task.digest in large
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
                if is_tree(piece):
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
            try:
                self.client.sync(
                    scheduler.prefectlite_relieve, keys=list(self._slow), callback_timeout=RELIEVE_TIMEOUT
                )
            except Exception:
                return []  # they wait, as they would without us
        if not wanted:
            return []
        with self._books:
            sent = [key for key in self._unconfirmed if key in self.cargo]
        try:
            gone = self.client.sync(
                scheduler.prefectlite_recall, client=self.client.id, keys=wanted, sent=sent
            )
        except Exception:
            return []  # they wait, as they would without us
        if gone is None:
            return []  # for now
        self._unconfirmed.clear()
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
                if is_tree(cargo.parts[0]):
                    self._trees.setdefault(cargo.parcel(0), []).append(cargo)
        graph, keys = build_graph(packed, literals, self._entry, self._bundle_entry, self._needs_of)
        is_large = bool(literals) and sum(len(literal.payload) for literal in literals) > LARGE_GRAPH
        quiet: Any = contextlib.nullcontext()
        if is_large:
            quiet = dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PiB"})
        try:
            if self.client.status != "running":
                # Dask would take it and drop it while it looks for its scheduler.
                raise ConnectionError(f"the client is {self.client.status}")
            with quiet:
                futures = self.client.get(graph, keys, sync=False)
        except Exception as error:
            raise ExecutorError(
                f"Nothing can be sent to {self.place.name} any more ({type(error).__name__}: {error}). "
                "Its scheduler or the client is gone; start it again and run the flow again."
            ) from error
        if packed:
            self._unconfirmed.append(packed[-1].key)
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
        return [key for key, _, _ in self.berths.of(shipment.needs)]

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
                    if (run, submission) in self._trees:
                        self._end_tree((run, submission), keep=True)
                    self.berths.forget(run, submission)
                else:
                    self.berths.forget_row(range(run, run + count), submission)
        self.futures.give_back(shares)

    def cancel(self) -> None:
        """Take everything off the scheduler, and interrupt the bodies that run."""
        self._forget_all()
        self.futures.release_all()
        if not self.place.can_kill:
            ask_workers(self.client, interrupt_attempts, self.route, timeout=INTERRUPT_TIMEOUT)

    def stop_released(self) -> None:
        """Interrupt the bodies that run though nobody waits for them any more."""
        with self._books:
            wanted = frozenset(self.cargo)
        ask_workers(self.client, interrupt_attempts, self.route, wanted, timeout=INTERRUPT_TIMEOUT)

    def close(self, keep: Iterable[DaskKey]) -> None:
        """Stop listening, and let go of all but some values.

        Parameters
        ----------
        keep : iterable of tuple
            The Dask tasks whose values stay on the cluster.
        """
        unlisten(self.client, self.route)
        self._forget_all()
        self.futures.release_all(but=keep)
        if self.has_plugin and self.client.status == "running":
            with contextlib.suppress(Exception):
                self.client.sync(self.client.scheduler.prefectlite_close, route=self.route)


def _attempts_in(shipment: AnyShipment) -> int:
    return 1 if isinstance(shipment, Shipment) else len(shipment.runs)
