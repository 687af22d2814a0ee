"""Log records and prints of task bodies, tagged with their task run. Knows neither Dask nor the driver.

A record belongs to the attempt in whose ``contextvars`` context it was logged, so threads started through
``contextvars.copy_context`` count, and attempts side by side in one process don't mix.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import uuid4

from prefectlite.core.layers import current_layer, value_in
from prefectlite.core.loggers import passing_logger
from prefectlite.masking import mask
from prefectlite.worker.concealed import concealing
from prefectlite.worker.labels import Labelled, current

#: Longer messages are cut; a body that logs an array must not fill the driver's memory.
MESSAGE_LIMIT: Final = 8192
#: How many characters one attempt may log, each line counted with ``LINE_COST`` more.
LOG_LIMIT: Final = 10 * 1024 * 1024
LINE_COST: Final = 200
#: How long a line may wait for others to travel with, in seconds.
LINGER: Final = 0.2
#: How many lines travel at once at most.
BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class LogLine:
    """One log record, or one printed line, of a task body.

    Parameters
    ----------
    time : float
        Seconds since the epoch, by the worker's clock.
    level : int
        As in ``logging``: 10 debug, 20 info, 30 warning, 40 error.
    logger : str
        The logger's name; ``"stdout"`` for a printed line.
    message : str
        The text, formatted; long ones are cut.
    flow : str
        The flow's name.
    run : str
        The run key as text, ``double-1[3]``.
    attempt : int
        Counted from 1.
    where : str
        The worker's address, or ``"local"``.
    exc_text : str or None
        The traceback that went with the record.
    attributes : mapping of str to object, or None
        What the setting ``logging.log_attributes`` names of the context.
    began : float or None
        When the attempt did, in seconds since the epoch, by the worker's clock.
    process : str
        In which process it was logged, as ``this_process`` calls it: a body may have one of its own.
    """

    time: float
    level: int
    logger: str
    message: str
    flow: str
    run: str
    attempt: int
    where: str = ""
    exc_text: str | None = None
    attributes: Mapping[str, Any] | None = None
    began: float | None = None
    process: str = ""


#: Takes a batch of lines, from any thread.
Sink: TypeAlias = Callable[[list[LogLine]], None]


class Capture:
    """The lines of one attempt on their way to the sink.

    The first line goes at once, so that a long task is heard; those that follow shortly wait for each other.

    Parameters
    ----------
    flow : str
        The flow's name.
    run : str
        The run key as text.
    attempt : int
        Counted from 1.
    where : str
        The worker's address, or ``"local"``.
    level : int
        The lowest level of records to take.
    sink : callable
        Where the lines go.
    attributes : sequence of str
        What of the context each line bears, too.
    began : float or None
        When the attempt did, in seconds since the epoch.
    """

    __slots__ = (
        "_attributes", "_began", "_last", "_left", "_lines", "_lock", "_process", "_sink", "_timer",
        "attempt", "flow", "level", "partial", "run", "where",
    )  # fmt: skip

    def __init__(
        self,
        flow: str,
        run: str,
        attempt: int,
        where: str,
        level: int,
        sink: Sink,
        attributes: Sequence[str] = (),
        began: float | None = None,
    ) -> None:
        self.flow = flow
        self.run = run
        self.attempt = attempt
        self.where = where
        self.level = level
        #: What was printed without an end of line yet; owned by the stdout router.
        self.partial = ""
        self._sink = sink
        self._attributes = attributes
        self._began = began
        self._process = this_process()
        self._lines: list[LogLine] = []
        self._lock = threading.Lock()
        self._last = 0.0
        self._left = LOG_LIMIT
        self._timer: threading.Timer | None = None

    def add(
        self, level: int, logger: str, message: str, exc_text: str | None = None, when: float | None = None
    ) -> None:
        """Take a line; beyond ``LOG_LIMIT``, leave it out, and say so once.

        Parameters
        ----------
        level : int
            As in ``logging``.
        logger : str
            The logger's name.
        message : str
            The text.
        exc_text : str or None
            A traceback.
        when : float or None
            Seconds since the epoch; now by default.
        """
        if self._left <= 0:
            return
        self._left -= sum(min(len(text), MESSAGE_LIMIT) for text in (message, exc_text or "")) + LINE_COST
        if self._left <= 0:
            level, logger, exc_text = logging.WARNING, __name__, None
            message = (
                f"The attempt logged more than {LOG_LIMIT // 1024**2} MiB; what it logs from here on is left "
                "out. Write large output to a file of the task's own."
            )
        line = LogLine(
            time.time() if when is None else when,
            level,
            logger,
            clip(mask(message)),
            self.flow,
            self.run,
            self.attempt,
            self.where,
            None if exc_text is None else clip(mask(exc_text)),
            named_of_context(self._attributes),
            self._began,
            self._process,
        )
        with self._lock:
            self._lines.append(line)
            quiet = time.monotonic() - self._last
            wait = len(self._lines) < BATCH and quiet < LINGER
            if wait and self._timer is None:
                self._timer = threading.Timer(LINGER - quiet, self.flush)
                self._timer.daemon = True
                self._timer.start()
        if not wait:
            self.flush()

    def flush(self) -> None:
        """Send what is waiting."""
        if not self._lines:
            return
        with self._lock:
            lines, self._lines = self._lines, []
            self._last = time.monotonic()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if lines:
            self._sink(lines)


def this_process() -> str:
    """Return a name of this process, which no other has, on whatever machine.

    Returns
    -------
    str
        Another one in a fork.
    """
    return f"{_NAME}.{os.getpid()}"


_NAME: Final = uuid4().hex


def named_of_context(names: Sequence[str]) -> dict[str, Any] | None:
    """Return what the context holds under some names here, fit to travel.

    Parameters
    ----------
    names : sequence of str
        What the setting ``logging.log_attributes`` names.

    Returns
    -------
    dict or None
        None for what it does not hold; numbers are numbers, and anything else is a text.
    """
    if not names:
        return None
    values = current_layer().values
    return {name: _fit(value_in(values, name)) if name in values else None for name in names}


def _fit(value: object) -> object:
    return value if value is None or isinstance(value, int | float) else clip(mask(str(value)))


def clip(text: str) -> str:
    """Cut a text that is too long.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        At most ``MESSAGE_LIMIT`` characters of it, and how many are missing.
    """
    if len(text) <= MESSAGE_LIMIT:
        return text
    return f"{text[:MESSAGE_LIMIT]} ... [{len(text) - MESSAGE_LIMIT} characters cut]"


class CaptureHandler(logging.Handler):
    """Takes the log records of task bodies from the root logger; others pass by."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record, and hold none of another thread meanwhile.

        Parameters
        ----------
        record : logging.LogRecord
            Any record that reached the root logger.

        Returns
        -------
        bool
            True.
        """
        # With the lock that handlers have, who hears of a line would wait for the record of a thread that
        # waits to tell of its own.
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record, if it was logged by a task body.

        Parameters
        ----------
        record : logging.LogRecord
            Any record that reached the root logger.
        """
        speaker = current.get()
        if speaker is None:
            self._pass_on(record)
            return
        if record.levelno < speaker.level:
            return
        try:
            message = record.getMessage()
            exc_text = record.exc_text
            if exc_text is None and record.exc_info:
                exc_text = _FORMATTER.formatException(record.exc_info)
            speaker.capture().add(record.levelno, record.name, message, exc_text, record.created)
        except Exception:
            self.handleError(record)

    def _pass_on(self, record: logging.LogRecord) -> None:
        # Logging prints warnings itself as long as nobody handles them, and our being there is no handling.
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not _others_handle(record.name):
            last.handle(record)


_FORMATTER: Final = logging.Formatter()


class _AsBefore(Labelled):
    """Keeps from a handler what the root logger's level kept from it before the level was lowered."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        super().filter(record)
        # A level of a logger's own let it through, as it did before.
        return bool(_level_below_root(record.name)) or record.levelno >= self._level


class Installation:
    """The capture handler on the root logger, as long as somebody needs it.

    A record below the root logger's level is never made, so the level is lowered to the lowest that somebody
    wants; the handlers that are there see no more than before.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._levels: list[int] = []
        self._handler = CaptureHandler()
        self._before = logging.WARNING
        self._filters: list[tuple[logging.Handler, logging.Filter]] = []

    def acquire(self, level: int) -> None:
        """Begin to capture.

        Parameters
        ----------
        level : int
            The lowest level that is wanted.
        """
        root = logging.getLogger()
        with self._lock:
            if not self._levels:
                self._before = root.level
                concealing.acquire()
            self._attend(root)
            self._levels.append(level)
            self._set_level(root)

    def release(self, level: int) -> None:
        """Let go of one ``acquire``; after the last one, logging is as it was.

        Parameters
        ----------
        level : int
            What was acquired.
        """
        root = logging.getLogger()
        with self._lock:
            self._levels.remove(level)
            if self._levels:
                self._set_level(root)
                return
            root.removeHandler(self._handler)
            concealing.release()
            root.setLevel(self._before)
            for handler, keep in self._filters:
                handler.removeFilter(keep)
            self._filters.clear()

    def lets_through(self, name: str, level: int) -> bool:
        """Return whether the program itself wants records of a logger, whatever is captured.

        Parameters
        ----------
        name : str
            The logger's.
        level : int
            The records'.

        Returns
        -------
        bool
            True if they would be made without us.
        """
        with self._lock:
            of_root = self._before if self._levels else logging.getLogger().level
        return level >= (_level_below_root(name) or of_root)

    def _attend(self, root: logging.Logger) -> None:
        # Not once for all: a program may set up logging anew while its cluster of threads lives on.
        known = {handler for handler, _ in self._filters}
        for handler in root.handlers:
            if handler is not self._handler and handler not in known:
                keep = _AsBefore(self._before)
                handler.addFilter(keep)
                self._filters.append((handler, keep))
        root.addHandler(self._handler)

    def _set_level(self, root: logging.Logger) -> None:
        # NOTSET lets all through, so it is the lowest of all.
        root.setLevel(min(self._before, *self._levels))


#: The one of this process.
installation: Final = Installation()


def _level_below_root(name: str) -> int:
    """Return the level that a logger, or one above it, has of its own; 0 if only the root has one."""
    logger: logging.Logger | None = passing_logger(name)
    while logger is not None and logger.parent is not None:
        if logger.level:
            return logger.level
        logger = logger.parent
    return 0


def _others_handle(name: str) -> bool:
    logger: logging.Logger | None = passing_logger(name)
    while logger is not None:
        if any(not isinstance(handler, CaptureHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
