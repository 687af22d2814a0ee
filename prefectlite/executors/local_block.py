"""Children of a map that run in this process one after the other, and are told of together. Knows no Dask."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable

from prefectlite.engine.events import AttemptFinished, AttemptHeld, Event, RangeFinished
from prefectlite.executors.protocol import Span
from prefectlite.lowering.parts import READ, Block, Column, Stretch
from prefectlite.lowering.shipment import BlockShipment, Need
from prefectlite.lowering.wrappers import Slots
from prefectlite.states.report import Report, Reports, Results
from prefectlite.worker.around import Kinds
from prefectlite.worker.attempt import Outcome
from prefectlite.worker.here import Here
from prefectlite.worker.opened import OpenFlow, OpenTask
from prefectlite.worker.strips import Row, Strip


class LocalBlock:
    """A block whose children run now.

    Parameters
    ----------
    shipment : BlockShipment
        The block.
    strip : Strip
        Its children's arguments.
    """

    __slots__ = ("place", "shipment", "strip")

    def __init__(self, shipment: BlockShipment, strip: Strip) -> None:
        self.shipment = shipment
        self.strip = strip
        #: That of the next child.
        self.place = 0

    @property
    def is_over(self) -> bool:
        """Whether all children had their turn."""
        return self.place >= len(self.shipment.runs)


def open_block(
    shipment: BlockShipment,
    flow: OpenFlow,
    task: OpenTask,
    slots_of: Callable[[Span], Slots],
    here: Here,
) -> LocalBlock:
    """Return a block, ready to run.

    Parameters
    ----------
    shipment : BlockShipment
        The block.
    flow : OpenFlow
        The flow run's facts.
    task : OpenTask
        The task.
    slots_of : callable
        Returns the values of a span, side by side.
    here : Here
        Where it runs.

    Returns
    -------
    LocalBlock
        None of its children has run.
    """
    values: list[Slots] = []

    def stretches(span: Need) -> tuple[Stretch, ...]:
        assert len(span) == 3  # in this process, nothing is shared under a key of its own
        values.append(slots_of(span))
        return ((len(values) - 1, 0, span[2]),)

    reads = tuple([stretch for need in shipment.needs for stretch in stretches(need)])
    columns: list[Column] = [
        (name, kind, stretches(what) if kind == READ else what) for name, kind, what in shipment.columns
    ]
    part = Block(
        0,
        shipment.prefix,
        shipment.slug,
        shipment.first,
        len(shipment.runs),
        shipment.attempt,
        shipment.submission,
        shipment.given,
        shipment.recipes,
        reads,
        tuple(columns),
        shipment.upstreams,
        shipment.drop_value,
        shipment.measure,
    )
    return LocalBlock(shipment, Row(Kinds(flow, task, here), part, values, ()))


class Teller:
    """Makes events of outcomes: plain successes that stand side by side become one.

    Parameters
    ----------
    events : list of Event
        Where they go, in order.
    submission : int
        Which the outcomes are of.
    is_measured : bool
        Whether maps below must know of the values, so that each is told of by itself.
    """

    __slots__ = ("_ended", "_events", "_inlines", "_is_measured", "_next", "_started", "_submission")

    def __init__(self, events: list[Event], submission: int, is_measured: bool) -> None:
        self._events = events
        self._submission = submission
        self._is_measured = is_measured
        self._next = -1
        self._started, self._ended = array("d"), array("d")
        self._inlines: list[bytes] = []

    def add(self, run: int, outcome: Outcome) -> None:
        """Take in how a run ended.

        Parameters
        ----------
        run : int
            Its number.
        outcome : Outcome
            What it came to.
        """
        report = outcome.report
        if report is not None and self._is_plain(report):
            if run != self._next:
                self.close()
            assert report.inline is not None
            self._next = run + 1
            self._started.append(report.started)
            self._ended.append(report.ended)
            self._inlines.append(report.inline)
            return
        self.close()
        if report is None:
            self._events.append(AttemptHeld(time.time(), run, self._submission))
        else:
            self._events.append(AttemptFinished(report.ended, run, self._submission, report))

    def _is_plain(self, report: Report) -> bool:
        return (
            report.state is None
            and report.inline is not None
            and report.success is None
            and not self._is_measured
        )

    def close(self) -> None:
        """Tell of what was taken in so far."""
        count = len(self._started)
        if not count:
            return
        results = Results(array("i", map(len, self._inlines)), b"".join(self._inlines))
        reports = Reports(self._started, self._ended, results, "local")
        self._events.append(RangeFinished(self._ended[-1], self._next - count, self._submission, reports))
        self._started, self._ended, self._inlines = array("d"), array("d"), []
