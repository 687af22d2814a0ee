"""Objects by their names. Knows modules; what Prefect 1 had here beside it wrote a server's forms."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

__all__ = ["from_qualified_name", "to_qualified_name"]


def to_qualified_name(obj: Any) -> str:
    """Return the name by which a class or function can be found again.

    Parameters
    ----------
    obj : object
        The class or function.

    Returns
    -------
    str
        Its module and its name in it.

    Examples
    --------
    >>> from prefectlite.states import Success
    >>> to_qualified_name(Success)
    'prefectlite.states.state.Success'
    """
    return f"{obj.__module__}.{obj.__qualname__}"


def from_qualified_name(obj_str: str) -> Any:
    """Return what has a name; its module is imported where need be.

    Parameters
    ----------
    obj_str : str
        What ``to_qualified_name`` returned.

    Returns
    -------
    object
        The class, function or module.

    Raises
    ------
    ValueError
        When there is nothing of that name.

    Examples
    --------
    >>> from_qualified_name("prefectlite.states.state.Success")
    <class 'prefectlite.states.state.Success'>
    """
    try:
        return resolve_name(obj_str)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"Nothing is called {obj_str!r}: {error}; write 'package.module.Thing'.") from error
