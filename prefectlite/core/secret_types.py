"""Which types hold secrets, and so which parameters do. Knows annotations; needs no pydantic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints

from prefectlite.masking import hide_inside, is_secret


def holds_secret(kind: Any) -> bool:
    """Return whether a type is a secret's, or that of something with one: a list, a model, a dataclass.

    Parameters
    ----------
    kind : object
        An annotation.

    Returns
    -------
    bool
        True too for what cannot be looked into.
    """
    return _holds(kind, set())


def hide_secrets(parameters: Iterable[Any], values: Mapping[str, Any]) -> tuple[str, ...]:
    """Keep the secrets among a flow run's parameters out of what this process writes.

    Parameters
    ----------
    parameters : iterable of Parameter
        The flow's.
    values : mapping of str to object
        Their values, and what else goes with them.

    Returns
    -------
    tuple of str
        The secrets as texts, for the processes that get the values.
    """
    names = {one.name for one in parameters if one.is_secret_type}
    return hide_inside([value for name, value in values.items() if name in names or is_secret(value)])


def _holds(kind: Any, seen: set[int]) -> bool:
    if hasattr(kind, "get_secret_value"):
        return True
    if id(kind) in seen:
        return False
    seen.add(id(kind))
    parts = list(get_args(kind))
    if hasattr(kind, "model_fields") or hasattr(kind, "__dataclass_fields__"):
        try:
            parts += get_type_hints(kind, include_extras=True).values()
        except Exception:
            return True
    return any(_holds(part, seen) for part in parts)
