"""The loop: events to the engine, its instructions to the journal and the place to run.

Knows all who take part by their protocols; decides nothing. Time enters here, and nowhere below.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final, assert_never

from prefectlite.driver.callbacks import Callbacks
from prefectlite.driver.clock import Clock
from prefectlite.driver.inbox import Inbox
from prefectlite.driver.observer import Audience, Changes
from prefectlite.driver.timers import Timers
from prefectlite.driver.values import Values
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import (
    AttemptFinished,
    AttemptRefused,
    CallsFinished,
    CancelRequested,
    Event,
    PlaceChanged,
    RangeFinished,
    RoomChanged,
    RunStarted,
)
from prefectlite.engine.instructions import (
    Ask,
    AwaitApproval,
    CancelAll,
    EndRun,
    Instruction,
    Release,
    ReleaseMany,
    SetTimer,
    StopReleased,
    Submit,
    SubmitMany,
)
from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.executors.protocol import Session, Span
from prefectlite.journal.protocol import Journal, Record, Submitted, SubmittedMany
from prefectlite.lowering.lower import Lowering
from prefectlite.states.state import State

_logger = logging.getLogger(__name__)

#: How long a place in this process may work, in seconds, before the loop looks at its inbox again.
WORK_BUDGET: Final = 0.02
#: The engine is told of room when there is so much more of it, and whenever there is less.
ROOM_STEP: Final = 1.25
#: How many task runs the first turn sends at most, and how many times as many may be in flight in the next,
#: and so on: the workers begin while the rest is on its way.
FIRST_ROOM: Final = 256
RAMP: Final = 4
#: How many states are made at once while nothing comes in: a fraction of a millisecond.
SPARE: Final = 128
#: How long a turn keeps Python's lock when others want it, in seconds.
PATIENCE: Final = 0.0005
#: After a turn that made more objects than this, Python's collector takes them for old ones.
PLENTY: Final = 5000
#: Who has frozen more objects than this did it on purpose; Python 3.12 itself begins with some hundreds.
FROZEN: Final = 1000


@contextlib.contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep Python's cycle collector from running meanwhile, in all threads of this process.

    What a turn makes is there to stay, and has no cycles; to look through it again and again is a fifth of
    the driver's time. Task bodies do not run in a turn, and no turn is long. Where it makes much, it all goes
    to the oldest generation at once, unseen, with the few young objects of others.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > PLENTY and gc.get_freeze_count() <= FROZEN:
            gc.freeze()
            gc.unfreeze()
        gc.enable()


@contextlib.contextmanager
def giving_way() -> Iterator[None]:
    """Give other threads of this process Python's lock soon when they ask for it meanwhile.

    The scheduler of a local cluster lives in one of them, and each of its messages would wait for as long as
    Python lets a busy thread go on: 5 ms.
    """
    usual = sys.getswitchinterval()
    if usual <= PATIENCE:
        yield
        return
    try:
        sys.setswitchinterval(PATIENCE)
        yield
    finally:
        sys.setswitchinterval(usual)


def _is_cancel(event: Event) -> bool:
    return type(event) is CancelRequested


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
    clock : Clock
        What time it is, and how to wait.
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
        clock: Clock,
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
        # The flow's state while only an approval lets it go on.
        self._left: State | None = None
        self.has_heard = False

    def run(self, may_leave: Callable[[State], bool], *, again: bool = False) -> State:
        """Drive until the run is over, or nothing but an approval lets it go on and nobody waits for that.

        Parameters
        ----------
        may_leave : callable
            Asked, with the flow's state, while only an approval lets the run go on: whether to leave it so.
        again : bool
            Whether the run was left before, and is driven on at another place.

        Returns
        -------
        State
            The flow's state, as the engine sees it; not final for a run that is left.
        """
        now = self._clock()
        self._turn([PlaceChanged(now) if again else RunStarted(now)])
        while self._end is None:
            if self._left is not None and may_leave(self._left):
                self._end = self._left
            else:
                self._turn(self._gather())
        self.tell_logs()
        return self._end

    def tell_logs(self) -> None:
        """Tell the audience what task bodies said since the last time."""
        if lines := self._inbox.log_lines():
            self._audience.log(lines)

    def _gather(self) -> list[Event]:
        """Return the events of the next turn; sleep when there is nothing to do."""
        found: list[Event] = []
        told = self._engine.window
        room = min(self._session.room(), max(told, 1) * RAMP)
        if room < told or room > told * ROOM_STEP:
            found.append(RoomChanged(self._clock(), room))  # first: what follows may want to fill it
        refused, self._refused = self._refused, []
        found += refused
        found += self._inbox.events()
        found += self._timers.due(self._clock())
        # What has ended by now was not cancelled, and what it made may have to be cleaned up.
        found.sort(key=_is_cancel)
        if not found and not self._work() and not self._complete():
            left = self._timers.seconds_left(self._clock())
            self._clock.wait(self._inbox, left, is_asking=self._callbacks.is_asking)
        return found

    def _work(self) -> bool:
        """Lend this thread to the place, if it wants one; what bodies say meanwhile is told at once."""
        self._inbox.listener = self._audience.log if self._audience else None
        try:
            return self._session.work(WORK_BUDGET)
        finally:
            self._inbox.listener = None

    def _complete(self) -> bool:
        """Make what the end would have to make; return whether there was something."""
        with self._lock:
            return self._engine.complete(SPARE)

    def _turn(self, events: Sequence[Event]) -> None:
        """Take events to the engine and do what it wants: first on paper, then in the world."""
        self.tell_logs()
        if not events:
            return
        with collector_at_rest(), giving_way():
            self._take(events)

    def _take(self, events: Sequence[Event]) -> None:
        wanted: list[Instruction] = []
        handle, take = self._engine.handle, self._values.take
        with self._lock:
            for event in events:
                if type(event) is AttemptFinished:
                    event = take(event)  # noqa: PLW2901  # the report goes on without its value
                    self.has_heard = True
                elif isinstance(event, (RangeFinished, CallsFinished)):
                    self._values.take_many(event)
                    self.has_heard = True
                wanted += handle(event)
        if wanted:
            self._left = None  # it is said again if it still holds
            self._perform(wanted)

    def _perform(self, wanted: Sequence[Instruction]) -> None:
        now = self._clock()
        records: list[Record] = []
        changes: list[Transition | TransitionMany | TransitionEach] = []
        submits: list[Submit | SubmitMany] = []
        spans: list[Span] = []
        rest: list[Ask | SetTimer | CancelAll | StopReleased | AwaitApproval | EndRun] = []
        # The most frequent come first, and before classes that are abstract, of which it costs more to ask.
        for one in wanted:
            if isinstance(one, Submit):
                submits.append(one)
                records.append(Submitted(now, one.run, one.key, one.attempt, one.submission, one.ahead))
            elif isinstance(one, Release):
                spans.append((one.run, one.submission, 1))
            elif isinstance(one, (Transition, TransitionMany, TransitionEach)):
                changes.append(one)
                records.append(one)
            elif isinstance(one, SubmitMany):
                submits.append(one)
                records.append(
                    SubmittedMany(now, one.runs, one.slug, one.first, one.attempt, one.submission, one.ahead)
                )
            elif isinstance(one, ReleaseMany):
                spans.append((one.runs.start, one.submission, len(one.runs)))
            else:
                rest.append(one)
        if records:
            self._journal.record(records)
            self._journal.commit()
        if changes and self._audience:
            self._audience.turn(Changes(changes), self._engine.counts())
        if submits:
            self._submit(submits)
        if spans:
            self._session.release(spans)
        for other in rest:
            self._do(other)

    def _submit(self, submits: Sequence[Submit | SubmitMany]) -> None:
        lowered = self._lowering.lower(submits, self._engine.state)
        if lowered.shipments:
            self._session.submit(lowered)
        now = self._clock()
        self._refused += [
            AttemptRefused(now, submit.run, submit.submission, error) for submit, error in lowered.refused
        ]

    def _do(self, one: Ask | SetTimer | CancelAll | StopReleased | AwaitApproval | EndRun) -> None:
        match one:
            case Ask():
                engine = self._engine
                self._callbacks.ask(one, engine.key(one.run), engine.attempt(one.run))
            case SetTimer():
                self._timers.set(one)
            case CancelAll():
                self._session.cancel(one.why)
            case StopReleased():
                _logger.warning(
                    "The flow run is called off. What it has made is cleaned up first; cancel it again, or "
                    "press Ctrl-C again, to leave that out."
                )
                self._session.stop_released()
            case AwaitApproval():
                self._left = one.state
            case EndRun():
                self._end = one.state
            case _:
                assert_never(one)
