"""One flow run on one Dask cluster: shipments become graphs, reports become events. Decides nothing.

Imports Dask, so it is imported when a place to run is being opened, behind the program's back.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
import weakref
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import dask.config

from prefectlite.errors import ExecutorError
from prefectlite.executors.again import Again
from prefectlite.executors.books import is_tree
from prefectlite.executors.cargo import Cargo
from prefectlite.executors.cluster import Place, ask_workers
from prefectlite.executors.ears import attend, listen, unlisten
from prefectlite.executors.plugin import ReportPlugin
from prefectlite.executors.promises import WITHOUT_PLUGIN, reservations
from prefectlite.executors.protocol import Deliver, DeliverLogs, RunBrief
from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.bundles import Bundle
from prefectlite.lowering.graph import build_graph
from prefectlite.lowering.order import AnyShipment
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
#: How long a cancel waits for the workers to interrupt their bodies, in seconds.
INTERRUPT_TIMEOUT: Final = 2.0
#: How long the end of a run that was called off waits for them once more, in seconds.
LAST_TIMEOUT: Final = 0.5
#: How many Dask tasks of a flow run may be on the scheduler at once: a graph of these keeps its loop busy for
#: half a second.
TASKS: Final = 4096
#: How many task runs in bundles may be, for a small cluster and per thread of a large one.
MOST_RUNS: Final = 64 * 1024
RUNS_PER_THREAD: Final = 2048

#: Clients that brought our plugin to their scheduler.
_brought: weakref.WeakSet[Any] = weakref.WeakSet()


class Link(Again):
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
        self.has_plugin = plugin_allowed and self._install()
        if bundle_size == 1:
            self._entry = run_attempt if self.has_plugin else run_attempt_by_topic
        else:
            self._entry = run_beside if self.has_plugin else run_beside_by_topic
        self._bundle_entry = run_bundle if self.has_plugin else run_bundle_by_topic
        self._is_called_off = False
        # Dask tasks that were let go of before they had ended.
        self._dropped: set[DaskKey] = set()
        #: What ``dask.annotate`` said where the run was begun.
        self.annotations: Mapping[str, Any] = {}
        #: What is not promised here, in a few words each.
        self.reservations = reservations(place, self.has_plugin)
        listen(self.client, self.route, self, by_name=self.has_plugin)

    def _install(self) -> bool:
        client = self.client
        attend(client)
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
        is_large = bool(literals) and sum(len(literal.payload) for literal in literals) > LARGE_GRAPH
        around = contextlib.ExitStack()
        if is_large:
            quiet = dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PiB"})
            around.enter_context(quiet)
        if self.annotations or dask.get_annotations():
            # This may be another thread than the one that was told; and that Dask runs nothing again.
            around.enter_context(dask.annotate(**{**self.annotations, "retries": 0}))
        with around:
            graph, keys = build_graph(packed, literals, self._entry, self._bundle_entry, self._needs_of)
            futures = self._hand_over(graph, keys)
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

    def _hand_over(self, graph: Any, keys: Sequence[DaskKey]) -> Sequence[Any]:
        try:
            if self.client.status != "running":
                # Dask would take it and drop it while it looks for its scheduler.
                raise ConnectionError(f"the client is {self.client.status}")
            futures: Sequence[Any] = self.client.get(graph, keys, sync=False)
        except Exception as error:
            raise ExecutorError(
                f"Nothing can be sent to {self.place.name} any more ({type(error).__name__}: {error}). "
                "Its scheduler or the client is gone; start it again and run the flow again."
            ) from error
        return futures

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
                        self._dropped.add(key)
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
        self._is_called_off = True
        self._forget_all()
        self.futures.release_all()
        self._interrupt_all(INTERRUPT_TIMEOUT)

    def _interrupt_all(self, timeout: float) -> None:
        if not self.place.can_kill:
            ask_workers(self.client, interrupt_attempts, self.route, timeout=timeout)

    def stop_released(self) -> None:
        """Interrupt the bodies that run though nobody waits for them any more."""
        self._is_called_off = True
        with self._books:
            wanted = frozenset(self.cargo)
            dropped = frozenset(self._dropped - wanted)
        ask_workers(self.client, interrupt_attempts, self.route, wanted, dropped, timeout=INTERRUPT_TIMEOUT)

    def close(self, keep: Collection[DaskKey]) -> None:
        """Stop listening, and let go of all but some values.

        Parameters
        ----------
        keep : collection of tuple
            The Dask tasks whose values stay on the cluster.
        """
        unlisten(self.client, self.route)
        self._forget_all()
        self.futures.release_all(but=keep)
        if self.has_plugin and self.client.status == "running":
            with contextlib.suppress(Exception):
                close = self.client.scheduler.prefectlite_close
                self.client.sync(close, route=self.route, keeps=bool(keep))
        if self._is_called_off:
            # The scheduler may have heard of the first time before it heard what was let go of: a worker that
            # came in between was given some of it.
            self._interrupt_all(LAST_TIMEOUT)


def _attempts_in(shipment: AnyShipment) -> int:
    return 1 if isinstance(shipment, Shipment) else len(shipment.runs)
