"""Runs that begin with a state of an earlier run: kept, waited in, or gone on from. Knows no values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prefectlite.engine.board import FINAL, Board, Lap
from prefectlite.engine.events import Measure
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.settling import Settling
from prefectlite.engine.waits import Waits
from prefectlite.rules.given import Standing, decide_given, standing_of, to_go_on_from
from prefectlite.rules.verdict import Become
from prefectlite.states.state import Paused, Resume, Retrying, Scheduled, State
from prefectlite.states.surroundings import NO_CONTEXT


@dataclass(frozen=True, slots=True)
class Given:
    """What a run begins with.

    Parameters
    ----------
    state : State
        The state; that of a map's parent says nothing where ``children`` do.
    measure : Measure or None
        The lengths of its value, which a map may read.
    children : sequence of Given or None
        What the children of a map begin with, in index order; there may be more or fewer of them.
    """

    state: State
    measure: Measure | None = None
    children: Sequence[Given | None] = ()


NONE_GIVEN: Final[Mapping[int, Given]] = {}
_PAUSED: Final = Paused("It was paused in an earlier run.", context=NO_CONTEXT)


class Beginnings:
    """Puts runs where the states that they are given say.

    What is kept is final from the beginning, and a wait begins then, too: neither waits for upstreams. The
    rules before a run are asked after its wait, since its upstreams may have ended otherwise this time.

    Parameters
    ----------
    given : mapping of int to Given
        By node.
    board : Board
        The books.
    ledger : Ledger
        Where states change.
    waits : Waits
        Who waits for what.
    settling : Settling
        Who is told of what is final.
    """

    __slots__ = ("_board", "_given", "_ledger", "_settling", "_waits")

    def __init__(
        self, given: Mapping[int, Given], board: Board, ledger: Ledger, waits: Waits, settling: Settling
    ) -> None:
        self._given = given
        self._board = board
        self._ledger = ledger
        self._waits = waits
        self._settling = settling

    def of_nodes(self) -> None:
        """Begin with what nodes were given."""
        for node, given in self._given.items():
            self._begin(node, given)

    def of_children(self, node: int) -> None:
        """Begin with what the children of a map were given that has just unfolded.

        Parameters
        ----------
        node : int
            The map.
        """
        if node in self._given:
            for child, given in zip(self._board.children(node), self._given[node].children, strict=False):
                if given is not None:
                    self._begin(child, given)

    def _begin(self, run: int, given: Given) -> None:
        board, ledger = self._board, self._ledger
        is_parent = run < len(board.plan.nodes) and board.plan.nodes[run].is_mapped
        verdict = decide_given(given.state)
        if not is_parent:
            self._stand(run, standing_of(given.state))
        if not isinstance(verdict, Become):
            self._waits.count_on(run)
            return
        if isinstance(verdict.state, Resume):
            # By the law of transitions, an approval follows a pause.
            ledger.commit(run, _PAUSED, verdict.why, ledger.now)
        ledger.commit(run, verdict.state, verdict.why, ledger.now)
        if isinstance(verdict.state, Scheduled):
            self._waits.begin_given(run, verdict.state)
            return
        if given.measure is not None:
            board.measures[run] = given.measure
        board.stage[run] = FINAL
        board.open -= 1
        self._settling.add(run)

    def _stand(self, run: int, standing: Standing) -> None:
        board = self._board
        if standing.looped is not None:
            board.laps[run] = Lap(standing.lap, standing.looped)
            board.keys[run] = None
        if standing.failures:
            board.failures[run] = standing.failures
            board.attempt[run] = standing.failures
        if standing.cached is not None:
            board.candidates[run] = standing.cached
        # It is the driver's to weigh: it may not go ahead of its upstreams.
        board.given.add(run)
        board.unsent[run] += 1


def going_on(board: Board, run: int, state: State) -> State:
    """Return the state of a wait with what another run must know to go on from it.

    Parameters
    ----------
    board : Board
        The books.
    run : int
        Whose.
    state : State
        What it is about to wait in.

    Returns
    -------
    State
        Itself where it says that already, as a retry does.
    """
    lap = board.laps.get(run)
    if lap is None and isinstance(state, Retrying):
        return state
    failures = board.failures.get(run, 0)
    standing = Standing(failures) if lap is None else Standing(failures, lap.count, lap.looped)
    return to_go_on_from(state, standing)
