"""The types of the public calls: one run of mypy over what must pass and what must not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_FOUND = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$", re.MULTILINE)
_EXPECTED = re.compile(r"# refused: (?P<code>[a-z-]+)$")

Error = tuple[str, int, str]  # file, line, mypy's code


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[Error]:
    cache = tmp_path_factory.mktemp("mypy")
    asked = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports",
        "silent",
        "--cache-dir",
        str(cache),
    ]
    files = [str(HERE / name) for name in ("api.py", "refused.py")]
    run = subprocess.run([*asked, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return {(Path(one["file"]).name, int(one["line"]), one["code"]) for one in _FOUND.finditer(run.stdout)}


@pytest.mark.slow
def test_every_public_call_has_the_type_that_it_should(found: set[Error]) -> None:
    assert {error for error in found if error[0] != "refused.py"} == set()


@pytest.mark.slow
def test_a_wrong_call_is_refused_by_the_type_checker(found: set[Error]) -> None:
    lines = (HERE / "refused.py").read_text().splitlines()
    expected = {
        ("refused.py", number, match["code"])
        for number, line in enumerate(lines, start=1)
        if (match := _EXPECTED.search(line))
    }
    assert len(expected) > 15
    assert {error for error in found if error[0] == "refused.py"} == expected
