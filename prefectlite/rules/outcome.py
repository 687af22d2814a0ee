"""The outcome rule: how does a flow run stand? Knows counts of states; knows neither tasks nor the clock."""

from __future__ import annotations

from prefectlite.rules.tally import Tally
from prefectlite.rules.verdict import Become, Reason
from prefectlite.states.state import Cancelled, Failed, Running, State, Success


def decide_flow(reference: Tally, unfinished: int, cancelled: bool) -> Become:
    """Return the state that a flow run takes when nothing more can be done for it.

    Parameters
    ----------
    reference : Tally
        How the reference tasks ended, children of maps counted one by one.
    unfinished : int
        How many task runs have not ended (they wait for an approval, say).
    cancelled : bool
        Whether somebody called the flow run off.

    Returns
    -------
    Become
        ``Cancelled``; else ``Running`` while something is unfinished; else ``Failed`` if a reference run
        failed; else ``Success``, also when a reference run was cancelled by itself.

    Examples
    --------
    >>> decide_flow(Tally.of([Success(), Success()]), unfinished=0, cancelled=False).state
    <Success: "All reference tasks succeeded.">
    """
    state: State
    if cancelled:
        state = Cancelled("The flow run was cancelled.")
    elif unfinished:
        state = Running(f"The flow run is not over: {unfinished} task runs have not ended.")
    elif reference.failed:
        state = Failed(f"Some reference tasks failed: {reference.failed} of {reference.total} task runs.")
    elif reference.successful == reference.total:
        state = Success("All reference tasks succeeded.")
    else:
        state = Success("No reference tasks failed.")
    read = (
        ("reference", str(reference.total)),
        ("successful", str(reference.successful)),
        ("failed", str(reference.failed)),
        ("unfinished", str(unfinished)),
        ("cancelled", str(cancelled)),
    )
    return Become(state, Reason("outcome", state.message or "", read))
