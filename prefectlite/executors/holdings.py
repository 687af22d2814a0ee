"""The values of a flow run on Dask: where each is read, and what of them outlives the run. Decides nothing.

They lie in their Dask tasks. On a cluster that stays, those that are kept stay there; workers that end with
the run write them to this machine's disk first.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from prefectlite.errors import ResultUnavailable
from prefectlite.executors.cluster import Place, ask_workers
from prefectlite.executors.protocol import Parcel, RunBrief, Span
from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.wrappers import Held, Hold, Slots, Succeeded
from prefectlite.worker.spool import Berth, Slot, read_spool, write_spool

if TYPE_CHECKING:
    from prefectlite.executors.link import Link

_logger = logging.getLogger(__name__)

#: How long the workers may take to write down what is to outlive them, in seconds.
SPOOL_TIMEOUT: Final = 120.0


class Holdings:
    """The values of one flow run.

    Parameters
    ----------
    brief : RunBrief
        The flow run.
    keep_limit : int
        How many bytes of values to keep after the end.
    """

    def __init__(self, brief: RunBrief, keep_limit: int) -> None:
        self._brief = brief
        self._keep_limit = keep_limit
        self._spooled: dict[Parcel, Slot] = {}
        self._too_much: set[Parcel] = set()
        self._remove_spool: Any = None

    def read(self, parcel: Parcel, link: Link | None, where: str, ended: str) -> Any:
        """Return a value.

        Parameters
        ----------
        parcel : (int, int)
            The run's number and the submission.
        link : Link or None
            The way to the cluster; None before it is up.
        where : str
            Where the work runs, for the error.
        ended : str
            How the run ended, for the error; empty while it goes on.

        Returns
        -------
        object
            The value.

        Raises
        ------
        ResultUnavailable
            When it is gone; the text says when, why, and what to set to keep it.
        """
        slot = self._spooled.get(parcel)
        if slot is not None:
            try:
                return read_spool(slot)
            except OSError as error:
                raise ResultUnavailable(f"The file that the result was kept in is gone ({error}).") from error
        berth = None if link is None else link.berths.find(*parcel)
        future = None if link is None or berth is None else link.futures.get(berth[0])
        if future is None or berth is None:
            raise ResultUnavailable(self._why_gone(parcel, ended))
        status = future.status
        if status == "cancelled":
            raise ResultUnavailable(
                f"The result was on {where}, and is gone with it: the client was closed or restarted, or the "
                "cluster ended. Read results before that, or have them stored: give the task, or its flow, a "
                "result."
            )
        if status == "error":
            raise ResultUnavailable("The attempt left no result on the cluster: its Dask future is error.")
        try:
            wrapper = future.result()
        except Exception as error:
            why = "" if isinstance(error, Hold) else f" ({type(error).__name__}: {error})"
            raise ResultUnavailable(
                f"The result could not be fetched from {where}{why}; the cluster, or the worker "
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

    def keep(self, place: Place, link: Link, spans: Sequence[Span]) -> set[DaskKey]:
        """Let values outlive the run, as far as there is room for them.

        Parameters
        ----------
        place : Place
            The cluster; if we started it, it is about to end.
        link : Link
            The way there.
        spans : sequence of (int, int, int)
            First run, submission and count of those that are wanted.

        Returns
        -------
        set of tuple
            The Dask tasks whose values are to stay there until ``drop``.
        """
        refused = self._too_many(link, spans)
        if place.cluster is None:
            if place.owns_client and not link.must_keep:
                return set()  # a client that nobody needs would miss a cluster that ends before the state
            return self._homes(link, spans, refused)
        self._spool(place, link, spans, refused)
        return set()

    def drop(self) -> None:
        """Let go of what was written down."""
        self._spooled.clear()
        if self._remove_spool is not None:
            self._remove_spool()

    def _why_gone(self, parcel: Parcel, ended: str) -> str:
        if parcel in self._too_much:
            return (
                "The result was released when the flow run ended: results of more than "
                f"{self._keep_limit} bytes in all are not kept. Write large results to storage in the "
                "task, or give DaskExecutor a larger keep_limit."
            )
        if ended:
            return (
                "The result was released when its last reader had finished, or when the flow run "
                f"{ended}; give its task keep_result=True to keep it as long as the flow run's state."
            )
        return (
            "The result was released when its last reader had finished; give its task keep_result=True to "
            "keep it as long as the flow run's state."
        )

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
