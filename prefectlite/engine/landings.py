"""Plain successes that came many at a time: one state stands for all, its result is looked up when asked for.

Knows reports; knows no rule. A million states of a million children would be most of the driver's memory.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from typing import Final

from prefectlite.states.keys import RunKey
from prefectlite.states.report import Reports, ResultRef, ValueSource
from prefectlite.states.state import State, Success
from prefectlite.states.surroundings import NO_CONTEXT

DONE: Final = "The body returned."
#: On the board, the state of every run that ended among many; its class is all that rules read.
RAN: Final = Success(DONE, context=NO_CONTEXT)


@dataclass(frozen=True, slots=True)
class Landing:
    """Runs that ended together.

    Parameters
    ----------
    runs : range
        Their numbers, without gaps.
    attempt, submission : int
        Which, for all of them.
    reports : Reports
        What they said.
    values : ValueSource or None
        Who can fetch a value that is not inline any more.
    """

    runs: range
    attempt: int
    submission: int
    reports: Reports
    values: ValueSource | None

    def state(self, run: int, key: RunKey) -> State:
        """Return a run's state with its result.

        Parameters
        ----------
        run : int
            One of the runs.
        key : RunKey
            Its name.

        Returns
        -------
        State
            What it would be had the run come alone.
        """
        results, place = self.reports.results, run - self.runs.start
        ref = ResultRef(
            key, self.attempt, results.size(place), results.get(place), self.values, self.submission
        )
        return Success(DONE, ref, NO_CONTEXT)


@dataclass(slots=True)
class Arrival:
    """Runs of separate tasks that ended together; more may come while they are taken in.

    Parameters
    ----------
    reports : Reports
        What they said, perhaps with others between them.
    values : ValueSource or None
        Who can fetch a value that is not inline any more.
    runs : list of int
        Their numbers.
    places : list of int
        The place of each in the reports.
    attempts, submissions : list of int
        Which, for each.
    """

    reports: Reports
    values: ValueSource | None
    runs: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    submissions: list[int] = field(default_factory=list)
    _own: dict[int, int] = field(default_factory=dict, compare=False, repr=False)

    def state(self, run: int, key: RunKey) -> State:
        """Return a run's state with its result.

        Parameters
        ----------
        run : int
            One of the runs.
        key : RunKey
            Its name.

        Returns
        -------
        State
            What it would be had the run come alone.
        """
        if len(self._own) < len(self.runs):
            self._own = {one: own for own, one in enumerate(self.runs)}
        own = self._own[run]
        results, place = self.reports.results, self.places[own]
        size, inline = results.size(place), results.get(place)
        ref = ResultRef(key, self.attempts[own], size, inline, self.values, self.submissions[own])
        return Success(DONE, ref, NO_CONTEXT)


class Landings:
    """All runs of a flow run that ended among many, by their numbers."""

    __slots__ = ("_arrivals", "_landings", "_starts")

    def __init__(self) -> None:
        # By run, those of separate tasks.
        self._arrivals: dict[int, Arrival] = {}
        self._starts: list[int] = []
        self._landings: dict[int, Landing] = {}

    def __eq__(self, other: object) -> bool:
        """Compare what is known, so that books can be compared."""
        return isinstance(other, Landings) and (self._landings, self._arrivals) == (
            other._landings,
            other._arrivals,
        )

    __hash__ = None  # type: ignore[assignment]  # it grows

    def add(self, landing: Landing) -> None:
        """Take in runs that ended together.

        Parameters
        ----------
        landing : Landing
            None of its runs is known yet.
        """
        start = landing.runs.start
        if not self._starts or start > self._starts[-1]:
            self._starts.append(start)
        else:
            insort(self._starts, start)
        self._landings[start] = landing

    def add_one(self, run: int, arrival: Arrival) -> None:
        """Take in a separate task's run.

        Parameters
        ----------
        run : int
            Which.
        arrival : Arrival
            What it ended among.
        """
        self._arrivals[run] = arrival

    def take_one(self) -> tuple[int, Arrival] | None:
        """Give up a separate task's run, of which the board is going to know its state.

        Returns
        -------
        (int, Arrival) or None
            Its number, and what it ended among; None when there is none.
        """
        return self._arrivals.popitem() if self._arrivals else None

    def of(self, run: int) -> Landing | Arrival:
        """Return what a run ended among.

        Parameters
        ----------
        run : int
            A run whose state on the board is ``RAN``.

        Returns
        -------
        Landing or Arrival
            The one with that run in it.
        """
        arrival = self._arrivals.get(run)
        if arrival is not None:
            return arrival
        return self._landings[self._starts[bisect_right(self._starts, run) - 1]]
