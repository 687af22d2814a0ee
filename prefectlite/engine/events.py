"""Events: all that the engine learns. Frozen; the time of each comes in with it, in seconds since the epoch.

A run is named by its number on the board: nodes of the plan keep theirs, children of a map get the next
free range when the map unfolds. ``submission`` counts the Dask graphs that a run travelled in: an event
about an older one is stale and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from prefectlite.states.report import Report, Reports
from prefectlite.states.state import State


@dataclass(frozen=True, slots=True)
class Measure:
    """What a map must know of a value: its lengths, or why it has none.

    Parameters
    ----------
    length : int or None
        ``len`` of the value, if it can be mapped over.
    flat_length : int or None
        The same after one level of unnesting.
    unmappable : str or None
        Why it cannot be mapped over.
    """

    length: int | None = None
    flat_length: int | None = None
    unmappable: str | None = None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The flow run begins.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    """

    time: float


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A worker was seen to run an attempt; an observation, sent for those that take a while.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, submission : int
        Which.
    where : str
        The worker.
    """

    time: float
    run: int
    submission: int
    where: str = ""


class AttemptFinished(NamedTuple):
    """An attempt ended and said how.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, submission : int
        Which.
    report : Report
        What it said.
    """

    time: float
    run: int
    submission: int
    report: Report


@dataclass(frozen=True, slots=True)
class RangeFinished:
    """Attempts of a map's children that stand side by side ended alike.

    It means what as many ``AttemptFinished`` would mean, and costs little more than one.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, submission : int
        The first child; the submission is that of all of them.
    reports : Reports
        What they said, from the first on.
    """

    time: float
    run: int
    submission: int
    reports: Reports


@dataclass(frozen=True, slots=True)
class CallsFinished:
    """Attempts of separate tasks, which travelled together, ended as plain successes.

    It means what as many ``AttemptFinished`` would mean, in this order, and costs a third.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    runs, submissions : sequence of int
        Which.
    reports : Reports
        What they said, in the same order.
    """

    time: float
    runs: Sequence[int]
    submissions: Sequence[int]
    reports: Reports


@dataclass(frozen=True, slots=True)
class InputsConsumed:
    """A run in flight has read values of a map's children for good; it does so part by part.

    What came of them is kept where it runs until the run is final: to be submitted again, it needs them no
    more.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, submission : int
        Who read them.
    first, count : int
        The first child's run, and how many that stand side by side.
    """

    time: float
    run: int
    submission: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class AttemptHeld:
    """A submitted run stopped before its body, since an upstream was no plain success.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, submission : int
        Which.
    """

    time: float
    run: int
    submission: int


@dataclass(frozen=True, slots=True)
class AttemptCrashed:
    """An attempt ended without a word, or could not be sent.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, submission : int
        Which.
    cause : str
        As in ``Crashed``.
    text : str
        What is known of it, in a sentence.
    """

    time: float
    run: int
    submission: int
    cause: str
    text: str

    @property
    def may_have_begun(self) -> bool:
        """Whether its body may have run: there is no word that it never got its inputs."""
        return self.cause != "input-unreachable"


@dataclass(frozen=True, slots=True)
class ResultLost:
    """The value of an attempt that had succeeded is gone: what held it ended.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, submission : int
        Whose value.
    text : str
        What is known of it, in a sentence.
    """

    time: float
    run: int
    submission: int
    text: str


@dataclass(frozen=True, slots=True)
class AttemptRefused:
    """An attempt could not be lowered or sent (an argument cannot be pickled, say): it failed at once.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, submission : int
        Which.
    error : BaseException
        What stood in the way.
    """

    time: float
    run: int
    submission: int
    error: BaseException


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time that a run waited for has come.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, timer : int
        As in the ``SetTimer`` that asked for it.
    """

    time: float
    run: int
    timer: int


@dataclass(frozen=True, slots=True)
class Answered:
    """User code answered a question.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run, ask : int
        As in the ``Ask``.
    answer : object
        What it returned.
    error : BaseException or None
        What it raised.
    measure : Measure or None
        The lengths of a value that a state handler gave.
    """

    time: float
    run: int
    ask: int
    answer: Any = None
    error: BaseException | None = None
    measure: Measure | None = None


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """The place to run can take more, or not so much.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    window : int
        How many task runs may be in flight at once from now on; those that are stay there.
    """

    time: float
    window: int


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Somebody approved a paused run; one that is not paused stays as it is.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run : int
        Which.
    why : str
        Who approved, in a few words.
    """

    time: float
    run: int
    why: str = "approved by the user"


@dataclass(frozen=True, slots=True)
class PlaceChanged:
    """The flow run goes on at another place; what the former one holds, only the driver can read.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    """

    time: float


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants the flow run to end.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    why : str
        The reason that states give.
    remark : str
        What else those say of which an attempt is in flight, since its body may have begun.
    """

    time: float
    why: str = "cancelled by the user"
    remark: str = ""


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """Nothing can be done for the flow run any more; what has not ended by now did not.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    state : State
        The flow's last state; its message is the reason.
    """

    time: float
    state: State


Event: TypeAlias = (
    RunStarted
    | AttemptStarted
    | AttemptFinished
    | RangeFinished
    | CallsFinished
    | InputsConsumed
    | AttemptHeld
    | AttemptCrashed
    | AttemptRefused
    | ResultLost
    | TimerFired
    | Answered
    | RoomChanged
    | ResumeRequested
    | PlaceChanged
    | CancelRequested
    | BrokenOff
)
