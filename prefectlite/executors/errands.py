"""One flow run at an executor that is handed functions: submits attempts, waits for what comes of them.

The executor's methods are called in the thread that drives the flow run, as Prefect 1 called them: a body
that runs within ``submit`` or ``wait`` can be debugged, and Ctrl-C gets through to it. Knows no rules.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prefectlite.errors import ExecutorError
from prefectlite.executors.attempts import Attempt, AttemptSession
from prefectlite.executors.guest import NONE, RUNS, Guest
from prefectlite.executors.held import was_called_off
from prefectlite.executors.protocol import Deliver, DeliverLogs, Parcel, RunBrief, Span
from prefectlite.masking import mask
from prefectlite.worker.apart import rest
from prefectlite.worker.attempt import Interruption, perform_at
from prefectlite.worker.errand import Brought, Errand, run_errand
from prefectlite.worker.failures import described

if TYPE_CHECKING:
    from prefectlite.executors.submitting import Submitting

#: How long to wait before futures that call nobody back are asked again whether they are done, in seconds.
PAUSE: Final = 0.01
# So much of what is no answer is quoted.
_LONGEST: Final = 200


class Flight(NamedTuple):
    """An attempt that was submitted.

    Parameters
    ----------
    attempt : Attempt
        Which.
    errand : Errand
        The function's argument.
    future : object
        What ``submit`` returned.
    """

    attempt: Attempt
    errand: Errand
    future: Any


class ErrandSession(AttemptSession):
    """One flow run at an executor with ``start``, ``submit`` and ``wait``.

    Parameters
    ----------
    executor : Submitting
        The user's.
    brief : RunBrief
        The flow run.
    deliver : callable
        Takes sequences of events.
    deliver_logs : callable
        Takes sequences of log lines.
    """

    def __init__(
        self, executor: Submitting, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs
    ) -> None:
        super().__init__(brief, deliver, deliver_logs)
        self.description = type(executor).__name__
        # A body apart from the thread that drives the run cannot be interrupted from elsewhere.
        self._here = replace(self._here, is_called_off=self._is_to_end)
        self._deliver_logs = deliver_logs
        self._started = ExitStack()
        self._executor = self._started.enter_context(_one_of_its_own(executor))
        self._has_started = False
        self._is_off = False
        # What is in flight, in order of submission: who calls back when it is done, who can be asked whether
        # it is, and who can only be waited for.
        self._calling: dict[Parcel, Flight] = {}
        self._asked: dict[Parcel, Flight] = {}
        self._silent: dict[Parcel, Flight] = {}
        # Of those that call back, which have.
        self._called: deque[Parcel] = deque()
        # Code of the executor's.
        self._guest = Guest()

    @property
    def leaves_behind(self) -> str:
        """What a cancel cannot end, in words."""
        return f"If its body had begun in another process, it may run on until {self.description} ends it."

    def work(self, budget: float) -> bool:
        """Submit what can begin and take what has ended; when there is neither, wait as far as one must.

        Parameters
        ----------
        budget : float
            Seconds after which nothing further is submitted.

        Returns
        -------
        bool
            Whether anything happened.

        Raises
        ------
        ExecutorError
            When the executor could not start.
        """
        if self._called_off:
            return False
        try:
            if self._ready and not self._has_started:
                self._start()
            has_taken = self._take_called(time.monotonic() + budget)
            return super().work(budget) or has_taken or self._await_others()
        except Interruption:
            return True  # the driver will read that the run is called off

    def begin(self, attempt: Attempt) -> None:
        """Submit an attempt.

        Parameters
        ----------
        attempt : Attempt
            Its inputs are there.
        """
        strip = attempt.open(None)
        errand = Errand(strip, partial(attempt.guard, partial(perform_at, strip, 0)))
        envelope, index = strip.kind.task.envelope, attempt.key.index
        told: dict[str, Any] = {"task_name": envelope.name, "task_tags": set(envelope.tags)}
        if index is not None:
            told["task_index"] = index
        flight = Flight(attempt, errand, None)
        with self._watching(flight, "submit"):
            future = self._lend(self._executor.submit, run_errand, errand, extra_context=told)
            self._follow(flight._replace(future=future))

    def release(self, spans: Sequence[Span]) -> None:
        """Let go of values, and of attempts, whether they have begun or not.

        Parameters
        ----------
        spans : sequence of (int, int, int)
            First run, submission, count.
        """
        super().release(spans)
        for first, submission, count in spans:
            for run in range(first, first + count):
                _call_off(self._landed((run, submission)))

    def cancel(self, why: str) -> None:
        """Forget what has not begun, and ask the executor's futures to end the rest.

        Parameters
        ----------
        why : str
            Not needed here.
        """
        self._is_off = True
        super().cancel(why)
        for flights in (self._calling, self._asked, self._silent):
            for flight in flights.values():
                _call_off(flight)
            flights.clear()

    def interrupt(self) -> None:
        """Interrupt the executor, or the body that it runs, in the thread that drives the flow run.

        Raises
        ------
        Interruption
            A ``KeyboardInterrupt`` that passes through ``start``, ``submit`` or ``wait``.
        """
        super().interrupt()
        here = threading.get_ident()
        if all(body.thread != here for body in list(self._bodies.values())):
            self._guest.interrupt()

    def interrupt_again(self) -> None:
        """Interrupt the executor once more, if it runs on; a body is seen to by itself.

        Raises
        ------
        Interruption
            As at first.
        """
        self._guest.interrupt_again()

    def close(self, keep: Sequence[Span]) -> None:
        """Leave ``start``, and let go of all values but some.

        Parameters
        ----------
        keep : sequence of (int, int, int)
            First run, submission and count of values that stay readable until ``drop``.
        """
        started = self._started.pop_all()
        why = Interruption("the flow run was called off") if self._is_off else None
        try:
            self._lend(started.__exit__, None if why is None else type(why), why, None)
        finally:
            super().close(keep)
            rest()  # a run leaves no process of a body's behind

    def _is_to_end(self) -> bool:
        """Return whether the body that this thread waits for is to end since the driver cannot say so."""
        guest = self._guest
        return self._called_off and guest.state != NONE and guest.thread == threading.get_ident()

    def _start(self) -> None:
        try:
            self._lend(lambda: self._started.enter_context(self._executor.start()))
        except Exception as error:
            raise ExecutorError(
                f"{self.description} could not start: its start() raised {described(error)}"
            ) from error
        self._has_started = True

    def _follow(self, flight: Flight) -> None:
        """See to it that an attempt is heard of."""
        parcel, future = flight.attempt.parcel, flight.future
        if isinstance(future, Brought):
            self._land(flight)
        elif asyncio.isfuture(future):
            self._silent[parcel] = flight  # its loop may run in ``wait`` alone
        elif callable(getattr(future, "add_done_callback", None)):
            self._calling[parcel] = flight
            future.add_done_callback(partial(self._note, parcel))
        elif callable(getattr(future, "done", None)):
            self._asked[parcel] = flight
        else:
            self._silent[parcel] = flight

    def _note(self, parcel: Parcel, future: Any) -> None:
        """Note that a future is done; called in any thread."""
        self._called.append(parcel)
        self._deliver(())

    def _take_called(self, until: float) -> bool:
        has_taken = False
        while self._called:
            flight = self._landed(self._called.popleft())
            if flight is not None:
                self._land(flight)
                has_taken = True
                if time.monotonic() >= until:
                    break
        return has_taken

    def _await_others(self) -> bool:
        """Wait a little for those that can be asked; for one that cannot, only when no other is in flight.

        That may take long, and others might end meanwhile.
        """
        if self._asked:
            done = [flight for flight in self._asked.values() if _is_done(flight.future)]
            for flight in done:
                del self._asked[flight.attempt.parcel]
                self._land(flight)
            if not done:
                time.sleep(PAUSE)
            return True
        if self._calling or not self._silent:
            return False
        self._land(self._silent.pop(next(iter(self._silent))))
        return True

    def _land(self, flight: Flight) -> None:
        """Take what came of an attempt."""
        attempt, errand, future = flight
        with self._watching(flight, "wait"):
            came = self._lend(self._executor.wait, [future])
            if not (isinstance(came, list | tuple) and len(came) == 1 and isinstance(came[0], Brought)):
                text = f"{self.description}.wait([future]) returned {mask(repr(came))[:_LONGEST]}"
                self.crash(attempt, f"{text}, not a list with what the function returned.")
                return
            outcome, lines = errand.end(came[0])
            if lines:
                self._deliver_logs(lines)
            if not (self._called_off and was_called_off(outcome)):
                self.finish(attempt, outcome)

    def _landed(self, parcel: Parcel) -> Flight | None:
        for flights in (self._calling, self._asked, self._silent):
            if (flight := flights.pop(parcel, None)) is not None:
                return flight
        return None

    @contextmanager
    def _watching(self, flight: Flight, method: str) -> Iterator[None]:
        """Say that an attempt was lost, or could not be sent, when a method raises."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # asyncio's CancelledError is no Exception
            trouble = flight.errand.trouble
            if trouble is not None:
                self.finish(flight.attempt, trouble)
            else:
                self.crash(flight.attempt, f"{self.description}.{method} raised {described(error)}")

    def _lend(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call what is the executor's; Ctrl-C may interrupt it."""
        guest = self._guest
        guest.thread, guest.state = threading.get_ident(), RUNS
        try:
            return call(*args, **kwargs)
        finally:
            guest.state = NONE


#: What executors that are in use were before they were started, by identity.
_in_use: Final[dict[int, Submitting]] = {}
_using: Final = threading.Lock()


@contextmanager
def _one_of_its_own(executor: Submitting) -> Iterator[Submitting]:
    """Lend an executor to a flow run; while another has it, lend a copy of what it was before.

    What ``start`` sets belongs to one flow run: a pool, which it closes in the end.
    """
    with _using:
        before = _in_use.get(id(executor))
        if before is None:
            _in_use[id(executor)] = _copied(executor)
        else:
            executor = _copied(before)
    try:
        yield executor
    finally:
        if before is None:
            with _using:
                del _in_use[id(executor)]


def _copied(executor: Submitting) -> Submitting:
    try:
        return copy(executor)
    except Exception:  # it cannot be copied: then its flow runs share it
        return executor


def _call_off(flight: Flight | None) -> None:
    cancel = None if flight is None else getattr(flight.future, "cancel", None)
    if callable(cancel):
        with suppress(Exception):  # what cannot be called off goes on
            cancel()


def _is_done(future: Any) -> bool:
    try:
        return bool(future.done())
    except Exception:
        return True  # waiting will say what it is
