"""Which number a task run has, by its name. Knows no books."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prefectlite.states.keys import RunKey


def number_of(key: RunKey, nodes: Mapping[str, int], children: Callable[[int], range]) -> int | None:
    """Return the number of a run.

    Parameters
    ----------
    key : RunKey
        Its name.
    nodes : mapping of str to int
        The number of each slug's run.
    children : callable
        Takes the number of a map; returns those of its children.

    Returns
    -------
    int or None
        None when there is no such run (yet).

    Examples
    --------
    >>> number_of(RunKey("m", 2), {"a": 0, "m": 1}, lambda node: range(2, 5))
    4
    >>> number_of(RunKey("a", 2), {"a": 0, "m": 1}, lambda node: range(0)) is None
    True
    """
    node = nodes.get(key.slug)
    if node is None or key.index is None:
        return node
    runs = children(node)
    return runs[key.index] if key.index < len(runs) else None
