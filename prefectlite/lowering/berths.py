"""Where each value of a flow run lies on its cluster: under which Dask key, in which slot. Knows no Dask.

A value that travelled alone stands under its own data key. One of a bundle lies in a slot of the bundle's
value. A map's children that went as a block have no entry of their own: a million of them are a thousand
entries.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from prefectlite.errors import EngineError
from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.lowering.parts import WHOLE
from prefectlite.lowering.shipment import Need, Span

#: The name of a Dask task of ours.
DaskKey: TypeAlias = DataKey | BundleKey
#: Under which key a value stands, and in which slot; ``WHOLE`` for one that lies in no bundle.
Berth: TypeAlias = tuple[DaskKey, int]
#: A berth for each of some values that stand side by side: key, first slot, how many.
Berthing: TypeAlias = tuple[DaskKey, int, int]


class Row(NamedTuple):
    """Runs that stand side by side, and so do their values.

    Parameters
    ----------
    start, stop : int
        The first run, and the one behind the last.
    key : tuple
        The bundle.
    slot : int
        That of the first.
    """

    start: int
    stop: int
    key: BundleKey
    slot: int


class _Rows:
    """The rows of one submission, which do not overlap, in order of their runs.

    One thread changes them while others look.
    """

    __slots__ = ("_changing", "_rows")

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows[:])

    def at(self, run: int) -> Row | None:
        """Return the row with a run in it."""
        with self._changing:
            at = bisect_left(self._rows, (run + 1,)) - 1
            row = self._rows[at] if at >= 0 else None
        return row if row is not None and run < row.stop else None

    def put(self, runs: range, *new: Row) -> None:
        """Have these rows, all of them within some runs, in place of whatever stood there."""
        rows = self._rows
        with self._changing:
            first, last = bisect_left(rows, (runs.start + 1,)), bisect_left(rows, (runs.stop,))
            if first and rows[first - 1].stop > runs.start:
                first -= 1
            left = []
            for row in rows[first:last]:
                if row.start < runs.start:
                    left.append(row._replace(stop=runs.start))
                if row.stop > runs.stop:
                    left.append(row._replace(start=runs.stop, slot=row.slot + runs.stop - row.start))
            rows[first:last] = sorted([*left, *new])


class Berths:
    """The books of where values lie."""

    __slots__ = ("_alone", "_rows")

    def __init__(self) -> None:
        # By the span of the one value.
        self._alone: dict[Span, Berthing] = {}
        # By submission: what was taken back in one turn with what it reads may still name an old one.
        self._rows: dict[int, _Rows] = {}

    def put(self, run: int, submission: int, key: DaskKey, slot: int = WHOLE) -> None:
        """Note where one value is going to lie.

        Parameters
        ----------
        run, submission : int
            Which value.
        key : tuple
            The Dask task.
        slot : int
            Where in it.
        """
        self._alone[run, submission, 1] = key, slot, 1

    def put_row(self, runs: range, submission: int, key: BundleKey, slot: int) -> None:
        """Note where the values of runs that stand side by side are going to lie.

        Parameters
        ----------
        runs : range
            Without gaps.
        submission : int
            Which, for all of them.
        key : tuple
            The bundle.
        slot : int
            That of the first.
        """
        rows = self._rows.get(submission)
        if rows is None:
            rows = self._rows[submission] = _Rows()
        rows.put(runs, Row(runs.start, runs.stop, key, slot))

    def move(self, run: int, submission: int, key: BundleKey, slot: int) -> None:
        """Note that a value lies elsewhere from now on.

        Parameters
        ----------
        run, submission : int
            Which value.
        key : tuple
            The Dask task.
        slot : int
            Where in it.
        """
        if (run, submission, 1) in self._alone:
            self.put(run, submission, key, slot)
        else:
            self.put_row(range(run, run + 1), submission, key, slot)

    def find(self, run: int, submission: int) -> Berth | None:
        """Return where a value lies.

        Parameters
        ----------
        run, submission : int
            Which value.

        Returns
        -------
        (tuple, int) or None
            None when nothing is known of it.
        """
        alone = self._alone.get((run, submission, 1))
        if alone is not None:
            return alone[:2]
        rows = self._rows.get(submission)
        row = None if rows is None else rows.at(run)
        return None if row is None else (row.key, row.slot + run - row.start)

    def lying_in(self, keys: Container[DaskKey]) -> Iterator[tuple[Berth, Span]]:
        """Yield the values that lie in some Dask tasks; O(entries).

        Parameters
        ----------
        keys : container of tuple
            The Dask tasks.

        Yields
        ------
        (Berth, Span)
            Where the first one lies, and which they are: those side by side together.
        """
        # What is sent and let go of meanwhile comes from another thread.
        for span, (key, slot, _) in self._alone.copy().items():
            if key in keys:
                yield (key, slot), span
        for submission, rows in self._rows.copy().items():
            for row in rows:
                if row.key in keys:
                    yield (row.key, row.slot), (row.start, submission, row.stop - row.start)

    def known(self, span: Span) -> Iterator[Berthing]:
        """Yield the same as ``stretches``, and leave out what lies nowhere.

        Parameters
        ----------
        span : (int, int, int)
            First run, submission, count.

        Yields
        ------
        (tuple, int, int)
            Key, first slot, how many.
        """
        run, submission, count = span
        stop = run + count
        rows = self._rows.get(submission)
        while run < stop:
            row = None if rows is None else rows.at(run)
            if row is not None:
                reach = min(row.stop, stop) - run
                yield row.key, row.slot + run - row.start, reach
                run += reach
                continue
            found = self._alone.get((run, submission, 1))
            if found is not None:
                yield found
            run += 1

    def of(self, needs: Iterable[Need]) -> list[Berthing]:
        """Return where everything lies that is needed, values that stand side by side in one bundle together.

        Parameters
        ----------
        needs : iterable of Need
            Data keys of shared constants, each of which is its own berth, and spans.

        Returns
        -------
        list of (tuple, int, int)
            Key, first slot, how many.

        Raises
        ------
        EngineError
            When a value lies nowhere.
        """
        alone = self._alone
        found: list[Berthing] = []
        for need in needs:
            if len(need) != 3:
                found.append((need, WHOLE, 1))
                continue
            one = alone.get(need)
            if one is not None:
                found.append(one)
            else:
                found += self.stretches(need)
        return found

    def stretches(self, span: Span) -> Iterator[Berthing]:
        """Yield where values of runs that stand side by side lie, those in one bundle together.

        Parameters
        ----------
        span : (int, int, int)
            First run, submission, count.

        Yields
        ------
        (tuple, int, int)
            Key, first slot, how many.

        Raises
        ------
        EngineError
            When a value lies nowhere.
        """
        left = span[2]
        for found in self.known(span):
            left -= found[2]
            yield found
        if left:
            raise EngineError(
                f"{left} values of {span} (run, submission, count) are read, but were never sent."
            )

    def forget(self, run: int, submission: int) -> None:
        """Let go of one value's entry.

        Parameters
        ----------
        run, submission : int
            Which value.
        """
        if self._alone.pop((run, submission, 1), None) is None and submission in self._rows:
            self._clear(range(run, run + 1), submission)

    def _clear(self, runs: range, submission: int) -> None:
        rows = self._rows[submission]
        rows.put(runs)
        if not rows:
            del self._rows[submission]

    def forget_row(self, runs: range, submission: int) -> None:
        """Let go of the entries of runs that stand side by side.

        Parameters
        ----------
        runs : range
            Without gaps.
        submission : int
            Which, for all of them.
        """
        if submission in self._rows:
            self._clear(runs, submission)
        for run in runs if self._alone else ():
            self._alone.pop((run, submission, 1), None)
