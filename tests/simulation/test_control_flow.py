"""Flows that branch, filter, map functions and use resources end as the rules say; faults planted there are found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from prefectlite.engine import conduct, engine, pipeline
from prefectlite.engine.conduct import Conduct
from prefectlite.engine.sources import arguments_of
from prefectlite.rules.skip import decide_skip
from prefectlite.rules.triggers import all_successful
from prefectlite.rules.verdict import Proceed, Reason
from tests.simulation.case import Case
from tests.simulation.changed import replace
from tests.simulation.control_flow import generate
from tests.simulation.planting import Fault, Patch, is_found
from tests.simulation.simulate import Simulation, play


def cases(count: int = 150) -> Iterator[Case]:
    """Yield the first seeds."""
    return map(generate, range(count))


def cancelled(seed: int) -> Case:
    """A case that is cancelled at some time."""
    return replace(generate(seed), cancel_at=random.Random(seed).random() ** 2 * 6)


def test_branches_filters_functions_and_resources_end_as_the_rules_say() -> None:
    for case in cases():
        play(case)


def test_the_seeds_build_every_shape() -> None:
    names = {node.slug.rsplit("-", 1)[0] for case in cases(60) for node in case.plan.nodes}
    wanted = {
        "case(0)",
        "case(True)",
        "case(0)-switch",
        "Merge",
        "as_bool",
        "FilterTask",
        "Resource.setup",
        "Resource.cleanup",
        "List",
    }
    assert {name for name in wanted if not any(one.startswith(name) for one in names)} == set()


def left_behind(sim: Simulation) -> list[int]:
    """The resources that were made before or after a cancel, and that nobody cleaned up."""
    found = []
    for number, node in enumerate(sim.case.plan.nodes):
        ups = [sim.state_of(edge.upstream) for edge in node.ins if edge.key is not None]
        made = all(up.is_successful() and not up.is_skipped() for up in ups)
        if node.policy.cleans_up and made and sim.state_of(number).is_cancelled():
            found.append(number)
    return found


def test_what_was_made_is_cleaned_up_after_a_cancel() -> None:
    for seed in range(100):
        assert not left_behind(play(cancelled(seed))), f"seed {seed}"


# Planted faults


def test_a_cancel_that_skips_the_cleanup_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(engine, "left_to_do", lambda board: set())
    assert any(left_behind(play(cancelled(seed), audit=False)) for seed in range(100))


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
    reason = Reason("planted", "A planted fault.")
    patch.setattr(pipeline, "BEFORE", (lambda board, run: Proceed(reason), *pipeline.BEFORE[1:]))


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


FAULTS: tuple[Fault, ...] = (
    branches_are_merged_in_the_wrong_order,
    a_skipped_branch_skips_the_merge,
    a_branch_that_is_not_taken_runs,
    a_filter_does_not_run_on_failures,
    a_resource_that_was_used_badly_is_not_cleaned_up,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_without_the_audits_help(fault: Fault, monkeypatch: Patch) -> None:
    fault(monkeypatch)
    assert is_found(cases(), audit=False), f"no seed found that {fault.__name__.replace('_', ' ')}"
