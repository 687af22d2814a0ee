"""What befalls the workers of the virtual cluster: killed, cut off, retired. Knows parcels; knows no rules.

A killed worker is seen to be dead: the bodies that it ran crash, the values that it held are gone, and what had
not started runs elsewhere. Of one that is cut off nothing is heard: for a while that only makes what it says
come late; after that all that was sent there has crashed, though its bodies run on and speak when it is healed.
A retired one hands over what it holds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from prefectlite.engine.events import AttemptCrashed, Event, ResultLost
from tests.simulation.case import Accident, Ending, mix

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster, Parcel

#: Seconds of silence after which a worker is given up.
TTL: Final = 30.0


class Accidents:
    """Lets accidents happen.

    Parameters
    ----------
    cluster : Cluster
        Where.
    schedule : callable
        Takes seconds from now and what to do or tell then.
    """

    def __init__(self, cluster: Cluster, schedule: Callable[[float, Any, bool], None]) -> None:
        self._cluster = cluster
        self._case = cluster.case
        self._schedule = schedule
        self._rng = random.Random(mix(cluster.case.seed, 12))
        self._silent_until: dict[int, float] = {}
        #: How attempts ended that accidents ended, by node, index and start.
        self.facts: dict[tuple[int, int, int], Ending] = {}
        #: Runs whose values were lost and missed.
        self.missed: set[int] = set()
        for accident in self._case.accidents:
            schedule(accident.at, lambda accident=accident: self._happen(accident), False)

    def some_worker(self) -> int:
        """Return where a body runs, and where its value will lie."""
        return self._rng.randrange(self._case.workers)

    def silence(self, worker: int) -> float:
        """Return for how many seconds nothing will be heard of a worker."""
        return max(0.0, self._silent_until.get(worker, 0.0) - self._cluster.now)

    def _happen(self, accident: Accident) -> None:
        worker = accident.worker
        if accident.kind == "killed":
            self._lose(worker)
        elif accident.kind == "retired":
            for parcel in self._at(worker):
                parcel.worker = (worker + 1) % self._case.workers
        else:
            self._silent_until[worker] = self._cluster.now + accident.lasts
            if accident.lasts > TTL:
                self._schedule(TTL, lambda: self._lose(worker, is_seen=False), False)

    def _at(self, worker: int) -> list[Parcel]:
        return [parcel for parcel in self._cluster.parcels.values() if parcel.worker == worker]

    def _lose(self, worker: int, is_seen: bool = True) -> None:
        """Let what a worker ran crash, and what it held be gone; if it is not seen to be dead, what was sent too."""
        for parcel in self._at(worker):
            if parcel.status == "running":
                parcel.is_cut_off = not is_seen
                self._give_up(parcel, "lost")
            elif parcel.status == "done" and not parcel.released and not parcel.lost:
                parcel.lost = True
                self._tell_of_loss(parcel)
        for parcel in [] if is_seen else list(self._cluster.ready):
            if parcel.status == "ready" and self._rng.random() < 1 / self._case.workers:
                self._give_up(parcel, "unheard")
        self._cluster.settle_turn()

    def _give_up(self, parcel: Parcel, kind: Literal["lost", "unheard"]) -> None:
        run, submission = parcel.submit.run, parcel.submit.submission
        self.facts[(*parcel.name, parcel.start)] = Ending(kind, 0.0)
        self._cluster.break_off(parcel)
        crash = lambda t: AttemptCrashed(t, run, submission, "worker-lost", "its worker was lost")  # noqa: E731
        # Whoever gives a worker up says so himself, so that this is heard before what comes late.
        self._schedule(0.0, crash, True)
        while self._rng.random() < self._case.faults.doubled:
            self._schedule(self._rng.random() * 20, crash, True)

    def _tell_of_loss(self, parcel: Parcel) -> None:
        self._schedule(
            self._rng.expovariate(1) * self._case.faults.latency, lambda: self._notice(parcel), False
        )

    def _notice(self, parcel: Parcel) -> None:
        """Tell that a value is gone, once all was heard of the attempt that made it, and hold who waits for it."""
        if not parcel.is_heard:
            self._schedule(5.0, lambda: self._notice(parcel), False)
            return
        self._schedule(0.0, lambda t: self._lost(parcel, t), True)
        while self._rng.random() < self._case.faults.doubled:
            self._schedule(self._rng.random() * 20, lambda t: self._lost(parcel, t), True)

    def _lost(self, parcel: Parcel, time: float) -> Event:
        if not parcel.is_missed:
            parcel.is_missed = True
            self._cluster.hold_readers(parcel)
        return ResultLost(time, parcel.submit.run, parcel.submit.submission, "its worker ended")
