"""What one attempt says of itself, and where its value lies. Knows neither Dask nor the clock."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from prefectlite.errors import ResultUnavailable
from prefectlite.states.keys import RunKey

if TYPE_CHECKING:
    from prefectlite.states.state import State


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


@dataclass(frozen=True, slots=True)
class ResultRef:
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
    """

    run: RunKey
    attempt: int = 1
    nbytes: int = 0
    inline: bytes | None = None
    source: ValueSource | None = field(default=None, repr=False, compare=False)
    submission: int = 1

    def fetch(self) -> Any:
        """Return the value.

        Returns
        -------
        object
            The value, from the report when it is inline, else from wherever it lies.

        Raises
        ------
        ResultUnavailable
            When no place holds the value any more.
        """
        if self.inline is not None:
            return pickle.loads(self.inline)
        if self.source is None:
            raise ResultUnavailable(
                f"The result of {self.run} ({self.nbytes} bytes) was not kept with its state; "
                "read it while the flow run's state is alive, or give the task keep_result=True."
            )
        return self.source.fetch(self)


@dataclass(frozen=True, slots=True)
class Report:
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
    message : str or None
        What a body that raised ``SUCCESS`` had to say; None for one that returned.
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
    message: str | None = None
