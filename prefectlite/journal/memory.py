"""A journal in memory: the records themselves, indexed when first asked. Knows no storage."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from prefectlite.engine.transitions import TransitionEach, TransitionMany
from prefectlite.journal.protocol import Entry, Record, SubmittedMany, unpacked
from prefectlite.states.keys import RunKey


class MemoryJournal:
    """Keep every transition and act of one flow run in this process."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._committed = 0
        # By what a record is about, a run, or a map's children by its slug; with its place in the journal.
        self._by_key: dict[RunKey, list[tuple[int, Entry]]] = {}
        self._by_slug: dict[str, list[tuple[int, TransitionMany | SubmittedMany]]] = {}
        self._indexed = 0
        self._lock = threading.Lock()

    def record(self, records: Sequence[Record]) -> None:
        """Add records to the turn that is not committed yet.

        Parameters
        ----------
        records : sequence of Record
            In order.
        """
        self._records.extend(records)

    def commit(self) -> None:
        """Make what was recorded readable."""
        self._committed = len(self._records)

    def history(self, key: RunKey) -> list[Entry]:
        """Return what is known of one run.

        Parameters
        ----------
        key : RunKey
            The run's name; the flow's own has an empty slug.

        Returns
        -------
        list of Transition or Submitted
            Its committed entries in order; empty when there are none.
        """
        with self._lock:
            self._index()
            found = list(self._by_key.get(key, ()))
            if key.index is not None and key.loop == 1:
                for at, many in self._by_slug.get(key.slug, ()):
                    place = key.index - many.first
                    if 0 <= place < len(many.runs):
                        found.append((at, many.one(place)))
        return [entry for _, entry in sorted(found, key=lambda one: one[0])]

    def _index(self) -> None:
        # The loop pays nothing for the index: it grows here, by what came since it was last asked.
        committed = self._committed
        for at in range(self._indexed, committed):
            record = self._records[at]
            if isinstance(record, TransitionMany | SubmittedMany):
                self._by_slug.setdefault(record.slug, []).append((at, record))
            elif isinstance(record, TransitionEach):
                for place, key in enumerate(record.keys):
                    self._by_key.setdefault(key, []).append((at, record.one(place)))
            else:
                self._by_key.setdefault(record.key, []).append((at, record))
        self._indexed = committed

    def records(self) -> Sequence[Record]:
        """Return everything that was committed, as it was recorded.

        Returns
        -------
        sequence of Record
            In order.
        """
        return self._records[: self._committed]

    def entries(self) -> Iterator[Entry]:
        """Return everything that was committed, run by run.

        Yields
        ------
        Transition or Submitted
            In order.
        """
        for record in self.records():
            yield from unpacked(record)

    def close(self) -> None:
        """End the writing; there is nothing to close in memory."""
