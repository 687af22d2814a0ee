"""What can be asked of a flow run, from any thread. Looks at the engine under its lock; changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import Task
from prefectlite.driver.outcome import TaskStates, task_states
from prefectlite.driver.places import Places
from prefectlite.engine.engine import Engine
from prefectlite.journal.protocol import Entry, Journal
from prefectlite.lowering.compile import Compiled
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Pending, State
from prefectlite.states.surroundings import NO_CONTEXT

_NOT_BEGUN: Final = Pending("The flow run has not begun.", context=NO_CONTEXT)


class ReadableRun:
    """The readable side of a flow run.

    Parameters
    ----------
    graph : FlowGraph
        What runs.
    run_id : str
        The flow run's identity, 32 hexadecimal digits.
    parameters : mapping of str to object
        The values of the flow's parameters.
    journal : Journal
        Where it is written.
    places : Places
        Where it goes on.
    """

    def __init__(
        self, graph: FlowGraph, run_id: str, parameters: Mapping[str, Any], journal: Journal, places: Places
    ) -> None:
        self.run_id = run_id
        self.flow_name: str = graph.name
        self.parameters = parameters
        self.slugs: Mapping[Any, str] = graph.slugs.copy()
        self.journal = journal
        self._graph = graph
        self._places = places
        # Held while the engine changes.
        self._lock = threading.Lock()
        self._compiled: Compiled | None = None
        self._engine: Engine | None = None
        # The tasks' states once it has ended, or was left.
        self._result: dict[Task, State] | None = None
        self._done = threading.Event()

    @property
    def description(self) -> str:
        """Where the work runs, in a few words; empty before the place is known."""
        return self._places.description

    @property
    def dashboard_link(self) -> str | None:
        """The address of the Dask dashboard, once it is known and while it lives."""
        return None if self.is_over else self._places.dashboard_link

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, or was left with pauses alone, and its place is closed."""
        return self._done.is_set()

    def counts(self) -> dict[str, int]:
        """Count task runs by the name of their state's class; children of a map count one by one.

        Returns
        -------
        dict of str to int
            Constants, parameters and collections are left out; empty before the flow is compiled.
        """
        with self._lock:
            return {} if self._engine is None else self._engine.counts()

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
        with self._lock:
            return None if self._engine is None else self._engine.in_flight(key, attempt)

    def states(self) -> dict[Task, State]:
        """Return the state of each task now.

        Returns
        -------
        dict of Task to State
            Maps with the states of their children.
        """
        if self._result is not None:
            return TaskStates(self._result)
        with self._lock:
            if self._engine is None or self._compiled is None:
                return TaskStates(dict.fromkeys(self._graph.tasks, _NOT_BEGUN))
            return task_states(self._compiled, self._engine)

    def waiting_for(self, key: RunKey) -> str:
        """Return what a task run in flight waits for, where it was sent.

        Parameters
        ----------
        key : RunKey
            Its name.

        Returns
        -------
        str
            Such as ``"a worker with the resources GPU=1"``; empty when it waits for nothing known.
        """
        with self._lock:
            number = None if self._engine is None else self._engine.run_of(key)
        return "" if number is None or self.is_over else self._places.waiting_for(number)

    def history(self, key: RunKey) -> list[Entry]:
        """Return what the journal knows of a task run.

        Parameters
        ----------
        key : RunKey
            Its name; the flow's own has an empty slug.

        Returns
        -------
        list of Transition or Submitted
            In order.
        """
        return self.journal.history(key)

    def paused(self) -> dict[RunKey, State]:
        """Return the task runs that are paused.

        Returns
        -------
        dict of RunKey to State
            By name; children of maps one by one.
        """
        with self._lock:
            engine = self._engine
            return {} if engine is None else {engine.key(run): engine.state(run) for run in engine.paused()}
