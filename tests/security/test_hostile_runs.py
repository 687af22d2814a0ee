"""Hostile names and values in real runs: each ends in states or a typed error, and leaves no trace elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.security.hostile import NAMES, VALUES, unshowable

ROOT = Path(__file__).resolve().parents[2]
#: Names that a task or a parameter cannot have.
REFUSED = {"", "load[3]", "load@2"}


@pytest.fixture(
    scope="module", params=["local", pytest.param("dask", marks=[pytest.mark.cluster, pytest.mark.slow])]
)
def came_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Any], str]:
    """What the program printed, and what it logged."""
    root = tmp_path_factory.mktemp("hostile")
    (root / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.hostile_flow", request.param],
        cwd=root / "home",
        env={
            **os.environ,
            "HOME": str(root / "home"),
            "TMPDIR": str(root),
            "DASK_TEMPORARY_DIRECTORY": str(root),
            "HOSTILE_ROOT": str(root),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed = done.stdout.split("\n")[:-1]
    logged = [line for line in printed if not line.startswith("{")]
    return [json.loads(line) for line in printed if line.startswith("{")], "\n".join([*logged, done.stderr])


def test_each_run_ends_in_states_or_is_refused_in_words(came_of: tuple[list[Any], str]) -> None:
    of_names = came_of[0][: len(NAMES)]
    assert [one["about"] for one in of_names] == list(NAMES)
    assert {one["about"] for one in of_names if "refused" in one} == REFUSED
    assert all("give a text" in one["refused"] for one in of_names if "refused" in one)
    for one in of_names:
        if "refused" not in one:
            counts = sorted(name for name, _ in one["states"].values())
            assert counts == ["Failed", "Mapped", "Success", "Success", "Success"], one


def test_a_value_harms_its_own_readers_at_most(came_of: tuple[list[Any], str]) -> None:
    of_values = came_of[0][len(NAMES) : -1]
    assert [one["about"] for one in of_values] == list(VALUES)
    for one in of_values:
        assert one["flow"] == "Success", one
        assert one["states"]["counts-1"][0] == "Success", one
        failed = [message for name, message in one["states"].values() if name == "Failed"]
        # Only what cannot be pickled fails, and says so.
        assert all("cannot be" in message for message in failed), failed
        assert not failed or one["about"] == "nested 5,000 deep"


def test_what_is_logged_has_no_raw_control_character(came_of: tuple[list[Any], str]) -> None:
    assert unshowable(came_of[1]) == set()
    lines = came_of[1].splitlines()
    assert sum("| printed " in line for line in lines) > 2 * (len(NAMES) - len(REFUSED))
    # One of the names has a second line that looks like a record.
    assert any("all is well" in line for line in lines)
    assert not any(line.startswith("09:41:07 INFO    etl") for line in lines)


def test_no_file_is_written_elsewhere(came_of: tuple[list[Any], str]) -> None:
    assert came_of[0][-1] == {"outside": []}
