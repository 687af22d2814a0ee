"""A state that a run is about to take, before state handlers have had their word. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from prefectlite.engine.questions import raised
from prefectlite.errors import TaskError
from prefectlite.rules.verdict import ASKED_FOR_BY, Reason
from prefectlite.states.state import Failed, State
from prefectlite.states.transitions import may_become
from prefectlite.states.value import NO_RESULT

#: What a run does once its new state is on the books.
Next: TypeAlias = Literal["start", "unfold", "approve", "weigh", "end"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A state that a run is about to take; state handlers may replace it.

    Parameters
    ----------
    new : State
        The state.
    why : Reason
        What caused it.
    then : {"start", "unfold", "approve", "weigh", "end"}
        What follows: the body's start, the children of a map, a start without another look at the rules once
        the pause is over, the rules after a run, or nothing.
    time : float
        When it came about, in seconds since the epoch.
    forced : bool
        Whether the retry rule must not weigh it.
    retryable : bool
        Whether the task's ``retry_on`` accepts the failure.
    """

    new: State
    why: Reason
    then: Next
    time: float
    forced: bool = False
    retryable: bool = True

    @property
    def name(self) -> str:
        """The name of the state's class."""
        return type(self.new).__name__


def objection(old: State, asked: str, answer: Any, error: BaseException | None) -> Failed | None:
    """Return what a transition comes to if the word of its state handlers cannot be obeyed.

    Parameters
    ----------
    old : State
        The state that was to be left.
    asked : str
        The transition that they were asked about, in words.
    answer : object
        What they made of the new state.
    error : BaseException or None
        What they raised.

    Returns
    -------
    Failed or None
        None where nothing is wrong.
    """
    if error is not None:
        return Failed(f"A state handler raised at {asked}: {raised(error)}", error)
    if not isinstance(answer, State):
        return Failed(f"A state handler answered a {type(answer).__name__} at {asked}, which is no state.")
    if not may_become(type(old), type(answer)):
        return Failed(f"A state handler made {type(answer).__name__} of {asked}, which cannot follow.")
    return None


def handled(why: Reason, state: State, wrong: Failed | None) -> Reason:
    """Return why a run takes the state that its state handlers made of another one.

    Parameters
    ----------
    why : Reason
        What caused the other one.
    state : State
        What they made of it.
    wrong : Failed or None
        The objection, if ``state`` is what it comes to.

    Returns
    -------
    Reason
        With what the other one was caused by among its facts.
    """
    read = why.read if wrong else (*why.read, (ASKED_FOR_BY, "a state handler"))
    return Reason("state handler", state.message or "A state handler replaced the state.", read)


def without_result(state: State) -> State:
    """Return how an iteration ended, without what it hands on.

    Parameters
    ----------
    state : State
        From a body or a state handler.

    Returns
    -------
    State
        Itself, where a user's class cannot be copied so.
    """
    try:
        return state.replace(result=NO_RESULT)
    except Exception:
        return state


def with_exception(state: Failed) -> Failed:
    """Return a failure whose reader gets an exception for a value, also when nobody raised one.

    Parameters
    ----------
    state : Failed
        A failure.

    Returns
    -------
    Failed
        Itself if it has a result, or can't be given one.
    """
    if state.has_result:
        return state
    error = TaskError(type(state).__name__, state.message or "It failed.")
    try:
        return state.replace(result=error)
    except Exception:  # a user's class may take other arguments; then its reader gets None
        return state
