"""Separate tasks' runs that travelled together and ended well: taken in together. Knows no cluster.

Whatever is done here means what it would mean run by run; a run that differs from a plain call in anything
is given back to who looks at each by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from prefectlite.engine.board import FINAL, FLYING, PENDING, Board
from prefectlite.engine.events import CallsFinished
from prefectlite.engine.landings import RAN, Arrival
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.pipeline import plain_sailing
from prefectlite.engine.settling import Settling
from prefectlite.engine.together import RUNNING
from prefectlite.engine.transitions import TransitionEach
from prefectlite.engine.wiring import Wiring
from prefectlite.rules.verdict import Reason
from prefectlite.states.keys import RunKey
from prefectlite.states.report import ValueSource


class Calls:
    """Takes in plain successes of plain calls, many at a time.

    Parameters
    ----------
    board : Board
        The books.
    wiring : Wiring
        The plan's facts.
    ledger : Ledger
        Where states change.
    settling : Settling
        Who is told of what is final.
    why : dict of int to Reason
        Why a run that waited in the queue was let through.
    """

    __slots__ = ("_board", "_ledger", "_settling", "_why", "_wiring")

    def __init__(
        self,
        board: Board,
        wiring: Wiring,
        ledger: Ledger,
        settling: Settling,
        why: dict[int, Reason],
    ) -> None:
        self._board = board
        self._wiring = wiring
        self._ledger = ledger
        self._settling = settling
        self._why = why

    def land(self, event: CallsFinished, reason: Reason, values: ValueSource | None) -> Iterator[int]:
        """Take in attempts that ended as plain successes.

        Parameters
        ----------
        event : CallsFinished
            Which.
        reason : Reason
            Why they are successes.
        values : ValueSource or None
            Who can fetch a value that is not inline any more.

        Yields
        ------
        int
            The place in the event of an attempt that must be looked at by itself, before those behind it.
        """
        board, reports = self._board, event.reports
        nodes, plain, submissions = board.plan.nodes, self._wiring.plain, event.submissions
        stage, states, unmet, unsent = board.stage, board.states, board.unmet, board.unsent
        batch: _Batch | None = None
        for place, run in enumerate(event.runs):
            submission = submissions[place]
            if (
                run >= len(nodes)
                or not plain[run]
                or stage[run] != FLYING
                or board.submission[run] != submission
                or unmet[run]
                or unsent[run]
                or states[run] is not PENDING
                or board.again
                or board.laps
                or board.early
                or board.held
            ):
                if batch is not None:
                    batch.close(board)
                    batch = None
                yield place
                continue
            if batch is None:
                batch = _Batch(Arrival(reports, values), reason)
                self._ledger.out += batch.changes
            node = nodes[run]
            trigger = node.policy.trigger
            assert trigger is not None  # as of all plain ones
            passed = self._why.pop(run, None) or plain_sailing(trigger.name, len(node.ins)).why
            batch.add(run, place, board.keys[run] or board.key(run), board.attempt[run], submission, passed)
            board.landings.add_one(run, batch.arrival)
            board.flying -= 1
            board.open -= 1
            stage[run] = FINAL
            states[run] = RAN
            self._settling.settle(run)
        if batch is not None:
            batch.close(board)


class _Batch:
    """Runs that land one after the other, with nothing between them."""

    def __init__(self, arrival: Arrival, reason: Reason) -> None:
        self.arrival = arrival
        self._times: tuple[list[float], list[float]] = [], []
        self._keys: list[RunKey] = []
        self._passed: list[Reason] = []
        self._reasons: list[Reason] = []
        self._reason = reason
        runs, attempts, keys = arrival.runs, arrival.attempts, self._keys
        started, ended = self._times
        #: What to tell of them; it grows with them.
        self.changes = (
            TransitionEach(started, runs, keys, attempts, PENDING, RUNNING, self._passed),
            TransitionEach(ended, runs, keys, attempts, RUNNING, RAN, self._reasons, arrival),
        )

    def add(self, run: int, place: int, key: RunKey, attempt: int, submission: int, passed: Reason) -> None:
        """Take one in."""
        arrival = self.arrival
        arrival.runs.append(run)
        arrival.places.append(place)
        arrival.attempts.append(attempt)
        arrival.submissions.append(submission)
        self._keys.append(key)
        self._passed.append(passed)

    def close(self, board: Board) -> None:
        """Count them, and say when each began and ended."""
        arrival = self.arrival
        reports, count = arrival.reports, len(arrival.runs)
        started, ended = self._times
        started += [reports.started[place] for place in arrival.places]
        ended += [reports.ended[place] for place in arrival.places]
        self._reasons += [self._reason] * count
        counts, before, after = board.counts, type(PENDING).__name__, type(RAN).__name__
        counts[before] -= count
        counts[after] = counts.get(after, 0) + count
