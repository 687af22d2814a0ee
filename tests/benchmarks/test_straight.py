"""One small run of the benchmark program, so that it cannot rot; its figures mean nothing at this size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import straight
from tests.benchmarks.rows import ALONE, ON_THE_CLUSTER
from tests.benchmarks.table import Line

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.cluster
@pytest.mark.slow
def test_the_program_measures_every_row(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.benchmarks.straight",
            "--tasks",
            "100",
            "--reps",
            "1",
            "--json",
            str(figures),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    lines = json.loads(figures.read_text())
    assert {line["row"] for line in lines} == {*ON_THE_CLUSTER, *ALONE}
    exact = {line["what"]: line["value"] for line in lines if line["row"] == "state-edge"}
    assert exact["the counter misses a data edge"] == 0


def test_a_row_that_cannot_run_is_named_and_fails_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> list[Line]:
        raise RuntimeError("planted")

    monkeypatch.setitem(straight.ALONE, "import", broken)

    assert straight.main(["--rows", "import"]) == 1
    assert "RuntimeError: planted" in capsys.readouterr().out


@pytest.mark.parametrize(("value", "verdict"), [(1.2, "ok"), (1.3, "ok"), (1.31, "over")])
def test_a_line_says_whether_its_target_holds(value: float, verdict: str) -> None:
    assert Line("chain", "wall", value, 1.3).verdict == verdict
