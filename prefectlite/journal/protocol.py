"""What a journal must offer the loop. Knows transitions and the one act; knows no storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from prefectlite.engine.instructions import Transition
from prefectlite.states.keys import RunKey


class Submitted(NamedTuple):
    """The driver's only act: an attempt was sent; journaled before it is.

    Parameters
    ----------
    time : float
        When, in seconds since the epoch.
    run : int
        The run's number on the board.
    key : RunKey
        The run's name.
    attempt : int
        Which start of the body this allows, counted from 1.
    submission : int
        Which graph it travels in, counted from 1.
    ahead : bool
        Whether it was sent before its upstreams had finished.
    """

    time: float
    run: int
    key: RunKey
    attempt: int
    submission: int
    ahead: bool = False


#: What a journal keeps: observations and acts, in the order in which they were learned or decided.
Entry: TypeAlias = Transition | Submitted


class Journal(Protocol):
    """A record of one flow run; written by the loop alone, read from any thread."""

    def record(self, entries: Sequence[Entry]) -> None:
        """Add entries to the turn that is not committed yet.

        Parameters
        ----------
        entries : sequence of Transition or Submitted
            In order.
        """
        ...

    def commit(self) -> None:
        """Make the turn's entries last: what was recorded is now readable, and may be acted upon."""
        ...

    def history(self, key: RunKey) -> list[Entry]:
        """Return what is known of one run.

        Parameters
        ----------
        key : RunKey
            The run's name; the flow's own has an empty slug.

        Returns
        -------
        list of Transition or Submitted
            Its committed entries in order; empty when there are none.
        """
        ...

    def entries(self) -> Sequence[Entry]:
        """Return everything that was committed.

        Returns
        -------
        sequence of Transition or Submitted
            In order.
        """
        ...

    def close(self) -> None:
        """End the writing; what was committed stays readable."""
        ...
