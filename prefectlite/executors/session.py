"""One flow run on Dask, from before its cluster is up to after it is gone. Decides nothing."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from prefectlite.errors import ExecutorError
from prefectlite.executors.aside import step_aside
from prefectlite.executors.cluster import Place, import_object
from prefectlite.executors.holdings import Holdings
from prefectlite.executors.performance import PerformanceReport
from prefectlite.executors.promises import left_by_cancel
from prefectlite.executors.protocol import Deliver, DeliverLogs, RunBrief, Span
from prefectlite.executors.security import warn_if_open
from prefectlite.lowering.shipment import Lowered
from prefectlite.worker.desk import rest_all

if TYPE_CHECKING:
    from prefectlite.executors.link import Link
    from prefectlite.executors.watch import Watch

_logger = logging.getLogger(__name__)

#: How many task runs may wait for a cluster that is starting.
ROOM: Final = 4096


class DaskSession:
    """A flow run's place on Dask.

    Whatever fails while the place starts is raised by the next call of ``submit`` or ``work``; an empty
    delivery wakes a driver that sleeps.

    Parameters
    ----------
    brief : RunBrief
        The flow run.
    deliver : callable
        Takes sequences of events.
    deliver_logs : callable
        Takes sequences of log lines.
    keep_limit : int
        How many bytes of values to keep after the end.
    plugin_allowed : bool
        Whether to install the scheduler plugin.
    bundle_size, seconds
        How many attempts travel together, as of ``Link``.
    watch_workers : bool
        Whether the log tells of workers that come and go.
    report_path : str or None
        Where to write Dask's performance report.
    stall_timeout : float
        As of ``Watch``.
    annotations : mapping, optional
        Of all Dask tasks, beside what tasks ask for themselves.
    """

    pickles = True

    def __init__(
        self,
        brief: RunBrief,
        deliver: Deliver,
        deliver_logs: DeliverLogs,
        *,
        keep_limit: int,
        plugin_allowed: bool = True,
        bundle_size: int | None = 1,
        seconds: dict[str, float] | None = None,
        watch_workers: bool = False,
        report_path: str | None = None,
        stall_timeout: float = math.inf,
        annotations: Mapping[str, Any] | None = None,
    ) -> None:
        self._brief = brief
        self._deliver = deliver
        self._deliver_logs = deliver_logs
        self._plugin_allowed = plugin_allowed
        self._bundle_size = bundle_size
        self._seconds = seconds
        self._watch_workers = watch_workers
        self._report_path = report_path
        self._report: PerformanceReport | None = None
        self._stall_timeout = stall_timeout
        self._annotations = annotations or {}
        self._lock = threading.RLock()
        self._early: list[Callable[[Link], None]] = []
        self._place: Place | None = None
        self._link: Link | None = None
        self._watch: Watch | None = None
        self._starter: threading.Thread | None = None
        self._failure: ExecutorError | None = None
        self._over = ""
        self._cancelled = False
        self._dashboard_link: str | None = None
        self._holdings = Holdings(brief, keep_limit)
        self._come_back: Callable[[], None] | None = None

    # While it starts

    def start(self, make: Callable[[], Place]) -> None:
        """Let the place come up in a thread of its own.

        Parameters
        ----------
        make : callable
            Starts the cluster.
        """
        self._starter = threading.Thread(
            target=self._start, args=(make,), name="prefectlite-start", daemon=True
        )
        self._starter.start()

    def _start(self, make: Callable[[], Place]) -> None:
        try:
            if self._over or self._cancelled:
                return
            self.attach(make())
        except ExecutorError as error:
            self._fail(error)
        except Exception as error:
            self._fail(ExecutorError(f"The place to run could not start: {type(error).__name__}: {error}"))

    def attach(self, place: Place) -> None:
        """Take a place that is up, and send what was queued for it.

        Parameters
        ----------
        place : Place
            The cluster.

        Raises
        ------
        ExecutorError
            When it cannot be used, or its workers cannot start.
        """
        self._place = place
        if place.cluster is None:
            self._come_back = step_aside()
        warn_if_open(place.client)
        # By name: it imports Dask, and naming an executor must not.
        link_class: type[Link] = import_object("prefectlite.executors.link:Link")
        link = link_class(
            place,
            self._brief,
            self._deliver,
            self._deliver_logs,
            self._plugin_allowed,
            self._bundle_size,
            self._seconds,
        )
        link.watches_workers = self._watch_workers
        link.annotations = self._annotations
        self._dashboard_link = place.client.dashboard_link
        if self._report_path is not None:
            self._report = PerformanceReport(place.client, self._report_path)
            self._report.begin()
        # A body that ends its process at once would look like a worker that cannot start.
        place.settle()
        with self._lock:
            early, self._early = self._early, []
            if not self._cancelled:
                for act in early:
                    act(link)
            self._link = link

    def _fail(self, error: ExecutorError) -> None:
        if self._over or self._cancelled:
            return
        self._failure = error
        self._deliver(())

    # What the driver asks

    @property
    def dashboard_link(self) -> str | None:
        """The address of the Dask dashboard, once it is known and while it lives."""
        return None if self._over else self._dashboard_link

    @property
    def description(self) -> str:
        """Where the work runs, in a few words."""
        if self._place is None:
            return "a Dask cluster that is starting"
        parts = [self._place.description]
        if self._link is not None:
            parts += self._link.reservations
            parts += ["no workers"] * self._link.is_deserted
            parts += [f"no worker has {asked}" for asked in sorted(set(self._link.unplaced.copy().values()))]
        return ", ".join(parts)

    @property
    def leaves_behind(self) -> str:
        """What a cancel cannot end, in words; empty where it ends the processes."""
        return left_by_cancel(self._place)

    def waiting_for(self, run: int) -> str:
        """Return what a task run in flight waits for on the cluster.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        str
            Such as ``"a worker with the resources GPU=1"``; empty when a worker can take it.
        """
        return "" if self._link is None else self._link.waiting_for(run)

    def submit(self, lowered: Lowered) -> None:
        """Send a turn's shipments, or queue them until the cluster is up.

        Parameters
        ----------
        lowered : Lowered
            Shipments and shared literals.

        Raises
        ------
        ExecutorError
            When the cluster could not start or is gone.
        """

        def send(link: Link) -> None:
            link.submit(lowered)
            self._look_after(link)

        self._act(send)

    def _look_after(self, link: Link) -> None:
        """Watch what was sent; begun only now, so that workers do not wait for a thread that starts."""
        if self._watch is None:
            # By name, as the link.
            watch_class: type[Watch] = import_object("prefectlite.executors.watch:Watch")
            self._watch = watch_class(link, self._stall_timeout)
            self._watch.start()

    def _act(self, act: Callable[[Link], None]) -> None:
        if self._failure is not None:
            raise self._failure
        if self._cancelled or self._over:
            return
        link = self._link
        if link is None:
            with self._lock:
                link = self._link
                if link is None:
                    self._early.append(act)
                    return
        act(link)

    def work(self, budget: float) -> bool:
        """Say that nothing runs in this thread.

        Parameters
        ----------
        budget : float
            Not used.

        Returns
        -------
        bool
            False.

        Raises
        ------
        ExecutorError
            When the cluster could not start.
        """
        if self._failure is not None:
            raise self._failure
        return False

    def room(self) -> int:
        """Return how many task runs may be in flight here.

        Returns
        -------
        int
            More than at the beginning, once it is known that many travel together.
        """
        link = self._link
        return ROOM if link is None else link.room()

    def release(self, spans: Sequence[Span]) -> None:
        """Let go of submissions.

        Parameters
        ----------
        spans : sequence of (int, int, int)
            First run, submission, count.
        """
        if self._failure is None:
            self._act(lambda link: link.release(spans))

    def cancel(self, why: str) -> None:
        """Stop everything in flight; on a cluster of our own, the worker processes end.

        Parameters
        ----------
        why : str
            For the log.
        """
        with self._lock:
            self._cancelled = True
            self._early.clear()
            link = self._link
        _logger.debug("Flow run %s is called off: %s", self._brief.run_id, why)
        if link is not None:
            link.cancel()

    def stop_released(self) -> None:
        """Interrupt the bodies of what was let go of, where that is possible."""
        self._act(lambda link: link.stop_released())

    def hold(self) -> None:
        """Nothing to do: the driver's thread runs no body."""

    def interrupt(self) -> None:
        """Do nothing: no body runs in the driver's thread."""

    def interrupt_again(self) -> None:
        """Do nothing, as at first."""

    def fetch(self, run: int, submission: int) -> Any:
        """Return the value of a finished submission.

        Parameters
        ----------
        run, submission : int
            Which.

        Returns
        -------
        object
            The value.

        Raises
        ------
        ResultUnavailable
            When it is gone.
        """
        return self._holdings.read((run, submission), self._link, self.description, self._over)

    # The end

    def close(self, keep: Sequence[Span]) -> None:
        """End the session: stop what we started, leave the rest as it was.

        Parameters
        ----------
        keep : sequence of (int, int, int)
            First run, submission and count of values that stay readable until ``drop``.
        """
        if self._over:
            return
        self._over = "was called off" if self._cancelled else "ended"
        if self._starter is not None:
            self._starter.join()
        if self._watch is not None:
            self._watch.stop()
        place, link = self._place, self._link
        if self._report is not None:
            self._report.end()
        if place is None:
            return
        if self._come_back is not None:
            self._come_back()
        if link is None:
            place.close(force=True)
            return
        kept = self._holdings.keep(place, link, () if self._cancelled or self._failure else keep)
        link.close(kept)
        if not kept:
            place.close(force=self._cancelled)
        # Workers that are threads of this process may have any address.
        rest_all()

    def drop(self) -> None:
        """Let go of the kept values."""
        self._holdings.drop()
        link, place = self._link, self._place
        if link is not None and place is not None and place.cluster is None:
            link.futures.release_all()
            if self._over:
                place.close()
