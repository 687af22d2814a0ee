"""What waits to be sent, and the thread that sends it. Knows neither states nor how anything is sent."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

_logger = logging.getLogger("prefectlite.notifications")

#: How many notifications may wait; what comes on top is dropped.
ROOM: Final = 1_000
#: How long a flow run waits at its end for what it has told, in seconds.
DRAIN: Final = 5.0
#: The name of the sending thread.
THREAD: Final = "prefectlite-outbox"


class Undelivered(Exception):
    """A notification did not arrive; the text says why and holds no secret."""


class _Letter(NamedTuple):
    owner: str
    send: Callable[[], None]


class Outbox:
    """A bounded queue that a daemon thread empties, in order; putting something in never waits.

    Parameters
    ----------
    room : int
        How many notifications may wait.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._letters: deque[_Letter] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._put = 0
        self._done = 0
        self._complained: set[str] = set()

    def put(self, owner: str, send: Callable[[], None]) -> None:
        """Have something sent soon; drop it, and say so once, where too much waits already.

        Parameters
        ----------
        owner : str
            Who sends it; may show in logs.
        send : callable
            Sends it; called in the outbox's thread.
        """
        with self._changed:
            full = len(self._letters) >= self._room
            if not full:
                self._letters.append(_Letter(owner, send))
                self._put += 1
                self._changed.notify_all()
            # A thread does not survive a fork, and its outbox does.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)
                self._thread.start()
        if full:
            self.complain(owner, f"{self._room} notifications wait already, so new ones are dropped")

    def drain(self, timeout: float = DRAIN) -> bool:
        """Wait until what was put in before is sent, or given up.

        Parameters
        ----------
        timeout : float
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether nothing of it waits any more.
        """
        with self._changed:
            target = self._put
            return self._changed.wait_for(lambda: self._done >= target, timeout)

    def complain(self, owner: str, why: str) -> None:
        """Log that something could not be told, unless that was logged since its sender last succeeded.

        Parameters
        ----------
        owner : str
            Whose it was.
        why : str
            What went wrong; no secret.
        """
        with self._changed:
            is_news = owner not in self._complained
            self._complained.add(owner)
        if is_news:
            _logger.warning(
                "%s could not tell what it was to tell: %s. The run goes on; further failures of it are not "
                "logged until it succeeds again.",
                owner,
                why,
            )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._letters)
                letter = self._letters.popleft()
            self._send(letter)
            with self._changed:
                self._done += 1
                self._changed.notify_all()

    def _send(self, letter: _Letter) -> None:
        try:
            letter.send()
        except Undelivered as reason:
            self.complain(letter.owner, str(reason))
        except BaseException as error:  # its text is not ours, and may hold a URL
            self.complain(letter.owner, type(error).__name__)
        else:
            with self._changed:
                self._complained.discard(letter.owner)


#: The outbox of this process.
OUTBOX: Final = Outbox()
