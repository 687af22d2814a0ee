"""Faults planted in the engine, one by one: the simulation must find each of them within a few hundred seeds.

An invariant without a planted fault that it catches is not yet a test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from prefectlite.engine import conduct, mapping, pipeline, settling, wiring
from prefectlite.engine.ahead import Ahead
from prefectlite.engine.board import FINAL, FLYING, Board
from prefectlite.engine.conduct import Conduct
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import AttemptFinished, Event, TimerFired
from prefectlite.engine.instructions import (
    Ask,
    AwaitApproval,
    EndRun,
    Instruction,
    Release,
    SetTimer,
    Submit,
    Transition,
)
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.readers import Readers
from prefectlite.engine.sources import arguments_of
from prefectlite.engine.waits import Waits
from prefectlite.engine.wiring import Wiring
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.tally import Tally
from prefectlite.rules.triggers import all_successful
from prefectlite.rules.verdict import Become, Proceed, Reason
from prefectlite.rules.width import decide_width
from prefectlite.states.report import Report
from prefectlite.states.state import Failed, Retrying, State, TriggerFailed
from tests.simulation import corners
from tests.simulation.case import Case
from tests.simulation.changed import replace
from tests.simulation.generate import generate
from tests.simulation.planting import BOUND, Fault, Patch, is_found
from tests.simulation.simulate import SimulationFailed, play

#: They test the tests, and take a minute and a half together.
pytestmark = pytest.mark.slow

_PLANTED: dict[str, Fault] = {}
_FINE = Reason("planted", "A planted fault.")
_PAST = Board.past


def plant(fault: Fault) -> Fault:
    """Enter a fault under its function's name."""
    _PLANTED[fault.__name__] = fault
    return fault


def edit_instructions(patch: Patch, edit: Callable[[Engine, list[Instruction]], list[Instruction]]) -> None:
    """Let a fault change what the engine says."""
    honest = Engine.handle
    patch.setattr(Engine, "handle", lambda self, event: edit(self, honest(self, event)))


# Counters and readers


@plant
def a_counter_of_open_upstreams_is_off_by_one(patch: Patch) -> None:
    honest = Board.__init__

    def faulty(self: Board, plan: Any) -> None:
        honest(self, plan)
        for run, node in enumerate(plan.nodes):
            if len(node.ins) > 2:
                self.unmet[run] -= 1

    patch.setattr(Board, "__init__", faulty)


@plant
def a_value_is_released_when_its_first_reader_is_final(patch: Patch) -> None:
    def faulty(self: Readers, run: int) -> None:
        self._board.readers[run] -= 1
        if self._board.stage[run] == FINAL:
            self._release(run)

    patch.setattr(Readers, "_give_back", faulty)


@plant
def a_value_that_should_be_kept_is_released(patch: Patch) -> None:
    honest = Wiring.of

    def faulty(plan: Any) -> Wiring:
        found = honest(plan)
        return replace(
            found,
            reads=tuple(max(0, count - keep) for count, keep in zip(found.reads, found.keeps, strict=True)),
        )

    patch.setattr(Wiring, "of", staticmethod(faulty))


@plant
def a_value_is_never_released(patch: Patch) -> None:
    patch.setattr(Readers, "_give_back", lambda self, run: None)


@plant
def a_value_is_released_twice(patch: Patch) -> None:
    edit_instructions(
        patch,
        lambda _, found: [
            one for each in found for one in ([each, each] if isinstance(each, Release) else [each])
        ],
    )


@plant
def counts_forget_a_state(patch: Patch) -> None:
    honest = Engine.counts
    patch.setattr(
        Engine, "counts", lambda self: {k: v for k, v in honest(self).items() if k != "TriggerFailed"}
    )


@plant
def what_was_consumed_is_given_back_once_more(patch: Patch) -> None:
    honest = Readers.node_settled

    def faulty(self: Readers, node: int) -> None:
        self._board.consumed.pop(node, None)
        honest(self, node)

    patch.setattr(Readers, "node_settled", faulty)


@plant
def a_run_that_may_be_tried_again_lets_go_of_what_it_consumed(patch: Patch) -> None:
    patch.setattr(Conduct, "consume", lambda self, run, children: self._readers.consume(run, children))


@plant
def a_run_that_is_submitted_again_forgets_what_it_consumed(patch: Patch) -> None:
    def faulty(board: Board, run: int) -> Any:
        consumed, board.consumed = board.consumed, {}
        try:
            return arguments_of(board, run)
        finally:
            board.consumed = consumed

    patch.setattr(conduct, "arguments_of", faulty)


# Reports


@plant
def a_stale_submission_is_believed(patch: Patch) -> None:
    patch.setattr(Engine, "_is_current", lambda self, run, submission: self.board.stage[run] == FLYING)


@plant
def a_doubled_report_is_believed(patch: Patch) -> None:
    patch.setattr(
        Engine, "_is_current", lambda self, run, submission: self.board.submission[run] == submission
    )


@plant
def an_early_report_is_forgotten(patch: Patch) -> None:
    def faulty(self: Engine, run: int, event: Any) -> None:
        if not self.board.unmet[run]:
            self._take(run, event)

    patch.setattr(Engine, "_take_or_keep", faulty)


@plant
def an_early_report_is_taken_before_those_of_its_upstreams(patch: Patch) -> None:
    patch.setattr(Engine, "_take_or_keep", lambda self, run, event: self._take(run, event))


@plant
def a_hold_is_ignored(patch: Patch) -> None:
    patch.setattr(Engine, "_held", lambda self, run: None)


@plant
def a_report_after_the_end_is_taken_in(patch: Patch) -> None:
    honest = Engine.handle

    def faulty(self: Engine, event: Event) -> list[Instruction]:
        if self.ended and isinstance(event, AttemptFinished):
            return [Release(event.run, event.submission)]
        return honest(self, event)

    patch.setattr(Engine, "handle", faulty)


# Retries, crashes, timers, questions


@plant
def a_retry_keeps_the_number_of_the_attempt(patch: Patch) -> None:
    honest = Conduct.again

    def faulty(self: Conduct, run: int) -> None:
        self._board.attempt[run] -= 1
        honest(self, run)

    patch.setattr(Conduct, "again", faulty)


@plant
def one_retry_too_many_is_made(patch: Patch) -> None:
    honest = RetryPolicy.decide
    patch.setattr(
        RetryPolicy, "decide", lambda self, failures, *rest, **more: honest(self, failures - 1, *rest, **more)
    )


@plant
def retry_on_is_ignored(patch: Patch) -> None:
    honest = RetryPolicy.decide

    def faulty(
        self: RetryPolicy, failures: int, state: Failed, retryable: bool, *rest: Any, **more: Any
    ) -> Any:
        return honest(self, failures, state, True, *rest, **more)

    patch.setattr(RetryPolicy, "decide", faulty)


@plant
def a_crash_draws_on_the_retries(patch: Patch) -> None:
    honest = Conduct._weigh_failure

    def faulty(self: Conduct, run: int, state: Failed, *rest: Any, **more: Any) -> None:
        honest(self, run, Failed(state.message, state.result) if state.is_crashed() else state, *rest, **more)

    patch.setattr(Conduct, "_weigh_failure", faulty)


@plant
def a_timer_is_lost(patch: Patch) -> None:
    edit_instructions(patch, lambda _, found: [one for one in found if not isinstance(one, SetTimer)])


@plant
def a_timer_fires_twice(patch: Patch) -> None:
    honest = Waits.fired

    def faulty(self: Waits, event: TimerFired) -> bool:
        self._board.timers.setdefault(event.timer, event.run)
        self._timer_of.setdefault(event.run, event.timer)
        return honest(self, event)

    patch.setattr(Waits, "fired", faulty)


@plant
def a_question_is_not_asked(patch: Patch) -> None:
    edit_instructions(patch, lambda _, found: [one for one in found if not isinstance(one, Ask)])


@plant
def the_flow_ends_while_a_run_waits_for_its_retry(patch: Patch) -> None:
    honest = Engine._end_if_over

    def faulty(self: Engine) -> None:
        timers = dict(self.board.timers)
        self.board.timers.clear()
        honest(self)
        self.board.timers.update(timers)

    patch.setattr(Engine, "_end_if_over", faulty)


@plant
def what_was_put_off_starts_without_its_rules(patch: Patch) -> None:
    honest = Conduct.again

    def faulty(self: Conduct, run: int) -> None:
        put_off = not self._board.attempt[run]
        self._board.attempt[run] += put_off
        honest(self, run)
        self._board.attempt[run] -= put_off

    patch.setattr(Conduct, "again", faulty)


@plant
def what_was_sent_after_a_failed_attempt_is_only_taken_back_at_the_last_one(patch: Patch) -> None:
    patch.setattr(Conduct, "lose", lambda self, run: self._ledger.free(run))


@plant
def a_handlers_word_is_ignored(patch: Patch) -> None:
    honest = Conduct._handlers_answered

    def faulty(self: Conduct, event: Any) -> None:
        honest(self, replace(event, answer=self._proposals[event.ask].new, error=None))

    patch.setattr(Conduct, "_handlers_answered", faulty)


# Rules


@plant
def the_skip_rule_is_ignored(patch: Patch) -> None:
    patch.setattr(pipeline, "decide_skip", lambda wish, slug: Proceed(_FINE))


@plant
def the_trigger_comes_before_the_skip_rule(patch: Patch) -> None:
    order = pipeline.BEFORE
    patch.setattr(pipeline, "BEFORE", (order[1], order[2], order[0]))


@plant
def a_trigger_counts_a_map_as_one(patch: Patch) -> None:
    def faulty(self: Board, run: int) -> Tally:
        tally = Tally()
        for edge in self.plan_node(run).ins:
            tally.add(self.states[self.upstream_run(edge, run)])
        return tally

    patch.setattr(Board, "tally", faulty)


@plant
def a_trigger_does_not_tell_an_empty_map_from_no_upstream(patch: Patch) -> None:
    honest = Board.tally

    def faulty(self: Board, run: int) -> Tally:
        tally = honest(self, run)
        tally.empty_maps = 0
        return tally

    patch.setattr(Board, "tally", faulty)


@plant
def unequal_lengths_are_cut_to_the_shortest(patch: Patch) -> None:
    patch.setattr(mapping, "decide_width", lambda lengths, wish, bad: decide_width(lengths, "shortest", bad))


@plant
def the_law_of_transitions_is_broken(patch: Patch) -> None:
    honest = RetryPolicy.decide

    def faulty(self: RetryPolicy, failures: int, state: Failed, *rest: Any, **more: Any) -> Any:
        if isinstance(state, TriggerFailed) and failures < 2:
            return Become(Retrying("a second chance"), _FINE)
        return honest(self, failures, state, *rest, **more)

    patch.setattr(RetryPolicy, "decide", faulty)
    for name, room in list(sys.modules.items()):
        if name.startswith("prefectlite.engine.") and hasattr(room, "may_become"):
            patch.setattr(room, "may_become", lambda old, new: True)


@plant
def the_flow_is_judged_by_its_terminal_tasks(patch: Patch) -> None:
    honest = Engine.__init__

    def faulty(self: Engine, plan: Any, **more: Any) -> None:
        honest(self, replace(plan, reference=plan.terminal), **more)

    patch.setattr(Engine, "__init__", faulty)


# Maps


@plant
def a_reduce_does_not_wait_for_the_last_child(patch: Patch) -> None:
    honest = Board.grow

    def faulty(self: Board, node: int, width: int) -> Any:
        family = honest(self, node, width)
        family.open = max(1, width - 1) if width else 0
        return family

    patch.setattr(Board, "grow", faulty)


@plant
def a_child_takes_its_neighbours_element(patch: Patch) -> None:
    def faulty(board: Board, run: int) -> Any:
        last = len(board.states) - 1
        node = board.node[run]
        neighbour = run + 1 if run != node and run < last and board.node[run + 1] == node else run
        return arguments_of(board, neighbour)

    patch.setattr(conduct, "arguments_of", faulty)


@plant
def flatten_is_forgotten(patch: Patch) -> None:
    def faulty(board: Board, run: int) -> Any:
        return tuple(replace(one, source=replace(one.source, flat=False)) for one in arguments_of(board, run))

    patch.setattr(conduct, "arguments_of", faulty)


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
        if report.state is not None:
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
    patch.setattr(wiring, "_is_trusted", lambda node, trusted: True)


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


def cases() -> Iterator[Case]:
    """Yield every corner, and the first seeds."""
    yield from corners.cases()
    yield from map(generate, range(BOUND))


def test_the_sound_engine_passes_what_the_faulty_ones_fail() -> None:
    assert not is_found(cases())


@pytest.mark.parametrize("name", sorted(_PLANTED))
def test_a_planted_fault_is_found(name: str, monkeypatch: Patch) -> None:
    _PLANTED[name](monkeypatch)
    assert is_found(cases()), f"{BOUND} seeds did not find that {name.replace('_', ' ')}"


def test_a_failing_seed_tells_how_to_see_it_again(monkeypatch: Patch) -> None:
    a_timer_is_lost(monkeypatch)
    with pytest.raises(SimulationFailed) as caught:
        for seed in range(BOUND):
            play(generate(seed))
    story = str(caught.value)
    assert "python -m pytest tests/simulation -k seed --sim-seed " in story
    assert "RunStarted" in story
    assert "Submit task-" in story
