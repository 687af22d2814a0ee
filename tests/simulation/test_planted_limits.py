"""Faults planted in the places under limits: the simulation must find each of them, without the audit's help."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefectlite.engine.conduct import Conduct
from prefectlite.engine.frontier import Frontier
from prefectlite.engine.limits import Limits
from prefectlite.rules.limit import Limit
from tests.simulation.case import Case
from tests.simulation.generate import generate
from tests.simulation.planting import BOUND, Fault, Patch, is_found
from tests.simulation.simulate import play
from tests.simulation.sketch import Sketch

#: They test the tests, and take a minute and a half together.
pytestmark = pytest.mark.slow


def whoever_comes_is_let_in(patch: Patch) -> None:
    patch.setattr(Limits, "admit", lambda self, run: True)


def places_are_counted_one_too_few(patch: Patch) -> None:
    honest = Limits.give_back

    def faulty(self: Limits, run: int) -> None:
        honest(self, run)
        for limit in self._board.plan_node(run).limits:
            self._taken[limit] = max(0, self._taken[limit] - 1)

    patch.setattr(Limits, "give_back", faulty)


def a_run_that_lands_keeps_its_places(patch: Patch) -> None:
    patch.setattr(Conduct, "land", lambda self, run: self._ledger.land(run))


def whoever_is_given_a_place_is_not_told(patch: Patch) -> None:
    honest = Limits.give_back

    def faulty(self: Limits, run: int) -> None:
        frontier, self._frontier = self._frontier, Frontier(range(0))
        honest(self, run)
        self._frontier = frontier

    patch.setattr(Limits, "give_back", faulty)


def a_place_that_comes_free_is_given_to_nobody(patch: Patch) -> None:
    patch.setattr(Limits, "_longest_waiting", lambda self, limit: None)


def a_start_that_a_handler_refuses_keeps_its_places(patch: Patch) -> None:
    honest = Limits.give_back

    def faulty(self: Limits, run: int) -> None:
        if self._board.submission[run]:
            honest(self, run)

    patch.setattr(Limits, "give_back", faulty)


def a_row_is_served_from_its_end_and_forgets_who_stands_before(patch: Patch) -> None:
    def faulty(self: Limits, limit: int) -> int | None:
        queue = self._queues[limit]
        run = queue.pop() if queue else None
        queue.clear()
        return run

    patch.setattr(Limits, "_longest_waiting", faulty)


FAULTS: tuple[Fault, ...] = (
    whoever_comes_is_let_in,
    places_are_counted_one_too_few,
    a_run_that_lands_keeps_its_places,
    whoever_is_given_a_place_is_not_told,
    a_place_that_comes_free_is_given_to_nobody,
    a_start_that_a_handler_refuses_keeps_its_places,
    a_row_is_served_from_its_end_and_forgets_who_stands_before,
)


def refused_start() -> Case:
    flow = Sketch()
    first = flow.value((-1, -1))
    refused = flow.task((first, "mapped"), handled=True, limits=(0,))
    flow.handlings[refused, 0, "", "Running", 1] = "skipped"
    return flow.case(limits=(Limit("narrow", 1),))


def cases() -> Iterator[Case]:
    """Yield what has limits."""
    yield refused_start()
    yield from (case for case in map(generate, range(BOUND)) if case.plan.limits)


def test_sound_limits_pass_what_faulty_ones_fail() -> None:
    assert not is_found(cases(), audit=False)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_in_the_limits_is_found(fault: Fault, monkeypatch: Patch) -> None:
    fault(monkeypatch)
    assert is_found(cases(), audit=False), (
        f"{BOUND} seeds did not find that {fault.__name__.replace('_', ' ')}"
    )


def test_the_seeds_reach_runs_that_wait_for_a_place() -> None:
    played = [play(case, audit=False) for case in map(generate, range(BOUND)) if case.plan.limits]
    waited = [
        one
        for one in played
        if any(step.why.rule == "limit" for each in one.journal.values() for step in each)
    ]
    assert len(waited) > 20
