"""Which attempts a worker process has begun, written where its death does not reach. Knows keys.

A map of a file belongs to the system, not to the process: what was written before a crash is still there
after it. So whoever shares the machine with a worker that died can tell what it had begun from what had
only been sent to it.
"""

from __future__ import annotations

import mmap
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prefectlite.lowering.keys import DataKey

#: The file's name in the worker's own directory.
FILE_NAME: Final = "prefectlite-begun"
#: How many attempts are remembered: all that run, those whose end may not have been heard of (a bundle tells
#: of up to a thousand at once), and plenty more.
PLACES: Final = 16 * 1024
_MARK: Final = struct.Struct("<Iqiii")


def mark_of(key: DataKey) -> bytes:
    """Return what stands for an attempt in the file.

    Parameters
    ----------
    key : tuple
        Its data key.

    Returns
    -------
    bytes
        24 bytes, of which the name has 4.
    """
    prefix, *numbers = key
    return _MARK.pack(zlib.crc32(prefix.encode()), *numbers)


class Marks:
    """The marks of one worker.

    Parameters
    ----------
    directory : str
        The worker's own directory.
    create : bool
        Whether to make the file; only who can read it after the worker's death should.

    Raises
    ------
    OSError
        When there is no such file or directory.
    """

    def __init__(self, directory: str, *, create: bool = False) -> None:
        path = Path(directory) / FILE_NAME
        if create:
            path.write_bytes(bytes(PLACES * _MARK.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._next = 0
        self._running: set[int] = set()
        self._lock = threading.Lock()

    def add(self, key: DataKey) -> int:
        """Note that an attempt begins.

        Parameters
        ----------
        key : tuple
            Its data key.

        Returns
        -------
        int
            The place of its mark, which stays until the attempt has ended, and longer.
        """
        mark = mark_of(key)
        with self._lock:
            place = next(self._free(), self._next)
            self._next = (place + 1) % PLACES
            self._running.add(place)
            start = place * _MARK.size
            self._map[start : start + _MARK.size] = mark
        return place

    def _free(self) -> Iterator[int]:
        """Yield the places that may be written over, the oldest mark's first."""
        for step in range(PLACES):
            place = (self._next + step) % PLACES
            if place not in self._running:
                yield place

    def end(self, place: int) -> None:
        """Note that an attempt ended, so that its mark may be written over when all others are newer.

        Parameters
        ----------
        place : int
            From ``add``.
        """
        self._running.discard(place)

    def __contains__(self, key: DataKey) -> bool:
        """Return whether an attempt was begun, as far as is remembered."""
        mark = mark_of(key)
        content = self._map[:]
        at = content.find(mark)
        while at >= 0 and at % _MARK.size:
            at = content.find(mark, at + 1)
        return at >= 0
