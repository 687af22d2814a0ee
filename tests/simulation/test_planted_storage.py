"""Faults planted in what follows when values are stored as well, and when inputs cannot be reached: each is found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from prefectlite.engine import conduct, engine
from prefectlite.engine.conduct import Conduct
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import AttemptCrashed
from prefectlite.engine.losses import Losses
from prefectlite.rules import crash
from tests.simulation.case import Accident, Case, Faults
from tests.simulation.kinds import KINDS
from tests.simulation.planting import Fault, Patch, is_found
from tests.simulation.simulate import play
from tests.simulation.sketch import Sketch

# Values that are stored


def what_has_copy_is_lost_all_the_same(patch: Patch) -> None:
    patch.setattr(Losses, "_has_copy", lambda self, run: False)


def readers_are_sent_to_where_a_stored_value_lay(patch: Patch) -> None:
    honest = Losses.note

    def faulty(self: Losses, run: int, submission: int, text: str) -> None:
        if not self._has_copy(run):
            honest(self, run, submission, text)

    patch.setattr(Losses, "note", faulty)


def what_was_lost_before_it_was_known_to_be_stored_stays_lost(patch: Patch) -> None:
    patch.setattr(Losses, "clear", lambda self, run: None)


def who_did_not_go_ahead_for_a_loss_stays_when_it_is_none(patch: Patch) -> None:
    honest = Losses.clear

    def faulty(self: Losses, run: int) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Losses, "_readers_of", lambda self, run: iter(()))
            honest(self, run)

    patch.setattr(Losses, "clear", faulty)


def what_is_made_again_does_not_read_what_has_copy(patch: Patch) -> None:
    honest = Losses.lacks_input

    def faulty(self: Losses, run: int) -> bool:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Losses, "_has_copy", lambda self, run: False)
            return honest(self, run)

    patch.setattr(Losses, "lacks_input", faulty)


def what_is_made_again_claims_nothing_that_is_made_again_too(patch: Patch) -> None:
    honest = Losses._crash

    def faulty(self: Losses, run: int, text: str) -> Any:
        crashed = honest(self, run, text)
        board, reads = self._board, self._board.again[run]
        board.again[run] = tuple(up for up in reads if board.live[up])
        self._readers.give_back(up for up in reads if not board.live[up])
        return crashed

    patch.setattr(Losses, "_crash", faulty)


def who_goes_ahead_follows_what_is_lost(patch: Patch) -> None:
    honest = conduct.anchors_of

    def faulty(board: Any, *rest: Any) -> Any:
        lost, board.lost = board.lost, {}
        found = honest(board, *rest)
        board.lost = lost
        return found

    patch.setattr(conduct, "anchors_of", faulty)


# Inputs that cannot be reached


def a_run_is_given_up_for_what_befell_its_earlier_attempts(patch: Patch) -> None:
    honest = Conduct._start_again

    def faulty(self: Conduct, run: int, why: Any) -> None:
        holds = self._board.holds.get(run, 0)
        honest(self, run, why)
        self._board.holds[run] = holds

    patch.setattr(Conduct, "_start_again", faulty)


def losses_of_what_has_copy_count_as_inputs_out_of_reach(patch: Patch) -> None:
    honest = Losses.note

    def faulty(self: Losses, *news: Any) -> None:
        holds = dict(self._board.holds)
        honest(self, *news)
        self._board.holds.update(holds)

    patch.setattr(Losses, "note", faulty)


def it_is_sent_once_more_than_it_may_be_held(patch: Patch) -> None:
    patch.setattr(engine, "_MAX_HOLDS", engine._MAX_HOLDS + 1)


def it_is_given_up_a_submission_too_early(patch: Patch) -> None:
    patch.setattr(engine, "_MAX_HOLDS", engine._MAX_HOLDS - 1)


def what_never_got_its_inputs_is_sent_as_the_same_attempt(patch: Patch) -> None:
    honest = Engine._take

    def faulty(self: Engine, run: int, event: Any) -> None:
        if isinstance(event, AttemptCrashed) and event.cause == "input-unreachable":
            self._conduct.land(run)
            self._conduct.lose(run)
            self._conduct.queue(run)
        else:
            honest(self, run, event)

    patch.setattr(Engine, "_take", faulty)


def an_input_out_of_reach_counts_as_lost_work(patch: Patch) -> None:
    causes = crash.LOSSES | {"input-unreachable"}
    patch.setattr(crash, "LOSSES", causes)
    patch.setattr(conduct, "LOSSES", causes)


FAULTS: tuple[Fault, ...] = (
    what_has_copy_is_lost_all_the_same,
    readers_are_sent_to_where_a_stored_value_lay,
    what_was_lost_before_it_was_known_to_be_stored_stays_lost,
    what_is_made_again_does_not_read_what_has_copy,
    what_is_made_again_claims_nothing_that_is_made_again_too,
    who_goes_ahead_follows_what_is_lost,
    a_run_is_given_up_for_what_befell_its_earlier_attempts,
    losses_of_what_has_copy_count_as_inputs_out_of_reach,
    it_is_sent_once_more_than_it_may_be_held,
    it_is_given_up_a_submission_too_early,
    what_never_got_its_inputs_is_sent_as_the_same_attempt,
    an_input_out_of_reach_counts_as_lost_work,
)


def parted(seed: int, lasts: float, workers: int = 2) -> Case:
    """A case in which a run reads from two workers that are parted before it can begin on either."""
    flow = Sketch()
    makers = [flow.task(ends=["value"], lasts=1.0) for _ in range(6)]
    flow.task(*makers, ends=["value"], max_crashes=seed % 2, idempotent=seed % 3 == 0)
    accident = Accident(0.5, "parted", 0, lasts, other=1)
    return flow.case(seed, workers=workers, accidents=(accident,))


def lost_in_turn(seed: int) -> Case:
    """A case in which one stored value after the other is lost that a run reads, which waits for its slot."""
    flow = Sketch()
    makers = [flow.task(ends=["value"]) for _ in range(6)]
    flow.task(lasts=100.0, ends=["value"], max_crashes=20)
    flow.task(*makers)
    accidents = tuple(Accident(5.0 * place, "killed", place % 6) for place in range(1, 20))
    return flow.case(seed, slots=1, workers=6, stored=frozenset(makers), accidents=accidents)


def lost_together(seed: int) -> Case:
    """A case in which a chain of values is lost, and more than one of them is missed."""
    flow = Sketch()
    chain = [flow.task(ends=["value"], max_crashes=2)]
    for _ in range(3):
        chain.append(flow.task(chain[-1], ends=["value"], max_crashes=2))
    for one in chain:
        flow.task(one, (chain[-1], "after"), ends=["value"], lasts=2.0, max_crashes=2)
    accidents = (Accident(1.0, "killed", 0),)
    return flow.case(seed, slots=1, faults=Faults(latency=0.1), accidents=accidents)


def lost_unheard(seed: int) -> Case:
    """A case in which an attempt's end is heard of, and then its loss, before the end of the one above it."""
    flow = Sketch()
    above = flow.task(flow.task())
    flow.task(flow.task(ends=["failed", "value"], lasts=4.0, max_retries=1), (above, "after"))
    accidents = (Accident(3.0, "killed", 0),)
    return flow.case(seed, faults=Faults(lost=0.4), workers=2, accidents=accidents)


def stored_unheard(seed: int) -> Case:
    """A case in which a stored value's loss may be heard of before its state, while its reader could go ahead."""
    flow = Sketch()
    stored = flow.task(flow.task())
    slow = flow.task(lasts=3.0, ends=["value"])
    many = flow.task((slow, "mapped"), ends={child: ["value"] for child in range(2)}, lasts=40.0)
    flow.task(stored, many)
    accidents = (Accident(1.0, "killed", 0),)
    return flow.case(
        seed, faults=Faults(lost=0.4), workers=3, stored=frozenset({stored}), accidents=accidents
    )


def cases() -> Iterator[Case]:
    for seed in range(20):
        yield parted(seed, lasts=300.0)
    for made, count in (
        (lost_in_turn, 100),
        (lost_together, 250),
        (lost_unheard, 100),
        (stored_unheard, 100),
    ):
        yield from map(made, range(count))
    yield from map(KINDS["random, beset"], range(300))
    yield from map(KINDS["branches, beset"], range(200))


def ends(case: Case) -> tuple[str, int]:
    """Return how the reader of a parted case ends, and after how many minutes."""
    sim = play(case)
    return type(sim.state_of(6)).__name__, int(sim.journal[6][-1].time % 1000 / 60)


def test_what_cannot_fetch_its_inputs_is_placed_anew_and_given_up_the_second_time() -> None:
    assert ends(parted(2, lasts=300.0)) == ("Crashed", 2)
    assert ends(parted(1, lasts=300.0))[0] in ("Crashed", "Success"), "it may crash once"


def test_what_comes_by_its_inputs_in_time_begins_where_it_is() -> None:
    assert {ends(parted(seed, lasts=20.0)) for seed in range(20)} == {("Success", 0)}


def test_who_holds_no_input_may_be_where_all_can_be_had() -> None:
    stalled = [play(parted(seed, 300.0, workers=3)) for seed in range(0, 40, 2)]
    assert {type(sim.state_of(6)).__name__ for sim in stalled} == {"Success", "Crashed"}


def test_who_did_not_go_ahead_for_a_loss_is_missed_when_it_stays_though_that_is_none(
    monkeypatch: Patch,
) -> None:
    assert not is_found(map(stored_unheard, range(20)))
    who_did_not_go_ahead_for_a_loss_stays_when_it_is_none(monkeypatch)
    assert is_found(map(stored_unheard, range(20)))


@pytest.mark.slow
def test_the_sound_engine_passes_what_faulty_ones_fail() -> None:
    assert not is_found(cases())


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_without_the_audits_help(fault: Fault, monkeypatch: Patch) -> None:
    fault(monkeypatch)
    assert is_found(cases(), audit=False), f"no seed found that {fault.__name__.replace('_', ' ')}"
