"""What a worker had begun is known after its death."""

from __future__ import annotations

import subprocess
import sys

import pytest

from prefectlite.worker import marks
from prefectlite.worker.marks import Marks

KEY = ("etl.load-1-0123abcd", 7, 1, 2, 3)


def finish(marks_of_a_worker, key):
    begun = marks_of_a_worker.begin(key)
    marks_of_a_worker.end(begun)


def test_marks_outlive_the_process_that_made_them(tmp_path):
    here = Marks(str(tmp_path), threads=1)
    source = (
        "import os, sys; from prefectlite.worker.marks import Marks; "
        f"Marks({str(tmp_path)!r}).begin({KEY!r}); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", source], check=False, timeout=30)

    assert KEY in here


@pytest.mark.parametrize("at", range(5))
def test_each_part_of_a_key_counts(tmp_path, at):
    here = Marks(str(tmp_path), threads=1)
    here.begin(KEY)
    other = list(KEY)
    other[at] = "etl.load-1-0123abce" if at == 0 else KEY[at] + 1

    assert tuple(other) not in here


def test_the_oldest_marks_are_overwritten(tmp_path, monkeypatch):
    monkeypatch.setattr(marks, "PLACES", 3)
    here = Marks(str(tmp_path), threads=1)
    keys = [("f.t-1-00000000", index, 1, 1, 1) for index in range(4)]
    for key in keys:
        finish(here, key)

    assert [key in here for key in keys] == [False, True, True, True]


def test_the_mark_of_what_still_runs_stays_however_much_comes_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(marks, "PLACES", 3)
    here = Marks(str(tmp_path), threads=1)
    here.begin(KEY)
    for index in range(7):
        finish(here, ("f.t-1-00000000", index, 1, 1, 1))

    assert KEY in here


def test_with_more_running_than_there_is_room_for_the_newest_marks_count(tmp_path, monkeypatch):
    monkeypatch.setattr(marks, "PLACES", 2)
    here = Marks(str(tmp_path), threads=1)
    keys = [("f.t-1-00000000", index, 1, 1, 1) for index in range(3)]
    for key in keys:
        here.begin(key)

    assert [key in here for key in keys] == [False, True, True]


def test_a_mark_is_found_at_its_place_alone(tmp_path):
    here = Marks(str(tmp_path), threads=1)
    mark = marks.mark_of(KEY)
    here._map[69 : 69 + len(mark)] = mark

    assert KEY not in here


def test_without_a_file_there_are_no_marks(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Marks(str(tmp_path))


def test_it_is_known_how_many_bodies_ran_at_the_end(tmp_path):
    here = Marks(str(tmp_path), threads=2)
    there = Marks(str(tmp_path))
    for index in range(3):
        begun = there.begin(("f.t-1-00000000", index, 1, 1, 1))
        begun.record.word[0] = 1
        if index == 1:
            begun.record.end()
            there.end(begun)

    assert here.snapshot().running == 2


def test_as_much_is_kept_of_bundles_of_one_as_of_what_travels_alone(tmp_path):
    here, there = Marks(str(tmp_path), threads=1), Marks(str(tmp_path))
    keys = [("f.t-1-00000000", index, 1, 1, 1, 1 + index) for index in range(marks.ALONE[0])]
    for key in [("f.t-1-00000000", 0, 1, 1, 1, 9_999), *keys]:
        begun = there.begin(key, 1)
        begun.record.word[0] = 1
        begun.record.end()
        there.end(begun)

    assert all(here.record(key) is not None for key in keys)
    snapshot = here.snapshot()
    assert all(snapshot.record(key) is not None for key in keys)


def test_bundles_of_many_have_records_of_their_own(tmp_path):
    here, there = Marks(str(tmp_path), threads=1), Marks(str(tmp_path))
    begun = there.begin((*KEY, 1), 1000)
    begun.record.word[0] = 1
    begun.record.keep(1, 2.0, 3.0, b"." * 50_000)
    begun.record.end()
    for serial in range(2, 2 + marks.ALONE[0]):
        there.begin((*KEY, serial), 1)

    assert here.record((*KEY, 1))[-50_000:] == b"." * 50_000
