"""The engine: events in, instructions out. Knows the rules; knows neither Dask, user code nor the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final, TypeAlias, assert_never

from prefectlite.engine.board import FINAL, FLYING, PARKED, PENDING, WAITING
from prefectlite.engine.calling_off import call_off, left_to_do
from prefectlite.engine.conduct import Conduct
from prefectlite.engine.events import (
    Answered,
    AttemptCrashed,
    AttemptFinished,
    AttemptHeld,
    AttemptRefused,
    AttemptStarted,
    BrokenOff,
    CallsFinished,
    CancelRequested,
    Event,
    InputsConsumed,
    Measure,
    PlaceChanged,
    RangeFinished,
    ResultLost,
    ResumeRequested,
    RoomChanged,
    RunStarted,
    TimerFired,
)
from prefectlite.engine.frontier import BREADTH, Frontier
from prefectlite.engine.given import NONE_GIVEN, Given
from prefectlite.engine.instructions import (
    AwaitApproval,
    CancelAll,
    EndRun,
    Instruction,
    StopReleased,
)
from prefectlite.engine.landings import DONE, Landing
from prefectlite.engine.ledger import FLOW
from prefectlite.engine.outcome import flow_tally
from prefectlite.engine.overall import Overall
from prefectlite.engine.plan import FlowPlan
from prefectlite.engine.proposal import Proposal
from prefectlite.engine.questions import words
from prefectlite.engine.view import EngineView
from prefectlite.errors import EngineError
from prefectlite.rules.outcome import decide_flow
from prefectlite.rules.verdict import ASKED_FOR_BY, Reason
from prefectlite.states.report import Report, ResultRef, ValueSource
from prefectlite.states.state import (
    Cancelled,
    Crashed,
    Failed,
    State,
    Success,
)
from prefectlite.states.surroundings import NO_CONTEXT

_Said: TypeAlias = AttemptFinished | AttemptCrashed | AttemptRefused
_KNOWN: Final = Success("The value is known to the driver.", context=NO_CONTEXT)
_GIVEN: Final = Reason("value", "Constants and parameters need no run.")
_MAX_HOLDS: Final = 3


class Engine(EngineView):
    """Drives one flow run: tells what to do next from what happened.

    The engine is pure: it calls nothing outside, and time comes in with each event. Whoever owns it
    performs the instructions in order.

    Parameters
    ----------
    plan : FlowPlan
        What to run.
    run_id : str
        The flow run's identity; it seeds the jitter of retries.
    window : int
        How many submissions may be in flight at once, counted in task runs.
    values : ValueSource or None
        Put into each result reference, so that a state can fetch its value.
    breadth : int
        As of ``Frontier``: 0 where runs are done in the order in which they are submitted.
    state : State
        The flow run's first state; one that runs already does not begin, so that its handlers are not asked.
    given : mapping of int to Given
        What tasks begin with, by node, in place of ``Pending``.

    Examples
    --------
    >>> from prefectlite.engine.plan import FlowPlan, PlanNode, Policy
    >>> from prefectlite.rules.triggers import all_successful
    >>> plan = FlowPlan("one", (PlanNode("a-1", Policy(all_successful)),), frozenset({0}), frozenset({0}))
    >>> [type(step).__name__ for step in Engine(plan).handle(RunStarted(0.0))]
    ['Transition', 'Submit']
    """

    def __init__(
        self,
        plan: FlowPlan,
        *,
        run_id: str = "",
        window: int = 4096,
        values: ValueSource | None = None,
        breadth: int = BREADTH,
        state: State = PENDING,
        given: Mapping[int, Given] = NONE_GIVEN,
    ) -> None:
        super().__init__(plan, window, state)
        self._values = values
        self._frontier = Frontier(range(len(plan.nodes)), breadth)
        self._conduct = Conduct(self.board, self.wiring, self._ledger, self._frontier, run_id, given)
        self._overall = Overall(plan, self._ledger, self._conduct.questions)
        self._full = False
        # Why the flow run was called off, while it still cleans up.
        self._called_off = ""
        # Whether it was said that only an approval lets the flow run go on.
        self._is_left = False

    # Events

    def handle(self, event: Event) -> list[Instruction]:
        """Take in an event and return what to do about it, in order.

        Parameters
        ----------
        event : Event
            What happened; its time is the engine's now.

        Returns
        -------
        list of Instruction
            Empty for a stale event, and for any event after the end.

        Raises
        ------
        EngineError
            When the event cannot happen: an unknown run, question or submission.
        """
        if self.ended:
            return []
        self._ledger.now = event.time
        out = self._ledger.out = []
        match event:
            case AttemptFinished() | AttemptCrashed() | AttemptRefused():
                if self._is_current(event.run, event.submission):
                    self._take_or_keep(event.run, event)
            case RangeFinished() | CallsFinished():
                self._many_finished(event)
            case AttemptStarted():
                self._started(event)
            case InputsConsumed():
                self._consumed(event)
            case AttemptHeld():
                self._held_back(event)
            case ResultLost():
                self._is_current(event.run, event.submission)  # raises for what was never made
                self._conduct.losses.note(event.run, event.submission, event.text)
            case TimerFired() | ResumeRequested():
                self._go_on(event)
            case Answered():
                self._answered(event)
            case RoomChanged() | PlaceChanged():
                self._place_said(event)
            case CancelRequested() | BrokenOff():
                self._end_early(event)
            case RunStarted():
                self._begin()
            case _:
                assert_never(event)
        self._move_on()
        self.crowd = min(self.crowd, self.board.flying)
        return out

    def _move_on(self) -> None:
        if self.ended or not self._overall.is_going:
            return
        self._drain()
        self._fill_window()
        if self.board.unclaimed:
            self._conduct.losses.give_back()
        self._end_if_over()

    def _is_current(self, run: int, submission: int) -> bool:
        board = self.board
        if not 0 <= run < len(board.stage) or submission > board.submission[run]:
            known = board.story(run) if 0 <= run < len(board.stage) else f"there is no run {run}"
            raise EngineError(
                f"An event names submission {submission} of run {run}, which was never made: {known}."
            )
        return board.stage[run] == FLYING and board.submission[run] == submission

    def _begin(self) -> None:
        if self._overall.begin():
            self._set_off()

    def _set_off(self) -> None:
        for run, node in enumerate(self.plan.nodes):
            if node.kind == "value":
                self._conduct.end(run, _KNOWN, _GIVEN, self._ledger.now)
        self._conduct.beginnings.of_nodes()

    def _started(self, event: AttemptStarted) -> None:
        run = event.run
        if self._is_current(run, event.submission) and not self.board.unmet[run]:
            self._conduct.observe_running(run, event.time)

    def _answered(self, event: Answered) -> None:
        if (self._called_off or self.cancelled) and event.ask not in self.board.asks:
            return  # it is about what was called off
        if event.run == FLOW:
            self._flow_answered(event)
        else:
            self._conduct.answer(event)

    def _flow_answered(self, event: Answered) -> None:
        self._overall.answered(event)
        if self._overall.is_over:
            self._close()
        elif self._overall.is_going:
            self._set_off()

    def _consumed(self, event: InputsConsumed) -> None:
        if self._is_current(event.run, event.submission):
            self._conduct.consume(event.run, range(event.first, event.first + event.count))

    def _many_finished(self, event: RangeFinished | CallsFinished) -> None:
        if isinstance(event, RangeFinished):
            self._range_finished(event)
        else:
            self._calls_finished(event)

    def _range_finished(self, event: RangeFinished) -> None:
        board, reports = self.board, event.reports
        runs = range(event.run, event.run + len(reports))
        if not runs:
            return
        for run in (runs[0], runs[-1]):
            self._is_current(run, event.submission)  # raises for what was never made
        together, said = self._conduct.together, reports.said
        if together.may_land(runs, event.submission, said):
            if said is None:
                landing = Landing(runs, board.attempt[event.run], event.submission, reports, self._values)
                together.land(landing, _returned(reports.where))
                return
            if together.fail(runs, reports, _reported(said)):
                return
        for run in runs:
            self._is_current(run, event.submission)  # before the first of them changes anything
        for place, run in enumerate(runs):
            if self._is_current(run, event.submission):
                one = AttemptFinished(event.time, run, event.submission, reports.one(place))
                self._take_or_keep(run, one)
                self._drain()

    def _calls_finished(self, event: CallsFinished) -> None:
        reports = event.reports
        for run, submission in zip(event.runs, event.submissions, strict=True):
            self._is_current(run, submission)  # before the first of them changes anything
        for place in self._conduct.calls.land(event, _returned(reports.where), self._values):
            run, submission = event.runs[place], event.submissions[place]
            if self._is_current(run, submission):
                one = AttemptFinished(event.time, run, submission, reports.one(place))
                self._take_or_keep(run, one)
                self._drain()

    def _take_or_keep(self, run: int, event: _Said) -> None:
        if self.board.unmet[run]:
            # It could only run because its upstreams succeeded, so their reports are on their way.
            self.board.early.setdefault(run, event)
        else:
            self._take(run, event)

    def _take(self, run: int, event: _Said) -> None:
        self._conduct.land(run)
        match event:
            case AttemptFinished():
                self._conduct.observe_running(run, event.report.started)
                self._reported(run, event.report, event.submission)
            case AttemptCrashed():
                self._conduct.lose(run)
                self._crash(run, event.cause, event.text, event.time)
            case AttemptRefused():
                self._conduct.lose(run)
                text = f"It could not be sent to a worker: {words(event.error)}"
                failed = Failed(text, event.error)
                self._conduct.propose(
                    run, Proposal(failed, Reason("lowering", text), "weigh", event.time, forced=True)
                )
            case _:
                assert_never(event)

    def _reported(self, run: int, report: Report, submission: int) -> None:
        board = self.board
        node = board.node[run]
        if self.wiring.measures[node]:
            board.measures[run] = Measure(report.length, report.flat_length, report.unmappable)
        if report.state is not None:
            self._conduct.lose(run)
            why = _reported(report)
            outcome = Proposal(report.state, why, "weigh", report.ended, report.forced, report.retryable)
            self._conduct.propose(run, outcome)
            return
        ref = ResultRef(
            board.key(run),
            board.attempt[run],
            report.nbytes,
            report.inline,
            self._values,
            submission,
            report.location,
            report.digest,
        )
        if report.success is None:
            success, why = Success(DONE, ref, NO_CONTEXT), _returned(report.where)
        else:
            message = report.success.message or DONE
            if report.success.has_result:
                ref.given = report.success._result
            success = report.success.replace(message=message, result=ref)
            why = _told(message, report.where)
        if self.plan.nodes[node].policy.handled:
            self._conduct.propose(run, Proposal(success, why, "weigh", report.ended, report.forced))
        else:
            self._conduct.end(run, success, why, report.ended)

    def _crash(self, run: int, cause: str, text: str, time: float) -> None:
        why = Reason("outcome", text, (("cause", cause),))
        self._conduct.propose(run, Proposal(Crashed(text, cause=cause), why, "weigh", time))

    def _held_back(self, event: AttemptHeld) -> None:
        if self._is_current(event.run, event.submission):
            self._held(event.run)

    def _held(self, run: int) -> None:
        board = self.board
        if board.unmet[run]:
            board.held.add(run)
            return
        # Every upstream is a plain success by the books, so the hold has no cause that a rule knows.
        holds = board.holds[run] = board.holds.get(run, 0) + 1
        self._conduct.land(run)
        self._conduct.lose(run)
        if holds > _MAX_HOLDS:
            text = f"Its inputs could not be reached in {holds} submissions, though every upstream succeeded."
            self._crash(run, "input-unreachable", text, self._ledger.now)
        else:
            self._conduct.queue(run)

    def _place_said(self, event: RoomChanged | PlaceChanged) -> None:
        if isinstance(event, PlaceChanged):
            self._ledger.forget_place()
        else:
            self.window, self.crowd = event.window, self.board.flying

    def _go_on(self, event: TimerFired | ResumeRequested) -> None:
        if isinstance(event, TimerFired):
            if self._conduct.waits.fired(event):
                self._conduct.again(event.run)
            return
        if not 0 <= event.run < len(self.board.stage):
            raise EngineError(f"Run {event.run} was approved, but there is no such run.")
        self._is_left = False
        self._conduct.resume(event.run, event.why)

    # The window and the end

    def _drain(self) -> None:
        """Weigh every run that has nothing left to wait for."""
        while (run := self._conduct.settling.next_ripe()) is not None:
            if self.board.stage[run] == WAITING:
                self._conduct.decide(run)
            else:
                self._catch_up(run)

    def _catch_up(self, run: int) -> None:
        """Take in what a run in flight said before its upstreams were known to be final."""
        board = self.board
        event = board.early.pop(run, None)
        if event is not None:
            self._take(run, event)
        else:
            board.held.discard(run)
            self._held(run)

    def _fill_window(self) -> None:
        board = self.board
        room = self.window - board.flying - len(board.asks)
        # A window that was full is refilled by quarters: each refill is a Dask graph, and small ones cost.
        if self._full and room * 4 < self.window:
            return
        self._full = False
        pop, conduct, most = self._frontier.pop, self._conduct, self.window // 4
        while (runs := pop(min(room, most))) is not None:
            if len(runs) == 1:
                conduct.consider(runs.start)
            else:
                conduct.together.consider(runs)
            self._drain()
            room = self.window - board.flying - len(board.asks)
            if room <= 0:
                self._full = True
                return

    def _end_if_over(self) -> None:
        board = self.board
        if board.flying or board.asks or board.timers:
            self._is_left = False
        elif self._called_off:
            self._cancel(self._called_off)
        elif PARKED not in board.stage:
            self._finish(cancelled=False)
        elif not self._is_left:
            self._leave()

    def _leave(self) -> None:
        """Say that nothing but an approval lets the flow run go on."""
        self._is_left = True
        verdict = decide_flow(flow_tally(self.board), self.board.open, cancelled=False)
        self._ledger.flow_becomes(verdict.state, verdict.why)
        self._ledger.out.append(AwaitApproval(verdict.state))

    def _end_early(self, event: CancelRequested | BrokenOff) -> None:
        if isinstance(event, CancelRequested):
            self._cancel(event.why, event.remark)
        else:
            self._break_off(event.state)

    def _cancel(self, why: str, remark: str = "") -> None:
        """End all runs at once; the first time, all but what is left to clean up."""
        board = self.board
        reason = Reason("cancel", f"The flow run was cancelled: {why}.")
        plain, in_flight = Cancelled(reason.text), Cancelled(f"{reason.text} {remark}".rstrip())
        if not self._called_off and (left := left_to_do(board)):
            self._called_off = why
            now = self._ledger.now

            def end(run: int, was_in_flight: bool) -> None:
                self._conduct.end(run, in_flight if was_in_flight else plain, reason, now)

            call_off(board, self._ledger, self._conduct.limits, end, left)
            self._ledger.out.append(StopReleased())
            return
        self._ledger.out.append(CancelAll(why))
        self._end_all(lambda run: in_flight if board.stage[run] == FLYING else plain, reason)
        self._finish(cancelled=True)

    def _break_off(self, state: State) -> None:
        """End all runs at once, and the flow run in a state that nobody is asked about."""
        why, states = Reason("cancel", state.message or ""), self.board.states
        self._end_all(
            lambda run: Cancelled(f"It was {type(states[run]).__name__} when the run broke off."), why
        )
        self._ledger.flow_becomes(state, why)
        self._close()

    def _end_all(self, last: Callable[[int], State], why: Reason) -> None:
        board = self.board
        self.cancelled = True
        for run, stage in enumerate(board.stage):
            if stage != FINAL:
                self._ledger.commit(run, last(run), why, self._ledger.now)
                board.stage[run] = FINAL
                self._ledger.free(run)
            elif not self.wiring.shown[board.node[run]]:
                self._ledger.free(run)
        board.open = board.flying = 0
        board.asks.clear()
        board.timers.clear()
        board.early.clear()
        board.held.clear()

    def _finish(self, cancelled: bool) -> None:
        self._conduct.losses.forget()
        verdict = decide_flow(flow_tally(self.board), self.board.open, cancelled)
        self._overall.end(verdict)
        if self._overall.is_over or not verdict.state.is_finished():
            self._close()

    def _close(self) -> None:
        self.ended = True
        self._ledger.out.append(EndRun(self.flow_state))


def _reported(report: Report) -> Reason:
    state = report.state
    text = getattr(state, "message", None) or f"The body ended {type(state).__name__}."
    why = _told(text, report.where)
    return replace(why, read=(*why.read, (ASKED_FOR_BY, report.signal))) if report.signal else why


@lru_cache(maxsize=4096)
def _returned(where: str) -> Reason:
    return _told(DONE, where)


def _told(text: str, where: str) -> Reason:
    return Reason("outcome", text, (("worker", where),))
