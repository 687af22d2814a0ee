"""One flow run: assembled, driven, resumed, called off. Knows all rooms below; has no words, no picture."""

from __future__ import annotations

import logging
import traceback
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from prefectlite.core.graph import FlowGraph
from prefectlite.core.surroundings import run_layer
from prefectlite.core.task import Task
from prefectlite.driver.approval import Approver
from prefectlite.driver.callbacks import Callbacks
from prefectlite.driver.clock import Clock, RealTime
from prefectlite.driver.flow_handlers import FlowHandlers
from prefectlite.driver.given_states import GivenStates
from prefectlite.driver.inbox import Inbox
from prefectlite.driver.interrupts import Interrupts
from prefectlite.driver.keepings import Keepings
from prefectlite.driver.leaving import Leaving, runs_to_resume
from prefectlite.driver.loop import FIRST_ROOM, Loop, collector_at_rest
from prefectlite.driver.numbers import live_numbers, numbers_of
from prefectlite.driver.observer import Audience, Observer
from prefectlite.driver.outcome import task_states
from prefectlite.driver.places import Places
from prefectlite.driver.raising import FirstRaised
from prefectlite.driver.readable import ReadableRun
from prefectlite.driver.task_contexts import TaskContexts
from prefectlite.driver.terms import terms_of
from prefectlite.driver.values import Values
from prefectlite.engine.board import PENDING
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import BrokenOff, CancelRequested, Event, ResumeRequested
from prefectlite.engine.frontier import BREADTH
from prefectlite.engine.transitions import Transition
from prefectlite.errors import ExecutorError
from prefectlite.executors.protocol import Executor, RunBrief, Session, Span
from prefectlite.journal.memory import MemoryJournal
from prefectlite.journal.protocol import Journal
from prefectlite.lowering.compile import Compiled
from prefectlite.lowering.compile import compile as compile_flow
from prefectlite.lowering.lower import Lowering
from prefectlite.masking import mask
from prefectlite.notifications.outbox import OUTBOX
from prefectlite.schedules.events import ClockEvent
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Cancelled, Failed, State
from prefectlite.worker.concealed import concealing
from prefectlite.worker.failures import described
from prefectlite.worker.inner import Inner

_logger = logging.getLogger(__name__)

#: How long ``wait`` gives a flow run to end after Ctrl-C, in seconds.
GRACE: Final = 30.0


class Run(ReadableRun):
    """One run of a flow; it leaves the flow's graph as it is.

    Parameters
    ----------
    graph : FlowGraph
        What to run.
    parameters : mapping of str to object
        Values for the flow's parameters; checked here, before anything starts.
    executor : Executor
        Where to run.
    observers : iterable of Observer
        Whom to tell.
    journal : Journal or None
        Where to write; by default, in memory.
    run_id : str or None
        The flow run's identity, 32 hexadecimal digits; by default, a new one.
    start : ClockEvent or None
        What it was scheduled for: the moment, and parameters; by default, it is when it begins.
    log_level : int or None
        The lowest level of the task bodies' log records that are brought here; by default, that of the
        settings.
    context : mapping of str to object, or None
        What the context of its tasks and callbacks holds more; it goes before that of the settings.
    waits : bool
        Whether a run that only an approval lets go on waits for ``resume``; else ``drive`` returns its
        ``Running`` state, and may be called again once something was resumed.
    ask : callable or None
        Asked, in the driving thread, which of the paused task runs are approved, before the run is left.
    raises : bool
        Whether ``drive`` ends at the first exception that a task fails with, and raises it.
    clock : Clock or None
        What time it is, and how to wait; by default, the time of day.
    task_handlers : sequence of callable
        State handlers for all of its tasks, called with a ``TaskRunner``, after a task's own.
    task_contexts : TaskContexts or None
        What the contexts of single tasks hold more; it goes before ``context``.
    given : GivenStates or None
        The states that some of its tasks begin with.
    state : State or None
        The state that it begins with itself; ``Pending`` by default.

    Raises
    ------
    ConfigError
        When the settings cannot be read.
    ContextError
        When the context has a name that it cannot have, or a date that is none.
    DefinitionTypeError
        When a task of the flow lacks an argument.
    ParameterError
        When a parameter is unknown, missing or of the wrong type.
    """

    def __init__(
        self,
        graph: FlowGraph,
        parameters: Mapping[str, Any],
        executor: Executor,
        *,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        run_id: str | None = None,
        start: ClockEvent | None = None,
        log_level: int | None = None,
        context: Mapping[str, Any] | None = None,
        waits: bool = False,
        ask: Approver | None = None,
        raises: bool = False,
        clock: Clock | None = None,
        task_handlers: Sequence[Callable[..., Any]] = (),
        task_contexts: TaskContexts | None = None,
        given: GivenStates | None = None,
        state: State | None = None,
    ) -> None:
        graph.validate()
        self._terms = terms_of(
            graph,
            parameters,
            start=start,
            context=context,
            task_contexts=task_contexts,
            log_level=log_level,
            raises=raises,
        )
        run_id = uuid.uuid4().hex if run_id is None else run_id
        self._inbox = Inbox()
        self._values = Values()
        brief = RunBrief(run_id, graph.name, self._terms.log_level)
        super().__init__(
            graph,
            run_id,
            self._terms.parameters,
            MemoryJournal() if journal is None else journal,
            Places(executor, brief, self._inbox, self._values),
        )
        self._first_raised = FirstRaised() if self._terms.raises else None
        self._audience = Audience([*observers, *([self._first_raised] if self._first_raised else [])])
        # When the run was to begin, in seconds since the epoch.
        self._began = 0.0
        self._clock: Clock = RealTime() if clock is None else clock
        self._leaving = Leaving(self._inbox.is_empty, waits=waits, ask=ask)
        self._looping = False
        self._state: State | None = None
        self._error: BaseException | None = None
        self._task_handlers = tuple(task_handlers)
        self._given = GivenStates(graph, None) if given is None else given
        self._first_state = PENDING if state is None else state
        # They must not keep the run alive, whose last holder lets go of its values.
        self._flow_handlers = FlowHandlers(graph, _weakly(self))

    # What may be wished for, from any thread

    def resume(self, key: RunKey, why: str = "approved by the user") -> bool:
        """Let a paused task run go on.

        Parameters
        ----------
        key : RunKey
            Its name; a map's name means all of its children that are paused.
        why : str
            The reason that the state gives.

        Returns
        -------
        bool
            Whether the run was left: then ``drive`` must be called again, in whatever thread.

        Raises
        ------
        ValueError
            When it is not paused.
        """
        with self._lock:
            numbers = runs_to_resume(self._engine, key, self.flow_name)
            now = self._clock()
            self._inbox.deliver([ResumeRequested(now, number, why) for number in numbers])
            is_left = self._done.is_set()
            if is_left:
                self._done.clear()
            return is_left

    def cancel(self, why: str = "cancelled by the user") -> bool:
        """Ask the run to end: nothing new starts, what is running is stopped where that is possible.

        Parameters
        ----------
        why : str
            The reason that the states give.

        Returns
        -------
        bool
            Whether the run was left with something to clean up: then ``drive`` must be called again.
        """
        asked = CancelRequested(self._clock(), why, self._places.leaves_behind)
        # A handler of a signal may call this while its thread has the lock, but not when the run is over.
        if self._done.is_set() and (again := self._cancel_left(asked)) is not None:
            return again
        self._places.hold()  # before the driver reads of it: it may let bodies begin again, to clean up
        self._inbox.deliver([asked])
        return False

    def _cancel_left(self, asked: CancelRequested) -> bool | None:
        """End a run that was left; return whether it must be driven for that, None if it is none."""
        with self._lock:
            engine = self._engine
            is_left = self._done.is_set() and self._error is None and not _is_final(self._state)
            if engine is None or not is_left:
                return None
            if engine.has_to_clean_up():
                self._done.clear()
                self._inbox.deliver([asked])
                return True
            # Nothing is in flight, so that no place is needed.
            assert self._compiled is not None
            self._put_down(engine, asked)
            self.journal.close()
            self._result = task_states(self._compiled, engine)
            self._state = engine.flow_state.replace(result=self._result)
            return False

    def _put_down(self, engine: Engine, event: Event) -> None:
        """Write down what changes, where nothing is to be done about it any more."""
        self.journal.record([one for one in engine.handle(event) if isinstance(one, Transition)])
        self.journal.commit()

    def wait(self, timeout: float | None = None) -> State:
        """Wait for the run's end; Ctrl-C in here cancels the run and goes on once it has ended.

        A second Ctrl-C leaves out what the run would clean up before.

        Parameters
        ----------
        timeout : float or None
            Seconds; None waits for ever.

        Returns
        -------
        State
            The flow's final state.

        Raises
        ------
        TimeoutError
            When the run is not over by then; it goes on.
        ExecutorError
            When the place could not be reached.
        """
        try:
            over = self._done.wait(timeout)
        except KeyboardInterrupt:
            self._end_by_ctrl_c()
            raise
        if not over:
            raise TimeoutError(
                f"The run of flow {self.flow_name!r} is not over after {timeout} seconds; it goes on. "
                "Wait again, or call cancel()."
            )
        if self._error is not None:
            raise self._error
        assert self._state is not None
        return self._state

    def _end_by_ctrl_c(self) -> None:
        """Cancel the run and wait for its end; a second Ctrl-C leaves out what is cleaned up before."""
        self.cancel("interrupted by Ctrl-C")
        try:
            self._done.wait(GRACE)
        except KeyboardInterrupt:
            self.cancel("interrupted by Ctrl-C")
            self._done.wait(GRACE)

    # The driving thread

    def open(self) -> None:
        """Open the place to run, which may take its time to start behind our back.

        Raises
        ------
        ExecutorError
            When the place cannot be reached.
        """
        self._places.open()

    def abandon(self) -> None:
        """Close what ``open`` opened, for a run that nobody will drive; what was asked of it was in vain."""
        self._places.close()
        with self._lock:
            self._inbox.events()
            self._done.set()

    def drive(self) -> State:
        """Drive the run in this thread until it is over, or left since only an approval lets it go on.

        Returns
        -------
        State
            The flow's state, not final for a run that is left; ``result`` maps each task to its state.

        Raises
        ------
        ExecutorError
            When the place cannot be reached.
        KeyboardInterrupt
            After Ctrl-C, once the run has ended. (After a SIGTERM, the process ends then.)
        """
        with Interrupts(self._interrupted, self._places.interrupt_again), run_layer():
            concealing.acquire()
            try:
                with Inner(lambda: self._looping, self._ended_outside):
                    state = self._drive()
            finally:
                self._looping = False
                concealing.release()
                OUTBOX.drain()  # what is told of this run has a few seconds to go out; Ctrl-C ends that, too
        if self._first_raised is not None:
            self._first_raised.check()
        return state

    def _drive(self) -> State:
        try:
            while True:
                state = self._conduct(self._places.open())
                self.journal.close()
                if self._has_ended(state):
                    return state
        except BaseException as error:
            self._error = error
            self.journal.close()
            self._done.set()
            raise

    def _has_ended(self, state: State) -> bool:
        """Say that the run is over or left; False when somebody resumed it while its place was closed."""
        with self._lock:
            if not state.is_finished():
                # What else came in is of the place that was closed.
                wishes = [one for one in self._inbox.events() if isinstance(one, ResumeRequested)]
                if wishes:
                    self._inbox.deliver(wishes)
                    return False
            self._state = state
            self._done.set()
            return True

    def _interrupted(self, how: str) -> None:
        if self._leaving.is_asking or not self._looping:
            raise KeyboardInterrupt  # nothing of ours runs that would have to end in order
        self.cancel(f"interrupted by {how}")
        self._places.interrupt()

    def _ended_outside(self) -> bool:
        if self._leaving.is_asking:
            return False
        self.cancel("the body that it ran in was called off")
        return True

    def _conduct(self, session: Session) -> State:
        loop: Loop | None = None
        callbacks: Callbacks | None = None
        try:
            self._audience.started(self)
            again = self._engine is not None
            self._result = None
            compiled, engine = self._assembled(session.pickles)
            terms = self._terms
            lowering = Lowering(
                compiled,
                run_id=self.run_id,
                flow_name=self.flow_name,
                log_level=terms.log_level,
                inline_limit=terms.inline_limit,
                context=terms.context,
                contexts=terms.task_contexts,
                hidden=terms.hidden,
                pickles=session.pickles,
                scheduled=self._began,
                place=self._places.count,
                folder=terms.folder,
            )
            callbacks = Callbacks(
                compiled.tasks,
                compiled.options,
                self._inbox.deliver,
                terms.facts(self.flow_name, self.run_id, self._began),
                flow=self._flow_handlers,
                of_tasks=self._task_handlers,
                contexts=terms.task_contexts,
                constants=compiled.constants,
                clock=self._clock,
            )
            self._values.number_by(live_numbers(engine))
            loop = Loop(
                engine=engine,
                lowering=lowering,
                session=session,
                inbox=self._inbox,
                journal=self.journal,
                audience=self._audience,
                callbacks=callbacks,
                values=self._values,
                lock=self._lock,
                clock=self._clock,
            )
            self._looping = True
            state = loop.run(lambda left: self._leaving.may_leave(self, left), again=again)
            return self._finish(state, engine.kept())
        except BaseException as error:
            return self._break_off(error, loop)
        finally:
            if callbacks is not None:
                callbacks.close()

    def _assembled(self, pickles: bool) -> tuple[Compiled, Engine]:
        """Return the compiled flow and its engine; a run that was left goes on with those that it had."""
        if self._compiled is None or self._engine is None:
            scheduled = self._terms.scheduled
            self._began = self._clock() if scheduled is None else scheduled.timestamp()
            with collector_at_rest():
                compiled = compile_flow(
                    self._graph,
                    self.parameters,
                    handled=bool(self._task_handlers),
                    approves=self._terms.approves,
                )
                # What is changed in the flow from now on is not this run's.
                self.slugs = self._graph.slugs.copy()
                self._values.keep_by(Keepings(compiled, self._terms.folder))
                engine = Engine(
                    compiled.plan,
                    run_id=self.run_id,
                    values=self._values,
                    window=FIRST_ROOM,
                    # In this process what is sent first is done first, and its values wait for their readers.
                    breadth=BREADTH if pickles else 0,
                    state=self._first_state,
                    given=self._given.by_node(compiled),
                )
            with self._lock:
                self._compiled, self._engine = compiled, engine
        return self._compiled, self._engine

    def _finish(self, flow_state: State, keep: Sequence[Span]) -> State:
        """Build the state that the user gets, and close the place."""
        self._result = self._last_states()
        state = flow_state.replace(result=self._result)
        self._audience.ended(state)
        self._places.close(keep)
        return state

    def _break_off(self, error: BaseException, loop: Loop | None) -> State:
        """End a run that our own side cannot go on with: never a hang, never a lost state."""
        # Such as Ctrl-C, or what a handler of an alarm raises, which is for who called us.
        by_user = not isinstance(error, Exception)
        # A place that was never reached has run nothing, and a flow that cannot be compiled is the caller's
        # to mend: there is no state worth having. Afterwards, the states matter more than the error.
        is_callers = loop is None or (
            isinstance(error, ExecutorError) and not loop.has_heard and self._places.count == 1
        )
        why = "The run was broken off." if by_user else f"The run broke off: {described(error)}"
        self._places.cancel(why)
        text = None if by_user else mask("".join(traceback.format_exception(error)))
        state: State = Cancelled(why) if by_user else Failed(why, traceback=text)
        self._result = self._broken_off(state)
        state = state.replace(result=self._result)
        self._audience.ended(state)
        self._places.close()
        if by_user or is_callers:
            raise error
        # An error of a place says what is wrong, and where the mend is.
        is_said = isinstance(error, ExecutorError)
        what = f": {described(error)}" if is_said else "."
        _logger.error(
            "Flow run %s of %r broke off%s",
            self.run_id,
            self.flow_name,
            what,
            exc_info=None if is_said else error,
        )
        _logger.debug("It broke off here.", exc_info=error)
        return state

    def _broken_off(self, state: State) -> dict[Task, State]:
        """Tell the engine and the journal that nothing goes on; return how the tasks have ended."""
        try:
            with self._lock:
                if self._engine is not None:
                    self._put_down(self._engine, BrokenOff(self._clock(), state))
        except Exception:  # it may be one of these that broke
            _logger.debug("The end of the run was not put down.", exc_info=True)
        return {
            task: one
            if one.is_finished()
            else Cancelled(f"It was {type(one).__name__} when the run broke off.")
            for task, one in self._last_states().items()
        }

    def _last_states(self) -> dict[Task, State]:
        states = self.states()
        if self._compiled is not None and self._engine is not None:
            self._values.number_by(numbers_of(self._compiled, self._engine))
        return states


def _is_final(state: State | None) -> bool:
    return state is None or state.is_finished()


def _weakly(run: Run) -> Callable[[], Mapping[Task, State]]:
    known = weakref.ref(run)

    def states() -> Mapping[Task, State]:
        found = known()
        assert found is not None  # who drives it holds it
        return found.states()

    return states
