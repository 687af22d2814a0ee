"""What an executor of one's own builds on: attempts, begun one by one once their inputs are there.

A subclass says where and when bodies run; order, values and reports are done here. Bodies run in this process
(in threads, say), so nothing is pickled. Knows no rules.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from prefectlite.engine.events import AttemptCrashed, AttemptFinished, AttemptHeld, Event
from prefectlite.executors.held import HeldValues
from prefectlite.executors.local_block import open_block
from prefectlite.executors.protocol import Deliver, DeliverLogs, Parcel, RunBrief, Span
from prefectlite.lowering.parts import READ
from prefectlite.lowering.shipment import BlockShipment, Lowered, Shipment
from prefectlite.states.keys import RunKey
from prefectlite.worker.around import Kinds
from prefectlite.worker.attempt import Outcome, called_off, perform_at
from prefectlite.worker.inner import depth
from prefectlite.worker.inputs import is_plain
from prefectlite.worker.interrupts import Interruptible
from prefectlite.worker.opened import OpenTask
from prefectlite.worker.strips import Single, Strip

__all__ = ["Attempt", "AttemptSession", "Outcome"]


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One attempt of a task run whose inputs are there.

    Parameters
    ----------
    key : RunKey
        The task run's name.
    number : int
        Counted from 1.
    parcel : (int, int)
        The run's number and the submission.
    open : callable
        Returns it as a strip of one, with a body, or the task's own if that is None.
    guard : callable
        Calls what runs it, so that it can be interrupted meanwhile.
    """

    key: RunKey
    number: int
    parcel: Parcel
    open: Callable[[Callable[..., Any] | None], Strip]
    guard: Callable[[Callable[[], Outcome]], Outcome]

    def perform(self, body: Callable[..., Any] | None = None) -> Outcome:
        """Run the body in this thread, whatever it does.

        Parameters
        ----------
        body : callable or None
            What to call instead of the task's own body, with the same arguments by name.

        Returns
        -------
        Outcome
            For ``finish``.
        """
        return self.guard(lambda: perform_at(self.open(body), 0))


class AttemptSession(HeldValues, ABC):
    """A session that runs attempts in this process; subclasses define ``begin``.

    Parameters
    ----------
    brief : RunBrief
        The flow run.
    deliver : callable
        Takes sequences of events.
    deliver_logs : callable
        Takes sequences of log lines.
    """

    def __init__(self, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs) -> None:
        super().__init__(brief, deliver, deliver_logs)
        self._lock = threading.Lock()
        # In flight: how many inputs each still waits for, and who waits for each.
        self._missing: dict[Parcel, int] = {}
        self._readers: dict[Parcel, list[Parcel]] = {}
        self._shipments: dict[Parcel, Shipment | BlockShipment] = {}
        self._ready: deque[Parcel] = deque()
        self._bodies: dict[Parcel, Interruptible] = {}
        self._called_off = False

    @abstractmethod
    def begin(self, attempt: Attempt) -> None:
        """See to it that an attempt is performed, and then handed to ``finish`` or ``crash``.

        Called in the thread that drives the flow run, which goes on when this returns.

        Parameters
        ----------
        attempt : Attempt
            Its inputs are there.
        """

    def finish(self, attempt: Attempt, outcome: Outcome) -> None:
        """Say how an attempt ended; callable from any thread.

        Parameters
        ----------
        attempt : Attempt
            Which.
        outcome : Outcome
            What ``attempt.perform()`` returned.
        """
        run, submission = attempt.parcel
        report = outcome.report
        event: Event = (
            AttemptHeld(self.now(), run, submission)
            if report is None
            else AttemptFinished(report.ended, run, submission, report)
        )
        self._end(attempt, event, outcome)

    def crash(self, attempt: Attempt, text: str, cause: str = "worker-lost") -> None:
        """Say that an attempt ended without a word; callable from any thread.

        Parameters
        ----------
        attempt : Attempt
            Which.
        text : str
            What is known of it, in a sentence.
        cause : str
            As in ``Crashed``.
        """
        self._end(attempt, AttemptCrashed(self.now(), *attempt.parcel, cause, text), None)

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return time.time()

    def awaits(self, attempt: Attempt) -> bool:
        """Return whether anybody waits for an attempt; it may have been let go of, or called off.

        Parameters
        ----------
        attempt : Attempt
            Which.

        Returns
        -------
        bool
            False once it has ended, too.
        """
        return attempt.parcel in self._shipments

    def submit(self, lowered: Lowered) -> None:
        """Queue a turn's shipments.

        Parameters
        ----------
        lowered : Lowered
            Shipments, upstreams before what goes ahead of them.
        """
        with self._lock:
            for shipment in lowered.shipments:
                for parcel, one in _singles(shipment):
                    self._shipments[parcel] = one
                    missing = [need for need in _reads(one) if need in self._shipments]
                    for need in missing:
                        self._readers.setdefault(need, []).append(parcel)
                    if missing:
                        self._missing[parcel] = len(missing)
                    else:
                        self._ready.append(parcel)

    def work(self, budget: float) -> bool:
        """Begin what can begin.

        Parameters
        ----------
        budget : float
            Seconds after which nothing further is begun.

        Returns
        -------
        bool
            Whether anything was.
        """
        until = time.monotonic() + budget
        begun = False
        while (attempt := self.next_ready()) is not None:
            begun = True
            self.begin(attempt)
            if time.monotonic() >= until:
                break
        return begun

    def next_ready(self) -> Attempt | None:
        """Take the next attempt whose inputs are there.

        Returns
        -------
        Attempt or None
            None when all of them wait, or run. One that must not run, since an input was no plain success, is
            reported here and not returned.
        """
        held: list[Event] = []
        found = None
        with self._lock:
            while self._ready and found is None and not self._called_off:
                parcel = self._ready.popleft()
                shipment = self._shipments.get(parcel)
                if shipment is None:
                    continue  # it was let go of
                if all(is_plain(self._values.get(need)) for need in _reads(shipment)):
                    found = self._attempt(parcel, shipment)
                else:
                    held.append(AttemptHeld(self.now(), *parcel))
                    self._forget(parcel)
        if held:
            self._deliver(held)
        return found

    def release(self, spans: Sequence[Span]) -> None:
        """Let go of values, and of attempts that have not begun.

        Parameters
        ----------
        spans : sequence of (int, int, int)
            First run, submission, count.
        """
        with self._lock:
            for first, submission, count in spans:
                for run in range(first, first + count):
                    self._values.pop((run, submission), None)
                    self._forget((run, submission))

    def cancel(self, why: str) -> None:
        """Forget what has not begun, and interrupt the bodies that run.

        Parameters
        ----------
        why : str
            Not needed here.
        """
        with self._lock:
            self._shipments.clear()
            self._missing.clear()
            self._readers.clear()
            self._ready.clear()
        self.stop_released()

    def stop_released(self) -> None:
        """Interrupt bodies that run for submissions that were let go of; C code goes on until it returns."""
        self._called_off = False
        with self._lock:
            bodies = [body for parcel, body in self._bodies.items() if parcel not in self._shipments]
        for body in bodies:
            body.interrupt()

    def hold(self) -> None:
        """Begin no further attempt before the driver has read that the run is called off."""
        self._called_off = True

    def interrupt(self) -> None:
        """Interrupt the body that runs in this thread, if one does; others are for ``cancel`` to stop."""
        self.hold()
        for body in list(self._bodies.values()):
            if body.thread == threading.get_ident():
                body.interrupt()

    def interrupt_again(self) -> None:
        """Do nothing: an ``Interruptible`` sees to what is lost itself."""

    def _end(self, attempt: Attempt, event: Event, outcome: Outcome | None) -> None:
        with self._lock:
            parcel = attempt.parcel
            if parcel not in self._shipments:
                return  # it was let go of meanwhile
            if outcome is not None and outcome.wrapper is not None:
                self._values[parcel] = outcome.wrapper
            self._forget(parcel)
        self._deliver([event])

    def _forget(self, parcel: Parcel) -> None:
        """Let what waits for an attempt go on: it finds a value, or holds."""
        self._shipments.pop(parcel, None)
        self._missing.pop(parcel, None)
        for reader in self._readers.pop(parcel, ()):
            if reader in self._missing:
                self._missing[reader] -= 1
                if not self._missing[reader]:
                    del self._missing[reader]
                    self._ready.append(reader)

    def _attempt(self, parcel: Parcel, shipment: Shipment | BlockShipment) -> Attempt:
        flow, task = self._open(shipment)
        if isinstance(shipment, BlockShipment):
            block, key = shipment, RunKey(shipment.slug, shipment.first)

            def strip(body: Callable[..., Any] | None) -> Strip:
                return open_block(block, flow, _with(task, body), self._slots, self._here).strip
        else:
            spec, values = shipment.live, self._read(shipment.needs)
            assert spec is not None
            key = RunKey(spec.slug, spec.map_index, spec.loop)

            def strip(body: Callable[..., Any] | None) -> Strip:
                return Single(Kinds(flow, _with(task, body), self._here), spec, values)

        return Attempt(key, shipment.attempt, parcel, strip, partial(self._perform, parcel))

    def _perform(self, parcel: Parcel, run: Callable[[], Outcome]) -> Outcome:
        began, body = time.time(), Interruptible(depth())
        with self._lock:
            self._bodies[parcel] = body
            # It may have been let go of between its beginning and now.
            body.is_called_off = parcel not in self._shipments
        outcome = body.call(run)
        with self._lock:
            del self._bodies[parcel]
        return Outcome(called_off(began, self._here)) if outcome is None else outcome


def _with(task: OpenTask, body: Callable[..., Any] | None) -> OpenTask:
    if body is None:
        return task
    # What stands in for a body runs here: it was made here, and is not pickled.
    return OpenTask(replace(task.envelope, run=body, timeout=None, isolate=False))


def _singles(shipment: Shipment | BlockShipment) -> Iterator[tuple[Parcel, Shipment | BlockShipment]]:
    if isinstance(shipment, Shipment):
        yield (shipment.run, shipment.submission), shipment
        return
    for place, run in enumerate(shipment.runs):
        yield (run, shipment.submission), shipment.part(place, place + 1)


def _reads(shipment: Shipment | BlockShipment) -> set[Parcel]:
    """Return all that must be over before an attempt begins."""
    spans: list[Any] = [need for need in shipment.needs if len(need) == 3]
    if isinstance(shipment, BlockShipment):
        spans += [what for _, kind, what in shipment.columns if kind == READ]
    return {(run, submission) for first, submission, n in spans for run in range(first, first + n)}
