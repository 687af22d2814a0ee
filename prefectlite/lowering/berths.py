"""Where each value of a flow run lies on its cluster: under which Dask key, in which slot. Knows no Dask.

A value that travelled alone stands under its own data key. One of a bundle lies in a slot of the bundle's
value. A map's children that went as a block have no entry of their own: a million of them are a thousand
entries.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
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
    runs : range
        Without gaps.
    key : tuple
        The bundle.
    slot : int
        That of the first.
    """

    runs: range
    key: BundleKey
    slot: int


class _Rows:
    """The rows of one submission, which do not overlap, in order of their runs."""

    __slots__ = ("_rows", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def at(self, run: int) -> Row | None:
        """Return the row with a run in it."""
        at = bisect_right(self._starts, run) - 1
        row = self._rows[at] if at >= 0 else None
        return row if row is not None and run < row.runs.stop else None

    def put(self, runs: range, *rows: Row) -> None:
        """Have these rows, all of them within some runs, in place of whatever stood there."""
        found = [*self._cut(runs), *rows]
        if found:
            found.sort(key=lambda row: row.runs.start)
            at = bisect_left(self._starts, found[0].runs.start)
            self._starts[at:at] = [row.runs.start for row in found]
            self._rows[at:at] = found

    def _cut(self, runs: range) -> Iterator[Row]:
        """Take out the rows that overlap with some runs, and yield what is left of them."""
        first = max(bisect_right(self._starts, runs.start) - 1, 0)
        if first < len(self._rows) and self._rows[first].runs.stop <= runs.start:
            first += 1
        last = bisect_left(self._starts, runs.stop)
        overlapping = self._rows[first:last]
        del self._rows[first:last], self._starts[first:last]
        for row in overlapping:
            if row.runs.start < runs.start:
                yield row._replace(runs=range(row.runs.start, runs.start))
            if row.runs.stop > runs.stop:
                yield row._replace(
                    runs=range(runs.stop, row.runs.stop), slot=row.slot + runs.stop - row.runs.start
                )


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
        rows.put(runs, Row(runs, key, slot))

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
        return None if row is None else (row.key, row.slot + run - row.runs.start)

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
        for span, (key, slot, _) in self._alone.items():
            if key in keys:
                yield (key, slot), span
        for submission, rows in self._rows.items():
            for row in rows:
                if row.key in keys:
                    yield (row.key, row.slot), (row.runs.start, submission, len(row.runs))

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
                reach = min(row.runs.stop, stop) - run
                yield row.key, row.slot + run - row.runs.start, reach
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
