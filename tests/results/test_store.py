"""Stores: what is written is read again whole, or not at all, and never outside."""

from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.errors import PrefectliteError, ResultCorrupt, ResultError, ResultNotFound, ResultUnavailable
from prefectlite.results import FolderStore, FsspecStore, Store
from tests.docs.pages import definitions_of

PARTS = definitions_of("docs/parts.md")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["folder", "fsspec", "own"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Ours, and one of a user's own, from ``docs/parts.md``."""
    if request.param == "own":
        return PARTS["SQLiteStore"](tmp_path / "s")
    return FolderStore(tmp_path / "s") if request.param == "folder" else FsspecStore(f"file://{tmp_path}/s")


def test_what_is_written_is_read(store: Any) -> None:
    assert isinstance(store, Store)
    assert not store.exists("a/b")
    for content in (b"first", b"", b"third" * 1000):
        store.write("a/b", content)
        assert store.read("a/b") == content
        assert store.exists("a/b")
        assert not store.exists("a")


def test_what_is_not_there_is_said_to_be_unavailable(store: Any, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="'a/b' of "):
        store.read("a/b")
    with pytest.raises(ResultUnavailable, match=r"Nothing can be read at 'a/b' of FolderStore"):
        FolderStore(tmp_path).read("a/b")


@pytest.mark.parametrize("store", ["folder", "fsspec"], indirect=True)
def test_what_is_not_there_is_a_file_that_is_not_found_and_travels_as_such(store: Any) -> None:
    with pytest.raises(FileNotFoundError, match="'a/b' of ") as caught:
        store.read("a/b")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is ResultNotFound
    assert str(again) == str(caught.value)


def test_what_is_there_and_cannot_be_read_is_no_file_that_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ResultUnavailable) as caught:
        FolderStore(tmp_path).read("a")
    assert not isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("location", ["", ".", "/", "../x", "a/../../x", "a/..", "/etc/passwd", "a\0b", "a/"])
def test_no_location_leads_out_of_a_store(store: Any, location: str) -> None:
    for act in (store.read, store.exists, lambda name: store.write(name, b"x")):
        with pytest.raises(ResultError, match="does not name a file inside"):
            act(location)


@given(
    location=st.text(st.characters(exclude_categories=()), max_size=40)
    | st.sampled_from(["x" * 300, "\ud800"])
)
def test_whatever_a_location_is_it_stays_inside_and_errors_are_ours(
    location: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outer = tmp_path_factory.mktemp("outer")
    store = FolderStore(outer / "inner")
    try:
        store.write(location, b"x")
        assert store.read(location) == b"x"
    except PrefectliteError:
        pass
    assert names_in(outer) in ([], ["inner"])


def test_a_store_travels_and_is_equal_to_its_like(tmp_path: Path) -> None:
    for store in (FolderStore(tmp_path), FsspecStore(f"file://{tmp_path}")):
        again = pickle.loads(pickle.dumps(store))
        assert again == store
        assert hash(again) == hash(store)
        assert store != FolderStore(tmp_path / "t")
    assert FsspecStore("memory://t") != FsspecStore("memory://t", secret="s")
    assert "secret" not in repr(FsspecStore("memory://t", secret="s"))


class TestFolderStore:
    def test_a_changed_file_is_corrupt(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        store.write("a", b"whole")
        (tmp_path / "a").write_bytes(b"who")
        with pytest.raises(ResultCorrupt, match=r"is not what was written there; delete it, or '\.a\.sum'"):
            store.read("a")

    def test_a_file_that_somebody_else_put_there_is_taken_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"by hand")
        assert FolderStore(tmp_path).read("a") == b"by hand"

    def test_an_absolute_location_may_lead_into_the_folder(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        store.write(f"{tmp_path}/a", b"x")
        assert store.read("a") == b"x"

    def test_writers_at_the_same_time_leave_one_of_their_files(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        contents = [bytes([number]) * 10_000 for number in range(8)]

        def write(content: bytes) -> None:
            for _ in range(20):
                store.write("a", content)

        threads = [threading.Thread(target=write, args=[content]) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert (tmp_path / "a").read_bytes() in contents
        assert names_in(tmp_path) == [".a.sum", "a"]

    def test_a_write_that_fails_leaves_the_old_file_and_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = FolderStore(tmp_path)
        store.write("a", b"old")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ResultError, match=r"Nothing can be written at 'a' of .*No space left on device"):
            store.write("a", b"new")
        assert store.read("a") == b"old"
        assert names_in(tmp_path) == [".a.sum", "a"]

    def test_a_process_that_is_killed_while_it_writes_leaves_a_file_that_is_whole(
        self, tmp_path: Path
    ) -> None:
        store = FolderStore(tmp_path)
        store.write("a", b"old")
        # What stands there between the renames: new bytes, and no sum yet.
        (tmp_path / ".a.sum").unlink()
        (tmp_path / "a").write_bytes(b"new")
        assert store.read("a") == b"new"


def test_fsspec_says_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="Nothing can be written at 'file/a'"):
        FsspecStore(f"file://{tmp_path}").write("file/a", b"x")


def test_whoever_reads_while_others_write_finds_what_one_of_them_wrote(tmp_path: Path) -> None:
    store, contents = FolderStore(tmp_path), [bytes([at]) * 5000 for at in range(3)]
    store.write("x", contents[0])
    over = threading.Event()

    def writes(content: bytes) -> None:
        while not over.is_set():
            store.write("x", content)

    with ThreadPoolExecutor(3) as pool:
        written = [pool.submit(writes, content) for content in contents]
        try:
            assert {store.read("x") for _ in range(300)} <= set(contents)
        finally:
            over.set()
    assert [one.result() for one in written] == [None] * 3
    assert store.read("x") in contents


def test_a_file_that_stays_another_than_its_sum_says_is_corrupt(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write("x", b"1")
    (tmp_path / "x").write_bytes(b"2")
    with pytest.raises(ResultCorrupt, match="is not what was written there"):
        store.read("x")
