"""Where log records go if nobody set up logging: standard output, as the settings say. Knows no flow run."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TextIO

from prefectlite.driver.lines import Lines, template
from prefectlite.driver.outlet import OUTLET
from prefectlite.printable import hanging
from prefectlite.settings import LoggingSettings
from prefectlite.settings import current as current_settings
from prefectlite.worker.labels import Labelled, current
from prefectlite.worker.logs import named_of_context
from prefectlite.worker.prints import Router

#: The logger that tells of task runs; it has the name of what told of them in Prefect 1.
TASKS: Final = "prefectlite.TaskRunner"
_TOP: Final = logging.getLogger()
_ROOT: Final = logging.getLogger("prefectlite")
#: What a format may ask for of a record that is not a task's.
_BLANK: Final = {
    "flow_name": "", "flow_run_id": "", "task_name": "", "task_slug": "", "task_run_id": "", "task_run": "",
    "attempt": 0, "where": "",
}  # fmt: skip
#: What is the same in all lines of a flow run's tasks at one level.
_FIXED: Final = ("name", "levelname", "levelno", "who", "flow_name", "flow_run_id", "attempt", "where")


class LastResort(logging.Handler):
    """Writes records to standard output, whatever that is at the moment.

    Parameters
    ----------
    settings : LoggingSettings
        How they look.
    """

    def __init__(self, settings: LoggingSettings) -> None:
        super().__init__()
        self.level_wanted: int = getattr(logging, settings.level)
        self._settings = settings
        self.setFormatter(logging.Formatter(settings.format, settings.datefmt))

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text, whoever made it.

        Parameters
        ----------
        record : logging.LogRecord
            It gets what the format may ask for.

        Returns
        -------
        str
            One line, or more of which the further ones are indented.
        """
        own, attributes = record.__dict__, named_of_context(self._settings.log_attributes)
        record.__dict__ = known = {**_BLANK, **(attributes or {}), **own}
        known.setdefault("who", _who(known))
        return hanging(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record.

        Parameters
        ----------
        record : logging.LogRecord
            Any.
        """
        try:
            self.write(self.line(record))
        except Exception:
            self.handleError(record)

    def line(self, record: logging.LogRecord) -> str:
        """Return a record as a line with its end; nothing when the format does not fit it, which is told.

        Parameters
        ----------
        record : logging.LogRecord
            Any.

        Returns
        -------
        str
            As of ``format``.
        """
        try:
            return f"{self.format(record)}\n"
        except Exception:
            self.handleError(record)
            return ""

    def lines(self, record: logging.LogRecord, names: Mapping[str, str]) -> Lines | None:
        """Return what makes many lines about task runs that differ in little.

        Parameters
        ----------
        record : logging.LogRecord
            With what is the same in all of them: logger, level, flow run.
        names : mapping of str to str
            What tasks are called, by slug.

        Returns
        -------
        Lines or None
            None where each line needs a record of its own, as the settings want it.
        """
        if self._settings.log_attributes or not self._settings.datefmt:
            return None
        known = {**_BLANK, **record.__dict__}
        known["who"] = _who(known)
        form = template(self._settings.format, {name: known[name] for name in _FIXED})
        return None if form is None else Lines(form, self._settings.datefmt, known["flow_run_id"], names)

    def write(self, text: str, *, in_crowd: bool = False) -> None:
        """Write lines, at once: each time, other threads may get in between.

        Parameters
        ----------
        text : str
            With their ends.
        in_crowd : bool
            Whether more may follow on its heels, so that it may go a moment later.
        """
        out = _standard_output()
        if not text or out is None:
            return
        try:
            if in_crowd:
                OUTLET.write_soon(out, text)
            else:
                OUTLET.write(out, text)
        except (OSError, ValueError):
            return  # the stream is gone or closed, as behind `| head`


class _Unheard(logging.Handler):
    """Brings to a last resort what the tree ``prefectlite`` logs in this process, but for bodies."""

    def __init__(self, to: LastResort) -> None:
        super().__init__()
        self._to = to
        self.addFilter(Labelled())

    def emit(self, record: logging.LogRecord) -> None:
        # What bodies log is on its way to the driver.
        if current.get() is None and not is_set_up(_ROOT):
            self._to.handle(record)


class Ear:
    """Hears what prefectlite and its tasks log while flows run, handlers and triggers say, for example.

    Only where nobody set up logging: then the first of those who listen gets it. The level of the tree
    ``prefectlite`` is that of the settings for so long, unless somebody set one; so it is for handlers that a
    program gave to the tree alone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[LastResort] = []
        self._placed: _Unheard | None = None
        self._labelled: list[tuple[logging.Handler, Labelled]] = []
        self._level = logging.NOTSET

    def listen(self, listener: LastResort) -> None:
        """Begin.

        Parameters
        ----------
        listener : LastResort
            Who gets it.
        """
        with self._lock:
            if not self._all:
                self._label()
            self._all.append(listener)
            if self._placed is None and not (is_set_up(_TOP) and is_set_up(_ROOT)):
                self._place(listener)
                self._level = _ROOT.level
                if not _ROOT.level:
                    _ROOT.setLevel(listener.level_wanted)

    def leave(self, listener: LastResort) -> None:
        """End; after the last one, logging is as it was.

        Parameters
        ----------
        listener : LastResort
            Who began.
        """
        with self._lock:
            self._all = [one for one in self._all if one is not listener]
            if not self._all:
                for handler, label in self._labelled:
                    handler.removeFilter(label)
                self._labelled = []
            if self._placed is None or self._placed._to is not listener:
                return
            _ROOT.removeHandler(self._placed)
            self._placed = None
            if self._all:
                self._place(self._all[0])
            else:
                _ROOT.setLevel(self._level)

    def _label(self) -> None:
        """Let a program's own handlers know whose the records are that handlers and triggers make."""
        own = [handler for handler in (*_TOP.handlers, *_ROOT.handlers) if _IS_A_PROGRAMS[type(handler)]]
        self._labelled = [(handler, Labelled()) for handler in own]
        for handler, label in self._labelled:
            handler.addFilter(label)

    def _place(self, listener: LastResort) -> None:
        self._placed = _Unheard(listener)
        _ROOT.addHandler(self._placed)


#: The one of this process.
EAR: Final = Ear()


@contextmanager
def heard() -> Iterator[None]:
    """Write what prefectlite logs inside a block, also while no flow runs, if nobody set up logging.

    Yields
    ------
    None
        Nothing.
    """
    listener = LastResort(current_settings().logging)
    EAR.listen(listener)
    try:
        yield
    finally:
        EAR.leave(listener)


def is_set_up(logger: logging.Logger) -> bool:
    """Return whether a program handles a logger's records itself.

    Parameters
    ----------
    logger : logging.Logger
        Any.

    Returns
    -------
    bool
        Whatever prefectlite does.
    """
    at: logging.Logger | None = logger
    while at is not None:
        for handler in at.handlers:
            if _IS_A_PROGRAMS[type(handler)]:
                return True
        at = at.parent if at.propagate else None
    return False


class _Known(dict[type, bool]):
    """Of each class of handlers, whether it is a program's own; asked for each task run."""

    def __missing__(self, kind: type) -> bool:
        found = self[kind] = kind.__module__.partition(".")[0] != "prefectlite"
        return found


_IS_A_PROGRAMS: Final = _Known()


def _who(known: dict[str, Any]) -> str:
    flow, run, attempt = known["flow_name"], known["task_run"], known["attempt"]
    if not run or (known["name"] == TASKS and not known.get("is_print")):
        return str(flow or known["name"])
    return f"{flow} · {run} · attempt {attempt}" if attempt else f"{flow} · {run}"


def _standard_output() -> TextIO | None:
    # What stands in for it brings prints of bodies here.
    out: Any = sys.stdout
    while isinstance(out, Router):
        out = out.stream
    found: TextIO | None = out
    return found
