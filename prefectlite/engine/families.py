"""The children of a mapped node: where they stand on the board, and what each takes. Knows no states."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Final

from prefectlite.engine.plan import PlanEdge
from prefectlite.rules.tally import Tally

#: In ``Elements.places``: the child takes the part itself, not an element of it.
PART_ITSELF: Final = -1


@dataclass(slots=True)
class Elements:
    """What each child of a flattened map takes: an element of a run's value.

    Parameters
    ----------
    runs : array of int
        Whose value, by child.
    places : array of int
        The place in it, by child; ``PART_ITSELF`` takes the value whole.
    flat : bytearray
        Whether that value is unnested first, by child.
    """

    runs: array[int] = field(default_factory=lambda: array("i"))
    places: array[int] = field(default_factory=lambda: array("i"))
    flat: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Family:
    """The children of one mapped node; their runs are ``base`` to ``base + width - 1``.

    Parameters
    ----------
    base, width : int
        The range.
    open : int
        Children that are not final.
    unsent : int
        Children that are neither in flight nor plain successes.
    tally : Tally
        How the final ones ended.
    elements : dict
        For each flattened mapped edge over several values: what each child takes.
    """

    base: int
    width: int
    open: int
    unsent: int
    tally: Tally = field(default_factory=Tally)
    elements: dict[PlanEdge, Elements] = field(default_factory=dict)
