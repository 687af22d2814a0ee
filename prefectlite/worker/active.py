"""An attempt, or a bundle of them, while it runs: it may be interrupted, and has something to say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.worker.interrupts import Interruptible
from prefectlite.worker.ledger import Ledger
from prefectlite.worker.marks import Begun
from prefectlite.worker.records import NOWHERE, Record
from prefectlite.worker.wire import STARTED, Item, route_of

#: An attempt that has run for so long is said to have started, in seconds.
LONG: Final = 0.25
#: A bundle that has run for so long, in seconds, begins no further attempt; what has not begun goes back and
#: is sent anew, to more workers and in smaller bundles.
LONGEST: Final = 0.3


class Active(Interruptible):
    """An attempt, or a bundle of them, while it runs.

    Parameters
    ----------
    key : tuple
        Its data key, or the bundle's.
    by_topic : bool
        Whether what it says goes through a Dask topic.
    begun : Begun or None
        Its marks.
    ledger : Ledger or None
        What becomes of the bundle's attempts; None for one that travels alone.
    """

    __slots__ = (
        "announced",
        "begun",
        "by_topic",
        "key",
        "ledger",
        "route",
        "since",
        "slot",
        "started",
    )

    def __init__(
        self,
        key: DataKey | BundleKey,
        by_topic: bool,
        begun: Begun | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        super().__init__()
        self.key = key
        self.by_topic = by_topic
        self.begun = begun
        self.ledger = ledger
        self.route = route_of(key)
        #: Which of a bundle's attempts runs; written after ``started``, and read before it.
        self.slot = 0
        #: When the attempt that runs began, in seconds since the epoch.
        self.started = time.time()
        #: Since when it is open, by the monotonic clock.
        self.since = time.monotonic()
        #: The last slot that was said to have started.
        self.announced = -1

    def enter(self) -> None:
        """From here on, the attempt may be interrupted; one that was called off before is so at once."""
        self.since = time.monotonic()
        super().enter()

    @property
    def record(self) -> Record:
        """Where it writes what it comes to."""
        return NOWHERE if self.begun is None else self.begun.record

    def news(self, now: float, wall: float, where: str) -> Iterator[Item]:
        """Yield what is to be said of it while it runs, and was not said before.

        Parameters
        ----------
        now : float
            The monotonic clock, in seconds.
        wall : float
            The time, in seconds since the epoch.
        where : str
            The worker.

        Yields
        ------
        Item
            What a bundle hands over early; that an attempt has started.
        """
        ledger = self.ledger
        item = ledger.cut() if ledger is not None and now - self.since >= LONGEST else None
        if item is not None:
            yield item
        slot = self.slot
        started = self.started
        if ledger is not None and now - self.since < LONGEST:
            return  # what it read may be of this bundle, and was not told of yet
        # A clock that was set back does not tell how long it has run.
        if slot != self.announced and not 0 <= wall - started < LONG:
            self.announced = slot
            key = self.key if ledger is None else ledger.names.key(slot)
            yield STARTED, key, where, started
