"""Which time it is, and how to wait: for a run in real time. Knows the inbox, which ends a wait."""

from __future__ import annotations

import time
from typing import Final, Protocol

from prefectlite.driver.inbox import Inbox

#: The longest sleep in seconds: the wall clock, by which alarms are set, may jump, and a signal that the
#: system hands to another thread does not end a wait in the main one.
LONGEST_SLEEP: Final = 0.5


class Clock(Protocol):
    """What a run takes its time from."""

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        ...

    def wait(self, inbox: Inbox, seconds: float | None, *, is_asking: bool) -> None:
        """Wait until something comes in, or about as long as told; called when there is nothing to do.

        Parameters
        ----------
        inbox : Inbox
            Where it would come in.
        seconds : float or None
            How long it is until the next alarm; None when none is set.
        is_asking : bool
            Whether user code of the driver is being asked, which answers in real time.
        """
        ...


class RealTime:
    """The time of day, which never goes back: alarms must ring in time when somebody sets the clock back."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Return the time in seconds since the epoch; after a clock was set back, as if it had gone on."""
        now, steady = time.time(), self._ahead + time.monotonic()
        if now < steady:
            return steady
        self._ahead += now - steady
        return now

    def wait(self, inbox: Inbox, seconds: float | None, *, is_asking: bool) -> None:
        """Sleep until something comes in, or for a short while.

        Parameters
        ----------
        inbox : Inbox
            What ends the sleep.
        seconds : float or None
            How long it is until the next alarm.
        is_asking : bool
            Not needed here: an answer comes in like everything else.
        """
        inbox.wait(LONGEST_SLEEP if seconds is None else min(seconds, LONGEST_SLEEP))
