"""A cancel that leaves something to clean up: all else ends at once. Knows the books; knows no rule."""

from __future__ import annotations

from collections.abc import Container

from prefectlite.engine.board import FINAL, FLYING, Board
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.settling import Settling
from prefectlite.rules.verdict import Reason
from prefectlite.states.state import Cancelled


def cleanups_left(board: Board) -> list[int]:
    """Return the cleanups that are still to be done: those of what was made.

    Parameters
    ----------
    board : Board
        The books.

    Returns
    -------
    list of int
        Runs that are not final, and whose inputs are there.
    """
    return [
        run
        for run, stage in enumerate(board.stage)
        if stage != FINAL and board.plan_node(run).policy.cleans_up and _is_made(board, run)
    ]


def call_off(board: Board, ledger: Ledger, settling: Settling, but: Container[int], why: Reason) -> None:
    """End all runs but some; their readers are still to be told.

    Parameters
    ----------
    board : Board
        The books.
    ledger : Ledger
        Where states change.
    settling : Settling
        Who tells the readers.
    but : container of int
        The runs that go on.
    why : Reason
        What caused it.
    """
    for run, stage in enumerate(board.stage):
        if stage == FINAL or run in but:
            continue
        if stage == FLYING:
            ledger.land(run)
        ledger.commit(run, Cancelled(why.text), why, ledger.now)
        ledger.free(run)
        board.stage[run] = FINAL
        board.open -= 1
        settling.add(run)
    # What is asked and timed for others comes too late.
    for waiting in (board.asks, board.timers):
        for number in [number for number, run in waiting.items() if run not in but]:
            del waiting[number]


def _is_made(board: Board, run: int) -> bool:
    node = board.plan_node(run)
    if node.is_mapped and run == board.node[run]:
        return False  # its children are cleanups, once there are some
    made = [board.states[board.upstream_run(edge, run)] for edge in node.ins if edge.key is not None]
    return all(state.is_successful() and not state.is_skipped() for state in made)
