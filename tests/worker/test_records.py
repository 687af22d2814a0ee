"""What a task had come to is known after its process died in the middle."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import pytest

from prefectlite.lowering.wrappers import Done, Held, Noted, NotedDone, Succeeded
from prefectlite.states.report import Report
from prefectlite.states.state import Cached, Failed, Success
from prefectlite.worker import marks, records
from prefectlite.worker.records import (
    AGAIN,
    DROPPED,
    ENTRY_SIZE,
    FACTS,
    HEAD,
    LOST,
    NOWHERE,
    SAID,
    VALUE,
    Found,
    Kept,
    Record,
    read_record,
    trimmed,
)
from prefectlite.worker.revival import keep_said, keep_success, revive
from prefectlite.worker.wire import decode, encode, plain_facts

KEY = ("etl.load-1-0123abcd", 7, 1, 2, 3)


def memory(size=4096):
    return memoryview(bytearray(b"\xaa" * size))


def test_what_is_written_is_read():
    where = memory()
    record = Record(where)
    record.begin(3)
    assert read_record(bytes(where)) == Found(0, [])
    record.word[0] = 1
    assert read_record(bytes(where)) == Found(1, [])
    record.keep(VALUE, 1.0, 2.0, b"one")
    # Not known to be whole before the next one began.
    assert read_record(bytes(where)) == Found(1, [])
    record.word[0] = 2
    first = Kept(VALUE, 1.0, 2.0, b"one")
    assert read_record(bytes(where)) == Found(2, [first])
    record.keep(SAID, 3.0, 4.0, b"")
    record.end()
    both = Found(2, [first, Kept(SAID, 3.0, 4.0, b"")])
    assert read_record(bytes(where)) == both
    assert len(trimmed(bytes(where))) == HEAD + 2 * ENTRY_SIZE + 3
    assert read_record(trimmed(bytes(where))) == both
    record.end()
    assert read_record(bytes(where)) == both


def test_what_has_no_room_is_said_to_have_ended_all_the_same():
    where = memory(HEAD + 3 * ENTRY_SIZE + 10)
    record = Record(where)
    record.begin(3)
    for slot, payload in enumerate((b"x" * 8, b"y" * 3, b"z" * 2)):
        record.word[0] = slot + 1
        record.keep(VALUE, 1.0, 2.0, payload)
    record.end()
    found = read_record(bytes(where))
    assert [(one.kind, one.payload) for one in found.kept] == [
        (VALUE, b"x" * 8),
        (LOST, b""),
        (VALUE, b"z" * 2),
    ]


def test_with_more_slots_than_there_is_room_for_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(marks, "BUNDLED", (2, 200))
    here = marks.Marks(str(tmp_path), threads=1)
    key = (*KEY, 1)
    begun = here.begin(key, 7)
    assert begun.record is NOWHERE
    NOWHERE.word[0] = 1
    NOWHERE.keep(VALUE, 1.0, 2.0, b"x")
    NOWHERE.end()
    here.end(begun)
    assert key in here
    assert here.record(key) is None
    assert here.begin((*KEY, 2), 6).record is not NOWHERE
    # All in use: the third has to do without.
    assert here.begin((*KEY, 3), 6).record is not NOWHERE
    assert here.begin((*KEY, 4), 6).record is NOWHERE


@pytest.mark.parametrize(
    ("wrapper", "report"),
    [
        (Succeeded([1], 1.0, 2.0, 4), Report(None, 1.0, 2.0, pickle.dumps([1]), 17)),
        (
            Noted([1], 1.0, 2.0, 4),
            Report(None, 1.0, 2.0, pickle.dumps([1]), 17, length=1, success=Success("done")),
        ),
        (Done(1.0, 2.0, 4), Report(None, 1.0, 2.0, pickle.dumps([1]), 17)),
        (Done(1.0, 2.0, 4), Report(None, 1.0, 2.0, None, 10**6)),
        (Done(1.0, 2.0, 4), Report(None, 1.0, 2.0, None, 10**6, length=3)),
        (Noted([1], 1.0, 2.0, 4), Report(None, 1.0, 2.0, pickle.dumps([1]), 17, success=Cached("found"))),
        (NotedDone(1.0, 2.0, 4), Report(None, 1.0, 2.0, pickle.dumps([1]), 17, location="there")),
    ],
)
def test_a_plain_success_is_revived_as_it_was(wrapper, report):
    where = memory()
    record = Record(where)
    record.begin(1)
    facts = plain_facts(report)
    record.word[0] = 1
    keep_success(record, wrapper, facts)
    record.end()
    found, told = revive(read_record(bytes(where)).kept[0], (*KEY[:3], 4, 3))
    assert type(found) is type(wrapper)
    assert (found.started, found.ended, found.attempt) == (1.0, 2.0, 4)
    assert getattr(found, "value", None) == getattr(wrapper, "value", None)
    assert told == (*facts[:3], len(facts[2]) if facts[2] else facts[3], *facts[4:])


def test_a_value_that_was_too_large_or_cannot_be_opened_is_not_revived():
    where = memory()
    record = Record(where)
    record.begin(2)
    record.word[0] = 1
    keep_success(
        record, Succeeded("x" * 10**6, 1.0, 2.0, 4), plain_facts(Report(None, 1.0, 2.0, None, 10**6))
    )
    record.word[0] = 2
    record.keep(VALUE, 1.0, 2.0, b"no pickle")
    record.end()
    found = read_record(bytes(where))
    assert [one.kind for one in found.kept] == [LOST, VALUE]
    assert [revive(one, KEY) for one in found.kept] == [None, None]
    assert {DROPPED, FACTS} == {2, 3}


def test_what_was_said_is_said_again():
    where = memory()
    record = Record(where)
    record.begin(1)
    record.word[0] = 1
    keep_said(record, (2, KEY), 1.0, 2.0)
    record.end()
    wrapper, item = revive(read_record(bytes(where)).kept[0], KEY)
    assert isinstance(wrapper, Held)
    assert item == wrapper.said == (2, KEY)


def test_what_was_said_once_more_is_said_with_its_own_name_and_times():
    where = memory()
    record = Record(where)
    record.begin(5)
    for slot, (kind, payload) in enumerate(
        [(VALUE, b"x"), (SAID, None), (VALUE, b"y"), (AGAIN, b""), (AGAIN, b"")]
    ):
        record.word[0] = slot + 1
        if kind == SAID:
            keep_said(record, encode(KEY, Report(Failed("no"), 1.0, 2.0)), 1.0, 2.0)
        else:
            record.keep(kind, slot + 0.25, slot + 0.5, payload)
    record.end()
    read = read_record(trimmed(bytes(where)))
    assert read == read_record(bytes(where))
    other = (*KEY[:-1], 7)
    first, again = revive(read.kept[1], KEY)[1], revive(read.kept[4], other)[1]
    assert again == (*first[:1], other, *first[2:5], 4.25, 4.5)
    assert decode(again).state.message == "no"


def test_what_was_said_once_more_is_lost_with_what_had_no_room():
    where = memory(200)
    record = Record(where)
    record.begin(3)
    for slot, (kind, payload) in enumerate([(SAID, b"x" * 40), (SAID, b"y" * 10**5), (AGAIN, b"")]):
        record.word[0] = slot + 1
        record.keep(kind, 1.0, 2.0, payload)
    record.end()
    assert [one.kind for one in read_record(bytes(where)).kept] == [SAID, LOST, LOST]


def test_a_record_outlives_its_process(tmp_path):
    from prefectlite.worker.marks import Marks

    here = Marks(str(tmp_path), threads=1)
    key = (*KEY, 1)
    source = (
        "import os, sys\n"
        "from prefectlite.worker.marks import Marks\n"
        f"record = Marks({str(tmp_path)!r}).begin({key!r}, 100).record\n"
        "for slot in range(50):\n"
        "    record.word[0] = slot + 1\n"
        "    if slot == 49: os.kill(os.getpid(), 9)\n"
        "    record.keep(1, 1.0, 2.0, b'%d' % slot)\n"
    )
    subprocess.run([sys.executable, "-c", source], check=False, timeout=30, env={**os.environ})

    found = read_record(here.snapshot().record(key))
    assert found.begun == 50
    assert [one.payload for one in found.kept] == [b"%d" % slot for slot in range(49)]
    assert found == read_record(here.record(key))
    assert here.record(key, whole=True) is here.snapshot().record(key, whole=True) is None
    assert here.record((*KEY, 2)) is None
    assert records.is_whole(bytes(HEAD))
