"""What one Dask task of ours has begun and come to, written where a death does not reach. Knows bytes.

A record is a piece of a file that is mapped into memory. Before each body its slot is written there, after it
how it ended; all that is a handful of stores. The process may end between any two of them: an outcome counts
when the next slot was begun, or when the end was noted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

#: It ended, but how was not kept: there was no room.
LOST: Final = 0
#: A plain success; the pickled value was kept.
VALUE: Final = 1
#: A plain success whose value nobody reads; pickled all the same.
DROPPED: Final = 2
#: A plain success; its pickled facts were kept, with the value among them.
FACTS: Final = 3
#: The same, of one whose value nobody reads.
FACTS_DROPPED: Final = 4
#: No plain success; the pickled item was kept.
SAID: Final = 5
#: No plain success; it said what the last one before it said whose item was kept, and nothing more is kept.
AGAIN: Final = 6

# Which of an attempt's outcomes is kept where: kind, bytes that follow, started, ended.
_ENTRY: Final = struct.Struct("@iidd")
#: How many bytes come before the outcomes: the place of the word and some air.
HEAD: Final = 8
#: How many bytes an outcome takes beside what was kept of it.
ENTRY_SIZE: Final = _ENTRY.size


class Kept(NamedTuple):
    """What was kept of one attempt.

    Parameters
    ----------
    kind : int
        ``LOST``, ``VALUE``, ``DROPPED``, ``FACTS``, ``FACTS_DROPPED``, ``SAID`` or ``AGAIN``.
    started, ended : float
        Seconds since the epoch.
    payload : bytes
        Pickled.
    """

    kind: int
    started: float
    ended: float
    payload: bytes


class Record:
    """The writer's side of a record.

    Parameters
    ----------
    memory : memoryview
        Where it lies, as bytes; of a multiple of four bytes.
    place : int or None
        Which of the file's records it is.
    """

    __slots__ = ("_at", "_left", "_memory", "place", "word")

    def __init__(self, memory: memoryview, place: int | None = None) -> None:
        self._memory = memory
        self._at = HEAD
        self._left = -1
        self.place = place
        #: ``word[0]`` is how many slots were begun; below zero when the last of them has ended.
        self.word = memory[:4].cast("i")

    def begin(self, count: int) -> None:
        """Write from the start again.

        Parameters
        ----------
        count : int
            How many slots there are.
        """
        self.word[0] = 0
        self._at = HEAD
        # Outcomes always have room, what is kept of them as long as there is some.
        self._left = len(self._memory) - HEAD - count * ENTRY_SIZE

    def keep(self, kind: int, started: float, ended: float, payload: bytes) -> None:
        """Note how the slot that was begun last has ended.

        Parameters
        ----------
        kind : int
            As in ``Kept``.
        started, ended : float
            Seconds since the epoch.
        payload : bytes
            Pickled.
        """
        left = self._left
        if left < 0:
            return
        size = len(payload)
        at = self._at
        if size > left:
            kind = size = LOST
            payload = b""
        after = at + ENTRY_SIZE
        end = after + size
        _ENTRY.pack_into(self._memory, at, kind, size, started, ended)
        self._memory[after:end] = payload
        self._at = end
        self._left = left - size

    def end(self) -> None:
        """Note that the slot that was begun last has ended."""
        self.word[0] = -abs(self.word[0])


#: Keeps nothing; for places whose file nobody could read.
NOWHERE: Final = Record(memoryview(bytearray(HEAD)))


class Found(NamedTuple):
    """What a record says after its writer's death.

    Parameters
    ----------
    begun : int
        How many slots were begun; the first ones.
    kept : list of Kept
        How they ended; one fewer than ``begun`` when the last of them had not.
    """

    begun: int
    kept: list[Kept]


def read_record(memory: bytes) -> Found | None:
    """Return what a record says.

    Parameters
    ----------
    memory : bytes
        All of it, or from ``trimmed``.

    Returns
    -------
    Found or None
        None when nothing was written that could be read.
    """
    word = struct.unpack_from("@i", memory)[0]
    begun = abs(word)
    try:
        kept = list(_entries(memory, begun if word < 0 else begun - 1))
    except struct.error:
        return None
    said = b""
    for place, one in enumerate(kept):
        if one.kind == AGAIN:
            kept[place] = one._replace(payload=said) if said else one._replace(kind=LOST)
        elif one.kind in (SAID, LOST):
            said = one.payload  # what was lost may have been said
    return Found(begun, kept)


def trimmed(memory: bytes) -> bytes:
    """Return a record without the room that was not used.

    Parameters
    ----------
    memory : bytes
        All of it.

    Returns
    -------
    bytes
        For ``read_record``.
    """
    found = read_record(memory)
    if found is None:
        return memory[:HEAD]
    sizes = [ENTRY_SIZE + (0 if one.kind == AGAIN else len(one.payload)) for one in found.kept]
    return memory[: HEAD + sum(sizes)]


def _entries(memory: bytes, count: int) -> Iterator[Kept]:
    at = HEAD
    for _ in range(count):
        kind, size, started, ended = _ENTRY.unpack_from(memory, at)
        at += ENTRY_SIZE
        yield Kept(kind, started, ended, memory[at : at + size])
        at += size


def is_whole(memory: Any) -> bool:
    """Return whether every slot that was begun has ended.

    Parameters
    ----------
    memory : bytes
        A record.

    Returns
    -------
    bool
        Also when nothing was begun.
    """
    return bool(struct.unpack_from("@i", memory)[0] <= 0)
