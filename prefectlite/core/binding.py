"""From a call's arguments to edges: what is a constant, a task, a collection. Knows the graph's doors only.

Arguments are searched for tasks through lists, tuples, sets, dicts and dataclasses, however deep. What holds
none is a constant and is handed over as it is; what holds some becomes a ``Collection`` task.
"""

from __future__ import annotations

from collections.abc import Collection as Sized
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from inspect import signature
from typing import Any, Protocol

from prefectlite.core.annotations import EdgeAnnotation
from prefectlite.core.assembly import Assembly, AssemblyKind
from prefectlite.core.base import Task
from prefectlite.core.constants import PLAIN, Collection, Constant, Dict, List, Record, Set, Tuple
from prefectlite.core.edge import Edge
from prefectlite.errors import DefinitionError, DefinitionTypeError

_CONTAINERS = (list, tuple, set, frozenset, dict)
_ARGUMENT_NAMES = tuple(f"arg_{number}" for number in range(1, 257))


class Graph(Protocol):
    """What binding needs of a flow."""

    def add_task(self, task: Task) -> Task:
        """Take a task in, if it is not there yet.

        Parameters
        ----------
        task : Task
            Any task.

        Returns
        -------
        Task
            The same.
        """
        ...

    def add_collection(self, task: Collection, edges: list[Edge]) -> None:
        """Take in a collection and the edges from its members.

        Parameters
        ----------
        task : Collection
            A new task.
        edges : list of Edge
            Edges to it, from tasks that were taken in.
        """
        ...

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

    def number(self, task: Task) -> int | None:
        """Return how many tasks were taken in before a task.

        Parameters
        ----------
        task : Task
            Any task.

        Returns
        -------
        int or None
            None if it was not taken in.
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
    if isinstance(upstream_tasks, Task | EdgeAnnotation | str) or not isinstance(upstream_tasks, Iterable):
        raise DefinitionTypeError(
            f"Task {task.name!r} has upstream_tasks={upstream_tasks!r}, which is no list; "
            "write upstream_tasks=[...]."
        )
    edges: dict[tuple[int, bool, bool], Edge] = {}
    for one in upstream_tasks:
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
    if _is_container(value) and next(_tasks_in(value), None) is not None:
        return _collect(graph, value, {})
    return None if keyed else graph.add_task(Constant(value))


def _is_container(value: Any) -> bool:
    return isinstance(value, _CONTAINERS) or (
        hasattr(type(value), "__dataclass_fields__") and not isinstance(value, type)
    )


def _tasks_in(value: Any) -> Iterator[Task]:
    # A loop, not a recursion: constants may be nested deeper than Python's stack, or hold themselves.
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Task):
            yield one
        elif isinstance(one, EdgeAnnotation):
            raise DefinitionError(
                f"{one!r} stands inside a collection, where it says nothing; "
                "annotate the whole argument instead."
            )
        elif _is_container(one) and id(one) not in seen:
            seen.add(id(one))
            members = _members(one)
            # Most collections hold plain data only, which is seen at the speed of C.
            if not PLAIN.issuperset(map(type, members)):
                waiting.extend(member for member in members if type(member) not in PLAIN)


def _members(value: Any) -> Sized[Any]:
    if isinstance(value, dict):
        if not PLAIN.issuperset(map(type, value)):
            for key in value:
                if isinstance(key, Task):
                    raise DefinitionError(
                        f"Task {key.name!r} is the key of a dict, and keys must be known when the flow is "
                        "built; let a task of your own build the dict."
                    )
        return value.values()
    if isinstance(value, _CONTAINERS):
        return value
    return [getattr(value, field.name, None) for field in fields(value)]


def _collect(graph: Graph, value: Any, done: dict[int, Task | None]) -> Task:
    """Return the task for a container that holds tasks; ``done`` maps those seen, None while in progress."""
    if id(value) in done:
        known = done[id(value)]
        if known is None:
            raise DefinitionError(
                f"A {type(value).__name__} that holds tasks also holds itself; it cannot be put together."
            )
        return known
    done[id(value)] = None
    kind, names, members = _parts(graph, value)
    upstreams: list[tuple[int, Task]] = []
    fixed: list[tuple[int, Any]] = []
    for place, member in enumerate(members):
        if isinstance(member, Task):
            upstreams.append((place, graph.add_task(member)))
        elif _is_container(member) and next(_tasks_in(member), None) is not None:
            upstreams.append((place, _collect(graph, member, done)))
        else:
            fixed.append((place, member))
    cls = type(value) if kind in ("namedtuple", "record") else None
    assembly = Assembly(kind, len(members), names, tuple(fixed), cls)
    task = _CLASSES[kind](assembly, name=type(value).__name__ if kind == "record" else None)
    graph.add_collection(task, [Edge(upstream, task, _argument_name(place)) for place, upstream in upstreams])
    done[id(value)] = task
    return task


def _parts(graph: Graph, value: Any) -> tuple[AssemblyKind, tuple[Any, ...], list[Any]]:
    match value:
        case list():
            return "list", (), list(value)
        case tuple():
            return "namedtuple" if hasattr(type(value), "_fields") else "tuple", (), list(value)
        case set() | frozenset():
            # A set has no order of its own that two runs of a script would share.
            members = sorted(value, key=lambda member: _order(graph, member))
            return "set" if isinstance(value, set) else "frozenset", (), members
        case dict():
            return "dict", tuple(value), list(value.values())
        case _:
            return "record", *_record_parts(value)


def _order(graph: Graph, member: Any) -> list[tuple[float, str]]:
    found = []
    for task in _tasks_in(member):
        number = graph.number(task)
        found.append((float("inf") if number is None else number, task.name))
    return sorted(found)


def _record_parts(value: Any) -> tuple[tuple[str, ...], list[Any]]:
    cls = type(value)
    taken = [field.name for field in fields(value) if field.init]
    members = [getattr(value, name) for name in taken]
    asked = signature(cls).parameters
    odd = sorted(asked.keys() ^ set(taken))
    if odd:
        raise DefinitionError(
            f"The dataclass {cls.__name__!r} holds a task, so it is made again once the value is known, but "
            f"its constructor and its fields differ in {odd[0]!r}; pass a dict, or make the instance in a "
            "task."
        )
    if next(_tasks_in(members), None) is None:
        raise DefinitionError(
            f"The dataclass {cls.__name__!r} holds a task in a field that its constructor does not take, so "
            "the value could not be filled in; use a field with init=True."
        )
    return tuple(taken), members


def _argument_name(place: int) -> str:
    return _ARGUMENT_NAMES[place] if place < len(_ARGUMENT_NAMES) else f"arg_{place + 1}"


_CLASSES: Mapping[AssemblyKind, type[Collection]] = {
    "list": List,
    "tuple": Tuple,
    "namedtuple": Tuple,
    "set": Set,
    "frozenset": Set,
    "dict": Dict,
    "record": Record,
}
