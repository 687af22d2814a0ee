"""Runs that wait for a time or an approval, and which were approved. Knows the board; knows no rule."""

from __future__ import annotations

from prefectlite.engine.board import PARKED, TIMED, Board
from prefectlite.engine.events import TimerFired
from prefectlite.engine.instructions import SetTimer
from prefectlite.engine.ledger import Ledger
from prefectlite.errors import EngineError
from prefectlite.moments import plainly
from prefectlite.rules.retry import moment
from prefectlite.states.state import Paused, Resume, Scheduled


class Waits:
    """Keeps who waits for what.

    Parameters
    ----------
    board : Board
        The books.
    ledger : Ledger
        Where timers are asked for.
    """

    __slots__ = ("_approved", "_board", "_ledger", "_serial", "_timer_of")

    def __init__(self, board: Board, ledger: Ledger) -> None:
        self._board = board
        self._ledger = ledger
        self._serial = 0
        self._timer_of: dict[int, int] = {}
        # Runs that a rule paused: they start when the pause is over.
        self._approved: set[int] = set()

    def begin(self, run: int, state: Scheduled, *, approves: bool) -> bool:
        """Let a run wait as its state says.

        Parameters
        ----------
        run : int
            Any run that is not final.
        state : Scheduled
            Its state, just committed.
        approves : bool
            Whether a rule paused it before its start: then the end of the pause is all that it waits for.

        Returns
        -------
        bool
            False when there is nothing to wait for.
        """
        board, at = self._board, plainly(state, "start_time")
        if approves and isinstance(state, Paused | Resume):
            self._approved.add(run)
        if at is None and isinstance(state, Paused):
            board.stage[run] = PARKED
            return True
        if at is None or at.timestamp() <= moment(self._ledger.now).timestamp():
            self._over(run)
            return False
        self._serial += 1
        board.stage[run] = TIMED
        board.timers[self._serial] = run
        self._timer_of[run] = self._serial
        self._ledger.out.append(SetTimer(run, self._serial, at.timestamp()))
        return True

    def begin_given(self, run: int, state: Scheduled) -> None:
        """Let a run wait as a state says that it was given.

        Parameters
        ----------
        run : int
            A run that begins.
        state : Scheduled
            Its state, just committed; one whose time is over is waited in no longer.
        """
        if not self.begin(run, state, approves=True):
            self.count_on(run)

    def count_on(self, run: int) -> None:
        """Count on from the attempts that an earlier run made: the next one may come.

        Parameters
        ----------
        run : int
            A run that was given a state and has not been sent; others count from their start.
        """
        board = self._board
        if run in board.failures:
            board.attempt[run] = board.failures[run] + 1

    def fired(self, event: TimerFired) -> bool:
        """Take in that a time has come.

        Parameters
        ----------
        event : TimerFired
            Whose, and which timer.

        Returns
        -------
        bool
            Whether the run waits no longer; False for a timer that nobody waits for any more.

        Raises
        ------
        EngineError
            When the timer is another run's.
        """
        board = self._board
        run = board.timers.get(event.timer)
        if run is None:
            return False
        if run != event.run:
            raise EngineError(f"Timer {event.timer} belongs to {board.story(run)}, not to run {event.run}.")
        self._over(run)
        return True

    def end(self, run: int) -> bool:
        """End a pause before its time.

        Parameters
        ----------
        run : int
            Any run.

        Returns
        -------
        bool
            False when the run does not wait.
        """
        waits = self._board.stage[run] in (PARKED, TIMED)
        if waits:
            self._over(run)
        return waits

    def may_start(self, run: int) -> bool:
        """Return whether a run that waited starts without another look at the rules before it.

        Parameters
        ----------
        run : int
            A run whose wait is over.

        Returns
        -------
        bool
            They let it start before, or paused it themselves.
        """
        board = self._board
        return board.attempt[run] > 0 or run in board.laps or run in self._approved

    def asks_rules(self, run: int) -> bool:
        """Return whether the rules before a run must be asked now that its wait is over.

        Parameters
        ----------
        run : int
            A run whose wait is over.

        Returns
        -------
        bool
            False for one that may start. One that was given a state has not been let through by that.
        """
        board = self._board
        if run in board.given and not board.submission[run]:
            self.count_on(run)
            return True
        return not self.may_start(run)

    def _over(self, run: int) -> None:
        board = self._board
        timer = self._timer_of.pop(run, None)
        if timer is not None:
            del board.timers[timer]
        if isinstance(board.states[run], Paused | Resume):
            board.resumed.add(run)
