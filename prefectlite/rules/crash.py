"""The crash rule: is an attempt that infrastructure ended run again? Knows neither workers nor the clock.

A crash draws on a budget of its own: a preempted node does not eat the retries of the code.
"""

from __future__ import annotations

from typing import Final

from prefectlite.rules.retry import moment
from prefectlite.rules.verdict import Become, Proceed, Reason
from prefectlite.states.state import Crashed, Retrying

#: What ends an attempt, or what it made, through no fault of its body.
LOSSES: Final = frozenset({"worker-lost", "result-lost"})
#: How often a task that is idempotent is recomputed at most: one that ends its worker each time has an end.
MOST_RECOMPUTED: Final = 3


def decide_crash(crashes: int, max_crashes: int, state: Crashed, now: float) -> Proceed | Become:
    """Return whether a crashed attempt is run again.

    Parameters
    ----------
    crashes : int
        How many attempts crashed so far in this iteration of the loop, this one included.
    max_crashes : int
        How many of them the task allows.
    state : Crashed
        How the attempt ended.
    now : float
        Seconds since the epoch.

    Returns
    -------
    Proceed or Become
        ``Proceed``: the run stays crashed. ``Become``: it is ``Retrying`` from now on, with
        ``run_count=crashes``.

    Examples
    --------
    >>> decide_crash(1, 2, Crashed(cause="worker-lost"), 0.0).state
    <Retrying: "Crash 1 of 2 that are allowed (worker-lost); the run starts again at once.">
    """
    read = (("cause", state.cause), ("crashes", str(crashes)), ("max_crashes", str(max_crashes)))
    if crashes > max_crashes:
        text = (
            f"All {max_crashes} crashes that the task allows are used up."
            if max_crashes
            else "The task allows no crash."
        )
        return Proceed(Reason("crash", text, read))
    text = f"Crash {crashes} of {max_crashes} that are allowed ({state.cause}); the run starts again at once."
    retrying = Retrying(text, context=state.context, start_time=moment(now), run_count=crashes)
    return Become(retrying, Reason("crash", text, read))


def decide_loss(losses: int, state: Crashed, now: float) -> Proceed | Become:
    """Return whether lost work of an idempotent task is done again; no crash is counted for it.

    Parameters
    ----------
    losses : int
        How often it was lost so far, this time included.
    state : Crashed
        How the attempt ended.
    now : float
        Seconds since the epoch.

    Returns
    -------
    Proceed or Become
        ``Proceed``: the crash rule decides. ``Become``: the run is ``Retrying``.

    Examples
    --------
    >>> decide_loss(1, Crashed(cause="result-lost"), 0.0).state
    <Retrying: "The task is idempotent, so what was lost (result-lost) is computed again.">
    """
    read = (("cause", state.cause), ("losses", str(losses)), ("at most", str(MOST_RECOMPUTED)))
    if state.cause not in LOSSES:
        return Proceed(Reason("idempotent", "Nothing was lost: the body itself ended.", read))
    if losses > MOST_RECOMPUTED:
        return Proceed(Reason("idempotent", f"It was lost {losses} times, too often to try again.", read))
    text = f"The task is idempotent, so what was lost ({state.cause}) is computed again."
    retrying = Retrying(text, context=state.context, start_time=moment(now), run_count=losses)
    return Become(retrying, Reason("idempotent", text, read))
