"""Time that passes when nothing is left to do. Knows alarms; knows no flow."""

from __future__ import annotations

import heapq
import math

from prefectlite.driver.clock import LONGEST_SLEEP
from prefectlite.driver.inbox import Inbox
from prefectlite.engine.events import CancelRequested
from prefectlite.errors import EngineError


class VirtualClock:
    """A clock that leaps to the next alarm as soon as a run has nothing to do until then.

    Parameters
    ----------
    start : float
        Seconds since the epoch.
    until : float
        When the run is called off, in seconds since the epoch.
    """

    def __init__(self, start: float, until: float = math.inf) -> None:
        self.start = start
        self._now = start
        self._until = until
        self._alarms: list[float] = []
        self._called_off = False

    def __call__(self) -> float:
        """Return the virtual time in seconds since the epoch."""
        return self._now

    def wake_at(self, moment: float) -> None:
        """Set an alarm.

        Parameters
        ----------
        moment : float
            Seconds since the epoch.
        """
        heapq.heappush(self._alarms, moment)

    def wait(self, inbox: Inbox, seconds: float | None, *, is_asking: bool) -> None:
        """Let time pass, at once, until the next alarm; a run that has none is called off.

        Parameters
        ----------
        inbox : Inbox
            What came in meanwhile goes first.
        seconds : float or None
            How long it is until the run's next alarm.
        is_asking : bool
            Whether user code of the driver is being asked: its answer takes no virtual time.

        Raises
        ------
        EngineError
            When the run was called off, and waits all the same.
        """
        if inbox.wait(LONGEST_SLEEP if is_asking else 0) or is_asking:
            return
        while self._alarms and self._alarms[0] <= self._now:
            heapq.heappop(self._alarms)
        ahead = [self._now + seconds] if seconds is not None else []
        following = min(ahead + self._alarms[:1], default=math.inf)
        if following <= self._until and following < math.inf:
            # However large the epoch is beside the step, time goes on.
            self._now = max(following, math.nextafter(self._now, math.inf))
            return
        if self._called_off:
            raise EngineError("A simulated run was called off, and goes on waiting for something.")
        self._called_off = True
        if self._until < math.inf:
            self._now = max(self._now, self._until)
            why = f"the simulation ends after {self._until - self.start:g} seconds"
            self._until = math.inf  # what is cleaned up takes its time
        else:
            why = "nothing that could happen would let it go on"
        inbox.deliver([CancelRequested(self._now, why)])
