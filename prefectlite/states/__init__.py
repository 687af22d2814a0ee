"""The vocabulary: states, run keys, signals, reports. Knows neither Dask, the clock, I/O nor any other room.

Their JSON form is in ``prefectlite.states.json``, the law of their changes in
``prefectlite.states.transitions``.
"""

from prefectlite.states import signals
from prefectlite.states.children import count_by_class
from prefectlite.states.keys import RunKey
from prefectlite.states.meta import ClientFailed, Queued, Submitted
from prefectlite.states.report import Renderer, Report, ResultRef, ValueSource
from prefectlite.states.state import (
    Cached,
    Cancelled,
    Cancelling,
    Crashed,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
)
from prefectlite.states.value import NO_RESULT, NoResultType

__all__ = [
    "NO_RESULT",
    "Cached",
    "Cancelled",
    "Cancelling",
    "ClientFailed",
    "Crashed",
    "Failed",
    "Finished",
    "Looped",
    "Mapped",
    "NoResultType",
    "Paused",
    "Pending",
    "Queued",
    "Renderer",
    "Report",
    "ResultRef",
    "Resume",
    "Retrying",
    "RunKey",
    "Running",
    "Scheduled",
    "Skipped",
    "State",
    "Submitted",
    "Success",
    "TimedOut",
    "TriggerFailed",
    "ValidationFailed",
    "ValueSource",
    "count_by_class",
    "signals",
]
