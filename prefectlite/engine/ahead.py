"""Lowering ahead: which runs may be taken for successes in the making, and so be followed before they end."""

from __future__ import annotations

from collections.abc import Iterator

from prefectlite.engine.board import FINAL, FLYING, Board
from prefectlite.engine.columns import add, all_are
from prefectlite.engine.events import AttemptCrashed
from prefectlite.engine.frontier import Frontier
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.plan import PlanEdge
from prefectlite.engine.wiring import Wiring


def paired_child(board: Board, edge: PlanEdge, place: int) -> int | None:
    """Return the child of the map below that reads the child at ``place`` of the map above.

    Parameters
    ----------
    board : Board
        The books.
    edge : PlanEdge
        An edge out of the map above.
    place : int
        Counted from 0.

    Returns
    -------
    int or None
        None when the edge pairs no children, or the map below has not unfolded or is shorter.
    """
    if not edge.mapped or edge.flattened:
        return None
    below = board.families.get(edge.downstream)
    return below.base + place if below is not None and place < below.width else None


def paired_children(board: Board, edge: PlanEdge, runs: range) -> range:
    """Return the children of the map below that read children of the map above, which stand side by side.

    Parameters
    ----------
    board : Board
        The books.
    edge : PlanEdge
        An edge out of the map above.
    runs : range
        Children of the map above.

    Returns
    -------
    range
        In the same order; shorter when the map below is, empty when the edge pairs no children.
    """
    if not edge.mapped or edge.flattened:
        return range(0)
    below = board.families.get(edge.downstream)
    if below is None:
        return range(0)
    base = board.families[edge.upstream].base
    stop = min(runs.stop - base, below.width)
    return range(below.base + runs.start - base, below.base + stop)


# So many inputs may be sent in vain for one run; then it waits for its upstreams. Without a bound, a reduce
# over n children that fail one after another would be sent and called back n times, with n inputs each time.
MAX_IN_VAIN = 16


class Ahead:
    """Keeps, for each run, how many upstreams are neither in flight nor plain successes.

    A run is marked when it is in flight and trusted, or a plain success. A run whose upstreams are all
    marked may be submitted ahead of them. When a marked run turns out to be no success, the mark goes, and
    what was sent after it comes back: the cluster has stopped it, or will before its body starts. What was
    sent in vain with ``MAX_IN_VAIN`` inputs in all goes no more before its upstreams are final.

    Parameters
    ----------
    board : Board
        The books.
    wiring : Wiring
        The plan's facts.
    ledger : Ledger
        Where runs land that come back.
    frontier : Frontier
        Where runs come up that may go.
    """

    __slots__ = ("_board", "_frontier", "_in_vain", "_ledger", "_wiring")

    def __init__(self, board: Board, wiring: Wiring, ledger: Ledger, frontier: Frontier) -> None:
        self._board = board
        self._wiring = wiring
        self._ledger = ledger
        self._frontier = frontier
        self._in_vain: dict[int, int] = {}

    def may_go(self, run: int) -> bool:
        """Return whether a waiting run may be submitted before its upstreams are final.

        Parameters
        ----------
        run : int
            A run with open upstreams.

        Returns
        -------
        bool
            Whether the verdict in the good case is known, all upstreams are marked, and it has not come
            back too often.
        """
        board, wiring = self._board, self._wiring
        node = board.node[run]
        return bool(
            wiring.ahead[node]
            and not board.unsent[run]
            and board.plan.nodes[node].kind == "task"
            and not (wiring.maps[node] and run == node)
            and self._in_vain.get(run, 0) < MAX_IN_VAIN
        )

    def may_go_many(self, runs: range) -> bool:
        """Return whether all of some children of a map may be submitted, also ahead of their upstreams.

        Parameters
        ----------
        runs : range
            Waiting runs, side by side.

        Returns
        -------
        bool
            As ``may_go`` says of each, where none of them has come back so far.
        """
        board = self._board
        return (
            bool(self._wiring.ahead[board.node[runs.start]])
            and all_are(board.unsent, 0, runs)
            and not self._in_vain
        )

    def mark_many(self, runs: range) -> None:
        """Note that children of one map, side by side, are in flight and trusted, or plain successes.

        Parameters
        ----------
        runs : range
            Which.
        """
        board = self._board
        if board.sent[runs.start]:
            return  # and so are the others: each was marked when it was sent
        board.sent[runs.start : runs.stop] = b"\x01" * len(runs)
        node = board.node[runs.start]
        family = board.families[node]
        family.unsent -= len(runs)
        for edge in board.plan.nodes[node].outs:
            below = paired_children(board, edge, runs)
            if not below:
                continue
            add(board.unsent, -1, below)
            if all_are(board.unsent, 0, below):
                self._frontier.push_many(below)
            else:
                self._frontier.push([one for one in below if not board.unsent[one] and board.unmet[one]])
        if not family.unsent:
            self.mark_whole(node)

    def mark(self, run: int) -> None:
        """Note that a run is in flight and trusted, or a plain success.

        Parameters
        ----------
        run : int
            Any run but the parent of a map.
        """
        board = self._board
        if board.sent[run]:
            return
        board.sent[run] = 1
        node = board.node[run]
        if run == node:
            self.mark_whole(node)
            return
        family = board.families[node]
        family.unsent -= 1
        candidates = []
        for child in self._children_below(node, run - family.base):
            board.unsent[child] -= 1
            if not board.unsent[child] and board.unmet[child]:
                candidates.append(child)
        if candidates:
            self._frontier.push(candidates)
        if not family.unsent:
            self.mark_whole(node)

    def mark_whole(self, node: int) -> None:
        """Note that a node, or all children of a map, are marked.

        Parameters
        ----------
        node : int
            The node.
        """
        board, maps = self._board, self._wiring.maps
        nodes, unsent = board.plan.nodes, board.unsent
        board.sent[node] = 1
        candidates = []
        for edge in nodes[node].outs:
            down = edge.downstream
            if maps[down]:
                continue  # the parent of a map never goes ahead
            unsent[down] -= 1
            if unsent[down] or not board.unmet[down]:
                continue
            if nodes[down].kind != "collection":
                if not self._frontier.comes_soon(down):
                    candidates.append(down)
            elif self._wiring.trusted[down]:
                self.mark(down)
        if candidates:
            self._frontier.push(candidates)

    def unmark(self, run: int) -> None:
        """Take back the mark of a run that is no success, and all that was sent after it.

        Parameters
        ----------
        run : int
            Any run but the parent of an unfolded map.
        """
        board = self._board
        stack = [run]
        while stack:
            run = stack.pop()
            readers = self._unmarked(run)
            for reader in readers:
                board.unsent[reader] += 1
            # What reads a lost value flies on though marks are missing on its way.
            for reader in self._behind(run) if board.doubtful else readers:
                if board.stage[reader] == FLYING:
                    if may_have_begun(board, reader):
                        # It may have begun, if what it reads had ended: its rules say what follows.
                        stack.append(reader)
                        continue
                    # Nothing was started, so nothing of it shows in the run's history.
                    self._ledger.land(reader)
                    self._ledger.free(reader)
                    board.attempt[reader] = 0
                    self._in_vain[reader] = self._in_vain.get(reader, 0) + self._inputs(reader)
                    stack.append(reader)
                elif board.plan_node(reader).kind == "collection":
                    stack.append(reader)

    def forfeit(self, run: int) -> None:
        """Take back the mark of a success whose value was lost, and of what may become a collection with it.

        What flies may have the value, and goes on.

        Parameters
        ----------
        run : int
            Any run but the parent of an unfolded map.
        """
        board = self._board
        if not board.sent[run]:
            return
        readers = self._unmarked(run)
        for edge in board.plan.nodes[board.node[run]].outs:
            # Children count what they read beside their own element from the moment they are there.
            paired = edge.mapped and not edge.flattened and edge.upstream in board.families
            if edge.downstream in board.families and not paired and self._has_lost_one(run):
                readers.extend(board.children(edge.downstream))
        for reader in readers:
            board.unsent[reader] += 1
            if board.plan_node(reader).kind == "collection" and board.stage[reader] != FINAL:
                self.forfeit(reader)

    def _behind(self, run: int) -> Iterator[int]:
        """Yield who waits for a run, or for the map that it is part of."""
        node = self._board.node[run]
        if run != node:
            yield from self._children_below(node, run - self._board.families[node].base)
        yield from self._nodes_below(node)

    def _has_lost_one(self, run: int) -> bool:
        """Return whether what a run is part of, or is, has just lost its first mark."""
        family = self._board.families.get(self._board.node[run])
        return family is None or family.unsent == 1

    def _unmarked(self, run: int) -> list[int]:
        """Take back one mark, and return who waits for it."""
        board = self._board
        readers: list[int] = []
        if not board.sent[run]:
            return readers
        board.sent[run] = 0
        node = board.node[run]
        whole = run == node
        if not whole:
            family = board.families[node]
            readers.extend(self._children_below(node, run - family.base))
            whole = not family.unsent
            family.unsent += 1
            board.sent[node] = 0
        if whole:
            readers.extend(self._nodes_below(node))
        return readers

    def unmark_many(self, runs: range) -> None:
        """Take back the marks of children of one map, side by side, and all that was sent after them.

        Parameters
        ----------
        runs : range
            Which.
        """
        board = self._board
        node = board.node[runs.start]
        if any(paired_children(board, edge, runs) for edge in board.plan.nodes[node].outs):
            for run in runs:
                self.unmark(run)
            return
        self.unmark(runs.start)
        # Who reads the map as a whole has come back; the others only lose their marks.
        rest = runs[1:]
        board.families[node].unsent += board.sent.count(1, rest.start, rest.stop)
        board.sent[rest.start : rest.stop] = bytes(len(rest))

    def _inputs(self, run: int) -> int:
        """Count the runs that a run reads or follows; a map or a collection as its members."""
        board = self._board
        node = board.node[run]
        inputs = 0
        for edge in board.plan.nodes[node].ins:
            up = edge.upstream
            if up in board.families:
                paired = run != node and edge.mapped and not edge.flattened
                inputs += 1 if paired else board.families[up].width
            elif board.plan.nodes[up].kind == "collection":
                inputs += self._inputs(up)
            else:
                inputs += 1
        return inputs

    def _children_below(self, node: int, place: int) -> Iterator[int]:
        for edge in self._board.plan.nodes[node].outs:
            child = paired_child(self._board, edge, place)
            if child is not None:
                yield child

    def _nodes_below(self, node: int) -> Iterator[int]:
        """Yield the readers of a whole node; the parent of a map never goes ahead, so it is left out."""
        for edge in self._board.plan.nodes[node].outs:
            if not self._wiring.maps[edge.downstream]:
                yield edge.downstream


def may_have_begun(board: Board, run: int) -> bool:
    """Return whether an attempt that was sent ahead went down with what it read, and may have run before.

    Parameters
    ----------
    board : Board
        The books.
    run : int
        A run in flight.

    Returns
    -------
    bool
        False while nothing was heard of it.
    """
    early = board.early.get(run)
    return isinstance(early, AttemptCrashed) and early.may_have_begun
