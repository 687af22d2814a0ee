"""The census as a flow: in this process, and on a cluster with files that are hard to speak of."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from prefectlite import DaskExecutor, LocalExecutor
from prefectlite.examples import census
from prefectlite.states.state import Failed, Skipped, Success, TriggerFailed


@pytest.fixture
def code(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    for name, source in {
        "shop/__init__.py": '"""A shop."""\n',
        "shop/till.py": "def pay(x):\n    '''Pay.'''\n    return x\n",
        "alone.py": "class A: ...\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source)
    return root


def run(root: Path | None, output: Path, executor=None, **parameters):
    state = census.flow.run(root=root, output=output, executor=executor or LocalExecutor(), **parameters)
    slugs = {census.flow.slugs[task]: one for task, one in state.result.items()}
    return state, slugs


def test_a_clean_folder_is_counted_per_package_and_written_down(code, tmp_path):
    output = tmp_path / "census.json"
    state, tasks = run(code, output)
    assert type(state) is Success
    report = json.loads(output.read_text())
    assert report["roots"] == [str(code)]
    assert report["states"] == {"Success": 3}
    assert {name: one["files"] for name, one in report["packages"].items()} == {"shop": 2, "alone": 1}
    assert report["changes"] is None
    assert f"Report: {output}" in tasks["report-1"].result
    assert type(tasks["list_failures-1"]) is TriggerFailed
    assert type(tasks["compare-1"]) is Skipped
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["census.json"]


def test_files_that_do_not_parse_fail_alone_and_are_listed_with_the_reason(code, tmp_path):
    (code / "shop" / "broken.py").write_text("def f(:\n")
    (code / "shop" / "binary.py").write_bytes(b"x = 1\x00")
    state, tasks = run(code, tmp_path / "census.json")
    assert type(state) is Success
    assert [type(one) for one in tasks["parse-1"].map_states] == [Success, Success, Failed, Failed, Success]
    assert [type(one) for one in tasks["measure-1"].map_states].count(TriggerFailed) == 2
    assert json.loads((tmp_path / "census.json").read_text())["states"] == {"Success": 3, "Failed": 2}
    listed = Path(tasks["list_failures-1"].result).read_text().splitlines()
    assert len(listed) == 2
    assert "null bytes" in listed[0]
    assert listed[1].startswith(f"{code}/shop/broken.py: SyntaxError: invalid syntax")


@pytest.mark.cluster
@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no UTF-8")
def test_on_a_cluster_each_kind_of_broken_file_says_why(code, tmp_path, client, capfd):
    broken = {
        b"a.py": b"def f(:\n",
        b"b.py": b"x = 1\x00",
        b"c.py": b"'\xe9'",
        b"caf\xe9.py": b"print 'x'\n",
    }
    for name, content in broken.items():
        (code / "shop" / os.fsdecode(name)).write_bytes(content)
    (code / "shop" / "loop.py").symlink_to("loop.py")
    state, tasks = run(code, tmp_path / "census.json", executor=DaskExecutor(client))
    assert type(state) is Success
    failed = [one for one in tasks["parse-1"].map_states if isinstance(one, Failed)]
    expected = [
        "invalid syntax (a.py",
        "source code string cannot contain null bytes",
        "(unicode error) 'utf-8' codec can't decode byte 0xe9",
        "Missing parentheses in call to 'print'.",
        f"[Errno 40] Too many levels of symbolic links: '{code}/shop/loop.py'",
    ]
    for one, text in zip(failed, expected, strict=True):
        assert str(one.result).startswith(text)
    listed = Path(tasks["list_failures-1"].result).read_text()
    assert f"{code}/shop/caf\\xe9.py: SyntaxError: Missing parentheses" in listed
    assert "caf" not in tasks["report-1"].result
    # Dask's workers would log each of these failures as an error of theirs.
    assert "Compute Failed" not in capfd.readouterr().err


def test_a_second_run_tells_what_changed(code, tmp_path):
    run(code, tmp_path / "census.json")
    (code / "more.py").write_text("def g():\n    pass\n")
    _, tasks = run(code, tmp_path / "census.json")
    assert tasks["compare-1"].result == {"files": 1, "lines": 2, "functions": 1, "classes": 0}
    assert "Since the earlier report: +1 files, +2 lines, +1 functions." in tasks["report-1"].result


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not a report"),
        ("[]", "is not a report"),
        ('{"total": {"files": 1}}', "is not a report"),
        (
            '{"roots": [], "total": {"files": 1, "lines": 1, "functions": 1, "classes": 1}}',
            "is of other folders",
        ),
    ],
)
def test_a_file_that_is_no_report_of_these_folders_is_no_obstacle(content, says, code, tmp_path):
    (tmp_path / "census.json").write_text(content)
    state, tasks = run(code, tmp_path / "census.json")
    assert type(state) is Success
    assert type(tasks["compare-1"]) is Skipped
    assert says in tasks["compare-1"].message


def test_a_root_that_is_no_folder_fails_the_flow_and_says_so(tmp_path):
    state, tasks = run(tmp_path / "nowhere", tmp_path / "census.json")
    assert type(state) is Failed
    assert "nowhere" in str(tasks["find_files-1"].result)
    assert isinstance(tasks["total_up-1"], Failed)
    assert "nowhere" in Path(tasks["list_failures-1"].result).read_text()
    assert not (tmp_path / "census.json").exists()


def test_an_empty_folder_makes_an_empty_report(tmp_path):
    (tmp_path / "empty").mkdir()
    state, _ = run(tmp_path / "empty", tmp_path / "census.json")
    assert type(state) is Success
    assert json.loads((tmp_path / "census.json").read_text())["total"]["files"] == 0


def test_the_default_root_is_this_interpreters_own_code_and_a_limit_keeps_it_short(tmp_path):
    state, tasks = run(None, tmp_path / "census.json", limit=5)
    assert type(state) is Success
    assert len(tasks["parse-1"].map_states) == 5


def test_a_negative_limit_is_refused(code, tmp_path):
    state, tasks = run(code, tmp_path / "census.json", limit=-1)
    assert type(state) is Failed
    assert "limit=-1 is negative" in str(tasks["find_files-1"].result)


def test_a_folder_that_is_busy_for_a_moment_is_tried_again(code, tmp_path, monkeypatch):
    written = Path.replace
    tries = []

    def replace(self, target):
        if target.name == "census.json":
            tries.append(target)
            if len(tries) == 1:
                raise OSError(errno.EBUSY, "Device or resource busy")
        return written(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    state, _ = run(code, tmp_path / "census.json")
    assert type(state) is Success
    assert len(tries) == 2
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["census.json"]


def test_only_errors_that_may_pass_are_worth_a_retry():
    assert census.is_transient(OSError(errno.ESTALE, "Stale file handle"))
    assert not census.is_transient(PermissionError(errno.EACCES, "Permission denied"))
    assert not census.is_transient(SyntaxError("invalid syntax"))
