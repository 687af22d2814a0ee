"""The width rule: how many children does a map get? Knows lengths and names; knows no value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.rules.verdict import Become, Reason
from prefectlite.states.state import Failed


def decide_width(
    lengths: Sequence[tuple[str, int]],
    map_lengths: Literal["equal", "shortest"],
    unmappable: Sequence[tuple[str, str]],
) -> int | Become:
    """Return how many children a map gets.

    Parameters
    ----------
    lengths : sequence of (str, int)
        Name and length of each mapped input.
    map_lengths : {"equal", "shortest"}
        What inputs of unequal length do: fail the map, or the shortest decides.
    unmappable : sequence of (str, str)
        Name of each mapped input that has no length and positions, and why.

    Returns
    -------
    int or Become
        The number of children; 0 for no inputs. ``Become`` holds a ``Failed`` state that names inputs and
        lengths.

    Examples
    --------
    >>> decide_width([("x", 3), ("y", 3)], "equal", [])
    3
    >>> decide_width([("x", 3), ("y", 2)], "shortest", [])
    2
    """
    if unmappable:
        told = "; ".join(f"its input {name!r}: {why}" for name, why in unmappable)
        return _fail(
            DefinitionTypeError(f"The task cannot map: {told.removesuffix('.')}."),
            tuple(unmappable),
        )
    widths = [length for _, length in lengths]
    if map_lengths == "equal" and len(set(widths)) > 1:
        told = ", ".join(f"{name!r} has {length}" for name, length in lengths)
        return _fail(
            DefinitionError(
                f"The task cannot map over inputs of unequal length: {told}. "
                'Make them equal, or give the task map_lengths="shortest".'
            ),
            tuple((name, str(length)) for name, length in lengths),
        )
    return min(widths, default=0)


def _fail(error: Exception, read: tuple[tuple[str, str], ...]) -> Become:
    return Become(Failed(str(error), result=error), Reason("width", str(error), read))
