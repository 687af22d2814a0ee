"""Tells at a flow run's end what failed in it, where no progress shows. Knows states; knows no logging."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from prefectlite.engine.transitions import Transition
from prefectlite.states.state import Failed, State
from prefectlite.views.counts import class_named
from prefectlite.views.failures import failed_runs, group_failures
from prefectlite.views.logs import LoggedLine
from prefectlite.views.printable import label
from prefectlite.views.progress import WatchedRun
from prefectlite.views.summary import failure_lines, plain, tasks_of


class Aftermath:
    """An observer that tells once what failed in a flow run, when it is over.

    Runs that failed alike are told together, with the user's own lines of the traceback. Those that a trigger
    refused are only told where nothing else failed.

    Parameters
    ----------
    tell : callable
        Takes the text.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._flow_name = ""
        self._slugs: Mapping[object, str] = {}
        self._counts: Mapping[str, int] = {}

    def started(self, run: WatchedRun) -> None:
        """Learn what the run and its tasks are called.

        Parameters
        ----------
        run : WatchedRun
            The flow run.
        """
        self._flow_name, self._slugs = run.flow_name, run.slugs

    def turn(self, transitions: Iterable[Transition], counts: Mapping[str, int]) -> None:
        """Take note of the counts.

        Parameters
        ----------
        transitions : iterable of Transition
            Not looked at.
        counts : mapping of str to int
            Task runs by the class of their state.
        """
        self._counts = counts

    def log(self, lines: Sequence[LoggedLine]) -> None:
        """Do nothing.

        Parameters
        ----------
        lines : sequence of LoggedLine
            Not looked at.
        """

    def ended(self, state: State) -> None:
        """Tell what failed, unless the run is only left.

        Parameters
        ----------
        state : State
            The flow's state; its result maps each task to its state.
        """
        # Most runs have no failures, and need not be looked through.
        failed = any(issubclass(class_named(name), Failed) for name in self._counts)
        if not failed or not state.is_finished():
            return
        groups = group_failures(failed_runs(tasks_of(state, self._slugs)))
        told = [group for group in groups if not group.is_consequence] or groups
        if told:
            self._tell(f"{label(self._flow_name)}: {plain(failure_lines(told)).rstrip()}")
