"""One case from start to end: engine, cluster and user code in virtual time, with every promise checked."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any, Final

from prefectlite.engine.engine import Engine
from prefectlite.engine.events import (
    Answered,
    AttemptCrashed,
    AttemptFinished,
    AttemptRefused,
    CancelRequested,
    Event,
    Measure,
    RunStarted,
    TimerFired,
)
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
from prefectlite.engine.plan import PlanEdge
from prefectlite.rules.verdict import Reason
from prefectlite.states import signals
from prefectlite.states.state import Failed, Finished, Retrying, Skipped, State, Success
from prefectlite.states.transitions import may_become
from tests.simulation.cluster import BrokenPromise, Cluster, Maker, require
from tests.simulation.generate import Case, flattened, value_of
from tests.simulation.oracle import FAILURES, SKIPS, SUCCESSES, End, Name, Oracle, handler_shape, names_of

START: Final = 1_000_000.0
_FLOW: Final = -1
#: What a case of this size could never need; a run that takes more goes in circles.
_MOST_EVENTS: Final = 20_000


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
        self.engine = engine(case.plan, run_id=f"{case.seed:032x}", window=case.window)
        self.cluster = Cluster(case, self.name_of, self.state_of, self._schedule, self.rng)
        self.trace: list[tuple[Event, list[Instruction]]] = []
        self.journal: dict[int, list[Transition]] = {}
        self.timers: dict[int, int] = {}
        self.asks: dict[int, Ask] = {}
        self.in_flight: set[tuple[int, int]] = set()
        self.ended: State | None = None
        self.cancelled = False
        self._last: dict[int, int] = {}
        self._heap: list[tuple[float, int, Maker | Callable[[], None], bool]] = []
        self._serial = 0
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
            self._check_end()
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
        require(self.engine.ended, "nothing is left to happen, and the flow run has not ended")
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
        elif isinstance(event, TimerFired):
            self.timers.pop(event.timer, None)
        elif isinstance(event, Answered):
            del self.asks[event.ask]
        elif isinstance(event, CancelRequested) and not self.engine.ended:
            self.cancelled = True
        over = self.engine.ended
        found = self.engine.handle(event)
        self.trace.append((event, found))
        require(len(self.trace) < _MOST_EVENTS, "it goes on and on")
        if self.audit:
            self.engine.audit()
        require(not over or not found, f"{event} came after the end and brought {found}")
        for instruction in found:
            require(self.ended is None, f"{instruction} came after EndRun")
            self._perform(instruction)
        self.cluster.settle_turn()
        if self.audit and not self.engine.ended:
            self._check_nobody_waits_for_nothing()
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
                self._last[instruction.run] = instruction.submission
                require(
                    instruction.key == self.engine.key(instruction.run)
                    and self.engine.run_of(instruction.key) == instruction.run,
                    f"{instruction.key} is the wrong name of run {instruction.run}",
                )
                self.cluster.submit(instruction)
            case Release(run, submission):
                self.in_flight.discard((run, submission))
                self.cluster.release(run, submission)
                self._check_readers(run, submission)
            case SetTimer(run, timer, at):
                require(timer not in self.timers, f"timer {timer} was set twice")
                self.timers[timer] = run
                self._schedule(at - self.now + self.rng.random() * 0.01, lambda t: TimerFired(t, run, timer), True)
                if self.rng.random() < self.case.faults.echoes:
                    self._schedule(at - self.now + 1, lambda t: TimerFired(t, run, timer), True)
            case Ask():
                self._ask(instruction)
            case CancelAll():
                require(self.cancelled, "CancelAll came though nobody cancelled")
                self.cluster.cancel()
            case EndRun(state):
                self.ended = state

    def _transition(self, step: Transition) -> None:
        require(isinstance(step.why, Reason) and bool(step.why.rule and step.why.text), f"{step} has no reason")
        chain = self.journal.setdefault(step.run, [])
        if chain:
            require(chain[-1].new is step.old, f"{step} does not follow from {chain[-1].new!r}")
        else:
            require(type(step.old).__name__ == "Pending", f"{step} is the first, and does not begin at Pending")
            self._check_upstreams(step)
        require(
            may_become(type(step.old), type(step.new)),
            f"{step.key}: {type(step.old).__name__} may not become {type(step.new).__name__}",
        )
        if isinstance(step.new, Retrying) and step.why.rule == "retry":
            self._check_delay(step, step.new)
        require(not chain or chain[-1].attempt <= step.attempt, f"{step} goes back to an older attempt")
        if step.run != _FLOW:
            require(step.key == self.engine.key(step.run), f"{step} has the wrong name")
        chain.append(step)

    def _check_delay(self, step: Transition, new: Retrying) -> None:
        """A retry starts as long after the failure was weighed as its policy says, whatever the worker's clock."""
        name = self.name_of(step.run)
        policy = self.case.plan.nodes[name[0]].policy.retry
        if policy.asks_delay:
            delay = self.case.delay(*name, new.run_count) or 0.0
        else:
            delay = policy.delays[min(new.run_count, len(policy.delays)) - 1] if policy.delays else 0.0
        require(new.start_time is not None, f"{step} says no time")
        assert new.start_time is not None
        waits = new.start_time.timestamp() - step.time
        most = delay * (1 + policy.jitter)
        require(delay - 1e-3 <= waits <= most + 1e-3, f"{step} waits {waits} s; by its policy {delay} to {most} s")

    def _check_upstreams(self, step: Transition) -> None:
        """Nothing is told of a run before its upstreams are final, in whatever order reports come."""
        if step.run == _FLOW or self.cancelled:
            return
        number, index = self.name_of(step.run)
        for edge in self.case.plan.nodes[number].ins:
            whole = self.case.plan.nodes[number].is_mapped and index < 0 and edge.mapped and not edge.flattened
            for up in [edge.upstream] if whole else self._shown(edge, index):
                require(
                    self.state_of(up).is_finished(),
                    f"{step.key} became {type(step.new).__name__} while {self.engine.key(up)} was {self.state_of(up)!r}",
                )

    def _ask(self, ask: Ask) -> None:
        require(ask.ask not in self.asks, f"question {ask.ask} was asked twice")
        alone = all(one.run != ask.run for one in self.asks.values())
        require(alone, f"run {ask.run} was asked a second question while one was open")
        self.asks[ask.ask] = ask
        answer, error, measure = self._answer(ask)
        delay = self.rng.expovariate(1) * self.case.faults.slow_answers
        self._schedule(delay, lambda t: Answered(t, ask.run, ask.ask, answer, error, measure), True)

    def _answer(self, ask: Ask) -> tuple[Any, BaseException | None, Measure | None]:
        name = self.name_of(ask.run)
        require(ask.node == name[0], f"{ask} names the wrong node")
        match ask.question:
            case "trigger":
                return (*self._own_trigger(ask), None)
            case "delay":
                delay = self.case.delay(*name, ask.attempt)
                return delay, None if delay is not None else ValueError("no delay"), None
            case "on_failure":
                require(isinstance(ask.new, Failed), f"on_failure was asked about {ask.new!r}")
                require(self.state_of(ask.run) is ask.new, f"on_failure was told of {ask.new!r}, not of its state")
                return None, None, None
        require(ask.old is not None and ask.new is not None, f"{ask} shows no transition")
        assert ask.old is not None
        assert ask.new is not None
        require(self.state_of(ask.run) is ask.old, f"{ask} does not start from the state on the books")
        new = type(ask.new).__name__
        count = self._handled[(*name, new)] = self._handled.get((*name, new), 0) + 1
        match self.case.handling(*name, "", new, count):
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
            case "raise":
                return None, ValueError("the handler is broken"), None

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

    # Checks

    def _check_nobody_waits_for_nothing(self) -> None:
        """Whoever may be sent, ahead of its upstreams or behind them, must be, if there is room."""
        # A window that was full is refilled by quarters.
        busy = len(self.asks) + sum(not parcel.released for parcel in self.cluster.parcels.values())
        if busy > self.case.window * 3 // 4:
            return
        for run in self.engine.runs():
            require(not self._could_go(run), f"{self.engine.key(run)} could be sent, and is not")

    def _could_go(self, run: int) -> bool:
        number, index = self.name_of(run)
        node = self.case.plan.nodes[number]
        if node.kind != "task" or (node.is_mapped and index < 0) or node.policy.handled:
            return False
        if self.case.triggers[number].name != "all_successful" or type(self.state_of(run)).__name__ != "Pending":
            return False
        if self._flies(run):
            return False
        ups = [one for edge in node.ins for one in self._shown(edge, index)]
        if all(type(self.state_of(up)) is Success for up in ups):
            return True
        for edge in node.ins:
            trusted = self._trusts(edge.upstream)
            # To follow a run that keeps its value would move the value.
            moves = edge.key is None and not (self._drops(edge.upstream) or self.case.plan.nodes[edge.upstream].kind == "value")
            if not trusted or moves or not all(self._promises(up) for up in self._shown(edge, index)):
                return False
        return True

    def _flies(self, run: int) -> bool:
        live = [place for place in self.in_flight if place[0] == run]
        # A report that came before those of its upstreams is with the engine, which still has to take it in.
        early = self.cluster.parcels.get((run, self._last.get(run, 0)))
        return bool(live) or (early is not None and not early.released)

    def _promises(self, run: int) -> bool:
        number, index = self.name_of(run)
        node = self.case.plan.nodes[number]
        if type(self.state_of(run)) is Success:
            return True
        if self.state_of(run).is_finished():
            return False
        if node.kind == "collection":
            return all(self._promises(up) for edge in node.ins for up in self._shown(edge, -1))
        return self._flies(run)

    def _trusts(self, number: int) -> bool:
        node = self.case.plan.nodes[number]
        if node.kind == "collection":
            return all(self._trusts(edge.upstream) for edge in node.ins)
        return not node.policy.handled

    def _drops(self, number: int) -> bool:
        node = self.case.plan.nodes[number]
        return node.kind == "task" and not self._keeps(number) and all(edge.key is None for edge in node.outs)

    def _shown(self, edge: PlanEdge, index: int) -> list[int]:
        children = self.engine.children(edge.upstream)
        mapped = type(self.state_of(edge.upstream)).__name__ == "Mapped"
        if edge.mapped and index >= 0:
            if not mapped or edge.flattened:
                return [edge.upstream] if not mapped else list(children)
            return [children[index]]
        return list(children) if mapped else [edge.upstream]

    def _check_readers(self, run: int, submission: int) -> None:
        """A value may only go when every run that could read it is final."""
        if self.cancelled or self.cluster.parcels[run, submission].status != "done":
            return
        if type(self.state_of(run)) is not Success or self.state_of(run).result_ref is None:
            return  # a handler put something else in its place, so nobody will read it
        node, index = self.name_of(run)
        for reader in self._readers(node, index):
            require(
                self.state_of(reader).is_finished(),
                f"the value of {self.engine.key(run)} was released before {self.engine.key(reader)} was final",
            )
        require(not self._keeps(node), f"the value of {self.engine.key(run)} should be kept, and was released")

    def _readers(self, node: int, index: int) -> list[int]:
        found: list[int] = []
        for edge in self.case.plan.nodes[node].outs:
            if edge.key is None:
                continue
            down = edge.downstream
            found.append(down)
            children = self.engine.children(down)
            if edge.mapped and not edge.flattened and index >= 0:
                found.extend(children[index : index + 1])
            else:
                found.extend(children)
            if self.case.plan.nodes[down].kind == "collection":
                found.extend(self._readers(down, -1))
        return found

    def _keeps(self, node: int) -> bool:
        plan = self.case.plan
        return (
            node in plan.terminal
            or node in plan.reference
            or plan.nodes[node].policy.keep_result
            or any(
                edge.key is not None
                and plan.nodes[edge.downstream].kind == "collection"
                and self._keeps(edge.downstream)
                for edge in plan.nodes[node].outs
            )
        )

    def _check_end(self) -> None:
        engine = self.engine
        require(self.ended is not None, "the engine ended without EndRun")
        require(self.ended is engine.flow_state, f"EndRun said {self.ended!r}, the flow is {engine.flow_state!r}")
        for run in engine.runs():
            chain = self.journal.get(run)
            last = "Pending" if chain is None else type(chain[-1].new).__name__
            now = type(engine.state(run)).__name__
            require(last == now, f"the journal left {engine.key(run)} {last}, the board has {now}")
        flow = self.journal[_FLOW][-1].new
        require(flow is self.ended, f"the journal left the flow {flow!r}, EndRun said {self.ended!r}")
        self._check_parcels()
        self._check_counts()
        if self.cancelled:
            require(type(self.ended).__name__ == "Cancelled", f"it was cancelled, and ended {self.ended!r}")
            for run in engine.runs():
                require(engine.state(run).is_finished(), f"cancel left {engine.key(run)} {engine.state(run)!r}")
        else:
            require(not self.timers, f"timers {self.timers} have not fired")
            require(not self.asks, f"questions {self.asks} have no answer")
            self._check_oracle()

    def _check_parcels(self) -> None:
        kept = self.engine.kept()
        require(len(kept) == len(set(kept)), f"a value is kept twice: {kept}")
        held = sorted(place for place, parcel in self.cluster.parcels.items() if not parcel.released)
        require(sorted(kept) == held, f"the engine keeps {sorted(kept)}, the cluster holds {held}")
        require(sorted(self.engine.live_submissions()) == held, "live_submissions() tells of others than are held")
        for run in self.engine.runs():
            node, state = self.name_of(run)[0], self.state_of(run)
            ref = state.result_ref if type(state) is Success and self.case.plan.nodes[node].kind == "task" else None
            if ref is not None and self._keeps(node):
                require((run, ref.submission) in kept, f"the value of {self.engine.key(run)} should be kept")
        if type(self.ended).__name__ == "Running":
            return
        for place in kept:
            parcel = self.cluster.parcels[place]
            require(self._keeps(parcel.name[0]), f"{parcel} was kept, and nobody asked for it")
            require(parcel.status == "done", f"{parcel} was kept, and has no value")

    def _check_counts(self) -> None:
        counted: dict[str, int] = {}
        for run in self.engine.runs():
            node, index = self.name_of(run)
            state = self.state_of(run)
            if self.case.plan.nodes[node].kind != "task" or (index < 0 and type(state).__name__ == "Mapped"):
                continue
            counted[type(state).__name__] = counted.get(type(state).__name__, 0) + 1
        require(self.engine.counts() == counted, f"counts() says {self.engine.counts()}, the states are {counted}")

    def _check_oracle(self) -> None:
        oracle = Oracle(self.case)
        expected: dict[Name, End] = dict(names_of(oracle.ends))
        for run in self.engine.runs():
            require(self.name_of(run) in expected, f"{self.engine.key(run)} should not be there")
        for name, end in expected.items():
            run = self.run_of(name)
            if run is None:
                raise BrokenPromise(f"child {name} should be there")
            key, state = self.engine.key(run), self.state_of(run)
            require(
                type(state).__name__ == end.cls, f"{key} ended {state!r}; by the rules it must end {end.cls}"
            )
            given = self.cluster.given.get(name, [])
            require(
                len(given) == end.bodies, f"the body of {key} ran {len(given)} times; by the rules {end.bodies}"
            )
            require(given == end.given, f"the body of {key} was given {given}; by the rules {end.given}")
            attempts = self.engine.attempt(run)
            require(attempts == end.attempts, f"{key} had {attempts} attempts; by the rules {end.attempts}")
            if end.cls in FAILURES and self.case.plan.nodes[name[0]].policy.on_failure:
                told = sum(
                    isinstance(one, Ask) and one.question == "on_failure" and one.run == run
                    for _, found in self.trace
                    for one in found
                )
                require(told == 1, f"on_failure of {key} was called {told} times")
        flow = type(self.ended).__name__
        require(flow == oracle.flow_state(), f"the flow ended {flow}; by the rules {oracle.flow_state()}")

    # Telling

    def story(self, error: BaseException | None = None) -> str:
        """Return the plan and all that happened, for a person."""
        lines = []
        if error is not None:
            lines += [
                f"Seed {self.case.seed}: {type(error).__name__}: {error}",
                f"Replay: python -m pytest tests/simulation -k seed --sim-seed {self.case.seed}",
            ]
        lines += ["", *describe(self.case), ""]
        for event, found in self.trace:
            lines.append(f"  {_told(event)}")
            lines += [f"      -> {_told(instruction)}" for instruction in found]
        return "\n".join(lines)


def describe(case: Case) -> list[str]:
    """Return a plan as lines of text."""
    faults = case.faults
    lines = [
        f"window {case.window}, {case.slots} slots, cancel at {case.cancel_at}, {faults}",
        f"reference {sorted(case.plan.reference)}, terminal {sorted(case.plan.terminal)}",
    ]
    for i, node in enumerate(case.plan.nodes):
        policy, spec = node.policy, case.triggers[i]
        facts = [node.kind, spec.custom if spec.name == "custom" else str(policy.trigger)]
        facts += [] if policy.skip_on_upstream_skip else ["runs after skips"]
        facts += [f"{policy.retry}"] if policy.retry.max_retries else []
        facts += [f"{policy.max_crashes} crashes"] if policy.max_crashes else []
        facts += [name for name in ("handled", "on_failure", "keep_result") if getattr(policy, name)]
        facts += ["shortest"] if policy.map_lengths == "shortest" else []
        shape = case.shapes.get(i) if node.kind == "value" else case.value_shapes.get(i)
        facts.append(f"shape {'ragged' if i in case.ragged else shape}")
        ins = [
            f"{edge.key or '-'}={'mapped ' if edge.mapped else ''}{'flat ' if edge.flattened else ''}{edge.upstream}"
            for edge in node.ins
        ]
        lines.append(f"{i:3} {node.slug}({', '.join(ins)}): {', '.join(facts)}; {case.menus.get(i, '')}")
    return lines


def _told(one: Event | Instruction) -> str:
    match one:
        case Transition(run=run, key=key, attempt=attempt, old=old, new=new, why=why):
            names = f"{type(old).__name__} > {type(new).__name__}"
            return f"{key or 'flow'} (run {run}, attempt {attempt}): {names}, {why.rule}: {why.text}"
        case Submit(key=key, run=run, attempt=attempt, submission=submission, ahead=ahead):
            named = ", ".join(f"{argument.key}={argument.source}" for argument in one.arguments)
            ways = f"{' ahead' if ahead else ''}{' drops' if one.drop_value else ''} {set(one.measure) or ''}"
            return f"Submit {key} (run {run}) attempt {attempt} submission {submission}{ways} ({named}) after {one.after}"
        case _:
            return str(one)


def play(case: Case, engine: Callable[..., Engine] = Engine, audit: bool = True) -> Simulation:
    """Play a case; see ``Simulation``."""
    return Simulation(case, engine, audit).play()

