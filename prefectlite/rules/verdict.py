"""What a rule answers, and why. Knows states; knows neither Dask nor the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from prefectlite.states.state import State

#: The name of a fact: who wanted the state, where user code asked for it and nothing went wrong by itself.
ASKED_FOR_BY: Final = "asked for by"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run changed its state.

    Parameters
    ----------
    rule : str
        The short name of the rule or event that decided (``"trigger"``, ``"skip"``, ``"retry"`` ...).
    text : str
        The reason in plain words.
    read : tuple of (str, str)
        The facts that the rule read: name (an upstream's run key, say) and what it was.
    """

    rule: str
    text: str
    read: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Proceed:
    """The rule has no objection.

    Parameters
    ----------
    why : Reason
        What was weighed.
    """

    why: Reason


@dataclass(frozen=True, slots=True)
class Become:
    """The run takes another state.

    Parameters
    ----------
    state : State
        Which one.
    why : Reason
        Why it does.
    """

    state: State
    why: Reason


@dataclass(frozen=True, slots=True)
class Wait:
    """The run waits.

    Parameters
    ----------
    what : str
        ``"upstreams"``, ``"time"``, ``"answer"`` ...
    why : Reason
        Why it waits.
    seconds : float
        How long, where the wait is for time.
    """

    what: str
    why: Reason
    seconds: float = 0.0


Verdict: TypeAlias = Proceed | Become | Wait
