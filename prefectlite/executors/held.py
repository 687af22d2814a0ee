"""What sessions in this process have in common: values as they are, until released. Knows no order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from prefectlite.errors import ResultUnavailable
from prefectlite.executors.protocol import Deliver, DeliverLogs, Parcel, RunBrief, Span
from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.shipment import Blob, BlockShipment, Need, Shipment
from prefectlite.lowering.wrappers import Done, Slots, Succeeded
from prefectlite.states.state import Cancelled
from prefectlite.worker.apart import perform_apart
from prefectlite.worker.here import Here
from prefectlite.worker.logs import installation
from prefectlite.worker.opened import OpenFlow, OpenTask
from prefectlite.worker.outcomes import Outcome

WHERE: Final = "local"
#: How many task runs may wait here for their turn.
ROOM: Final = 4096


class HeldValues:
    """The part of a session that opens tasks and keeps values, where nothing has to be pickled.

    Parameters
    ----------
    brief : RunBrief
        The flow run.
    deliver : callable
        Takes sequences of events.
    deliver_logs : callable
        Takes sequences of log lines.
    """

    pickles = False
    dashboard_link: str | None = None
    description = "this process"

    def __init__(self, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs) -> None:
        self._deliver = deliver
        self._here = Here(WHERE, pickles=False, sink=deliver_logs, apart=perform_apart)
        self._values: dict[Parcel, Succeeded | Done] = {}
        self._flow: OpenFlow | None = None
        # By the identity of their blobs, which they keep alive.
        self._tasks: dict[int, tuple[Blob, OpenTask]] = {}
        self._level: int | None = brief.log_level
        installation.acquire(brief.log_level)

    def waiting_for(self, run: int) -> str:
        """Return nothing: this process takes whatever a task asks for.

        Parameters
        ----------
        run : int
            Not looked at.

        Returns
        -------
        str
            Empty.
        """
        return ""

    def room(self) -> int:
        """Return how many task runs may be in flight here.

        Returns
        -------
        int
            Always the same: those that wait cost next to nothing.
        """
        return ROOM

    def fetch(self, run: int, submission: int) -> Any:
        """Return the value of a finished submission.

        Parameters
        ----------
        run, submission : int
            Which.

        Returns
        -------
        object
            The value itself, not a copy.

        Raises
        ------
        ResultUnavailable
            When it is gone.
        """
        value = self._values.get((run, submission))
        if not isinstance(value, Succeeded):
            when = "when the flow run ended" if self._level is None else "when its last reader was done"
            raise ResultUnavailable(
                f"The result is not held any more: it was let go {when}, since it belongs to no terminal or "
                "reference task; give its task keep_result=True to keep it."
            )
        return value.value

    def close(self, keep: Sequence[Span]) -> None:
        """End the session and let go of all values but some.

        Parameters
        ----------
        keep : sequence of (int, int, int)
            First run, submission and count of values that stay readable until ``drop``.
        """
        self._tasks.clear()
        kept = ((run, submission) for first, submission, n in keep for run in range(first, first + n))
        self._values = {parcel: self._values[parcel] for parcel in kept if parcel in self._values}
        if self._level is not None:
            installation.release(self._level)
            self._level = None

    def drop(self) -> None:
        """Let go of the kept values."""
        self._values.clear()

    def _slots(self, span: Span) -> Slots:
        first, submission, count = span
        return Slots([self._values.get((run, submission)) for run in range(first, first + count)], 0)

    def _read(self, needs: Sequence[Need]) -> list[Succeeded | Done | None]:
        """Return what a shipment reads, by position."""
        held = self._values
        return [
            held.get((run, submission))
            for first, submission, n in cast("Sequence[Span]", needs)  # nothing else is shared
            for run in range(first, first + n)
        ]

    def _open(self, shipment: Shipment | BlockShipment) -> tuple[OpenFlow, OpenTask]:
        if self._flow is None:
            facts = shipment.flow.content
            assert isinstance(facts, FlowFacts)
            self._flow = OpenFlow(facts, shipment.flow.payload)
        blob = shipment.task
        held = self._tasks.get(id(blob))
        if held is None:
            assert isinstance(blob.content, Envelope)
            held = self._tasks[id(blob)] = blob, OpenTask(blob.content, blob.payload)
        return self._flow, held[1]


def was_called_off(outcome: Outcome) -> bool:
    """Return whether a cancel ended a body.

    Parameters
    ----------
    outcome : Outcome
        What its attempt came to.

    Returns
    -------
    bool
        The driver, which has yet to read of the cancel, will say what the attempt's state is.
    """
    report = outcome.report
    return report is not None and report.forced and isinstance(report.state, Cancelled)
