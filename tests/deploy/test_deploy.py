"""The deploy example, run as its README says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "run-on-processes.sh"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def run(where: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        cwd=where,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(where),
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
    )


def processes_of(folder: Path) -> list[psutil.Process]:
    """What still runs with the folder in its command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in part for part in process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.mark.cluster
@pytest.mark.slow
def test_the_example_runs_on_processes_of_its_own_and_leaves_nothing_behind(tmp_path):
    done = run(tmp_path, str(ROOT / "deploy" / "pi.py"), "-p", "throws=2000", "-p", "batches=4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pi is about 3.1")
    assert "8000 darts were thrown" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


@pytest.mark.cluster
def test_the_exit_status_is_that_of_the_flow(tmp_path):
    done = run(tmp_path, str(ROOT / "deploy" / "pi.py"), "-p", "throws=none", WORKERS="1")
    assert done.returncode == 2
    assert "'throws'" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_a_python_that_is_not_there_is_named(tmp_path):
    done = run(tmp_path, PYTHON="no-such-python")
    assert done.returncode == 2
    assert "no-such-python" in done.stderr
