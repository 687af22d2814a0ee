"""Children of a map that run in this process one after the other. Knows no Dask."""

from __future__ import annotations

from collections.abc import Callable

from prefectlite.executors.protocol import Span
from prefectlite.lowering.parts import READ, Block, Column, Stretch
from prefectlite.lowering.shipment import BlockShipment, Need
from prefectlite.lowering.wrappers import Slots
from prefectlite.worker.around import Kinds
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
