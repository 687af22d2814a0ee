"""Tasks that move, copy, list, remove and pack files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, task
from prefectlite.errors import DefinitionError
from prefectlite.tasks.files import Copy, Glob, Move, Remove, Unzip, Zip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file, and a folder in it with two more."""
    (tmp_path / "data" / "inner").mkdir(parents=True)
    for name in ("b.csv", "a.csv", "inner/c.csv"):
        (tmp_path / "data" / name).write_text(name)
    return tmp_path / "data"


def names(folder: Path) -> list[str]:
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())


def test_files_are_listed_packed_unpacked_and_removed_in_a_flow(folder: Path, tmp_path: Path) -> None:
    archive, there = tmp_path / "data.zip", tmp_path / "there"

    @task
    def size(path: Path) -> int:
        return len(path.read_text())

    with Flow("files") as flow:
        packed = Zip(source_path=str(folder))(zip_path=archive)
        opened = Unzip(archive, there)(upstream_tasks=[packed])
        found = Glob(pattern="**/*.csv")(path=opened)
        sizes = size.map(found)
        removed = Remove(archive)(upstream_tasks=[sizes])
    state = flow.run(executor=LocalExecutor())

    assert state.is_successful(), state.result
    assert state.result[sizes].result == [5, 5, 11]
    assert [one.name for one in state.result[found].result] == ["a.csv", "b.csv", "c.csv"]
    assert names(there) == ["data/a.csv", "data/b.csv", "data/inner/c.csv"]
    assert state.result[opened].result == there
    assert state.result[removed].result is None
    assert not archive.exists()


def test_a_file_or_folder_is_moved_or_copied(folder: Path, tmp_path: Path) -> None:
    assert Move().run(folder / "a.csv", tmp_path / "moved.csv") == tmp_path / "moved.csv"
    assert Move(folder / "b.csv").run(target_path=str(tmp_path)) == tmp_path / "b.csv"
    assert Copy(tmp_path / "b.csv", folder).run() == folder / "b.csv"
    assert Copy(target_path=tmp_path / "twin").run(source_path=str(folder)) == tmp_path / "twin"

    assert names(folder) == names(tmp_path / "twin") == ["b.csv", "inner/c.csv"]
    with pytest.raises(FileExistsError):
        Copy(folder, tmp_path / "twin").run()


def test_a_file_or_an_empty_folder_is_removed(folder: Path) -> None:
    Remove(folder / "inner" / "c.csv").run()
    Remove().run(folder / "inner")

    assert names(folder) == ["a.csv", "b.csv"]
    with pytest.raises(OSError, match="not empty"):
        Remove(folder).run()


@pytest.mark.parametrize("method", ["deflate", "store", "bzip2", "lzma"])
def test_files_of_many_places_are_packed_as_asked(method: str, folder: Path, tmp_path: Path) -> None:
    Zip([folder / "a.csv", folder / "inner"], tmp_path / "some.zip", method, 9).run()

    with zipfile.ZipFile(tmp_path / "some.zip") as packed:
        assert packed.namelist() == ["a.csv", "inner/c.csv"]
        assert packed.read("a.csv") == b"a.csv"


def test_an_archive_is_unpacked_where_one_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Zip(folder / "a.csv", tmp_path / "one.zip").run()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert Unzip().run(tmp_path / "one.zip", password="needs none") == tmp_path / "here"
    assert names(tmp_path / "here") == ["a.csv"]


@pytest.mark.parametrize(
    ("made", "option"),
    [
        (Move(name="t"), "source_path"),
        (Move(__file__, name="t"), "target_path"),
        (Copy(name="t"), "source_path"),
        (Remove(name="t"), "path"),
        (Glob(name="t"), "path"),
        (Zip(name="t"), "source_path"),
        (Zip([], "x.zip", name="t"), "source_path"),
        (Zip(__file__, name="t"), "zip_path"),
        (Unzip(name="t"), "zip_path"),
    ],
)
def test_a_path_that_is_missing_is_named(made: Any, option: str) -> None:
    with pytest.raises(ValueError, match=f"Task 't' has no {option}; give it one when it is made"):
        made.run()


@pytest.mark.parametrize(
    "made", [Move("/no/x", "y"), Copy("/no/x", "y"), Remove("/no/x"), Zip("/no/x", "y"), Unzip("/no/x")]
)
def test_what_is_not_there_is_named(made: Any) -> None:
    with pytest.raises(ValueError, match=rf"Task '{made.name}' was given \w+='/no/x', and there is nothing"):
        made.run()


def test_what_is_no_archive_or_no_method_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"'Unzip' was given zip_path='.*test_files\.py', which is no zip file"
    ):
        Unzip(__file__).run()
    with pytest.raises(
        DefinitionError, match="'Zip' has compression_method='rar'; give one of deflate, store"
    ):
        Zip("x", "y", "rar")
