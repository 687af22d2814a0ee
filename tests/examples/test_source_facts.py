from __future__ import annotations

import os
import pickle
import sys
import sysconfig
from pathlib import Path

import pytest

from prefectlite.examples import source_facts as facts
from prefectlite.examples.source_facts import Definition, Metrics, SourceFile, Totals

SOURCE = '''"""A module."""

import sys


class Shop:
    """A shop."""

    def open(self):
        if sys.argv:
            def inner():
                return 1
        return inner

    async def close(self):
        """Close."""


try:
    pass
except ValueError:
    def never(): ...
else:
    match sys.argv:
        case []:
            def matched(): ...
'''


def file_with(folder: Path, content: bytes | str, name: str = "shop.py") -> SourceFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return SourceFile(str(path), "shop")


def test_an_outline_has_every_definition_wherever_it_stands(tmp_path):
    found = facts.outline(file_with(tmp_path, SOURCE))
    assert found.documented
    assert found.lines == len(SOURCE.splitlines())
    assert sorted(found.definitions) == [
        Definition("class", "Shop", 11, True),
        Definition("function", "close", 2, True),
        Definition("function", "inner", 2, False),
        Definition("function", "matched", 1, False),
        Definition("function", "never", 1, False),
        Definition("function", "open", 5, False),
    ]
    assert len(pickle.dumps(found)) < 1000


@pytest.mark.parametrize(("content", "lines"), [("", 0), ("x", 1), ("x\n", 1), ("x\n\ny", 3)])
def test_lines_are_counted_as_editors_count_them(content, lines, tmp_path):
    assert facts.outline(file_with(tmp_path, content)).lines == lines


@pytest.mark.parametrize(
    "content",
    [b"def f(:", b"x = 1\x00", b"\xff\xfe", b"# coding: nonsense\n", b"'\xe9'"],
    ids=["syntax", "null byte", "no text", "unknown encoding", "wrong encoding"],
)
def test_what_does_not_parse_or_decode_raises(content, tmp_path):
    with pytest.raises((SyntaxError, ValueError)):
        facts.outline(file_with(tmp_path, content))


def test_an_encoding_that_the_file_declares_is_read(tmp_path):
    assert facts.outline(file_with(tmp_path, b"# coding: latin-1\nx = '\xe9'\n")).lines == 2


def test_old_escapes_warn_nobody(tmp_path, recwarn):
    facts.outline(file_with(tmp_path, "x = '\\d'"))
    assert not recwarn.list


def test_links_in_a_loop_are_an_error_of_their_own_file(tmp_path):
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").symlink_to(tmp_path)
    found = list(facts.python_files([str(tmp_path)]))
    assert [Path(one.path).name for one in found] == ["gone.py", "loop.py"]
    for one in found:
        with pytest.raises(OSError, match=Path(one.path).name):
            facts.outline(one)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (found,) = facts.python_files([str(tmp_path)])
    with pytest.raises(OSError, match="not a regular file"):
        facts.outline(found)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_utf8_is_read_like_any_other(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("x = 1\n")
    (found,) = facts.python_files([str(tmp_path)])
    assert facts.outline(pickle.loads(pickle.dumps(found))).lines == 1


def test_files_come_once_in_a_fixed_order_with_their_top_level_package(tmp_path):
    for name in ("b/two.py", "a/sub/one.py", "alone.py", "a/__pycache__/x.py", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = list(facts.python_files([str(tmp_path), str(tmp_path / "a")]))
    assert [(str(Path(one.path).relative_to(tmp_path)), one.package) for one in found] == [
        ("alone.py", "alone"),
        ("a/sub/one.py", "a"),
        ("b/two.py", "b"),
    ]


def test_folders_that_cannot_be_listed_are_handed_on_as_if_they_were_files(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("")
    (tmp_path / "locked").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "b.py").write_text("")
    (tmp_path / "zlocked").mkdir()
    listed = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = [Path(one.path).name for one in facts.python_files([str(tmp_path)])]
    assert sorted(found) == ["a.py", "b.py", "locked", "zlocked"]
    with pytest.raises(OSError, match="locked"):
        facts.outline(SourceFile(str(tmp_path / "locked"), "locked"))


def test_a_root_that_is_no_folder_is_refused_with_its_name(tmp_path):
    with pytest.raises(NotADirectoryError, match=r"nowhere.*-p root="):
        list(facts.python_files([str(tmp_path / "nowhere")]))


def test_the_standard_library_is_searched_without_what_others_installed_into_it(tmp_path, monkeypatch):
    for name in ("json/one.py", "site-packages/other/two.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    paths = {"stdlib": str(tmp_path), "purelib": str(tmp_path / "site-packages")}
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {**paths, "platlib": paths["purelib"]})
    assert facts.default_roots() == [str(tmp_path), str(tmp_path / "site-packages")]
    assert [one.package for one in facts.python_files(facts.default_roots())] == ["json", "other"]


def metrics(package="shop", lines=10, functions=2, longest="f", path="/a.py"):
    return Metrics(
        SourceFile(path, package), lines, functions, 1, functions + 2, 1, longest, 5 if longest else 0
    )


def test_metrics_are_those_of_the_outline(tmp_path):
    found = facts.measure(facts.outline(file_with(tmp_path, SOURCE)))
    assert (found.functions, found.classes, found.documentable, found.documented) == (5, 1, 7, 3)
    assert (found.longest, found.longest_lines) == ("open", 5)
    empty = facts.measure(facts.outline(file_with(tmp_path, "")))
    assert (empty.longest, empty.longest_lines, empty.documentable) == ("", 0, 1)


def test_totals_are_sums_per_package_the_largest_first():
    census = facts.total_up(
        ["/root"],
        [metrics(path="/a.py"), metrics("big", 100, path="/b.py"), metrics(path="/c.py", longest="")],
        {"Success": 3},
    )
    assert list(census.packages) == ["big", "shop"]
    assert census.total == Totals(3, 120, 6, 3, 12, 3)
    assert census.total.docstring_share == 0.25
    assert census.largest[0] == ("/b.py", 100)
    assert census.longest == [("/a.py", "f", 5), ("/b.py", "f", 5)]
    assert census.to_json()["packages"]["big"]["lines"] == 100


def test_nothing_counted_is_a_census_too():
    census = facts.total_up(["/root"], [], {})
    assert census.total.docstring_share == 0.0
    assert census.packages == {}
