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
from collections.abc import Sequence
from typing import Any, Final

import dask.config

from prefectlite.engine.events import (
    AttemptCrashed,
    AttemptFinished,
    AttemptHeld,
    AttemptStarted,
    Event,
)
from prefectlite.errors import ExecutorError
from prefectlite.executors.cluster import Place, ask_workers
from prefectlite.executors.futures import Futures
from prefectlite.executors.plugin import ReportPlugin
from prefectlite.executors.protocol import Deliver, DeliverLogs, Parcel, RunBrief
from prefectlite.lowering.bundles import Bundle, Packer
from prefectlite.lowering.graph import build_graph
from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.lowering.pace import Pace
from prefectlite.lowering.shipment import Literal, Lowered, Shipment
from prefectlite.worker.bundle import run_bundle, run_bundle_by_topic
from prefectlite.worker.entry import interrupt_attempts, run_attempt, run_attempt_by_topic
from prefectlite.worker.wire import (
    BUNDLE,
    ERRED,
    HELD,
    LOGS,
    MARK,
    OTHER,
    PLAIN,
    RETURNED,
    STARTED,
    Item,
    decode,
    plain_report,
)

_logger = logging.getLogger(__name__)

#: Literals of more bytes in one graph make Dask warn about a large graph; ours are meant.
LARGE_GRAPH: Final = 1_000_000
#: How long a cancel waits for the workers to interrupt their bodies, in seconds.
INTERRUPT_TIMEOUT: Final = 2.0
#: Up to so many bytes of results that came with reports, the driver is trusted to have kept them all.
INLINE_TRUST: Final = 32 * 1024 * 1024


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
    """

    def __init__(
        self,
        place: Place,
        brief: RunBrief,
        deliver: Deliver,
        deliver_logs: DeliverLogs,
        plugin_allowed: bool = True,
        bundle_size: int | None = 1,
    ) -> None:
        self.place = place
        self.client = place.client
        self.route = brief.run_id[:8]
        self.futures = Futures(self.client)
        #: Attempts without a report, and what they need of each other.
        self.flying: dict[DataKey, Parcel] = {}
        self.needs: dict[DataKey, tuple[DataKey, ...]] = {}
        self._keys: dict[Parcel, DataKey] = {}
        #: Attempts that a bundle may send back.
        self._shipments: dict[DataKey, Shipment] = {}
        self._returned: list[DataKey] = []
        #: The attempts of bundles without a report.
        self._members: dict[BundleKey, tuple[DataKey, ...]] = {}
        self.pace = Pace(bundle_size, self._threads)
        self._packer = Packer(self.pace.size)
        #: Held while something is packed and sent: what a bundle sends back is sent anew by another thread.
        self._sending = threading.RLock()
        self._may_bundle = bundle_size != 1
        #: Sizes of values that did not come with their reports.
        self.nbytes: dict[Parcel, int] = {}
        self._inline_bytes = 0
        self._deliver = deliver
        self._deliver_logs = deliver_logs
        #: Set when somebody should look at the futures soon.
        self.doubt = threading.Event()
        self.has_plugin = plugin_allowed and self._install()
        self._entry = run_attempt if self.has_plugin else run_attempt_by_topic
        self._bundle_entry = run_bundle if self.has_plugin else run_bundle_by_topic
        _listen(self.client, self.route, self)

    def _install(self) -> bool:
        client = self.client
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                client.register_plugin(ReportPlugin())
            answer = client.sync(
                client.scheduler.prefectlite_open,
                client=client.id,
                route=self.route,
                shares_disk=self.place.can_kill,
            )
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
            self._send(lowered.shipments, lowered.literals)

    def send_returned(self) -> None:
        """Send anew what bundles sent back because they took too long; callable from any thread."""
        with self._sending:
            returned, self._returned = self._returned, []
            again = [self._shipments[key] for key in returned if key in self.flying]
            if again:
                for shipment in again:
                    self._packer.forget(shipment.key)
                self._send(again, ())

    def _send(self, shipments: Sequence[Shipment], literals: Sequence[Literal]) -> None:
        for shipment in shipments:
            parcel = (shipment.run, shipment.submission)
            # First: a report may be faster than the call that sends the graph.
            self.flying[shipment.key] = parcel
            self._keys[parcel] = shipment.key
            if shipment.needs:
                self.needs[shipment.key] = shipment.needs
            if self._may_bundle:
                self._shipments[shipment.key] = shipment
        packed: Sequence[Shipment | Bundle] = self._packer.pack(shipments) if self._may_bundle else shipments
        for one in packed:
            if isinstance(one, Bundle):
                self._members[one.key] = tuple([each.key for each in one.shipments])
        graph, keys = build_graph(packed, literals, self._entry, self._bundle_entry)
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
        self.futures.share(futures[:count])
        alone: list[tuple[Parcel, Any]] = []
        for one, future in zip(packed, futures[count:], strict=True):
            if isinstance(one, Bundle):
                self.futures.hold_bundle([(each.run, each.submission) for each in one.shipments], future)
            else:
                alone.append(((one.run, one.submission), future))
        self.futures.hold([parcel for parcel, _ in alone], [future for _, future in alone])

    def berth(self, parcel: Parcel) -> tuple[DataKey | BundleKey, int] | None:
        """Return under which key a value stands on the cluster, and in which slot of a bundle.

        Parameters
        ----------
        parcel : (int, int)
            Run and submission.

        Returns
        -------
        (tuple, int) or None
            None when it was let go of.
        """
        key = self._keys.get(parcel)
        return None if key is None else self._packer.berth(key)

    def home(self, key: DataKey) -> DataKey | BundleKey:
        """Return the key of an attempt's Dask task.

        Parameters
        ----------
        key : tuple
            The attempt's data key.

        Returns
        -------
        tuple
            Its own, or its bundle's.
        """
        return self._packer.berth(key)[0]

    def _threads(self) -> int:
        workers = self.client._scheduler_identity.get("workers") or {}
        return sum(worker["nthreads"] for worker in workers.values()) or 1

    def release(self, parcels: Sequence[Parcel]) -> None:
        """Let go of submissions.

        Parameters
        ----------
        parcels : sequence of (int, int)
            Run and submission.
        """
        for parcel in parcels:
            self.nbytes.pop(parcel, None)
            key = self._keys.pop(parcel, None)
            if key is not None:
                self._landed(key)
                self._packer.forget(key)
        self.futures.release(parcels)

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
                parcel = self.flying.get(item[1])
                if parcel is not None:
                    events.append(AttemptStarted(item[3], *parcel, item[2]))
            elif kind == ERRED:
                if item[1] in self.flying:
                    self.doubt.set()
            elif kind == BUNDLE:
                events += self._outcomes(now, item)
            else:
                event = self._outcome(now, item)
                if event is not None:
                    events.append(event)
        if events:
            self._deliver(events)

    def _outcomes(self, now: float, item: Item) -> list[Event]:
        """Turn what a bundle says into events."""
        _, bundle, where, entries = item
        events: list[Event] = []
        for key, entry in zip(self._members.pop(bundle, ()), entries, strict=False):
            event = self._outcome(now, (PLAIN, key, where, entry) if isinstance(entry[0], float) else entry)
            if event is not None:
                events.append(event)
        return events

    def _outcome(self, now: float, item: Item) -> Event | None:
        kind, key = item[0], item[1]
        if kind == RETURNED:
            if key in self.flying:
                self._returned.append(key)
                self.doubt.set()
            return None
        shipment = self._shipments.get(key)
        parcel = self._landed(key)
        if parcel is None:
            return None
        if kind == HELD:
            return AttemptHeld(now, *parcel)
        assert kind in (PLAIN, OTHER), item
        report = decode(item) if kind == OTHER else plain_report(item[3], item[2])
        if shipment is not None:
            self.pace.note(shipment.task.digest, report.ended - report.started, report.nbytes)
        if kind == OTHER:
            return AttemptFinished(now, *parcel, report)
        if report.inline is None:
            self.nbytes[parcel] = report.nbytes
        else:
            self._inline_bytes += len(report.inline)
        return AttemptFinished(now, *parcel, report)

    def _landed(self, key: DataKey) -> Parcel | None:
        self.needs.pop(key, None)
        self._shipments.pop(key, None)
        return self.flying.pop(key, None)

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

    def give_up(self, lost: Sequence[tuple[DataKey, str, str]]) -> None:
        """Say of attempts that they ended without a word.

        Parameters
        ----------
        lost : sequence of (tuple, str, str)
            Data key, cause and text.
        """
        now = time.time()
        events: list[Event] = []
        for key, cause, text in lost:
            parcel = self._landed(key)
            if parcel is not None:
                events.append(AttemptCrashed(now, *parcel, cause, text))
        if events:
            self._deliver(events)

    def hint(self, keys: Sequence[DataKey]) -> None:
        """Say of attempts that they never ran, since an upstream was no plain success.

        Parameters
        ----------
        keys : sequence of tuple
            Their data keys.
        """
        now = time.time()
        events = [AttemptHeld(now, *parcel) for key in keys if (parcel := self._landed(key)) is not None]
        if events:
            self._deliver(events)

    def cancel(self) -> None:
        """Take everything off the scheduler, and interrupt the bodies that run."""
        self.flying.clear()
        self.needs.clear()
        self.futures.release_all()
        if not self.place.can_kill:
            ask_workers(self.client, interrupt_attempts, self.route, timeout=INTERRUPT_TIMEOUT)

    def close(self, keep: Sequence[Parcel]) -> None:
        """Stop listening, and let go of all but some values.

        Parameters
        ----------
        keep : sequence of (int, int)
            What stays on the cluster.
        """
        _unlisten(self.client, self.route)
        self.flying.clear()
        self.needs.clear()
        self.futures.release_all(but=keep)
        if self.has_plugin and self.client.status == "running":
            with contextlib.suppress(Exception):
                self.client.sync(self.client.scheduler.prefectlite_close, route=self.route)


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
