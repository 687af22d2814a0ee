"""One flow run on Dask, from before its cluster is up to after it is gone. Decides nothing."""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from prefectlite.errors import ExecutorError, ResultUnavailable
from prefectlite.executors.cluster import Place, ask_workers, import_object
from prefectlite.executors.performance import PerformanceReport
from prefectlite.executors.promises import left_by_cancel
from prefectlite.executors.protocol import Deliver, DeliverLogs, Parcel, RunBrief, Span
from prefectlite.executors.security import warn_if_open
from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.shipment import Lowered
from prefectlite.lowering.wrappers import Held, Hold, Slots, Succeeded
from prefectlite.worker.desk import rest_all
from prefectlite.worker.spool import Berth, Slot, read_spool, write_spool

if TYPE_CHECKING:
    from prefectlite.executors.link import Link
    from prefectlite.executors.watch import Watch

_logger = logging.getLogger(__name__)

#: How many task runs may wait for a cluster that is starting.
ROOM: Final = 4096
#: How long the workers may take to write down what is to outlive them, in seconds.
SPOOL_TIMEOUT: Final = 120.0


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
    ) -> None:
        self._brief = brief
        self._deliver = deliver
        self._deliver_logs = deliver_logs
        self._keep_limit = keep_limit
        self._plugin_allowed = plugin_allowed
        self._bundle_size = bundle_size
        self._seconds = seconds
        self._watch_workers = watch_workers
        self._report_path = report_path
        self._report: PerformanceReport | None = None
        self._stall_timeout = stall_timeout
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
        self._spooled: dict[Parcel, Slot] = {}
        self._too_much: set[Parcel] = set()
        self._remove_spool: Any = None

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
            parts += [f"no worker has {asked}" for asked in sorted(set(self._link.unplaced.copy().values()))]
        return ", ".join(parts)

    @property
    def leaves_behind(self) -> str:
        """What a cancel cannot end, in words; empty where it ends the processes."""
        return left_by_cancel(self._place)

    def waiting_for(self, run: int) -> str:
        """Return what a task run in flight asks for that no worker has.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        str
            In words; empty when it does not wait for that.
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
        parcel = (run, submission)
        slot = self._spooled.get(parcel)
        if slot is not None:
            try:
                return read_spool(slot)
            except OSError as error:
                raise ResultUnavailable(f"The file that the result was kept in is gone ({error}).") from error
        link = self._link
        berth = None if link is None else link.berths.find(run, submission)
        future = None if link is None or berth is None else link.futures.get(berth[0])
        if future is None or berth is None:
            raise ResultUnavailable(self._why_gone(parcel))
        status = future.status
        if status in ("error", "cancelled"):
            raise ResultUnavailable(
                f"The attempt left no result on the cluster: its Dask future is {status}."
            )
        try:
            wrapper = future.result()
        except Exception as error:
            why = "" if isinstance(error, Hold) else f" ({type(error).__name__}: {error})"
            raise ResultUnavailable(
                f"The result could not be fetched from {self.description}{why}; the cluster, or the worker "
                "that held it, is gone."
            ) from error
        if isinstance(wrapper, Slots):
            wrapper = wrapper.wrappers[berth[1]]
        if isinstance(wrapper, Held):
            raise ResultUnavailable("The worker that held the result has ended, and nobody else has it.")
        if not isinstance(wrapper, Succeeded):
            raise ResultUnavailable(
                "The result was dropped where it was made, since no task reads it; give the task "
                "keep_result=True."
            )
        return wrapper.value

    def _why_gone(self, parcel: Parcel) -> str:
        if parcel in self._too_much:
            return (
                "The result was released when the flow run ended: results of more than "
                f"{self._keep_limit} bytes in all are not kept. Write large results to storage in the "
                "task, or give DaskExecutor a larger keep_limit."
            )
        if self._over:
            return (
                "The result was released when its last reader had finished, or when the flow run "
                f"{self._over}; give its task keep_result=True to keep it as long as the flow run's state."
            )
        return (
            "The result was released when its last reader had finished; give its task keep_result=True to "
            "keep it as long as the flow run's state."
        )

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
        if link is None:
            place.close(force=True)
            return
        if self._cancelled or self._failure:
            keep = ()
        refused = self._too_many(link, keep)
        if place.cluster is None:
            kept = self._homes(link, keep, refused)
            link.close(kept)
            if not kept:
                place.close()
        else:
            self._spool(place, link, keep, refused)
            link.close(())
            place.close(force=self._cancelled)
        # Workers that are threads of this process may have any address.
        rest_all()

    def _too_many(self, link: Link, keep: Sequence[Span]) -> set[Parcel]:
        """Return the values that are too large to be kept beside the others."""
        left, sizes = self._keep_limit, link.nbytes
        for first, submission, count in keep if sizes else ():
            for run in range(first, first + count):
                nbytes = sizes.get((run, submission), 0)
                if nbytes > left:
                    self._too_much.add((run, submission))
                else:
                    left -= nbytes
        if self._too_much:
            _logger.warning(
                "%d results of flow run %s are not kept: together with the others they exceed the limit "
                "of %d bytes.",
                len(self._too_much),
                self._brief.run_id,
                self._keep_limit,
            )
        return self._too_much

    def _homes(self, link: Link, keep: Sequence[Span], refused: set[Parcel]) -> set[DaskKey]:
        """Return the Dask tasks whose values stay, since one of their attempts' is kept."""
        homes: set[DaskKey] = set()
        for span in keep:
            first, submission, count = span
            if refused and any((run, submission) in refused for run in range(first, first + count)):
                for run in range(first, first + count):
                    berth = None if (run, submission) in refused else link.berths.find(run, submission)
                    if berth is not None:
                        homes.add(berth[0])
            else:
                homes.update(key for key, _, _ in link.berths.known(span))
        return homes

    def _spool(self, place: Place, link: Link, keep: Sequence[Span], refused: set[Parcel]) -> None:
        """Let the workers write to disk what is to outlive them."""
        by_berth: dict[Berth, Parcel] = {}
        for first, submission, count in keep if link.must_keep else ():
            for run in range(first, first + count):
                parcel = (run, submission)
                berth = link.berths.find(run, submission)
                if berth is not None and parcel not in refused and link.is_needed(parcel):
                    by_berth[berth] = parcel
        if not by_berth:
            return
        if not place.is_local:
            _logger.warning(
                "%d results of flow run %s ended with the cluster %s; run on a cluster of your own making "
                "to keep them.",
                len(by_berth),
                self._brief.run_id,
                place.name,
            )
            return
        directory = tempfile.mkdtemp(prefix="prefectlite-")
        self._remove_spool = weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        answers = ask_workers(place.client, write_spool, directory, list(by_berth), timeout=SPOOL_TIMEOUT)
        for slots in answers.values():
            self._spooled |= {by_berth[berth]: slot for berth, slot in slots.items()}
        if len(self._spooled) < len(by_berth):
            _logger.warning(
                "%d results of flow run %s could not be written to %s, so they ended with their cluster.",
                len(by_berth) - len(self._spooled),
                self._brief.run_id,
                directory,
            )

    def drop(self) -> None:
        """Let go of the kept values."""
        self._spooled.clear()
        if self._remove_spool is not None:
            self._remove_spool()
        link, place = self._link, self._place
        if link is not None and place is not None and place.cluster is None:
            link.futures.release_all()
            if self._over:
                place.close()
