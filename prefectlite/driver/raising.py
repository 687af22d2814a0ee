"""Finds the first exception of a flow run, for who wants it raised. Knows states, no tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from prefectlite.driver.observer import RunView
from prefectlite.engine.transitions import Transition
from prefectlite.errors import TaskError
from prefectlite.states.signals import FAIL, TRIGGERFAIL, VALIDATIONFAIL
from prefectlite.states.state import Failed, State
from prefectlite.worker.logs import LogLine


class FirstRaised:
    """An observer that ends the flow run at the first exception, and keeps it."""

    def __init__(self) -> None:
        # Only as long as it goes on: values live as long as who knows the run.
        self._run: RunView | None = None
        self._found: BaseException | None = None

    def check(self) -> None:
        """Raise what was found, if anything was."""
        if self._found is not None:
            raise self._found

    def started(self, run: RunView) -> None:
        """Take note of the run.

        Parameters
        ----------
        run : RunView
            To be ended.
        """
        self._run = run

    def turn(self, transitions: Collection[Transition], counts: Mapping[str, int]) -> None:
        """Look for the first exception.

        Parameters
        ----------
        transitions : collection of Transition
            What changed.
        counts : mapping of str to int
            Not looked at.
        """
        if self._found is not None or self._run is None:
            return
        for change in transitions:
            found = _raised(change)
            if found is not None:
                self._found = found
                self._run.cancel(f"{change.key} raised {type(found).__name__}, inside raise_on_exception()")
                return

    def log(self, lines: Sequence[LogLine]) -> None:
        """Do nothing.

        Parameters
        ----------
        lines : sequence of LogLine
            Not looked at.
        """

    def ended(self, state: State) -> None:
        """Let go of the run.

        Parameters
        ----------
        state : State
            Not looked at.
        """
        self._run = None


def _raised(change: Transition) -> BaseException | None:
    """Return the exception that a task has failed with, if there is one.

    A signal says what state user code wants, and so does a state that a handler returns: neither is an error.
    """
    state = change.new
    if not change.key.slug or not isinstance(state, Failed):
        return None  # the flow's own, or no failure
    held = state.result
    if not isinstance(held, BaseException):
        return None
    asked_for = isinstance(held, TaskError) and held.type_name in _FAILING | {type(state).__name__}
    return None if asked_for else held


#: The result of a failure that somebody asked for says by what.
_FAILING: Final = {signal.__name__ for signal in (FAIL, TRIGGERFAIL, VALIDATIONFAIL)}
