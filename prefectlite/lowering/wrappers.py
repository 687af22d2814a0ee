"""What stands in a Dask key instead of a bare value: a class per kind of outcome. Knows no states."""

from __future__ import annotations

import operator
import pickle
import sys
from array import array
from itertools import repeat
from typing import Any, Final, SupportsIndex

from prefectlite.late import loaded
from prefectlite.masking import hide_texts

#: For how many bytes a value counts whose size cannot be told, as with Dask.
UNKNOWN_SIZE: Final = 1_000_000
#: From how many bytes on Dask is given them as they are: within a pickle it copies them again and again.
BESIDE: Final = 1 << 20


class Succeeded:
    """A plain success and its value.

    A list that is a Dask value of its own is pickled element by element when it travels; inside an object of
    a class that Dask does not know it travels as one, large buffers out of band.

    Parameters
    ----------
    value : object
        What the body returned.
    started, ended : float
        Seconds since the epoch, by the worker's clock; 0.0 when not known.
    attempt : int
        The attempt that made it, counted from 1; 0 for a shared constant.
    """

    __slots__ = ("attempt", "ended", "started", "value")

    def __init__(self, value: Any, started: float = 0.0, ended: float = 0.0, attempt: int = 0) -> None:
        self.value = value
        self.started = started
        self.ended = ended
        self.attempt = attempt

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as constructor arguments."""
        return type(self), (self.value, self.started, self.ended, self.attempt)

    def __sizeof__(self) -> int:
        """Return the bytes of the value too, so that Dask's placement and spilling weigh it."""
        return object.__sizeof__(self) + _size(self.value)


class Veiled(Succeeded):
    """A plain success with a value in which a secret stands: it is told to nobody who does not read it.

    Parameters
    ----------
    value, started, ended, attempt
        As of ``Succeeded``.
    texts : tuple of str
        The secrets, as texts; a process that gets the value keeps them out of what it writes.
    """

    __slots__ = ("texts",)

    def __init__(
        self,
        value: Any,
        started: float = 0.0,
        ended: float = 0.0,
        attempt: int = 0,
        texts: tuple[str, ...] = (),
    ) -> None:
        super().__init__(value, started, ended, attempt)
        self.texts = hide_texts(texts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as constructor arguments."""
        return type(self), (self.value, self.started, self.ended, self.attempt, self.texts)


class Done:
    """A plain success whose value nobody reads, so it was dropped where it was made.

    Parameters
    ----------
    started, ended : float
        Seconds since the epoch, by the worker's clock.
    attempt : int
        The attempt, counted from 1.
    """

    __slots__ = ("attempt", "ended", "started")

    def __init__(self, started: float = 0.0, ended: float = 0.0, attempt: int = 0) -> None:
        self.started = started
        self.ended = ended
        self.attempt = attempt

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as constructor arguments."""
        return type(self), (self.started, self.ended, self.attempt)


class Noted(Succeeded):
    """A plain success of which there is more to tell than its value and times: it was found, or stored.

    Parameters
    ----------
    value, started, ended, attempt
        As of ``Succeeded``.
    told : tuple
        What is to be told, as reports travel.
    """

    __slots__ = ("told",)

    def __init__(
        self,
        value: Any,
        started: float = 0.0,
        ended: float = 0.0,
        attempt: int = 0,
        told: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(value, started, ended, attempt)
        self.told = told

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as constructor arguments."""
        return type(self), (self.value, self.started, self.ended, self.attempt, self.told)


class NotedDone(Done):
    """The same without the value, which nobody reads.

    Parameters
    ----------
    started, ended, attempt
        As of ``Done``.
    told : tuple
        As of ``Noted``.
    """

    __slots__ = ("told",)

    def __init__(
        self, started: float = 0.0, ended: float = 0.0, attempt: int = 0, told: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(started, ended, attempt)
        self.told = told

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as constructor arguments."""
        return type(self), (self.started, self.ended, self.attempt, self.told)


class Spent(Done):
    """A value that was let go of where it lay, since whoever was the last to need it has succeeded.

    Parameters
    ----------
    started, ended, attempt
        As of ``Done``.
    """

    __slots__ = ()


class Packed:
    """Bytes that travel once per worker and are opened there by whoever reads them.

    Parameters
    ----------
    payload : bytes or memoryview
        A pickled constant or task, or the pickled facts of a flow run.
    """

    __slots__ = ("opened", "payload")

    def __init__(self, payload: bytes | memoryview) -> None:
        self.payload = payload
        #: What was made of it in this process; it goes with this object, which Dask holds under a key.
        self.opened: Any = None

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        """Pickle as constructor arguments; many bytes go beside the pickle where there is such a way."""
        # A few would keep the whole message in memory with which they came.
        beside = operator.index(protocol) >= 5 and len(self.payload) >= BESIDE
        return type(self), (pickle.PickleBuffer(self.payload) if beside else bytes(self.payload),)

    def __sizeof__(self) -> int:
        """Return the bytes of the payload too."""
        return object.__sizeof__(self) + len(self.payload)


class Unreadable:
    """A shared constant that this worker could not unpickle; its readers fail and say so.

    Parameters
    ----------
    text : str
        What the unpickling raised.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as constructor arguments."""
        return type(self), (self.text,)


class Held:
    """No plain success, and most likely not the last word: the run is to be tried again, or an input is.

    Whoever reads it holds as well. To raise ``Hold`` instead costs Dask 1.2 milliseconds of CPU, twice what
    the task itself does; it has its own trouble with what raises, and nobody needs to see a red task that is
    about to be tried again.

    Parameters
    ----------
    said : tuple
        What the attempt said of its end.
    """

    __slots__ = ("said",)

    def __init__(self, said: tuple[Any, ...]) -> None:
        self.said = said

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as constructor arguments."""
        return type(self), (self.said,)


class Slots:
    """The values of a bundle's attempts, side by side.

    Parameters
    ----------
    wrappers : list of Succeeded, Done or Held
        One for each member, in order.
    nbytes : int or None
        How many bytes the values take, where that is known; else Dask's estimate is asked for when needed,
        which takes a microsecond or two for each.
    """

    __slots__ = ("nbytes", "wrappers")

    def __init__(self, wrappers: list[Any], nbytes: int | None = None) -> None:
        self.wrappers = wrappers
        self.nbytes = nbytes

    def spend(self, slot: int) -> None:
        """Let go of a plain value, here alone; what was sent to other workers stays.

        Parameters
        ----------
        slot : int
            Where it lies.
        """
        one = self.wrappers[slot]
        if type(one) is Succeeded:
            self.wrappers[slot] = Spent(one.started, one.ended, one.attempt)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as constructor arguments; plain successes by column, which takes half the time."""
        wrappers = self.wrappers[:]  # another thread may let go of some
        if not {Succeeded}.issuperset(map(type, wrappers)):
            return type(self), (wrappers, self.nbytes)
        attempts = [one.attempt for one in wrappers]
        columns = (
            [one.value for one in wrappers],
            array("d", [one.started for one in wrappers]),
            array("d", [one.ended for one in wrappers]),
            attempts[0] if len(set(attempts)) == 1 else attempts,
        )
        return _of_columns, (*columns, self.nbytes)

    def __sizeof__(self) -> int:
        """Return the bytes of the values too."""
        wrappers = self.wrappers
        nbytes = sum(map(sys.getsizeof, wrappers)) if self.nbytes is None else self.nbytes
        return object.__sizeof__(self) + nbytes + 8 * len(wrappers)


def _of_columns(
    values: list[Any],
    started: array[float],
    ended: array[float],
    attempts: int | list[int],
    nbytes: int | None,
) -> Slots:
    each = repeat(attempts) if isinstance(attempts, int) else attempts
    return Slots(list(map(Succeeded, values, started, ended, each)), nbytes)


class Hold(Exception):
    """The marker of a run that ended without a plain success; Dask errs what was lowered ahead of it.

    It holds no argument: Dask repeats to each dependent what a marker carries.
    """

    def __init__(self) -> None:
        super().__init__()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the bare class."""
        return type(self), ()


def open_shelf(payload: bytes | memoryview) -> Slots:
    """Return values that came to the driver with their reports as if they were a bundle's.

    Parameters
    ----------
    payload : bytes or memoryview
        A pickled list with ``(started, ended, attempt, pickled value)`` for each slot, and behind these what
        else is to be told of it, as of ``Noted``; None where there is none.

    Returns
    -------
    Slots
        In the same order; ``Unreadable`` where a value cannot be unpickled here.
    """
    wrappers: list[Any] = []
    for told in pickle.loads(payload):
        if told is None:
            wrappers.append(None)
            continue
        started, ended, attempt, pickled, *news = told
        times = started, ended, attempt
        found = open_literal(pickled)
        if isinstance(found, Unreadable):
            wrappers.append(found)  # its readers say so, and those of its neighbours go on
            continue
        value = found.value
        wrappers.append(Noted(value, *times, tuple(news)) if news else Succeeded(value, *times))
    return Slots(wrappers, len(payload))


def open_literal(payload: bytes | memoryview) -> Succeeded | Unreadable:
    """Unpickle a shared constant on a worker, once for all of its readers there.

    Parameters
    ----------
    payload : bytes or memoryview
        The pickled value.

    Returns
    -------
    Succeeded or Unreadable
        The value, or what the unpickling raised; never an exception, since that would be nobody's.
    """
    try:
        return Succeeded(pickle.loads(payload))
    except BaseException as error:
        return Unreadable(f"{type(error).__name__}: {error}")


def _size(value: Any) -> int:
    # Dask's estimate knows arrays and frames; without Dask in the process nobody asks.
    sizes: Any = loaded("dask.sizeof")
    try:
        return int(sys.getsizeof(value) if sizes is None else sizes.sizeof(value))
    except Exception:  # what holds itself, say; its neighbours have nothing to do with it
        return UNKNOWN_SIZE
