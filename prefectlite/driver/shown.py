"""States as a user is shown them: with their task's tags, as in Prefect 1. Knows no engine."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from prefectlite.states.children import ChildStates
from prefectlite.states.state import Mapped, Scheduled, State


def tagged(state: State, tags: Iterable[str]) -> State:
    """Return a state of a task run with the tags of its task in its context.

    Parameters
    ----------
    state : State
        Of the run; of a map, those of its children get them too, when they are looked at.
    tags : iterable of str
        The task's.

    Returns
    -------
    State
        The same one where there are no tags.
    """
    if not tags:
        return state
    changes: dict[str, Any] = {"context": {"tags": sorted(tags), **state.context}}
    if isinstance(state, Mapped):
        number = state.n_map_states
        children = ChildStates.changed(state.map_states, partial(tagged, tags=tags))
        changes |= {"map_states": children, "n_map_states": number}
    return state.replace(**changes)


def told(state: State, tags: Iterable[str], attempt: int) -> State:
    """Return a state as a state handler is told of it: if it waits, with the count of its run besides.

    Parameters
    ----------
    state : State
        Of a task run.
    tags : iterable of str
        The task's.
    attempt : int
        Counted from 1; 0 before the first.

    Returns
    -------
    State
        The same one where there is nothing to add.
    """
    if attempt and isinstance(state, Scheduled) and "task_run_count" not in state.context:
        state = state.replace(context={**state.context, "task_run_count": attempt})
    return tagged(state, tags)
