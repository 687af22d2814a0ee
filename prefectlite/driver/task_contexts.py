"""What the context of single tasks holds beside that of their flow run. Knows tasks; knows no run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefectlite.core.facts import date_facts
from prefectlite.core.given_context import checked
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task
from prefectlite.errors import ContextError, DefinitionError
from prefectlite.masking import Secrets
from prefectlite.settings import to_travel


class TaskContexts:
    """The values that the contexts of single tasks hold more, those of a map's children alike.

    Parameters
    ----------
    graph : FlowGraph
        The flow.
    given : mapping of Task to mapping, or None
        What was given: values by name, by task.

    Raises
    ------
    ContextError
        When it has no tasks or values no names, or a name is one that a context cannot have.
    DefinitionError
        When a task is not of the flow.
    """

    def __init__(self, graph: FlowGraph, given: Mapping[Any, Any] | None) -> None:
        self._values: dict[Task, dict[str, Any]] = {}
        self._secrets: dict[Task, Secrets] = {}
        found: object = given or {}
        if not isinstance(found, Mapping):
            raise self._wrong(graph, given)
        for task, values in found.items():
            if task not in graph:
                raise DefinitionError(
                    f"Flow {graph.name!r} is given a context for {task!r}, which is not in it; use what the "
                    "call of a task returned."
                )
            if not isinstance(values, Mapping):
                raise self._wrong(graph, {task: values})
            own = checked(values, f"Task {graph.slugs[task]!r} of flow {graph.name!r}", of_task=True)
            if "config" in own:
                own["config"] = to_travel(own["config"])
            secrets = own.pop("secrets")
            if secrets:
                self._secrets[task] = secrets
            self._values[task] = {**date_facts(own["date"]), **own} if "date" in own else own

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that the contexts of the flow's parameters name, each for its own."""
        given = {
            task.name: self._values[task].get("parameters", {})
            for task in self._values
            if isinstance(task, Parameter)
        }
        return {name: values[name] for name, values in given.items() if name in values}

    def within(self, context: Mapping[str, Any]) -> dict[Task, dict[str, Any]]:
        """Return what the contexts of tasks hold in a flow run.

        Parameters
        ----------
        context : mapping of str to object
            What that of the flow run was given; secrets of a task go before its secrets.

        Returns
        -------
        dict
            Values by name, by task; what it does not hold is as in the flow run's.
        """
        found = dict(self._values)
        for task, secrets in self._secrets.items():
            found[task] = {**found[task], "secrets": Secrets({**context["secrets"], **secrets})}
        return found

    @staticmethod
    def _wrong(graph: FlowGraph, given: object) -> ContextError:
        return ContextError(
            f"Flow {graph.name!r} is given task_contexts={given!r}, which are no names and values by task; "
            "pass {task: {'region': 'north'}}."
        )
