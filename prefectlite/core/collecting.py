"""From a value to the task that stands for it: containers of tasks become collections. Knows no edges.

Values are searched for tasks through lists, tuples, sets, dicts and dataclasses, however deep.
"""

from __future__ import annotations

from collections.abc import Collection as Sized
from collections.abc import Iterator, Mapping
from dataclasses import fields
from inspect import signature
from typing import Any, Protocol

from prefectlite.core.annotations import EdgeAnnotation
from prefectlite.core.assembly import AssemblyKind
from prefectlite.core.base import Task
from prefectlite.core.constants import (
    AutoDict,
    AutoList,
    AutoSet,
    AutoTuple,
    Collection,
    Constant,
    Record,
    constant_for,
)
from prefectlite.core.layers import current_layer
from prefectlite.core.members import argument_name
from prefectlite.core.plain import PLAIN
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import shown

_CONTAINERS = (list, tuple, set, frozenset, dict)


class Collector(Protocol):
    """What collecting needs of a flow."""

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

    def next_slug(self, task: Collection) -> str:
        """Return the slug for a collection that is still to come, behind what is in it.

        Parameters
        ----------
        task : Collection
            A new task.

        Returns
        -------
        str
            It is the task's from now on.
        """
        ...

    def add_collection(
        self, task: Collection, slug: str, members: Mapping[str, Task], constants: dict[str, Any]
    ) -> None:
        """Take in a collection and its members.

        Parameters
        ----------
        task : Collection
            A new task.
        slug : str
            What ``next_slug`` returned for it.
        members : mapping of str to Task
            Tasks that were taken in, by argument name.
        constants : dict of str to object
            The members that are no tasks, likewise; it is kept.
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


def as_task(x: Any, flow: Collector | None = None) -> Task:
    """Return the task that stands for a value.

    Parameters
    ----------
    x : object
        A task, which is its own; any value, which becomes a constant; or a list, tuple, set, dict or
        dataclass that holds tasks, which becomes a collection. An annotation is taken off.
    flow : Flow or None
        Where a collection belongs; by default, the flow that is being built.

    Returns
    -------
    Task
        A constant is not put into the flow by this.

    Raises
    ------
    DefinitionError
        When the value holds tasks, and no flow is being built; or also holds itself, an annotation, or a task
        as a dict's key.
    DefinitionTypeError
        When it holds tasks, and ``flow`` is none.
    """
    bare = x.value if isinstance(x, EdgeAnnotation) else x
    if isinstance(bare, Task):
        return bare
    if not holds_tasks(bare):
        return constant_for(bare)
    graph: Collector | None = current_layer().values.get("flow") if flow is None else flow
    if graph is None:
        raise DefinitionError(
            f"A {type(bare).__name__} that holds tasks becomes a task of the flow, and no flow is being "
            "built here; do it inside `with Flow(...):`, or pass flow=..."
        )
    if not hasattr(graph, "add_collection"):
        raise DefinitionTypeError(
            f"as_task(...) has flow={shown(flow)}; pass a Flow, or leave it away inside one."
        )
    return collect(graph, bare)


def holds_tasks(value: Any) -> bool:
    """Return whether a container holds a task, however deep.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    bool
        False for what is no container.
    """
    return _is_container(value) and next(_tasks_in(value), None) is not None


def collect(graph: Collector, value: Any) -> Task:
    """Return the collection for a container that holds tasks.

    Parameters
    ----------
    graph : Collector
        Takes it and its members in.
    value : object
        The container.

    Returns
    -------
    Task
        A new task.

    Raises
    ------
    DefinitionError
        When the value also holds itself, an annotation, or a task as a dict's key.
    """
    return _collect(graph, value, {})


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


def _collect(graph: Collector, value: Any, done: dict[int, tuple[Any, Task | None]]) -> Task:
    """Return the task for a container that holds tasks.

    ``done`` maps those seen, by their ids, to themselves, so that no other has that id, and to their tasks,
    which are None while in progress.
    """
    if id(value) in done:
        _, known = done[id(value)]
        if known is None:
            raise DefinitionError(
                f"A {type(value).__name__} that holds tasks also holds itself; it cannot be put together."
            )
        return known
    done[id(value)] = value, None
    kind, names, members = _parts(graph, value)
    cls = type(value) if kind in ("namedtuple", "record") else None
    task = _CLASSES[kind](kind, len(members), names, cls, type(value).__name__ if kind == "record" else None)
    keys = task.takes.names if kind == "dict" else map(argument_name, range(len(members)))
    # As in Prefect 1, it is counted before those that it holds.
    slug = graph.next_slug(task)
    upstreams: dict[str, Task] = {}
    constants: dict[str, Any] = {}
    for key, member in zip(keys, members, strict=True):
        if isinstance(member, Constant):
            constants[key] = member.value
        elif isinstance(member, Task):
            upstreams[key] = graph.add_task(member)
        elif holds_tasks(member):
            upstreams[key] = _collect(graph, member, done)
        else:
            constants[key] = member
    graph.add_collection(task, slug, upstreams, constants)
    done[id(value)] = value, task
    return task


def _parts(graph: Collector, value: Any) -> tuple[AssemblyKind, tuple[Any, ...], list[Any]]:
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
            return "dict", (), [list(value), list(value.values())]
        case _:
            return "record", *_record_parts(value)


def _order(graph: Collector, member: Any) -> list[tuple[float, str]]:
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


_CLASSES: Mapping[AssemblyKind, type[Collection]] = {
    "list": AutoList,
    "tuple": AutoTuple,
    "namedtuple": AutoTuple,
    "set": AutoSet,
    "frozenset": AutoSet,
    "dict": AutoDict,
    "record": Record,
}
