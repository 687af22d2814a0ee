"""Places under concurrency limits: who holds one, who waits for one. Knows run numbers; knows no state.

A run takes its places one after the other, under the narrowest limit first, and gives them all back at once.
Each limit serves first come, first served: a place that comes free goes to whoever waits longest, and nobody
is passed. Since all take their places in one order, no two can wait for each other; since every place comes
free sometime, nobody waits for ever; and who waits under a narrow limit holds no place under a wide one.
"""

from __future__ import annotations

from collections import deque

from prefectlite.engine.board import Board
from prefectlite.engine.frontier import Frontier
from prefectlite.rules.limit import after_waiting, decide_limit
from prefectlite.rules.verdict import Proceed, Reason


class Limits:
    """The places under the plan's limits.

    Parameters
    ----------
    board : Board
        Whose runs.
    frontier : Frontier
        Where runs come up that were given a place.
    why : dict of int to Reason
        Why a run that waits in the queue was let through.
    """

    __slots__ = ("_board", "_frontier", "_places", "_queues", "_taken", "_waiting", "_waits_for", "_why")

    def __init__(self, board: Board, frontier: Frontier, why: dict[int, Reason]) -> None:
        limits = board.plan.limits
        self._board = board
        self._frontier = frontier
        self._why = why
        self._taken = [0] * len(limits)
        self._queues: tuple[deque[int], ...] = tuple(deque() for _ in limits)
        # Of those that hold or want a place: under how many of their limits they have one.
        self._places: dict[int, int] = {}
        self._waiting: set[int] = set()
        self._waits_for: dict[int, Reason] = {}

    def admit(self, run: int) -> bool:
        """Take the places that a run needs, or let it wait for the first that is not free.

        Parameters
        ----------
        run : int
            A run that may start but for limits.

        Returns
        -------
        bool
            Whether it has them all; else it comes up again when it is given one.
        """
        if run in self._waiting:
            return False
        plan, needs = self._board.plan, self._board.plan_node(run).limits
        for limit in needs[self._places.get(run, 0) :]:
            verdict = decide_limit(plan.limits[limit], self._taken[limit])
            self._places.setdefault(run, 0)
            if not isinstance(verdict, Proceed):
                self._queues[limit].append(run)
                self._waiting.add(run)
                self._waits_for[run] = verdict.why
                return False
            self._taken[limit] += 1
            self._places[run] += 1
        waited = self._waits_for.pop(run, None)
        if waited is not None and run in self._why:
            self._why[run] = after_waiting(self._why[run], waited)
        return True

    def give_back(self, run: int) -> None:
        """Let others have the places of a run that no longer runs, or will not run.

        Parameters
        ----------
        run : int
            Any run; one that waits for a place waits no longer.
        """
        heirs: list[int] = []
        self._waiting.discard(run)
        for limit in self._board.plan_node(run).limits[: self._places.pop(run, 0)]:
            heir = self._longest_waiting(limit)
            if heir is None:
                self._taken[limit] -= 1
            else:
                self._waiting.remove(heir)
                self._places[heir] += 1
                heirs.append(heir)
        self._frontier.push(heirs)

    def _longest_waiting(self, limit: int) -> int | None:
        queue = self._queues[limit]
        while queue:
            run = queue.popleft()
            if run in self._waiting:  # others were called off
                return run
        return None
