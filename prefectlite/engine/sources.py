"""Where the arguments of a run come from. Knows the board; knows neither values nor Dask keys."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from prefectlite.engine.board import Board
from prefectlite.engine.columns import all_are
from prefectlite.engine.families import PART_ITSELF
from prefectlite.engine.frontier import TOGETHER
from prefectlite.engine.inputs import (
    Argument,
    FromCollection,
    FromDriver,
    FromElements,
    FromMany,
    FromRun,
    FromSpan,
    FromValue,
    Row,
    RowSource,
    Source,
)
from prefectlite.engine.plan import PlanEdge
from prefectlite.engine.wiring import Wiring


def arguments_of(board: Board, run: int) -> tuple[Argument, ...]:
    """Return where each argument of a run comes from.

    Parameters
    ----------
    board : Board
        The books.
    run : int
        The run that is about to be submitted.

    Returns
    -------
    tuple of Argument
        In edge order; edges without a key move nothing and are left out.
    """
    nodes, live = board.plan.nodes, board.live
    is_single, consumed = run < len(nodes), board.consumed
    found: list[Argument] = []
    for edge in nodes[board.node[run]].ins:
        key = edge.key
        if key is None:
            continue
        submission = live[edge.upstream]
        if submission and is_single and not consumed:
            found.append(Argument(key, FromRun(edge.upstream, submission, None, edge.flattened)))
        else:
            found.append(Argument(key, _source(board, edge, run)))
    return tuple(found)


def upstreams_of(board: Board, run: int) -> Iterator[int]:
    """Yield the runs whose values a run reads, members of collections and children of maps one by one.

    Parameters
    ----------
    board : Board
        The books.
    run : int
        The run that is about to be submitted.

    Yields
    ------
    int
        A run; one that is read twice comes twice.
    """
    for argument in arguments_of(board, run):
        yield from _runs_in(argument.source)


def _runs_in(source: Source) -> Iterator[int]:
    if isinstance(source, FromRun | FromDriver):
        yield source.run
    elif isinstance(source, FromCollection):
        for item in source.items:
            yield from _runs_in(item)
    elif isinstance(source, FromMany):
        for one in source.singly():
            yield from _runs_in(one)


def rows_of(board: Board, runs: range) -> tuple[Row, ...] | None:
    """Return where the arguments of a map's children come from, if one description serves all of them.

    Parameters
    ----------
    board : Board
        The books.
    runs : range
        Children that stand side by side and are about to be submitted.

    Returns
    -------
    tuple of Row or None
        In edge order; None when the children must be looked at one by one.
    """
    rows: list[Row] = []
    for edge in board.plan_node(runs.start).ins:
        if edge.key is not None:
            source = _row(board, edge, runs)
            if source is None:
                return None
            rows.append(Row(edge.key, source))
    return tuple(rows)


def _row(board: Board, edge: PlanEdge, runs: range) -> RowSource | None:
    up, flat = edge.upstream, edge.flattened
    if not edge.mapped:
        return _whole(board, up, None, flat)
    mine = board.families[board.node[runs.start]]
    if edge in mine.elements:
        return None
    place = runs.start - mine.base
    above = board.families.get(up)
    if above is not None:
        first = above.base + place
        submission = board.live[first]
        if not submission or not all_are(board.live, submission, range(first, first + len(runs))):
            return None
        return FromSpan(first, submission, len(runs))
    if not flat and board.plan.nodes[up].kind == "collection":
        return None
    source = _whole(board, up, None, flat)
    if source == _whole(board, up, place, flat):
        return source  # the exception of what was lost for good has no elements
    return None if isinstance(source, FromMany) else FromElements(source, place)


def anchors_of(board: Board, wiring: Wiring, run: int) -> tuple[FromRun, ...]:
    """Return the runs in flight that a run must follow without reading a value.

    Parameters
    ----------
    board : Board
        The books.
    wiring : Wiring
        The plan's facts.
    run : int
        The run that is about to be submitted ahead.

    Returns
    -------
    tuple of FromRun
        Runs whose values are dropped where they are made, so that following them moves nothing.
    """
    found: list[FromRun] = []
    for edge in board.plan_node(run).ins:
        if edge.key is not None or not wiring.drops[edge.upstream]:
            continue
        runs = board.children(edge.upstream) if board.spreads(edge, run) else (board.upstream_run(edge, run),)
        # What is lost has succeeded, or nobody would know that it is lost.
        found.extend(FromRun(up, board.live[up]) for up in runs if board.live[up] and up not in board.lost)
    return tuple(found)


def _source(board: Board, edge: PlanEdge, run: int) -> Source:
    up, flat = edge.upstream, edge.flattened
    if not edge.mapped or run < len(board.plan.nodes):
        consumed = board.consumed.get(run) if board.consumed else None
        if consumed is not None and consumed.node == up:
            live = _live_of(board, up)
            for place, submission in enumerate(consumed.submissions):
                live[place] = submission or live[place]
            return FromMany(tuple(_children(board.children(up), live)), flat)
        return _whole(board, up, None, flat)
    mine = board.families[board.node[run]]
    place = run - mine.base
    taken = mine.elements.get(edge)
    if taken is not None:
        item = taken.places[place]
        return _whole(
            board, taken.runs[place], None if item == PART_ITSELF else item, bool(taken.flat[place])
        )
    if up in board.families:
        return _whole(board, board.families[up].base + place, None, False)
    if not flat and board.plan.nodes[up].kind == "collection":
        return _whole(
            board, board.plan.nodes[up].ins[place].upstream, None, board.plan.nodes[up].ins[place].flattened
        )
    return _whole(board, up, place, flat)


def _whole(board: Board, up: int, item: int | None, flat: bool) -> Source:
    live = board.live[up]
    if live:  # a task's run, and no parent of a map: nothing else is ever sent
        return FromRun(up, live, item, flat)
    nodes = board.plan.nodes
    if up < len(nodes):
        kind = nodes[up].kind
        if kind == "value":
            return FromValue(up, item, flat)
        if kind == "collection" and nodes[up].is_mapped:
            if up not in board.families:
                return FromDriver(up, item, flat)  # it has no width, or was skipped before it had one
            return FromMany(tuple([_whole(board, child, None, False) for child in board.children(up)]), flat)
        if kind == "collection":
            members = tuple([_whole(board, edge.upstream, None, edge.flattened) for edge in nodes[up].ins])
            return FromCollection(up, members, item, flat)
        if up in board.families:
            return FromMany(tuple(_children(board.children(up), _live_of(board, up))), flat)
    elif board.plan_node(up).kind == "collection":
        # Its child reads what a task's child in its place would.
        members = tuple([_source(board, edge, up) for edge in board.plan_node(up).ins])
        return FromCollection(board.node[up], members, item, flat)
    state = board.states[up]
    if state.is_successful() and not state.is_skipped():
        return FromDriver(up, item, flat)
    return FromDriver(up)  # an exception or None, also where its value was to be taken apart


def _live_of(board: Board, node: int) -> array[int]:
    """Return the submissions that hold the values of a map's children."""
    runs = board.children(node)
    return board.live[runs.start : runs.stop]


def _children(runs: range, live: array[int]) -> Iterator[Source | FromSpan]:
    """Yield the values of a map's children; those of one submission that stand side by side together."""
    for start in range(0, len(runs), TOGETHER):
        some = range(start, min(start + TOGETHER, len(runs)))
        submission = live[start]
        if submission and len(some) > 1 and all_are(live, submission, some):
            yield FromSpan(runs[start], submission, len(some))
        else:
            for place in some:
                run, submission = runs[place], live[place]
                yield FromRun(run, submission) if submission else FromDriver(run)
