"""Finds the first exception of a flow run, for who wants it raised. Knows states, no tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from prefectlite.driver.observer import RunView
from prefectlite.engine.transitions import Transition
from prefectlite.errors import TaskError
from prefectlite.rules.verdict import ASKED_FOR_BY
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
    """Return the exception that a task, a handler or a trigger has raised, if one has.

    Where user code asked for the state, by a signal, say, nobody raised what it put there; nor was there
    anybody to raise where a rule refused.
    """
    state, why = change.new, change.why
    if not isinstance(state, Failed) or why.rule == "width" or ASKED_FOR_BY in dict(why.read):
        return None
    held = state.result
    is_ours = isinstance(held, TaskError) and held.type_name == type(state).__name__
    return held if isinstance(held, BaseException) and not is_ours else None
