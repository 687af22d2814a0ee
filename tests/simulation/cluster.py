"""A virtual cluster in virtual time: slots, bodies, reports that go astray. Knows Submit and Release, no rules.

It believes nothing: whatever the engine asks for that a real cluster could not do, or that would run a body
twice or read a value that is gone, is a ``Broken promise``.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from prefectlite.engine.events import (
    AttemptCrashed,
    AttemptFinished,
    AttemptHeld,
    AttemptRefused,
    AttemptStarted,
    InputsConsumed,
)
from prefectlite.engine.inputs import FromCollection, FromDriver, FromMany, FromRun, FromValue, Source
from prefectlite.engine.instructions import Submit
from prefectlite.states.report import Report
from prefectlite.states.state import State
from tests.simulation.accidents import Accidents
from tests.simulation.case import Case, flattened
from tests.simulation.oracle import Broken, Name, value_name
from tests.simulation.parcels import GONE, BrokenPromise, Parcel, leaves, require
from tests.simulation.reports import report_of
from tests.simulation.wires import Schedule, Wires

#: So many submissions of one attempt may be held in vain; then it is given up.
MOST_HOLDS: Final = 4


class Cluster:
    """Performs submissions.

    Parameters
    ----------
    case : Case
        What bodies do, and what goes wrong.
    name_of : callable
        Gives a run's node and index.
    state_of : callable
        Gives a run's state, for arguments that the driver holds.
    schedule : callable
        Takes seconds from now and what to do or tell then.
    """

    def __init__(
        self,
        case: Case,
        name_of: Callable[[int], Name],
        state_of: Callable[[int], State],
        schedule: Schedule,
        rng: random.Random,
    ) -> None:
        self.case = case
        self.rng = rng
        self.now = 0.0
        self.parcels: dict[tuple[int, int], Parcel] = {}
        self.given: dict[Name, list[dict[str, Any]]] = {}
        self.pasts: dict[Name, list[tuple[int, bool, Any]]] = {}
        self.bodies: set[tuple[int, int]] = set()
        self.ready: deque[Parcel] = deque()
        self._wires = Wires(case.faults, rng, schedule)
        self.accidents = Accidents(self, schedule)
        self.cancelled = False
        #: Whether bodies that run may be let go of, since somebody has cancelled.
        self.called_off = False
        self._name_of, self._state_of, self._schedule = name_of, state_of, schedule
        self._busy = 0
        #: By node, index and start: how often it was held though all that it reads was there, and who was
        #: held for a value that is lost.
        self.in_vain: Counter[tuple[int, int, int]] = Counter()
        self.bereft: set[tuple[int, int, int]] = set()
        #: What is there for good beside the workers, by name.
        self.stored: dict[str, Any] = {}
        # By run: its iteration, the attempts of those before, and its own so far.
        self._laps: dict[int, tuple[int, int, int]] = {}
        #: By reader: values that it has read for good, by run and submission.
        self.folded: dict[int, dict[tuple[int, int], Any]] = {}

    # What the driver asks for

    def submit(self, submit: Submit) -> None:
        """Take one submission."""
        run, submission = submit.run, submit.submission
        require(not self.cancelled, f"{submit.key} was submitted after CancelAll")
        require(
            (run, submission) not in self.parcels, f"submission {submission} of {submit.key} was made twice"
        )
        require(
            submission == 1 or (run, submission - 1) in self.parcels,
            f"submission {submission} of {submit.key} follows none",
        )
        name = self._name_of(run)
        start = self._start_of(submit)
        parcel = Parcel(submit, name, start, self.case.ending(*name, start))
        for argument in submit.arguments:
            for found in leaves(argument.source):
                self._follow(parcel, found, "reads")
        for anchor in submit.after:
            self._follow(parcel, anchor, "follows")
        self.parcels[run, submission] = parcel
        kind = parcel.ending.kind
        if kind == "unsent":
            parcel.status = "over"
            self.accidents.facts[parcel.attempt] = parcel.ending
            cause, text = "input-unreachable", "what it needs was gone when it was sent"
            self._wires.tell([parcel], lambda t: AttemptCrashed(t, run, submission, cause, text))
        elif kind == "refused":
            parcel.status = "over"
            error = TypeError("cannot pickle")
            self._wires.tell([parcel], lambda t: AttemptRefused(t, run, submission, error))
        elif any(leader.status == "over" for leader in parcel.leaders):
            self._hold(parcel)
        elif not parcel.missing:
            parcel.status = "ready"
            self.ready.append(parcel)

    def settle_turn(self) -> None:
        """Start what can start: the turn's graph is complete."""
        self._start_bodies()

    def release(self, run: int, submission: int) -> None:
        """Let go of one submission."""
        parcel = self.parcels.get((run, submission))
        if parcel is None:
            raise BrokenPromise(f"submission {submission} of run {run} was released and never made")
        require(not parcel.released, f"{parcel} was released twice")
        require(parcel.status != "running" or self.called_off, f"{parcel} was released while its body ran")
        parcel.released = True
        if parcel.is_to_begin:
            parcel.status = "over"
        parcel.value = GONE
        for follower in parcel.followers:
            is_needed = self._needs(follower, parcel) and not self.called_off
            require(not is_needed, f"{parcel} was released, but {follower} still needs it")

    def cancel(self) -> None:
        """Stop everything; bodies that run may end in any way, or say nothing."""
        self.cancelled = True
        for parcel in self.parcels.values():
            if parcel.is_to_begin:
                parcel.status = "over"
        self.ready.clear()

    # What befalls its workers

    def break_off(self, parcel: Parcel) -> None:
        """Let an attempt end without a word; where it runs on, nobody waits for it."""
        self._busy -= parcel.status == "running"
        parcel.status = "over"
        for follower in parcel.followers:
            if follower.status == "waiting":
                self._hold(follower)

    def hold_readers(self, parcel: Parcel) -> None:
        """Let what has not started and needs a value that is gone be held."""
        for follower in parcel.followers:
            if follower.is_to_begin and id(parcel) not in follower.folded:
                self.bereft.add(follower.attempt)
                self._hold(follower, told=True)

    def place_anew(self, parcel: Parcel, worker: int = -1) -> None:
        """Let what has all its inputs start on a worker, or on any."""
        parcel.status, parcel.worker = "ready", worker
        self.ready.append(parcel)

    # Inside

    def _needs(self, follower: Parcel, parcel: Parcel) -> bool:
        under_way = (follower.is_to_begin or follower.status == "running") and not follower.released
        return under_way and not parcel.lost and id(parcel) in follower.reads - follower.folded

    def _start_of(self, submit: Submit) -> int:
        """Return which attempt of a run it is, over all its iterations."""
        begun = self.case.begun.get(self._name_of(submit.run))
        first = begun.times + 1 if begun is not None and begun.kind == "looped" else 1
        loop, before, latest = self._laps.get(submit.run, (first, 0, 0))
        require(
            submit.key.loop in (loop, loop + 1),
            f"{submit.key} was submitted after iteration {loop} of its run",
        )
        if submit.key.loop > loop:
            before, latest = before + latest, 0
        self._laps[submit.run] = submit.key.loop, before, submit.attempt
        return before + submit.attempt

    def _follow(self, parcel: Parcel, leader: FromRun, how: str) -> None:
        found = self.parcels.get((leader.run, leader.submission))
        if found is None:
            raise BrokenPromise(
                f"{parcel.submit.key} {how} submission {leader.submission} of run {leader.run}, which was never made"
            )
        if (leader.run, leader.submission) in self.folded.get(parcel.submit.run, ()):
            return
        require(not found.released, f"{parcel.submit.key} {how} {found}, which was released")
        require(not found.is_missed, f"{parcel.submit.key} {how} {found}, whose value is known to be lost")
        drop = found.submit.drop_value
        require(how == "follows" or not drop, f"{parcel.submit.key} reads {found}, whose value is dropped")
        require(how == "reads" or drop, f"{parcel.submit.key} follows {found}, which would move its value")
        if found not in parcel.leaders:
            parcel.leaders.append(found)
            found.followers.append(parcel)
            # What needs a value that is gone waits until that is known.
            parcel.missing += found.status not in ("done", "over") or found.lost
        if how == "reads":
            parcel.reads.add(id(found))

    def _start_bodies(self) -> None:
        while self.ready and self._busy < self.case.slots and not self.cancelled:
            place = self.rng.randrange(len(self.ready)) if self.rng.random() < 0.3 else 0
            parcel = self.ready[place]
            del self.ready[place]
            if parcel.status != "ready":
                continue
            if any(leader.lost and id(leader) not in parcel.folded for leader in parcel.leaders):
                parcel.status = "waiting"  # until the loss is told
                continue
            times = self.in_vain[parcel.attempt]
            is_borne = times < MOST_HOLDS or self.accidents.brought_losses
            require(is_borne, f"{parcel} was sent again, though it was held {times} times in vain")
            if parcel.leaders and self.rng.random() < self.case.faults.unreachable:
                self.in_vain[parcel.attempt] += 1
                self._hold(parcel, told=True)
            elif not self.accidents.stall(parcel):
                self._start(parcel)

    def _start(self, parcel: Parcel) -> None:
        submit = parcel.submit
        place = (submit.run, parcel.start)
        require(
            place not in self.bodies, f"the body of {submit.key} runs twice under attempt {submit.attempt}"
        )
        self.bodies.add(place)
        for leader in parcel.leaders:
            require(leader.status == "done", f"{submit.key} started, but its input is {leader}")
            is_there = not leader.lost or id(leader) in parcel.folded
            require(is_there, f"{submit.key} started, but its input {leader} is lost")
            require(
                not leader.released or id(leader) not in parcel.reads - parcel.folded,
                f"{submit.key} started, but its input {leader} was released",
            )
            require(
                leader.spent.isdisjoint((leader.worker, parcel.worker)) or id(leader) in parcel.folded,
                f"{submit.key} started, but its input {leader} was let go of where it lay",
            )
        folded = self.folded.get(submit.run, {})
        given = {argument.key: self._read(argument.source, folded) for argument in submit.arguments}
        made = value_name(parcel.name, parcel.start)
        kind, parcel.made = self.case.outcome(parcel.name[0], parcel.ending, made, given)
        parcel.ending = replace(parcel.ending, kind=kind)
        self.given.setdefault(parcel.name, []).append(given)
        looped = submit.past.looped
        past = (submit.key.loop, submit.past.resumed, None if looped is None else looped.result)
        self.pasts.setdefault(parcel.name, []).append(past)
        parcel.status = "running"
        self._busy += 1
        duration = parcel.ending.duration
        started = self.now
        if duration > 1:
            run, submission = submit.run, submit.submission
            self._schedule(
                1 + self._wires.latency(), lambda t: AttemptStarted(t, run, submission, "virtual"), True
            )
        self._schedule(duration, lambda: self._finish(parcel, started), False)

    def _finish(self, parcel: Parcel, started: float) -> None:
        silence = self.accidents.silence(parcel.worker)
        if silence:
            self._schedule(silence, lambda: self._finish(parcel, started), False)
            return
        if parcel.status == "over":
            if parcel.is_cut_off:
                self._speak_late(parcel, started)
            return
        submit, kind = parcel.submit, parcel.ending.kind
        run, submission = submit.run, submit.submission
        self._busy -= 1
        if self.cancelled and self.rng.random() < 0.5:
            parcel.status = "over"
            return
        if kind == "lost":
            parcel.status = "over"
            text = "its worker was lost"
            self._wires.tell([parcel], lambda t: AttemptCrashed(t, run, submission, "worker-lost", text))
        else:
            report = self._report(parcel, started)
            parcel.status = "done" if report.state is None else "over"
            if report.state is None:
                for leader in self._consumed(parcel):
                    leader.spent.add(parcel.worker)
            self._wires.report(parcel, report)
        for follower in parcel.followers:
            self._fold(parcel, follower)
            follower.missing -= 1
            if follower.status != "waiting":
                continue
            if parcel.status == "over":
                self._hold(follower)
            elif not follower.missing:
                follower.status = "ready"
                self.ready.append(follower)
        self._start_bodies()

    def _consumed(self, parcel: Parcel) -> list[Parcel]:
        """Return whose values a worker drops when one of its attempts, the last to need them, has succeeded."""
        return [
            self.parcels[found.run, found.submission]
            for argument in parcel.submit.arguments
            if argument.key in parcel.submit.consumes
            for found in leaves(argument.source)
        ]

    def _speak_late(self, parcel: Parcel, started: float) -> None:
        """Let an attempt report that was given up long ago, and that nobody waits for any more."""
        if parcel.ending.kind != "lost":
            run, submission, report = (
                parcel.submit.run,
                parcel.submit.submission,
                self._report(parcel, started),
            )
            parcel.value = GONE
            self._wires.tell([parcel], lambda t: AttemptFinished(t, run, submission, report))

    def _fold(self, parcel: Parcel, reader: Parcel) -> None:
        """Let a reader of a whole map read one child's value before it starts, as part of a tree may."""
        if parcel.status != "done" or reader.status != "waiting" or id(parcel) not in reader.reads:
            return
        if self.rng.random() >= self.case.faults.folded or not self._is_foldable(parcel, reader):
            return
        reader.folded.add(id(parcel))
        first = parcel.submit.run
        self.folded.setdefault(reader.submit.run, {})[first, parcel.submit.submission] = parcel.value
        run, submission = reader.submit.run, reader.submit.submission
        self._wires.tell([], lambda t: InputsConsumed(t, run, submission, first, 1))

    def _is_foldable(self, parcel: Parcel, reader: Parcel) -> bool:
        """Return whether one argument, and no other, is the list of the map's values."""
        sources = [one.source for one in reader.submit.arguments]
        place = (parcel.submit.run, parcel.submit.submission)
        holders = [one for one in sources if any((x.run, x.submission) == place for x in leaves(one))]
        return reader.name[1] < 0 and len(holders) == 1 and isinstance(holders[0], FromMany)

    def _hold(self, parcel: Parcel, told: bool = False) -> None:
        parcel.status = "over"
        run, submission = parcel.submit.run, parcel.submit.submission
        if told:
            self._wires.tell([parcel], lambda t: AttemptHeld(t, run, submission))
        else:
            self._wires.hint(parcel)
        for follower in parcel.followers:
            if follower.status == "waiting":
                self._hold(follower)

    def _report(self, parcel: Parcel, started: float) -> Report:
        skew = self.case.faults.skew
        copy = f"stored/{parcel.submit.key}" if parcel.name[0] in self.case.stored else None
        report = report_of(parcel, started + skew, self.now + skew, self.rng, copy)
        if copy is not None and report.state is None and not parcel.is_cut_off:
            # What was given up stores the same as who was sent in its place, or its task should not be retried.
            self.stored[copy] = parcel.made
        if report.state is None and not parcel.submit.drop_value:
            parcel.value = parcel.made
        return report

    # Arguments

    def _read(self, source: Source, folded: dict[tuple[int, int], Any]) -> Any:
        match source:
            case FromRun(run, submission):
                value = folded.get((run, submission), self.parcels[run, submission].value)
                require(value is not GONE, f"the value of submission {submission} of run {run} is gone")
            case FromDriver(run):
                value = self._held_by_driver(run)
            case FromValue(node):
                value = self.case.value(node)
            case FromMany():
                return _flat_if(source.flat, [self._read(item, folded) for item in source.singly()])
            case FromCollection(_, items):
                value = [self._read(item, folded) for item in items]
        value = _flat_if(source.flat, value)
        if source.item is None:
            return value
        require(
            isinstance(value, list) and 0 <= source.item < len(value),
            f"element {source.item} was asked of {value!r}, which does not have it",
        )
        return value[source.item]

    def _held_by_driver(self, run: int) -> Any:
        state = self._state_of(run)
        require(state.is_finished(), f"the driver was asked for the value of run {run}, which is {state!r}")
        ref = state.result_ref
        if ref is not None and (ref.location is not None or ref.inline is not None):
            return self.stored[ref.location or str(ref.inline, "ascii")]
        require(ref is None, f"the driver was asked for the value of run {run}, which lies on a worker")
        if state.is_successful():
            return state.result
        if state.is_failed():
            require(
                isinstance(state.result, BaseException),
                f"the value of failed run {run} is {state.result!r}, no exception",
            )
        return Broken(self._name_of(run))


def _flat_if(flat: bool, value: Any) -> Any:
    return flattened(value) if flat and isinstance(value, list) else value
