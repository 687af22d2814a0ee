"""Which Dask tasks of ours a worker has begun, written where its death does not reach. Knows keys.

A map of a file belongs to the system, not to the process: what was written before a crash is still there
after it. So whoever shares the machine with a worker that died can tell what it had begun, and what that had
come to, from what had only been sent to it.

The file begins with a word by which its reader stops the writer: whoever was taken for dead and is not begins
nothing more. Then come marks, one for each task that began lately, and records of two sizes, which hold less
of the past but more of each.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.worker.records import ENTRY_SIZE, HEAD, NOWHERE, Record, is_whole, trimmed

#: The file's name in the worker's own directory.
FILE_NAME: Final = "prefectlite-begun"
#: How many tasks are remembered: all that run, those whose end may not have been heard of, and plenty more.
PLACES: Final = 16 * 1024
#: How many records there are of what has one attempt, and of how many bytes each.
ALONE: Final = (256, 10 * 1024)
#: How many records of larger bundles for each of a worker's threads, and of how many bytes each.
BUNDLED: Final = (16, 256 * 1024)
#: With more of them than this, two for each thread do.
MANY: Final = 64
#: How long a word takes from one process to another at most, in seconds; really it is under a microsecond.
HEARING: Final = 0.001
_HEAD: Final = 64
_MARK: Final = struct.Struct("<Iqiiiii")
_SIZE: Final = _MARK.size
_NOBODY: Final = bytes(_SIZE)

Key: TypeAlias = DataKey | BundleKey


def mark_of(key: Key) -> bytes:
    """Return what stands for an attempt or a bundle in the file.

    Parameters
    ----------
    key : tuple
        Its data key.

    Returns
    -------
    bytes
        32 bytes, of which the name has 4.
    """
    prefix, index, loop, attempt, submission = key[:5]
    return _MARK.pack(
        zlib.crc32(prefix.encode()), index, loop, attempt, submission, key[5] if len(key) == 6 else 0, 0
    )


class _Pool:
    """Places in the file that are used in turn.

    Parameters
    ----------
    count, size : int
        How many, and of how many bytes.
    start : int
        Where the first one begins.
    """

    def __init__(self, count: int, size: int, start: int) -> None:
        self.count, self.size, self.start = count, size, start
        self.running: set[int] = set()
        self.records: dict[int, Record] = {}
        self._next = 0

    @property
    def end(self) -> int:
        return self.start + self.count * self.size

    def take(self) -> int | None:
        """Return the place that was used longest ago and is free; None when all are in use."""
        place = self._next
        for _ in range(self.count):
            following = place + 1
            if following == self.count:
                following = 0
            if place not in self.running:
                self._next = following
                self.running.add(place)
                return place
            place = following
        return None


class Begun(NamedTuple):
    """A task that is running, as its marks know it.

    Parameters
    ----------
    place : int
        Where its mark stands.
    record : Record
        Where it writes what it comes to.
    has_many : bool
        Whether it is a bundle of more than one attempt.
    """

    place: int
    record: Record
    has_many: bool


class Marks:
    """The marks of one worker.

    Parameters
    ----------
    directory : str
        The worker's own directory.
    threads : int
        How many of its threads run tasks; when greater than zero, the file is made. Only who can read it
        after the worker's death should.

    Raises
    ------
    OSError
        When there is no such file or directory, or no room for it.
    """

    def __init__(self, directory: str, *, threads: int = 0) -> None:
        path = Path(directory) / FILE_NAME
        if threads:
            _make(path, _size(threads))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._memory = memoryview(self._map)
        self._marks = _Pool(PLACES, _SIZE, _HEAD)
        self._alone = _Pool(*ALONE, self._marks.end)
        count = max(0, (len(self._map) - self._alone.end) // BUNDLED[1])
        self._bundled = _Pool(count, BUNDLED[1], self._alone.end)
        #: ``word[0]`` is not zero once nothing must begin any more.
        self.word = self._memory[:4].cast("i")
        self._lock = threading.Lock()

    def begin(self, key: Key, count: int = 1) -> Begun:
        """Note that a task begins.

        Parameters
        ----------
        key : tuple
            Its data key.
        count : int
            How many slots it has.

        Returns
        -------
        Begun
            To be ended.
        """
        mark = mark_of(key)
        pool = self._bundled if count > 1 else self._alone
        with self._lock:
            place = self._marks.take()
            if place is None:  # more at once than there is room for: the newest count
                place = 0
            # One with more slots than can be told apart there keeps nothing.
            own = pool.take() if count <= (pool.size - _SIZE - HEAD) // ENTRY_SIZE else None
            at = self._marks.start + place * _SIZE
            record = NOWHERE if own is None else self._record(pool, own, count, mark)
            self._map[at : at + _SIZE] = mark
        return Begun(place, record, count > 1)

    def _record(self, pool: _Pool, place: int, count: int, mark: bytes) -> Record:
        start = pool.start + place * pool.size
        record = pool.records.get(place)
        if record is None:
            record = pool.records[place] = Record(self._memory[start + _SIZE : start + pool.size], place)
        # Nobody may take what the last one wrote for this one's.
        self._map[start : start + _SIZE] = _NOBODY
        record.begin(count)
        self._map[start : start + _SIZE] = mark
        return record

    def end(self, begun: Begun) -> None:
        """Note that a task has ended, so that its places may be used again when all others are newer.

        Parameters
        ----------
        begun : Begun
            From ``begin``.
        """
        self._marks.running.discard(begun.place)
        place = begun.record.place
        if place is not None:
            (self._bundled if begun.has_many else self._alone).running.discard(place)

    def is_stopped(self) -> bool:
        """Return whether this worker was taken for dead, and must begin nothing more."""
        return self.word[0] != 0

    def stop(self) -> None:
        """Keep the worker from beginning anything more, in case that it is not dead."""
        self.word[0] = 1
        # The worker notes what it begins and then looks at the word: either it sees it, or its note is there.
        time.sleep(HEARING)

    def record(self, key: Key, *, whole: bool = False) -> bytes | None:
        """Return what a task had come to, without a copy of all else.

        Parameters
        ----------
        key : tuple
            Its data key.
        whole : bool
            Whether only one counts in which nothing runs any more.

        Returns
        -------
        bytes or None
            As of ``Snapshot.record``.
        """
        mark = mark_of(key)
        for pool in (self._alone, self._bundled):
            for at in range(pool.start, pool.end, pool.size):
                if self._memory[at : at + _SIZE] == mark:
                    found = bytes(self._memory[at + _SIZE : at + pool.size])
                    # The worker may have begun something else there meanwhile.
                    if self._memory[at : at + _SIZE] == mark and (not whole or is_whole(found)):
                        return trimmed(found)
        return None

    def snapshot(self) -> Snapshot:
        """Return what is known now.

        Returns
        -------
        Snapshot
            A copy.
        """
        return Snapshot(bytes(self._map), (self._marks, self._alone, self._bundled))

    def begun(self) -> frozenset[bytes]:
        """Return what stands for the tasks that were begun, as far as is remembered.

        Returns
        -------
        frozenset of bytes
            As of ``mark_of``.
        """
        content = self._map[self._marks.start : self._marks.end]
        return frozenset(content[at : at + _SIZE] for at in range(0, len(content), _SIZE))

    def __contains__(self, key: Key) -> bool:
        """Return whether a task was begun, as far as is remembered."""
        return mark_of(key) in self.begun()


class Snapshot:
    """What a worker had begun, and what it had come to.

    Parameters
    ----------
    content : bytes
        Of the file.
    pools : tuple
        How it is divided: marks, and records of both kinds.
    """

    def __init__(self, content: bytes, pools: tuple[_Pool, _Pool, _Pool]) -> None:
        marks, *records = pools
        self._begun = {content[at : at + _SIZE] for at in range(marks.start, marks.end, _SIZE)}
        self._records = {
            content[at : at + _SIZE]: content[at + _SIZE : at + pool.size]
            for pool in records
            for at in range(pool.start, pool.end, pool.size)
        }

    @property
    def running(self) -> int:
        """How many tasks had begun and not ended, as far as is remembered."""
        return sum(mark != _NOBODY and not is_whole(found) for mark, found in self._records.items())

    def has_begun(self, key: Key) -> bool:
        """Return whether a task was begun.

        Parameters
        ----------
        key : tuple
            Its data key.

        Returns
        -------
        bool
            As far as is remembered.
        """
        return mark_of(key) in self._begun

    def record(self, key: Key, *, whole: bool = False) -> bytes | None:
        """Return what a task had come to.

        Parameters
        ----------
        key : tuple
            Its data key.
        whole : bool
            Whether only one counts in which nothing runs any more.

        Returns
        -------
        bytes or None
            For ``read_record``; None when it is not known, or no longer.
        """
        found = self._records.get(mark_of(key))
        if found is None or (whole and not is_whole(found)):
            return None
        return trimmed(found)


def _size(threads: int) -> int:
    count, size = BUNDLED
    many, small = ALONE
    bundles = max(min(count * threads, MANY), 2 * threads)
    return _HEAD + PLACES * _SIZE + many * small + bundles * size


def _make(path: Path, size: int) -> None:
    with path.open("wb") as file:
        # With room on the disk: a store into a file without would end the worker.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.write(bytes(size))
