"""What the attempts of a bundle come to, slot by slot, and how that is told. Knows no Dask and no clock.

One thread, the bundle's, takes slots and books what becomes of them; the desk may at any time take away those
that have not begun, and tell at once of those that have ended. Whoever takes a slot has it alone: both take
from the ends of one deque, whose ``pop`` and ``popleft`` are atomic. So nothing is told as returned and run.
"""

from __future__ import annotations

import sys
import threading
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from prefectlite.lowering.keys import BundleKey, DataKey, data_key
from prefectlite.lowering.parts import Block, Part
from prefectlite.lowering.wrappers import Held
from prefectlite.states.keys import RunKey
from prefectlite.worker.wire import GOING, RETURNED, BundleReport, Item, bundle_item, grouped


class Names:
    """The data keys of a bundle's attempts, made when somebody asks.

    Parameters
    ----------
    parts : sequence of Member or Block
        The bundle's.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._ends = list(accumulate([one.count if isinstance(one, Block) else 1 for one in parts]))

    def __len__(self) -> int:
        """Return how many slots there are."""
        return self._ends[-1] if self._ends else 0

    def part(self, slot: int) -> tuple[Part, int]:
        """Return which part a slot belongs to.

        Parameters
        ----------
        slot : int
            Counted from 0.

        Returns
        -------
        (Member or Block, int)
            The part, and the slot's place in it.
        """
        at = bisect_right(self._ends, slot)
        return self._parts[at], slot - (self._ends[at - 1] if at else 0)

    def key(self, slot: int) -> DataKey:
        """Return the data key of a slot's attempt.

        Parameters
        ----------
        slot : int
            Counted from 0.

        Returns
        -------
        tuple
            Its name.
        """
        part, place = self.part(slot)
        if isinstance(part, Block):
            run = RunKey(part.slug, part.first + place)
            return data_key(part.prefix, run, part.attempt, part.submission)
        return part.key


class Ledger:
    """What has become of each slot of a bundle so far.

    Parameters
    ----------
    key : tuple
        The bundle's.
    where : str
        The worker's address.
    names : Names
        Its slots.
    """

    def __init__(self, key: BundleKey, where: str, names: Names) -> None:
        self.key = key
        self.where = where
        self.names = names
        #: Slots that nobody has taken.
        self.free = deque(range(len(names)))
        # One entry for each slot that has ended; that of ``wrappers`` comes last and makes it count.
        self.started = array("d")
        self.ended = array("d")
        self.sizes = array("i")
        self.inlines: list[bytes] = []
        self.others: list[tuple[int, Item]] = []
        self.wrappers: list[Any] = []
        self._lock = threading.Lock()
        self._told: int | None = None

    def book(self, wrapper: Any, entry: Item, started: float = 0.0, ended: float = 0.0) -> None:
        """Note how a slot ended that is not told in columns alone.

        Parameters
        ----------
        wrapper : Succeeded, Done or Held
            What stands for it.
        entry : tuple
            The facts of a plain success, or an item.
        started, ended : float
            Seconds since the epoch.
        """
        self.others.append((len(self.wrappers), entry))
        self.started.append(started)
        self.ended.append(ended)
        self.sizes.append(-1)
        self.wrappers.append(wrapper)

    def book_plain(self, wrapper: Any, inline: bytes, started: float, ended: float) -> None:
        """Note a plain success.

        Parameters
        ----------
        wrapper : Succeeded or Done
            What stands for it.
        inline : bytes
            The pickled value.
        started, ended : float
            Seconds since the epoch.
        """
        self.started.append(started)
        self.ended.append(ended)
        self.sizes.append(len(inline))
        self.inlines.append(inline)
        self.wrappers.append(wrapper)

    def cut(self) -> Item | None:
        """Take away what has not begun, and tell of it and of what has ended; called by the desk.

        Returns
        -------
        tuple or None
            A ``BUNDLE`` item; None when the bundle has not begun yet, or ends anyhow, or was cut before.
        """
        with self._lock:
            if self._told is not None or len(self.free) == len(self.names):
                return None  # what takes long to open must begin one, lest it be sent around for ever
            taken = 0
            try:
                while True:
                    self.free.pop()
                    taken += 1
            except IndexError:
                pass
            running = len(self.names) - taken - 1
            # When the last one that was taken has ended, so has the bundle, and says so itself.
            if running < len(self.wrappers) or len(self.names) == 1:
                return None
            self._told = running
        # The thread may be booking that one now.
        others = [one for one in self.others if one[0] < running]
        others.append((running, (GOING, self.names.key(running))))
        return self._item(0, running, others, 1 + taken)

    def close(self) -> Item | None:
        """Tell what was not told, at the end; the bundle's thread takes no slot any more.

        Returns
        -------
        tuple or None
            A ``BUNDLE`` item; None when all was told.
        """
        with self._lock:
            told = self._told
        count = len(self.wrappers)
        if told is None:
            item = self._item(0, count, self.others[:], len(self.names) - count)
        elif told < count:
            item = self._item(told, count, [one for one in self.others if one[0] >= told], 0)
        else:
            item = None
        # Until now, the length told what had ended.
        self.wrappers.extend(
            [Held((RETURNED, self.names.key(slot))) for slot in range(count, len(self.names))]
        )
        return item

    def nbytes(self) -> int:
        """Return how many bytes the values take: those that were pickled are not weighed again.

        Returns
        -------
        int
            An estimate, as good as Dask's.
        """
        told = sum(self.sizes) + len(self.others)  # -1 for each of the others
        return told + sum(sys.getsizeof(self.wrappers[slot]) for slot, _ in self.others)

    def _item(self, first: int, end: int, others: list[tuple[int, Item]], rest: int) -> Item:
        """Tell of the slots from ``first`` to ``end``, and of some behind: what runs, what is returned."""
        started, ended, sizes = self.started[first:end], self.ended[first:end], self.sizes[first:end]
        # All but the sizes of -1 have a piece of bytes.
        past = first - self.sizes[:first].count(-1)
        blob = b"".join(self.inlines[past : past + len(sizes) - sizes.count(-1)])
        if rest:
            nothing = array("d", bytes(8 * rest))
            started, ended = started + nothing, ended + nothing
            sizes = sizes + array("i", [-1]) * rest
            said = {slot for slot, _ in others}
            others += [
                (slot, (RETURNED, self.names.key(slot)))
                for slot in range(end, end + rest)
                if slot not in said
            ]
        others = grouped(others)
        return bundle_item(BundleReport(self.key, self.where, first, started, ended, sizes, blob, others))
