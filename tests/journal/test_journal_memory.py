"""The journal in memory: what was committed can be read, by run and in order."""

from __future__ import annotations

import threading

from prefectlite.engine.instructions import Transition
from prefectlite.journal.memory import MemoryJournal
from prefectlite.journal.protocol import Journal, Submitted
from prefectlite.rules.verdict import Reason
from prefectlite.states import Pending, RunKey, Running, State, Success

A, B = RunKey("a-1"), RunKey("b-1", 2)


def change(time: float, key: RunKey, old: State, new: State) -> Transition:
    return Transition(time, 0, key, 1, old, new, Reason("rule", "text"))


def test_a_run_has_its_own_history_in_order() -> None:
    journal: Journal = MemoryJournal()
    entries = [
        Submitted(1.0, 0, A, 1, 1),
        change(1.5, A, Pending(), Running()),
        change(1.6, B, Pending(), Running()),
        change(2.0, A, Running(), Success()),
    ]
    journal.record(entries[:2])
    journal.record(entries[2:])
    journal.commit()
    journal.close()

    assert journal.history(A) == [entries[0], entries[1], entries[3]]
    assert journal.history(B) == [entries[2]]
    assert journal.history(RunKey("c-1")) == []
    assert list(journal.entries()) == entries


def test_what_is_not_committed_cannot_be_read() -> None:
    journal = MemoryJournal()
    journal.record([Submitted(1.0, 0, A, 1, 1)])
    journal.commit()
    journal.record([change(2.0, A, Pending(), Running())])

    assert len(journal.history(A)) == len(journal.entries()) == 1

    journal.commit()

    assert len(journal.history(A)) == len(journal.entries()) == 2


def test_a_history_is_a_copy() -> None:
    journal = MemoryJournal()
    journal.record([Submitted(1.0, 0, A, 1, 1)])
    journal.commit()

    journal.history(A).clear()

    assert len(journal.history(A)) == 1


def test_it_is_read_while_it_is_written() -> None:
    journal = MemoryJournal()
    stop = threading.Event()
    lengths: list[int] = []

    def read() -> None:
        while not stop.is_set():
            lengths.append(len(journal.history(A)))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(2000):
        journal.record([Submitted(float(n), 0, A, 1, n)])
        journal.commit()
    stop.set()
    for reader in readers:
        reader.join()

    assert [entry.submission for entry in journal.history(A)] == list(range(2000))  # type: ignore[union-attr]
