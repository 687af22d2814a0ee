"""A log line of a task body, as a line of text. Knows neither handlers nor terminals."""

from __future__ import annotations

import logging
import time
from typing import Protocol

from prefectlite.views.printable import hanging


class LoggedLine(Protocol):
    """What a log line says of itself; ``worker.logs.LogLine`` does."""

    @property
    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    @property
    def level(self) -> int:
        """As in ``logging``."""
        ...

    @property
    def logger(self) -> str:
        """The logger's name; ``"stdout"`` for a printed line."""
        ...

    @property
    def message(self) -> str:
        """The text."""
        ...

    @property
    def flow(self) -> str:
        """The flow's name."""
        ...

    @property
    def run(self) -> str:
        """The run key as text."""
        ...

    @property
    def attempt(self) -> int:
        """Counted from 1."""
        ...

    @property
    def exc_text(self) -> str | None:
        """The traceback that went with the record."""
        ...


def log_text(line: LoggedLine) -> str:
    """Return a log line as text, with the flow, the task run and the attempt that it came from.

    Parameters
    ----------
    line : LoggedLine
        What a task body logged or printed.

    Returns
    -------
    str
        ``09:41:07 WARNING census · parse[3] · attempt 2 | message``; further lines and a traceback follow,
        indented. A printed line has ``stdout`` in the level's place. The time is local.
    """
    clock = time.strftime("%H:%M:%S", time.localtime(line.time))
    level = "stdout" if line.logger == "stdout" else logging.getLevelName(line.level)
    text = f"{clock} {level:<7} {line.flow} · {line.run} · attempt {line.attempt} | {line.message}"
    return hanging(f"{text}\n{line.exc_text}" if line.exc_text else text)
