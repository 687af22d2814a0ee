"""The program that runs Task Bench's graphs in our chunks as plain Dask tasks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from dask.local import get_sync

from tests.benchmarks.chunked import Chunk, graph_of, numbered
from tests.benchmarks.patterns import NAMES, pattern

ROOT = Path(__file__).resolve().parents[2]


def test_bodies_are_numbered_as_they_are_called() -> None:
    assert numbered(pattern("tree", 4, 3)) == [
        (0, ()),
        (1, (0,)),
        (2, (0,)),
        (3, (1,)),
        (4, (1,)),
        (5, (2,)),
        (6, (2,)),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_chunks_call_each_body_with_what_it_reads(name: str) -> None:
    what = pattern(name, 6, 5)
    last = what.tasks - 1
    # Chunks that read each other both ways would be none: these are steps, cut in two.
    cut: list[Chunk] = []
    at = 0
    for reads in what.steps:
        half = at + (len(reads) + 1) // 2
        cut += [Chunk([*some]) for some in (range(at, half), range(half, at + len(reads))) if some]
        at += len(reads)
    home = next(place for place, one in enumerate(cut) if last in one.numbers)

    assert get_sync(graph_of(what, cut, 0.0), ("chunk", home))[last] == 5


@pytest.mark.cluster
@pytest.mark.slow
def test_the_program_prints_all_shares_for_each_graph() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.benchmarks.chunked",
            "--width=8",
            "--steps=6",
            "--reps=1",
            "--micros=200",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == list(NAMES)
    assert all(0 < float(share) <= 1 for row in rows for share in row[2:10:3])
