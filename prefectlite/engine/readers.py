"""Who still needs a value: one counter a run. Knows neither values nor where they lie."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Final

from prefectlite.engine.board import FINAL, Board, Consumed
from prefectlite.engine.columns import add, all_are, fill
from prefectlite.engine.plan import PlanEdge
from prefectlite.engine.wiring import Wiring

#: How many of a map's children are looked at together.
_TOGETHER: Final = 4096
#: So few values of separate calls are let go of one by one.
_FEW: Final = 16


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
    release_many : callable
        The same for runs that stand side by side: children of one map, or tasks.
    """

    __slots__ = ("_board", "_release", "_release_many", "_wiring")

    def __init__(
        self,
        board: Board,
        wiring: Wiring,
        release: Callable[[int], None],
        release_many: Callable[[range], None],
    ) -> None:
        self._board = board
        self._wiring = wiring
        self._release = release
        self._release_many = release_many
        board.readers[: len(wiring.reads)] = array("i", wiring.reads)

    def family_grew(self, node: int) -> None:
        """Give the new children of a map their readers, and take back those beyond a shorter map's width.

        Parameters
        ----------
        node : int
            The node that has just unfolded.
        """
        board = self._board
        # As many as the map itself has left: a reader that was given its last state has ended before.
        fill(board.readers, board.readers[node], board.children(node))
        width = board.families[node].width
        if board.plan.nodes[node].kind == "collection":
            board.readers[node] = width  # from now on, its children that are still read
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
        if board.plan.nodes[node].kind == "collection":
            if board.readers[run]:
                return  # as for a collection that does not map
            board.readers[node] -= 1
        for edge in board.plan.nodes[node].ins:
            if edge.key is not None and _pairs(edge, board):
                self._give_back(board.families[edge.upstream].base + run - board.families[node].base)

    def children_settled(self, runs: range) -> None:
        """Take back the claims of children that stand side by side on the children of the maps above.

        Parameters
        ----------
        runs : range
            Children of one map, all final.
        """
        board = self._board
        node = board.node[runs.start]
        for edge in board.plan.nodes[node].ins:
            if edge.key is not None and _pairs(edge, board):
                shift = board.families[edge.upstream].base - board.families[node].base
                self._give_back_many(range(runs.start + shift, runs.stop + shift))

    def node_settled(self, node: int) -> None:
        """Take back a node's claims on whole values: it is final, with all its children.

        Parameters
        ----------
        node : int
            The node.
        """
        board = self._board
        plan_node = board.plan.nodes[node]
        if self._wiring.plain[node] and len(plan_node.ins) <= _FEW:
            readers = board.readers
            for edge in plan_node.ins:
                if edge.key is not None:
                    up = edge.upstream
                    left = readers[up] = readers[up] - 1
                    if not left:
                        self._let_go(up)
            return
        if plan_node.kind == "collection" and board.readers[node]:
            return  # its members are read through it: they stay until its own readers are final
        unfolded = node in board.families
        consumed = board.consumed.pop(node, None)
        alone: list[int] = []
        for edge in plan_node.ins:
            if edge.key is None or (unfolded and _pairs(edge, board)):
                continue
            up = edge.upstream
            if consumed is not None and consumed.node == up:
                self._give_back_rest(consumed)
            elif up in board.families:
                self._give_back_many(board.children(up))
            elif board.plan.nodes[up].kind == "collection":
                self._give_back(up)
            else:
                alone.append(up)
        if len(alone) <= _FEW:
            self.give_back(alone)
            return
        for runs in _side_by_side(alone):
            if len(runs) <= _FEW:
                self.give_back(runs)
            else:
                self._give_back_many(runs)

    def consume(self, run: int, children: range) -> None:
        """Take back a reader's claims on children of a map before it is final.

        Parameters
        ----------
        run : int
            The reader.
        children : range
            Children of one map that it reads whole, and by one argument; claims on others stay.
        """
        board = self._board
        node = board.node[children.start]
        family = board.families.get(node)
        edges = [edge for edge in board.plan_node(run).ins if edge.upstream == node and edge.key is not None]
        if family is None or len(edges) != 1 or edges[0].mapped or run in board.families:
            return
        consumed = board.consumed.get(run)
        if consumed is None:
            consumed = board.consumed[run] = Consumed(node, array("i", bytes(4 * family.width)))
        elif consumed.node != node:
            return
        base, marks, live = family.base, consumed.submissions, board.live
        places = range(children.start - base, children.stop - base)
        submission = live[children.start]
        if submission and all_are(live, submission, children) and all_are(marks, 0, places):
            fill(marks, submission, places)
            self._give_back_many(children)
            return
        for child in children:
            if live[child] and not marks[child - base]:
                marks[child - base] = live[child]
                self._give_back(child)

    def is_read(self, run: int) -> bool:
        """Return whether anybody still needs a value for more than to keep it.

        Parameters
        ----------
        run : int
            Whose; no collection.

        Returns
        -------
        bool
            True also for a member of a list that is kept.
        """
        return self._board.readers[run] > self._wiring.keeps[self._board.node[run]]

    def claim(self, runs: Iterable[int]) -> None:
        """Let values stay for one reader more.

        Parameters
        ----------
        runs : iterable of int
            Whose; one that comes twice is read twice.
        """
        for run in runs:
            self._board.readers[run] += 1

    def give_back(self, runs: Iterable[int]) -> None:
        """Take back what was claimed.

        Parameters
        ----------
        runs : iterable of int
            As in ``claim``.
        """
        for run in runs:
            self._give_back(run)

    def _give_back_rest(self, consumed: Consumed) -> None:
        """Take back a node's claims on the children of a map that it had not consumed."""
        marks, base = consumed.submissions, self._board.families[consumed.node].base
        start = 0
        while start < len(marks):
            stop = start + 1
            while stop < len(marks) and bool(marks[stop]) == bool(marks[start]):
                stop += 1
            if not marks[start]:
                self._give_back_many(range(base + start, base + stop))
            start = stop

    def _give_back_many(self, runs: range) -> None:
        """Take back one claim on each of some runs that stand side by side: a map's children, or tasks."""
        board = self._board
        for start in range(runs.start, runs.stop, _TOGETHER):
            some = range(start, min(start + _TOGETHER, runs.stop))
            add(board.readers, -1, some)
            is_held = board.plan_node(start).kind != "collection"
            if is_held and board.all_in(FINAL, some) and all_are(board.readers, 0, some):
                self._release_many(some)
            else:
                for run in some:
                    self._let_go(run)

    def _give_back(self, run: int) -> None:
        readers = self._board.readers
        readers[run] -= 1
        if not readers[run]:
            self._let_go(run)

    def _let_go(self, run: int) -> None:
        board = self._board
        if board.readers[run] or board.stage[run] != FINAL:
            return
        node = board.node[run]
        if board.plan.nodes[node].kind != "collection":
            self._release(run)
        elif run == node:
            self.node_settled(node)
        else:
            self.child_settled(run)
            if not board.readers[node] and not board.families[node].open:
                self.node_settled(node)


def _side_by_side(runs: Iterable[int]) -> Iterator[range]:
    """Yield numbers in the same order, those that follow one another together."""
    # Each is as far from its place among all as its neighbours are from theirs.
    for _, same in groupby(enumerate(runs), lambda at: at[1] - at[0]):
        some = [run for _, run in same]
        yield range(some[0], some[-1] + 1)


def _pairs(edge: PlanEdge, board: Board) -> bool:
    """Return whether child i of the downstream reads child i of the upstream, and no other."""
    return edge.mapped and not edge.flattened and edge.upstream in board.families
