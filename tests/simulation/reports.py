"""What attempts say when they end. Knows endings and states; knows neither wires nor rules."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from prefectlite.states.report import Report
from prefectlite.states.state import (
    Cached,
    Cancelled,
    Crashed,
    Failed,
    Looped,
    Paused,
    Pending,
    Retrying,
    Skipped,
    State,
    Success,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
)
from tests.simulation.case import EndingKind, flattened
from tests.simulation.oracle import FORCED
from tests.simulation.parcels import Parcel


class OwnSuccess(Success):
    """A user's own kind of success."""

    __slots__ = ()


class OwnSkipped(Skipped):
    """A user's own kind of skip."""

    __slots__ = ()


#: What there is to say, beside the value, of an attempt that ended well and has more to say.
_SUCCESSES: Final[Mapping[EndingKind, Success]] = {
    "found": Cached("it was found"),
    "endrun_success": Success("it says so"),
    "endrun_cached": Cached("it found its value"),
    "endrun_own_success": OwnSuccess("it says so"),
}


def report_of(
    parcel: Parcel, started: float, now: float, rng: random.Random, copy: str | None = None
) -> Report:
    """Return what an attempt says that ends now.

    Parameters
    ----------
    parcel : Parcel
        The attempt; its body has run.
    started, now : float
        When it began and when it ends, by the clock of its worker.
    rng : random.Random
        Says for how long it wants to wait, if it does.
    copy : str or None
        Under which name there is a copy of its value, if it makes one: in the report, or where it was stored.

    Returns
    -------
    Report
        Without the value, if there is one and no copy of it; with the name of the copy in its place.
    """
    submit, ending, value = parcel.submit, parcel.ending, parcel.made
    length = flat_length = unmappable = None
    state = _state(parcel, now, rng)
    if state is not None:
        copy = None
    comes_along = copy is not None and parcel.name[0] % 2 == 1
    if isinstance(value, list):
        length = len(value) if "length" in submit.measure else None
        flat_length = len(flattened(value)) if "flat" in submit.measure else None
    elif submit.measure:
        unmappable = "it has no order"
    return Report(
        state,
        started,
        now,
        inline=copy.encode() if copy is not None and comes_along else None,
        nbytes=8,
        length=length,
        flat_length=flat_length,
        unmappable=unmappable,
        retryable=ending.kind != "hopeless",
        where="virtual",
        forced=ending.kind in FORCED,
        success=_SUCCESSES.get(ending.kind),
        location=None if comes_along else copy,
    )


def _state(parcel: Parcel, now: float, rng: random.Random) -> State | None:
    kind, value, error = parcel.ending.kind, parcel.made, ValueError(f"{parcel.name} failed")
    if kind == "value" or kind in _SUCCESSES:
        return None
    made = _failure(kind, error) or _end(kind, value)
    if made is not None:
        return made
    match kind:
        case "signal_retry":
            return Retrying("again", start_time=_soon(now, rng), run_count=parcel.submit.attempt)
        case "signal_pause":
            return Paused("until approved")
        case "signal_pause_until":
            return Paused("for a while", start_time=_soon(now, rng))
        case "endrun_pending":
            return Pending("it wants to wait, and says not for what")
        case _:
            raise AssertionError(f"{kind} has no report")


def _soon(now: float, rng: random.Random) -> datetime:
    return datetime.fromtimestamp(now + rng.choice((-1.0, 0.0, 2.0)), tz=UTC)


def _failure(kind: EndingKind, error: Exception) -> State | None:
    match kind:
        case "failed" | "hopeless" | "endrun_failed":
            return Failed("it failed", error)
        case "checked_failed":
            return ValidationFailed("its value is wrong", error)
        case "timed_out":
            return TimedOut("it took too long", error)
        case "exited":
            return Crashed("it called exit", error, cause="exited")
        case "signal_trigger_failed":
            return TriggerFailed("it refused", error)
    return None


def _end(kind: EndingKind, value: Any) -> State | None:
    match kind:
        case "signal_skip" | "endrun_skipped":
            return Skipped("it skipped itself")
        case "endrun_cancelled":
            return Cancelled("it gave up")
        case "endrun_own_skipped":
            return OwnSkipped("it skipped itself")
        case "signal_loop":
            return Looped("once more", value, loop_count=1)
    return None
