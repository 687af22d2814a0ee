"""What a journal must offer the loop. Knows transitions and the one act; knows no storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.states.keys import RunKey


class Submitted(NamedTuple):
    """The driver's only act: an attempt was sent; journaled before it is.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run : int
        The run's number on the board.
    key : RunKey
        The run's name.
    attempt : int
        Which start of the body this allows, counted from 1.
    submission : int
        Which graph it travels in, counted from 1.
    ahead : bool
        Whether it was sent before its upstreams had finished.
    """

    time: float
    run: int
    key: RunKey
    attempt: int
    submission: int
    ahead: bool = False


class SubmittedMany(NamedTuple):
    """Attempts of a map's children that stand side by side were sent.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    runs : range
        Their numbers on the board, without gaps.
    slug : str
        The map's slug.
    first : int
        The map index of the first.
    attempt, submission, ahead
        As in ``Submitted``, for all of them.
    """

    time: float
    runs: range
    slug: str
    first: int
    attempt: int
    submission: int
    ahead: bool = False

    def one(self, place: int) -> Submitted:
        """Return what is said of one of them.

        Parameters
        ----------
        place : int
            Counted from 0.

        Returns
        -------
        Submitted
            As if it had been sent alone.
        """
        key = RunKey(self.slug, self.first + place)
        return Submitted(self.time, self.runs[place], key, self.attempt, self.submission, self.ahead)


#: What a journal keeps: observations and acts, in the order in which they were learned or decided.
Entry: TypeAlias = Transition | Submitted
#: The same, where one record may tell of many runs.
Record: TypeAlias = Entry | TransitionMany | TransitionEach | SubmittedMany


def unpacked(record: Record) -> Iterator[Entry]:
    """Return the entries that a record stands for.

    Parameters
    ----------
    record : Record
        Of one run or of many.

    Yields
    ------
    Transition or Submitted
        One for each run, in order.
    """
    if isinstance(record, TransitionMany | TransitionEach | SubmittedMany):
        yield from map(record.one, range(len(record.runs)))
    else:
        yield record


class Journal(Protocol):
    """A record of one flow run; written by the loop alone, read from any thread."""

    def record(self, records: Sequence[Record]) -> None:
        """Add records to the turn that is not committed yet.

        Parameters
        ----------
        records : sequence of Record
            In order.
        """
        ...

    def commit(self) -> None:
        """Make the turn's entries last: what was recorded is now readable, and may be acted upon."""
        ...

    def history(self, key: RunKey) -> list[Entry]:
        """Return what is known of one run.

        Parameters
        ----------
        key : RunKey
            The run's name; the flow's own has an empty slug.

        Returns
        -------
        list of Transition or Submitted
            Its committed entries in order; empty when there are none.
        """
        ...

    def records(self) -> Sequence[Record]:
        """Return everything that was committed, as it was recorded.

        Returns
        -------
        sequence of Record
            In order.
        """
        ...

    def entries(self) -> Iterable[Entry]:
        """Return everything that was committed, run by run.

        Returns
        -------
        iterable of Transition or Submitted
            In order.
        """
        ...

    def close(self) -> None:
        """End the writing; what was committed stays readable."""
        ...
