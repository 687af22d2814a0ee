"""Children of one map that go the same way together: sent, ended, tried again by the range. Knows no cluster.

Whatever is done here means what it would mean child by child; where the children differ in more than their
place, the answer is that they do not go together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from prefectlite.engine.ahead import Ahead
from prefectlite.engine.board import FINAL, FLYING, PENDING, QUEUED, WAITING, Board
from prefectlite.engine.columns import add, all_are, fill
from prefectlite.engine.frontier import Frontier
from prefectlite.engine.inputs import Row
from prefectlite.engine.instructions import SubmitMany
from prefectlite.engine.landings import RAN, Landing
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.pipeline import before
from prefectlite.engine.proposal import with_exception
from prefectlite.engine.settling import Settling
from prefectlite.engine.sources import rows_of
from prefectlite.engine.wiring import NO_ARGUMENTS, Wiring
from prefectlite.rules.verdict import Become, Reason
from prefectlite.states.report import Report, Reports
from prefectlite.states.state import Crashed, Failed, Retrying, Running
from prefectlite.states.surroundings import NO_CONTEXT

#: So few children are looked at one by one.
_FEW: Final = 16
RUNNING: Final = Running("A worker runs its body.", context=NO_CONTEXT)
AGAIN: Final = Reason("time", "The time that it waited for has come.")


class Together:
    """Leads children of a map that stand side by side through their rules, as long as these say the same.

    Parameters
    ----------
    board : Board
        The books.
    wiring : Wiring
        The plan's facts.
    ledger : Ledger
        Where states change.
    frontier : Frontier
        Where runs come up that may go.
    ahead : Ahead
        Who is marked as a success in the making.
    settling : Settling
        Who is told of what is final.
    why : dict of int to Reason
        Why a run that waits in the queue, or flies, was let through; told when it is seen to run.
    """

    def __init__(
        self,
        board: Board,
        wiring: Wiring,
        ledger: Ledger,
        frontier: Frontier,
        ahead: Ahead,
        settling: Settling,
        why: dict[int, Reason],
    ) -> None:
        self._board = board
        self._wiring = wiring
        self._ledger = ledger
        self._frontier = frontier
        self._ahead = ahead
        self._settling = settling
        self._why = why

    # Going

    def consider(self, runs: range) -> None:
        """Give children of one map that came up together their chance.

        Parameters
        ----------
        runs : range
            Children that stand side by side; where they differ in more than their place, they come up again
            in smaller groups, or one by one.
        """
        rows = self._rows_of_all(runs)
        if rows is not None:
            self._submit(runs, rows)
        elif len(runs) > _FEW:
            half = len(runs) // 2
            self._frontier.push_many(runs[half:])
            self._frontier.push_many(runs[:half])
        else:
            self._frontier.push(runs)

    def _rows_of_all(self, runs: range) -> tuple[Row, ...] | None:
        """Return where arguments come from, if all of some children may be submitted, and as one."""
        board, first = self._board, runs.start
        node = board.plan_node(first)
        if (
            node.kind != "task"
            or node.is_lone
            or board.lost
            or board.again
            or board.doubtful
            or not all_are(board.attempt, board.attempt[first], runs)
            or not all_are(board.submission, board.submission[first], runs)
        ):
            return None
        if not board.all_in(QUEUED, runs):
            if (
                not board.all_in(WAITING, runs)
                or board.submission[first]
                or not self._ahead.may_go_many(runs)
            ):
                return None
            if not all_are(board.unmet, 0, runs) and any(
                edge.key is None and edge.mapped for edge in node.ins
            ):
                return None  # what goes ahead of a state alone follows it child by child
        return rows_of(board, runs)

    def _submit(self, runs: range, rows: tuple[Row, ...]) -> None:
        board, first = self._board, runs.start
        node = board.node[first]
        attempt = board.attempt[first] or 1
        submission = board.submission[first] + 1
        fill(board.attempt, attempt, runs)
        fill(board.submission, submission, runs)
        fill(board.live, submission, runs)
        board.put(FLYING, runs)
        board.flying += len(runs)
        self._ledger.out.append(
            SubmitMany(
                runs,
                node,
                board.plan.nodes[node].slug,
                board.index(first),
                attempt,
                submission,
                rows,
                not all_are(board.unmet, 0, runs),
                bool(self._wiring.drops[node]),
                self._wiring.measures[node],
                self._left(runs, attempt),
                self._wiring.consumes.get(node, NO_ARGUMENTS),
            )
        )
        self._ahead.mark_many(runs)

    def _left(self, runs: range, attempt: int) -> int:
        """Return how many children of the map will keep the cluster busy beside these."""
        board = self._board
        node = board.node[runs.start]
        if attempt > 1:
            return board.families[node].open - len(runs)  # any of them may come again
        return board.children(node).stop - runs.stop

    # Coming back

    def may_land(self, runs: range, submission: int, said: Report | None) -> bool:
        """Return whether reports of children that ended alike can be taken in together.

        Parameters
        ----------
        runs : range
            Side by side.
        submission : int
            Which they are about.
        said : Report or None
            What each of them says; None for plain successes.

        Returns
        -------
        bool
            False when one of them must be looked at by itself.
        """
        board = self._board
        node = board.node[runs.start]
        state = board.states[runs.start]
        return (
            node in board.families
            and not board.again
            and board.node[runs.stop - 1] == node
            and not board.plan.nodes[node].is_lone
            and not self._wiring.measures[node]
            and board.all_in(FLYING, runs)
            and all_are(board.submission, submission, runs)
            and all_are(board.attempt, board.attempt[runs.start], runs)
            and all_are(board.unmet, 0, runs)
            and (state is PENDING or isinstance(state, Retrying))
            and all(one is state for one in board.states[runs.start : runs.stop])
            and _is_one(self._why, runs)
            and not board.has_past(runs)
            and (said is None or self._retries(runs, said))
        )

    def _retries(self, runs: range, said: Report) -> bool:
        """Return whether the retry rule may weigh a failure once for all."""
        board, policy = self._board, self._board.plan_node(runs.start).policy.retry
        return (
            isinstance(said.state, Failed)
            and not isinstance(said.state, Crashed)
            and not said.forced
            and not policy.jitter
            and not policy.asks_delay
            and _is_one(board.failures, runs)
        )

    def _passed(self, runs: range) -> Reason:
        """Return why children were let through."""
        why = self._why.get(runs.start)
        if why is None:
            return before(self._board, runs.start).why
        for run in runs:
            del self._why[run]
        return why

    def land(self, landing: Landing, why: Reason) -> None:
        """Take in children that ended together as plain successes.

        Parameters
        ----------
        landing : Landing
            Which, and what they said; ``may_land`` said yes.
        why : Reason
            Why they are successes.
        """
        board, runs, reports = self._board, landing.runs, landing.reports
        passed = self._passed(runs)
        board.flying -= len(runs)
        self._ledger.commit_many(runs, RUNNING, passed, reports.started)
        self._ledger.commit_many(runs, RAN, why, reports.ended, landing)
        board.landings.add(landing)
        board.put(FINAL, runs)
        board.open -= len(runs)
        self._settling.add_many(runs)

    def fail(self, runs: range, reports: Reports, why: Reason) -> bool:
        """Take in children that failed alike, if all are tried again at once.

        Parameters
        ----------
        runs : range
            Which; ``may_land`` said yes.
        reports : Reports
            What they said.
        why : Reason
            Why they failed.

        Returns
        -------
        bool
            False when the retry rule says otherwise; nothing has changed then.
        """
        board, ledger, first = self._board, self._ledger, runs.start
        said = reports.said
        assert said is not None
        assert isinstance(said.state, Failed)  # ``may_land`` looked
        state = with_exception(said.state)
        policy = board.plan_node(first).policy.retry
        failures = board.failures.get(first, 0) + 1
        verdict = policy.decide(failures, state, said.retryable, ledger.now, "")
        if not isinstance(verdict, Become) or policy.delay_after(failures):
            return False
        passed = self._passed(runs)
        board.flying -= len(runs)
        ledger.commit_many(runs, RUNNING, passed, reports.started)
        ledger.free_many(runs)
        self._ahead.unmark_many(runs)
        ledger.commit_many(runs, state, why, reports.ended)
        board.failures.update(dict.fromkeys(runs, failures))
        ledger.commit_many(runs, verdict.state, verdict.why, [ledger.now] * len(runs))
        add(board.attempt, 1, runs)
        for run in [run for run in board.holds if run in runs]:
            del board.holds[run]
        self._why.update(dict.fromkeys(runs, AGAIN))
        board.put(QUEUED, runs)
        self._frontier.push_many(runs)
        return True


def _is_one(facts: Mapping[int, Any], runs: Collection[int]) -> bool:
    """Return whether all of some runs have the same fact, or none."""
    return not facts or len(set(map(id, map(facts.get, runs)))) == 1
