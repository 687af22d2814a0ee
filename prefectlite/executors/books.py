"""What a flow run has on its cluster: Dask tasks, what they carry, where values lie. Knows no channel."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Final

from prefectlite.executors.cargo import Cargo
from prefectlite.executors.early import EarlyValues
from prefectlite.executors.futures import Futures
from prefectlite.executors.protocol import Parcel
from prefectlite.lowering.berths import Berths, DaskKey
from prefectlite.lowering.folds import Sums
from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.order import AnyShipment
from prefectlite.lowering.pace import Pace
from prefectlite.lowering.shipment import Shipment
from prefectlite.worker.wire import BundleReport

#: Up to so many bytes of results that came with reports, the driver is trusted to have kept them all.
INLINE_TRUST: Final = 32 * 1024 * 1024


class Books:
    """The books of one flow run; written by the driver's thread, the client's loop and the watch.

    Parameters
    ----------
    client : distributed.Client
        Through which the flow run holds what it has.
    bundle_size : int or None
        How many attempts travel together; 1 for each alone, None for as many as pay.
    seconds : dict of str to float or None
        How long tasks took in earlier runs, by their digest; grows.
    """

    def __init__(self, client: Any, bundle_size: int | None, seconds: dict[str, float] | None) -> None:
        self.client = client
        self.futures = Futures(client)
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
        #: Held for moments, while it is noted what was heard of: by the client's loop too, which must not
        #: wait for a graph to be made.
        self._books = threading.RLock()
        #: Sizes of values that did not come with their reports.
        self.nbytes: dict[Parcel, int] = {}
        self._inline_bytes = 0
        #: Dask tasks that no worker can take, and what they ask for, in words.
        self.unplaced: dict[DaskKey, str] = {}
        #: Whether the cluster had no worker when it was last looked at.
        self.is_deserted = False
        #: Dask tasks that were lost with a worker, or lost values since they ended.
        self.gone: set[DaskKey] = set()
        #: Dask tasks that were lost with a worker, of whose readers nobody has thought yet.
        self._bereft: set[DaskKey] = set()
        #: Set when somebody should look at the futures soon.
        self.doubt = threading.Event()
        self._early = EarlyValues(client, self.doubt.set)

    def _threads(self) -> int:
        known = self.client._scheduler_identity
        # Where Dask says the sum, it says little or nothing of each worker.
        total = known.get("total_threads")
        if total is None:
            total = sum(worker["nthreads"] for worker in known.get("workers", {}).values())
        return total or 1

    def _close(self, cargo: Cargo, start: int, stop: int) -> None:
        """Note that attempts were heard of, or let go of."""
        with self._books:
            self._flying -= cargo.close(start, stop)
            if 1 not in cargo.open:
                self.cargo.pop(cargo.key, None)
                self.unplaced.pop(cargo.key, None)

    def _parcel_of(self, key: DataKey) -> Parcel | None:
        """Return whose attempt has a data key, if it was not heard of."""
        alone = self.cargo.get(key)
        for cargo in [alone] if alone is not None else list(self.cargo.values()):
            slot = cargo.slot_of(key)
            if slot is not None and cargo.is_open(slot):
                return cargo.parcel(slot)
        return None

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
        with self._books:
            for key in list(self.cargo if self.is_deserted else self.unplaced):
                cargo = self.cargo.get(key)
                if cargo is not None and any(cargo.parcel(slot)[0] == run for slot in cargo.open_slots()):
                    asked = self.unplaced.get(key)
                    return f"a worker with {asked}" if asked else "a worker"
        return ""

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

    def _forget_all(self) -> None:
        with self._books:
            self.cargo.clear()
            self.unplaced.clear()
            self._returned.clear()
            self._cuts.clear()
            self._slow.clear()
            self._early.forget()
            self._bereft.clear()
            self._trees.clear()
            self._sums.clear()
            self._flying = 0


def is_tree(part: AnyShipment) -> bool:
    """Return whether a shipment is a reduce that may go as a tree.

    Parameters
    ----------
    part : Shipment or BlockShipment
        The shipment.

    Returns
    -------
    bool
        True also for one that is narrow enough to go as it is.
    """
    return isinstance(part, Shipment) and part.fold is not None
