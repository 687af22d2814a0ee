"""Faults planted in the engine, one by one: the simulation must find each of them within a few hundred seeds.

An invariant without a planted fault that it catches is not yet a test.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from prefectlite.engine import conduct, mapping, pipeline
from prefectlite.engine.board import FINAL, FLYING, Board
from prefectlite.engine.conduct import Conduct
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import AttemptFinished, Event, TimerFired
from prefectlite.engine.instructions import (
    Ask,
    Instruction,
    Release,
    SetTimer,
)
from prefectlite.engine.readers import Readers
from prefectlite.engine.sources import arguments_of
from prefectlite.engine.waits import Waits
from prefectlite.engine.wiring import Wiring
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.tally import Tally
from prefectlite.rules.verdict import Become, Proceed, Reason
from prefectlite.rules.width import decide_width
from prefectlite.states.state import Failed, Retrying, TriggerFailed
from tests.simulation.changed import replace
from tests.simulation.generate import generate
from tests.simulation.planting import BOUND, Patch, Planted, corners_and_seeds, edit_instructions, is_found
from tests.simulation.simulate import SimulationFailed, play

#: They test the tests, and take a minute and a half together.
pytestmark = pytest.mark.slow

plant = Planted()
_FINE = Reason("planted", "A planted fault.")

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


def test_the_sound_engine_passes_what_the_faulty_ones_fail() -> None:
    assert not is_found(corners_and_seeds())


@pytest.mark.parametrize("name", sorted(plant))
def test_a_planted_fault_is_found(name: str, monkeypatch: Patch) -> None:
    plant[name](monkeypatch)
    assert is_found(corners_and_seeds()), f"{BOUND} seeds did not find that {name.replace('_', ' ')}"


def test_a_failing_seed_tells_how_to_see_it_again(monkeypatch: Patch) -> None:
    a_timer_is_lost(monkeypatch)
    with pytest.raises(SimulationFailed) as caught:
        for seed in range(BOUND):
            play(generate(seed))
    story = str(caught.value)
    assert "python -m pytest tests/simulation -k seed --sim-seed " in story
    assert "RunStarted" in story
    assert "Submit task-" in story
