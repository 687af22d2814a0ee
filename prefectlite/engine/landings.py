"""Plain successes that came many at a time: one state stands for all, its result is looked up when asked for.

Knows reports; knows no rule. A million states of a million children would be most of the driver's memory.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import Final

from prefectlite.states.keys import RunKey
from prefectlite.states.report import Reports, ResultRef, ValueSource
from prefectlite.states.state import State, Success

DONE: Final = "The body returned."
#: On the board, the state of every run that ended among many; its class is all that rules read.
RAN: Final = Success(DONE)


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
        return Success(DONE, ref)


class Landings:
    """All runs of a flow run that ended among many, by their numbers."""

    __slots__ = ("_landings", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._landings: dict[int, Landing] = {}

    def __eq__(self, other: object) -> bool:
        """Compare what is known, so that books can be compared."""
        return isinstance(other, Landings) and self._landings == other._landings

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

    def of(self, run: int) -> Landing:
        """Return what a run ended among.

        Parameters
        ----------
        run : int
            A run whose state on the board is ``RAN``.

        Returns
        -------
        Landing
            The one with that run in it.
        """
        return self._landings[self._starts[bisect_right(self._starts, run) - 1]]
