"""Faults planted in what goes ahead, what has room, what comes again and what ends: each must be found."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.engine import conduct, mapping, settling, wiring
from prefectlite.engine.ahead import Ahead
from prefectlite.engine.board import FINAL, FLYING, Board
from prefectlite.engine.conduct import Conduct
from prefectlite.engine.engine import Engine
from prefectlite.engine.instructions import (
    AwaitApproval,
    EndRun,
    Instruction,
    Submit,
)
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.transitions import Transition
from prefectlite.engine.waits import Waits
from prefectlite.rules.triggers import all_successful
from prefectlite.rules.verdict import Reason
from prefectlite.states.report import Report
from prefectlite.states.state import Cached, State, Success
from tests.simulation.changed import replace
from tests.simulation.planting import BOUND, Patch, Planted, corners_and_seeds, edit_instructions, is_found

#: They test the tests, and take a minute and a half together.
pytestmark = pytest.mark.slow

plant = Planted()
_PAST = Board.past

# Lowering ahead, the window, the end


@plant
def a_map_takes_a_failure_that_may_be_retried_for_final(patch: Patch) -> None:
    def faulty(board: Board, node: int, width: int) -> Any:
        waiting = [r for r, state in enumerate(board.states) if state.is_failed() and board.stage[r] != FINAL]
        stages = {run: board.stage[run] for run in waiting}
        for run in waiting:
            board.stage[run] = FINAL
        family = mapping.unfold(board, node, width)
        for run, stage in stages.items():
            board.stage[run] = stage
        return family

    patch.setattr(conduct, "unfold", faulty)


@plant
def a_success_of_the_users_own_class_has_no_length(patch: Patch) -> None:
    honest = Engine._reported

    def faulty(self: Engine, run: int, report: Report, submission: int) -> None:
        if report.success is not None and type(report.success) not in (Success, Cached):
            report = replace(report, length=None, flat_length=None)
        honest(self, run, report, submission)

    patch.setattr(Engine, "_reported", faulty)


@plant
def what_was_sent_after_a_failure_is_not_taken_back(patch: Patch) -> None:
    patch.setattr(Ahead, "unmark", lambda self, run: None)


@plant
def only_the_next_one_after_a_failure_is_taken_back(patch: Patch) -> None:
    honest = Ahead.unmark

    def faulty(self: Ahead, run: int) -> None:
        # With nobody in flight behind the next one, the way down ends there.
        below = [r for r, stage in enumerate(self._board.stage) if stage == FLYING]
        hidden = [
            r
            for r in below
            if any(self._board.stage[e.upstream] == FLYING for e in self._board.plan_node(r).ins)
        ]
        for one in hidden:
            self._board.stage[one] = FINAL
        honest(self, run)
        for one in hidden:
            self._board.stage[one] = FLYING

    patch.setattr(Ahead, "unmark", faulty)


@plant
def the_window_is_ignored(patch: Patch) -> None:
    honest = Engine.__init__
    patch.setattr(
        Engine, "__init__", lambda self, plan, **more: honest(self, plan, **{**more, "window": 10**6})
    )


@plant
def nothing_is_sent_ahead(patch: Patch) -> None:
    patch.setattr(Ahead, "may_go", lambda self, run: False)


@plant
def a_run_goes_ahead_over_an_edge_that_would_move_a_value(patch: Patch) -> None:
    honest = wiring._may_go_ahead

    def faulty(node: Any, plan: Any, trusted: bytearray, drops: bytearray) -> bool:
        return honest(node, plan, trusted, bytearray(b"\1" * len(drops)))

    patch.setattr(wiring, "_may_go_ahead", faulty)


@plant
def a_run_goes_ahead_of_an_upstream_with_handlers(patch: Patch) -> None:
    honest = wiring.Wiring.of

    def faulty(plan: Any) -> Any:
        found = honest(plan)
        every = bytearray(b"\x01" * len(plan.nodes))
        ahead = [
            wiring._may_go_ahead(node, plan, every, found.drops)
            if node.kind == "task"
            else node.kind == "collection"
            for node in plan.nodes
        ]
        return replace(found, trusted=every, ahead=bytearray(ahead))

    patch.setattr(wiring.Wiring, "of", faulty)


@plant
def a_run_goes_ahead_whatever_its_trigger(patch: Patch) -> None:
    honest = wiring._may_go_ahead

    def faulty(node: Any, plan: Any, trusted: bytearray, drops: bytearray) -> bool:
        return honest(
            replace(node, policy=replace(node.policy, trigger=all_successful)), plan, trusted, drops
        )

    patch.setattr(wiring, "_may_go_ahead", faulty)


@plant
def a_value_that_is_read_is_dropped(patch: Patch) -> None:
    def edit(_: Engine, found: list[Instruction]) -> list[Instruction]:
        return [
            replace(one, drop_value=True) if isinstance(one, Submit) and one.run % 3 == 1 else one
            for one in found
        ]

    edit_instructions(patch, edit)


@plant
def a_value_is_let_go_of_though_others_read_it(patch: Patch) -> None:
    def edit(_: Engine, found: list[Instruction]) -> list[Instruction]:
        return [
            replace(one, consumes=frozenset([argument.key for argument in one.arguments]))
            if isinstance(one, Submit)
            else one
            for one in found
        ]

    edit_instructions(patch, edit)


@plant
def a_submission_is_sent_twice(patch: Patch) -> None:
    def edit(_: Engine, found: list[Instruction]) -> list[Instruction]:
        return [
            *found,
            *(replace(one, submission=one.submission + 1) for one in found[-1:] if isinstance(one, Submit)),
        ]

    edit_instructions(patch, edit)


@plant
def a_cancelled_flow_leaves_a_run(patch: Patch) -> None:
    honest = Engine._cancel

    def faulty(self: Engine, why: str) -> None:
        left = [run for run, stage in enumerate(self.board.stage) if stage != FINAL][-1:]
        for run in left:
            self.board.stage[run] = FINAL
        honest(self, why)

    patch.setattr(Engine, "_cancel", faulty)


@plant
def a_cancel_changes_what_was_final(patch: Patch) -> None:
    honest = Engine._cancel

    def faulty(self: Engine, why: str) -> None:
        for run, stage in enumerate(self.board.stage):
            if stage == FINAL and run not in self.board.families:
                self.board.stage[run] = FLYING
        honest(self, why)

    patch.setattr(Engine, "_cancel", faulty)


@plant
def a_transition_has_no_reason(patch: Patch) -> None:
    def edit(_: Engine, found: list[Instruction]) -> list[Instruction]:
        return [
            replace(one, why=Reason("", "")) if isinstance(one, Transition) and one.run == 2 else one
            for one in found
        ]

    edit_instructions(patch, edit)


@plant
def a_transition_is_not_told(patch: Patch) -> None:
    honest = Ledger.commit

    def faulty(self: Ledger, run: int, new: State, why: Reason, time: float) -> None:
        honest(self, run, new, why, time)
        if type(new).__name__ == "Retrying":
            self.out.pop()

    patch.setattr(Ledger, "commit", faulty)


@plant
def the_end_is_told_twice(patch: Patch) -> None:
    edit_instructions(patch, lambda _, found: [*found, *(one for one in found if isinstance(one, EndRun))])


@plant
def a_final_run_is_not_told_to_its_readers(patch: Patch) -> None:
    honest = settling.Settling._met
    patch.setattr(settling.Settling, "_met", lambda self, run: None if run % 7 == 5 else honest(self, run))


# Iterations and approvals


@plant
def an_iteration_spends_the_retries_of_the_one_before(patch: Patch) -> None:
    honest = Board.begin_lap

    def faulty(self: Board, run: int, looped: State) -> None:
        failures = self.failures.get(run, 0)
        honest(self, run, looped)
        self.failures[run] = failures

    patch.setattr(Board, "begin_lap", faulty)


@plant
def an_iteration_keeps_the_name_of_the_one_before(patch: Patch) -> None:
    honest = Board.begin_lap

    def faulty(self: Board, run: int, looped: State) -> None:
        key = self.key(run)
        honest(self, run, looped)
        self.keys[run] = key

    patch.setattr(Board, "begin_lap", faulty)


@plant
def an_iteration_is_handed_what_the_first_one_handed_on(patch: Patch) -> None:
    honest = Board.begin_lap

    def faulty(self: Board, run: int, looped: State) -> None:
        honest(self, run, self.laps[run].looped if run in self.laps else looped)

    patch.setattr(Board, "begin_lap", faulty)


@plant
def an_approved_run_does_not_know_it(patch: Patch) -> None:
    patch.setattr(Board, "past", lambda self, run: _PAST(self, run)._replace(resumed=False))


@plant
def an_approval_lets_only_the_first_child_of_a_map_go_on(patch: Patch) -> None:
    honest = Conduct.resume

    def faulty(self: Conduct, run: int, why: str) -> None:
        if run == self._board.node[run] or run == self._board.families[self._board.node[run]].base:
            honest(self, run, why)

    patch.setattr(Conduct, "resume", faulty)


@plant
def a_manual_task_is_asked_for_approval_again(patch: Patch) -> None:
    patch.setattr(Waits, "may_start", lambda self, run: self._board.attempt[run] > 0)


@plant
def it_is_not_said_that_only_an_approval_lets_the_run_go_on(patch: Patch) -> None:
    def edit(_: Engine, found: list[Instruction]) -> list[Instruction]:
        return [one for one in found if not isinstance(one, AwaitApproval)]

    edit_instructions(patch, edit)


@pytest.mark.parametrize("name", sorted(plant))
def test_a_planted_fault_is_found(name: str, monkeypatch: Patch) -> None:
    plant[name](monkeypatch)
    assert is_found(corners_and_seeds()), f"{BOUND} seeds did not find that {name.replace('_', ' ')}"
