"""The README's Python, run, and its two commands, which are what ``.ci/run`` exercises."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import FENCE, ROOT, python_of

README = ROOT / "README.md"
CI = ROOT / ".ci" / "run"


def run_script(text: str, where: Path) -> subprocess.CompletedProcess[str]:
    script = where / "README.py"
    script.write_text(python_of(text))
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=where,
        capture_output=True,
        text=True,
        timeout=150,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.cluster
def test_the_python_of_the_readme_runs_as_a_script(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    assert FENCE.search(text)

    done = run_script(text, tmp_path)

    assert done.returncode == 0, done.stderr


def test_a_planted_error_is_caught_at_its_line(tmp_path: Path) -> None:
    done = run_script("# Title\n\n```python\nx = 1\n```\nwords\n```python\nx / 0\n```\n", tmp_path)

    assert done.returncode == 1
    assert "line 8" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def shown_by_ci(root: Path) -> list[str]:
    done = subprocess.run(
        ["bash", str(root / ".ci" / "run"), "--show"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_ci_runs_the_commands_of_the_readme() -> None:
    commands = shown_by_ci(ROOT)

    assert commands == [
        "python -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest",
        "python -m venv .venv && .venv/bin/pip install -q . && .venv/bin/prefectlite run",
    ]
    lines = [line.strip() for line in README.read_text(encoding="utf-8").splitlines()]
    assert [lines.count(command) for command in commands] == [1, 1]


@pytest.mark.parametrize("lost", ["pytest", "prefectlite run"])
def test_ci_refuses_a_readme_that_lost_a_command(lost: str, tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_bytes(CI.read_bytes())
    kept = [
        line for line in README.read_text(encoding="utf-8").splitlines() if not line.strip().endswith(lost)
    ]
    (tmp_path / "README.md").write_text("\n".join(kept))

    with pytest.raises(AssertionError, match="README"):
        shown_by_ci(tmp_path)


def test_the_console_script_of_the_readme_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["scripts"] == {"prefectlite": "prefectlite.cli.main:main"}
    extras = {"schedules", "notify", "draw", "report", "pandas", "tls", "test", "dev"}
    assert set(project["optional-dependencies"]) == extras
