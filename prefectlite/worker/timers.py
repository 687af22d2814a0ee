"""Timers that wait by the wall clock, for when it is set back. Knows those of Dask and Tornado.

Dask's streams and periodic calls note by the time of day until when they wait. Set back by a day, the clock
gets there a day later: no message leaves, no heart beats, and nothing says why. Whoever looks now and then
lets them go on.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tornado.ioloop import PeriodicCallback

#: How often to look, in seconds.
EVERY: Final = 2.0
#: So much longer than it should a timer may wait, in seconds; small corrections of the clock are left alone.
SLACK: Final = 2.0


def look_after(callbacks: Iterable[PeriodicCallback]) -> bool:
    """Let all timers of this process go on when the clock was set back.

    Parameters
    ----------
    callbacks : iterable of tornado.ioloop.PeriodicCallback
        Those to look at; one that waits too long tells of all others.

    Returns
    -------
    bool
        Whether that was so.
    """
    if not any(_is_late(one) for one in callbacks):
        return False
    from distributed.batched import BatchedSend
    from tornado.ioloop import PeriodicCallback

    for one in gc.get_objects():
        # By their types: other objects may do anything when they are asked what they are.
        if issubclass(type(one), PeriodicCallback) and _is_late(one):
            one.io_loop.add_callback(_call_again, one)
        elif issubclass(type(one), BatchedSend):
            one.loop.add_callback(_send_again, one)
    return True


def _is_late(one: PeriodicCallback) -> bool:
    """Return whether a periodic call waits for longer than its period."""
    return one.is_running() and one._next_timeout - one.io_loop.time() > _period(one) + SLACK


def _call_again(one: PeriodicCallback) -> None:
    if not one.is_running():
        return
    # For one that is being called just now, which is to find out when to be called next.
    one._next_timeout = one.io_loop.time()
    handle: Any = one._timeout
    loop: Any = one.io_loop
    if handle.when() - loop.asyncio_loop.time() > _period(one) + SLACK:
        one.stop()
        one.start()


def _period(one: PeriodicCallback) -> float:
    return one.callback_time / 1000


def _send_again(stream: Any) -> None:
    deadline = stream.next_deadline
    if deadline is not None and deadline - time.time() > stream.interval + SLACK:
        stream.next_deadline = None
        stream.waker.set()
