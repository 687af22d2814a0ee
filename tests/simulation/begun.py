"""What runs of a case begin with, of an earlier flow run: drawn here, and made into states for the engine."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from prefectlite.engine.events import Measure
from prefectlite.engine.given import Given
from prefectlite.states.state import (
    Cancelled,
    Failed,
    Looped,
    Mapped,
    Paused,
    Pending,
    Resume,
    Retrying,
    Scheduled,
    Skipped,
    State,
    Success,
)
from tests.simulation.case import Begun, BegunKind, Case, Name, flattened, mix, value_of
from tests.simulation.changed import replace

_KINDS: Final[Sequence[BegunKind]] = (
    *("success", "success", "success", "failed", "skipped", "cancelled"),
    *("retrying", "retrying", "scheduled", "paused", "paused_until", "resume", "looped", "anew"),
)
#: More children than most maps have: what is given to more of them than there are is given to nobody.
_CHILDREN: Final = 4


def begun(case: Case) -> Case:
    """Return a case some of whose runs begin with states of an earlier flow run."""
    rng = random.Random(mix(case.seed, 32))
    share = rng.choice((0.1, 0.3, 0.7))
    found: dict[Name, Begun] = {}
    for number, node in enumerate(case.plan.nodes):
        places = range(_CHILDREN) if node.is_mapped else (-1,)
        for place in places if node.kind == "task" and rng.random() < share else ():
            if place < 0 or rng.random() < 0.7:
                found[number, place] = _drawn(rng)
    return replace(case, begun=found, workers=1, accidents=())


def _drawn(rng: random.Random) -> Begun:
    kind = rng.choice(_KINDS)
    times = rng.choice((1, 1, 2)) if kind in ("retrying", "looped") else 0
    return Begun(kind, times, rng.choice((-5.0, 0.5, 3.0, 100.0)))


def given_to(
    case: Case, start: float, shape_of: Callable[[Name], tuple[int, ...] | None]
) -> dict[int, Given]:
    """Return what the engine is given for a case that begins at a time."""
    found: dict[int, Given] = {}
    for number, node in enumerate(case.plan.nodes):
        if node.is_mapped and node.kind == "task":
            children = [_given(case, (number, place), start, shape_of) for place in range(_CHILDREN)]
            if any(children):
                found[number] = Given(Mapped("an earlier run's"), None, children)
        else:
            alone = _given(case, (number, -1), start, shape_of)
            found |= {} if alone is None else {number: alone}
    return found


def _given(
    case: Case, name: Name, start: float, shape_of: Callable[[Name], tuple[int, ...] | None]
) -> Given | None:
    one = case.begun.get(name)
    if one is None:
        return None
    if one.kind != "success":
        return Given(_state(one, name, datetime.fromtimestamp(start + one.delay, UTC)))
    value = value_of(f"g{name}", shape_of(name))
    is_list = isinstance(value, list)
    measure = Measure(len(value), len(flattened(value))) if is_list else Measure(unmappable="it has no order")
    return Given(Success("an earlier run's", value), measure)


def _state(one: Begun, name: Name, at: datetime) -> State:
    match one.kind:
        case "failed":
            return Failed("an earlier run's", ValueError("earlier"))
        case "skipped":
            return Skipped("an earlier run's")
        case "cancelled":
            return Cancelled("an earlier run's")
        case "retrying":
            return Retrying("an earlier run's", run_count=one.times, start_time=at)
        case "scheduled":
            return Scheduled("an earlier run's", start_time=at)
        case "paused":
            return Paused("an earlier run's")
        case "paused_until":
            return Paused("an earlier run's", start_time=at)
        case "resume":
            return Resume("an earlier run's", start_time=at)
        case "looped":
            return Looped("an earlier run's", value_of(f"g{name}", None), loop_count=one.times)
        case _:
            return Pending("an earlier run's")
