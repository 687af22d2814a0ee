"""Runs everything in the driver's own thread, one attempt at a time. Knows no Dask: for ``pdb`` and tests.

Tasks and arguments are not pickled, so what a worker process could not get works here. What needs a second
process (a body that calls ``os._exit``, a segfault, a memory limit) ends the program, unless the task has
``timeout`` or ``isolate``: such a body gets one here too.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from prefectlite.engine.events import Event
from prefectlite.executors.guest import NONE, RUNS, Guest
from prefectlite.executors.held import HeldValues, was_called_off
from prefectlite.executors.local_block import LocalBlock, open_block
from prefectlite.executors.protocol import Deliver, DeliverLogs, Parcel, RunBrief, Span
from prefectlite.executors.submitting import Executor
from prefectlite.executors.tellers import Calls, Children
from prefectlite.lowering.shipment import BlockShipment, Lowered, Shipment
from prefectlite.settings.loggers import ClassLogger
from prefectlite.worker.apart import rest
from prefectlite.worker.around import Kinds
from prefectlite.worker.attempt import Interruption, Outcome, called_off, perform_at
from prefectlite.worker.inner import depth
from prefectlite.worker.interrupts import Interruptible
from prefectlite.worker.strips import Single, Strip


@Executor.register
class LocalExecutor:
    """Runs a flow in this process, one task run at a time, in the thread that drives the flow run.

    Examples
    --------
    >>> LocalExecutor()
    LocalExecutor()
    """

    #: The logger of its class's own.
    logger = ClassLogger()

    def open(self, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs) -> LocalSession:
        """Begin a session.

        Parameters
        ----------
        brief : RunBrief
            The flow run.
        deliver : callable
            Takes sequences of events.
        deliver_logs : callable
            Takes sequences of log lines.

        Returns
        -------
        LocalSession
            Where to submit.
        """
        return LocalSession(brief, deliver, deliver_logs)

    def __repr__(self) -> str:
        """Return how it was made."""
        return "LocalExecutor()"


class LocalSession(HeldValues):
    """One flow run in this process.

    Parameters
    ----------
    brief : RunBrief
        The flow run.
    deliver : callable
        Takes sequences of events.
    deliver_logs : callable
        Takes sequences of log lines.
    """

    description = "this process, one task run at a time"

    def __init__(self, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs) -> None:
        super().__init__(brief, deliver, deliver_logs)
        self._here = replace(self._here, is_called_off=lambda: self._is_held and not self._is_aside)
        # The body that runs now, for who interrupts it in this thread, and for who does so from another.
        self._guest = Guest()
        self._body: Interruptible | None = None
        # In order of submission; what is released before its turn leaves from the middle.
        self._queue: OrderedDict[Parcel, Shipment | BlockShipment] = OrderedDict()
        # Of the attempts of a task, by the identity of its blob.
        self._kinds: dict[int, Kinds] = {}
        # The block whose children run now, and children that are not to run.
        self._block: LocalBlock | None = None
        self._gone: set[Parcel] = set()
        # Whether no further body is to begin.
        self._is_held = False
        # Whether the driver is not in the main thread, and how many flow runs its thread drives.
        self._is_aside = False
        self._depth = 0

    def submit(self, lowered: Lowered) -> None:
        """Queue a turn's shipments; ``work`` runs them.

        Parameters
        ----------
        lowered : Lowered
            Shipments, upstreams before what goes ahead of them.
        """
        for one in lowered.shipments:
            run = one.run if isinstance(one, Shipment) else one.runs.start
            self._queue[run, one.submission] = one

    def work(self, budget: float) -> bool:
        """Run queued attempts in this thread.

        Parameters
        ----------
        budget : float
            Seconds after which no further attempt is begun.

        Returns
        -------
        bool
            Whether anything ran.
        """
        queue = self._queue
        if not queue:
            return False
        self._guest.thread = threading.get_ident()
        # No signal gets there.
        self._is_aside = threading.current_thread() is not threading.main_thread()
        self._depth = depth()
        until = time.monotonic() + budget
        events: list[Event] = []
        calls = Calls(events)
        try:
            while queue and not self._is_held:
                parcel, shipment = next(iter(queue.items()))
                if isinstance(shipment, Shipment):
                    del queue[parcel]
                    self._attempt(parcel, shipment, calls)
                else:
                    calls.close()
                    if self._run_block(shipment, events, until):
                        queue.pop(parcel, None)
                if time.monotonic() >= until:
                    break
        finally:
            calls.close()
            self._deliver(events)
        return True

    def release(self, spans: Sequence[Span]) -> None:
        """Let go of values, and of attempts that have not begun.

        Parameters
        ----------
        spans : sequence of (int, int, int)
            First run, submission, count.
        """
        has_blocks = any(isinstance(one, BlockShipment) for one in self._queue.values())
        for first, submission, count in spans:
            for run in range(first, first + count):
                parcel = (run, submission)
                if self._values.pop(parcel, None) is None:
                    if isinstance(self._queue.get(parcel), Shipment):
                        del self._queue[parcel]
                    elif has_blocks:
                        self._gone.add(parcel)

    def cancel(self, why: str) -> None:
        """Forget what has not begun; nothing runs, since the driver has the only thread.

        Parameters
        ----------
        why : str
            Not needed here.
        """
        self._queue.clear()
        self._block = None

    def stop_released(self) -> None:
        """Let bodies begin again after ``hold``: what was let go of is not in the queue any more."""
        self._is_held = False

    def hold(self) -> None:
        """Begin no further body before the driver has read that the run is called off; end the one that runs.

        In the main thread, a signal ends it (``interrupt``).
        """
        self._is_held = True
        body = self._body
        if body is not None and body.thread != threading.get_ident():
            body.interrupt()

    def interrupt(self) -> None:
        """Raise ``KeyboardInterrupt`` in the body that runs in this thread, if one does.

        Raises
        ------
        Interruption
            A ``KeyboardInterrupt`` that passes through the body and ends its attempt as called off.
        """
        self._guest.interrupt()

    def interrupt_again(self) -> None:
        """Raise it once more in the same body, if that runs on.

        Raises
        ------
        Interruption
            As at first.
        """
        self._guest.interrupt_again()

    def close(self, keep: Sequence[Span]) -> None:
        """End the session and let go of all values but some.

        Parameters
        ----------
        keep : sequence of (int, int, int)
            First run, submission and count of values that stay readable until ``drop``.
        """
        self._queue.clear()
        self._kinds.clear()
        super().close(keep)
        rest()  # a run leaves no process behind

    def _run_block(self, shipment: BlockShipment, events: list[Event], until: float) -> bool:
        """Run children of a map until the time is over; return whether all had their turn."""
        block = self._block
        if block is None:
            block = self._block = open_block(shipment, *self._open(shipment), self._slots, self._here)
        submission, strip = shipment.submission, block.strip
        teller = Children(events, submission, bool(shipment.measure))
        try:
            while not block.is_over and not self._is_held:
                place = block.place
                block.place += 1
                run = shipment.runs[place]
                if self._gone and (run, submission) in self._gone:
                    continue
                outcome = self._perform(strip, place)
                if outcome.wrapper is not None:
                    self._values[run, submission] = outcome.wrapper
                if outcome.wrapper is not None or not self._is_withdrawn(outcome):
                    teller.add(run, outcome)
                if time.monotonic() >= until:
                    break
        finally:
            teller.close()
        if block.is_over:
            self._block = None
        return block.is_over

    def _attempt(self, parcel: Parcel, shipment: Shipment, calls: Calls) -> None:
        run, submission = parcel
        values = self._read(shipment.needs) if shipment.needs else ()
        assert shipment.live is not None
        outcome = self._perform(Single(self._kinds_of(shipment), shipment.live, values), 0)
        if outcome.wrapper is not None:
            self._values[parcel] = outcome.wrapper
        if outcome.wrapper is not None or not self._is_withdrawn(outcome):
            calls.add(run, submission, bool(shipment.measure), outcome)

    def _perform(self, strip: Strip, place: int) -> Outcome:
        began = time.time()
        if self._is_aside:
            body = self._body = Interruptible(self._depth)
            body.is_called_off = self._is_held
            found = body.call(lambda: perform_at(strip, place))
            self._body = None
            return Outcome(called_off(began, self._here)) if found is None else found
        try:
            self._guest.state = RUNS
            return perform_at(strip, place)
        except Interruption:
            # It came between the body and its report.
            return Outcome(called_off(began, self._here))
        finally:
            self._guest.state = NONE

    def _is_withdrawn(self, outcome: Outcome) -> bool:
        """Return whether the driver, which has yet to read of a cancel, says what becomes of an attempt."""
        return self._is_held and was_called_off(outcome)

    def _kinds_of(self, shipment: Shipment) -> Kinds:
        blob = id(shipment.task)
        found = self._kinds.get(blob)
        if found is None:
            found = self._kinds[blob] = Kinds(*self._open(shipment), self._here)
        return found
