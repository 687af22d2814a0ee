"""What changed: instructions that tell of transitions, one or many at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from prefectlite.rules.verdict import Reason
from prefectlite.states.keys import RunKey
from prefectlite.states.state import State


class Transition(NamedTuple):
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


class StateOf(Protocol):
    """Tells the state of a run that ended among many."""

    def state(self, run: int, key: RunKey) -> State:
        """Return the state, with its result.

        Parameters
        ----------
        run : int
            The run's number.
        key : RunKey
            Its name.

        Returns
        -------
        State
            As if the run had ended alone.
        """
        ...


class _Transitions(ABC):
    """Transitions that are told as one, and made one by one when somebody looks."""

    __slots__ = ()
    times: Sequence[float]

    @abstractmethod
    def one(self, place: int) -> Transition:
        """Return one of them, as if it had come alone."""

    def __len__(self) -> int:
        """Return how many runs changed."""
        return len(self.times)

    def __iter__(self) -> Iterator[Transition]:
        """Return each run's transition."""
        return map(self.one, range(len(self)))


@dataclass(frozen=True, slots=True)
class TransitionMany(_Transitions):
    """Children of one map that stand side by side changed their state in the same way, for the same reason.

    Parameters
    ----------
    times : sequence of float
        When each did, in seconds since the epoch, by a worker's clock.
    runs : range
        Their numbers, without gaps.
    slug : str
        The map's slug.
    first : int
        The map index of the first.
    attempt : int
        The attempt that it belongs to, for all of them.
    old, new : State
        From what to what, but for the results.
    why : Reason
        What caused it.
    details : StateOf or None
        Who knows the new states with their results, where they have some.
    """

    times: Sequence[float]
    runs: range
    slug: str
    first: int
    attempt: int
    old: State
    new: State
    why: Reason
    details: StateOf | None = None

    def one(self, place: int) -> Transition:
        """Return one child's transition.

        Parameters
        ----------
        place : int
            Counted from 0.

        Returns
        -------
        Transition
            As if it had come alone.
        """
        run, key = self.runs[place], RunKey(self.slug, self.first + place)
        new = self.new if self.details is None else self.details.state(run, key)
        return Transition(self.times[place], run, key, self.attempt, self.old, new, self.why)


@dataclass(frozen=True, slots=True)
class TransitionEach(_Transitions):
    """Runs of separate tasks, which landed together, changed their state in the same way.

    Parameters
    ----------
    times : sequence of float
        When each did, in seconds since the epoch, by a worker's clock.
    runs : sequence of int
        Their numbers.
    keys : sequence of RunKey
        Their names.
    attempts : sequence of int
        The attempt of each that it belongs to.
    old, new : State
        From what to what, but for the results.
    whys : sequence of Reason
        What caused each.
    details : StateOf or None
        Who knows the new states with their results, where they have some.
    """

    times: Sequence[float]
    runs: Sequence[int]
    keys: Sequence[RunKey]
    attempts: Sequence[int]
    old: State
    new: State
    whys: Sequence[Reason]
    details: StateOf | None = None

    def one(self, place: int) -> Transition:
        """Return one run's transition.

        Parameters
        ----------
        place : int
            Counted from 0.

        Returns
        -------
        Transition
            As if it had come alone.
        """
        run, key = self.runs[place], self.keys[place]
        new = self.new if self.details is None else self.details.state(run, key)
        return Transition(self.times[place], run, key, self.attempts[place], self.old, new, self.whys[place])
