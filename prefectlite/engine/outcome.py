"""What the flow's outcome is read from. Knows the board; the rule itself is in rules/."""

from __future__ import annotations

from prefectlite.engine.board import Board
from prefectlite.rules.tally import Tally


def flow_tally(board: Board) -> Tally:
    """Count how the reference tasks ended, a map by its children.

    Parameters
    ----------
    board : Board
        The books.

    Returns
    -------
    Tally
        The counts; O(reference tasks).
    """
    tally = Tally()
    for node in board.plan.reference:
        family = board.families.get(node)
        if family is None:
            tally.add(board.states[node])
        else:
            tally.merge(family.tally)
    return tally
