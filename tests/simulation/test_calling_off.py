"""Cancelled flow runs that clean up: what is sent after the cancel, and that it comes to an end."""

from __future__ import annotations

import random

from prefectlite.engine.events import CancelRequested
from prefectlite.engine.instructions import StopReleased, Submit, one_by_one
from tests.simulation.case import Case
from tests.simulation.changed import replace
from tests.simulation.generate import generate
from tests.simulation.simulate import Simulation, play


def cancelled(seed: int) -> Case:
    """A case that is cancelled at some time, and some of whose tasks are cleanups."""
    case, rng = generate(seed), random.Random(seed)
    nodes = tuple(
        replace(node, policy=replace(node.policy, cleans_up=True))
        if node.kind == "task" and rng.random() < 0.4
        else node
        for node in case.plan.nodes
    )
    return replace(case, plan=replace(case.plan, nodes=nodes), cancel_at=rng.random() ** 2 * 6)


def sent_after_the_cancel(sim: Simulation) -> set[int]:
    """The nodes of what was submitted after the cancel."""
    sent: set[int] = set()
    is_cancelled = False
    for event, found in sim.trace:
        is_cancelled |= isinstance(event, CancelRequested)
        if is_cancelled:
            sent |= {sim.name_of(one.run)[0] for one in one_by_one(found) if isinstance(one, Submit)}
    return sent


def test_a_cancelled_run_ends_whatever_there_is_to_clean_up_and_sends_nothing_else() -> None:
    cleaned = 0
    for seed in range(400):
        sim = play(cancelled(seed))
        if any(isinstance(one, StopReleased) for _, found in sim.trace for one in found):
            cleaned += 1
            nodes = sim.case.plan.nodes
            makers = {edge.upstream for node in nodes if node.policy.cleans_up for edge in node.ins}
            for node in sent_after_the_cancel(sim):
                assert nodes[node].policy.cleans_up or node in makers, f"seed {seed}: {nodes[node].slug}"
    assert cleaned > 100
