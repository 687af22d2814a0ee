"""The auditor: counts everything anew and compares it with the books. For tests; O(runs and edges)."""

from __future__ import annotations

from prefectlite.engine.ahead import may_have_begun
from prefectlite.engine.board import ASKING, FINAL, FLYING, PARKED, Board
from prefectlite.engine.plan import PlanEdge
from prefectlite.engine.wiring import Wiring
from prefectlite.errors import AuditError
from prefectlite.rules.tally import Tally


def audit(board: Board, wiring: Wiring, window: int, *, under_way: bool, cancelled: bool) -> None:
    """Check the engine's books against each other.

    Parameters
    ----------
    board : Board
        The books, between two events.
    wiring : Wiring
        The plan's facts.
    window : int
        How many submissions may be in flight.
    under_way : bool
        Whether the flow run has begun and is not over.
    cancelled : bool
        Whether it was cancelled; such a run stops counting, since nobody reads its books.

    Raises
    ------
    AuditError
        When two books disagree; the text tells the run's story.
    """
    _check_totals(board)
    if cancelled:
        return
    asked = set(board.asks.values())
    for run in range(len(board.states)):
        node = board.node[run]
        _same(board, run, "open upstreams", board.unmet[run], _unmet(board, run))
        if run != node or not wiring.maps[node]:
            _same(board, run, "unsent upstreams", board.unsent[run], _unsent(board, run))
        if run not in board.families:
            _same(board, run, "readers", board.readers[run], _readers(board, run, wiring.reads[node]))
            if board.stage[run] == FINAL and not board.readers[run]:
                _same(board, run, "values without a reader", board.live[run], 0)
        if board.stage[run] == FLYING:
            _check_flight(board, wiring, run)
        if board.stage[run] == FINAL and not board.states[run].is_finished():
            raise AuditError(f"A run is final in a state that is not: {board.story(run)}.")
        if board.stage[run] == ASKING and run not in asked:
            raise AuditError(f"A run waits for an answer that nobody was asked for: {board.story(run)}.")
    for node in board.families:
        _check_family(board, node)
    if under_way and not (board.flying or board.asks or board.timers or PARKED in board.stage):
        raise AuditError(
            f"Nothing is in flight, asked or timed, yet the flow run goes on; {board.open} runs are open."
        )
    _check_limits(board)
    if board.flying > window:
        raise AuditError(f"{board.flying} submissions are in flight, more than the window of {window}.")


def _check_flight(board: Board, wiring: Wiring, run: int) -> None:
    if board.live[run] != board.submission[run]:
        raise AuditError(f"A run in flight is not held: {board.story(run)}.")
    # What flies may have had a value before it was lost, or have gone down with what it read.
    unsent = board.unsent[run] and not (run in board.doubtful or may_have_begun(board, run))
    if board.unmet[run] and (unsent or not wiring.ahead[board.node[run]]):
        raise AuditError(f"A run flies ahead of an upstream that may not succeed: {board.story(run)}.")


def _check_totals(board: Board) -> None:
    stages = board.stage
    if board.flying != stages.count(FLYING):
        raise AuditError(f"{board.flying} runs are said to be in flight, but {stages.count(FLYING)} are.")
    if board.open != len(stages) - stages.count(FINAL):
        raise AuditError(
            f"{board.open} runs are said to be open, but {len(stages) - stages.count(FINAL)} are."
        )
    counts: dict[str, int] = {}
    for run, state in enumerate(board.states):
        if board.plan_node(run).kind == "task" and run not in board.families:
            counts[type(state).__name__] = counts.get(type(state).__name__, 0) + 1
    said = {name: count for name, count in board.counts.items() if count}
    if said != counts:
        raise AuditError(f"The counts by state are said to be {said}, but are {counts}.")


def _check_limits(board: Board) -> None:
    flying = [0] * len(board.plan.limits)
    for run, stage in enumerate(board.stage):
        if stage == FLYING:
            for number in board.plan_node(run).limits:
                flying[number] += 1
    for limit, count in zip(board.plan.limits, flying, strict=True):
        if count > limit.most:
            raise AuditError(
                f"{count} runs of {limit.name} are in flight, more than the limit of {limit.most}."
            )


def _check_family(board: Board, node: int) -> None:
    family = board.families[node]
    runs = board.children(node)
    final = [run for run in runs if board.stage[run] == FINAL]
    tally = Tally(empty_maps=int(not runs))
    for run in final:
        tally.add(board.states[run])
    _same(board, node, "open children", family.open, sum(not board.is_settled(run) for run in runs))
    _same(board, node, "unsent children", family.unsent, sum(not board.sent[run] for run in runs))
    if family.tally != tally:
        raise AuditError(
            f"The children's tally is {family.tally}, but should be {tally}: {board.story(node)}."
        )


def _same(board: Board, run: int, what: str, said: int, counted: int) -> None:
    if said != counted:
        raise AuditError(f"The books say {said} for {what}, a count says {counted}: {board.story(run)}.")


def _whole_is_final(board: Board, node: int) -> bool:
    family = board.families.get(node)
    return board.is_settled(node) if family is None else not family.open


def _pair(board: Board, edge: PlanEdge, run: int) -> int | None:
    """Return the one upstream child that a child waits for over this edge, if the edge pairs children."""
    above = board.families.get(edge.upstream)
    if above is None or not edge.mapped or edge.flattened:
        return None
    return above.base + run - board.families[board.node[run]].base


def _unmet(board: Board, run: int) -> int:
    edges = board.plan_node(run).ins
    if run != board.node[run]:
        pairs = (_pair(board, edge, run) for edge in edges)
        return sum(pair is not None and not board.is_settled(pair) for pair in pairs)
    waits = 0
    for edge in edges:
        known = edge.mapped and not edge.flattened and edge.upstream in board.families
        waits += not (known or _whole_is_final(board, edge.upstream))
    return waits


def _unsent(board: Board, run: int) -> int:
    unsent = int(run in board.given)  # never ahead of the rules
    for edge in board.plan_node(run).ins:
        pair = _pair(board, edge, run) if run != board.node[run] else None
        if pair is not None:
            unsent += not board.sent[pair]
        elif edge.upstream in board.families:
            unsent += board.families[edge.upstream].unsent > 0
        elif run != board.node[run]:
            is_plain = board.states[edge.upstream].gives_value or edge.upstream in board.again
            unsent += not is_plain
        else:
            unsent += not board.sent[edge.upstream]
    return unsent


def _is_consumed(board: Board, reader: int, run: int) -> bool:
    """Return whether a reader that is not final has read a child's value for good."""
    found = board.consumed.get(reader)
    if found is None or found.node != board.node[run]:
        return False
    return found.submissions[run - board.families[found.node].base] > 0


def _readers(board: Board, run: int, reads: int) -> int:
    node = board.node[run]
    left = reads
    for edge in board.plan.nodes[node].outs:
        if edge.key is None:
            continue
        down = edge.downstream
        below = board.families.get(down)
        if run != node and below is not None and edge.mapped and not edge.flattened:
            place = run - board.families[node].base
            if place < below.width:
                reader = below.base + place
                is_read_on = board.plan.nodes[down].kind == "collection" and board.readers[reader]
                left -= board.is_settled(reader) and not is_read_on
            else:
                left -= 1
        else:
            done = _whole_is_final(board, down) or _is_consumed(board, down, run)
            if board.plan.nodes[down].kind == "collection":
                done = done and not board.readers[down]
            left -= done
    claims = [*board.again.values(), *(loss.reads for loss in board.lost.values()), board.unclaimed]
    return left + sum(claimed.count(run) for claimed in claims)
