"""What a final state means for others: who waits no longer, whose value is read no more. Knows no rule."""

from __future__ import annotations

from collections import deque

from prefectlite.engine.ahead import Ahead, paired_child, paired_children
from prefectlite.engine.board import FLYING, WAITING, Board
from prefectlite.engine.columns import add, all_are
from prefectlite.engine.frontier import Frontier
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.readers import Readers


class Settling:
    """Tells the readers of every run that became final; chains are worked off in a loop, not by recursion.

    Parameters
    ----------
    board : Board
        The books.
    ledger : Ledger
        Where values are let go.
    ahead : Ahead
        Who is marked as a success in the making.
    readers : Readers
        Who still reads a value.
    frontier : Frontier
        Where children come up that wait no longer.
    """

    __slots__ = ("_ahead", "_board", "_frontier", "_ledger", "_readers", "_ripe", "_settled")

    def __init__(
        self, board: Board, ledger: Ledger, ahead: Ahead, readers: Readers, frontier: Frontier
    ) -> None:
        self._board = board
        self._ledger = ledger
        self._ahead = ahead
        self._readers = readers
        self._frontier = frontier
        self._settled: deque[int | range] = deque()
        self._ripe: deque[int] = deque()

    def add(self, run: int) -> None:
        """Take in a run that has just become final.

        Parameters
        ----------
        run : int
            Which.
        """
        self._settled.append(run)

    def add_many(self, runs: range) -> None:
        """Take in children of one map that have just become plain successes.

        Parameters
        ----------
        runs : range
            Side by side.
        """
        self._settled.append(runs)

    def next_ripe(self) -> int | None:
        """Tell all readers of what is final, then return the next run that has nothing left to wait for.

        Returns
        -------
        int or None
            A waiting run to weigh, or one in flight with an early report; None when there is none.
        """
        while self._settled:
            settled = self._settled.popleft()
            if isinstance(settled, range):
                self._settle_many(settled)
            else:
                self.settle(settled)
        return self._ripe.popleft() if self._ripe else None

    def settle(self, run: int) -> None:
        """Tell the readers of a run at once that it is final.

        Parameters
        ----------
        run : int
            A run that has just become final.
        """
        board = self._board
        node = board.node[run]
        if run in board.families:
            self._unfolded(node)
            return
        if board.states[run].gives_value:
            self._ahead.mark(run)
        else:
            self._ahead.unmark(run)
            self._ledger.free(run)
        if not board.readers[run]:
            self._ledger.free(run)
        if run == node:
            self._readers.node_settled(node)
            for edge in board.plan.nodes[node].outs:
                self._met(edge.downstream)
            return
        family = board.families[node]
        family.open -= 1
        family.tally.add(board.states[run])
        self._readers.child_settled(run)
        for edge in board.plan.nodes[node].outs:
            child = paired_child(board, edge, run - family.base)
            if child is not None:
                self._met(child)
        if not family.open:
            self._family_over(node)

    def _settle_many(self, runs: range) -> None:
        board = self._board
        node = board.node[runs.start]
        self._ahead.mark_many(runs)
        if all_are(board.readers, 0, runs):
            self._ledger.free_many(runs)
        else:
            for run in runs:
                if not board.readers[run]:
                    self._ledger.free(run)
        family = board.families[node]
        family.open -= len(runs)
        family.tally.add(board.states[runs.start], len(runs))
        self._readers.children_settled(runs)
        for edge in board.plan.nodes[node].outs:
            self._met_many(paired_children(board, edge, runs))
        if not family.open:
            self._family_over(node)

    def _met_many(self, runs: range) -> None:
        """Count down the upstreams that children, side by side, wait for."""
        board = self._board
        if not runs:
            return
        add(board.unmet, -1, runs)
        if not all_are(board.unmet, 0, runs):
            for run in runs:
                if not board.unmet[run]:
                    self._ripen(run)
        elif board.all_in(WAITING, runs):
            self._frontier.push_many(runs)
        elif not board.all_in(FLYING, runs) or board.early or board.held:
            for run in runs:
                self._ripen(run)

    def _unfolded(self, node: int) -> None:
        """Tell the maps below of a new width; without children, the map is over at once."""
        board = self._board
        for edge in board.plan.nodes[node].outs:
            if edge.mapped and not edge.flattened:
                self._met(edge.downstream)
        family = board.families[node]
        if not family.width:
            family.tally.empty_maps = 1
            self._ahead.mark_whole(node)
            self._family_over(node)

    def _family_over(self, node: int) -> None:
        self._readers.node_settled(node)
        for edge in self._board.plan.nodes[node].outs:
            if not edge.mapped or edge.flattened:
                self._met(edge.downstream)

    def _met(self, run: int) -> None:
        """Count down the upstreams that a run waits for."""
        unmet = self._board.unmet
        unmet[run] -= 1
        if not unmet[run]:
            self._ripen(run)

    def _ripen(self, run: int) -> None:
        board = self._board
        if board.stage[run] == WAITING or (
            board.stage[run] == FLYING and (run in board.early or run in board.held)
        ):
            self._ripe.append(run)
