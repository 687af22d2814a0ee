"""One dependency between two tasks. Knows tasks and values that stand for tasks; asks its flow to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any, Final, Protocol, TypeAlias

from prefectlite.core.annotations import EdgeAnnotation
from prefectlite.core.base import Task
from prefectlite.core.collecting import Collector, as_task
from prefectlite.errors import DefinitionError
from prefectlite.kinds import shown
from prefectlite.printable import label


class Owner(Collector, Protocol):
    """A flow, to the edges in it."""

    def holds(self, edge: Edge) -> bool:
        """Return whether an edge is in the flow, itself and not one that is equal to it.

        Parameters
        ----------
        edge : Edge
            Any edge.

        Returns
        -------
        bool
            Whether it is this flow's to change.
        """
        ...

    def redraw(self, edge: Edge, new: Edge) -> None:
        """Let an edge of the flow say something else.

        Parameters
        ----------
        edge : Edge
            An edge of the flow.
        new : Edge
            What it is to say; what cannot be is refused.
        """
        ...


#: Returns the flow that took an edge in, as long as there is one.
FlowOfEdge: TypeAlias = Callable[[], Owner | None]


@dataclass(slots=True, init=False, repr=False, unsafe_hash=True)
class Edge:
    """One task waits for another, and may take its value.

    It may be changed: ``edge.mapped = True`` holds for the flow that it is in, and is checked as a new edge
    is.

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
    _flow: FlowOfEdge | None = field(compare=False)

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
        check_key(key, upstream, downstream)
        _put_upstream(self, upstream)
        _put_downstream(self, downstream)
        _put_key(self, key)
        _put_mapped(self, bool(mapped))
        _put_flattened(self, bool(flattened))
        put_flow(self, None)

    def __setattr__(self, name: str, value: Any) -> None:
        """Say something else, in the flow that the edge is in, too."""
        if name not in _SAID:
            object.__setattr__(self, name, value)
            return
        flow = None if self._flow is None else self._flow()
        if flow is not None and not flow.holds(self):
            flow = None
        up, down, key, mapped, flattened = (value if one == name else getattr(self, one) for one in _SAID)
        new = Edge(up, down, key, mapped, flattened, flow)
        if flow is None:
            rewrite(self, new)
        else:
            flow.redraw(self, new)

    def __delattr__(self, name: str) -> None:
        """Refuse: an edge always says all of it."""
        raise AttributeError(f"The {name!r} of an edge cannot be deleted; set it to something else.")

    def __getstate__(self) -> tuple[Any, ...]:
        """Pickle and copy what the edge says, without its flow."""
        return tuple(getattr(self, name) for name in _SAID)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Say what was pickled."""
        for put, value in zip(_PUT, state, strict=True):
            put(self, value)
        put_flow(self, None)

    @property
    def upstream_task(self) -> Task:
        """Prefect 1's name of ``upstream``."""
        return self.upstream

    @upstream_task.setter
    def upstream_task(self, task: Any) -> None:
        self.upstream = task

    @property
    def downstream_task(self) -> Task:
        """Prefect 1's name of ``downstream``."""
        return self.downstream

    @downstream_task.setter
    def downstream_task(self, task: Any) -> None:
        self.downstream = task

    @property
    def tasks(self) -> set[Task]:
        """Both ends."""
        return {self.upstream, self.downstream}

    def __repr__(self) -> str:
        """Return both ends' names, and how the value is handed over."""
        how = "" if self.key is None else f", key={self.key!r}"
        how += ", mapped" if self.mapped else ""
        how += ", flattened" if self.flattened else ""
        return f"<Edge: {label(self.upstream.name)} to {label(self.downstream.name)}{how}>"


_SAID: Final = ("upstream", "downstream", "key", "mapped", "flattened")
# The slots' own setters ask no flow, and there is an edge for each argument of each call.
_PUT: Final = tuple(vars(Edge)[name].__set__ for name in _SAID)
_put_upstream, _put_downstream, _put_key, _put_mapped, _put_flattened = _PUT
#: Note who is asked when an edge is changed: ``put_flow(edge, flow_of_edge)``.
put_flow: Final = vars(Edge)["_flow"].__set__


def check_key(key: object, upstream: object, downstream: Task) -> None:
    """Refuse a key that cannot be an argument's name.

    Parameters
    ----------
    key : object
        What was given; None is no key, and may be.
    upstream : object
        Who comes first, for the error: a task, or a value.
    downstream : Task
        Who waits.

    Raises
    ------
    DefinitionError
        When it is no text, no identifier, or a word of Python's own.
    """
    if key is None or (isinstance(key, str) and key.isidentifier() and not iskeyword(key)):
        return
    name = repr(upstream.name) if isinstance(upstream, Task) else shown(upstream)
    raise DefinitionError(
        f"The edge from {name} to {downstream.name!r} has key={shown(key)}, which cannot be an argument's "
        "name; give the name of an argument."
    )


def rewrite(edge: Edge, new: Edge) -> None:
    """Let an edge say what another one says; its flow is not asked.

    Parameters
    ----------
    edge : Edge
        Stays where it is.
    new : Edge
        What it is to say.
    """
    _put_upstream(edge, new.upstream)
    _put_downstream(edge, new.downstream)
    _put_key(edge, new.key)
    _put_mapped(edge, new.mapped)
    _put_flattened(edge, new.flattened)


def twin(edge: Edge) -> Edge:
    """Return an edge that says the same, and is in no flow.

    Parameters
    ----------
    edge : Edge
        Any edge.

    Returns
    -------
    Edge
        A new one.
    """
    new = object.__new__(Edge)
    rewrite(new, edge)
    put_flow(new, None)
    return new
