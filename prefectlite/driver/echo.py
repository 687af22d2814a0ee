"""Hands the log lines of task bodies to Python's logging, and tells it of states. Knows what a run is called.

What a body logs in this process has passed this process's own handlers already, so it is handed on only if it
comes from elsewhere, or was printed. Where nobody set up logging, lines go to standard error: a body's words
must not vanish because a script did not ask for them. What becomes of task runs is told, at INFO, only where
somebody did set up logging and wants it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from prefectlite.core.constants import Collection as CollectionTask
from prefectlite.core.constants import Constant
from prefectlite.core.parameter import Parameter
from prefectlite.driver.observer import RunView
from prefectlite.engine.instructions import Transition
from prefectlite.masking import mask
from prefectlite.printable import hanging, label
from prefectlite.settings import current
from prefectlite.states.keys import RunKey
from prefectlite.states.state import State
from prefectlite.worker.logs import LogLine, installation, record_labels

#: What only carries a value is no news.
_SILENT: Final = (Parameter, Constant, CollectionTask)
#: The logger that tells of states.
_RUNS: Final = logging.getLogger("prefectlite.runs")


class Echo:
    """An observer that logs what task bodies logged and printed, and how their runs go.

    Each record carries ``flow_name``, ``flow_run_id``, ``task_name``, ``task_slug``, ``task_run_id``,
    ``task_run``, ``attempt`` and ``where``, for formatters and filters. How lines look where nobody set up
    logging, the settings say.
    """

    def __init__(self) -> None:
        settings = current().logging
        self._formatter = logging.Formatter(settings.format, settings.datefmt)
        self._run_id = ""
        self._flow_name = ""
        self._slugs: Mapping[Any, str] = {}
        self._known: Mapping[str, str] | None = None
        self._tells = False

    def started(self, run: RunView) -> None:
        """Learn the names of the run and its tasks.

        Parameters
        ----------
        run : RunView
            The run.
        """
        self._run_id, self._flow_name = run.run_id, run.flow_name
        self._slugs, self._known = run.slugs, None
        self._tells = installation.lets_through(_RUNS.name, logging.INFO) and _is_set_up(_RUNS)

    @property
    def _names(self) -> Mapping[str, str]:
        """What tasks are called, by slug; in most runs nobody asks."""
        if self._known is None:
            named = {slug: task.name for task, slug in self._slugs.items() if not isinstance(task, _SILENT)}
            self._known = named
        return self._known

    def turn(self, transitions: Collection[Transition], counts: Mapping[str, int]) -> None:
        """Log what became of task runs and of the flow, if somebody wants to know.

        Parameters
        ----------
        transitions : collection of Transition
            What changed.
        counts : mapping of str to int
            Not looked at.
        """
        if self._tells:
            for change in transitions:
                slug, run = change.key.slug, str(change.key)
                if not slug or slug in self._names:
                    who = label(f"Task run {run}" if slug else f"Flow run {self._flow_name}")
                    labels = self._labels(self._flow_name, run) if slug else {}
                    state, text = type(change.new).__name__, hanging(mask(change.new.message or ""))
                    _RUNS.info("%s: %s. %s", who, state, text, extra=labels)

    def log(self, lines: Sequence[LogLine]) -> None:
        """Log the lines.

        Parameters
        ----------
        lines : sequence of LogLine
            What task bodies logged and printed.
        """
        for line in lines:
            self._log(line)

    def tell(self, text: str) -> None:
        """Log an error of the run as a whole.

        Parameters
        ----------
        text : str
            What is wrong; it may have several lines.
        """
        if _is_set_up(_RUNS):
            _RUNS.error(mask(text), extra={"flow_name": self._flow_name, "flow_run_id": self._run_id})
        else:
            sys.stderr.write(mask(text) + "\n")

    def ended(self, state: State) -> None:
        """Do nothing.

        Parameters
        ----------
        state : State
            Not looked at.
        """

    def _log(self, line: LogLine) -> None:
        logger = logging.getLogger(line.logger)
        record = self._record(line)
        if not _is_set_up(logger):
            sys.stderr.write(hanging(self._formatter.format(record)) + "\n")
        elif not (_is_here(line) and line.logger != "stdout") and logger.isEnabledFor(line.level):
            logger.handle(record)

    def _record(self, line: LogLine) -> logging.LogRecord:
        record = logging.LogRecord(line.logger, line.level, "", 0, line.message, None, None)
        record.created = line.time
        record.exc_text = line.exc_text
        labels = self._labels(line.flow, line.run)
        record.__dict__.update(labels, attempt=line.attempt, where=line.where, is_task_log=True)
        record.__dict__.update(line.attributes or {})
        return record

    def _labels(self, flow_name: str, run: str) -> dict[str, object]:
        slug = RunKey.parse(run).slug
        return record_labels(flow_name, self._run_id, self._names.get(slug, slug), run)


def _is_here(line: LogLine) -> bool:
    return line.where == "local" or line.where.startswith("inproc://")


def _is_set_up(logger: logging.Logger) -> bool:
    at: logging.Logger | None = logger
    while at is not None:
        if any(type(handler).__module__.partition(".")[0] != "prefectlite" for handler in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False
