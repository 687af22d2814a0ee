"""How a task says what comes before and after it. Knows the flow's doors only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from prefectlite.core.annotations import Pipeable
from prefectlite.core.layers import current_layer
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import shown

if TYPE_CHECKING:
    from prefectlite.core.graph import FlowGraph


class Relations(Pipeable):
    """What can be said of a task's dependencies, without passing values in a call."""

    __slots__ = ()
    if TYPE_CHECKING:
        name: str

    def set_upstream(
        self, task: Any, flow: FlowGraph | None = None, key: str | None = None, mapped: bool = False
    ) -> Self:
        """Let the task wait for another.

        Parameters
        ----------
        task : object
            What comes first: a task, or a value.
        flow : FlowGraph or None
            The flow; by default, the one that is being built.
        key : str or None
            The argument that takes its value; None takes no value.
        mapped : bool
            Whether the task maps over it.

        Returns
        -------
        Task
            The task.
        """
        self._graph(flow).add_edge(task, self, key=key, mapped=mapped)
        return self

    def set_downstream(
        self, task: Any, flow: FlowGraph | None = None, key: str | None = None, mapped: bool = False
    ) -> Self:
        """Let another task wait for this one.

        Parameters
        ----------
        task : Task
            What comes later.
        flow : FlowGraph or None
            The flow; by default, the one that is being built.
        key : str or None
            The argument of ``task`` that takes this one's value; None takes no value.
        mapped : bool
            Whether ``task`` maps over this one.

        Returns
        -------
        Task
            The task.
        """
        self._graph(flow).add_edge(self, task, key=key, mapped=mapped)
        return self

    def set_dependencies(
        self,
        flow: FlowGraph | None = None,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[Any] | None = None,
        keyword_tasks: Mapping[str, Any] | None = None,
        mapped: bool = False,
        validate: bool | None = None,
    ) -> Self:
        """Say what comes before and after the task.

        Parameters
        ----------
        flow : FlowGraph or None
            The flow; by default, the one that is being built.
        upstream_tasks : iterable or None
            What comes first.
        downstream_tasks : iterable of Task or None
            What comes later.
        keyword_tasks : mapping of str to object or None
            Values by argument name.
        mapped : bool
            Whether the task maps over ``keyword_tasks``, and is paired with those of ``upstream_tasks``
            that are mapped themselves.
        validate : bool or None
            Not looked at: every edge is checked when it is made.

        Returns
        -------
        Task
            The task.
        """
        self._graph(flow).set_dependencies(
            self,
            upstream_tasks=upstream_tasks,
            downstream_tasks=downstream_tasks,
            keyword_tasks=keyword_tasks,
            mapped=mapped,
        )
        return self

    def __or__(self, other: Any) -> Any:
        """Let a task wait for this one, without its value: ``extract | load``; return that task."""
        self._graph(None).add_edge(self, other)
        return other

    def __ror__(self, other: Any) -> Any:
        """Let this task wait for what stands on its left, a list of tasks say; return this one."""
        self._graph(None).add_edge(other, self)
        return self

    def _graph(self, flow: FlowGraph | None) -> FlowGraph:
        if flow is None:
            graph: FlowGraph | None = current_layer().values.get("flow")
            if graph is None:
                raise self._outside()
            return graph
        if not hasattr(flow, "add_edge"):
            raise DefinitionTypeError(
                f"Task {self.name!r} was given flow={shown(flow)}, which is no flow; pass a Flow, or leave "
                "it away inside `with Flow(...):`."
            )
        return flow

    def _outside(self) -> DefinitionError:
        running = current_layer().values.get("task_name")
        where = (
            "outside a flow"
            if running is None
            else f"in the body of task {running!r}, where no flow is built"
        )
        return DefinitionError(
            f"Task {self.name!r} was used {where}; call it inside `with Flow(...):`, pass flow=..., "
            f"or run its function directly with {self.name}.run(...)."
        )
