"""Alarms of one flow run, soonest first. Knows runs and moments; knows no clock."""

from __future__ import annotations

import heapq

from prefectlite.engine.events import TimerFired
from prefectlite.engine.instructions import SetTimer


class Timers:
    """What is to be said at which time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, SetTimer]] = []
        self._count = 0

    def set(self, timer: SetTimer) -> None:
        """Add an alarm.

        Parameters
        ----------
        timer : SetTimer
            When to say what; the engine ignores one that it no longer waits for.
        """
        self._count += 1  # alarms of the same moment ring in the order in which they were set
        heapq.heappush(self._heap, (timer.at, self._count, timer))

    def due(self, now: float) -> list[TimerFired]:
        """Take the alarms whose time has come.

        Parameters
        ----------
        now : float
            Seconds since the epoch.

        Returns
        -------
        list of TimerFired
            Soonest first.
        """
        found: list[TimerFired] = []
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            found.append(TimerFired(now, timer.run, timer.timer))
        return found

    def seconds_left(self, now: float) -> float | None:
        """Return how long it is until the next alarm.

        Parameters
        ----------
        now : float
            Seconds since the epoch.

        Returns
        -------
        float or None
            Seconds, at least 0; None when no alarm is set.
        """
        return max(0.0, self._heap[0][0] - now) if self._heap else None
