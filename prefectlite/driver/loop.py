"""The loop: events to the engine, its instructions to the journal and the place to run.

Knows all who take part by their protocols; decides nothing. Time enters here, and nowhere below.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, assert_never

from prefectlite.driver.callbacks import Callbacks
from prefectlite.driver.inbox import Inbox
from prefectlite.driver.observer import Audience
from prefectlite.driver.timers import Timers
from prefectlite.driver.values import Values
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import AttemptFinished, AttemptRefused, Event, RunStarted
from prefectlite.engine.instructions import (
    Ask,
    CancelAll,
    EndRun,
    Instruction,
    Release,
    SetTimer,
    Submit,
    Transition,
)
from prefectlite.executors.protocol import Parcel, Session
from prefectlite.journal.protocol import Entry, Journal, Submitted
from prefectlite.lowering.lower import Lowering
from prefectlite.states.state import State

#: How long a place in this process may work, in seconds, before the loop looks at its inbox again.
WORK_BUDGET: Final = 0.02
#: The longest sleep in seconds: the wall clock, by which alarms are set, may jump, and a signal that the
#: system hands to another thread does not end a wait in the main one.
LONGEST_SLEEP: Final = 0.5


@contextlib.contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep Python's cycle collector from running meanwhile, in all threads of this process.

    What a turn makes is there to stay, and has no cycles; to look through it again and again is a fifth of
    the driver's time. Task bodies do not run in a turn, and no turn is long.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Loop:
    """Drive one flow run to its end.

    Parameters
    ----------
    engine : Engine
        Who decides.
    lowering : Lowering
        Who turns submits into shipments.
    session : Session
        Where they run.
    inbox : Inbox
        Where events and log lines come in.
    journal : Journal
        What is told before anything is done.
    audience : Audience
        Who is told next.
    callbacks : Callbacks
        Who asks user code.
    values : Values
        Who keeps results that come with reports.
    lock : threading.Lock
        Held while the engine changes, so that others may look at it in between.
    clock : callable
        Returns seconds since the epoch.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        lowering: Lowering,
        session: Session,
        inbox: Inbox,
        journal: Journal,
        audience: Audience,
        callbacks: Callbacks,
        values: Values,
        lock: threading.Lock,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._lowering = lowering
        self._session = session
        self._inbox = inbox
        self._journal = journal
        self._audience = audience
        self._callbacks = callbacks
        self._values = values
        self._lock = lock
        self._clock = clock
        self._timers = Timers()
        self._refused: list[Event] = []
        self._end: State | None = None
        self.has_heard = False

    def run(self) -> State:
        """Drive until the engine says that the run is over.

        Returns
        -------
        State
            The flow's final state, as the engine sees it.
        """
        self._turn([RunStarted(self._clock())])
        while self._end is None:
            self._turn(self._gather())
        self.tell_logs()
        return self._end

    def tell_logs(self) -> None:
        """Tell the audience what task bodies said since the last time."""
        if lines := self._inbox.log_lines():
            self._audience.log(lines)

    def _gather(self) -> list[Event]:
        """Return the events of the next turn; sleep when there is nothing to do."""
        found, self._refused = self._refused, []
        found += self._inbox.events()
        found += self._timers.due(self._clock())
        if not found and not self._work():
            left = self._timers.seconds_left(self._clock())
            self._inbox.wait(LONGEST_SLEEP if left is None else min(left, LONGEST_SLEEP))
        return found

    def _work(self) -> bool:
        """Lend this thread to the place, if it wants one; what bodies say meanwhile is told at once."""
        self._inbox.listener = self._audience.log if self._audience else None
        try:
            return self._session.work(WORK_BUDGET)
        finally:
            self._inbox.listener = None

    def _turn(self, events: Sequence[Event]) -> None:
        """Take events to the engine and do what it wants: first on paper, then in the world."""
        self.tell_logs()
        if not events:
            return
        with collector_at_rest():
            self._take(events)

    def _take(self, events: Sequence[Event]) -> None:
        wanted: list[Instruction] = []
        handle, take = self._engine.handle, self._values.take
        with self._lock:
            for event in events:
                if type(event) is AttemptFinished:
                    event = take(event)  # noqa: PLW2901  # the report goes on without its value
                    self.has_heard = True
                wanted += handle(event)
        if wanted:
            self._perform(wanted)

    def _perform(self, wanted: Sequence[Instruction]) -> None:
        now = self._clock()
        entries: list[Entry] = []
        changes: list[Transition] = []
        submits: list[Submit] = []
        parcels: list[Parcel] = []
        rest: list[Ask | SetTimer | CancelAll | EndRun] = []
        for one in wanted:
            if isinstance(one, Transition):
                changes.append(one)
                entries.append(one)
            elif isinstance(one, Submit):
                submits.append(one)
                entries.append(Submitted(now, one.run, one.key, one.attempt, one.submission, one.ahead))
            elif isinstance(one, Release):
                parcels.append((one.run, one.submission))
            else:
                rest.append(one)
        if entries:
            self._journal.record(entries)
            self._journal.commit()
        if changes and self._audience:
            self._audience.turn(changes, self._engine.counts())
        if submits:
            self._submit(submits)
        if parcels:
            for parcel in parcels:
                self._lowering.forget(*parcel)
            self._session.release(parcels)
        for other in rest:
            self._do(other)

    def _submit(self, submits: Sequence[Submit]) -> None:
        lowered = self._lowering.lower(submits, self._engine.state)
        if lowered.shipments:
            self._session.submit(lowered)
        now = self._clock()
        self._refused += [
            AttemptRefused(now, submit.run, submit.submission, error) for submit, error in lowered.refused
        ]

    def _do(self, one: Ask | SetTimer | CancelAll | EndRun) -> None:
        match one:
            case Ask():
                engine = self._engine
                self._callbacks.ask(one, engine.key(one.run), engine.attempt(one.run))
            case SetTimer():
                self._timers.set(one)
            case CancelAll():
                self._session.cancel(one.why)
            case EndRun():
                self._end = one.state
            case _:
                assert_never(one)
