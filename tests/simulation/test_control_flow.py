"""Flows that branch, filter, map functions and use resources end as the rules say; faults planted there are found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from prefectlite.engine import calling_off, conduct, engine, pipeline
from prefectlite.engine.conduct import Conduct
from prefectlite.engine.sources import arguments_of
from prefectlite.rules.skip import decide_skip
from prefectlite.rules.triggers import all_successful
from prefectlite.rules.verdict import Proceed, Reason
from tests.simulation.case import Case
from tests.simulation.changed import replace
from tests.simulation.kinds import KINDS
from tests.simulation.planting import Fault, Patch, is_found

_FINE = Reason("planted", "A planted fault.")


def cases(kind: str = "branches", count: int = 150) -> Iterator[Case]:
    """Yield the first seeds of a kind."""
    return map(KINDS[kind], range(count))


def test_the_seeds_build_every_shape() -> None:
    names = {node.slug.rsplit("-", 1)[0] for case in cases(count=60) for node in case.plan.nodes}
    wanted = {
        "case(0)",
        "case(True)",
        'CompareValue: "0"-switch',
        "Merge",
        "as_bool",
        "FilterTask",
        "Resource.setup",
        "Resource.cleanup",
        "List",
    }
    assert {name for name in wanted if not any(one.startswith(name) for one in names)} == set()


# Planted faults


def branches_are_merged_in_the_wrong_order(patch: Patch) -> None:
    def faulty(*args: Any) -> Any:
        found = arguments_of(*args)
        turned = zip(found, found[::-1], strict=True)
        is_merge = bool(found) and found[0].key == "task_1"
        return tuple(one._replace(source=other.source) for one, other in turned) if is_merge else found

    patch.setattr(conduct, "arguments_of", faulty)


def a_skipped_branch_skips_the_merge(patch: Patch) -> None:
    patch.setattr(pipeline, "weigh_skip", _skip_always)
    patch.setattr(pipeline, "BEFORE", (_skip_always, *pipeline.BEFORE[1:]))


def _skip_always(board: Any, run: int) -> Any:
    return decide_skip(True, board.first_skipped(run))


def a_branch_that_is_not_taken_runs(patch: Patch) -> None:
    patch.setattr(pipeline, "BEFORE", (lambda board, run: Proceed(_FINE), *pipeline.BEFORE[1:]))


def a_filter_does_not_run_on_failures(patch: Patch) -> None:
    honest = pipeline.weigh_trigger

    def faulty(board: Any, run: int) -> Any:
        is_filter = board.plan_node(run).slug.startswith("FilterTask")
        return all_successful.decide(board.tally(run)) if is_filter else honest(board, run)

    patch.setattr(pipeline, "BEFORE", (*pipeline.BEFORE[:2], faulty))


def a_resource_that_was_used_badly_is_not_cleaned_up(patch: Patch) -> None:
    honest = Conduct._trigger_answered

    def faulty(self: Conduct, event: Any) -> None:
        ups = list(self._board.upstreams_like(event.run, conduct.Failed))
        honest(self, replace(event, answer=event.answer and not ups))

    patch.setattr(Conduct, "_trigger_answered", faulty)


def a_cancel_skips_the_cleanup(patch: Patch) -> None:
    patch.setattr(engine, "left_to_do", lambda board: set())


def what_is_made_only_in_a_store_is_left_behind_by_a_cancel(patch: Patch) -> None:
    honest = calling_off._is_made
    patch.setattr(calling_off, "_is_made", lambda board, run: board.live[run] > 0 and honest(board, run))


def a_cleanup_is_not_asked_again_when_its_resource_is_lost(patch: Patch) -> None:
    ask, answer = Conduct.decide, Conduct._trigger_answered

    def decide(self: Conduct, run: int, *, has_room: bool = False) -> None:
        if run in vars(self).get("allowed", ()) and not self.losses.holds_up(run):
            self._proceed(run, _FINE, has_room)
        else:
            ask(self, run, has_room=has_room)

    def answered(self: Conduct, event: Any) -> None:
        if event.answer:
            vars(self).setdefault("allowed", set()).add(event.run)
        answer(self, event)

    patch.setattr(Conduct, "decide", decide)
    patch.setattr(Conduct, "_trigger_answered", answered)


#: Each with a kind of cases that finds it.
FAULTS: tuple[tuple[Fault, str], ...] = (
    (branches_are_merged_in_the_wrong_order, "branches"),
    (a_skipped_branch_skips_the_merge, "branches"),
    (a_branch_that_is_not_taken_runs, "branches"),
    (a_filter_does_not_run_on_failures, "branches"),
    (a_resource_that_was_used_badly_is_not_cleaned_up, "branches"),
    (a_cancel_skips_the_cleanup, "branches, cancelled"),
)
#: Found where control flow and accidents meet, and nowhere else.
FAULTS_OF_BOTH: tuple[tuple[Fault, str], ...] = (
    (what_is_made_only_in_a_store_is_left_behind_by_a_cancel, "branches, beset, cancelled"),
    (a_cleanup_is_not_asked_again_when_its_resource_is_lost, "branches, beset"),
)


@pytest.mark.parametrize(("fault", "kind"), FAULTS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_fault_is_found_without_the_audits_help(fault: Fault, kind: str, monkeypatch: Patch) -> None:
    fault(monkeypatch)
    assert is_found(cases(kind), audit=False), f"no seed found that {fault.__name__.replace('_', ' ')}"


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "kind"), FAULTS_OF_BOTH, ids=lambda one: getattr(one, "__name__", ""))
def test_a_fault_is_found_where_control_flow_and_accidents_meet_alone(
    fault: Fault, kind: str, monkeypatch: Patch
) -> None:
    fault(monkeypatch)
    calm = kind.replace(", beset", "")
    assert is_found(cases(kind, 300), audit=False), f"no seed found that {fault.__name__.replace('_', ' ')}"
    assert not is_found(cases(calm, 150), audit=False)
    assert not is_found(cases("random, beset", 150), audit=False)
