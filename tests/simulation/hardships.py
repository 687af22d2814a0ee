"""What may befall the workers of a case, and what its tasks bear of it. Knows cases; knows no cluster."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, Literal

from tests.simulation.case import Accident, Case, EndingKind, mix
from tests.simulation.changed import replace

_KINDS: Final[Sequence[Literal["killed", "cut off", "retired", "parted"]]] = (
    "killed",
    "killed",
    "killed",
    "cut off",
    "retired",
    "parted",
)


def beset(case: Case) -> Case:
    """Return a case on a few workers that fare badly; some of its tasks bear that, some store and find their values."""
    rng = random.Random(mix(case.seed, 30))
    nodes = tuple(
        replace(
            node,
            policy=replace(node.policy, idempotent=rng.random() < 0.4, max_crashes=rng.choice((0, 1, 2))),
        )
        if node.kind == "task"
        else node
        for node in case.plan.nodes
    )
    workers = rng.choice((2, 2, 3))
    share = rng.choice((0.0, 0.0, 0.5, 1.0))
    stored = frozenset(i for i in range(len(nodes)) if rng.random() < share)
    found: list[tuple[EndingKind, int]] = [("found", rng.choice((0, 2, 20)))]
    faults = replace(case.faults, unreachable=0.6) if rng.random() < 0.1 else case.faults
    return replace(
        case,
        faults=faults,
        plan=replace(case.plan, nodes=nodes),
        workers=workers,
        accidents=tuple(accident(rng, workers) for _ in range(rng.choice((3, 6, 10)))),
        stored=stored,
        menus={i: [*menu, *found] if i in stored else menu for i, menu in case.menus.items()},
    )


def accident(rng: random.Random, workers: int) -> Accident:
    """Return something that befalls one of some workers, at least two."""
    worker, other = rng.sample(range(workers), 2)
    kind = rng.choice(_KINDS)
    lasts = rng.choice((20.0, 90.0, 300.0) if kind == "parted" else (1.0, 31.0, 40.0))
    return Accident(rng.random() ** 2 * 15, kind, worker, lasts, other)
