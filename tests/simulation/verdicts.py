"""What triggers make of the states that they see: section 9 of the reference, written a second time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tests.simulation.case import CustomKind, TriggerSpec

SKIPS: Final = frozenset({"Skipped", "OwnSkipped"})
SUCCESSES: Final = SKIPS | {"Success", "OwnSuccess", "Cached", "Mapped"}
FAILURES: Final = frozenset({"Failed", "TimedOut", "TriggerFailed", "ValidationFailed", "Crashed"})
FINISHED: Final = SUCCESSES | FAILURES | {"Cancelled"}


def trigger_verdict(spec: TriggerSpec, seen: Sequence[str], has_upstreams: bool) -> str | None:
    """Return the class that a trigger makes of a run, or None when it may start.

    Parameters
    ----------
    spec : TriggerSpec
        Which trigger.
    seen : sequence of str
        The classes of the upstream states, children one by one.
    has_upstreams : bool
        Whether there are edges at all; a map without children is one that shows nothing.

    Returns
    -------
    str or None
        A class name; None to start.
    """
    total = len(seen)
    good = sum(cls in SUCCESSES for cls in seen)
    bad = sum(cls in FAILURES for cls in seen)
    skipped = sum(cls in SKIPS for cls in seen)
    if spec.name == "custom":
        return custom_verdict(spec.custom, seen)
    if spec.name == "manual_only":
        return "Paused"
    if spec.name == "not_all_skipped":
        if skipped == total:
            return "Skipped"
        return None if good == total else "TriggerFailed"
    if not has_upstreams:
        return None
    passes = {
        "all_successful": good == total,
        "all_failed": bad == total,
        "all_finished": True,
        "any_successful": good > 0,
        "any_failed": bad > 0,
        "some_failed": _within(bad, total, spec),
        "some_successful": _within(good, total, spec),
    }[spec.name]
    return None if passes else "TriggerFailed"


def cleanup_verdict(seen: Iterable[str]) -> str | None:
    """Return what a resource's cleanup becomes, or None when it may start: what it cleans up must have been made.

    Parameters
    ----------
    seen : iterable of str
        The classes of the states of what it is given; how the resource was used does not matter.

    Returns
    -------
    str or None
        A class name; None to start.
    """
    return None if all(cls in SUCCESSES - SKIPS for cls in seen) else "Skipped"


def custom_verdict(kind: CustomKind, seen: Sequence[str]) -> str | None:
    """Return what a user's own trigger makes of a run, or None when it may start."""
    match kind:
        case "odd_successes":
            return None if sum(cls in SUCCESSES for cls in seen) % 2 else "TriggerFailed"
        case "any_skipped":
            return None if any(cls in SKIPS for cls in seen) else "TriggerFailed"
        case "truthy" | "cleanup":
            return None
        case "falsy" | "raises":
            return "TriggerFailed"
        case "signals_skip":
            return "Skipped"
        case "signals_fail":
            return "Failed"


def _within(count: int, total: int, spec: TriggerSpec) -> bool:
    low = 0 if spec.at_least is None else spec.at_least
    high = total if spec.at_most is None else spec.at_most
    # A float is a share, an int a count: 1.0 is all, 1 is one.
    low = low * total if isinstance(low, float) else low
    high = high * total if isinstance(high, float) else high
    return low <= count <= high
