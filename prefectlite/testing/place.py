"""A place to run in virtual time: bodies take as long as the script says. Knows attempts; knows no rules."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from prefectlite.core.surroundings import clocked
from prefectlite.engine.events import AttemptStarted, CancelRequested
from prefectlite.executors.attempts import Attempt, AttemptSession, Outcome
from prefectlite.executors.held import WHERE
from prefectlite.executors.protocol import Deliver, DeliverLogs, RunBrief
from prefectlite.lowering.wrappers import Done, Succeeded
from prefectlite.states.keys import RunKey
from prefectlite.testing.clock import VirtualClock
from prefectlite.testing.outcomes import Script

#: A task run that is begun so often goes on for ever.
MOST_ATTEMPTS: Final = 1000


class VirtualExecutor:
    """Runs one flow in virtual time, in the thread that drives it.

    Parameters
    ----------
    script : Script
        How attempts go.
    clock : VirtualClock
        The time, which the flow run goes by as well.
    takes : float
        How many seconds an attempt takes of which the script does not say so.
    workers : int or None
        How many attempts run at once; None does not limit them.
    """

    def __init__(self, script: Script, clock: VirtualClock, takes: float, workers: int | None) -> None:
        self.script = script
        self.clock = clock
        self.takes = takes
        self.workers = workers

    def open(self, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs) -> VirtualSession:
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
        VirtualSession
            Where to submit.
        """
        return VirtualSession(self, brief, deliver, deliver_logs)


class VirtualSession(AttemptSession):
    """One flow run in virtual time.

    Parameters
    ----------
    executor : VirtualExecutor
        Script, clock and limits.
    brief : RunBrief
        The flow run.
    deliver : callable
        Takes sequences of events.
    deliver_logs : callable
        Takes sequences of log lines.
    """

    description = "virtual time"

    def __init__(
        self, executor: VirtualExecutor, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs
    ) -> None:
        super().__init__(brief, deliver, deliver_logs)
        # Bodies run here whatever their tasks say: real time is no limit to virtual time. And what is only
        # played leaves nothing behind that a true run would find.
        self._here = replace(self._here, apart=None, keeps=False)
        self._given = executor
        # What runs, by the time of its end; ends of the same moment come in the order of their beginnings.
        self._running: list[tuple[float, int, Attempt, Callable[[], None]]] = []
        self._count = 0
        self._begun: Counter[RunKey] = Counter()

    def now(self) -> float:
        """Return the virtual time in seconds since the epoch."""
        return self._given.clock()

    def work(self, budget: float) -> bool:
        """End what is due; when nothing is, begin what can begin.

        Parameters
        ----------
        budget : float
            Not needed here.

        Returns
        -------
        bool
            Whether anything happened.
        """
        running, now = self._running, self.now()
        if running and running[0][0] <= now:
            while running and running[0][0] <= now:
                heapq.heappop(running)[3]()
            return True
        begun = False
        workers = self._given.workers
        while (workers is None or len(running) < workers) and (attempt := self.next_ready()) is not None:
            self.begin(attempt)
            begun = True
        return begun

    def begin(self, attempt: Attempt) -> None:
        """Perform an attempt at once, and keep what came of it until its time is over.

        Parameters
        ----------
        attempt : Attempt
            Its inputs are there.
        """
        self._begun[attempt.key] += 1
        if self._begun[attempt.key] > MOST_ATTEMPTS:
            why = f"{attempt.key} was begun {MOST_ATTEMPTS} times and is not over"
            self._deliver([CancelRequested(self.now(), why)])
            return
        injected = self._given.script.next(attempt.key)
        started = self.now()
        ended = started + (self._given.takes if injected.takes is None else injected.takes)
        if injected.crash is not None:
            text, cause = injected.crash

            def end() -> None:
                self.crash(attempt, text, cause)
        else:
            with clocked(self.now):
                outcome = _at(attempt.perform(injected.body), started, ended)

            def end() -> None:
                self.finish(attempt, outcome)

        self._deliver([AttemptStarted(started, *attempt.parcel, WHERE)])
        self._count += 1
        heapq.heappush(self._running, (ended, self._count, attempt, end))
        self._given.clock.wake_at(ended)

    def stop_released(self) -> None:
        """Forget what runs and was let go of."""
        super().stop_released()
        self._running = [one for one in self._running if self.awaits(one[2])]
        heapq.heapify(self._running)


def _at(outcome: Outcome, started: float, ended: float) -> Outcome:
    """Return an outcome as if it had been at another time."""
    report, wrapper = outcome.report, outcome.wrapper
    if report is None:
        return outcome
    if isinstance(wrapper, Succeeded):
        wrapper = Succeeded(wrapper.value, started, ended, wrapper.attempt)
    elif isinstance(wrapper, Done):
        wrapper = Done(started, ended, wrapper.attempt)
    told = report._replace(started=started, ended=ended)
    return outcome._replace(report=told, wrapper=wrapper)
