"""What a run may become at one moment, by what was told of its upstreams until then. Knows rules; knows no engine.

Where a value is lost that somebody needs, what comes of it hangs on time: whoever had the value before goes on;
whoever comes later waits until it is made again, or is refused. So the oracle, which knows no time, cannot say
how all of such a flow run ends. It still says how each run ends that was let through; whether it should have
been, and whether a loss may change a state, is held against the rules at the moment when it happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from prefectlite.engine.instructions import Submit
from prefectlite.engine.plan import PlanEdge
from prefectlite.engine.transitions import Transition
from prefectlite.states.state import Crashed, Finished, Running, State, Success
from tests.simulation.case import Ending
from tests.simulation.cluster import MOST_HOLDS
from tests.simulation.oracle import Oracle
from tests.simulation.parcels import require, runs_in
from tests.simulation.verdicts import FAILURES, SKIPS, cleanup_verdict, trigger_verdict

if TYPE_CHECKING:
    from tests.simulation.simulate import Simulation

_FLOW: Final = -1


class Moments:
    """Checks one simulated run, step by step and at its end.

    Parameters
    ----------
    simulation : Simulation
        The run.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.sim = simulation
        self.case = simulation.case
        self.nodes = simulation.case.plan.nodes
        #: Successes whose values were lost and missed, also those that have been made again.
        self.missed = simulation.cluster.accidents.missed
        #: By run: what it reads and was let through without.
        self._borne: dict[int, set[int]] = {}

    def check_submit(self, submit: Submit) -> None:
        """What reads a value that was lost is sent when it is back, or when the rules bear the loss."""
        run = submit.run
        missed = {up for up in self.missed if any(up in runs_in(one.source) for one in submit.arguments)}
        if self.sim.cancelled or not missed:
            return
        for up in missed:
            require(self.now(up).is_finished(), f"{submit.key} is sent while {self._key(up)} is made again")
        gone = {up for up in missed if not isinstance(self.now(up), Success)}
        # Whoever was let through in spite of a loss is asked no more about it.
        verdict = None if submit.ahead or gone <= self._borne.get(run, set()) else self._verdict(run)
        require(
            verdict in (None, "Paused", "unclear"), f"{submit.key} is sent; by what was lost, it is {verdict}"
        )
        if not submit.ahead:
            self._borne[run] = gone

    def check_step(self, step: Transition) -> None:
        """A loss changes a state when the value is needed; who is refused, is so by what its upstreams are now."""
        is_loss = isinstance(step.old, Success) and isinstance(step.new, Crashed)
        if is_loss and not self._is_list(step.run):
            self.missed.add(step.run)
        if step.run == _FLOW or self.sim.cancelled:
            return
        if is_loss:
            self._check_loss(step)
        elif isinstance(step.new, Crashed) and step.new.cause == "input-unreachable":
            self.check_giving_up(step.run)
        elif step.why.rule == "result-lost":
            gone = any(self._is_gone(up) for up in self._read_by(step.run))
            require(gone, f"{step}, but what it reads is there")
        elif step.why.rule in ("skip", "trigger") and isinstance(step.new, Finished):
            self._check_refusal(step)

    def _check_loss(self, step: Transition) -> None:
        run = step.run
        if self._is_list(run):
            require(not self.missed.isdisjoint(self._members(run)), f"{step}, but no member of it was lost")
            require(self._verdict(run) is not None, f"{step}, but by its members now it is a success")
            return
        parcel = self.sim.cluster.parcels[run, self.sim.last[run]]
        require(parcel.name[0] not in self.case.stored, f"{step}, but its value is stored")
        require(parcel.is_missed, f"{step}, but the driver does not know that its value is lost")
        require(
            any(self._needs(reader, run) for reader in self.sim.engine.runs()),
            f"{step}, but no run that must start needs its value",
        )
        # For the rules, it is an attempt that was lost.
        self.sim.cluster.accidents.facts[parcel.attempt] = Ending("lost", 0.0)

    def check_giving_up(self, run: int) -> None:
        """An attempt is given up for want of its inputs when it was held time and again, though they are there."""
        cluster = self.sim.cluster
        attempt = cluster.parcels[run, self.sim.last[run]].attempt
        if attempt not in cluster.accidents.facts:
            # Who was held for the latest loss that there was has been counted for that as well.
            times = cluster.in_vain[attempt] + (attempt in cluster.bereft)
            text = f"{self._key(run)} is given up, though it was held {times} times in vain"
            require(times >= MOST_HOLDS, text)
            cluster.accidents.facts[attempt] = Ending("unreachable", 0.0)

    def _needs(self, reader: int, lost: int) -> bool:
        if self._is_list(reader) or self.now(reader).is_finished() or lost not in self._read_by(reader):
            return False
        # Whoever was let through once is asked no more.
        if any(isinstance(step.new, Running) for step in self.sim.journal.get(reader, ())):
            return True
        ups = self._shown_to(reader)
        return all(self.now(up).is_finished() or up in self.missed for up in ups)

    def _check_refusal(self, step: Transition) -> None:
        verdict = self._verdict(step.run) or ("Success" if self._is_list(step.run) else "started")
        cls = type(step.new).__name__
        require(verdict in (cls, "unclear"), f"{step}; by its upstreams now, it is {verdict}")

    def check_end(self) -> None:
        """Whoever was let through, and not refused later, ended as its attempts did."""
        oracle = Oracle(self.case, self.sim.cluster.accidents.facts)
        running = type(self.sim.ended).__name__ == "Running"
        for run in self.sim.engine.runs():
            state, key = self.now(run), self._key(run)
            require(state.is_finished() or running, f"{key} was left {state!r}")
            if self._is_list(run) and type(state) is Success:
                whole = all(self.now(up).is_successful() for up in self.missed & self._members(run))
                require(whole or running, f"{key} is a success, but one of its members was lost for good")
            chain = self.sim.journal.get(run, [])
            started = sum(isinstance(step.new, Running) for step in chain)
            name = self.sim.name_of(run)
            if not started or not state.is_finished() or self.nodes[name[0]].policy.handled:
                continue
            given = self.sim.cluster.given.get(name, [])
            end, bodies = oracle.alone(name, given), len(given)
            if chain[-1].why.rule in ("skip", "trigger", "result-lost"):
                require(bodies <= end.bodies, f"the body of {key} ran {bodies} times, not {end.bodies}")
                continue
            require(type(state).__name__ == end.cls, f"{key} ended {state!r}; by the rules, {end.cls}")
            require(bodies == end.bodies, f"the body of {key} ran {bodies} times; by the rules {end.bodies}")
        if not running:
            self._check_flow(oracle)

    def _check_flow(self, oracle: Oracle) -> None:
        ends = [self.now(up) for node in self.case.plan.reference for up in self._whole(node)]
        expected = oracle.flow_ends(any(type(end).__name__ in FAILURES for end in ends))
        flow = type(self.sim.ended).__name__
        require(flow == expected, f"the flow ended {flow}; by its reference tasks, {expected}")

    # What is known at this moment

    def now(self, run: int) -> State:
        """Return the last state that was told of a run."""
        chain = self.sim.journal.get(run)
        return chain[-1].new if chain else self.sim.pending

    def _verdict(self, run: int) -> str | None:
        """Return the class that the rules make of a run, or None when it may start."""
        number, index = self.sim.name_of(run)
        node = self.nodes[number]
        # A user's own trigger was asked at another moment.
        is_parent = node.is_mapped and index < 0
        spec = self.case.triggers[number]
        is_own = spec.name == "custom" and spec.custom != "cleanup"
        if (
            is_parent
            or is_own
            or node.policy.handled
            or any(self._is_unclear(edge, index) for edge in node.ins)
        ):
            return "unclear"
        seen = [type(self.now(up)).__name__ for up in self._shown_to(run)]
        if node.policy.skip_on_upstream_skip and not SKIPS.isdisjoint(seen):
            return "Skipped"
        if spec.name == "custom":
            return cleanup_verdict(type(self.now(up)).__name__ for up in self._shown_to(run, read=True))
        return trigger_verdict(spec, seen, has_upstreams=bool(node.ins))

    def _is_unclear(self, edge: PlanEdge, index: int) -> bool:
        """Return whether it takes more than states to know which child's element a child reads."""
        return edge.mapped and edge.flattened and index >= 0

    def _shown_to(self, run: int, read: bool = False) -> Iterator[int]:
        """Yield the runs whose states a run is shown; only those whose values it reads as well, if so asked."""
        number, index = self.sim.name_of(run)
        for edge in self.nodes[number].ins:
            if edge.key is None and read:
                continue
            yield from self.sim.promises.shown(edge, index)

    def waits(self, run: int) -> bool:
        """Return whether a value is being made again that a run, or a list that it is behind, would read."""
        asked = {ask.run for ask in self.sim.asks.values()}
        missed = self.missed.intersection(self._above(run))
        return any(up in asked or not self.now(up).is_finished() for up in missed)

    def _above(self, run: int) -> set[int]:
        """Return the runs that a run is behind; those in lists, whose states hang on theirs, one by one."""
        above: set[int] = set()
        for up in self._shown_to(run):
            above |= self._above(up) if self._is_list(up) else {up}
        return above

    def lacks_some(self, run: int) -> bool:
        """Return whether a value that a run would read is known to be lost, or was: nobody goes ahead then."""
        last = self.sim.last
        if not self.missed.isdisjoint(self._read_by(run)):
            return True
        # What is stored is no loss, once it is known that it is.
        known = {up for up in self._read_by(run) if self._is_stored(up) and self.now(up).is_finished()}
        parcels = (self.sim.cluster.parcels.get((up, last.get(up, 0))) for up in self._read_by(run) - known)
        return any(parcel is not None and parcel.is_missed for parcel in parcels)

    def may_read_again(self, reader: int, run: int) -> bool:
        """Return whether a final run may have to read a value once more, since what it made of it is lost.

        That is so when the driver was told of the loss, somebody who is not final reads what was made, its rules
        let the run start again, and all else that it read is there.
        """
        parcel = self.sim.cluster.parcels.get((reader, self.sim.last.get(reader, 0)))
        if parcel is None or not parcel.is_missed or parcel.released or self._is_stored(reader):
            return False
        promises, name = self.sim.promises, self.sim.name_of(reader)
        policy = self.nodes[name[0]].policy
        crashes = sum(isinstance(step.new, Crashed) for step in self.sim.journal.get(reader, ()))
        return (
            promises.reads(reader, run)
            and not any(self._is_gone(up) for up in self._read_by(reader) - {run})
            and (policy.idempotent or crashes < policy.max_crashes)
            and any(
                not (self._is_list(one) or self.now(one).is_finished())
                and not promises.has_read(one, reader, parcel.submit.submission)
                for one in promises.readers(*name)
            )
        )

    def _read_by(self, run: int) -> set[int]:
        """Return the runs whose values a run reads, those in lists among them."""
        number, index = self.sim.name_of(run)
        read: set[int] = set()
        for edge in self.nodes[number].ins:
            if edge.key is not None:
                for up in self.sim.promises.shown(edge, index):
                    read |= self._read_by(up) if self._is_list(up) else {up}
        return read

    def _members(self, run: int) -> set[int]:
        """Return the runs that a list's success speaks for: not those in lists that were skipped themselves."""
        members: set[int] = set()
        for up in self._shown_to(run):
            if not self._is_list(up):
                members.add(up)
            elif type(self.now(up)).__name__ not in SKIPS:
                members |= self._members(up)
        return members

    def _whole(self, node: int) -> list[int]:
        children = self.sim.engine.children(node)
        return list(children) if type(self.now(node)).__name__ == "Mapped" else [node]

    def _is_gone(self, run: int) -> bool:
        parcel = self.sim.cluster.parcels.get((run, self.sim.last.get(run, 0)))
        return parcel is not None and (parcel.released or parcel.lost) and not self._is_stored(run)

    def _is_stored(self, run: int) -> bool:
        return self.sim.name_of(run)[0] in self.case.stored

    def _is_list(self, run: int) -> bool:
        return self.nodes[self.sim.name_of(run)[0]].kind == "collection"

    def _key(self, run: int) -> str:
        return str(self.sim.engine.key(run))
