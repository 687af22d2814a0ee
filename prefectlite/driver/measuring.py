"""How long the values are that people put into states; maps read that. Knows values; runs nothing."""

from __future__ import annotations

from typing import Any

from prefectlite.engine.events import Measure
from prefectlite.lowering.elements import flat_length_of, length_of
from prefectlite.states.state import Mapped, State


def measure_of(given: Any) -> Measure | None:
    """Return the lengths of a value that somebody put into a state; a map may read it.

    Parameters
    ----------
    given : object
        A state, or anything else that user code answered.

    Returns
    -------
    Measure or None
        None where there is no state, or its value lies elsewhere.
    """
    if not isinstance(given, State) or not given.is_successful() or given.result_ref:
        return None
    if isinstance(given, Mapped) and not given.has_result:
        return Measure(len(given.map_states))  # the list of their values, which may lie anywhere
    value = given.result
    try:
        length, flat = length_of(value), flat_length_of(value)
    except Exception as error:  # the value's own len() is user code, too
        return Measure(unmappable=f"its length cannot be told: {type(error).__name__}")
    return Measure(
        length if isinstance(length, int) else None,
        flat if isinstance(flat, int) else None,
        length if isinstance(length, str) else None,
    )
