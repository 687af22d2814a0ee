"""What befalls the workers of the virtual cluster: killed, cut off, retired. Knows parcels; knows no rules.

A killed worker is seen to be dead: the bodies that it ran crash, the values that it held are gone, and what had
not started runs elsewhere. Of one that is cut off nothing is heard: for a while that only makes what it says
come late; after that all that was sent there has crashed, though its bodies run on and speak when it is healed.
A retired one hands over what it holds. Two that are parted from each other alone serve everybody else; what
cannot fetch its inputs is placed anew, and then given up.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from prefectlite.engine.events import AttemptCrashed, Event, ResultLost
from tests.simulation.case import Accident, Ending, mix

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster, Parcel

#: Seconds of silence after which a worker is given up.
TTL: Final = 30.0
#: Seconds for which an attempt may lack its inputs on a worker that has room for it.
STALL_TIMEOUT: Final = 60.0


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
        self._parted_until: dict[frozenset[int], float] = {}
        #: How attempts ended that accidents ended, by node, index and start.
        self.facts: dict[tuple[int, int, int], Ending] = {}
        #: Whether the driver was told of values that are lost.
        self.brought_losses = False
        #: Runs whose values were lost and missed.
        self.missed: set[int] = set()
        for accident in self._case.accidents:
            schedule(accident.at, lambda accident=accident: self._happen(accident), False)

    def stall(self, parcel: Parcel) -> bool:
        """Say where a body runs, and return whether it cannot begin there."""
        if parcel.worker < 0:
            parcel.worker = self._rng.randrange(self._case.workers)
        if not self._lacks_input(parcel):
            return False
        parcel.status = "stalled"
        parcel.stalls += 1
        since = parcel.stalled_at = self._cluster.now
        self._schedule(STALL_TIMEOUT, lambda: self._look_at_stalled(parcel, since), False)
        return True

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
            for parcel in self._cluster.parcels.values():
                if worker in parcel.spent:
                    parcel.spent = parcel.spent - {worker} | {(worker + 1) % self._case.workers}
            self._let_go_on()
        elif accident.kind == "parted":
            self._parted_until[frozenset((worker, accident.other))] = self._cluster.now + accident.lasts
            self._schedule(accident.lasts, self._let_go_on, False)
        else:
            self._silent_until[worker] = self._cluster.now + accident.lasts
            if accident.lasts > TTL:
                self._schedule(TTL, lambda: self._lose(worker, is_seen=False), False)

    def _at(self, worker: int) -> list[Parcel]:
        return [parcel for parcel in self._cluster.parcels.values() if parcel.worker == worker]

    def _lose(self, worker: int, is_seen: bool = True) -> None:
        """Let what a worker ran crash, and what it held be gone; if it is not seen to be dead, what was sent too."""
        for parcel in self._cluster.parcels.values():
            parcel.spent.discard(worker)
        for parcel in self._at(worker):
            if parcel.status == "running":
                parcel.is_cut_off = not is_seen
                self._give_up(parcel, "lost")
            elif parcel.status == "done" and not parcel.released and not parcel.lost:
                parcel.lost = True
                self._tell_of_loss(parcel)
            elif parcel.status == "stalled":
                parcel.stalls = 0
                if is_seen:
                    self._cluster.place_anew(parcel)
                else:
                    self._give_up(parcel, "unheard")
        for parcel in [] if is_seen else list(self._cluster.ready):
            if parcel.status == "ready" and self._rng.random() < 1 / self._case.workers:
                self._give_up(parcel, "unheard")
        self._cluster.settle_turn()

    # What cannot fetch its inputs

    def _lacks_input(self, parcel: Parcel) -> bool:
        now = self._cluster.now
        return any(
            self._parted_until.get(frozenset((parcel.worker, leader.worker)), 0.0) > now
            for leader in parcel.leaders
            if id(leader) in parcel.reads - parcel.folded
        )

    def _let_go_on(self) -> None:
        """Let what was stalled begin where it is, if it has its inputs now."""
        for parcel in list(self._cluster.parcels.values()):
            if parcel.status == "stalled" and not self._lacks_input(parcel):
                parcel.stalls = 0
                self._cluster.place_anew(parcel, parcel.worker)
        self._cluster.settle_turn()

    def _look_at_stalled(self, parcel: Parcel, since: float) -> None:
        """Place an attempt anew that never got its inputs, and give it up the second time."""
        if parcel.status != "stalled" or parcel.stalled_at != since:
            return
        if parcel.stalls > 1:
            self._give_up(parcel, "unreachable")
        else:
            held = Counter(leader.worker for leader in parcel.leaders)
            others = [one for one in range(self._case.workers) if one != parcel.worker]
            self._cluster.place_anew(parcel, max(others, key=lambda one: (held[one], -one)))
        self._cluster.settle_turn()

    # What is given up

    def _give_up(self, parcel: Parcel, kind: Literal["lost", "unheard", "unreachable"]) -> None:
        run, submission = parcel.submit.run, parcel.submit.submission
        self.facts[parcel.attempt] = Ending(kind, 0.0)
        self._cluster.break_off(parcel)
        cause, text = "worker-lost", "its worker was lost"
        if kind == "unreachable":
            cause, text = "input-unreachable", "it never got its inputs"
        crash = lambda t: AttemptCrashed(t, run, submission, cause, text)  # noqa: E731
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
            parcel.is_missed = self.brought_losses = True
            self._cluster.hold_readers(parcel)
        return ResultLost(time, parcel.submit.run, parcel.submit.submission, "its worker ended")
