"""Twenty secrets go through a flow in every way there is; none stands in anything that was written or printed."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.security.canaries import canaries_in, forms_of, hits

ROOT = Path(__file__).resolve().parents[2]
FLOW = Path(__file__).with_name("secret_flow.py")
# What stands behind the bar is there to be quoted in many ways; a piece that leaks has the name before it.
SHAPES = ("{}", "{}|p@ss/w:rd %", "{}|\"quo'ted\\back", "{}|ünï-çødé", "{}|line\nline two")
VALUES = {f"CANARY_{n:02}": SHAPES[n % len(SHAPES)].format(f"canary{n:02}is0secret") for n in range(20)}


@pytest.fixture(autouse=True)
def _canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)


class Cage:
    """A home, a folder to work in and one for temporary files, and programs that have no other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("home", "tmp", "work"):
            (root / name).mkdir()
        self.environment = {
            **os.environ,
            "HOME": str(root / "home"),
            "TMPDIR": str(root / "tmp"),
            "DASK_TEMPORARY_DIRECTORY": str(root / "tmp"),
            "CANARY_ROOT": str(root),
            "PYTHONPATH": str(ROOT),
            "PREFECTLITE__CONTEXT__SECRETS__FROM_SETTINGS": VALUES["CANARY_12"],
            "PREFECTLITE__CONTEXT__SECRETS__GIVEN": VALUES["CANARY_03"],
            "PREFECTLITE__CONTEXT__SECRETS__GOT": json.dumps({"deep": VALUES["CANARY_04"]}),
            "PREFECTLITE_LOGGING_LEVEL": "DEBUG",
        }

    def run(self, *command: str, stdin: str | None = None) -> tuple[int, str]:
        """Run a program; nothing that it says and nothing that it leaves holds a canary."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.root / "work",
            env=self.environment,
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=170,
        )
        said = done.stdout + done.stderr
        leaks = canaries_in(said.encode())
        assert leaks == [], around(said, leaks)
        assert hits(self.root) == []
        return done.returncode, said

    def prefectlite(self, *arguments: str, stdin: str | None = None) -> tuple[int, str]:
        return self.run("-m", "prefectlite.cli", *arguments, stdin=stdin)


def around(text: str, leaks: Sequence[int]) -> str:
    core = VALUES[f"CANARY_{leaks[0]:02}"].split("|")[0] if leaks else ""
    at = max(text.find(core) - 300, 0)
    return text[at : at + 500]


@pytest.fixture
def cage(tmp_path: Path) -> Cage:
    return Cage(tmp_path)


def whole(said: str) -> None:
    """The run went to its end, and its bodies said what they say."""
    assert re.search(r"^END \d\d", said, re.MULTILINE), said[-2000:]
    assert not re.findall(r"^HIT .*", said, re.MULTILINE)
    assert said.count("**********") > 300
    for words in ("cannot log in with **********", "printed **********", "half a line of **********"):
        assert words in said
    for words in ("in a process of its own: **********", "caught", "handled <Failed", "no trigger with **"):
        assert words in said


@pytest.mark.slow
@pytest.mark.cluster
def test_on_a_cluster_of_its_own_nothing_tells_a_secret(cage: Cage) -> None:
    status, said = cage.run(str(FLOW), "dask")
    assert status == 0, said[-2000:]
    whole(said)


def test_in_one_process_nothing_tells_a_secret(cage: Cage) -> None:
    status, said = cage.run(str(FLOW), "local")
    assert status == 0, said[-2000:]
    whole(said)


@pytest.mark.parametrize(("how", "told"), [("raise", "no such key"), ("refuse", "login")])
def test_an_exception_that_ends_a_script_does_not_tell_it(cage: Cage, how: str, told: str) -> None:
    status, said = cage.run(str(FLOW), how)
    assert status == 1
    assert "Traceback" in said
    assert told in said


def parameters(**changes: object) -> str:
    password = VALUES["CANARY_07"]
    return json.dumps(
        {
            "box": VALUES["CANARY_06"],
            "login": {"user": "somebody", "password": password},
            "keys": {"first": VALUES["CANARY_08"], "more": [VALUES["CANARY_09"]]},
            **changes,
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("where", [["--local"], ["--workers", "1"]])
def test_the_command_line_tells_no_secret(cage: Cage, where: list[str]) -> None:
    arguments = ["run", str(FLOW), "--param-file", "/dev/stdin", "--log-level", "debug", *where]
    status, said = cage.prefectlite(*arguments, stdin=parameters())
    assert status == 0
    assert "secrets ended Success" in said
    assert said.count("**********") > 100


@pytest.mark.slow
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_the_command_line_does_not_quote_a_parameter_that_does_not_fit(cage: Cage, debug: list[str]) -> None:
    wrong = {"user": ["none"], "password": VALUES["CANARY_18"]}
    status, said = cage.prefectlite(
        *("run", str(FLOW), "--local", "--param-file", "/dev/stdin", *debug), stdin=parameters(login=wrong)
    )
    assert status == 2
    assert "'login'" in said


@pytest.mark.slow
def test_neither_description_nor_settings_show_one(cage: Cage) -> None:
    for arguments in (("describe", str(FLOW)), ("describe", str(FLOW), "--json"), ("config",)):
        status, said = cage.prefectlite(*arguments)
        assert status == 0
        assert "secrets" in said


def test_a_canary_is_found_wherever_it_stands(tmp_path: Path) -> None:
    value = VALUES["CANARY_03"]
    for content in (
        value.encode(),
        json.dumps(value).encode(),
        b"?" + base64.b64encode(b"x" + value.encode()),
    ):
        assert canaries_in(content) == [3]
    assert all(canaries_in(form) for form in forms_of("canary03is0secret"))
    assert canaries_in(b"canary") == []
    (tmp_path / "file").write_text(value)
    assert len(hits(tmp_path)) == 1
