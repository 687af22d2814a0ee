"""Where texts leave for a stream: at once or, in a crowd, some together a moment later. Knows no log.

A write that wakes who reads the stream may cost more than a tiny task run itself. What waits goes out before
anything else that is written to the stream or to standard error through Python, and before a fork.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TextIO

#: In a crowd, one text goes at once each so many seconds,
PAUSE: Final = 0.002
#: and before it is one, all those for which there was time in so many seconds before.
SAVED: Final = 0.2
#: After how many seconds the others go out at the latest.
LATEST: Final = 0.1


class Bell:
    """Rings before something is written to a stream, as long as it hangs there.

    It hangs at the stream itself, whoever holds it: a handler of ``logging`` that was made before, say.

    Parameters
    ----------
    ring : callable
        Called in the thread that writes.
    """

    __slots__ = ("_held", "_ring", "_rings")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._held: dict[str, Any] = {}
        self._rings: Callable[[str], int] | None = None

    def hang(self, stream: TextIO) -> bool:
        """Begin to ring.

        Parameters
        ----------
        stream : text stream
            Whose writes.

        Returns
        -------
        bool
            False where the stream takes no bell, or has another.
        """
        held: dict[str, Any] | None = getattr(stream, "__dict__", None)
        if held is None or "write" in held:
            return False
        ring, write = self._ring, stream.write

        def rings(text: str) -> int:
            ring()
            return write(text)

        self._held, self._rings = held, rings
        held["write"] = rings
        return True

    def take_down(self) -> None:
        """Ring no more."""
        if self._rings is not None and self._held.get("write") is self._rings:
            del self._held["write"]
        self._held, self._rings = {}, None


class Outlet:
    """Writes texts to streams, one after the other; those for one stream may wait for each other.

    Parameters
    ----------
    clock : callable
        Seconds, of a clock that only goes forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # From when on one goes at once, by the clock.
        self._due = 0.0
        self._bells = Bell(self.catch_up), Bell(self.catch_up)
        self.start_anew()

    def start_anew(self) -> None:
        """Forget what waits, as a process does that was forked."""
        # Reentrant: streams and the handlers of signals may write to others.
        self._lock = threading.RLock()
        self._watch: threading.Thread | None = None
        self._out: TextIO | None = None
        self._write: Callable[[str], object] | None = None
        self._texts: list[str] = []
        self._take_down()

    def write(self, out: TextIO, text: str) -> None:
        """Write a text, and what waits before it.

        Parameters
        ----------
        out : text stream
            Where to.
        text : str
            With the end of its last line.

        Raises
        ------
        OSError, ValueError
            When the stream is gone or closed.
        """
        with self._lock:
            if out is self._out:
                self._texts.append(text)
                self._let_out()
            else:
                self.catch_up()
                _write(out, out.write, text)

    def write_soon(self, out: TextIO, text: str) -> None:
        """Write a text; in a crowd, a moment later.

        Parameters
        ----------
        out : text stream
            Where to.
        text : str
            As of ``write``.

        Raises
        ------
        OSError, ValueError
            As of ``write``.
        """
        with self._lock:
            now = self._clock()
            if now < self._due and self._waits_for(out):
                self._texts.append(text)
            else:
                self._due = max(self._due, now - SAVED) + PAUSE
                self.write(out, text)

    def catch_up(self) -> None:
        """Write what waits. What is wrong with its stream, who writes to it next will be told."""
        # Who rings may hold what a writer waits for.
        if self._lock.acquire(timeout=LATEST):
            try:
                with suppress(Exception):
                    self._let_out()
            finally:
                self._lock.release()

    def _let_out(self) -> None:
        out, write, texts = self._out, self._write, self._texts
        if out is None or write is None:
            return
        self._out, self._write, self._texts = None, None, []
        try:
            _write(out, write, "".join(texts))
        finally:
            self._take_down()

    def _waits_for(self, out: TextIO) -> bool:
        """Return whether texts for a stream may wait; begin it."""
        if self._out is None:
            write, error = out.write, sys.stderr
            bell, other = self._bells
            has_bells = bell.hang(out) and (error is None or error is out or other.hang(error))
            if not (has_bells and self._is_watched()):
                self._take_down()
                return False
            self._out, self._write = out, write
        return self._out is out

    def _is_watched(self) -> bool:
        """Return whether somebody sees to it that nothing waits for long; begin it."""
        if self._watch is None:
            watch = threading.Thread(target=self._look, name="prefectlite-outlet", daemon=True)
            try:
                watch.start()
            except RuntimeError:  # there is no room for one, or the interpreter is about to end
                return False
            self._watch = watch
        return True

    def _take_down(self) -> None:
        for bell in self._bells:
            bell.take_down()

    def _look(self) -> None:
        """Write what waits, as while a long body runs, again and again; end once nothing does."""
        while True:
            time.sleep(LATEST)
            with self._lock:
                if self._out is None:
                    self._watch = None
                    return
            self.catch_up()


def _write(out: TextIO, write: Callable[[str], object], text: str) -> None:
    try:
        write(text)
    except UnicodeEncodeError as error:
        write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
    # A notebook's stream flushes itself, in a thread that each of our flushes would wait for.
    if not hasattr(out, "flush_interval"):
        out.flush()


#: The one of this process.
OUTLET: Final = Outlet()
os.register_at_fork(before=OUTLET.catch_up, after_in_child=OUTLET.start_anew)
