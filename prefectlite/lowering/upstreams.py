"""What a body may read of its direct upstreams: states, never values. Knows plan, sources and states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from prefectlite.engine.inputs import (
    FromDriver,
    FromElements,
    FromMany,
    FromRun,
    FromSpan,
    Row,
    Source,
)
from prefectlite.engine.instructions import Submit
from prefectlite.engine.plan import PlanNode
from prefectlite.lowering.parts import OF_COLUMN, Column
from prefectlite.lowering.recipes import Needs
from prefectlite.lowering.spec import Upstream
from prefectlite.states.children import count_by_class
from prefectlite.states.state import Finished, Mapped, State, Success
from prefectlite.states.value import NO_RESULT

_TRAVELS: Final = frozenset({str, int, float, bool, type(None)})


def upstreams_of(
    submit: Submit,
    node: PlanNode,
    nodes: tuple[PlanNode, ...],
    needs: Needs,
    state_of: Callable[[int], State],
) -> tuple[Upstream, ...]:
    """Return what is known of each direct upstream of a run.

    Parameters
    ----------
    submit : Submit
        The run.
    node : PlanNode
        Its node.
    nodes : tuple of PlanNode
        The plan.
    needs : Needs
        What the run is given by position, for its arguments and for ``submit.after``.
    state_of : callable
        Returns the state of a run.

    Returns
    -------
    tuple of Upstream
        In edge order; plain successes whose times nobody knows are None.
    """
    found: list[Upstream] = []
    arguments = iter(submit.arguments)
    for edge in node.ins:
        up, key = edge.upstream, edge.key
        if key is None:
            fact = _of_order(submit, up, needs, state_of)
        else:
            fact = _of_source(next(arguments).source, up, needs, state_of)
        found.append((nodes[up].slug, key, fact))
    return tuple(found)


def upstreams_of_many(
    rows: Sequence[Row],
    columns: Sequence[Column],
    node: PlanNode,
    nodes: tuple[PlanNode, ...],
    needs: Needs,
    state_of: Callable[[int], State],
) -> tuple[Upstream, ...]:
    """Return what is known of each direct upstream of children that are sent together.

    Parameters
    ----------
    rows : sequence of Row
        Where their arguments come from.
    columns : sequence of Column
        The arguments that differ.
    node : PlanNode
        The map's node.
    nodes : tuple of PlanNode
        The plan.
    needs : Needs
        What they are given by position.
    state_of : callable
        Returns the state of a run.

    Returns
    -------
    tuple of Upstream
        In edge order; ``(OF_COLUMN, k)`` says that column k gave each child a value that knows.
    """
    places = {name: place for place, (name, _, _) in enumerate(columns)}
    sources = {row.key: row.source for row in rows}
    found: list[Upstream] = []
    for edge in node.ins:
        slug, up = nodes[edge.upstream].slug, edge.upstream
        source = None if edge.key is None else sources[edge.key]
        fact: Any
        if isinstance(source, FromSpan):
            assert edge.key is not None
            fact = OF_COLUMN, places[edge.key]
        elif isinstance(source, FromElements):
            fact = _of_source(source.source, up, needs, state_of)
        elif source is not None:
            fact = _of_source(source, up, needs, state_of)
        elif edge.mapped:
            fact = None  # the child's own upstream, a plain success
        else:
            fact = fact_of(state_of(up))
        found.append((slug, edge.key, fact))
    return tuple(found)


def fact_of(state: State) -> State | dict[str, int] | None:
    """Return what travels of a state: all but its result.

    Parameters
    ----------
    state : State
        An upstream's state.

    Returns
    -------
    State, dict or None
        None for a plain success and for one that is still in flight, which must become one; counts by class
        for a map whose children are known.
    """
    if state.__class__ is Success or not isinstance(state, Finished):
        return None
    if isinstance(state, Mapped) and len(state.map_states) == state.n_map_states:
        return count_by_class(state.map_states)
    # Texts and numbers alone, without the classes of a user's that are made from theirs.
    context = {str(name): value for name, value in state.context.items() if type(value) in _TRAVELS}
    return state.replace(result=NO_RESULT, context=context)


def _of_source(source: Source, upstream: int, needs: Needs, state_of: Callable[[int], State]) -> Any:
    if isinstance(source, FromRun):
        run, submission, _, _ = source
        return needs.place((run, submission, 1))
    if isinstance(source, FromDriver):
        return fact_of(state_of(source.run))
    if isinstance(source, FromMany):
        counts: dict[str, int] = {}
        for item in source.items:
            # What lies on the cluster is a plain success, or the run holds and nobody reads this.
            name = type(state_of(item.run)).__name__ if isinstance(item, FromDriver) else "Success"
            counts[name] = counts.get(name, 0) + (item.count if isinstance(item, FromSpan) else 1)
        return counts
    return fact_of(state_of(upstream))


def _of_order(submit: Submit, upstream: int, needs: Needs, state_of: Callable[[int], State]) -> Any:
    for source in submit.after:
        if source.run == upstream:
            return needs.place((source.run, source.submission, 1))
    return fact_of(state_of(upstream))
