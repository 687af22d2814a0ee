"""Faults planted in what follows when workers are lost: flows on bad workers must find each, without the audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from prefectlite.engine import conduct, sources
from prefectlite.engine.board import FLYING, Board
from prefectlite.engine.conduct import Conduct
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import AttemptFinished, ResultLost
from prefectlite.engine.inputs import FromDriver, FromElements
from prefectlite.engine.losses import Losses
from prefectlite.engine.plan import PlanEdge
from prefectlite.engine.readers import Readers
from prefectlite.engine.sources import arguments_of
from prefectlite.rules.verdict import Proceed, Reason
from prefectlite.states.state import Crashed, State
from tests.simulation.case import Accident, Case, EndingKind, Faults, TriggerSpec
from tests.simulation.changed import replace
from tests.simulation.kinds import KINDS
from tests.simulation.planting import Fault, Patch, is_found
from tests.simulation.simulate import Simulation
from tests.simulation.sketch import Sketch

_FINE = Reason("planted", "A planted fault.")


# Who is run again


def one_crash_too_many_is_borne(patch: Patch) -> None:
    honest = conduct.decide_crash
    patch.setattr(conduct, "decide_crash", lambda crashes, most, *rest: honest(crashes, most + 1, *rest))


def what_was_lost_is_run_again_though_nobody_allowed_it(patch: Patch) -> None:
    honest = Conduct._weigh_loss
    lost = "result-lost"

    def faulty(self: Conduct, run: int, state: Crashed) -> None:
        node = self._board.plan.nodes[self._board.node[run]]
        policy = replace(node.policy, idempotent=state.cause == lost or node.policy.idempotent)
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Board, "plan_node", lambda board, of: replace(_NODE(board, of), policy=policy))
            honest(self, run, state)

    patch.setattr(Conduct, "_weigh_loss", faulty)


_NODE = Board.plan_node


def lost_work_of_an_idempotent_task_counts_as_a_crash(patch: Patch) -> None:
    patch.setattr(conduct, "decide_loss", lambda *_: Proceed(_FINE))


def idempotent_work_is_done_again_without_end(patch: Patch) -> None:
    honest = conduct.decide_loss
    patch.setattr(conduct, "decide_loss", lambda losses, *rest: honest(min(losses, 1), *rest))


def what_is_made_again_goes_on_without_its_inputs(patch: Patch) -> None:
    patch.setattr(Losses, "lacks_input", lambda self, run: False)


def what_is_made_again_lets_go_of_what_it_reads(patch: Patch) -> None:
    patch.setattr(Readers, "claim", lambda self, runs: None)
    patch.setattr(Readers, "give_back", lambda self, runs: None)


def what_is_made_again_keeps_what_it_read(patch: Patch) -> None:
    patch.setattr(Readers, "give_back", lambda self, runs: None)


def what_was_lost_lets_go_of_what_it_was_made_of(patch: Patch) -> None:
    patch.setattr(Losses, "_needed_for", lambda self, run: ())


def what_was_lost_keeps_what_it_was_made_of(patch: Patch) -> None:
    patch.setattr(Losses, "give_back", lambda self: None)


def readers_hear_twice_of_what_was_made_again(patch: Patch) -> None:
    honest = Losses.settle

    def faulty(self: Losses, run: int) -> None:
        honest(self, run)
        for reader in self._readers_of(run):
            self._board.unmet[reader] -= 1

    patch.setattr(Losses, "settle", faulty)


# When a loss is felt


def a_loss_is_forgotten(patch: Patch) -> None:
    patch.setattr(Losses, "note", lambda self, run, submission, text: None)


def a_loss_is_felt_though_nobody_misses_the_value(patch: Patch) -> None:
    honest = Engine.handle

    def faulty(self: Engine, event: Any) -> Any:
        found = honest(self, event)
        is_final = isinstance(event, ResultLost) and event.run in self.board.lost and not self.ended
        if is_final and self.board.states[event.run].is_successful() and not self.board.again:
            self.board.lost.clear()
            losses = self._conduct.losses
            self._conduct._weigh_loss(event.run, losses._crash(event.run, event.text))
            self._move_on()
        return found

    patch.setattr(Engine, "handle", faulty)


def who_goes_ahead_makes_a_loss_felt(patch: Patch) -> None:
    patch.setattr(Losses, "lacks_some", lambda self, run: False)


def readers_do_not_wait_for_what_is_made_again(patch: Patch) -> None:
    patch.setattr(Losses, "holds_up", lambda self, run: False)


def readers_of_what_was_lost_for_good_are_not_asked_again(patch: Patch) -> None:
    patch.setattr(Losses, "_readers_of", lambda self, run: iter(()))


def a_list_does_not_crash_with_its_member(patch: Patch) -> None:
    patch.setattr(Losses, "_take_lists_along", lambda self, run: None)


def a_list_crashes_with_the_member_of_one_that_was_skipped(patch: Patch) -> None:
    honest = Losses._take_lists_along

    def faulty(self: Losses, run: int) -> None:
        honest(self, run)
        for one in self._below(run):
            if self._board.plan_node(one).kind == "collection":
                states = self._board.states
                state, states[one] = states[one], Crashed(cause="result-lost")
                faulty(self, one)
                states[one] = state

    patch.setattr(Losses, "_take_lists_along", faulty)


def a_list_crashes_that_runs_after_skips(patch: Patch) -> None:
    honest = Losses._take_lists_along

    def faulty(self: Losses, run: int) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(State, "is_successful", lambda state: False)
            honest(self, run)

    patch.setattr(Losses, "_take_lists_along", faulty)


def an_approved_run_is_paused_again(patch: Patch) -> None:
    patch.setattr(Conduct, "_is_approved", lambda self, run, verdict: False)


def an_exception_is_taken_apart(patch: Patch) -> None:
    def faulty(board: Board, run: int) -> Any:
        place = board.index(run)
        return tuple(
            replace(one, source=replace(one.source, item=place))
            if isinstance(one.source, FromDriver) and place >= 0
            else one
            for one in arguments_of(board, run)
        )

    patch.setattr(conduct, "arguments_of", faulty)


def children_that_go_together_take_an_exception_apart(patch: Patch) -> None:
    honest = sources._row

    def faulty(board: Board, edge: PlanEdge, runs: range) -> Any:
        found = honest(board, edge, runs)
        return FromElements(found, board.index(runs[0])) if isinstance(found, FromDriver) else found

    patch.setattr(sources, "_row", faulty)


def a_map_unfolds_over_what_is_made_again(patch: Patch) -> None:
    honest = Conduct._unfold

    def faulty(self: Conduct, *args: Any) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Losses, "holds_up", lambda self, run: False)
            honest(self, *args)

    patch.setattr(Conduct, "_unfold", faulty)


# What comes late


def a_report_that_comes_after_the_next_attempt_began_is_taken(patch: Patch) -> None:
    patch.setattr(Engine, "_is_current", lambda self, run, submission: self.board.stage[run] == FLYING)


def a_report_of_what_was_given_up_is_taken_in_the_place_of_its_crash(patch: Patch) -> None:
    honest = Engine._take_or_keep

    def faulty(self: Engine, run: int, event: Any) -> None:
        if isinstance(event, AttemptFinished):
            self.board.early.pop(run, None)
        honest(self, run, event)

    patch.setattr(Engine, "_take_or_keep", faulty)


FAULTS: tuple[Fault, ...] = (
    one_crash_too_many_is_borne,
    what_was_lost_is_run_again_though_nobody_allowed_it,
    lost_work_of_an_idempotent_task_counts_as_a_crash,
    idempotent_work_is_done_again_without_end,
    what_is_made_again_goes_on_without_its_inputs,
    what_is_made_again_lets_go_of_what_it_reads,
    what_is_made_again_keeps_what_it_read,
    what_was_lost_lets_go_of_what_it_was_made_of,
    what_was_lost_keeps_what_it_was_made_of,
    readers_hear_twice_of_what_was_made_again,
    a_loss_is_forgotten,
    a_loss_is_felt_though_nobody_misses_the_value,
    who_goes_ahead_makes_a_loss_felt,
    readers_do_not_wait_for_what_is_made_again,
    readers_of_what_was_lost_for_good_are_not_asked_again,
    a_list_does_not_crash_with_its_member,
    a_list_crashes_with_the_member_of_one_that_was_skipped,
    a_list_crashes_that_runs_after_skips,
    an_approved_run_is_paused_again,
    an_exception_is_taken_apart,
    children_that_go_together_take_an_exception_apart,
    a_map_unfolds_over_what_is_made_again,
    a_report_that_comes_after_the_next_attempt_began_is_taken,
    a_report_of_what_was_given_up_is_taken_in_the_place_of_its_crash,
)


def spoken_late(seed: int) -> Case:
    """A case in which a run may be given up, and then report, before its upstream's report arrives."""
    flow = Sketch()
    flow.task(flow.task(ends=["value"]), ends=["value"], lasts=0.05)
    faults = Faults(latency=0.01, lost=0.5)
    return flow.case(seed, faults=faults, accidents=(Accident(0.03, "cut off", 0, 31.0),))


def approved_late(seed: int) -> Case:
    """A case in which what a run reads may be lost before somebody approves the run."""
    flow = Sketch()
    flow.task(flow.task(max_crashes=1), trigger=TriggerSpec("manual_only"))
    return flow.case(seed, approved=1.0, accidents=(Accident(2.0, "killed", 0),))


def unfolded_late(seed: int) -> Case:
    """A case in which a map's handlers are asked while a child above it may be lost, missed and made again."""
    flow = Sketch()
    ends: dict[int, list[EndingKind]] = {child: ["value", "value"] for child in range(3)}
    above = flow.task((flow.value((-1, -1, -1)), "mapped"), ends=ends, lasts=3.0, max_crashes=1)
    flow.task(above, flow.task(ends=["value"], lasts=5.0), trigger=TriggerSpec("all_finished"))
    flow.task((above, "mapped"), handled=True)
    accidents = (Accident(4.0, "killed", 0),)
    return flow.case(seed, faults=Faults(slow_answers=8.0), workers=2, accidents=accidents)


def missed_late(seed: int) -> Case:
    """A case in which what was lost is missed after the last other reader of its input has ended."""
    flow = Sketch()
    made = flow.task(ends=["value", "value"])
    lost = flow.task(made, ends=["value", "value"], max_crashes=1)
    flow.task(made, ends=["value"], lasts=6.0)
    flow.task(lost, flow.task(ends=["value"], lasts=8.0), trigger=TriggerSpec("all_finished"))
    return flow.case(seed, workers=3, accidents=(Accident(4.0, "killed", 0),))


def followed_late(seed: int) -> Case:
    """A case in which the member of a list may be made again when somebody is to follow the list for its state."""
    flow = Sketch()
    lost = flow.task(ends=["value", "value"], lasts=3.0, max_crashes=1)
    whole = flow.task(lost, kind="collection")
    flow.task(whole, flow.task(ends=["value"], lasts=5.0), trigger=TriggerSpec("all_finished"))
    flow.task((whole, "after"), flow.task(ends=["value"], lasts=6.0))
    return flow.case(seed, workers=3, accidents=(Accident(4.0, "killed", 0),))


def failing_together(seed: int) -> Case:
    """A case in which children fail alike, and start again, that may have lost for good what they map over."""
    flow = Sketch()
    ends: dict[int, list[EndingKind]] = {child: ["failed", "value"] for child in range(4)}
    made = flow.task(ends=["value"], shape=(-1,) * 4)
    flow.task(ends=["value"], lasts=3.0, max_crashes=2)
    flow.task((made, "mapped"), ends=ends, trigger=TriggerSpec("all_finished"), max_retries=1, max_crashes=1)
    faults = Faults(latency=0.01, together=1.0)
    return flow.case(seed, slots=1, workers=2, faults=faults, accidents=(Accident(1.0, "killed", 0),))


def skipped_among_lists(seed: int) -> Case:
    """A case in which a member may be lost of a list that was skipped, or that may skip when it is made again."""
    flow = Sketch()
    lost = flow.task(ends=["value"])
    inner = flow.task(lost, flow.task(ends=["signal_skip"]), kind="collection")
    flow.task(inner, flow.task(ends=["value"]), kind="collection", skip_on_upstream_skip=False)
    skips = flow.task(ends=["value", "signal_skip"], max_crashes=1)
    flow.task(skips, kind="collection", skip_on_upstream_skip=False)
    flow.task(
        lost, skips, flow.task(ends=["value"], lasts=3.0, max_crashes=2), trigger=TriggerSpec("all_finished")
    )
    return flow.case(seed, workers=2, accidents=(Accident(1.0, "killed", 0),))


def cases() -> Iterator[Case]:
    yield from map(failing_together, range(20))
    yield from map(skipped_among_lists, range(20))
    yield from map(spoken_late, range(100))
    yield from map(approved_late, range(10))
    yield from map(unfolded_late, range(60))
    yield from map(missed_late, range(30))
    yield from map(followed_late, range(30))
    yield from map(KINDS["random, beset"], range(500))


def test_what_is_said_late_of_what_was_given_up_changes_nothing() -> None:
    assert not is_found(map(spoken_late, range(100)))


def test_who_follows_a_list_for_its_state_waits_for_a_member_that_is_made_again() -> None:
    assert not is_found(map(followed_late, range(30)))


@pytest.mark.slow
def test_the_sound_engine_passes_what_faulty_ones_fail() -> None:
    assert not is_found(cases())


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_without_the_audits_help(fault: Fault, monkeypatch: Patch) -> None:
    fault(monkeypatch)
    assert is_found(cases(), audit=False), f"no seed found that {fault.__name__.replace('_', ' ')}"


@pytest.mark.parametrize("kind", ["random, beset", "branches, beset"])
def test_bad_workers_bring_every_kind_of_loss(kind: str) -> None:
    missed = borne = late = stored = stalled = 0
    for case in map(KINDS[kind], range(40)):
        sim = Simulation(case, audit=False).play()
        missed += bool(sim.moments.missed)
        borne += any(
            step.why.rule in ("crash", "idempotent") for chain in sim.journal.values() for step in chain
        )
        parcels = sim.cluster.parcels.values()
        late += any(parcel.is_cut_off for parcel in parcels)
        stored += any(parcel.is_missed and parcel.name[0] in case.stored for parcel in parcels)
        stalled += any(parcel.stalls for parcel in parcels)
    met = (missed, borne, late, stored, stalled)
    assert min(met) > 2, met
