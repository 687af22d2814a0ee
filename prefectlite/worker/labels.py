"""Whose a log record is: the task run's whose body, handler or trigger made it. Knows no driver."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

from prefectlite.core.layers import current_layer

if TYPE_CHECKING:
    from prefectlite.worker.logs import Capture

#: What the context of handlers and triggers says of the labels of a record.
_LABELS: Final = ("flow_name", "flow_run_id", "task_name", "task_slug", "task_run_id", "attempt")


class Speaker(Protocol):
    """An attempt whose code may log; what it takes to capture that is made for its first line."""

    @property
    def level(self) -> int:
        """The lowest level of records to take."""
        ...

    def capture(self) -> Capture:
        """Return where its lines go."""
        ...

    def labels(self) -> dict[str, object]:
        """Return what a log record of it is labelled with."""
        ...


#: The attempt that the running code belongs to.
current: Final[ContextVar[Speaker | None]] = ContextVar("prefectlite.capture", default=None)


def record_labels(flow_name: str, run_id: str, task_name: str, run: str, slug: str) -> dict[str, object]:
    """Return what a task's log record is labelled with, for formatters and filters.

    Parameters
    ----------
    flow_name, run_id, task_name : str
        Whose it is.
    run : str
        The run key as text.
    slug : str
        Its slug.

    Returns
    -------
    dict
        ``flow_name``, ``flow_run_id``, ``task_name``, ``task_slug``, ``task_run_id`` and ``task_run``.
    """
    return {
        "flow_name": flow_name,
        "flow_run_id": run_id,
        "task_name": task_name,
        "task_slug": slug,
        "task_run_id": f"{run_id}/{run}",
        "task_run": run,
    }


class Labelled(logging.Filter):
    """Adds to records whose they are, for formatters; not earlier, since ``extra=`` may name the same."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Label a record, unless it is.

        Parameters
        ----------
        record : logging.LogRecord
            One that was made where the filter is asked.

        Returns
        -------
        bool
            True.
        """
        known = record.__dict__
        if "flow_run_id" not in known:
            for name, value in _labels_here().items():
                known.setdefault(name, value)
        return True


def _labels_here() -> Mapping[str, object]:
    """Return whose a record is: an attempt's, or the run's whose handler or trigger runs here."""
    speaker = current.get()
    if speaker is not None:
        speaker.capture()  # before a program's own handler has a body's first record, its start is told
        return speaker.labels()
    held = current_layer().values
    found: dict[str, object] = {name: held[name] for name in _LABELS if name in held}
    if "task_run_id" in held:
        found["task_run"] = held["task_run_id"].partition("/")[2]
    return found
