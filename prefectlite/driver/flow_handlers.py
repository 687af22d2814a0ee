"""What a flow's own handlers make of its states. Knows flows and states; knows no rules and no loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from prefectlite.core.graph import FlowGraph
from prefectlite.driver.handlers import as_state, state_after
from prefectlite.engine.board import PENDING
from prefectlite.states.signals import Signal
from prefectlite.states.state import Cancelled, Mapped, Scheduled, State
from prefectlite.states.value import NO_RESULT

_logger = logging.getLogger(__name__)


class FlowHandlers:
    """Asks the handlers that a flow has when its run begins.

    Parameters
    ----------
    graph : FlowGraph
        The flow.
    states : callable
        Returns the state of each task now.
    """

    def __init__(self, graph: FlowGraph, states: Callable[[], Mapping[Any, State]]) -> None:
        self._graph = graph
        self._states = states
        self._handlers = tuple(graph.state_handlers)
        self._terminal = graph.terminal_state_handler
        self._on_failure = graph.on_failure

    def state_after(self, old: State, new: State) -> State:
        """Return the state that the handlers make of a transition of the flow.

        Parameters
        ----------
        old, new : State
            The transition; a final state is shown to them with the states of the tasks as its result.

        Returns
        -------
        State
            The last one's word, without a result: that of a flow is its tasks' states, whatever they say.
        """
        # As in Prefect 1, where a flow run is scheduled before it runs.
        before = Scheduled("The flow run is about to begin.") if old is PENDING else old
        shown = said = new.replace(result=self._states()) if new.is_finished() else new
        # A flow that was called off did not come to its end.
        if self._terminal is not None and new.is_finished() and not isinstance(new, Cancelled):
            said = self._terminal_state(self._terminal, shown)
            if said is not shown:
                said = said.replace(result=shown.result)
        said = state_after(self._graph, self._handlers, before, said)
        return new if said is shown else said.replace(result=NO_RESULT)

    def _terminal_state(self, handler: Callable[..., Any], state: State) -> State:
        tasks: Mapping[Any, State] = state.result
        wanted = self._graph.reference_tasks()
        references: list[State] = []
        for task, one in tasks.items():
            if task in wanted:
                references.extend(one.map_states if isinstance(one, Mapped) else [one])
        try:
            said = handler(self._graph, state, references)
        except Signal as signal:
            return signal.state
        return as_state(said, handler, self._graph, state)

    def failed(self, state: State) -> None:
        """Tell whoever wants to know that the flow run has failed.

        Parameters
        ----------
        state : State
            The flow's state.
        """
        assert self._on_failure is not None
        try:
            self._on_failure(self._graph, state.replace(result=self._states()))
        except BaseException:  # it stays failed, whatever is raised
            _logger.exception("on_failure of flow %r raised; the flow's state stays.", self._graph.name)
