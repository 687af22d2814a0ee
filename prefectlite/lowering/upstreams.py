"""What a body may read of its direct upstreams: states, never values. Knows plan, sources and states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from prefectlite.engine.inputs import FromDriver, FromMany, FromRun, Source
from prefectlite.engine.instructions import Submit
from prefectlite.engine.plan import PlanNode
from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.recipes import Needs
from prefectlite.lowering.spec import Upstream
from prefectlite.states.state import NO_RESULT, Finished, Mapped, State, Success, count_by_class

_TRAVELS: Final = (str, int, float, bool, type(None))


def upstreams_of(
    submit: Submit,
    node: PlanNode,
    nodes: tuple[PlanNode, ...],
    needs: Needs,
    keys: Callable[[int, int], DataKey],
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
        The keys that the run is given, those of its arguments and of ``submit.after`` included.
    keys : callable
        Returns the data key of a run's value, from run and submission.
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
        slug = nodes[edge.upstream].slug
        if edge.key is not None:
            source = next(arguments).source
            found.append((slug, edge.key, _of_source(source, edge.upstream, needs, keys, state_of)))
        else:
            found.append((slug, None, _of_order(submit, edge.upstream, needs, keys, state_of)))
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
    context = {name: value for name, value in state.context.items() if isinstance(value, _TRAVELS)}
    return state.replace(result=NO_RESULT, context=context)


def _of_source(
    source: Source,
    upstream: int,
    needs: Needs,
    keys: Callable[[int, int], DataKey],
    state_of: Callable[[int], State],
) -> Any:
    if isinstance(source, FromRun):
        return needs.places[keys(source.run, source.submission)]
    if isinstance(source, FromDriver):
        return fact_of(state_of(source.run))
    if isinstance(source, FromMany):
        counts: dict[str, int] = {}
        for item in source.items:
            # What lies on the cluster is a plain success, or the run holds and nobody reads this.
            name = type(state_of(item.run)).__name__ if isinstance(item, FromDriver) else "Success"
            counts[name] = counts.get(name, 0) + 1
        return counts
    return fact_of(state_of(upstream))


def _of_order(
    submit: Submit,
    upstream: int,
    needs: Needs,
    keys: Callable[[int, int], DataKey],
    state_of: Callable[[int], State],
) -> Any:
    for source in submit.after:
        if source.run == upstream:
            return needs.places[keys(source.run, source.submission)]
    return fact_of(state_of(upstream))
