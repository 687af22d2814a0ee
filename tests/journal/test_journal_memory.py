"""The journal in memory: what was committed can be read, by run and in order."""

from __future__ import annotations

import threading
from array import array
from typing import Any

import pytest

from prefectlite.engine.transitions import Transition, TransitionMany
from prefectlite.journal.memory import MemoryJournal
from prefectlite.journal.protocol import Entry, Journal, Record, Submitted, SubmittedMany, unpacked
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

    assert len(journal.history(A)) == len(journal.records()) == len(list(journal.entries())) == 1

    journal.commit()

    assert len(journal.history(A)) == len(journal.records()) == len(list(journal.entries())) == 2


class Told:
    """Who knows the new states with their results."""

    def state(self, run: int, key: RunKey) -> State:
        return Success("done", (run, key.index))


def many(first: int, count: int) -> list[Record]:
    """What is recorded of children of the map ``m-1`` that go together; run and index differ by 10."""
    runs = range(10 + first, 10 + first + count)
    times = array("d", map(float, runs))
    return [
        SubmittedMany(1.0, runs, "m-1", first, 1, 1, True),
        TransitionMany(times, runs, "m-1", first, 1, Pending(), Running(), Reason("rule", "text")),
        TransitionMany(
            times, runs, "m-1", first, 1, Running(), Success("done"), Reason("rule", "text"), Told()
        ),
    ]


def one_of_many(index: int) -> list[Entry]:
    run, key, why = index + 10, RunKey("m-1", index), Reason("rule", "text")
    return [
        Submitted(1.0, run, key, 1, 1, True),
        Transition(float(run), run, key, 1, Pending(), Running(), why),
        Transition(float(run), run, key, 1, Running(), Success("done", (run, index)), why),
    ]


class TestMany:
    @pytest.fixture
    def journal(self) -> MemoryJournal:
        """Children 0 to 2 together; then child 1 changes once more; then children 3 and 4 together."""
        journal = MemoryJournal()
        journal.record(many(0, 3))
        journal.record([self.again(), change(3.0, A, Pending(), Running())])
        journal.record(many(3, 2))
        journal.commit()
        return journal

    def again(self) -> Transition:
        return change(2.0, RunKey("m-1", 1), Success(), Running())

    def test_a_childs_history_is_derived_from_the_records_of_many(self, journal: MemoryJournal) -> None:
        assert journal.history(RunKey("m-1", 0)) == one_of_many(0)
        assert journal.history(RunKey("m-1", 4)) == one_of_many(4)
        for other in (RunKey("m-1", 5), RunKey("m-1"), RunKey("m-1", 0, 2), RunKey("m-2", 0)):
            assert journal.history(other) == []

    def test_a_childs_own_records_stand_among_them_in_order(self, journal: MemoryJournal) -> None:
        journal.record([self.again(), *many(1, 1)])
        journal.commit()
        again = [self.again()]
        assert journal.history(RunKey("m-1", 1)) == one_of_many(1) + again + again + one_of_many(1)

    def test_entries_tell_of_each_run_in_the_order_of_the_records(self, journal: MemoryJournal) -> None:
        submitted, began, ended = zip(*map(one_of_many, range(5)), strict=True)
        assert list(journal.entries()) == [
            *submitted[:3],
            *began[:3],
            *ended[:3],
            self.again(),
            change(3.0, A, Pending(), Running()),
            *submitted[3:],
            *began[3:],
            *ended[3:],
        ]

    def test_records_are_kept_as_they_came(self, journal: MemoryJournal) -> None:
        assert journal.records() == [
            *many(0, 3)[:1],
            *journal.records()[1:3],
            self.again(),
            change(3.0, A, Pending(), Running()),
            *many(3, 2)[:1],
            *journal.records()[6:],
        ]
        assert len(journal.records()) == 8

    def test_what_is_not_committed_is_in_no_history(self, journal: MemoryJournal) -> None:
        journal.record(many(5, 2))
        assert journal.history(RunKey("m-1", 5)) == []
        journal.commit()
        assert journal.history(RunKey("m-1", 5)) == one_of_many(5)

    @pytest.mark.parametrize("record", many(2, 3))
    def test_a_record_of_many_is_as_many_of_one(self, record: Any) -> None:
        assert list(unpacked(record)) == [record.one(place) for place in range(3)]
        assert [entry.key for entry in unpacked(record)] == [RunKey("m-1", index) for index in (2, 3, 4)]

    def test_a_record_of_one_stands_for_itself(self) -> None:
        entry = self.again()
        assert list(unpacked(entry)) == [entry]


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
