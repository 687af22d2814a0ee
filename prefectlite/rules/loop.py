"""The loop rule: what follows an iteration that raised ``LOOP``? Knows states; knows no values."""

from __future__ import annotations

from prefectlite.rules.verdict import Become, Reason
from prefectlite.states.state import Pending


def decide_loop(loop_count: int) -> Become:
    """Return how the next iteration of a looping task begins.

    It is a task run of its own: its attempts, retries and crashes are counted from the start. Its upstreams
    are those of the first iteration and have not changed, so skip and trigger rules are not asked again.

    Parameters
    ----------
    loop_count : int
        The iteration that ended, counted from 1.

    Returns
    -------
    Become
        ``Pending``, and why.

    Examples
    --------
    >>> decide_loop(1).state
    <Pending: "Iteration 1 raised LOOP; iteration 2 follows.">
    """
    text = f"Iteration {loop_count} raised LOOP; iteration {loop_count + 1} follows."
    return Become(Pending(text), Reason("loop", text, (("loop_count", str(loop_count)),)))
