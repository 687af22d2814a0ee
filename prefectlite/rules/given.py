"""The rule for a state that a run begins with, of an earlier run, say. Knows states; knows no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from prefectlite.rules.verdict import Become, Proceed, Reason
from prefectlite.states.holders import holding
from prefectlite.states.state import Cached, Looped, Mapped, Retrying, Running, Scheduled, State
from prefectlite.states.surroundings import NO_CONTEXT

#: What a state's context says of where its run stood, under the names of Prefect 1.
_RUN_COUNT: Final = "task_run_count"
_LOOP_COUNT: Final = "task_loop_count"
_LOOP_RESULT: Final = "task_loop_result"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands that goes on from a state.

    Parameters
    ----------
    failures : int
        How many attempts of its iteration were made before, and failed.
    lap : int
        Its iteration, counted from 1.
    looped : State or None
        How the iteration before ended, with what it hands on; None in the first.
    cached : Cached or None
        What may make its body needless, if the cache rule agrees.
    """

    failures: int = 0
    lap: int = 1
    looped: State | None = None
    cached: Cached | None = None


def decide_given(state: State) -> Become | Proceed:
    """Return what a run does with the state that it is given.

    Parameters
    ----------
    state : State
        Any but one of those that wrap others.

    Returns
    -------
    Become or Proceed
        ``Become``: the run takes the state, to stay in it if it is final, and to wait if it is one of a wait.
        ``Proceed``: the run has to be made, from where ``standing_of`` says.

    Examples
    --------
    >>> type(decide_given(Retrying(run_count=2))).__name__, type(decide_given(Running())).__name__
    ('Become', 'Proceed')
    """
    read = (("state", type(state).__name__),)
    if isinstance(state, Scheduled):
        return Become(state, Reason("given", "The run was given this state to go on from.", read))
    if is_kept(state):
        return Become(state, Reason("given", "The run was given this state, and keeps it.", read))
    return Proceed(Reason("given", "The run has to be made, whatever state it was given.", read))


def is_kept(state: State) -> bool:
    """Return whether a run that is given a state has ended with that.

    Parameters
    ----------
    state : State
        Any state.

    Returns
    -------
    bool
        False also for what is final and not the last word: another iteration follows, the cache rule or the
        children have theirs.
    """
    return state.is_finished() and not isinstance(state, Looped | Cached | Mapped)


def standing_of(state: State) -> Standing:
    """Return where a run stands that goes on from a state.

    Parameters
    ----------
    state : State
        What it was given.

    Returns
    -------
    Standing
        At the beginning for ``Running``: nobody knows how far that attempt came.

    Examples
    --------
    >>> standing_of(Retrying(run_count=2)).failures, standing_of(Looped(loop_count=3)).lap
    (2, 4)
    """
    if isinstance(state, Running):
        return Standing()
    if isinstance(state, Looped):
        return Standing(lap=state.loop_count + 1, looped=state)
    told = state.context
    failures = state.run_count if isinstance(state, Retrying) else _count(told, _RUN_COUNT) - 1
    lap = _count(told, _LOOP_COUNT)
    looped = None
    if lap > 1:
        looped = Looped(result=holding(told.get(_LOOP_RESULT)), context=NO_CONTEXT, loop_count=lap - 1)
    return Standing(failures, lap, looped, state if isinstance(state, Cached) else None)


def to_go_on_from(state: State, standing: Standing) -> State:
    """Return the state of a wait with all that another run must know to go on from it.

    Parameters
    ----------
    state : State
        The state.
    standing : Standing
        Where the run stands.

    Returns
    -------
    State
        Itself where there is nothing to say, or where a user's class cannot be copied so.
    """
    facts: dict[str, Any] = {}
    # Whoever made the state may have counted pauses, too.
    if not isinstance(state, Retrying) and _count(state.context, _RUN_COUNT) != standing.failures + 1:
        facts[_RUN_COUNT] = standing.failures + 1
    if standing.looped is not None:
        facts[_LOOP_COUNT] = standing.lap
        facts[_LOOP_RESULT] = standing.looped.result_ref or standing.looped.result
    if not facts:
        return state
    try:
        return state.replace(context={**state.context, **facts})
    except Exception:
        return state


def _count(told: Mapping[str, Any], name: str) -> int:
    count = told.get(name)
    return count if type(count) is int and count > 0 else 1
