"""The kinds of cases that a seed can be made into, each under its name. Knows generators; knows no engine."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Final

from tests.simulation import control_flow, generate
from tests.simulation.begun import begun
from tests.simulation.case import Case, mix
from tests.simulation.changed import replace
from tests.simulation.hardships import beset


def cancelled(case: Case) -> Case:
    """Return a case that somebody cancels, mostly early."""
    rng = random.Random(mix(case.seed, 31))
    return replace(case, cancel_at=rng.random() ** 2 * rng.choice((2.0, 6.0, 60.0)))


_MAKERS: Final[dict[str, Callable[[int], Case]]] = {
    "random": generate.generate,
    "random, beset": lambda seed: beset(generate.generate(seed)),
    "random, begun": lambda seed: begun(generate.generate(seed)),
    "branches": control_flow.generate,
    "branches, beset": lambda seed: beset(control_flow.generate(seed)),
    "branches, cancelled": lambda seed: cancelled(control_flow.generate(seed)),
    "branches, beset, cancelled": lambda seed: cancelled(beset(control_flow.generate(seed))),
}


def _make(kind: str, seed: int) -> Case:
    return replace(_MAKERS[kind](seed), kind=kind)


#: By name: what makes the case of a seed.
KINDS: Final[dict[str, Callable[[int], Case]]] = {kind: partial(_make, kind) for kind in _MAKERS}
