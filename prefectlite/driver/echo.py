"""Hands the log lines of task bodies to Python's logging, and tells it of states. Knows what a run is called.

What a body logs in this process has passed this process's own handlers already, so it is handed on only if it
comes from elsewhere, or was printed. Where nobody set up logging, lines go to standard output: a body's words
must not vanish because a script did not ask for them. What becomes of task runs is told at INFO; of all, or,
as the settings say, of so many a second and of the rest in numbers. That one runs is told before its body's
first line, whatever was reported of it by then.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import Context, copy_context
from typing import Any, Final

from prefectlite.core.constants import Constant
from prefectlite.core.loggers import passing_logger
from prefectlite.driver.lastresort import EAR, TASKS, LastResort, is_set_up
from prefectlite.driver.lines import Lines
from prefectlite.driver.observer import Changes, RunView
from prefectlite.driver.telling import Telling, in_numbers
from prefectlite.engine.together import RUNNING
from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.masking import mask
from prefectlite.printable import hanging, label
from prefectlite.settings import current
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Failed, State, TriggerFailed
from prefectlite.worker.beginnings import HEARERS
from prefectlite.worker.labels import record_labels
from prefectlite.worker.logs import LogLine, installation, this_process

#: The logger that tells of the flow, as in Prefect 1.
_FLOWS: Final = "prefectlite.FlowRunner"
_TASKS: Final = logging.getLogger(TASKS)
#: So many characters are written before the rest is made.
_MUCH: Final = 1 << 20
_logger = logging.getLogger(__name__)


class Echo:
    """An observer that logs what task bodies logged and printed, and how their runs go.

    Each record carries ``flow_name``, ``flow_run_id``, ``task_name``, ``task_slug``, ``task_run_id``,
    ``task_run``, ``attempt`` and ``where``, for formatters and filters. How lines look where nobody set up
    logging, the settings say.

    Parameters
    ----------
    tells : bool
        Whether it also tells what becomes of flow and tasks.
    clock : callable
        Seconds, of a clock that only goes forward.
    """

    def __init__(self, *, tells: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        settings = current().logging
        self._clock = clock
        self._resort = LastResort(settings)
        self._per_second = settings.runs_per_second if tells else 0.0
        # Held while something is told: that a body in this process begins is told by its own thread.
        self._lock = threading.RLock()
        self._around = Context()
        self._run: RunView | None = None
        self._run_id = ""
        self._process = this_process()
        self._flow_name = ""
        self._slugs: Mapping[Any, str] = {}
        self._known: Mapping[str, str] | None = None
        self._telling: Telling | None = None
        self._lines_at: dict[int, Lines | None] = {}
        self._counts: Mapping[str, int] = {}

    def started(self, run: RunView) -> None:
        """Learn the names of the run and its tasks.

        Parameters
        ----------
        run : RunView
            The run.
        """
        self._run, self._around = run, copy_context()
        self._run_id, self._flow_name = run.run_id, run.flow_name
        self._slugs, self._known, self._lines_at = run.slugs, None, {}
        EAR.listen(self._resort)
        enabled = logging.getLogger(TASKS).isEnabledFor(logging.INFO)
        wanted = enabled and installation.lets_through(TASKS, logging.INFO)
        if wanted and self._per_second and self._telling is None:
            self._telling = Telling(self._per_second, self._names)
        if self._telling is not None:
            HEARERS[self._run_id] = self.begun

    @property
    def _names(self) -> Mapping[str, str]:
        """What tasks are called that are news, by slug; in some runs nobody asks. A constant is none."""
        if self._known is None:
            named = {slug: task.name for task, slug in self._slugs.items() if not isinstance(task, Constant)}
            self._known = named
        return self._known

    def turn(self, transitions: Changes, counts: Mapping[str, int]) -> None:
        """Log what became of task runs, and that the flow began, if somebody wants to know.

        Parameters
        ----------
        transitions : Changes
            What changed.
        counts : mapping of str to int
            How many task runs are in which class of state.
        """
        telling = self._telling
        if telling is None:
            return
        with self._lock:
            self._counts = counts
            now = self._clock()
            self._say(
                one for change in telling.chosen(transitions.groups, now) for one in self._of_change(change)
            )
            if telling.sum_is_due(now):
                self._say([self._numbers()])

    def begun(self, key: RunKey, attempt: int, began: float) -> None:
        """Tell that an attempt runs, unless that was told; called at once by those that run in this process.

        Parameters
        ----------
        key : RunKey
            The task run's name.
        attempt : int
            Counted from 1.
        began : float
            Seconds since the epoch.
        """
        try:
            with self._lock:
                if not self._begins(key, attempt):
                    return
                lines = self._lines(_LEVEL)
                if lines is not None:
                    self._resort.write(lines.one(key, _RUNS, began), in_crowd=True)
                else:
                    # What surrounds a body is no part of it.
                    record = self._record_of_run(key, _LEVEL, _RUNS, began)
                    self._around.copy().run(self._say, [record])
        except Exception:
            _logger.exception("That a task run began could not be logged.")

    def log(self, lines: Sequence[LogLine]) -> None:
        """Log the lines.

        Parameters
        ----------
        lines : sequence of LogLine
            What task bodies logged and printed.
        """
        with self._lock:
            self._say(one for line in lines for one in self._of_line(line))

    def tell(self, text: str) -> None:
        """Log an error of the run as a whole.

        Parameters
        ----------
        text : str
            What is wrong; it may have several lines.
        """
        logger = logging.getLogger(_FLOWS)
        if is_set_up(logger):
            logger.error(mask(text), extra=self._flow_labels())
        else:
            sys.stderr.write(mask(text) + "\n")

    def ended(self, state: State) -> None:
        """Log what became of the flow.

        Parameters
        ----------
        state : State
            Its state; not final for a run that is left.
        """
        HEARERS.pop(self._run_id, None)
        if self._telling is not None:
            with self._lock:
                if self._telling.sum_is_due(self._clock(), at_last=True):
                    self._say([self._numbers()])
                if state.is_finished():
                    self._say([self._of_flow(state, time.time())])
        EAR.leave(self._resort)

    def _of_line(self, line: LogLine) -> Iterator[logging.LogRecord | str]:
        key = RunKey.parse(line.run)
        if self._begins(key, line.attempt):
            yield self._of_run(key, RUNNING, line.time if line.began is None else line.began)
        if line.logger != "stdout" or _TASKS.isEnabledFor(line.level):
            yield self._of_body(line, key.slug)

    def _begins(self, key: RunKey, attempt: int) -> bool:
        """Return whether to tell now that an attempt runs: not when that was told, or is no news."""
        telling, run = self._telling, self._run
        if telling is None or run is None:
            return False
        number = run.in_flight(key, attempt)
        return number is not None and telling.begins(number, key.slug, self._clock())

    def _of_body(self, line: LogLine, slug: str) -> logging.LogRecord:
        printed = line.logger == "stdout"
        record = _record(TASKS if printed else line.logger, line.level, line.message, line.time)
        record.exc_text = line.exc_text
        labels = self._labels(line.flow, line.run, slug)
        record.__dict__.update(
            labels,
            attempt=line.attempt,
            where=line.where,
            is_task_log=True,
            is_print=printed,
            is_made_here=line.process == self._process,
        )
        record.__dict__.update(line.attributes or {})
        return record

    def _of_change(
        self, change: Transition | TransitionMany | TransitionEach
    ) -> Iterator[logging.LogRecord | str]:
        if not isinstance(change, Transition):
            yield from self._of_group(change)
        elif change.run >= 0:
            yield self._of_run(change.key, change.new, change.time)
        elif not change.new.is_finished():
            yield self._of_flow(change.new, change.time)

    def _of_group(self, group: TransitionMany | TransitionEach) -> Iterator[logging.LogRecord | str]:
        level, text = _said_of(group.new)
        lines = self._lines(level)
        if lines is None:
            for key, moment in zip(_keys_of(group), group.times, strict=True):
                yield self._record_of_run(key, level, text, moment)
        elif isinstance(group, TransitionMany):
            yield lines.many(group.slug, group.first, text, group.times)
        else:
            yield lines.each(group.keys, text, group.times)

    def _of_run(self, key: RunKey, new: State, moment: float) -> logging.LogRecord | str:
        level, text = _said_of(new)
        lines = self._lines(level)
        return (
            self._record_of_run(key, level, text, moment) if lines is None else lines.one(key, text, moment)
        )

    def _record_of_run(self, key: RunKey, level: int, text: str, moment: float) -> logging.LogRecord:
        run = str(key)
        record = _record(TASKS, level, f"Task run {label(run)}: {text}", moment)
        record.__dict__.update(self._labels(self._flow_name, run, key.slug))
        return record

    def _lines(self, level: int) -> Lines | None:
        """Return what makes lines of a level without records; None where records are what is wanted."""
        if level < self._resort.level_wanted or is_set_up(_TASKS):
            return None
        if level not in self._lines_at:
            record = _record(TASKS, level, "", 0.0)
            record.__dict__.update(self._flow_labels())
            self._lines_at[level] = self._resort.lines(record, self._names)
        return self._lines_at[level]

    def _of_flow(self, state: State, moment: float) -> logging.LogRecord:
        text = f"{self._flow}: {type(state).__name__}. {hanging(mask(state.message or ''))}"
        record = _record(_FLOWS, logging.INFO, text, moment)
        record.__dict__.update(self._flow_labels())
        return record

    def _numbers(self) -> logging.LogRecord:
        text = (
            f"{self._flow}: {in_numbers(self._counts)}. There are too many task runs to tell of each "
            f"(logging.runs_per_second is {self._per_second:g})."
        )
        record = _record(_FLOWS, logging.INFO, text, time.time())
        record.__dict__.update(self._flow_labels())
        return record

    def _say(self, told: Iterable[logging.LogRecord | str]) -> None:
        """Hand records on; those that nobody handles are written at once, which is many times cheaper."""
        texts: list[str] = []
        size = 0
        handling: dict[str, logging.Logger | None] = {}
        for one in told:
            text = one if isinstance(one, str) else self._handled(one, handling)
            texts.append(text)
            size += len(text)
            if size > _MUCH:
                self._resort.write("".join(texts))
                texts, size = [], 0
        self._resort.write("".join(texts))

    def _handled(self, record: logging.LogRecord, handling: dict[str, logging.Logger | None]) -> str:
        """Hand a record on; return its line where nobody handles it, and so what is to be written."""
        name = record.name
        if name not in handling:
            found = passing_logger(name)
            handling[name] = found if is_set_up(found) else None
        logger = handling[name]
        if logger is None:
            return self._resort.line(record) if record.levelno >= self._resort.level_wanted else ""
        if _is_news(record) and logger.isEnabledFor(record.levelno):
            logger.handle(record)
        return ""

    @property
    def _flow(self) -> str:
        return f"Flow run {label(self._flow_name)}"

    def _flow_labels(self) -> dict[str, object]:
        return {"flow_name": self._flow_name, "flow_run_id": self._run_id}

    def _labels(self, flow_name: str, run: str, slug: str) -> dict[str, object]:
        return record_labels(flow_name, self._run_id, self._names.get(slug, slug), run, slug)


def _said_of(new: State) -> tuple[int, str]:
    """Return at which level it is told that a task run has a state, and in what words."""
    is_error = isinstance(new, Failed) and not isinstance(new, TriggerFailed)
    text = f"{type(new).__name__}. {hanging(mask(new.message or ''))}"
    return (logging.ERROR if is_error else logging.INFO), text


def _record(logger: str, level: int, text: str, moment: float) -> logging.LogRecord:
    record = logging.LogRecord(logger, level, "", 0, text, None, None)
    record.created, record.msecs = moment, moment % 1 * 1000
    return record


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether the program's handlers have not had a record where it was made."""
    return not getattr(record, "is_made_here", False) or getattr(record, "is_print", False)


def _keys_of(group: TransitionMany | TransitionEach) -> Iterable[RunKey]:
    if isinstance(group, TransitionEach):
        return group.keys
    return (RunKey(group.slug, group.first + place) for place in range(len(group)))


#: At which level, and in what words, it is told that a body runs.
_LEVEL, _RUNS = _said_of(RUNNING)
