"""Counts by state class: which of them are over, in what order and colour they show. Knows no single run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prefectlite.states.state import Failed, Finished, Looped, State
from prefectlite.states.value import classes_below

#: The order in which people read states: what happens now, what went wrong, what is done, what waits.
_ORDER: Final[tuple[str, ...]] = (
    "Running",
    "Cancelling",
    "Retrying",
    "Failed",
    "Crashed",
    "TimedOut",
    "ValidationFailed",
    "TriggerFailed",
    "Cancelled",
    "Success",
    "Cached",
    "Mapped",
    "Skipped",
    "Paused",
    "Resume",
    "Scheduled",
    "Pending",
)
_PLACE: Final[Mapping[str, int]] = {name: place for place, name in enumerate(_ORDER)}


def class_named(name: str) -> type[State]:
    """Return the state class with a name, users' own included.

    Parameters
    ----------
    name : str
        The class's ``__name__``.

    Returns
    -------
    type
        The class; ``State`` itself when there is no such class.
    """
    return next((found for found in classes_below(State) if found.__name__ == name), State)


def in_reading_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the counts that are not zero, in the order in which people read them.

    Parameters
    ----------
    counts : mapping of str to int
        Runs by the name of their state's class.

    Returns
    -------
    list of (str, int)
        What happens now first, what waits last; users' own classes in between, by name.
    """
    middle = _PLACE["Success"]
    found = [(name, count) for name, count in counts.items() if count]
    return sorted(found, key=lambda pair: (_PLACE.get(pair[0], middle), pair[0] not in _PLACE, pair[0]))


def done_and_total(counts: Mapping[str, int]) -> tuple[int, int]:
    """Return how many runs are over, and how many there are.

    Parameters
    ----------
    counts : mapping of str to int
        Runs by the name of their state's class.

    Returns
    -------
    (int, int)
        Runs in a final state, and all runs.
    """
    done = sum(count for name, count in counts.items() if _is_over(name))
    return done, sum(counts.values())


def style_of(name: str) -> str:
    """Return the terminal style for a state class.

    Parameters
    ----------
    name : str
        The class's ``__name__``.

    Returns
    -------
    str
        A colour as ``#rrggbb``; failures are bold, so that they show without colour too.
    """
    found = class_named(name)
    color = found.color
    if len(color) == 4:  # "#f88" is short for "#ff8888"
        color = "#" + "".join(digit * 2 for digit in color[1:])
    return f"bold {color}" if issubclass(found, Failed) else color


def one_line(counts: Mapping[str, int]) -> str:
    """Return the counts in a line.

    Parameters
    ----------
    counts : mapping of str to int
        Runs by the name of their state's class.

    Returns
    -------
    str
        For instance ``"3 Running, 1 Failed, 1,204 Success"``; ``"nothing yet"`` when all are zero.
    """
    return ", ".join(f"{count:,} {name}" for name, count in in_reading_order(counts)) or "nothing yet"


def _is_over(name: str) -> bool:
    found = class_named(name)
    # A looped run goes on, although its class is below Finished.
    return issubclass(found, Finished) and not issubclass(found, Looped)
