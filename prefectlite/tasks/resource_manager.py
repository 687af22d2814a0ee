"""Resources that exist for a block of tasks: made before it, cleaned up after it. Knows blocks and tasks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, overload

from prefectlite.core.base import AnyTask, ResourceRole, Task
from prefectlite.core.blocks import Block, enter_block, leave_block
from prefectlite.core.layers import current_layer
from prefectlite.core.options import TaskArgs
from prefectlite.core.task import FunctionTask
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import check_kind
from prefectlite.printable import label
from prefectlite.states.signals import SKIP
from prefectlite.states.state import State

if TYPE_CHECKING:
    from prefectlite.core.edge import Edge
    from prefectlite.core.graph import FlowGraph


class ResourceInitTask(FunctionTask[..., Any]):
    """Makes the object that manages a resource."""

    __slots__ = ()
    resource_role: ClassVar[ResourceRole | None] = "init"


class ResourceSetupTask(Task):
    """Makes a resource."""

    resource_role: ClassVar[ResourceRole | None] = "setup"

    def run(self, mgr: Any) -> Any:
        """Make it.

        Parameters
        ----------
        mgr : object
            The resource's manager.

        Returns
        -------
        object
            The resource.
        """
        return mgr.setup()


class ResourceCleanupTask(Task):
    """Cleans a resource up; it runs whatever became of the tasks that used it, also after a cancel."""

    resource_role: ClassVar[ResourceRole | None] = "cleanup"

    def run(self, mgr: Any, resource: Any = None) -> None:
        """Clean it up.

        Parameters
        ----------
        mgr : object
            The resource's manager.
        resource : object
            What its ``setup`` returned; None if it has none.
        """
        mgr.cleanup(resource)


def resource_cleanup_trigger(upstream_states: Mapping[Edge, State]) -> bool:
    """Let a cleanup run if the resource was made, however the tasks that used it ended.

    Parameters
    ----------
    upstream_states : mapping of Edge to State
        All of them are final.

    Returns
    -------
    bool
        True.

    Raises
    ------
    SKIP
        When the manager or the resource was not made.
    """
    for edge, state in upstream_states.items():
        if edge.key is not None and (state.is_skipped() or not state.is_successful()):
            raise SKIP(f"There is nothing to clean up: {edge.upstream.name} ended {type(state).__name__}.")
    return True


class ResourceContext:
    """A block of tasks that use a resource; made by calling a ``ResourceManager``.

    Parameters
    ----------
    init_task : Task
        Makes the manager.
    setup_task : Task or None
        Makes the resource; None for a manager without ``setup``.
    cleanup_task : Task
        Cleans it up.
    flow : FlowGraph
        The flow that they are in.
    """

    def __init__(
        self, init_task: AnyTask, setup_task: AnyTask | None, cleanup_task: AnyTask, flow: FlowGraph
    ) -> None:
        self.init_task = init_task
        self.setup_task = setup_task
        self.cleanup_task = cleanup_task
        self._flow = flow
        self._blocks: list[Block] = []

    def __enter__(self) -> AnyTask:
        """Begin the block; return the task whose value is the resource, or None if there is no such task."""
        enter_block("resource", self._flow, self._blocks)
        return self.setup_task

    def __exit__(self, *exc: object) -> None:
        """End the block, and put its tasks between setup and cleanup, also after an error."""
        block = leave_block()
        made = self.init_task if self.setup_task is None else self.setup_task
        for task in block.roots():
            if made not in block.upstreams(task):
                task.set_upstream(made, flow=self._flow)
        for task in block.leaves():
            task.set_downstream(self.cleanup_task, flow=self._flow)
        self._blocks.append(block)


class ResourceManager:
    """Makes a resource for a block of tasks and cleans it up afterwards; ``resource_manager`` is shorter.

    Parameters
    ----------
    resource_class : callable
        A class with ``cleanup(resource)`` and, unless there is nothing to make, ``setup()``; or a function
        that returns such an object.
    name : str or None
        What the resource is called; by default, as its class.
    init_task_kwargs, setup_task_kwargs, cleanup_task_kwargs : mapping or None
        Options of the tasks that call the class and its two methods.

    Raises
    ------
    DefinitionError
        When the class has no ``cleanup``.
    DefinitionTypeError
        When it is no class and no function, or an option is something else.
    """

    def __init__(
        self,
        resource_class: Callable[..., Any],
        name: str | None = None,
        init_task_kwargs: TaskArgs | None = None,
        setup_task_kwargs: TaskArgs | None = None,
        cleanup_task_kwargs: TaskArgs | None = None,
    ) -> None:
        given: object = resource_class
        if not callable(given):
            raise DefinitionTypeError(
                f"A resource manager is made from a class, not from {given!r}; write @resource_manager above "
                "one, with options by name: @resource_manager(name='cluster')."
            )
        check_kind("A resource manager", "name", name, str | None, "give a text: name='cluster'.")
        for option, options in (
            ("init_task_kwargs", init_task_kwargs),
            ("setup_task_kwargs", setup_task_kwargs),
            ("cleanup_task_kwargs", cleanup_task_kwargs),
        ):
            check_kind(
                "A resource manager",
                option,
                options,
                Mapping | None,
                f"give options: {option}={{'tags': ['gpu']}}.",
            )
        self.resource_class = resource_class
        self.name = str(getattr(resource_class, "__name__", "resource")) if name is None else name
        if isinstance(resource_class, type) and not callable(getattr(resource_class, "cleanup", None)):
            raise DefinitionError(
                f"The resource manager {self.name!r} is made from {resource_class.__name__!r}, which has no "
                "method cleanup(self, resource); add one, which may do nothing."
            )
        self.init_task_kwargs: TaskArgs = {"name": self.name, **(init_task_kwargs or {})}
        self.setup_task_kwargs: TaskArgs = {"name": f"{self.name}.setup", **(setup_task_kwargs or {})}
        self.cleanup_task_kwargs: TaskArgs = {
            "name": f"{self.name}.cleanup",
            "trigger": resource_cleanup_trigger,
            "skip_on_upstream_skip": False,
            **(cleanup_task_kwargs or {}),
        }
        self.__doc__ = resource_class.__doc__

    def __call__(self, *args: Any, flow: FlowGraph | None = None, **kwargs: Any) -> ResourceContext:
        """Put the tasks that make and clean up a resource into the flow.

        Parameters
        ----------
        *args : object
            Arguments of the class, tasks and parameters among them.
        flow : FlowGraph or None
            The flow; by default, the one that is being built.
        **kwargs : object
            Arguments of the class by name.

        Returns
        -------
        ResourceContext
            For a ``with`` statement: the tasks that are called in its block use the resource.

        Raises
        ------
        DefinitionError
            When no flow is being built, or an argument is given twice.
        DefinitionTypeError
            When an argument is missing or unknown.
        """
        graph: FlowGraph | None = current_layer().values.get("flow") if flow is None else flow
        if graph is None:
            raise DefinitionError(
                f"The resource manager {self.name!r} was used outside a flow; call it inside "
                "`with Flow(...):`, or pass flow=..."
            )
        init = ResourceInitTask(self._findable_class(), **self.init_task_kwargs)(*args, flow=graph, **kwargs)
        setup = None
        if not isinstance(self.resource_class, type) or hasattr(self.resource_class, "setup"):
            setup = ResourceSetupTask(**self.setup_task_kwargs)(init, flow=graph)
        cleanup = ResourceCleanupTask(**self.cleanup_task_kwargs)(init, setup, flow=graph)
        return ResourceContext(init, setup, cleanup, graph)

    def _findable_class(self) -> Callable[..., Any]:
        """Return the class under a name by which other processes find it.

        A decorated class's own name means this manager, so that it could only travel by value.
        """
        cls: Any = self.resource_class
        if isinstance(cls, type) and _named(cls.__module__, cls.__qualname__) is self:
            cls.__qualname__ = f"{cls.__qualname__}.resource_class"
        return self.resource_class

    def __repr__(self) -> str:
        """Return ``<ResourceManager: name>``."""
        return f"<ResourceManager: {label(self.name)}>"


@overload
def resource_manager(resource_class: Callable[..., Any]) -> ResourceManager: ...
@overload
def resource_manager(
    resource_class: None = None,
    *,
    name: str | None = None,
    init_task_kwargs: TaskArgs | None = None,
    setup_task_kwargs: TaskArgs | None = None,
    cleanup_task_kwargs: TaskArgs | None = None,
) -> Callable[[Callable[..., Any]], ResourceManager]: ...
def resource_manager(
    resource_class: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    init_task_kwargs: TaskArgs | None = None,
    setup_task_kwargs: TaskArgs | None = None,
    cleanup_task_kwargs: TaskArgs | None = None,
) -> Any:
    """Make a resource manager of a class: something that exists while the tasks of a block run.

    Calling the manager in a ``with`` statement gives the block three tasks of its own: one makes an object
    of the class, one calls its ``setup()``, whose value is the resource, and one calls its
    ``cleanup(resource)`` at the end. The cleanup runs however the tasks of the block ended, also when the
    flow run is cancelled, but is skipped if there is nothing to clean up since the setup failed or was
    skipped. It never decides how the flow run ends.

    Parameters
    ----------
    resource_class : callable or None
        The class; None when only options are given.
    name : str or None
        What the resource is called; by default, as its class.
    init_task_kwargs, setup_task_kwargs, cleanup_task_kwargs : mapping or None
        Options of the three tasks.

    Returns
    -------
    ResourceManager or callable
        The manager, or a decorator that makes it.

    Raises
    ------
    DefinitionError
        When the class has no ``cleanup``.
    DefinitionTypeError
        When it is no class and no function.

    Examples
    --------
    >>> from prefectlite import Flow, LocalExecutor, task
    >>> @resource_manager
    ... class Scratch:
    ...     def __init__(self, name):
    ...         self.name = name
    ...     def setup(self):
    ...         return [f"{self.name} opened"]
    ...     def cleanup(self, log):
    ...         print(*log, f"{self.name} closed", sep=", ")
    >>> @task
    ... def use(log):
    ...     log.append("used")
    >>> with Flow("scratch") as flow:
    ...     with Scratch("tmp") as log:
    ...         used = use(log)
    >>> state = flow.run(executor=LocalExecutor())
    tmp opened, used, tmp closed
    """

    def made(cls: Callable[..., Any]) -> ResourceManager:
        return ResourceManager(cls, name, init_task_kwargs, setup_task_kwargs, cleanup_task_kwargs)

    return made if resource_class is None else made(resource_class)


def _named(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found
