"""What a run is given when somebody asks for one, and where nobody may. Knows flows; knows no run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from prefectlite.core.graph import FlowGraph
from prefectlite.core.layers import current_layer
from prefectlite.errors import ContextError, DefinitionTypeError, ParameterError, ParameterNameError
from prefectlite.states.meta import unwrapped
from prefectlite.states.state import Pending, State

_BELOW_THE_GUARD: Final = "put that below `if __name__ == '__main__':`"
_NAMED_BY_US: Final = "each run gets one of its own, context.{}; leave it away"
#: What ``flow.run`` of Prefect 1 took and this one does not, and what to do about it.
_NOT_HERE: Final = {
    "runner_cls": (
        "there are no runners here, the driver applies the rules itself; give state_handlers=[...] to the "
        "tasks, or to the flow: Flow(..., state_handlers=[...])"
    ),
    "flow_run_id": _NAMED_BY_US.format("flow_run_id"),
    "flow_run_name": _NAMED_BY_US.format("flow_run_name"),
    "return_tasks": "it returns the states of all tasks; leave it away",
}


def given_parameters(
    flow: FlowGraph, verb: str, parameters: Mapping[str, Any] | None, params: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters of a run as one; whether they fit the flow is not looked at.

    Parameters
    ----------
    flow : FlowGraph
        The flow.
    verb : str
        The method that was called, for the error.
    parameters : mapping of str to object, or None
        What was given as ``parameters``.
    params : mapping of str to object
        What was given as keywords.

    Returns
    -------
    dict of str to object
        Both; what was given twice is as the keyword says.

    Raises
    ------
    ParameterNameError
        When ``parameters`` has no names.
    ParameterError
        When a keyword is one that only Prefect 1 had.
    RuntimeError
        When the flow is still being built.
    """
    layer: Any = current_layer()
    while layer is not None:
        if layer.values.get("flow") is flow:
            raise RuntimeError(
                f"Flow {flow.name!r} cannot {verb} inside its own `with` block, where it is being built; "
                f"move the call of flow.{verb}() behind the block."
            )
        layer = layer.outer
    by_name: object = {} if parameters is None else parameters
    if not isinstance(by_name, Mapping):
        raise ParameterNameError(
            f"Flow {flow.name!r} is given parameters={parameters!r}, which have no names; pass a dict: "
            f"parameters={{{next((one.name for one in flow.parameters()), 'limit')!r}: 3}}."
        )
    given = {**by_name, **params}
    own = {one.name for one in flow.parameters()}
    for name, mend in _NOT_HERE.items():
        if name in given and name not in own:
            # Who runs flows for others may hand on what he was not given.
            if given[name] is None:
                del given[name]
                continue
            raise ParameterError(f"Flow {flow.name!r} is run with {name}={given[name]!r}, but {mend}.")
    return given


def check_named(flow: FlowGraph, context: object) -> None:
    """Refuse a context without names.

    Parameters
    ----------
    flow : FlowGraph
        The flow, for the error.
    context : object
        What was given as ``context``.

    Raises
    ------
    ContextError
        When it is neither a mapping nor None.
    """
    if context is not None and not isinstance(context, Mapping):
        raise ContextError(
            f"Flow {flow.name!r} is given context={context!r}, which has no names; pass a dict: "
            "context={'region': 'north'}."
        )


def first_states(flow: FlowGraph, given: object, task_states: Any) -> tuple[State | None, Any]:
    """Return the state that a run begins with, and those that its tasks begin with.

    Parameters
    ----------
    flow : FlowGraph
        The flow, for the error.
    given : object
        What was given as ``state``.
    task_states : mapping of Task to State, or None
        What was given as ``task_states``; it goes before the states that ``given`` has for tasks.

    Returns
    -------
    (State or None, mapping of Task to State, or None)
        None where nothing was given; of a state that wraps another, that one. One that is final has a state
        for each task, as every flow run has in the end: ``Pending`` where nothing says one.

    Raises
    ------
    DefinitionTypeError
        When it is no state.
    """
    if given is None:
        return None, task_states
    if isinstance(given, State):
        state = unwrapped(given)
        told = state.result if state.has_result else {}
        more = {} if task_states is None else task_states
        if isinstance(told, Mapping) and isinstance(more, Mapping):
            if not state.is_finished():
                return state, {**told, **more}
            if more or not told.keys() >= flow.tasks:
                unrun = Pending("Not run: the flow run had ended before it began.")
                state = state.replace(result={**dict.fromkeys(flow.tasks, unrun), **told, **more})
        return state, task_states
    raise DefinitionTypeError(
        f"Flow {flow.name!r} is run with state={given!r}, which is no state, and it has no parameter of that "
        "name; pass a state, Scheduled(start_time=...) say, or leave it away."
    )


def is_left_out(flow: FlowGraph, verb: str) -> bool:
    """Return whether nothing is to be run, since ``prefectlite run`` only reads the file that asks for it.

    Parameters
    ----------
    flow : FlowGraph
        The flow, for the warning.
    verb : str
        The method that was called.

    Returns
    -------
    bool
        True after a warning.
    """
    if not _is_only_read():
        return False
    warnings.warn(
        f"flow.{verb}() of flow {flow.name!r} does nothing here, since its file is only being read; "
        f"{_BELOW_THE_GUARD}.",
        stacklevel=3,
    )
    return True


def check_may_start(flow: FlowGraph) -> None:
    """Refuse to start what nobody could wait for.

    Parameters
    ----------
    flow : FlowGraph
        The flow, for the error.

    Raises
    ------
    RuntimeError
        When ``prefectlite run`` only reads the file that asks for it.
    """
    if _is_only_read():
        raise RuntimeError(
            f"Flow {flow.name!r} cannot start while its file is only being read; {_BELOW_THE_GUARD}."
        )


def _is_only_read() -> bool:
    return bool(current_layer().values.get("loading_flow"))
