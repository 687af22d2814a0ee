"""Who still needs a value: one counter a run. Knows neither values nor where they lie."""

from __future__ import annotations

from collections.abc import Callable

from prefectlite.engine.board import FINAL, Board
from prefectlite.engine.plan import PlanEdge
from prefectlite.engine.wiring import Wiring


class Readers:
    """Counts the readers of each value and releases it when the last one is final.

    Every edge that moves a value is one reader of each run above it, be it a run, a family of children or
    a collection; keeping a value until the end counts as one more, which is never given back.

    Parameters
    ----------
    board : Board
        The books.
    wiring : Wiring
        The plan's facts.
    release : callable
        Takes the number of a run whose value nobody needs any more.
    """

    __slots__ = ("_board", "_release", "_wiring")

    def __init__(self, board: Board, wiring: Wiring, release: Callable[[int], None]) -> None:
        self._board = board
        self._wiring = wiring
        self._release = release
        for node, count in enumerate(wiring.reads):
            board.readers[node] = count

    def family_grew(self, node: int) -> None:
        """Give the new children of a map their readers, and take back those beyond a shorter map's width.

        Parameters
        ----------
        node : int
            The node that has just unfolded.
        """
        board = self._board
        count = self._wiring.reads[node]
        for child in board.children(node):
            board.readers[child] = count
        width = board.families[node].width
        for edge in board.plan.nodes[node].ins:
            if edge.key is not None and _pairs(edge, board):
                for child in board.children(edge.upstream)[width:]:
                    self._give_back(child)

    def child_settled(self, run: int) -> None:
        """Take back a child's claims on the children of the maps above it.

        Parameters
        ----------
        run : int
            The child, final.
        """
        board = self._board
        node = board.node[run]
        for edge in board.plan.nodes[node].ins:
            if edge.key is not None and _pairs(edge, board):
                self._give_back(board.families[edge.upstream].base + run - board.families[node].base)

    def node_settled(self, node: int) -> None:
        """Take back a node's claims on whole values: it is final, with all its children.

        Parameters
        ----------
        node : int
            The node.
        """
        board = self._board
        plan_node = board.plan.nodes[node]
        if plan_node.kind == "collection" and board.readers[node]:
            return  # its members are read through it: they stay until its own readers are final
        unfolded = node in board.families
        for edge in plan_node.ins:
            if edge.key is not None and not (unfolded and _pairs(edge, board)):
                self._give_back_whole(edge.upstream)

    def _give_back_whole(self, node: int) -> None:
        board = self._board
        if node in board.families:
            for child in board.children(node):
                self._give_back(child)
        else:
            self._give_back(node)

    def _give_back(self, run: int) -> None:
        board = self._board
        board.readers[run] -= 1
        if board.readers[run] or board.stage[run] != FINAL:
            return
        if board.plan_node(run).kind == "collection":
            self.node_settled(run)
        else:
            self._release(run)


def _pairs(edge: PlanEdge, board: Board) -> bool:
    """Return whether child i of the downstream reads child i of the upstream, and no other."""
    return edge.mapped and not edge.flattened and edge.upstream in board.families
