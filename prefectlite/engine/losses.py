"""Values that are gone: a success without one becomes a crash when a run that must start needs it."""

from __future__ import annotations

from collections.abc import Iterator

from prefectlite.engine.ahead import Ahead
from prefectlite.engine.board import FINAL, Board
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.proposal import with_exception
from prefectlite.engine.questions import Questions
from prefectlite.engine.sources import upstreams_of
from prefectlite.rules.verdict import Reason
from prefectlite.states.state import Crashed, Success


class Losses:
    """Notes whose values are gone, and looks at what each submission would read.

    A value that nobody misses changes no state.

    Parameters
    ----------
    board : Board
        The books.
    ledger : Ledger
        Where states change.
    ahead : Ahead
        Who is marked as a success in the making.
    questions : Questions
        Where the driver is asked to tell users of a failure.
    """

    __slots__ = ("_ahead", "_board", "_ledger", "_questions")

    def __init__(self, board: Board, ledger: Ledger, ahead: Ahead, questions: Questions) -> None:
        self._board = board
        self._ledger = ledger
        self._ahead = ahead
        self._questions = questions

    def note(self, run: int, submission: int, text: str) -> None:
        """Note that a value is gone.

        Parameters
        ----------
        run, submission : int
            Whose.
        text : str
            What is known of it, in a sentence.
        """
        board = self._board
        if board.stage[run] == FINAL and board.live[run] == submission and board.states[run].__class__ is Success:
            board.lost[run] = text

    def hit(self, run: int) -> bool:
        """Let the successes crash whose values a run would read and that are gone.

        Parameters
        ----------
        run : int
            A run that is about to be submitted.

        Returns
        -------
        bool
            Whether there were any.
        """
        board = self._board
        missing = [up for up in upstreams_of(board, run) if up in board.lost] if board.lost else []
        for up in missing:
            text = board.lost.pop(up, None)
            if text is not None:
                self._crash(up, text)
        return bool(missing)

    def _crash(self, run: int, text: str) -> None:
        board, node = self._board, self._board.node[run]
        crashed = with_exception(Crashed(text, cause="result-lost"))
        why = Reason("result-lost", text)
        self._ledger.free(run)
        for one in (run, *self._collections_over(node)):
            old = board.states[one]
            if board.stage[one] == FINAL and old.__class__ is Success:
                self._ledger.commit(one, crashed, why, self._ledger.now)
                self._ahead.forfeit(one)
                if one != node and one == run:
                    tally = board.families[node].tally
                    tally.add(old, -1)
                    tally.add(crashed)
        if board.plan.nodes[node].policy.on_failure:
            self._questions.ask(run, "on_failure", new=crashed)

    def _collections_over(self, node: int) -> Iterator[int]:
        """Yield the collections that a node is part of, inner ones first."""
        nodes = self._board.plan.nodes
        for edge in nodes[node].outs:
            if nodes[edge.downstream].kind == "collection":
                yield edge.downstream
                yield from self._collections_over(edge.downstream)
