"""A function that calls tasks, done once per item of its arguments. Knows the graph's doors only.

The function is traced once, into a graph of its own, in which each argument is a stand-in. What was made
there then goes into the flow with mapped edges; if the tracing fails, the flow is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from prefectlite.core.base import Task
from prefectlite.core.binding import unwrapped
from prefectlite.core.blocks import no_block, through_collections
from prefectlite.core.collecting import as_task
from prefectlite.core.constants import Collection, Constant
from prefectlite.core.edge import Edge
from prefectlite.core.graph import FlowGraph
from prefectlite.core.layers import current_layer
from prefectlite.core.parameter import Parameter
from prefectlite.core.places import Place
from prefectlite.errors import DefinitionError, DefinitionTypeError


def apply_map(func: Callable[..., Any], *args: Any, flow: FlowGraph | None = None, **kwargs: Any) -> Any:
    """Call a function whose tasks run once per item of its arguments.

    Every task that the function calls is mapped: child i of each sees item i of the arguments, and child i of
    the others. A task that waits for no other one of them waits for all arguments, so all maps are of one
    length. What the function takes from outside by itself, not as an argument, is handed over whole. Where no
    argument is mapped, this is a plain call.

    Parameters
    ----------
    func : callable
        Calls tasks, perhaps in blocks of ``case`` and the like; it is called once, now.
    *args : object
        Its arguments: tasks or sequences, of which it sees an item; ``unmapped(...)`` hands one over whole,
        ``flatten(...)`` unnests it first.
    flow : FlowGraph or None
        The flow; by default, the one that is being built. If it is given, ``func`` must take a ``flow`` too,
        and hand it to the tasks that it calls.
    **kwargs : object
        Its arguments by name.

    Returns
    -------
    object
        What ``func`` returned; the tasks in it are the mapped ones.

    Raises
    ------
    DefinitionError
        When no flow is being built, or ``func`` maps tasks itself.
    DefinitionTypeError
        When an argument cannot be taken item by item.

    Examples
    --------
    >>> from prefectlite import Flow, LocalExecutor, case, merge, task
    >>> @task
    ... def is_odd(x):
    ...     return x % 2 == 1
    >>> @task
    ... def add(x, y):
    ...     return x + y
    >>> def next_even(x):
    ...     with case(is_odd(x), True):
    ...         raised = add(x, 1)
    ...     return merge(raised, x)
    >>> with Flow("evens") as flow:
    ...     evens = apply_map(next_even, [1, 2, 3])
    >>> flow.run(executor=LocalExecutor()).result[evens].result
    [2, 2, 4]
    """
    graph: FlowGraph | None = current_layer().values.get("flow") if flow is None else flow
    name = getattr(func, "__name__", repr(func))
    given_first: object = func
    if not callable(given_first):
        raise DefinitionTypeError(
            f"apply_map was given {func!r}, which cannot be called; pass a function that calls tasks."
        )
    if graph is None:
        raise DefinitionError(
            f"apply_map({name}, ...) was used outside a flow; call it inside `with Flow(...):`, or pass "
            "flow=..."
        )
    if not isinstance(graph, FlowGraph):
        raise DefinitionTypeError(
            f"apply_map({name}, ...) was given flow={flow!r}, which is no flow; pass a Flow, or leave it "
            "away inside `with Flow(...):`."
        )
    by_place = [_argument(name, str(place), value) for place, value in enumerate(args, start=1)]
    by_name = {key: _argument(name, repr(key), value) for key, value in kwargs.items()}
    arguments = [*by_place, *by_name.values()]
    if not any(argument.mapped for argument in arguments):
        whole: dict[str, Any] = {key: argument.value for key, argument in by_name.items()}
        if flow is not None:
            whole["flow"] = flow
        return func(*[argument.value for argument in by_place], **whole)
    inside = _Inside(graph, name)
    with no_block(), inside:
        for argument in arguments:
            inside.add_task(argument.item)
        given: dict[str, Any] = {key: argument.item for key, argument in by_name.items()}
        if flow is not None:
            given["flow"] = inside
        returned = func(*[argument.item for argument in by_place], **given)
    return _Move(inside, arguments).move(returned)


class Item(Task):
    """Stands for an argument of ``apply_map`` while its function is traced.

    Parameters
    ----------
    name : str
        What the argument is called.
    nout : int or None
        How many values an item has, if that is known.
    """

    __slots__ = ()
    auto_generated = True
    is_stand_in: ClassVar[bool] = True

    def __init__(self, name: str, nout: int | None) -> None:
        super().__init__(name=name, nout=nout)

    def run(self) -> None:
        """Refuse.

        Raises
        ------
        DefinitionError
            Always: nothing but the function itself may use what it is given.
        """
        raise DefinitionError(
            f"Task {self.name!r} stands for an argument inside the function of apply_map(...), and was used "
            "outside; let the function return what is needed there."
        )


class _Inside(FlowGraph):
    """The graph in which the function is traced."""

    def __init__(self, around: FlowGraph, function: str) -> None:
        super().__init__(around.name)
        self.around = around
        self.function = function

    def _add(self, task: Task, slug: str | None = None) -> Place:
        if task not in self.around:
            return super()._add(task, slug)
        # Nothing in here makes a task conditional that was there before.
        with no_block():
            return super()._add(task, slug)


@dataclass(frozen=True, slots=True)
class _Argument:
    """One argument, as it was given."""

    item: Item
    value: Any
    mapped: bool
    flattened: bool


@dataclass(frozen=True, slots=True)
class _Source:
    """What stands in the flow for an argument, and how it is handed over."""

    task: Task
    mapped: bool
    flattened: bool


def _argument(function: str, place: str, given: Any) -> _Argument:
    value, is_mapped, flattened = unwrapped(given, True)
    is_task = isinstance(value, Task)
    if is_mapped and not is_task and (isinstance(value, Mapping) or not hasattr(value, "__getitem__")):
        raise DefinitionTypeError(
            f"apply_map({function}, ...) maps over its argument {place}, which is of type "
            f"{type(value).__name__} and cannot be taken item by item; pass a list, or wrap it in "
            "unmapped(...)."
        )
    item = Item(value.name, value.nout) if is_task else Item(f"argument {place}", None)
    return _Argument(item, value, is_mapped, flattened)


class _Move:
    """Brings what was made inside into the flow."""

    def __init__(self, inside: _Inside, arguments: list[_Argument]) -> None:
        self._inside = inside
        self._graph = graph = inside.around
        items = {argument.item for argument in arguments}
        self._made = dict.fromkeys(task for task in inside.tasks if task not in items and task not in graph)
        self._mapped = {
            task for task in self._made if not isinstance(task, Parameter | Constant | Collection)
        }
        #: What has a value of its own for each item.
        self._varying = {argument.item for argument in arguments if argument.mapped} | self._mapped
        for task in self._made:
            if task.is_collection and not self._varying.isdisjoint(inside.upstream_tasks(task)):
                self._varying.add(task)
        self._check()
        self._sources: dict[Task, _Source] = {
            argument.item: _Source(as_task(argument.value, graph), argument.mapped, argument.flattened)
            for argument in arguments
        }

    def move(self, returned: Any) -> Any:
        """Do it, and return what the function returned, with tasks of the flow for its stand-ins."""
        graph, inside = self._graph, self._inside
        for task in self._made:
            graph.add_task(task)
        for task in inside.tasks:
            for key, value in inside.constants[task].items():
                graph.add_edge(value, task, key)
            for edge in map(self._edge, inside.edges_to(task)):
                is_known = isinstance(edge.upstream, Constant) and not edge.mapped
                if isinstance(task, Collection) and not is_known:
                    graph.add_task(edge.upstream)
                    graph.take_over(edge)
                else:
                    graph.add_edge(edge.upstream, task, edge.key, edge.mapped, edge.flattened)
        for task in self._made:
            if task in self._mapped:
                self._wait_for_all(task)
        return self._outside(returned)

    def _check(self) -> None:
        name = self._inside.function
        for edge in self._inside.edges:
            if edge.mapped:
                raise DefinitionError(
                    f"Task {edge.downstream.name!r} is mapped inside apply_map({name}, ...), which maps it "
                    "already, and maps cannot be nested; call it without .map and mapped."
                )
            if edge.flattened and edge.upstream in self._varying:
                raise DefinitionError(
                    f"Task {edge.downstream.name!r} flattens {edge.upstream.name!r} inside "
                    f"apply_map({name}, ...), where it is one item; flatten the argument of apply_map "
                    "instead."
                )

    def _edge(self, edge: Edge) -> Edge:
        """Return the flow's edge for one of the tracing."""
        upstream, flattened = edge.upstream, edge.flattened
        source = self._sources.get(upstream)
        if source is not None:
            upstream, flattened = source.task, flattened or source.flattened
        mapped = edge.upstream in self._varying and edge.downstream in self._made
        return Edge(upstream, edge.downstream, edge.key, mapped, flattened)

    def _wait_for_all(self, task: Task) -> None:
        """Let a task wait for every argument, if it waits for no other that was made inside."""
        above = through_collections(task, self._inside.upstream_tasks)
        if not self._mapped.isdisjoint(above):
            return
        for item, source in self._sources.items():
            known = not source.mapped and isinstance(source.task, Constant)
            if item not in above and not known:
                self._graph.add_edge(source.task, task, mapped=source.mapped, flattened=source.flattened)

    def _outside(self, returned: Any) -> Any:
        if isinstance(returned, Item) and returned in self._sources:
            return self._sources[returned].task
        if type(returned) in (list, tuple):
            return type(returned)(map(self._outside, returned))
        if type(returned) is dict:
            return {key: self._outside(value) for key, value in returned.items()}
        return returned
