"""Of which task runs it is told what becomes of them, and of which there are too many. Knows no logging."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import takewhile
from typing import Final

from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.states.state import Running

#: For how many seconds an allowance that is not used is saved up.
SAVED: Final = 10.0
#: How often it is told where those stand that are not told one by one, in seconds.
PERIOD: Final = 10.0


class Allowance:
    """Lets so many through a second, and a few seconds' worth at once (a token bucket).

    Parameters
    ----------
    per_second : float
        How many, on average.
    """

    __slots__ = ("_at", "_left", "_most", "_per_second")

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = self._most = SAVED * per_second
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Let one through, if there is room for it.

        Parameters
        ----------
        now : float
            Seconds, of a clock that only goes forward.

        Returns
        -------
        bool
            Whether there was.
        """
        if self._at is not None and now > self._at:
            self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Telling:
    """Chooses the changes to tell of: a task run is told to its end once it has begun to be.

    Parameters
    ----------
    per_second : float
        Of how many task runs it may be told a second, on average; infinity for all.
    slugs : container of str
        Those of the tasks that are news.
    """

    def __init__(self, per_second: float, slugs: Container[str]) -> None:
        self._allowance = Allowance(per_second)
        self._tells_all = per_second == math.inf
        self._slugs = slugs
        self._told: set[int] = set()
        # Of which it was told that they run, and of nothing since.
        self._running: set[int] = set()
        self._leaves_out = False
        self._summed = 0.0

    def chosen(
        self, changes: Iterable[Transition | TransitionMany | TransitionEach], now: float
    ) -> Iterator[Transition | TransitionMany | TransitionEach]:
        """Return the changes to tell of; the flow's own are always among them.

        Parameters
        ----------
        changes : iterable of Transition, TransitionMany or TransitionEach
            Those of a turn, in order.
        now : float
            Seconds, of a clock that only goes forward.

        Yields
        ------
        Transition, TransitionMany or TransitionEach
            In order; those of many stay together where all of them are told.
        """
        told = self._told
        # What most changes of a large flow come to must cost next to nothing: there is no room for them.
        room = True
        for one in changes:
            if not isinstance(one, Transition):
                yield from self._of_all(one) if self._tells_all else self._of_some(one, now)
            elif one.run < 0:
                yield one
            elif one.run in told:
                if self._is_new(one):
                    yield one
            elif room and one.key.slug in self._slugs:
                room = self._begins(one.run, now)
                if room and self._is_new(one):
                    yield one

    def begins(self, run: int, slug: str, now: float) -> bool:
        """Return whether to tell now that a task run's attempt runs, since its body was heard.

        Parameters
        ----------
        run : int
            The run's number.
        slug : str
            Its slug.
        now : float
            Seconds, of the same clock.

        Returns
        -------
        bool
            False when it was told before, or is none of those to tell of.
        """
        if run in self._running:
            return False
        if run not in self._told and not (slug in self._slugs and self._begins(run, now)):
            return False
        self._running.add(run)
        return True

    def sum_is_due(self, now: float, *, at_last: bool = False) -> bool:
        """Return whether to tell where all task runs stand, since not all were told of one by one.

        Parameters
        ----------
        now : float
            Seconds, of the same clock.
        at_last : bool
            Whether the run is over, so that it cannot wait.

        Returns
        -------
        bool
            True at most every ``PERIOD`` seconds until then.
        """
        if not self._leaves_out or not (at_last or now >= self._summed + PERIOD):
            return False
        self._leaves_out, self._summed = False, now
        return True

    def _of_all(
        self, group: TransitionMany | TransitionEach
    ) -> Iterator[Transition | TransitionMany | TransitionEach]:
        """Return a group, or each of those of it to tell of where they are not all."""
        runs, slugs, running = group.runs, self._slugs, self._running
        if isinstance(group, TransitionMany):
            if group.slug not in slugs:
                return
        elif any(key.slug not in slugs for key in group.keys):
            yield from (one for one in group if one.key.slug in slugs and self._is_new(one))
            return
        if not _is_start(group):
            running.difference_update(runs)
            yield group
            return
        heard = running.intersection(runs)
        running.update(runs)
        if not heard:
            yield group
        elif len(heard) < len(runs):
            yield from (group.one(place) for place, run in enumerate(runs) if run not in heard)

    def _of_some(self, group: TransitionMany | TransitionEach, now: float) -> Iterator[Transition]:
        """Return those of a group to tell of: of many that begin to be told, the first ones."""
        runs, told = group.runs, self._told
        if isinstance(group, TransitionMany):
            first = group.runs.start
            known = [run - first for run in told if run in runs]  # told are hundreds, runs may be a million
            news: Iterable[int] = range(len(runs)) if group.slug in self._slugs else ()
        else:
            known = [place for place, run in enumerate(runs) if run in told]
            news = (place for place, key in enumerate(group.keys) if key.slug in self._slugs)
        unknown = (place for place in news if runs[place] not in told)
        begun = takewhile(lambda place: self._begins(runs[place], now), unknown)
        return filter(self._is_new, map(group.one, sorted([*known, *begun])))

    def _begins(self, run: int, now: float) -> bool:
        if self._tells_all:
            return True  # nobody need remember it
        if self._allowance.take(now):
            self._told.add(run)
            return True
        self._leaves_out = True
        return False

    def _is_new(self, change: Transition) -> bool:
        """Return whether a change was not told before, and note that it is."""
        run = change.run
        if _is_start(change):
            if run in self._running:
                return False
            self._running.add(run)
            return True
        self._running.discard(run)
        if change.new.is_finished():
            self._told.discard(run)
        return True


def _is_start(change: Transition | TransitionMany | TransitionEach) -> bool:
    return isinstance(change.new, Running) and not isinstance(change.old, Running)


def in_numbers(counts: Mapping[str, int]) -> str:
    """Return how many task runs are in which class of state.

    Parameters
    ----------
    counts : mapping of str to int
        By class.

    Returns
    -------
    str
        The largest number first.

    Examples
    --------
    >>> in_numbers({"Failed": 2, "Success": 9998})
    '9,998 Success, 2 Failed'
    """
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda one: -one[1]))
