"""What must hold of every simulated run, whatever its seed. Knows the plan, the oracle and what was said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from prefectlite.engine.instructions import Ask
from prefectlite.engine.plan import PlanEdge
from prefectlite.engine.transitions import Transition
from prefectlite.moments import plainly
from prefectlite.states.state import (
    Cached,
    Crashed,
    Failed,
    Looped,
    Paused,
    Resume,
    Retrying,
    Scheduled,
    Success,
)
from prefectlite.states.transitions import may_become
from tests.simulation.oracle import KEPT, End, Name, Oracle, names_of
from tests.simulation.parcels import BrokenPromise, require, runs_in
from tests.simulation.reports import OwnSuccess
from tests.simulation.verdicts import FAILURES

if TYPE_CHECKING:
    from tests.simulation.simulate import Simulation

_FLOW = -1
#: What is told of a run that begins with a state, whatever its upstreams do.
_OF_BEGINNINGS: Final = ("given", "resume")
#: The classes of states behind which a body's value may stand, where it lies.
PLAIN: Final = (Success, Cached, OwnSuccess)


class Promises:
    """Checks one simulated run, turn by turn and at its end.

    Parameters
    ----------
    simulation : Simulation
        The run.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.sim = simulation
        self.case = simulation.case
        self.engine = simulation.engine

    def check_transition(self, step: Transition, chain: list[Transition]) -> None:
        """Each has a reason, obeys the law and follows from the one before."""
        require(bool(step.why.rule and step.why.text), f"{step} has no reason")
        if chain:
            # A success that ended among many shares a state with them in the books.
            same = type(step.old) is Success and type(chain[-1].new) is Success
            require(chain[-1].new is step.old or same, f"{step} does not follow from {chain[-1].new!r}")
        else:
            require(
                type(step.old).__name__ == "Pending", f"{step} is the first, and does not begin at Pending"
            )
        if all(one.why.rule in _OF_BEGINNINGS for one in chain) and step.why.rule not in _OF_BEGINNINGS:
            self._check_upstreams(step)
        require(
            may_become(type(step.old), type(step.new)),
            f"{step.key}: {type(step.old).__name__} may not become {type(step.new).__name__}",
        )
        until = plainly(step.old, "start_time") if isinstance(step.old, Scheduled) else None
        if until is not None and not isinstance(step.new, Resume):
            early = self.sim.now < until.timestamp() - 1e-3 and not self.sim.cancelled
            require(not early, f"{step} comes before the time that it waited for")
        if isinstance(step.new, Retrying) and step.why.rule == "retry":
            self._check_delay(step, step.new)
        older = chain and chain[-1].key.loop == step.key.loop and chain[-1].attempt > step.attempt
        require(not older, f"{step} goes back to an older attempt")
        asks = [one for one in (*chain, step) if isinstance(one.new, Paused) and one.why.rule == "trigger"]
        require(len(asks) < 2, f"{step}, though it was approved before")
        if step.run != _FLOW:
            now = self.engine.key(step.run)
            # The next iteration may have begun since.
            require(step.key._replace(loop=now.loop) == now, f"{step} has the wrong name")
            begun = self.case.begun.get(self.sim.name_of(step.run))
            first = begun.times + 1 if begun is not None and begun.kind == "looped" else 1
            before = chain[-1].key.loop + isinstance(chain[-1].new, Looped) if chain else first
            # Who is called off before the flow begins has not taken over anything.
            is_early = not chain and self.sim.cancelled
            require(step.key.loop == before or is_early, f"{step} is of the wrong iteration")

    def _check_delay(self, step: Transition, new: Retrying) -> None:
        """A retry starts as long after the failure was weighed as its policy says, whatever the worker's clock."""
        name = self.sim.name_of(step.run)
        policy = self.case.plan.nodes[name[0]].policy.retry
        if policy.asks_delay:
            delay = self.case.delay(*name, new.run_count) or 0.0
        else:
            delay = policy.delays[min(new.run_count, len(policy.delays)) - 1] if policy.delays else 0.0
        require(new.start_time is not None, f"{step} says no time")
        assert new.start_time is not None
        waits = new.start_time.timestamp() - step.time
        most = delay * (1 + policy.jitter)
        require(
            delay - 1e-3 <= waits <= most + 1e-3, f"{step} waits {waits} s; by its policy {delay} to {most} s"
        )

    def _check_upstreams(self, step: Transition) -> None:
        """Nothing is told of a run before its upstreams are final, in whatever order reports come."""
        if step.run == _FLOW or self.sim.cancelled:
            return
        number, index = self.sim.name_of(step.run)
        for edge in self.case.plan.nodes[number].ins:
            whole = (
                self.case.plan.nodes[number].is_mapped and index < 0 and edge.mapped and not edge.flattened
            )
            for up in [edge.upstream] if whole else self.shown(edge, index):
                require(
                    self.sim.state_of(up).is_finished() or self._was_final(up),
                    f"{step.key} became {type(step.new).__name__} while {self.engine.key(up)} was {self.sim.state_of(up)!r}",
                )

    def _was_final(self, run: int) -> bool:
        """Return whether a run has been final before: it is made again, or a list with what is."""
        return any(isinstance(step.new, Success) for step in self.sim.journal.get(run, ()))

    def check_nobody_waits_for_nothing(self) -> None:
        """Whoever may be sent, ahead of its upstreams or behind them, must be, if there is room."""
        if type(self.engine.flow_state).__name__ != "Running":
            return  # the flow's own handlers are asked, or let nothing begin
        # A window that was full is refilled by quarters.
        busy = len(self.sim.asks) + sum(not parcel.released for parcel in self.sim.cluster.parcels.values())
        if busy > self.case.window * 3 // 4:
            return
        for run in self.engine.runs():
            require(not self._could_go(run), f"{self.engine.key(run)} could be sent, and is not")

    def check_limits(self) -> None:
        """No limit is exceeded."""
        flying = self._flying_by_limit(self.sim.in_flight) if self.case.plan.limits else {}
        for place, limit in enumerate(self.case.plan.limits):
            require(
                flying[place] <= limit.most,
                f"{flying[place]} submissions under {limit} are in flight",
            )

    def _flying_by_limit(self, submissions: Iterable[tuple[int, int]]) -> Counter[int]:
        nodes = self.case.plan.nodes
        return Counter(place for run, _ in submissions for place in nodes[self.sim.name_of(run)[0]].limits)

    def _has_a_place(self, run: int) -> bool:
        """Return whether a run waits for no limit: one that it is under, or wider, is used up by others."""
        limits = self.case.plan.nodes[self.sim.name_of(run)[0]].limits
        if not limits:
            return True
        # A handled run has its places while its handlers are asked.
        taken = self._flying_by_limit(
            [*self.sim.in_flight, *((ask.run, 0) for ask in self.sim.asks.values() if ask.run != _FLOW)]
        )
        wider = range(limits[0], len(self.case.plan.limits))
        return all(taken[place] < self.case.plan.limits[place].most for place in wider)

    def _could_go(self, run: int) -> bool:
        number, index = self.sim.name_of(run)
        node = self.case.plan.nodes[number]
        if node.kind != "task" or (node.is_mapped and index < 0) or node.policy.handled:
            return False
        if (
            self.case.triggers[number].name != "all_successful"
            or type(self.sim.state_of(run)).__name__ != "Pending"
        ):
            return False
        if self.flies(run) or self.sim.moments.waits(run):
            return False
        ups = [one for edge in node.ins for one in self.shown(edge, index)]
        if all(type(self.sim.state_of(up)) in PLAIN for up in ups):
            return self._has_a_place(run)
        if (number, index) in self.case.begun:
            return False  # the driver weighs it first
        # What was taken back may be left to wait, so that nothing is sent again and again.
        if run in self.sim.taken_back or node.limits or self.sim.moments.lacks_some(run):
            return False
        for edge in node.ins:
            trusted = self._trusts(edge.upstream)
            # To follow a run that keeps its value would move the value.
            moves = edge.key is None and not (
                self._drops(edge.upstream) or self.case.plan.nodes[edge.upstream].kind == "value"
            )
            if not trusted or moves or not all(self._promises(up) for up in self.shown(edge, index)):
                return False
        return True

    def flies(self, run: int) -> bool:
        """Return whether a submission of a run is under way, or its report waits for those of its upstreams."""
        live = [place for place in self.sim.in_flight if place[0] == run]
        # A report that came before those of its upstreams is with the engine, which still has to take it in.
        early = self.sim.cluster.parcels.get((run, self.sim.last.get(run, 0)))
        return bool(live) or (early is not None and not early.released)

    def _promises(self, run: int) -> bool:
        node = self.case.plan.nodes[self.sim.name_of(run)[0]]
        if type(self.sim.state_of(run)) in PLAIN:
            return True
        if self.sim.state_of(run).is_finished():
            return False
        if node.kind == "collection":
            # Nobody goes ahead behind a list that maps.
            return not node.is_mapped and all(
                self._promises(up) for edge in node.ins for up in self.shown(edge, -1)
            )
        return self.flies(run)

    def _trusts(self, number: int) -> bool:
        node = self.case.plan.nodes[number]
        if node.kind == "collection":
            return all(self._trusts(edge.upstream) for edge in node.ins)
        return not node.policy.handled

    def _drops(self, number: int) -> bool:
        node = self.case.plan.nodes[number]
        return node.kind == "task" and not self._keeps(number) and all(edge.key is None for edge in node.outs)

    def shown(self, edge: PlanEdge, index: int) -> list[int]:
        """Return the runs whose states an edge shows to a child, or to a run that is none: index -1."""
        children = self.engine.children(edge.upstream)
        mapped = type(self.sim.state_of(edge.upstream)).__name__ == "Mapped"
        if edge.mapped and index >= 0:
            if not mapped or edge.flattened:
                return [edge.upstream] if not mapped else list(children)
            return [children[index]]
        return list(children) if mapped else [edge.upstream]

    def check_readers(self, run: int, submission: int) -> None:
        """A value may only go when every run that could read it is final, and need not be made again."""
        if self.sim.cancelled or self.sim.cluster.parcels[run, submission].status != "done":
            return
        if not isinstance(self.sim.state_of(run), PLAIN) or self.sim.state_of(run).result_ref is None:
            return  # a handler put something else in its place, so nobody will read it
        node, index = self.sim.name_of(run)
        is_stored = node in self.case.stored
        if is_stored and self.sim.cluster.parcels[run, submission].is_missed:
            return  # whoever still reads it is given what is stored
        for reader in self.readers(node, index):
            require(
                self.sim.state_of(reader).is_finished()
                or self.sim.moments.now(reader).is_finished()  # later in this turn, its own value was missed
                or self.has_read(reader, run, submission)
                or (self._was_final(reader) and (is_stored or not self.reads(reader, run))),
                f"the value of {self.engine.key(run)} was released before {self.engine.key(reader)} was final",
            )
            require(
                is_stored or not self.sim.moments.may_read_again(reader, run),
                f"the value of {self.engine.key(run)} was released, but {self.engine.key(reader)} was lost, "
                "is missed and may be made again of it",
            )
        require(
            not self._keeps(node), f"the value of {self.engine.key(run)} should be kept, and was released"
        )

    def reads(self, reader: int, run: int) -> bool:
        """Return whether a run that is made again reads a value: it did the first time."""
        submit = self.sim.cluster.parcels[reader, self.sim.last[reader]].submit
        return any(run in runs_in(one.source) for one in submit.arguments)

    def has_read(self, reader: int, run: int, submission: int) -> bool:
        """Return whether a reader has read a value for good, and no rule can let it start afresh."""
        if (run, submission) not in self.sim.cluster.folded.get(reader, ()):
            return False
        policy = self.case.plan.nodes[reader].policy
        ends = [step.new for step in self.sim.journal.get(reader, ()) if isinstance(step.new, Failed)]
        crashes = sum(isinstance(end, Crashed) for end in ends)
        spent = crashes >= policy.max_crashes and len(ends) - crashes >= policy.retry.max_retries
        return spent and not policy.handled and not policy.idempotent

    def readers(self, node: int, index: int) -> list[int]:
        """Return the runs that read a run's value, lists and those who read it through them among them."""
        found: list[int] = []
        for edge in self.case.plan.nodes[node].outs:
            if edge.key is None:
                continue
            down = edge.downstream
            children = self.engine.children(down)
            pairs = edge.mapped and not edge.flattened and index >= 0
            readers = [down, *(children[index : index + 1] if pairs else children)]
            found.extend(readers)
            if self.case.plan.nodes[down].kind == "collection":
                holders = readers[1:] if self.case.plan.nodes[down].is_mapped else readers
                for one in holders:
                    found.extend(self.readers(*self.sim.name_of(one)))
        return found

    def _keeps(self, node: int, unfolded: bool = True) -> bool:
        """Return whether a value is kept; lists that map keep nothing once they have unfolded without children."""
        plan = self.case.plan
        return (
            node in plan.terminal
            or node in plan.reference
            or plan.nodes[node].policy.keep_result
            or any(
                edge.key is not None
                and plan.nodes[edge.downstream].kind == "collection"
                and self._keeps(edge.downstream, unfolded)
                and not (unfolded and self._is_empty_map(edge.downstream))
                for edge in plan.nodes[node].outs
            )
        )

    def _is_empty_map(self, node: int) -> bool:
        return type(self.sim.state_of(node)).__name__ == "Mapped" and not self.engine.children(node)

    def check_end(self) -> None:
        engine = self.engine
        require(self.sim.ended is not None, "the engine ended without EndRun")
        require(
            self.sim.ended is engine.flow_state,
            f"EndRun said {self.sim.ended!r}, the flow is {engine.flow_state!r}",
        )
        for run in engine.runs():
            chain = self.sim.journal.get(run)
            last = "Pending" if chain is None else type(chain[-1].new).__name__
            now = type(engine.state(run)).__name__
            require(last == now, f"the journal left {engine.key(run)} {last}, the board has {now}")
        flow = self.sim.journal[_FLOW][-1].new
        require(flow is self.sim.ended, f"the journal left the flow {flow!r}, EndRun said {self.sim.ended!r}")
        self._check_parcels()
        self._check_counts()
        if self.sim.cancelled:
            require(
                type(self.sim.ended).__name__ == "Cancelled" or self.case.plan.handled or self.sim.was_over,
                f"it was cancelled, and ended {self.sim.ended!r}",
            )
            for run in engine.runs():
                require(
                    engine.state(run).is_finished(), f"cancel left {engine.key(run)} {engine.state(run)!r}"
                )
            self._check_cleanups()
        else:
            require(not self.sim.timers, f"timers {self.sim.timers} have not fired")
            require(not self.sim.asks, f"questions {self.sim.asks} have no answer")
            if self.sim.moments.missed:
                self.sim.moments.check_end()
            else:
                self._check_oracle()

    def _check_cleanups(self) -> None:
        """What was made before a cancel or after it is cleaned up."""
        for number, spec in enumerate(self.case.triggers):
            if spec.custom != "cleanup":
                continue
            ups = [self.sim.state_of(edge.upstream) for edge in self.case.plan.nodes[number].ins if edge.key]
            is_made = all(up.is_successful() and not up.is_skipped() for up in ups)
            is_left = is_made and self.sim.state_of(number).is_cancelled()
            require(not is_left, f"the cancel left behind what {self.engine.key(number)} cleans up")

    def _check_parcels(self) -> None:
        spans = self.engine.kept()
        kept = [(first + place, submission) for first, submission, count in spans for place in range(count)]
        require(len(kept) == len(set(kept)), f"a value is kept twice: {kept}")
        held = sorted(place for place, parcel in self.sim.cluster.parcels.items() if not parcel.released)
        require(sorted(kept) == held, f"the engine keeps {sorted(kept)}, the cluster holds {held}")
        require(
            sorted(self.engine.live_submissions()) == held, "live_submissions() tells of others than are held"
        )
        for run in self.engine.runs():
            node, state = self.sim.name_of(run)[0], self.sim.state_of(run)
            is_made = type(state) in PLAIN and self.case.plan.nodes[node].kind == "task"
            ref = state.result_ref if is_made else None
            is_there = ref is not None and not self.sim.cluster.parcels[run, ref.submission].is_missed
            if ref is not None and self._keeps(node) and (is_there or node not in self.case.stored):
                require((run, ref.submission) in kept, f"the value of {self.engine.key(run)} should be kept")
        if type(self.sim.ended).__name__ == "Running":
            return
        for place in kept:
            parcel = self.sim.cluster.parcels[place]
            shown = self._keeps(parcel.name[0], unfolded=not self.sim.cancelled)
            require(shown, f"{parcel} was kept, and nobody asked for it")
            require(parcel.status == "done", f"{parcel} was kept, and has no value")

    def _check_counts(self) -> None:
        counted: dict[str, int] = {}
        for run in self.engine.runs():
            node, index = self.sim.name_of(run)
            state = self.sim.state_of(run)
            if self.case.plan.nodes[node].kind != "task" or (index < 0 and type(state).__name__ == "Mapped"):
                continue
            counted[type(state).__name__] = counted.get(type(state).__name__, 0) + 1
        require(
            self.engine.counts() == counted, f"counts() says {self.engine.counts()}, the states are {counted}"
        )

    def _check_oracle(self) -> None:
        oracle = Oracle(self.case, self.sim.cluster.accidents.facts, self.sim.approved)
        expected: dict[Name, End] = dict(names_of(oracle.ends))
        for number in self.engine.runs():
            require(self.sim.name_of(number) in expected, f"{self.engine.key(number)} should not be there")
        for name, end in expected.items():
            run = self.sim.run_of(name)
            if run is None:
                raise BrokenPromise(f"child {name} should be there")
            key, state = self.engine.key(run), self.sim.state_of(run)
            require(
                type(state).__name__ == end.cls, f"{key} ended {state!r}; by the rules it must end {end.cls}"
            )
            given = self.sim.cluster.given.get(name, [])
            require(
                len(given) == end.bodies,
                f"the body of {key} ran {len(given)} times; by the rules {end.bodies}",
            )
            require(given == end.given, f"the body of {key} was given {given}; by the rules {end.given}")
            pasts = self.sim.cluster.pasts.get(name, [])
            require(pasts == end.pasts, f"the body of {key} was told {pasts}; by the rules {end.pasts}")
            attempts = self.engine.attempt(run)
            require(attempts == end.attempts, f"{key} had {attempts} attempts; by the rules {end.attempts}")
            if end.cls in FAILURES and self.case.plan.nodes[name[0]].policy.on_failure:
                begun = self.case.begun.get(name)
                self._check_told(run, str(key), times=0 if begun is not None and begun.kind in KEPT else 1)
        flow, expected_of_flow = type(self.sim.ended).__name__, oracle.flow_state()
        require(flow == expected_of_flow, f"the flow ended {flow}; by the rules {expected_of_flow}")
        if flow in FAILURES and self.case.plan.on_failure:
            self._check_told(_FLOW, "the flow")

    def _check_told(self, run: int, key: str, times: int = 1) -> None:
        """Somebody is told of a final failure once, and of one that a run begins with not at all."""
        told = sum(
            isinstance(one, Ask) and one.question == "on_failure" and one.run == run
            for _, found in self.sim.trace
            for one in found
        )
        require(told == times, f"on_failure of {key} was called {told} times")
