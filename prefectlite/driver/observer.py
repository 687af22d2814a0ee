"""Observers: who is told what a flow run does. Knows the loop's news; knows nothing of screens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.states.keys import RunKey
from prefectlite.states.state import State
from prefectlite.worker.logs import LogLine

_logger = logging.getLogger(__name__)


class Changes(Collection[Transition]):
    """The transitions of one turn in order; those of neighbours are made when somebody looks.

    Parameters
    ----------
    changes : sequence of Transition, TransitionMany or TransitionEach
        From the engine.
    """

    __slots__ = ("groups",)

    def __init__(self, changes: Sequence[Transition | TransitionMany | TransitionEach]) -> None:
        #: As they came: those of neighbours together.
        self.groups = changes

    def __iter__(self) -> Iterator[Transition]:
        """Return each run's transition."""
        for one in self.groups:
            if isinstance(one, Transition):
                yield one
            else:
                yield from one

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(1 if isinstance(one, Transition) else len(one) for one in self.groups)

    def __contains__(self, change: object) -> bool:
        """Return whether a transition is among them."""
        return any(one == change for one in self)


class RunView(Protocol):
    """What an observer may ask of the flow run that it watches; callable from any thread."""

    @property
    def run_id(self) -> str:
        """The flow run's identity, 32 hexadecimal digits."""
        ...

    @property
    def flow_name(self) -> str:
        """The flow's name."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The validated values of the flow's parameters, by name."""
        ...

    @property
    def slugs(self) -> Mapping[Any, str]:
        """The slug of each task of the flow."""
        ...

    @property
    def description(self) -> str:
        """Where the work runs, in a few words; may be empty before the place is known."""
        ...

    @property
    def dashboard_link(self) -> str | None:
        """The address of the Dask dashboard, once it is known and while it lives."""
        ...

    def counts(self) -> dict[str, int]:
        """Return how many task runs are in which class of state; children of a map count one by one."""
        ...

    def in_flight(self, key: RunKey, attempt: int) -> int | None:
        """Return the number of a task run of which an attempt may begin, or runs.

        Parameters
        ----------
        key : RunKey
            Its name.
        attempt : int
            Counted from 1.

        Returns
        -------
        int or None
            None when the attempt has ended, or was never made.
        """
        ...

    def cancel(self, why: str = ...) -> bool:
        """Ask the run to end, for the reason ``why``; return whether it was left, and must be driven on."""
        ...


class Observer(Protocol):
    """Somebody who watches a flow run; called by one thread at a time, as a rule the one that drives it."""

    def started(self, run: RunView) -> None:
        """Take note that the run begins.

        Parameters
        ----------
        run : RunView
            What can be asked of it, now and later.
        """
        ...

    def turn(self, transitions: Changes, counts: Mapping[str, int]) -> None:
        """Take note of what changed in one turn of the loop; it is in the journal already.

        Parameters
        ----------
        transitions : Changes
            The changes in order; never empty.
        counts : mapping of str to int
            How many task runs are in which class of state after them.
        """
        ...

    def log(self, lines: Sequence[LogLine]) -> None:
        """Take note of log records and prints of task bodies.

        Parameters
        ----------
        lines : sequence of LogLine
            In the order in which they arrived.
        """
        ...

    def ended(self, state: State) -> None:
        """Take note that the run is over, or left: if it goes on, ``started`` is called again.

        Parameters
        ----------
        state : State
            The flow's state, not final for one that is left; its result maps each task to its state.
        """
        ...


class Audience:
    """All observers of one run; one that raises is logged and told nothing more.

    Parameters
    ----------
    observers : iterable of Observer
        Whom to tell, in this order.
    """

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)
        # Reentrant: an observer may do something that makes a task body's line come in.
        self._lock = threading.RLock()

    def __bool__(self) -> bool:
        """Return whether anybody listens."""
        return bool(self._observers)

    def started(self, run: RunView) -> None:
        """Tell that the run begins.

        Parameters
        ----------
        run : RunView
            The run.
        """
        self._tell(lambda observer: observer.started(run))

    def turn(self, transitions: Changes, counts: Mapping[str, int]) -> None:
        """Tell what changed in one turn.

        Parameters
        ----------
        transitions : Changes
            The changes in order.
        counts : mapping of str to int
            How many task runs are in which class of state.
        """
        self._tell(lambda observer: observer.turn(transitions, counts))

    def log(self, lines: Sequence[LogLine]) -> None:
        """Tell what task bodies logged and printed.

        Parameters
        ----------
        lines : sequence of LogLine
            In order of arrival.
        """
        self._tell(lambda observer: observer.log(lines))

    def ended(self, state: State) -> None:
        """Tell that the run is over, and let go of everybody; who watches one that is left is told of more.

        Parameters
        ----------
        state : State
            The flow's state.
        """
        self._tell(lambda observer: observer.ended(state))
        if state.is_finished():
            self._observers.clear()

    def _tell(self, say: Callable[[Observer], None]) -> None:
        with self._lock:
            for observer in list(self._observers):
                try:
                    say(observer)
                except Exception:
                    self._observers.remove(observer)
                    _logger.exception(
                        "The observer %r raised, so it is told nothing more of this run; the run goes on.",
                        observer,
                    )
