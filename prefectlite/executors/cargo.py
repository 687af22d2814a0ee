"""What a Dask task carries, and which of it has not been heard of. Knows shipments; knows no client."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

from prefectlite.executors.protocol import Parcel
from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.keys import DataKey, data_key
from prefectlite.lowering.order import AnyShipment
from prefectlite.lowering.shipment import Shipment, Span
from prefectlite.states.keys import RunKey


class Cargo:
    """The attempts that one Dask task stands for.

    Parameters
    ----------
    key : tuple
        The Dask task.
    parts : sequence of Shipment or BlockShipment
        What it carries; slots are numbered through them in order.
    needs : sequence of tuple
        The Dask tasks, and shared constants, whose values it reads.
    covers, took : tuple of Span
        As of ``Bundle``: it calls a reduce on a part of its list, which is no attempt of its own.
    """

    __slots__ = ("_starts", "covers", "key", "needs", "open", "parts", "took")

    def __init__(
        self,
        key: DaskKey,
        parts: Sequence[AnyShipment],
        needs: Sequence[DaskKey],
        covers: tuple[Span, ...] = (),
        took: tuple[Span, ...] = (),
    ) -> None:
        self.covers = covers
        self.took = took
        self.key = key
        self.parts = parts
        self.needs = needs
        self._starts: list[int] = []
        count = 0
        for one in parts:
            self._starts.append(count)
            count += 1 if isinstance(one, Shipment) else len(one.runs)
        #: By slot, whether nothing was heard of it so far.
        self.open = bytearray(b"\x01") * count

    def __len__(self) -> int:
        """Return how many attempts it stands for."""
        return len(self.open)

    def is_open(self, slot: int) -> bool:
        """Return whether an attempt has not been heard of.

        Parameters
        ----------
        slot : int
            Its slot.

        Returns
        -------
        bool
            False also for one that was let go of, or sent anew.
        """
        return bool(self.open[slot])

    def all_open(self, start: int, stop: int) -> bool:
        """Return whether attempts that stand side by side have all not been heard of.

        Parameters
        ----------
        start, stop : int
            The first slot, and the one behind the last.

        Returns
        -------
        bool
            True also for none.
        """
        return self.open.count(1, start, stop) == stop - start

    def close(self, start: int, stop: int) -> int:
        """Note that attempts that stand side by side were heard of, or let go of.

        Parameters
        ----------
        start, stop : int
            The first slot, and the one behind the last.

        Returns
        -------
        int
            How many of them were open.
        """
        count = self.open.count(1, start, stop)
        self.open[start:stop] = bytes(stop - start)
        return count

    def open_slots(self) -> Iterator[int]:
        """Return the slots of the attempts that were not heard of.

        Yields
        ------
        int
            In order.
        """
        at = self.open.find(1)
        while at >= 0:
            yield at
            at = self.open.find(1, at + 1)

    def part_at(self, slot: int) -> tuple[AnyShipment, int, int]:
        """Return the part that a slot is in.

        Parameters
        ----------
        slot : int
            Counted from 0.

        Returns
        -------
        (Shipment or BlockShipment, int, int)
            The part, its first slot, and the slot behind its last.
        """
        number = bisect_right(self._starts, slot) - 1
        start = self._starts[number]
        stop = self._starts[number + 1] if number + 1 < len(self._starts) else len(self.open)
        return self.parts[number], start, stop

    def parts_from(self, slot: int) -> Iterator[AnyShipment]:
        """Yield the part that a slot is in, and those behind it.

        Parameters
        ----------
        slot : int
            Counted from 0.

        Yields
        ------
        Shipment or BlockShipment
            In order.
        """
        return islice(self.parts, bisect_right(self._starts, slot) - 1, None)

    def measure(self) -> tuple[str, ...]:
        """Return what maps downstream must know of its values.

        Returns
        -------
        tuple of str
            What is asked of any of them.
        """
        return tuple({word: None for part in self.parts for word in part.measure})

    def parcel(self, slot: int) -> Parcel:
        """Return whose attempt a slot holds.

        Parameters
        ----------
        slot : int
            Counted from 0.

        Returns
        -------
        (int, int)
            Run and submission.
        """
        part, start, _ = self.part_at(slot)
        if isinstance(part, Shipment):
            return part.run, part.submission
        return part.runs[slot - start], part.submission

    def slot_of(self, key: DataKey) -> int | None:
        """Return the slot of an attempt by its own data key.

        Parameters
        ----------
        key : tuple
            The attempt's.

        Returns
        -------
        int or None
            None when it is not in here.
        """
        for part, start in zip(self.parts, self._starts, strict=True):
            if isinstance(part, Shipment):
                if part.key == key:
                    return start
                continue
            place = key[1] - part.first
            if 0 <= place < len(part.runs):
                name = RunKey(part.slug, key[1])
                if data_key(part.prefix, name, part.attempt, part.submission) == key:
                    return start + place
        return None

    def pieces(self, slots: Sequence[int]) -> Iterator[tuple[AnyShipment, int, int]]:
        """Yield some attempts as shipments, those of a block that stand side by side together.

        Parameters
        ----------
        slots : sequence of int
            In order.

        Yields
        ------
        (Shipment or BlockShipment, int, int)
            What to send, its first slot in here, and the slot behind its last.
        """
        at = 0
        while at < len(slots):
            first = slots[at]
            part, start, stop = self.part_at(first)
            behind = at + 1
            if isinstance(part, Shipment):
                yield part, first, first + 1
            else:
                while behind < len(slots) and slots[behind] == slots[behind - 1] + 1 and slots[behind] < stop:
                    behind += 1
                last = slots[behind - 1] + 1
                yield part.part(first - start, last - start), first, last
            at = behind
