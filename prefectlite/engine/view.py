"""What can be asked of the engine between two events. Knows the books; changes nothing."""

from __future__ import annotations

from itertools import groupby

from prefectlite.engine.audit import audit
from prefectlite.engine.board import FLYING, PARKED, PENDING, TIMED, Board
from prefectlite.engine.calling_off import left_to_do
from prefectlite.engine.ledger import FLOW, FLOW_KEY, Ledger
from prefectlite.engine.plan import FlowPlan
from prefectlite.engine.wiring import Wiring
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Paused, State


class EngineView:
    """The readable side of an engine.

    Parameters
    ----------
    plan : FlowPlan
        What runs.
    window : int
        How many submissions may be in flight at once, counted in task runs.
    state : State
        The flow run's first state.
    """

    def __init__(self, plan: FlowPlan, window: int, state: State) -> None:
        self.plan = plan
        self.window = window
        #: How many of those that were in flight when the window became smaller still are, at most.
        self.crowd = 0
        self.board = Board(plan)
        self.wiring = Wiring.of(plan)
        self.ended = False
        #: Whether it was cancelled; it may still hear the flow's handlers, and its books count no more.
        self.cancelled = False
        self._ledger = Ledger(self.board, state)

    @property
    def flow_state(self) -> State:
        """The flow run's state now."""
        return self._ledger.flow_state

    def state(self, run: int) -> State:
        """Return a run's state; that of an unfolded map carries its children's.

        Parameters
        ----------
        run : int
            The run's number.

        Returns
        -------
        State
            The state now.
        """
        return self.board.full_state(run)

    def complete(self, most: int) -> bool:
        """Make some of the states that will be asked for at the end, while there is nothing else to do.

        Parameters
        ----------
        most : int
            How many.

        Returns
        -------
        bool
            Whether there were any to make.
        """
        return self.board.complete(most)

    def key(self, run: int) -> RunKey:
        """Return a run's name.

        Parameters
        ----------
        run : int
            The run's number; -1 for the flow.

        Returns
        -------
        RunKey
            Its name.
        """
        return FLOW_KEY if run == FLOW else self.board.key(run)

    def run_of(self, key: RunKey) -> int | None:
        """Return the number of a run.

        Parameters
        ----------
        key : RunKey
            Its name.

        Returns
        -------
        int or None
            None when there is no such run (yet).
        """
        return self.board.run_of(key)

    def in_flight(self, key: RunKey, attempt: int) -> int | None:
        """Return the number of a run of which an attempt is in flight and may begin, or runs.

        Parameters
        ----------
        key : RunKey
            The run's name.
        attempt : int
            Counted from 1.

        Returns
        -------
        int or None
            None when the attempt has ended, or was never made.
        """
        board, run = self.board, self.board.run_of(key)
        if run is None or board.stage[run] != FLYING:
            return None
        return run if board.attempt[run] == attempt and board.loop(run) == key.loop else None

    def node_of(self, run: int) -> int:
        """Return the plan's node of a run.

        Parameters
        ----------
        run : int
            The run's number.

        Returns
        -------
        int
            The node's number.
        """
        return self.board.node[run]

    def runs(self) -> range:
        """Return the numbers of all runs on the board, nodes first.

        Returns
        -------
        range
            It grows when a map unfolds.
        """
        return range(len(self.board.states))

    def children(self, node: int) -> range:
        """Return the runs of a map's children.

        Parameters
        ----------
        node : int
            The mapped node.

        Returns
        -------
        range
            Empty before the map unfolds.
        """
        return self.board.children(node)

    def paused(self) -> list[int]:
        """Return the runs that an approval would let go on.

        Returns
        -------
        list of int
            Those that are paused, also until a time; O(runs).
        """
        board = self.board
        return [
            run
            for run, stage in enumerate(board.stage)
            if stage in (PARKED, TIMED) and isinstance(board.states[run], Paused)
        ]

    def has_to_clean_up(self) -> bool:
        """Return whether something would be cleaned up first if the flow run were called off now.

        Returns
        -------
        bool
            O(runs).
        """
        return bool(left_to_do(self.board))

    def attempt(self, run: int) -> int:
        """Return how often a run was allowed to start.

        Parameters
        ----------
        run : int
            The run's number; -1 for the flow.

        Returns
        -------
        int
            0 before the first submission, and for the flow.
        """
        return 0 if run == FLOW else self.board.attempt[run]

    def counts(self) -> dict[str, int]:
        """Count task runs by the name of their state's class; a map counts by its children.

        Returns
        -------
        dict of str to int
            Constants, parameters and collections are left out.
        """
        return {name: count for name, count in self.board.counts.items() if count}

    def live_submissions(self) -> list[tuple[int, int]]:
        """Return what the executor still holds for this run.

        Returns
        -------
        list of (int, int)
            Run and submission; O(runs).
        """
        return [(run, live) for run, live in enumerate(self.board.live) if live]

    def kept(self) -> list[tuple[int, int, int]]:
        """Return the values to keep for the reader of the flow run's state.

        Returns
        -------
        list of (int, int, int)
            First run, submission, and how many that stand side by side; meaningful once the run has ended.
        """
        spans: list[tuple[int, int, int]] = []
        start = 0
        for submission, same in groupby(self.board.live):
            count = sum(1 for _ in same)
            if submission:
                spans.append((start, submission, count))
            start += count
        return spans

    def audit(self) -> None:
        """Check the books against each other, counting everything anew.

        Raises
        ------
        AuditError
            When two books disagree; the text tells the run's story.
        """
        under_way = self.flow_state is not PENDING and not self.ended
        window = max(self.window, self.crowd)
        audit(self.board, self.wiring, window, under_way=under_way, cancelled=self.cancelled)
