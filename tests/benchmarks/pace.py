"""How often something is measured, and what a Ctrl-C leaves of it. Knows nothing of what is measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Round = TypeVar("Round")


@dataclass(slots=True)
class Pace:
    """How often each row is measured, shared by all of them.

    Parameters
    ----------
    reps : int
        Rounds of a row, at most.
    seconds : float
        After how many seconds a row begins no further round, once it has ``least``.
    least : int
        How many rounds a slow row takes all the same; six are the fewest whose interval is 95 % sure.
    """

    reps: int
    seconds: float = float("inf")
    least: int = 6
    #: Whether a Ctrl-C came; what was measured before it is still told.
    interrupted: bool = False

    def rounds(
        self,
        once: Callable[[int], Round],
        *,
        most: int | None = None,
        seconds: float | None = None,
        least: int | None = None,
    ) -> list[Round]:
        """Call ``once`` with 0, 1, 2 and so on, and return what the complete rounds gave.

        A Ctrl-C ends it with the rounds before; the next call then raises `KeyboardInterrupt`.

        Parameters
        ----------
        once : callable
            One round.
        most, seconds, least : optional
            Instead of the row's own; there are never more rounds than ``reps``.
        """
        if self.interrupted:
            raise KeyboardInterrupt
        most = self.reps if most is None else min(most, self.reps)
        least = self.least if least is None else least
        until = time.monotonic() + (self.seconds if seconds is None else seconds)
        found: list[Round] = []
        try:
            while len(found) < most and (len(found) < least or time.monotonic() < until):
                found.append(once(len(found)))
        except KeyboardInterrupt:
            self.interrupted = True
            if not found:
                raise
        return found
