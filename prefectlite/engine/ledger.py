"""The ledger: the one place where a run's state changes and its submission is let go. Knows no rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prefectlite.engine.board import PENDING, WAITING, Board
from prefectlite.engine.columns import all_are, fill
from prefectlite.engine.instructions import Instruction, Release, ReleaseMany
from prefectlite.engine.landings import Landing
from prefectlite.engine.transitions import Transition, TransitionMany
from prefectlite.errors import EngineError
from prefectlite.rules.verdict import Reason
from prefectlite.states.keys import RunKey
from prefectlite.states.state import State
from prefectlite.states.transitions import may_become

#: The flow's own number among the runs of its transitions.
FLOW: Final = -1
FLOW_KEY: Final = RunKey("")


class Ledger:
    """Writes the board and tells of it in instructions.

    Parameters
    ----------
    board : Board
        The books.
    flow_state : State
        The flow run's first state.
    """

    __slots__ = ("board", "flow_state", "now", "out")

    def __init__(self, board: Board, flow_state: State = PENDING) -> None:
        self.board = board
        self.flow_state = flow_state
        self.now = 0.0
        self.out: list[Instruction] = []

    def commit(self, run: int, new: State, why: Reason, time: float) -> None:
        """Give a run a new state.

        Parameters
        ----------
        run : int
            Which.
        new : State
            The state.
        why : Reason
            What caused it.
        time : float
            When, in seconds since the epoch.

        Raises
        ------
        EngineError
            When the law of transitions forbids it; nothing has changed then.
        """
        board = self.board
        old = board.states[run]
        before, after = type(old), type(new)
        if not may_become(before, after):
            raise EngineError(f"{before.__name__} cannot become {after.__name__}: {board.story(run)}.")
        board.states[run] = new
        if board.plan.nodes[board.node[run]].kind == "task":
            counts = board.counts
            counts[before.__name__] -= 1
            if run not in board.families:
                counts[after.__name__] = counts.get(after.__name__, 0) + 1
        key = board.keys[run] or board.key(run)
        self.out.append(Transition(time, run, key, board.attempt[run], old, new, why))

    def commit_many(
        self, runs: range, new: State, why: Reason, times: Sequence[float], landing: Landing | None = None
    ) -> None:
        """Give children of one map, side by side and all in one state, a new one.

        Parameters
        ----------
        runs : range
            Which.
        new : State
            The state.
        why : Reason
            What caused it.
        times : sequence of float
            When, for each, in seconds since the epoch.
        landing : Landing or None
            Who knows the results.

        Raises
        ------
        EngineError
            When the law of transitions forbids it; nothing has changed then.
        """
        board, first = self.board, runs.start
        old = board.states[first]
        if not may_become(type(old), type(new)):
            raise EngineError(
                f"{type(old).__name__} cannot become {type(new).__name__}: {board.story(first)}."
            )
        count = len(runs)
        board.states[first : runs.stop] = [new] * count
        board.counts[type(old).__name__] -= count
        name = type(new).__name__
        board.counts[name] = board.counts.get(name, 0) + count
        slug = board.plan_node(first).slug
        self.out.append(
            TransitionMany(
                times, runs, slug, board.index(first), board.attempt[first], old, new, why, landing
            )
        )

    def flow_becomes(self, new: State, why: Reason) -> None:
        """Give the flow run a new state.

        Parameters
        ----------
        new : State
            The state.
        why : Reason
            What caused it.
        """
        old, self.flow_state = self.flow_state, new
        self.out.append(Transition(self.now, FLOW, FLOW_KEY, 0, old, new, why))

    def land(self, run: int) -> None:
        """Take a run out of flight; it waits for what is decided next.

        Parameters
        ----------
        run : int
            A run in flight.
        """
        board = self.board
        board.flying -= 1
        board.stage[run] = WAITING
        board.early.pop(run, None)
        board.held.discard(run)

    def free(self, run: int) -> None:
        """Let go of a run's submission, and so of its value, if the executor holds one.

        Parameters
        ----------
        run : int
            Any run.
        """
        board = self.board
        live = board.live[run]
        if live:
            board.live[run] = 0
            if board.lost:
                board.forget_loss(run)
            self.out.append(Release(run, live))

    def forget_place(self) -> None:
        """Count on nothing any more that the executor held.

        Raises
        ------
        EngineError
            When a run is in flight there.
        """
        board = self.board
        if board.flying:
            raise EngineError(f"The place to run changed while {board.flying} submissions were in flight.")
        fill(board.live, 0, range(len(board.live)))

    def free_many(self, runs: range) -> None:
        """Let go of the submissions of runs that stand side by side.

        Parameters
        ----------
        runs : range
            Without gaps.
        """
        live = self.board.live
        submission = live[runs.start] if runs else 0
        if submission and all_are(live, submission, runs):
            fill(live, 0, runs)
            for run in [run for run in self.board.lost if run in runs]:
                self.board.forget_loss(run)
            self.out.append(ReleaseMany(runs, submission))
            return
        for run in runs:
            self.free(run)
