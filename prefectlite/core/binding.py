"""From a call's arguments to edges: what is a constant, what a task. Knows the graph's doors only.

What holds no task is a constant and is handed over as it is; what holds some becomes a ``Collection`` task.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from prefectlite.core.annotations import EdgeAnnotation
from prefectlite.core.base import Task
from prefectlite.core.collecting import Collector, collect, holds_tasks
from prefectlite.core.constants import Constant, constant_for
from prefectlite.core.edge import Edge
from prefectlite.core.plain import PLAIN
from prefectlite.errors import DefinitionTypeError
from prefectlite.kinds import shown


class Graph(Collector, Protocol):
    """What binding needs of a flow."""

    def is_mapped(self, task: Task) -> bool:
        """Return whether a task runs once per item of an input.

        Parameters
        ----------
        task : Task
            A task that was taken in.

        Returns
        -------
        bool
            True if one of the edges to it is mapped.
        """
        ...


def argument_edges(
    graph: Graph, task: Task, arguments: Mapping[str, Any], mapped: bool
) -> tuple[list[Edge], dict[str, Any]]:
    """Sort a call's arguments into edges and constants.

    Parameters
    ----------
    graph : Graph
        Where upstream tasks belong.
    task : Task
        Whose arguments they are.
    arguments : mapping of str to object
        Values by argument name.
    mapped : bool
        Whether arguments without an annotation are mapped over.

    Returns
    -------
    tuple of (list of Edge, dict)
        Edges in the order of the arguments, and constants by argument name.
    """
    edges: list[Edge] = []
    constants: dict[str, Any] = {}
    for key, value in arguments.items():
        if not mapped and type(value) in PLAIN:
            constants[key] = value
            continue
        bare, is_mapped, flattened = unwrapped(value, mapped)
        upstream = upstream_of(graph, bare, keyed=not is_mapped and not flattened)
        if upstream is None:
            constants[key] = bare.value if isinstance(bare, Constant) else bare
        else:
            edges.append(Edge(upstream, task, key, is_mapped, flattened))
    return edges, constants


def upstream_edges(graph: Graph, task: Task, upstream_tasks: Iterable[Any], mapped: bool) -> list[Edge]:
    """Return edges that move no value.

    Parameters
    ----------
    graph : Graph
        Where upstream tasks belong.
    task : Task
        Who waits.
    upstream_tasks : iterable
        What comes first: tasks or values, with or without annotations.
    mapped : bool
        Whether ``task`` is mapped. Upstreams that are mapped themselves are then paired child by child,
        others are waited for as a whole unless they are wrapped in ``mapped(...)``.

    Returns
    -------
    list of Edge
        Without doubles.

    Raises
    ------
    DefinitionTypeError
        When ``upstream_tasks`` is a single task or no iterable at all.
    """
    edges: dict[tuple[int, bool, bool], Edge] = {}
    for one in as_list(f"Task {task.name!r}", "upstream_tasks", upstream_tasks):
        value, asked, flattened = unwrapped(one, None)
        upstream = upstream_of(graph, value, keyed=False)
        assert upstream is not None  # without a key, a constant is a task too
        paired = mapped and graph.is_mapped(upstream) if asked is None else asked
        edges.setdefault((id(upstream), paired, flattened), Edge(upstream, task, None, paired, flattened))
    return list(edges.values())


def unwrapped(value: Any, mapped: Any) -> tuple[Any, Any, bool]:
    """Read an argument's annotation.

    Parameters
    ----------
    value : object
        The argument.
    mapped : object
        What holds when the annotation does not say.

    Returns
    -------
    tuple of (object, object, bool)
        The bare value, whether it is mapped, whether it is flattened.
    """
    if isinstance(value, EdgeAnnotation):
        return value.value, mapped if value.mapped is None else value.mapped, value.flattened
    return value, mapped, False


def upstream_of(graph: Graph, value: Any, *, keyed: bool) -> Task | None:
    """Return the task that stands for an argument.

    Parameters
    ----------
    graph : Graph
        Takes the task in.
    value : object
        A bare argument.
    keyed : bool
        Whether the value is handed over whole under a key; a constant needs no task then.

    Returns
    -------
    Task or None
        None for a constant that needs no task.

    Raises
    ------
    DefinitionError
        When the value holds tasks, and also itself, an annotation, or a task as a dict's key.
    """
    if isinstance(value, Task):
        if keyed and isinstance(value, Constant):
            return None
        return graph.add_task(value)
    if holds_tasks(value):
        return collect(graph, value)
    return None if keyed else graph.add_task(constant_for(value))


def as_list(owner: str, option: str, value: Any) -> Iterable[Any]:
    """Return what was given as a list.

    Parameters
    ----------
    owner, option : str
        What was given it, and as what, for the error.
    value : object
        What was given.

    Returns
    -------
    iterable
        The same; nothing for None.

    Raises
    ------
    DefinitionTypeError
        When it is a single task or text, or no iterable at all.
    """
    if value is None:
        return ()
    if isinstance(value, Task | EdgeAnnotation | str) or not isinstance(value, Iterable):
        raise DefinitionTypeError(
            f"{owner} has {option}={shown(value)}, which is no list; write {option}=[...]."
        )
    return value
