"""A journal in memory: the entries themselves, indexed when first asked. Knows no storage."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from prefectlite.journal.protocol import Entry
from prefectlite.states.keys import RunKey


class MemoryJournal:
    """Keep every transition and act of one flow run in this process."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._committed = 0
        self._by_key: dict[RunKey, list[Entry]] = {}
        self._indexed = 0
        self._lock = threading.Lock()

    def record(self, entries: Sequence[Entry]) -> None:
        """Add entries to the turn that is not committed yet.

        Parameters
        ----------
        entries : sequence of Transition or Submitted
            In order.
        """
        self._entries.extend(entries)

    def commit(self) -> None:
        """Make what was recorded readable."""
        self._committed = len(self._entries)

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
            # The loop pays nothing for the index: it grows here, by what came since it was last asked.
            committed = self._committed
            for at in range(self._indexed, committed):
                entry = self._entries[at]
                self._by_key.setdefault(entry.key, []).append(entry)
            self._indexed = committed
            return list(self._by_key.get(key, ()))

    def entries(self) -> Sequence[Entry]:
        """Return everything that was committed.

        Returns
        -------
        sequence of Transition or Submitted
            In order.
        """
        return self._entries[: self._committed]

    def close(self) -> None:
        """End the writing; there is nothing to close in memory."""
