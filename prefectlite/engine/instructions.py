"""Instructions: all that the engine wants. Frozen; whoever performs them decides how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from prefectlite.engine.inputs import (
    Argument,
    FromElements,
    FromRun,
    FromSpan,
    Row,
    RowSource,
    Source,
)
from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Cached, State

#: What user code is asked: about a trigger, a transition, a delay before a retry, a failure that is final.
Question: TypeAlias = Literal["trigger", "handlers", "delay", "on_failure"]


class Past(NamedTuple):
    """What user code may know of what went before it, beside its attempt's number.

    Parameters
    ----------
    resumed : bool
        Whether a pause of this run is over.
    looped : State or None
        How the iteration before ended, with what it hands on; None in the first.
    cached : Cached or None
        What the run was given to begin with, whose value may make its body needless.
    """

    resumed: bool = False
    looped: State | None = None
    cached: Cached | None = None


#: The past of a run that neither paused nor looped, and was given no value.
NO_PAST: Final = Past()


class Submit(NamedTuple):
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
    past : Past
        What the body may know of what went before.
    consumes : frozenset of str
        The arguments that take values of which nobody needs one any more once this attempt has succeeded.
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
    past: Past = NO_PAST
    consumes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SubmitMany:
    """Send attempts of a map's children that stand side by side and differ in nothing but their place.

    It means what as many ``Submit`` would mean, and is the engine's leave to let them travel together.

    Parameters
    ----------
    runs : range
        Their numbers, without gaps.
    node : int
        The map's number.
    slug : str
        The map's slug.
    first : int
        The map index of the first.
    attempt, submission : int
        Which, for all of them.
    rows : tuple of Row
        Where their arguments come from.
    ahead, drop_value, measure
        As in ``Submit``.
    left : int
        How many children of the map will keep the cluster busy beside these.
    consumes : frozenset of str
        As in ``Submit``, each child of its own.
    """

    runs: range
    node: int
    slug: str
    first: int
    attempt: int
    submission: int
    rows: tuple[Row, ...] = ()
    ahead: bool = False
    drop_value: bool = False
    measure: frozenset[Literal["length", "flat"]] = frozenset()
    left: int = 0
    consumes: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """Return how many attempts they are."""
        return len(self.runs)

    def one(self, place: int) -> Submit:
        """Return one of them alone.

        Parameters
        ----------
        place : int
            Counted from 0.

        Returns
        -------
        Submit
            What it would be by itself.
        """
        return Submit(
            self.runs[place],
            self.attempt,
            self.submission,
            RunKey(self.slug, self.first + place),
            tuple([Argument(row.key, _source_of_one(row.source, place)) for row in self.rows]),
            (),
            self.ahead,
            self.drop_value,
            self.measure,
            consumes=self.consumes,
        )

    def __iter__(self) -> Iterator[Submit]:
        """Return each of them alone."""
        return (self.one(place) for place in range(len(self.runs)))


def _source_of_one(source: RowSource, place: int) -> Source:
    if isinstance(source, FromSpan):
        return FromRun(source.run + place, source.submission)
    if isinstance(source, FromElements):
        return source.one(place)
    return source


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
        Which run (the flow's own: -1), and the number of the question.
    node : int
        The plan's number of the task; -1 for the flow.
    question : {"trigger", "handlers", "delay", "on_failure"}
        ``trigger``: answer with its return value; ``handlers``: with the state that the transition
        ends in; ``delay``: with seconds; ``on_failure``: with anything.
    old, new : State or None
        The transition that handlers are asked about; ``new`` is the final state for ``on_failure``.
    upstreams : tuple of (token, State)
        For ``trigger``: the user's edges and their states, ``Mapped`` ones with their children.
    attempt : int
        For ``delay``: the attempt that failed.
    past : Past
        What user code may know of what went before.
    """

    run: int
    ask: int
    node: int
    question: Question
    old: State | None = None
    new: State | None = None
    upstreams: tuple[tuple[Any, State], ...] = ()
    attempt: int = 0
    past: Past = NO_PAST


class Release(NamedTuple):
    """Nobody needs this submission any more: its value, and the run itself if it still waits there.

    Parameters
    ----------
    run, submission : int
        Which.
    """

    run: int
    submission: int


@dataclass(frozen=True, slots=True)
class ReleaseMany:
    """Nobody needs the values of these runs, which stand side by side, any more.

    Parameters
    ----------
    runs : range
        Their numbers, without gaps.
    submission : int
        Which, for all of them.
    """

    runs: range
    submission: int

    def __iter__(self) -> Iterator[Release]:
        """Return each of them alone."""
        return (Release(run, self.submission) for run in self.runs)


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
class StopReleased:
    """Interrupt the bodies of what was let go of; what is held goes on, and more may be submitted."""


@dataclass(frozen=True, slots=True)
class AwaitApproval:
    """Nothing goes on until somebody resumes a paused run: wait for that, or leave the flow run as it is.

    Parameters
    ----------
    state : State
        The flow's state, which is not final.
    """

    state: State


@dataclass(frozen=True, slots=True)
class EndRun:
    """The flow run is over; its state is final.

    Parameters
    ----------
    state : State
        The flow's state.
    """

    state: State


Instruction: TypeAlias = (
    Submit
    | SubmitMany
    | Transition
    | TransitionMany
    | TransitionEach
    | SetTimer
    | Ask
    | Release
    | ReleaseMany
    | CancelAll
    | StopReleased
    | AwaitApproval
    | EndRun
)


def one_by_one(wanted: Iterable[Instruction]) -> Iterator[Instruction]:
    """Return instructions with each of many alone.

    Parameters
    ----------
    wanted : iterable of Instruction
        From the engine.

    Yields
    ------
    Instruction
        In the same order, no ``SubmitMany``, ``TransitionMany``, ``TransitionEach`` or ``ReleaseMany`` among
        them.
    """
    for one in wanted:
        if isinstance(one, SubmitMany | TransitionMany | TransitionEach | ReleaseMany):
            yield from one
        else:
            yield one
