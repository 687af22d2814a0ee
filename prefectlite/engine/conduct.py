"""What a run does next: the rules before it, its submission, its outcome, the rules after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, assert_never

from prefectlite.engine.ahead import Ahead
from prefectlite.engine.board import FINAL, FLYING, QUEUED, WAITING, Board
from prefectlite.engine.calls import Calls
from prefectlite.engine.events import Answered, Measure
from prefectlite.engine.frontier import Frontier
from prefectlite.engine.given import NONE_GIVEN, Beginnings, Given, going_on
from prefectlite.engine.instructions import Submit
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.limits import Limits
from prefectlite.engine.losses import GONE, Losses
from prefectlite.engine.mapping import unfold, width_of
from prefectlite.engine.pipeline import before
from prefectlite.engine.proposal import (
    Next,
    Proposal,
    handled,
    objection,
    with_exception,
    without_result,
)
from prefectlite.engine.questions import Questions, raised
from prefectlite.engine.readers import Readers
from prefectlite.engine.settling import Settling
from prefectlite.engine.sources import anchors_of, arguments_of
from prefectlite.engine.together import AGAIN, RUNNING, Together
from prefectlite.engine.waits import Waits
from prefectlite.engine.wiring import Wiring
from prefectlite.rules.crash import LOSSES, decide_crash, decide_loss
from prefectlite.rules.loop import decide_loop
from prefectlite.rules.resume import decide_resume
from prefectlite.rules.verdict import ASKED_FOR_BY, Become, Proceed, Reason, Verdict, Wait
from prefectlite.states.signals import Signal
from prefectlite.states.state import (
    Crashed,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Running,
    Scheduled,
    State,
    Success,
    TriggerFailed,
)
from prefectlite.states.surroundings import NO_CONTEXT
from prefectlite.states.transitions import may_become

#: A retry_delay in seconds that can be meant: a century.
_LONGEST_DELAY: Final = 3.2e9
_GONE: Final = Reason("result-lost", GONE)
_GATHERED: Final = Success("Every member succeeded; its consumer puts it together.", context=NO_CONTEXT)


class Conduct:
    """Leads each run through its rules; where user code must be heard, asks and goes on with other runs.

    Parameters
    ----------
    board : Board
        The books.
    wiring : Wiring
        The plan's facts.
    ledger : Ledger
        Where states change.
    frontier : Frontier
        Where runs come up that may go.
    run_id : str
        The flow run's identity; it seeds the jitter of retries.
    given : mapping of int to Given
        What nodes begin with.
    """

    def __init__(
        self,
        board: Board,
        wiring: Wiring,
        ledger: Ledger,
        frontier: Frontier,
        run_id: str,
        given: Mapping[int, Given] = NONE_GIVEN,
    ) -> None:
        self._board = board
        self._wiring = wiring
        self._ledger = ledger
        self._frontier = frontier
        self._run_id = run_id
        self._readers = Readers(board, wiring, ledger.free, ledger.free_many)
        self._ahead = Ahead(board, wiring, ledger, frontier)
        self.settling = Settling(board, ledger, self._ahead, self._readers, frontier)
        self.waits = Waits(board, ledger)
        self.beginnings = Beginnings(given, board, ledger, self.waits, self.settling)
        self._proposals: dict[int, Proposal] = {}
        self.questions = Questions(board, ledger)
        self.losses = Losses(board, ledger, self._ahead, self._readers, frontier)
        # Why a run that waits in the queue was let through; it is told when the run is seen to run.
        self._why: dict[int, Reason] = {}
        self.limits = Limits(board, frontier, self._why)
        self.calls = Calls(board, wiring, ledger, self.settling, self._why)
        self.together = Together(board, wiring, ledger, frontier, self._ahead, self.settling, self._why)

    # The rules before a run

    def consider(self, run: int) -> None:
        """Give a run that came up its chance: submit it if it may go, also ahead of its upstreams.

        Parameters
        ----------
        run : int
            Any run; one whose move it is not is left alone.
        """
        board = self._board
        stage = board.stage[run]
        if stage == QUEUED:
            self._start(run)
        elif stage == WAITING:
            if not board.unmet[run]:
                self.decide(run, has_room=True)
            elif self._ahead.may_go(run) and not self.losses.lacks_some(run):
                self._submit(run)

    def decide(self, run: int, *, has_room: bool = False) -> None:
        """Weigh the rules before a run whose upstreams are final.

        Parameters
        ----------
        run : int
            A waiting run.
        has_room : bool
            Whether it may be sent at once; else it comes up when the window has room.
        """
        if self.losses.holds_up(run):
            return
        verdict = before(self._board, run)
        if isinstance(verdict, Proceed) or self._is_approved(run, verdict):
            self._proceed(run, verdict.why, has_room)
        elif isinstance(verdict, Become):
            self._refuse(run, verdict.state, verdict.why)
        elif verdict.what == "children":
            mapped = Mapped(verdict.why.text, n_map_states=int(verdict.seconds))
            self.propose(run, Proposal(mapped, verdict.why, "unfold", self._ledger.now))
        else:
            edges = self._board.plan_node(run).ins
            shown = tuple((edge.token, self._board.shown_state(edge, run)) for edge in edges)
            self.questions.ask(run, "trigger", upstreams=shown)

    def _trigger_answered(self, event: Answered) -> None:
        run, error = event.run, event.error
        self._board.stage[run] = WAITING
        if error is None and event.answer:
            self._proceed(run, Reason("trigger", "The task's own trigger passed."))
            return
        read: tuple[tuple[str, str], ...] = ()
        if error is None:
            state: State = TriggerFailed("The task's own trigger refused it.")
        elif isinstance(error, Signal):
            state, read = error.state, ((ASKED_FOR_BY, type(error).__name__),)
        else:
            state = TriggerFailed(f"The task's own trigger raised {raised(error)}", error)
        if event.measure is not None:
            self._board.measures[run] = event.measure
        self._refuse(run, state, Reason("trigger", state.message or "The trigger decided.", read))

    def _refuse(self, run: int, state: State, why: Reason) -> None:
        # To go on after a pause that a rule asked for approves the start; any other pause leaves it open.
        then: Next = "approve" if isinstance(state, Paused) else "end"
        self.propose(run, Proposal(state, why, then, self._ledger.now))

    def _is_approved(self, run: int, verdict: Verdict) -> bool:
        """Return whether a rule would pause a run that was approved: a lost value has it decided anew."""
        pauses = isinstance(verdict, Become) and isinstance(verdict.state, Paused)
        return pauses and self.waits.may_start(run)

    def _proceed(self, run: int, why: Reason, has_room: bool = False) -> None:
        node = self._board.plan_node(run)
        if node.kind == "collection":
            self.end(run, _GATHERED, why, self._ledger.now)
        else:
            self._let_start(run, why, has_room)

    def _let_start(self, run: int, why: Reason, has_room: bool = False) -> None:
        self._why[run] = why
        self._board.stage[run] = QUEUED
        node = self._board.plan_node(run)
        if node.limits and not self.limits.admit(run):
            return  # it comes up when it is given its place
        if node.policy.handled:
            self._start(run)  # handlers need not wait for the window
        elif has_room:
            self._submit(run)
        else:
            self._frontier.push((run,))

    def _start(self, run: int) -> None:
        """Send a run, or ask its handlers first, once it has a place under all its limits."""
        board = self._board
        node = board.plan_node(run)
        if node.limits and not self.limits.admit(run):
            return
        if node.policy.handled and not isinstance(board.states[run], Running):
            if not board.attempt[run]:
                board.attempt[run] = 1
            self.propose(run, Proposal(RUNNING, self._why.pop(run), "start", self._ledger.now))
        else:
            self._submit(run)

    def queue(self, run: int) -> None:
        """Let a run go to the cluster as soon as the window and its limits have room.

        Parameters
        ----------
        run : int
            A run that may start.
        """
        self._board.stage[run] = QUEUED
        self._frontier.push((run,))

    def _submit(self, run: int) -> None:
        board, wiring = self._board, self._wiring
        if not self.losses.are_none and self._cannot_read(run):
            return
        node = board.node[run]
        ahead = board.unmet[run] > 0
        attempt = board.attempt[run] = board.attempt[run] or 1
        submission = board.submission[run] = board.submission[run] + 1
        arguments = arguments_of(board, run)
        after = anchors_of(board, wiring, run) if ahead else ()
        board.live[run] = submission
        board.stage[run] = FLYING
        board.flying += 1
        self._ledger.out.append(
            Submit(
                run,
                attempt,
                submission,
                board.key(run),
                arguments,
                after,
                ahead,
                bool(wiring.drops[node]),
                wiring.measures[node],
                board.past(run),
            )
        )
        if wiring.trusted[node]:
            self._ahead.mark(run)

    def _cannot_read(self, run: int) -> bool:
        """Do what follows if a value is lost that a run would read, and return whether one is."""
        if self.losses.lacks_input(run):
            self.limits.give_back(run)
            self.end(run, with_exception(Crashed(GONE, cause="result-lost")), _GONE, self._ledger.now)
            return True
        if self.losses.hit(run, self._weigh_loss):
            self.limits.give_back(run)
            return True
        return False

    def _unfold(self, node: int, proposal: Proposal) -> None:
        # A value may have been lost while state handlers were asked.
        if self.losses.holds_up(node):
            self._board.stage[node] = WAITING
            return
        width = width_of(self._board, node)
        if not isinstance(width, int):
            self._refuse(node, width.state, width.why)
            return
        # Its children are on the books before it is Mapped, so that counts tell of them and not of it.
        family = unfold(self._board, node, width)
        self._readers.family_grew(node)
        self.end(node, proposal.new, proposal.why, proposal.time)
        self.beginnings.of_children(node)
        self._frontier.push_many(range(family.base, family.base + width))

    # Proposals: a transition of a task with state handlers waits for their word

    def propose(self, run: int, proposal: Proposal) -> None:
        """Give a run a new state, after its task's state handlers have been heard.

        Parameters
        ----------
        run : int
            Any run that is not final.
        proposal : Proposal
            The state, and what follows from it.
        """
        if self._board.plan_node(run).policy.handled:
            ask = self.questions.ask(run, "handlers", old=self._board.states[run], new=proposal.new)
            self._proposals[ask] = proposal
        else:
            self._go_on(run, proposal)

    def _handlers_answered(self, event: Answered) -> None:
        run, proposal = event.run, self._proposals.pop(event.ask)
        old, state, error = self._board.states[run], event.answer, event.error
        asked = f"{type(old).__name__} -> {proposal.name}"
        wrong = objection(old, asked, state, error)
        if proposal.then == "start" and not isinstance(wrong or state, Running):
            self._board.attempt[run] -= 1  # it was not allowed to start after all
            self.limits.give_back(run)
        if wrong is not None:
            state, proposal = wrong, replace(proposal, then="end")
        if state is not proposal.new:
            self._measure_given(run, state, event.measure)
            proposal = replace(proposal, new=state, why=handled(proposal.why, state, wrong))
        self._go_on(run, proposal)

    def _measure_given(self, run: int, state: State, measure: Measure | None) -> None:
        """Keep a value that the handler left alone; else let go of it, and measure the new one."""
        board = self._board
        old = board.live[run]
        ref = state.result_ref
        if old and (ref is None or ref.submission != old):
            self._ledger.free(run)
        if ref is None:
            board.measures.pop(run, None)
        if measure is not None:
            board.measures[run] = measure

    def _go_on(self, run: int, proposal: Proposal) -> None:
        """Put a proposal's state on the books and do what follows from it."""
        state, then = proposal.new, proposal.then
        if not may_become(type(self._board.states[run]), type(state)):
            self._fail(run, f"It asked to be {proposal.name}, which cannot follow.", "outcome")
            return
        if isinstance(state, Failed) and not state.has_result:
            state = with_exception(state)
            proposal = replace(proposal, new=state)
        if then == "start" and isinstance(state, Running):
            self._ledger.commit(run, state, proposal.why, proposal.time)
            self.queue(run)
        elif then == "unfold" and isinstance(state, Mapped):
            self._unfold(run, proposal)
        elif then == "weigh" and isinstance(state, Failed) and not proposal.forced:
            self._ledger.commit(run, state, proposal.why, proposal.time)
            self._weigh_failure(run, state, proposal.retryable)
        elif isinstance(state, Looped):
            self._next_lap(run, state, proposal)
        elif isinstance(state, Finished):
            self.end(run, state, proposal.why, proposal.time)
        elif isinstance(state, Scheduled):
            self._ledger.commit(run, going_on(self._board, run, state), proposal.why, proposal.time)
            if not self.waits.begin(run, state, approves=then == "approve"):
                self.again(run)
        else:
            self._fail(
                run, f"It would be left {proposal.name} for ever: nothing follows from that.", "outcome"
            )

    def _fail(self, run: int, text: str, rule: str) -> None:
        self.end(run, with_exception(Failed(text)), Reason(rule, text), self._ledger.now)

    # The rules after a run

    def _weigh_failure(self, run: int, state: Failed, retryable: bool, asked: float | None = None) -> None:
        """Say whether a failed attempt is made again; a crash draws on its own budget."""
        board = self._board
        policy = board.plan_node(run).policy
        verdict: Verdict
        if isinstance(state, Crashed):
            verdict = self._weigh_crash(run, state)
        else:
            if asked is None:
                board.failures[run] = board.failures.get(run, 0) + 1
            seed = f"{self._run_id}:{self._board.key(run)}:{board.attempt[run]}"
            failures = board.failures[run]
            verdict = policy.retry.decide(failures, state, retryable, self._ledger.now, seed, asked)
        if isinstance(verdict, Become):
            self.propose(run, Proposal(verdict.state, verdict.why, "end", self._ledger.now))
        elif isinstance(verdict, Wait):
            self.questions.ask(run, "delay", attempt=board.failures[run])
        else:
            self._settle_as_it_is(run)

    def _weigh_loss(self, run: int, state: Crashed) -> None:
        self._weigh_failure(run, state, retryable=True)

    def _weigh_crash(self, run: int, state: Crashed) -> Verdict:
        board, policy, now = self._board, self._board.plan_node(run).policy, self._ledger.now
        if policy.idempotent:
            losses = board.losses[run] = board.losses.get(run, 0) + (state.cause in LOSSES)
            verdict = decide_loss(losses, state, now)
            if isinstance(verdict, Become):
                return verdict
        crashes = board.crashes[run] = board.crashes.get(run, 0) + 1
        return decide_crash(crashes, policy.max_crashes, state, now)

    def _delay_answered(self, event: Answered) -> None:
        run, error, delay = event.run, event.error, event.answer
        state = self._board.states[run]
        assert isinstance(state, Failed)
        is_number = isinstance(delay, int | float) and not isinstance(delay, bool)
        if error is None and is_number and 0 <= delay <= _LONGEST_DELAY:
            self._weigh_failure(run, state, retryable=True, asked=float(delay))
            return
        said = (
            f"raised {raised(error)}"
            if error
            else f"answered {delay if is_number else type(delay).__name__}, which is no time in seconds"
        )
        text = f"Its retry_delay {said}; the failure stands: {state.message}"
        self.end(run, state.replace(message=text), Reason("retry", text), self._ledger.now)

    def _next_lap(self, run: int, looped: Looped, proposal: Proposal) -> None:
        board = self._board
        # What it hands on is for the next iteration alone: in the history of a long loop it would pile up.
        self._ledger.commit(run, without_result(looped), proposal.why, proposal.time)
        verdict = decide_loop(board.key(run).loop)
        self.lose(run)  # a state handler may have made it of a success
        board.begin_lap(run, looped)
        self._ledger.commit(run, verdict.state, verdict.why, self._ledger.now)
        self._start_again(run, verdict.why)

    def resume(self, run: int, why: str) -> None:
        """Let a paused run go on.

        Parameters
        ----------
        run : int
            Any run; one that is not paused is left alone.
        why : str
            Who approved, in a few words.
        """
        verdict = decide_resume(self._board.states[run], why, self._ledger.now)
        if isinstance(verdict, Become) and self.waits.end(run):
            resumed = going_on(self._board, run, verdict.state)
            self._ledger.commit(run, resumed, verdict.why, self._ledger.now)
            self.again(run, verdict.why)

    def again(self, run: int, why: Reason = AGAIN) -> None:
        """Start a run once more after a failure, a pause or a wait.

        Parameters
        ----------
        run : int
            A run that waited.
        why : Reason
            What it waited for.
        """
        if not self.waits.asks_rules(run):
            self._start_again(run, why)
            return
        # It was put off before its rules let it start, so they are asked once its upstreams are final.
        self._board.stage[run] = WAITING
        if not self._board.unmet[run]:
            self.decide(run)

    def _start_again(self, run: int, why: Reason) -> None:
        board = self._board
        board.attempt[run] += 1
        board.holds.pop(run, None)
        self._let_start(run, why)

    # What is known of a run

    def end(self, run: int, state: State, why: Reason, time: float) -> None:
        """Give a run its last state.

        Parameters
        ----------
        run : int
            Any run that is not final.
        state : State
            How it ended.
        why : Reason
            What caused it.
        time : float
            When, in seconds since the epoch.
        """
        self._ledger.commit(run, state, why, time)
        self._settle_as_it_is(run)

    def _settle_as_it_is(self, run: int) -> None:
        """Let the state on the books be the last one."""
        board = self._board
        board.stage[run] = FINAL
        board.open -= 1
        if board.laps:
            board.end_lap(run)
        if run in board.lost:
            self.losses.clear(run)
        if run in board.again:
            self.losses.settle(run)
        else:
            self.settling.add(run)
        state = board.states[run]
        if isinstance(state, Failed) and board.plan_node(run).policy.on_failure:
            self.questions.ask(run, "on_failure", new=state)

    def observe_running(self, run: int, time: float) -> None:
        """Note that a worker runs a run's body, with the reason for which it was let through.

        Parameters
        ----------
        run : int
            A run in flight, or just landed.
        time : float
            When its body started, in seconds since the epoch.
        """
        board = self._board
        if not isinstance(board.states[run], Running):
            why = self._why.pop(run, None)
            if why is None:
                verdict = before(board, run)  # it went ahead of its upstreams; they are final by now
                why = verdict.why
            self._ledger.commit(run, RUNNING, why, time)

    def answer(self, event: Answered) -> None:
        """Go on with a run that waited for the word of user code.

        Parameters
        ----------
        event : Answered
            The answer.

        Raises
        ------
        EngineError
            When nobody asked.
        """
        ask = self.questions.take(event)
        match ask.question:
            case "trigger":
                self._trigger_answered(event)
            case "delay":
                self._delay_answered(event)
            case "handlers":
                self._handlers_answered(event)
            case "on_failure":
                pass
            case _:
                assert_never(ask.question)

    def consume(self, run: int, children: range) -> None:
        """Take back a run's claims on children that it has read for good, if it is not tried again.

        Parameters
        ----------
        run : int
            A run in flight.
        children : range
            Children of one map that stand side by side.
        """
        board = self._board
        policy = board.plan_node(run).policy
        has_failures_left = board.failures.get(run, 0) < policy.retry.max_retries
        if not (policy.handled or has_failures_left or self.losses.may_be_made_again(run)):
            self._readers.consume(run, children)

    def land(self, run: int) -> None:
        """Take a run out of flight; others may have its places.

        Parameters
        ----------
        run : int
            A run in flight.
        """
        board = self._board
        self._ledger.land(run)
        if board.plan.limits and board.plan_node(run).limits:
            self.limits.give_back(run)

    def lose(self, run: int) -> None:
        """Let go of an attempt that is no success, and take back what was sent ahead after it.

        Parameters
        ----------
        run : int
            A run that has just landed.
        """
        self._ledger.free(run)
        if run not in self._board.again:  # else what flies may have had the value before it was lost
            self._ahead.unmark(run)
