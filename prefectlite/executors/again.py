"""What is sent anew or held: what bundles sent back, what waits for slow or lost ones. Decides no rule."""

from __future__ import annotations

import pickle
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from prefectlite.executors.books import is_tree
from prefectlite.executors.cargo import Cargo
from prefectlite.executors.early import Early
from prefectlite.executors.hearing import Hearing
from prefectlite.executors.protocol import Deliver, DeliverLogs
from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.bundles import Packer
from prefectlite.lowering.envelope import by_value_names
from prefectlite.lowering.order import AnyShipment, apart, in_order, readers_of
from prefectlite.lowering.shipment import Literal, Shipment, Span
from prefectlite.worker.wire import BundleReport, told_in

#: How long the scheduler may take to let other workers have what waits, in seconds.
RELIEVE_TIMEOUT: Final = 5.0
#: Of so many values that wait for slow bodies it is known; what waits for more is not taken back.
MOST_HELD_UP: Final = 4096
#: Of so many graphs, the latest, it is asked whether the scheduler has taken them in.
MOST_UNCONFIRMED: Final = 64


class Again(Hearing):
    """The books, and what is sent a second time.

    Parameters
    ----------
    client, bundle_size, seconds
        As of ``Books``.
    deliver, deliver_logs : callable
        As of ``Hearing``.
    """

    def __init__(
        self,
        client: Any,
        bundle_size: int | None,
        seconds: dict[str, float] | None,
        deliver: Deliver,
        deliver_logs: DeliverLogs,
    ) -> None:
        super().__init__(client, bundle_size, seconds, deliver, deliver_logs)
        self._packer = Packer(self.pace, self.berths, by_value_names(), self._sums)
        #: Held while something is packed and sent: what a bundle sends back is sent anew by another thread.
        self._sending = threading.RLock()
        #: The last Dask task of each graph that the scheduler may not have taken in yet.
        self._unconfirmed: deque[DaskKey] = deque(maxlen=MOST_UNCONFIRMED)
        #: Whether the scheduler has our plugin.
        self.has_plugin = False

    @abstractmethod
    def _send(self, shipments: Sequence[AnyShipment], literals: Sequence[Literal]) -> None:
        """Send shipments as one graph."""

    @property
    def is_slow(self) -> bool:
        """Whether a bundle is held up by a long body, or what waits for a lost one has yet to be held."""
        return bool(self._slow or self._bereft)

    def send_again(self) -> None:
        """Send anew what bundles sent back because they took too long; callable from any thread.

        What waits for such a bundle though all that it reads there is done is taken back from the scheduler
        and sent anew as well, so that one long body does not hold its mates' readers.
        """
        with self._sending:
            self._hold_bereft()
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
        for early in self._early.take():
            self._move(early)
        with self._books:
            cuts, self._cuts = self._cuts, []
        for cargo, report in cuts:
            key = self._packer.new_key(cargo.key)
            told: list[tuple[Any, ...] | None] = [None] * len(cargo)
            moved = 0
            for slot, started, ended, value, news in _values_in(report):
                if not self._lies_in(cargo, slot):
                    continue  # nobody wants it any more
                run, submission = cargo.parcel(slot)
                part, _, _ = cargo.part_at(slot)
                told[slot] = started, ended, part.attempt, value, *news
                self.berths.move(run, submission, key, slot)
                moved += 1
            if moved:
                shelves.append(Literal(key, pickle.dumps(told, 5), "shelf"))
                self.futures.give_back([(cargo.key, moved)])
            self._slow[cargo.key] = cargo
            if self.has_plugin:
                left = [slot for slot in _lying_in(report) if self._lies_in(cargo, slot)]
                if left:
                    self._early.ask(cargo, left, self._packer.new_key(cargo.key))
        return shelves

    def _lies_in(self, cargo: Cargo, slot: int) -> bool:
        """Return whether a value of a bundle is still wanted there."""
        return self.berths.find(*cargo.parcel(slot)) == (cargo.key, slot)

    def _move(self, early: Early) -> None:
        """Have readers find values under their new name, unless their bundle is over, or they are lost."""
        cargo, key = early.cargo, early.future.key
        with self._books:
            if cargo.key not in self.cargo or key in self.gone:
                return
            slots = [slot for slot in early.slots if self._lies_in(cargo, slot)]
            if not slots:
                return
            self.futures.hold(early.future, len(slots))
            for slot in slots:
                self.berths.move(*cargo.parcel(slot), key, slot)
        self.futures.give_back([(cargo.key, len(slots))])

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
        found: list[tuple[Cargo, int]] = []
        gone = self._take_off(wanted)
        with self._books:
            for key in gone or ():
                cargo = self.cargo.get(key)
                if cargo is not None:
                    found += [(cargo, slot) for slot in cargo.open_slots()]
        return found

    def _take_off(self, keys: Sequence[DaskKey]) -> list[DaskKey] | None:
        """Take Dask tasks that wait for others off the scheduler, and all that waits for them.

        Returns what has not begun and never will; None while a graph is on its way that may need it, or when
        the scheduler does not answer: then they wait, as they would without us.
        """
        if not keys:
            return []
        with self._books:
            sent = [key for key in self._unconfirmed if key in self.cargo]
        try:
            gone = self.client.sync(
                self.client.scheduler.prefectlite_recall, client=self.client.id, keys=keys, sent=sent
            )
        except Exception:
            return None
        if gone is None:
            return None
        self._unconfirmed.clear()
        return [tuple(key) for key in gone]

    def _hold_bereft(self) -> None:
        """Hold what waits for Dask tasks that were lost, without waiting for what stands in for those."""
        with self._books:
            bereft, self._bereft = self._bereft, set()
            waiting = [one.key for one in self.cargo.values() if not bereft.isdisjoint(one.needs)]
        gone = self._take_off(waiting)
        if gone is None:
            with self._books:
                self._bereft |= bereft  # the next look may do it
        else:
            self.hint(gone)


def _lying_in(report: BundleReport) -> list[int]:
    """Return the slots whose values did not come with the report."""
    return [slot for slot, entry in report.others if isinstance(entry[0], float) and entry[2] is None]


def _values_in(report: BundleReport) -> Iterator[tuple[int, float, float, bytes, Sequence[Any]]]:
    """Yield what a report has of values: slot, times, the pickled value, and what else is told of it."""
    at = 0
    for place, size in enumerate(report.sizes):
        if size >= 0:
            value = report.blob[at : at + size]
            yield report.first + place, report.started[place], report.ended[place], value, ()
            at += size
    for slot, entry in report.others:
        if isinstance(entry[0], float) and entry[2] is not None:
            news = told_in(entry)
            yield slot, entry[0], entry[1], entry[2], news if any(news) else ()
