"""How state handlers are called, those of tasks and of flows: in order, each sees what the last one made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from prefectlite.core.task import Task
from prefectlite.states.meta import unwrapped
from prefectlite.states.signals import Signal
from prefectlite.states.state import State


@dataclass(frozen=True, slots=True)
class TaskRunner:
    """What the handlers of a run get in the place of a task, as in Prefect 1.

    Parameters
    ----------
    task : Task
        Whose transition it is.
    """

    task: Task

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name


def state_after(owner: Any, handlers: Iterable[Callable[..., Any]], old: State, new: State) -> State:
    """Return the state that handlers make of a transition.

    Parameters
    ----------
    owner : Task, TaskRunner or Flow
        Whose handlers they are.
    handlers : iterable of callable
        In order; each sees what the one before it made.
    old, new : State
        The transition.

    Returns
    -------
    State
        The last handler's word; that of a signal, if one was raised.

    Raises
    ------
    TypeError
        When a handler returns something that is neither a state nor None.
    """
    for handler in handlers:
        try:
            said = handler(owner, old, new)
        except Signal as signal:
            return signal.state
        new = as_state(said, handler, owner, new)
    return new


def as_state(said: Any, handler: Callable[..., Any], owner: Any, new: State) -> State:
    """Return what a handler's word comes to.

    Parameters
    ----------
    said : object
        What it returned.
    handler : callable
        Which, for the error.
    owner : Task, TaskRunner or Flow
        Whose, for the error.
    new : State
        What it was shown.

    Returns
    -------
    State
        Its word, unwrapped; for None, what it was shown.

    Raises
    ------
    TypeError
        When it is neither a state nor None.
    """
    if said is None:
        return new
    if not isinstance(said, State):
        name = getattr(handler, "__name__", handler)
        kind = "task" if isinstance(owner, Task | TaskRunner) else "flow"
        raise TypeError(
            f"State handler {name!r} of {kind} {owner.name!r} returned {said!r}; return a State, or None to "
            "let the transition stand."
        )
    return unwrapped(said)
