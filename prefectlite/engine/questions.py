"""What only user code can say: asked of the driver while other runs go on. Keeps who waits for an answer."""

from __future__ import annotations

from typing import Any

from prefectlite.engine.board import ASKING, Board
from prefectlite.engine.events import Answered
from prefectlite.engine.instructions import Ask, Question
from prefectlite.engine.ledger import FLOW, Ledger
from prefectlite.errors import EngineError
from prefectlite.states.state import State


class Questions:
    """The questions that are open.

    Parameters
    ----------
    board : Board
        The books.
    ledger : Ledger
        Where instructions go.
    """

    __slots__ = ("_board", "_ledger", "_open", "_serial")

    def __init__(self, board: Board, ledger: Ledger) -> None:
        self._board = board
        self._ledger = ledger
        self._open: dict[int, Ask] = {}
        self._serial = 0

    def ask(
        self,
        run: int,
        question: Question,
        *,
        old: State | None = None,
        new: State | None = None,
        upstreams: tuple[tuple[Any, State], ...] = (),
        attempt: int = 0,
    ) -> int:
        """Ask the driver; the run waits, unless the question is about its end.

        Parameters
        ----------
        run : int
            Whose rules ask.
        question : {"trigger", "handlers", "delay", "on_failure"}
            What is asked.
        old, new : State or None
            The transition that it is about.
        upstreams : tuple of (object, State)
            Edge tokens and what a trigger may look at.
        attempt : int
            How many failures a delay follows.

        Returns
        -------
        int
            The question's number.
        """
        board = self._board
        self._serial += 1
        if question != "on_failure":
            board.stage[run] = ASKING
        node, past = board.node[run], board.past(run)
        return self._put(Ask(run, self._serial, node, question, old, new, upstreams, attempt, past))

    def ask_flow(self, question: Question, old: State, new: State) -> int:
        """Ask the flow's own handlers.

        Parameters
        ----------
        question : {"handlers", "on_failure"}
            What is asked.
        old, new : State
            The transition that it is about.

        Returns
        -------
        int
            The question's number.
        """
        self._serial += 1
        return self._put(Ask(FLOW, self._serial, FLOW, question, old, new))

    def _put(self, ask: Ask) -> int:
        self._open[ask.ask] = ask
        self._board.asks[ask.ask] = ask.run
        self._ledger.out.append(ask)
        return ask.ask

    def take(self, event: Answered) -> Ask:
        """Return the question that was answered, which is open no more.

        Parameters
        ----------
        event : Answered
            The answer.

        Returns
        -------
        Ask
            The question.

        Raises
        ------
        EngineError
            When nobody asked.
        """
        ask = self._open.get(event.ask)
        if ask is None or ask.run != event.run:
            raise EngineError(
                f"Run {event.run} got an answer to question {event.ask}, which was never asked."
            )
        del self._open[event.ask]
        del self._board.asks[event.ask]
        return ask


def words(error: BaseException) -> str:
    """Return what an exception says, also when it cannot say it.

    Parameters
    ----------
    error : BaseException
        A user's, perhaps.

    Returns
    -------
    str
        Its text, or the name of its type.
    """
    try:
        return str(error)
    except (Exception, SystemExit):
        return f"a {type(error).__name__} that cannot be put in words"


def raised(error: BaseException) -> str:
    """Return the type and the text of an exception.

    Parameters
    ----------
    error : BaseException
        A user's, perhaps.

    Returns
    -------
    str
        In one line, if its text is one.
    """
    return f"{type(error).__name__}: {words(error)}"
