"""One dependency between two tasks. Knows tasks and values that stand for tasks; asks a flow for no more."""

from __future__ import annotations

from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from prefectlite.core.annotations import EdgeAnnotation
from prefectlite.core.base import Task
from prefectlite.core.collecting import Collector, as_task
from prefectlite.errors import DefinitionError
from prefectlite.printable import label


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Edge:
    """One task waits for another, and may take its value.

    Parameters
    ----------
    upstream_task : Task or object
        Who comes first. A value that is no task becomes one; ``mapped(...)`` and ``flatten(...)`` around it
        count.
    downstream_task : Task
        Who waits.
    key : str or None
        The argument of ``downstream_task`` that takes the value; None takes no value.
    mapped : bool or None
        Whether ``downstream_task`` runs once per item of the value.
    flattened : bool or None
        Whether the value is unnested by one level first.
    flow : Flow or None
        Where a list, dict and the like of tasks is put together; by default, the flow that is being built.

    Raises
    ------
    DefinitionError
        When a task would wait for itself, or the key cannot be an argument's name.
    """

    #: Who comes first.
    upstream: Task
    #: Who waits.
    downstream: Task
    key: str | None
    mapped: bool
    flattened: bool

    def __init__(
        self,
        upstream_task: Any,
        downstream_task: Any,
        key: str | None = None,
        mapped: bool | None = None,
        flattened: bool | None = None,
        flow: Collector | None = None,
    ) -> None:
        if isinstance(upstream_task, EdgeAnnotation):
            mapped = mapped if upstream_task.mapped is None else upstream_task.mapped
            flattened = flattened or upstream_task.flattened
        upstream = upstream_task if isinstance(upstream_task, Task) else as_task(upstream_task, flow)
        downstream = downstream_task if isinstance(downstream_task, Task) else as_task(downstream_task, flow)
        if upstream is downstream:
            raise DefinitionError(
                f"Task {upstream.name!r} would wait for itself; call it once more for a second copy."
            )
        given: object = key
        if key is not None and not (isinstance(given, str) and key.isidentifier() and not iskeyword(key)):
            raise DefinitionError(
                f"The edge from {upstream.name!r} to {downstream.name!r} has key={key!r}, "
                "which cannot be an argument's name; give the name of an argument."
            )
        _set(self, "upstream", upstream)
        _set(self, "downstream", downstream)
        _set(self, "key", key)
        _set(self, "mapped", bool(mapped))
        _set(self, "flattened", bool(flattened))

    @property
    def upstream_task(self) -> Task:
        """Prefect 1's name of ``upstream``."""
        return self.upstream

    @property
    def downstream_task(self) -> Task:
        """Prefect 1's name of ``downstream``."""
        return self.downstream

    @property
    def tasks(self) -> frozenset[Task]:
        """Both ends."""
        return frozenset((self.upstream, self.downstream))

    def __repr__(self) -> str:
        """Return both ends' names, and how the value is handed over."""
        how = "" if self.key is None else f", key={self.key!r}"
        how += ", mapped" if self.mapped else ""
        how += ", flattened" if self.flattened else ""
        return f"<Edge: {label(self.upstream.name)} to {label(self.downstream.name)}{how}>"


_set = object.__setattr__
