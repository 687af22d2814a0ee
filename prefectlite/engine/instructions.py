"""Instructions: all that the engine wants. Frozen; whoever performs them decides how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from prefectlite.engine.inputs import Argument, FromRun
from prefectlite.rules.verdict import Reason
from prefectlite.states.keys import RunKey
from prefectlite.states.state import State

#: What user code is asked: about a trigger, a transition, a delay before a retry, a failure that is final.
Question: TypeAlias = Literal["trigger", "handlers", "delay", "on_failure"]


@dataclass(frozen=True, slots=True)
class Submit:
    """Send an attempt to the cluster; a turn's worth of these becomes one Dask graph.

    Parameters
    ----------
    run, attempt, submission : int
        Which; ``attempt`` and ``submission`` count from 1.
    key : RunKey
        The run's name.
    arguments : tuple of Argument
        Where its arguments come from; constants bound to the task are not listed.
    after : tuple of FromRun
        Runs that must have succeeded first and whose values are not read.
    ahead : bool
        Whether an upstream is still in flight.
    drop_value : bool
        Whether nobody reads the value, so that it need not outlive the report.
    measure : {"", "length", "flat"}
        What a map downstream must know of the value.
    """

    run: int
    attempt: int
    submission: int
    key: RunKey
    arguments: tuple[Argument, ...] = ()
    after: tuple[FromRun, ...] = ()
    ahead: bool = False
    drop_value: bool = False
    measure: frozenset[Literal["length", "flat"]] = frozenset()


@dataclass(frozen=True, slots=True)
class Transition:
    """A run (or the flow: ``run`` is -1) changed its state: journal it, then tell the observers.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch; a worker's own time for what a worker saw.
    run : int
        Which.
    key : RunKey
        The run's name; the flow's has an empty slug.
    attempt : int
        The attempt it belongs to; 0 before the first.
    old, new : State
        From what to what.
    why : Reason
        The rule or event that caused it, and what it read.
    """

    time: float
    run: int
    key: RunKey
    attempt: int
    old: State
    new: State
    why: Reason


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Send ``TimerFired(run, timer)`` when the time has come.

    Parameters
    ----------
    run, timer : int
        Whose timer, and its number.
    at : float
        When, in seconds since the epoch.
    """

    run: int
    timer: int
    at: float


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask user code in a thread and send ``Answered(run, ask, ...)``.

    Parameters
    ----------
    run, ask : int
        Which run, and the number of the question.
    node : int
        The plan's number of the task.
    question : {"trigger", "handlers", "delay", "on_failure"}
        ``trigger``: answer with its return value; ``handlers``: with the state that the transition
        ends in; ``delay``: with seconds; ``on_failure``: with anything.
    old, new : State or None
        The transition that handlers are asked about; ``new`` is the final state for ``on_failure``.
    upstreams : tuple of (token, State)
        For ``trigger``: the user's edges and their states, ``Mapped`` ones with their children.
    attempt : int
        For ``delay``: the attempt that failed.
    """

    run: int
    ask: int
    node: int
    question: Question
    old: State | None = None
    new: State | None = None
    upstreams: tuple[tuple[Any, State], ...] = ()
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody needs this submission any more: its value, and the run itself if it still waits there.

    Parameters
    ----------
    run, submission : int
        Which.
    """

    run: int
    submission: int


@dataclass(frozen=True, slots=True)
class CancelAll:
    """Stop all that is in flight.

    Parameters
    ----------
    why : str
        The reason, for logs.
    """

    why: str


@dataclass(frozen=True, slots=True)
class EndRun:
    """The flow run is over; its state is final.

    Parameters
    ----------
    state : State
        The flow's state.
    """

    state: State


Instruction: TypeAlias = Submit | Transition | SetTimer | Ask | Release | CancelAll | EndRun
