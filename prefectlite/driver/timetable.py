"""When a flow runs next, and what becomes of starts that passed. Knows events and the time; knows no runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from operator import attrgetter
from typing import Final, Literal, Protocol, TypeAlias, get_args, runtime_checkable

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.schedules.events import ClockEvent

#: What becomes of starts that passed while they could not be taken: none of them runs, the latest, or all.
CatchUp: TypeAlias = Literal["skip", "latest", "all"]
CATCH_UP: Final[tuple[CatchUp, ...]] = get_args(CatchUp)

#: The longest sleep in seconds: a machine that was suspended, or put right, is noticed after so long.
LONGEST_SLEEP: Final = 10.0


@runtime_checkable
class Timepiece(Protocol):
    """The time, and how to wait; a test hands in one of its own."""

    def now(self) -> datetime:
        """Return the time, with a zone."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait.

        Parameters
        ----------
        seconds : float
            How long.
        """
        ...


class WallClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait; Ctrl-C in the main thread ends it.

        Parameters
        ----------
        seconds : float
            How long.
        """
        time.sleep(seconds)


WALL_CLOCK: Final = WallClock()


def as_timepiece(given: object, flow_name: str) -> Timepiece:
    """Return what tells a flow the time.

    Parameters
    ----------
    given : object
        What the user gave; None means the machine's.
    flow_name : str
        The flow, for the error.

    Returns
    -------
    Timepiece
        It.

    Raises
    ------
    DefinitionTypeError
        When it tells no time.
    """
    if given is None or isinstance(given, Timepiece):
        return WALL_CLOCK if given is None else given
    raise DefinitionTypeError(
        f"Flow {flow_name!r} was given clock={given!r}, which tells no time; leave it away, or "
        "give an object with now() and sleep(seconds)."
    )


def check_catch_up(given: object) -> None:
    """Refuse what is no policy.

    Parameters
    ----------
    given : object
        What the user gave.

    Raises
    ------
    DefinitionError
        When it is none of the three words.
    """
    if given not in CATCH_UP:
        raise DefinitionError(
            f"catch_up={given!r} is no policy; 'skip' leaves out the starts that passed while a run went on, "
            "'latest' makes up for the last of them, 'all' for each."
        )


def due_starts(
    events: Iterable[ClockEvent],
    timepiece: Timepiece,
    catch_up: CatchUp = "skip",
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[ClockEvent]:
    """Give each start when its time has come; what the consumer does with one holds up the next.

    A start that was waited for is never late, however long the machine slept meanwhile. The starts that
    passed while the consumer was busy are what ``catch_up`` is about.

    Parameters
    ----------
    events : iterable of ClockEvent
        From a schedule; several at the same moment belong together.
    timepiece : Timepiece
        What time it is.
    catch_up : {"skip", "latest", "all"}
        Which of the starts that passed are given.
    tell : callable
        Takes a sentence about what comes next, and about what does not.

    Yields
    ------
    ClockEvent
        In the order of the events.
    """
    groups: Iterator[tuple[datetime, list[ClockEvent]]] = (
        (moment, list(found)) for moment, found in groupby(events, attrgetter("moment"))
    )
    ahead = next(groups, None)
    while ahead is not None:
        moment, together = ahead
        wait_until(moment, together[0].wall, timepiece, tell)
        yield from together
        ahead = next(groups, None)
        if catch_up == "all":
            continue
        passed = []
        while ahead is not None and ahead[0] <= timepiece.now():
            passed.append(ahead)
            ahead = next(groups, None)
        if passed and catch_up == "latest":
            groups = chain(() if ahead is None else (ahead,), groups)
            ahead = passed.pop()
        if passed:
            tell(_missed(passed[0][1][0], passed[-1][1][0], len(passed)))


def wait_until(
    moment: datetime, shown_as: datetime, timepiece: Timepiece, tell: Callable[[str], None]
) -> None:
    """Wait for the start of a run.

    Parameters
    ----------
    moment : datetime
        Until when.
    shown_as : datetime
        The same moment, perhaps in another zone, as people know it.
    timepiece : Timepiece
        What time it is, and how to wait.
    tell : callable
        Takes a sentence about it, if there is anything to wait for.
    """
    left = moment - timepiece.now()
    if left > timedelta(0):
        tell(f"the next run starts at {shown(shown_as)}.")
    while left > timedelta(0):
        timepiece.sleep(min(left.total_seconds(), LONGEST_SLEEP))
        left = moment - timepiece.now()


def _missed(first: ClockEvent, last: ClockEvent, count: int) -> str:
    since = f"the start at {shown(first.wall)}"
    if count > 1:
        since = f"{count} starts from {shown(first.wall)} to {shown(last.wall)}"
    return f"{since} passed meanwhile and {'is' if count == 1 else 'are'} left out."


def shown(moment: datetime) -> str:
    """Return a moment as people read it.

    Parameters
    ----------
    moment : datetime
        With a zone.

    Returns
    -------
    str
        Date, time and offset, with the fraction of a second only where there is one.
    """
    return moment.isoformat(" ", "microseconds" if moment.microsecond else "seconds")
