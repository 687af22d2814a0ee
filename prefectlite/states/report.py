"""What one attempt says of itself, and where its value lies. Knows neither Dask nor the clock."""

from __future__ import annotations

import pickle
from array import array
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from prefectlite.errors import OF_USER_CODE, ResultUnavailable
from prefectlite.states.holders import Holder
from prefectlite.states.keys import RunKey

if TYPE_CHECKING:
    from prefectlite.states.state import State, Success


class ValueSource(Protocol):
    """A place that can hand out a value by its reference; filled in at assembly."""

    def fetch(self, ref: ResultRef) -> Any:
        """Return the value that ``ref`` names, or raise ``ResultUnavailable``."""
        ...


class Renderer(Protocol):
    """A way to draw a state for a notebook; filled in at assembly."""

    def html(self, state: State) -> str:
        """Return ``state`` as an HTML fragment without scripts."""
        ...


@dataclass(
    slots=True, unsafe_hash=True
)  # not frozen: that takes twice the time, and there is one for each result
class ResultRef(Holder):
    """Where the value of one finished attempt lies; the value itself is fetched when asked for.

    Parameters
    ----------
    run : RunKey
        The task run whose value it is.
    attempt : int
        The attempt that made it, counted from 1.
    nbytes : int
        The value's size in bytes as Dask estimates it; 0 if not known.
    inline : bytes or None
        The pickled value, when it was small enough to travel with its report.
    source : ValueSource or None
        Who can fetch a value that is not inline.
    submission : int
        The Dask graph that the attempt travelled in.
    location : str or None
        Where the value was stored too, for the task's ``Result``.
    digest : str or None
        By what the bytes that were stored there are told from others; None where nobody knows.
    given : Holder or None
        The ``Result`` in which a body gave the value, without it, where that says a location of its own.
    """

    run: RunKey
    attempt: int = 1
    nbytes: int = 0
    inline: bytes | None = None
    source: ValueSource | None = field(default=None, repr=False, compare=False)
    submission: int = 1
    location: str | None = None
    digest: str | None = None
    given: Holder | None = field(default=None, repr=False, compare=False)

    @property
    def value(self) -> Any:
        """The value, fetched."""
        return self.fetch()

    def fetch(self) -> Any:
        """Return the value.

        Returns
        -------
        object
            The value, from the report when it is inline, else from wherever it lies.

        Raises
        ------
        ResultUnavailable
            When no place holds the value any more, or its pickle cannot be opened.
        """
        if self.inline is not None:
            return open_inline(self.run, self.inline)
        if self.source is None:
            raise ResultUnavailable(
                f"The result of {self.run} ({self.nbytes} bytes) was not kept with its state; "
                "read it while the flow run's state is alive, or give the task keep_result=True."
            )
        return self.source.fetch(self)


def open_inline(run: RunKey, inline: bytes) -> Any:
    """Return a value that came with its report.

    Parameters
    ----------
    run : RunKey
        Whose it is, for the error.
    inline : bytes
        It, pickled.

    Returns
    -------
    object
        The value.

    Raises
    ------
    ResultUnavailable
        When its own code refuses to make it anew.
    """
    try:
        return pickle.loads(inline)
    except OF_USER_CODE as error:
        raise ResultUnavailable(
            f"The result of task run {run} was kept as its pickle, which cannot be opened "
            f"({type(error).__name__}: {error}). Have the body return what can be pickled and opened here."
        ) from error


class Report(NamedTuple):
    """What one attempt says of itself when it ends.

    Parameters
    ----------
    state : State or None
        The state that the attempt ended in, without a remote value; None for a plain success.
    started, ended : float
        Seconds since the epoch, by the worker's clock.
    inline : bytes or None
        The pickled value, if it is within ``results.inline_limit``.
    nbytes : int
        The value's size in bytes; 0 if there is none.
    length : int or None
        ``len(value)`` where a map reads it and it can be indexed by position; None otherwise.
    flat_length : int or None
        The number of elements after one level of unnesting, where a flattened map reads it.
    unmappable : str or None
        Why the value cannot be mapped over, where a map reads it and it cannot.
    retryable : bool
        Whether the task's ``retry_on`` accepts the failure.
    where : str
        The worker's address, or ``"local"``.
    forced : bool
        The state is an order (``ENDRUN``, ``RETRY``): the retry rule does not weigh it.
    success : Success or None
        Where ``state`` is None and there is more to say: the state, without the value, of a body that asked
        for one, or of a value that was stored, found, or is kept for later runs.
    location : str or None
        As in ``ResultRef``.
    signal : str
        The name of the signal by which the body asked for ``state``; empty for what came to it otherwise.
    digest : str or None
        As in ``ResultRef``.
    """

    state: State | None
    started: float
    ended: float
    inline: bytes | None = None
    nbytes: int = 0
    length: int | None = None
    flat_length: int | None = None
    unmappable: str | None = None
    retryable: bool = True
    where: str = ""
    forced: bool = False
    success: Success | None = None
    location: str | None = None
    signal: str = ""
    digest: str | None = None


class Results:
    """The pickled results of attempts that stand side by side; they are let go of together.

    Parameters
    ----------
    sizes : array of int
        How many bytes each has.
    blob : bytes
        All of them, one behind the other.
    """

    __slots__ = ("_blob", "_ends", "_sizes")

    def __init__(self, sizes: array[int], blob: bytes) -> None:
        self._sizes = sizes
        self._blob: bytes | None = blob
        self._ends: array[int] | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sizes)

    def __eq__(self, other: object) -> bool:
        """Compare the bytes, or that they were let go of."""
        if not isinstance(other, Results):
            return NotImplemented
        return self._sizes == other._sizes and self._blob == other._blob

    __hash__ = None  # type: ignore[assignment]  # the bytes may be let go of

    def __repr__(self) -> str:
        """Return how many there are, and how many bytes they take."""
        return f"Results({len(self)}, {self.nbytes} bytes)"

    @property
    def nbytes(self) -> int:
        """How many bytes they take; 0 once they were let go of."""
        return 0 if self._blob is None else len(self._blob)

    def size(self, place: int) -> int:
        """Return how many bytes a result has, or had.

        Parameters
        ----------
        place : int
            Counted from 0.

        Returns
        -------
        int
            Pickled bytes.
        """
        return self._sizes[place]

    def get(self, place: int) -> bytes | None:
        """Return a pickled result.

        Parameters
        ----------
        place : int
            Counted from 0.

        Returns
        -------
        bytes or None
            None once they were let go of.
        """
        blob = self._blob
        if blob is None:
            return None
        if self._ends is None:
            self._ends = array("q", accumulate(self._sizes))
        end = self._ends[place]
        return blob[end - self._sizes[place] : end]

    def part(self, start: int, stop: int) -> Results:
        """Return some that stand side by side, with bytes of their own.

        Parameters
        ----------
        start, stop : int
            The first place, and the one behind the last.

        Returns
        -------
        Results
            Those; the same object for all of them.
        """
        if start == 0 and stop == len(self):
            return self
        skipped = sum(self._sizes[:start])
        sizes = self._sizes[start:stop]
        part = Results(sizes, (self._blob or b"")[skipped : skipped + sum(sizes)])
        if self._blob is None:
            part.drop()
        return part

    def drop(self) -> None:
        """Let go of the bytes; whoever wants a result must fetch it."""
        self._blob = None


@dataclass(frozen=True, slots=True)
class Reports:
    """What attempts that stand side by side say of themselves, when all of them say the same.

    Parameters
    ----------
    started, ended : array of float
        Seconds since the epoch, by the worker's clock.
    results : Results
        The pickled values of plain successes, each within ``results.inline_limit``; else empty.
    where : str
        The worker's address, or ``"local"``.
    said : Report or None
        What each of them says, but for its times; None for plain successes.
    """

    started: array[float]
    ended: array[float]
    results: Results
    where: str = ""
    said: Report | None = None

    def __len__(self) -> int:
        """Return how many attempts they are about."""
        return len(self.started)

    def one(self, place: int) -> Report:
        """Return what one attempt says.

        Parameters
        ----------
        place : int
            Counted from 0.

        Returns
        -------
        Report
            As if it had come alone.
        """
        if self.said is not None:
            return self.said._replace(started=self.started[place], ended=self.ended[place])
        return Report(
            None,
            self.started[place],
            self.ended[place],
            self.results.get(place),
            self.results.size(place),
            where=self.where,
        )

    def part(self, start: int, stop: int) -> Reports:
        """Return what some of them say.

        Parameters
        ----------
        start, stop : int
            The first place, and the one behind the last.

        Returns
        -------
        Reports
            Those; the same object for all of them.
        """
        if start == 0 and stop == len(self):
            return self
        results = self.results.part(start, stop) if self.said is None else self.results
        return Reports(self.started[start:stop], self.ended[start:stop], results, self.where, self.said)
