"""Faults planted in how runs begin with states of an earlier flow run. Each must be found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from prefectlite.engine import given
from prefectlite.engine.board import PARKED
from prefectlite.engine.given import Beginnings
from prefectlite.engine.readers import Readers
from prefectlite.engine.waits import Waits
from prefectlite.rules.given import Standing
from prefectlite.states.state import Paused, Resume, Scheduled
from tests.simulation.case import Case
from tests.simulation.changed import replace
from tests.simulation.kinds import KINDS
from tests.simulation.planting import BOUND, Fault, Patch, Planted, is_found

#: They test the tests.
pytestmark = pytest.mark.slow

plant = Planted()


@plant
def attempts_are_counted_from_the_start(patch: Patch) -> None:
    honest = given.standing_of
    patch.setattr(given, "standing_of", lambda state: replace(honest(state), failures=0))


@plant
def loops_begin_anew(patch: Patch) -> None:
    honest = given.standing_of

    def faulty(state: Any) -> Standing:
        return replace(honest(state), lap=1, looped=None)

    patch.setattr(given, "standing_of", faulty)


@plant
def what_is_kept_runs_all_the_same(patch: Patch) -> None:
    honest = given.decide_given
    patch.setattr(given, "decide_given", lambda state: honest(state if state.is_pending() else Paused()))


@plant
def children_of_maps_are_given_nothing(patch: Patch) -> None:
    patch.setattr(Beginnings, "of_children", lambda self, node: None)


@plant
def times_are_not_kept(patch: Patch) -> None:
    honest = Waits.begin_given

    def faulty(self: Waits, run: int, state: Scheduled) -> None:
        if isinstance(state, Paused | Resume) or state.start_time is None:
            honest(self, run, state)
        else:
            self.count_on(run)

    patch.setattr(Waits, "begin_given", faulty)


@plant
def the_rules_are_not_asked_after_a_wait(patch: Patch) -> None:
    patch.setattr(Waits, "asks_rules", lambda self, run: self.count_on(run) or not self.may_start(run))


@plant
def an_approval_that_was_given_is_forgotten(patch: Patch) -> None:
    honest = Waits._over

    def faulty(self: Waits, run: int) -> None:
        honest(self, run)
        if isinstance(self._board.states[run], Resume):
            self._board.resumed.discard(run)

    patch.setattr(Waits, "_over", faulty)


@plant
def nobody_approves_before_the_time(patch: Patch) -> None:
    honest = Waits.end
    patch.setattr(Waits, "end", lambda self, run: self._board.stage[run] == PARKED and honest(self, run))


@plant
def what_begins_with_a_state_goes_ahead(patch: Patch) -> None:
    honest = Beginnings._stand

    def faulty(self: Beginnings, run: int, standing: Standing) -> None:
        honest(self, run, standing)
        self._board.unsent[run] -= 1

    patch.setattr(Beginnings, "_stand", faulty)


@plant
def readers_that_ended_before_a_map_are_waited_for(patch: Patch) -> None:
    honest = Readers.family_grew

    def faulty(self: Readers, node: int) -> None:
        left, self._board.readers[node] = self._board.readers[node], self._wiring.reads[node]
        honest(self, node)
        if self._board.plan.nodes[node].kind != "collection":
            self._board.readers[node] = left

    patch.setattr(Readers, "family_grew", faulty)


def cases() -> Iterator[Case]:
    return map(KINDS["random, begun"], range(BOUND))


@pytest.mark.parametrize("fault", plant.values(), ids=plant)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)

    assert is_found(cases())
