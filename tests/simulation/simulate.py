"""One case from start to end: engine, cluster and user code in virtual time, with every promise checked."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from prefectlite.engine.engine import Engine
from prefectlite.engine.events import (
    Answered,
    AttemptCrashed,
    AttemptFinished,
    AttemptRefused,
    CallsFinished,
    CancelRequested,
    Event,
    Measure,
    RangeFinished,
    ResumeRequested,
    RunStarted,
    TimerFired,
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
    one_by_one,
)
from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.states import signals
from prefectlite.states.state import (
    Crashed,
    Failed,
    Finished,
    Paused,
    Pending,
    Resume,
    Retrying,
    Skipped,
    State,
    Success,
)
from tests.simulation.begun import given_to
from tests.simulation.case import Case, HandlerKind, flattened, value_of
from tests.simulation.cluster import Cluster
from tests.simulation.moments import Moments
from tests.simulation.oracle import Name, begun_shape, handler_shape
from tests.simulation.parcels import require
from tests.simulation.promises import Promises
from tests.simulation.story import describe, tell
from tests.simulation.verdicts import SKIPS, SUCCESSES
from tests.simulation.wires import Maker

START: Final = 1_000_000.0
_FLOW: Final = -1
#: What a case of this size could never need; a run that takes more goes in circles.
_MOST_EVENTS: Final = 20_000


MANY = (SubmitMany, TransitionMany, TransitionEach, ReleaseMany)


class SimulationFailed(AssertionError):
    """A case did not go as it must; the text tells how to see it again."""


class Simulation:
    """Plays one case.

    Parameters
    ----------
    case : Case
        What happens.
    engine : callable
        Makes the engine; planted faults come in here.
    audit : bool
        Whether the books are checked after every event.
    """

    def __init__(self, case: Case, engine: Callable[..., Engine] = Engine, audit: bool = True) -> None:
        self.case = case
        self.audit = audit
        self.rng = random.Random(case.seed)
        self.now = START
        self.engine = engine(
            case.plan,
            run_id=f"{case.seed:032x}",
            window=case.window,
            given=given_to(case, START, begun_shape),
        )
        self.promises = Promises(self)
        self.pending: State = self.engine.flow_state
        self._heap: list[tuple[float, int, Maker | Callable[[], None], bool]] = []
        self._serial = 0
        self.cluster = Cluster(case, self.name_of, self.state_of, self._schedule, self.rng)
        self.moments = Moments(self)
        self.trace: list[tuple[Event, list[Instruction]]] = []
        self.journal: dict[int, list[Transition]] = {}
        #: The names of the instructions for many runs that came up.
        self.together: set[str] = set()
        self.timers: dict[int, int] = {}
        self.asks: dict[int, Ask] = {}
        #: Runs that somebody approved before their pause was over.
        self.approved: set[Name] = set()
        self.in_flight: set[tuple[int, int]] = set()
        self.ended: State | None = None
        #: The flow's state while only an approval lets it go on.
        self.left: State | None = None
        self.cancelled = False
        #: Whether the flow's state was final when somebody cancelled, and only its on_failure was awaited.
        self.was_over = False
        self.last: dict[int, int] = {}
        self.taken_back: set[int] = set()
        self._handled: dict[tuple[int, int, str], int] = {}

    # Playing

    def play(self) -> Simulation:
        """Run the case to its end and check what it came to.

        Raises
        ------
        SimulationFailed
            When a promise was broken; with the trace.
        """
        try:
            self._play()
            self.promises.check_end()
        except SimulationFailed:
            raise
        except Exception as error:
            raise SimulationFailed(self.story(error)) from error
        return self

    def _play(self) -> None:
        self._deliver(RunStarted(self.now))
        if self.case.cancel_at is not None:
            self._schedule(self.case.cancel_at, CancelRequested, True)
        while self._heap and not self.engine.ended:
            self._step()
        if not self.engine.ended:
            self.ended = self.left
        require(self.ended is not None, "nothing is left to happen, and the flow run has not ended")
        # What comes after the end changes nothing.
        for _ in range(20):
            if not self._heap:
                break
            self._step()

    def _step(self) -> None:
        at, _, what, is_event = heapq.heappop(self._heap)
        self.now = self.cluster.now = max(self.now, at)
        if is_event:
            self._deliver(what(self.now))  # type: ignore[call-arg, arg-type]
        else:
            what()  # type: ignore[call-arg]

    def _schedule(self, delay: float, what: Any, is_event: bool) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (self.now + max(delay, 0.0), self._serial, what, is_event))

    def _deliver(self, event: Event) -> None:
        self.cluster.now = self.now
        if isinstance(event, AttemptFinished | AttemptCrashed | AttemptRefused):
            self.in_flight.discard((event.run, event.submission))
        elif isinstance(event, RangeFinished):
            self.in_flight.difference_update(
                (event.run + place, event.submission) for place in range(len(event.reports))
            )
        elif isinstance(event, CallsFinished):
            self.in_flight.difference_update(zip(event.runs, event.submissions, strict=True))
        elif isinstance(event, TimerFired):
            self.timers.pop(event.timer, None)
        elif isinstance(event, Answered):
            del self.asks[event.ask]
        elif isinstance(event, CancelRequested) and not self.engine.ended:
            self.cancelled = self.cluster.called_off = True
            self.was_over = self.engine.flow_state.is_finished()
        elif isinstance(event, ResumeRequested):
            self.left = None
        over = self.engine.ended
        wanted = self.engine.handle(event)
        for one in wanted:
            if isinstance(one, MANY):
                again = isinstance(one, SubmitMany) and one.attempt > 1
                self.together.add(f"{type(one).__name__} again" if again else type(one).__name__)
        found = list(one_by_one(wanted))
        self.trace.append((event, found))
        require(len(self.trace) < _MOST_EVENTS, "it goes on and on")
        if self.audit:
            self.engine.audit()
        require(not over or not found, f"{event} came after the end and brought {found}")
        for instruction in found:
            require(self.ended is None, f"{instruction} came after EndRun")
            self._perform(instruction)
        self.cluster.settle_turn()
        self.promises.check_limits()
        if self.audit and not self.engine.ended:
            self.promises.check_nobody_waits_for_nothing()
        require(
            len(self.in_flight) <= self.case.window,
            f"{len(self.in_flight)} submissions are in flight, and the window is {self.case.window}",
        )

    # Performing

    def _perform(self, instruction: Instruction) -> None:
        match instruction:
            case Transition():
                self._transition(instruction)
            case Submit():
                self.in_flight.add((instruction.run, instruction.submission))
                self.last[instruction.run] = instruction.submission
                require(
                    instruction.key == self.engine.key(instruction.run)
                    and self.engine.run_of(instruction.key) == instruction.run,
                    f"{instruction.key} is the wrong name of run {instruction.run}",
                )
                self.moments.check_submit(instruction)
                self.cluster.submit(instruction)
            case Release(run, submission):
                if self.promises.flies(run) and not self.state_of(run).is_finished():
                    self.taken_back.add(run)
                self.in_flight.discard((run, submission))
                self.cluster.release(run, submission)
                self.promises.check_readers(run, submission)
            case SetTimer(run, timer, at):
                require(timer not in self.timers, f"timer {timer} was set twice")
                self.timers[timer] = run
                self._schedule(
                    at - self.now + self.rng.random() * 0.01, lambda t: TimerFired(t, run, timer), True
                )
                if self.rng.random() < self.case.faults.echoes:
                    self._schedule(at - self.now + 1, lambda t: TimerFired(t, run, timer), True)
            case Ask():
                self._ask(instruction)
            case CancelAll():
                require(self.cancelled, "CancelAll came though nobody cancelled")
                self.cluster.cancel()
            case StopReleased():
                require(self.cancelled, "StopReleased came though nobody cancelled")
            case AwaitApproval(state):
                require(self.left is None, "it was said twice that only an approval lets the flow run go on")
                require(not self.in_flight and not self.timers and not self.asks, "something can go on")
                self.left = state
            case EndRun(state):
                require(
                    state.is_finished(), f"nothing goes on, and nobody is asked for an approval: {state!r}"
                )
                self.ended = state

    def _transition(self, step: Transition) -> None:
        chain = self.journal.setdefault(step.run, [])
        self.promises.check_transition(step, chain)
        self.moments.check_step(step)
        chain.append(step)
        if isinstance(step.new, Resume):
            # Where somebody approved a pause before its time, its timer goes off in vain.
            self.timers = {timer: run for timer, run in self.timers.items() if run != step.run}
        if isinstance(step.new, Paused) and step.run != _FLOW:
            pause = sum(isinstance(one.new, Paused) for one in chain)
            delay = self.case.approval(*self.name_of(step.run), pause)
            if delay is not None:
                self._schedule(delay, lambda: self._approve(step), False)

    def _approve(self, pause: Transition) -> None:
        """Let somebody approve a pause, who may come too late, but not so late that it is another one's."""
        now = self.state_of(pause.run)
        if isinstance(now, Paused) and now is not pause.new:
            return
        waits = isinstance(now, Paused) and (now.start_time is None or pause.run in self.timers.values())
        if waits:
            self.approved.add(self.name_of(pause.run))
        self._deliver(ResumeRequested(self.now, pause.run))
        require(not waits or self.state_of(pause.run) is not now, f"{pause} was approved in vain")

    def _ask(self, ask: Ask) -> None:
        require(ask.ask not in self.asks, f"question {ask.ask} was asked twice")
        alone = all(one.run != ask.run for one in self.asks.values())
        require(alone, f"run {ask.run} was asked a second question while one was open")
        self.asks[ask.ask] = ask
        answer, error, measure = self._answer(ask)
        delay = self.rng.expovariate(1) * self.case.faults.slow_answers
        self._schedule(delay, lambda t: Answered(t, ask.run, ask.ask, answer, error, measure), True)

    def _answer(self, ask: Ask) -> tuple[Any, BaseException | None, Measure | None]:
        name = (_FLOW, -1) if ask.run == _FLOW else self.name_of(ask.run)
        require(ask.node == name[0], f"{ask} names the wrong node")
        match ask.question:
            case "trigger":
                return (*self._own_trigger(ask), None)
            case "delay":
                delay = self.case.delay(*name, ask.attempt)
                return delay, None if delay is not None else ValueError("no delay"), None
            case "on_failure":
                require(isinstance(ask.new, Failed), f"on_failure was asked about {ask.new!r}")
                now = self._state_of(ask.run)
                require(now is ask.new, f"on_failure was told of {ask.new!r}, not of {now!r}")
                return None, None, None
        require(ask.old is not None and ask.new is not None, f"{ask} shows no transition")
        assert ask.old is not None
        assert ask.new is not None
        require(self._state_of(ask.run) is ask.old, f"{ask} does not start from the state on the books")
        if isinstance(ask.new, Crashed) and ask.new.cause == "input-unreachable":
            self.moments.check_giving_up(ask.run)
        match self._word(name, type(ask.new).__name__):
            case "keep":
                return ask.new, None, None
            case "success":
                value = value_of(f"h{name}", handler_shape(name))
                if isinstance(value, list):
                    measure = Measure(len(value), len(flattened(value)))
                else:
                    measure = Measure(unmappable="it has no order")
                return Success("a handler says so", value), None, measure
            case "failed":
                return Failed("a handler says so", ValueError("handler")), None, None
            case "skipped":
                return Skipped("a handler says so"), None, None
            case "retrying":
                start = datetime.fromtimestamp(self.now + 1, tz=UTC)
                return Retrying("a handler wants it", start_time=start), None, None
            case "pending":
                return Pending("a handler wants it"), None, None
            case "nonsense":
                return None, None, None
            case "raise":
                return None, ValueError("the handler is broken"), None

    def _word(self, name: Name, new: str) -> HandlerKind:
        """Return what state handlers do about a transition; a value that is made again is not replaced."""
        if name[0] == _FLOW:
            return self.case.flow_handlers.get(new, "keep")
        if self.run_of(name) in self.moments.missed:
            return "keep"
        count = self._handled[(*name, new)] = self._handled.get((*name, new), 0) + 1
        return self.case.handling(*name, "", new, count)

    def _state_of(self, run: int) -> State:
        return self.engine.flow_state if run == _FLOW else self.state_of(run)

    def _own_trigger(self, ask: Ask) -> tuple[Any, BaseException | None]:
        node = self.case.plan.nodes[ask.node]
        tokens = [token for token, _ in ask.upstreams]
        require(tokens == [edge.token for edge in node.ins], f"{ask} shows the edges {tokens}")
        seen: list[State] = []
        for _, state in ask.upstreams:
            seen.extend(getattr(state, "map_states", (state,)))
        names = [type(state).__name__ for state in seen]
        require(all(isinstance(state, Finished) for state in seen), f"{ask} shows states that are not final")
        match self.case.triggers[ask.node].custom:
            case "cleanup":
                made = [
                    state.is_successful() and not state.is_skipped()
                    for edge, state in ask.upstreams
                    if edge.key
                ]
                return all(made), None if all(made) else signals.SKIP("There is nothing to clean up.")
            case "odd_successes":
                return sum(name in SUCCESSES for name in names) % 2 == 1, None
            case "any_skipped":
                return [name for name in names if name in SKIPS], None
            case "truthy":
                return "yes", None
            case "falsy":
                return 0, None
            case "raises":
                return None, ZeroDivisionError("the trigger is broken")
            case "signals_skip":
                return None, signals.SKIP("the trigger skips")
            case "signals_fail":
                return None, signals.FAIL("the trigger fails", result=ValueError("trigger"))

    # Looking at the engine

    def name_of(self, run: int) -> Name:
        """Return a run's node and its place in the map; -1 for a run that is no child."""
        node = self.engine.node_of(run)
        return node, (-1 if run == node else run - self.engine.children(node)[0])

    def run_of(self, name: Name) -> int | None:
        """Return a run's number."""
        node, index = name
        if index < 0:
            return node
        children = self.engine.children(node)
        return children[index] if index < len(children) else None

    def state_of(self, run: int) -> State:
        """Return a run's state."""
        return self.engine.state(run)

    # Telling

    def story(self, error: BaseException | None = None) -> str:
        """Return the plan and all that happened, for a person."""
        lines = []
        if error is not None:
            case = self.case
            name = f"Corner {case.corner}" if case.corner else f"Seed {case.seed}"
            which = "corner" if case.corner else f"seed --sim-seed {case.seed} --sim-kind '{case.kind}'"
            lines += [
                f"{name}: {type(error).__name__}: {error}",
                f"Replay: python -m pytest tests/simulation -k {which}",
            ]
        lines += ["", *describe(self.case), ""]
        for event, found in self.trace:
            lines.append(f"  {tell(event)}")
            lines += [f"      -> {tell(instruction)}" for instruction in found]
        return "\n".join(lines)


def play(case: Case, engine: Callable[..., Engine] = Engine, audit: bool = True) -> Simulation:
    """Play a case; see ``Simulation``."""
    return Simulation(case, engine, audit).play()
