"""The resume rule: does an approval let a run go on? Knows states; knows neither people nor the clock."""

from __future__ import annotations

from prefectlite.rules.retry import moment
from prefectlite.rules.verdict import Become, Proceed, Reason
from prefectlite.states.state import Paused, Resume, State


def decide_resume(state: State, why: str, now: float) -> Proceed | Become:
    """Return what an approval makes of a run.

    Parameters
    ----------
    state : State
        The run's state.
    why : str
        Who approved, in a few words.
    now : float
        Seconds since the epoch.

    Returns
    -------
    Proceed or Become
        ``Become(Resume)`` for a paused run, also for one that would have gone on by itself later;
        ``Proceed``: the run does not wait for an approval, and stays as it is.

    Examples
    --------
    >>> decide_resume(Paused("Look at it first."), "by hand", 0.0).state
    <Resume: "The pause is over: by hand.">
    """
    read = (("state", type(state).__name__),)
    if not isinstance(state, Paused):
        return Proceed(Reason("resume", "The run is not paused.", read))
    text = f"The pause is over: {why}."
    return Become(Resume(text, start_time=moment(now)), Reason("resume", text, read))
