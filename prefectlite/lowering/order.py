"""Shipments in an order in which each stands behind those that it reads. Knows spans; knows no Dask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from prefectlite.lowering.parts import READ
from prefectlite.lowering.shipment import BlockShipment, Shipment, Span

#: What can be sent: attempts one by one, or many alike ones.
AnyShipment: TypeAlias = Shipment | BlockShipment


def spans_of(one: AnyShipment) -> Iterator[Span]:
    """Yield the values of runs that a shipment reads.

    Parameters
    ----------
    one : Shipment or BlockShipment
        The shipment.

    Yields
    ------
    (int, int, int)
        First run, submission, count.
    """
    for need in one.needs:
        if len(need) == 3:
            yield need
    if isinstance(one, BlockShipment):
        for _, kind, what in one.columns:
            if kind == READ:
                yield what


class Index:
    """Which of some shipments makes the value of a run.

    Parameters
    ----------
    shipments : sequence of Shipment or BlockShipment
        In any order.
    """

    __slots__ = ("_blocks", "_singles")

    def __init__(self, shipments: Sequence[AnyShipment]) -> None:
        # By the span of the one value.
        self._singles: dict[Span, int] = {}
        self._blocks: list[tuple[range, int, int]] = []
        for place, one in enumerate(shipments):
            if isinstance(one, Shipment):
                self._singles[one.run, one.submission, 1] = place
            else:
                self._blocks.append((one.runs, one.submission, place))

    def read_by(self, one: AnyShipment) -> list[int]:
        """Return the places of the shipments that make what another one reads.

        Parameters
        ----------
        one : Shipment or BlockShipment
            The reader.

        Returns
        -------
        list of int
            In the order of its needs.
        """
        singles, blocks = self._singles, self._blocks
        found: list[int] = []
        for need in one.needs if isinstance(one, Shipment) else spans_of(one):
            if len(need) != 3:
                continue
            place = singles.get(need)
            if place is not None:
                found.append(place)
            elif blocks or need[2] > 1:
                found.extend(self.makers(need))
        return found

    def makers(self, span: Span) -> Iterator[int]:
        """Yield the places of the shipments that make a span's values.

        Parameters
        ----------
        span : (int, int, int)
            First run, submission, count.

        Yields
        ------
        int
            A place among the shipments; those that make none of them are left out.
        """
        first, submission, count = span
        for runs, made, place in self._blocks:
            if made == submission and first < runs.stop and first + count > runs.start:
                yield place
        if not self._singles:
            return
        if count <= len(self._singles):
            for run in range(first, first + count):
                found = self._singles.get((run, submission, 1))
                if found is not None:
                    yield found
            return
        for (run, made, _), place in self._singles.items():
            if made == submission and first <= run < first + count:
                yield place


def in_order(shipments: Sequence[AnyShipment]) -> list[AnyShipment]:
    """Return shipments so that each stands behind those that it reads.

    Parameters
    ----------
    shipments : sequence of Shipment or BlockShipment
        In any order.

    Returns
    -------
    list of Shipment or BlockShipment
        The same; where the order was right, it stays.
    """
    index = Index(shipments)
    needs = [[place for place in index.read_by(one) if place != at] for at, one in enumerate(shipments)]
    done = bytearray(len(shipments))
    found: list[AnyShipment] = []
    for start in range(len(shipments)):
        stack = [start]
        while stack:
            at = stack[-1]
            if done[at]:
                stack.pop()
                continue
            missing = [place for place in needs[at] if not done[place]]
            if missing:
                stack += missing
                continue
            done[at] = 1
            found.append(shipments[at])
            stack.pop()
    return found


def readers_of(shipments: Sequence[AnyShipment], spans: Sequence[Span]) -> set[int]:
    """Return the shipments that read some values, or what is made from them.

    Parameters
    ----------
    shipments : sequence of Shipment or BlockShipment
        Each behind those that it reads.
    spans : sequence of (int, int, int)
        The values.

    Returns
    -------
    set of int
        Their places.
    """
    index = Index(shipments)
    found: set[int] = set()
    for at, one in enumerate(shipments):
        for span in spans_of(one):
            first, submission, count = span
            if any(
                made == submission and first < run + many and first + count > run for run, made, many in spans
            ) or not found.isdisjoint(index.makers(span)):
                found.add(at)
                break
    return found


def apart(shipments: Sequence[AnyShipment], spans: Sequence[Span]) -> list[AnyShipment]:
    """Return shipments with each child that reads one of some values, or what is made from it, by itself.

    Parameters
    ----------
    shipments : sequence of Shipment or BlockShipment
        Each behind those that it reads.
    spans : sequence of (int, int, int)
        The values; what reads those of one span may stay together.

    Returns
    -------
    list of Shipment or BlockShipment
        The same attempts in the same order.
    """
    found: list[AnyShipment] = []
    values = list(spans)
    for one in shipments:
        if isinstance(one, Shipment):
            found.append(one)
            continue
        readers: set[tuple[int, int]] = set()
        for _, kind, what in one.columns:
            if kind == READ:
                first, submission, count = what
                readers |= {
                    (max(run, first) - first, min(run + many, first + count) - first)
                    for run, made, many in values
                    if made == submission and first < run + many and run < first + count
                }
        values += [(one.runs[start], one.submission, stop - start) for start, stop in sorted(readers)]
        cuts = {0, len(one.runs)}.union(*readers)
        found += [one.part(start, stop) for start, stop in pairwise(sorted(cuts))]
    return found
