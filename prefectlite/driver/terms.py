"""What a flow run goes by: parameters, context and settings, as they are when it is made. Knows no place."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from prefectlite.core.facts import flow_facts
from prefectlite.core.given_context import around, checked
from prefectlite.core.graph import FlowGraph
from prefectlite.core.secret_types import hide_secrets
from prefectlite.core.task import Task
from prefectlite.driver.task_contexts import TaskContexts
from prefectlite.masking import Secrets
from prefectlite.schedules.events import ClockEvent
from prefectlite.settings import current as current_settings
from prefectlite.settings import to_travel


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What a flow run goes by.

    Parameters
    ----------
    parameters : mapping of str to object
        Values of the flow's parameters, and what its context was given beside them.
    context : mapping of str to object
        What its context holds more.
    task_contexts : mapping of Task to mapping
        What those of single tasks hold more; it goes before ``context``.
    hidden : tuple of str
        Secrets among the parameters, as texts that no process writes.
    scheduled : datetime or None
        What it was scheduled for; None for whenever it begins.
    raises : bool
        Whether it ends at the first exception that a task fails with.
    log_level : int
        The lowest level of the task bodies' log records that are brought to the driver.
    inline_limit : int
        Up to how many pickled bytes a result rides in its report.
    folder : str or None
        Where values are stored of tasks that do not say where.
    """

    parameters: Mapping[str, Any]
    context: Mapping[str, Any]
    task_contexts: Mapping[Task, Mapping[str, Any]]
    hidden: tuple[str, ...]
    scheduled: datetime | None
    raises: bool
    log_level: int
    inline_limit: int
    folder: str | None

    def approves(self, task: Task) -> bool:
        """Return whether the context says that a task which waits for approval has it.

        Parameters
        ----------
        task : Task
            Of the flow.

        Returns
        -------
        bool
            What its own context says goes first.
        """
        own = self.task_contexts.get(task, self.context)
        return bool(own.get("resume", self.context.get("resume")))

    def facts(self, flow_name: str, run_id: str, began: float) -> dict[str, Any]:
        """Return what ``context`` shows of the flow run to code of the driver's.

        Parameters
        ----------
        flow_name, run_id : str
            The flow's name, and the run's identity.
        began : float
            When it was to begin, in seconds since the epoch.

        Returns
        -------
        dict of str to object
            Values by name.
        """
        return {
            **flow_facts(flow_name, run_id, began, self.context),
            "parameters": dict(self.parameters),
        }


def terms_of(
    graph: FlowGraph,
    parameters: Mapping[str, Any],
    *,
    start: ClockEvent | None = None,
    context: Mapping[str, Any] | None = None,
    task_contexts: TaskContexts | None = None,
    log_level: int | None = None,
    raises: bool = False,
) -> Terms:
    """Return what a flow run goes by that is asked for here and now.

    Parameters
    ----------
    graph : FlowGraph
        The flow.
    parameters : mapping of str to object
        Values for its parameters.
    start : ClockEvent or None
        What it was scheduled for.
    context : mapping of str to object, or None
        What its context is to hold more; it goes before what holds around this call, and before the settings.
    task_contexts : TaskContexts or None
        What those of single tasks are to hold more.
    log_level : int or None
        By default, that of the settings.
    raises : bool
        Whether it ends at the first exception that a task fails with; the context may say so, too.

    Returns
    -------
    Terms
        What is changed in settings and surroundings from now on is not this run's.

    Raises
    ------
    ConfigError
        When the settings cannot be read.
    ContextError
        When the context has a name that it cannot have, or a date that is none.
    ParameterError
        When a parameter is unknown, missing or of the wrong type.
    """
    settings = current_settings()
    own = checked({**settings.context, **around(), **(context or {})}, f"Flow {graph.name!r}")
    values = _with_those_of_context(graph, parameters, start, own.pop("parameters", {}), task_contexts)
    if start is not None:
        # As in Prefect 1, the start has the schedule's zone, and the date is that of UTC.
        own = {"scheduled_start_time": start.wall, "date": start.moment, **own}
    secrets = Secrets({**settings.secrets, **own["secrets"]})
    whole = {**own, "secrets": secrets, "config": to_travel(own.get("config", settings))}
    return Terms(
        parameters=MappingProxyType(values),
        context=whole,
        task_contexts={} if task_contexts is None else task_contexts.within(whole),
        hidden=hide_secrets(graph.parameters(), values),
        scheduled=None if start is None else start.wall,
        raises=bool(raises or own.get("raise_on_exception")),
        log_level=getattr(logging, settings.logging.level) if log_level is None else log_level,
        inline_limit=settings.results.inline_limit,
        folder=settings.results.dir,
    )


def _with_those_of_context(
    graph: FlowGraph,
    given: Mapping[str, Any],
    start: ClockEvent | None,
    of_context: Mapping[str, Any],
    of_tasks: TaskContexts | None,
) -> dict[str, Any]:
    """Return the values of a run's parameters, and what its context was given beside them."""
    known = {one.name for one in graph.parameters()}
    named = {name: value for name, value in of_context.items() if name in known}
    own = {} if of_tasks is None else of_tasks.parameters
    of_clock = None if start is None else start.parameter_defaults
    return {**of_context, **graph.check_parameters({**named, **given, **own}, of_clock)}
