"""States that a run begins with, of an earlier run, say. Knows tasks and states; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefectlite.core.constants import Collection, Constant
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task
from prefectlite.errors import DefinitionError, DefinitionTypeError, ResultUnavailable
from prefectlite.states.keys import RunKey
from prefectlite.states.meta import unwrapped
from prefectlite.states.state import Looped, Mapped, Resume, State


class KeptStates:
    """The final states that tasks of a run are given, so that their bodies do not run.

    A map keeps those of its children. A state that is not final is not kept: the task begins anew. So do
    secrets and what a resource manager makes, since nobody could use what an earlier run made of them.

    Parameters
    ----------
    graph : FlowGraph
        The flow.
    given : mapping of Task to State, or None
        What was given.

    Raises
    ------
    DefinitionError
        When a task is not of the flow, or a state asks for an approval.
    DefinitionTypeError
        When what was given is no mapping of tasks to states.
    ResultUnavailable
        When the result of a state is gone.
    """

    def __init__(self, graph: FlowGraph, given: Mapping[Any, Any] | None) -> None:
        self._name = graph.name
        self._states: dict[Task, State] = {}
        found: object = given or {}
        if not isinstance(found, Mapping):
            raise self._wrong(given, "which is no mapping of tasks to states; pass {task: state}")
        for task, told in found.items():
            if task not in graph:
                raise DefinitionError(
                    f"Flow {self._name!r} is given a state for {task!r}, which is not in it; use what the "
                    "call of a task returned."
                )
            if not isinstance(told, State):
                raise self._wrong({task: told}, "which is no state; pass {task: state}")
            state = unwrapped(told)
            if isinstance(state, Resume):
                raise DefinitionError(
                    f"Flow {self._name!r} is given {state!r} for {task!r}, but what waits for an approval is "
                    "resumed in its own run: run = flow.start(); run.resume(task)."
                )
            if _is_kept(task, state, graph.is_mapped(task)):
                self._states[task] = self._settled(task, state)

    @property
    def tasks(self) -> frozenset[Task]:
        """The tasks that keep a state."""
        return frozenset(self._states)

    def of(self, task: Task, key: RunKey) -> State | None:
        """Return the state that a task run keeps.

        Parameters
        ----------
        task : Task
            The task.
        key : RunKey
            The run's name.

        Returns
        -------
        State or None
            None if it has to run.
        """
        state = self._states.get(task)
        if not isinstance(state, Mapped):
            return state
        children = state.map_states
        child = children[key.index] if key.index is not None and key.index < len(children) else None
        return child if child is not None and _is_final(child) else None

    def _wrong(self, given: object, why: str) -> DefinitionTypeError:
        return DefinitionTypeError(f"Flow {self._name!r} is given task_states={given!r}, {why}.")

    def _settled(self, task: Task, state: State) -> State:
        """Return a state that holds its value itself: where it lies, the next run does not know."""
        if isinstance(state, Mapped):
            given = map(unwrapped, state.map_states)
            children = [self._settled(task, one) if _is_final(one) else one for one in given]
            return state.replace(map_states=children)
        if state.result_ref is None:
            return state
        try:
            return state.replace(result=state.result)
        except ResultUnavailable as error:
            raise ResultUnavailable(
                f"The result of {task!r} in task_states is gone: {error} Leave the task out, so that it "
                "runs again."
            ) from error


def _is_final(state: State) -> bool:
    return state.is_finished() and not isinstance(state, Looped)


def _is_kept(task: Task, state: State, is_mapped: bool) -> bool:
    has_body = not isinstance(task, Parameter | Constant | Collection)
    is_of_its_run = task.is_secret or task.resource_role is not None
    # A map that did not unfold did so by rules, which say the same again.
    return _is_final(state) and has_body and not is_of_its_run and isinstance(state, Mapped) == is_mapped
