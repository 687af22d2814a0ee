"""Messages between an attempt's thread and the process that runs its body. Knows bytes and pickles.

A message is a kind, a pickled object and that object's large buffers, which are neither copied into the
pickle nor out of it.
"""

from __future__ import annotations

import pickle
import select
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from prefectlite.lowering.envelope import by_value_names, dumps, dumps_by_value

#: Kind, number of buffers, bytes of the pickle; the sizes of the buffers follow.
_HEAD: Final = struct.Struct("<BIQ")
_SIZE: Final = struct.Struct("<Q")

# What the thread sends.
JOB: Final = 0
# What the process sends: the body begins, logs, prints, is over; what it came to.
BEGUN: Final = 1
LINES: Final = 2
PRINTED: Final = 3
OVER: Final = 4
CAME_TO: Final = 5


class Message(NamedTuple):
    """One message.

    Parameters
    ----------
    kind : int
        One of this module's.
    payload : bytes-like
        The pickled object.
    buffers : sequence of bytes-like
        What the pickle left out.
    """

    kind: int
    payload: bytes | bytearray = b""
    buffers: Sequence[Any] = ()

    def open(self) -> Any:
        """Return the object.

        Returns
        -------
        object
            A copy of what was packed.
        """
        return pickle.loads(self.payload, buffers=self.buffers)


def pack(kind: int, content: Any) -> Message:
    """Return a message; what is defined in a program's main module goes by value.

    Parameters
    ----------
    kind : int
        One of this module's.
    content : object
        Any object.

    Returns
    -------
    Message
        It holds the object's buffers themselves.

    Raises
    ------
    SerializationError
        When it cannot be pickled; the text says why.
    """
    buffers: list[pickle.PickleBuffer] = []
    names = by_value_names()
    try:
        payload = pickle.dumps(content, 5, buffer_callback=buffers.append)
        raw = [buffer.raw() for buffer in buffers]
    except Exception:
        return Message(kind, dumps_by_value(content))  # it can do more, and says what it cannot
    if any(name in payload for name in (*names, b"tblib.pickling_support")):
        return Message(kind, dumps(content, names))
    return Message(kind, payload, raw)


class Channel:
    """One end of a pair of sockets; any thread may send, one receives.

    Parameters
    ----------
    end : socket
        A connected stream socket.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)
        #: Whether a message was received in part.
        self.is_amid = False

    def send(self, message: Message) -> None:
        """Send a message.

        Parameters
        ----------
        message : Message
            From ``pack``.

        Raises
        ------
        OSError
            When the other end is closed.
        """
        kind, payload, buffers = message
        sizes = b"".join(_SIZE.pack(len(buffer)) for buffer in buffers)
        head = _HEAD.pack(kind, len(buffers), len(payload)) + sizes
        with self._lock:
            self._socket.sendall(head + payload if len(payload) < 65536 else head)
            if len(payload) >= 65536:
                self._socket.sendall(payload)
            for buffer in buffers:
                self._socket.sendall(buffer)

    def has_news(self, seconds: float) -> bool:
        """Wait until something can be received, or the other end is closed.

        Parameters
        ----------
        seconds : float
            How long at most.

        Returns
        -------
        bool
            Whether it can.
        """
        return bool(self._poll.poll(seconds * 1000.0))

    def receive(self, ready: Callable[[], None]) -> Message:
        """Receive a message.

        Parameters
        ----------
        ready : callable
            Returns when there is something to be received; what it raises breaks off.

        Returns
        -------
        Message
            The next one.

        Raises
        ------
        EOFError
            When the other end is closed.
        """
        kind, count, length = _HEAD.unpack(self._take(_HEAD.size, ready))
        self.is_amid = True
        sizes = [_SIZE.unpack(self._take(_SIZE.size, ready))[0] for _ in range(count)]
        payload = self._take(length, ready)
        buffers = [self._take(size, ready) for size in sizes]
        self.is_amid = False
        return Message(kind, payload, buffers)

    def _take(self, size: int, ready: Callable[[], None]) -> bytearray:
        taken = bytearray(size)  # what is made of it may be written to, as the original may
        with memoryview(taken) as view:
            at = 0
            while at < size:
                ready()
                try:
                    count = self._socket.recv_into(view[at:])
                except ConnectionResetError:
                    count = 0
                if not count:
                    raise EOFError
                at += count
                self.is_amid = True
        return taken

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
