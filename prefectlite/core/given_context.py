"""What a person may put into the context of a flow run or a task, and in what form it is kept. Knows no run.

A name that Prefect 1 set has what is given, where it did there too: ``parameters`` and ``resume``, say. Where
the run's own value went before it, it does here, and what is given is left out: ``task_name``, and
``flow_name`` in the context of the flow run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final

from prefectlite.core.context import as_tags
from prefectlite.core.layers import current_layer
from prefectlite.core.standing import taken_in
from prefectlite.errors import ContextError
from prefectlite.kinds import shown
from prefectlite.masking import Secrets
from prefectlite.moments import plain, read
from prefectlite.settings import settings_in
from prefectlite.states.state import Cached

#: What a task run says, whatever is given: as in Prefect 1.
_OF_TASK_RUNS: Final = frozenset(
    {"logger", "task_full_name", "task_id", "task_name", "task_run_count"}
    | {"task_run_id", "task_slug", "task_tags"}
)
#: What a flow run says, too; as there, the context of a single task goes before it.
_OF_FLOW_RUNS: Final = frozenset({"flow_id", "flow_name"})
#: What the run says, too, but a flow of Prefect 1 would read what it was given; with what to do instead.
_REFUSED: Final = {
    **dict.fromkeys(("attempt", "idempotency_key", "time_left", "upstream_states"), "choose another name"),
    "flow": "it is the flow that is being built, and while one is, there are no secrets; choose another name",
    "flow_run_id": "each run gets one of its own, context.flow_run_id; leave it away",
}
#: What shows in a body by these names is its own run's, and no flow run's that it begins.
PER_RUN: Final = frozenset(
    {"caches", "config", "map_index", "parameters", "task_loop_count", "task_loop_result", "task_run_name"}
)


def checked(given: Mapping[str, Any], owner: str, *, of_task: bool = False) -> dict[str, Any]:
    """Return what a person put into the context of a flow run or of a task, fit for ``flow_facts``.

    Parameters
    ----------
    given : mapping of str to object
        Values by name.
    owner : str
        Whose, for the error: ``"Flow 'etl'"``.
    of_task : bool
        Whether it is the context of a task, which may give the flow another name.

    Returns
    -------
    dict
        The same without what the run says itself; ``date`` and ``scheduled_start_time`` as moments,
        ``secrets`` as ``Secrets``, ``config`` as ``Settings``.

    Raises
    ------
    ContextError
        When a name is no text or is prefectlite's own, or a value is none that a context can have there.
    ConfigError
        When there is no such setting in ``config``, or its value does not fit.
    DefinitionTypeError
        When ``tags`` are none.
    """
    found: dict[str, Any] = {}
    left_out = _OF_TASK_RUNS if of_task else _OF_TASK_RUNS | _OF_FLOW_RUNS
    for name, value in {"secrets": {}, **given}.items():
        if not isinstance(name, str):
            raise ContextError(
                f"{owner} is given the context name {name!r}, which is no text; name each value: "
                "context={'region': 'north'}."
            )
        if name in _REFUSED:
            raise ContextError(
                f"{owner} is given context={{{name!r}: ...}}, but prefectlite sets {name!r} itself: "
                f"{_REFUSED[name]}."
            )
        if name not in left_out:
            as_kept = _AS_KEPT.get(name)
            found[name] = value if as_kept is None else as_kept(value, name, owner)
    return found


def around() -> dict[str, Any]:
    """Return what a person set in the context around the beginning of a flow run.

    Returns
    -------
    dict
        Values by name, without those of which each run has its own.
    """
    layer = current_layer()
    given = layer.given - _REFUSED.keys() - {"config", "flow_run_name"}
    return {name: value for name, value in layer.values.items() if name in given}


def _moment(value: object, name: str, owner: str) -> datetime:
    moment: datetime | None = None
    if isinstance(value, datetime):
        moment = plain(value)
    elif isinstance(value, date):
        moment = datetime.combine(value, time())
    elif isinstance(value, str):
        moment = read(value)
    if moment is None:
        raise ContextError(
            f"{owner} is given context={{{name!r}: {value!r}}}, which is no moment; give a "
            "datetime, or a text such as '2026-03-01' or '2026-03-01T06:00+01:00'."
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _by_name(value: Any, name: str, owner: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ContextError(
            f"{owner} is given context={{{name!r}: ...}} of type {type(value).__name__}; pass a dict of "
            "names and values."
        )
    return dict(value)


def _states(value: Any, name: str, owner: str) -> dict[str, list[Cached]]:
    found: dict[str, list[Cached]] = {}
    for key, states in ({} if value is None else _by_name(value, name, owner)).items():
        if not isinstance(states, Iterable) or not all(isinstance(one, Cached) for one in states):
            raise ContextError(
                f"{owner} is given context={{{name!r}: {{{key!r}: {shown(states)}}}}}; pass a list of Cached "
                "states for each cache_key or name of a task."
            )
        found[key] = list(states)
    return found


def _count(value: Any, name: str, owner: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ContextError(
            f"{owner} is given context={{{name!r}: {value!r}}}, which counts no iterations; give a whole "
            "number."
        )
    return value


_AS_KEPT: Final[Mapping[str, Callable[[Any, str, str], Any]]] = {
    "caches": _states,
    "config": lambda value, name, owner: settings_in(taken_in(name, value)),
    "date": _moment,
    "parameters": _by_name,
    "scheduled_start_time": _moment,
    "secrets": lambda value, name, owner: Secrets(_by_name(value, name, owner)),
    "tags": lambda value, name, owner: as_tags(value, owner),
    "task_loop_count": _count,
}
