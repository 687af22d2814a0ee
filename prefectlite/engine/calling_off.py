"""A cancel that leaves something to clean up: all else ends at once. Knows the books; knows no rule."""

from __future__ import annotations

from collections.abc import Callable, Container

from prefectlite.engine.board import ASKING, FINAL, FLYING, Board
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.limits import Limits


def left_to_do(board: Board) -> set[int]:
    """Return the cleanups that are still to be done, and what is being made that they will have to clean up.

    What is being made is not broken off: it might be there already, with its report on the way.

    Parameters
    ----------
    board : Board
        The books.

    Returns
    -------
    set of int
        Runs that are not final.
    """
    cleanups = {
        run: inputs
        for run, stage in enumerate(board.stage)
        if stage != FINAL and board.plan_node(run).policy.cleans_up and (inputs := _inputs(board, run))
    }
    begun: set[int] = set()
    # Upstreams have smaller numbers: a resource that another one is made of comes first.
    for run in sorted({one for inputs in cleanups.values() for one in inputs}):
        if _may_have_begun(board, run, begun):
            begun.add(run)
    left: set[int] = set()
    for run, inputs in cleanups.items():
        if all(one in begun or _is_made(board, one) for one in inputs):
            left |= {run, *begun.intersection(inputs)}
    return left


def call_off(
    board: Board, ledger: Ledger, limits: Limits, end: Callable[[int, bool], None], but: Container[int]
) -> None:
    """End all runs but some; their readers are still to be told.

    Parameters
    ----------
    board : Board
        The books.
    ledger : Ledger
        Where states change.
    limits : Limits
        Who has places that others need.
    end : callable
        Takes the number of a run, and whether an attempt was in flight, and gives it its last state.
    but : container of int
        The runs that go on.
    """
    ending = [run for run, stage in enumerate(board.stage) if stage != FINAL and run not in but]
    # Children have large numbers, but whoever reads them is told later than they are.
    ending.sort(key=board.node.__getitem__)
    for run in ending:
        was_in_flight = board.stage[run] == FLYING
        if was_in_flight:
            ledger.land(run)
        end(run, was_in_flight)
        ledger.free(run)
        limits.give_back(run)
    # What is asked and timed for others comes too late.
    for waiting in (board.asks, board.timers):
        for number in [number for number, run in waiting.items() if run not in but]:
            del waiting[number]


def _inputs(board: Board, run: int) -> list[int]:
    """Return the runs that a cleanup reads; none for a map, whose children are the cleanups."""
    node = board.plan_node(run)
    if node.is_mapped and run == board.node[run]:
        return []
    return [board.upstream_run(edge, run) for edge in node.ins if edge.key is not None]


def _is_made(board: Board, run: int) -> bool:
    state = board.states[run]
    return board.stage[run] == FINAL and state.is_successful() and not state.is_skipped()


def _may_have_begun(board: Board, run: int, begun: Container[int]) -> bool:
    """Return whether a body may run or have run; what went ahead may only behind ``begun``."""
    if board.stage[run] not in (FLYING, ASKING) or not board.attempt[run]:
        return False
    above = [board.upstream_run(edge, run) for edge in board.plan_node(run).ins] if board.unmet[run] else ()
    return all(board.stage[up] == FINAL or up in begun for up in above)
