"""Code of others in the driver's thread, which a Ctrl-C interrupts. Knows threads; knows no signal."""

from __future__ import annotations

import threading
from typing import Final, Literal

from prefectlite.worker.here import Interruption

NONE: Final = "none"
RUNS: Final = "runs"
HIT: Final = "hit"


class Guest:
    """Code of others that this thread runs now and then: a body, or an executor of one's own.

    Whoever runs it sets ``thread`` and ``state`` first, and ``state`` again afterwards. It is interrupted by
    the handler of a signal, which Python calls in the same thread: nothing can come in between.
    """

    __slots__ = ("state", "thread")

    def __init__(self) -> None:
        #: The thread that runs it.
        self.thread = 0
        #: Whether it runs, and whether it was interrupted already.
        self.state: Literal["none", "runs", "hit"] = NONE

    def interrupt(self) -> None:
        """Raise ``Interruption`` in it, if it runs in this thread and was not interrupted yet.

        Raises
        ------
        Interruption
            A ``KeyboardInterrupt`` that passes through it.
        """
        if self.state == RUNS and self.thread == threading.get_ident():
            self.state = HIT
            raise Interruption

    def interrupt_again(self) -> None:
        """Raise ``Interruption`` once more, if what was interrupted runs on.

        Raises
        ------
        Interruption
            As at first.
        """
        if self.state == HIT and self.thread == threading.get_ident():
            raise Interruption
