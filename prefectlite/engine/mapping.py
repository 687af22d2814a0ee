"""How a map unfolds from widths. Knows lengths, not values."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from prefectlite.engine.board import Board, Family
from prefectlite.engine.events import Measure
from prefectlite.engine.plan import PlanEdge
from prefectlite.rules.verdict import Become
from prefectlite.rules.width import decide_width
from prefectlite.states.state import Mapped, Success

_PART_ITSELF = -1


def width_of(board: Board, node: int) -> int | Become:
    """Return how many children a mapped node has.

    Parameters
    ----------
    board : Board
        The books; all that the node maps over is final or unfolded.
    node : int
        The mapped node.

    Returns
    -------
    int or Become
        The width, or the state that the map ends in because it has none.
    """
    plan_node = board.plan.nodes[node]
    lengths: list[tuple[str, int]] = []
    unmappable: list[tuple[str, str]] = []
    for edge in plan_node.ins:
        if edge.mapped:
            name = edge.key or board.plan.nodes[edge.upstream].slug
            length = _length(board, edge)
            if isinstance(length, int):
                lengths.append((name, length))
            else:
                unmappable.append((name, length))
    return decide_width(lengths, plan_node.policy.map_lengths, unmappable)


def unfold(board: Board, node: int, width: int) -> Family:
    """Put the children of a map on the board, each waiting for its own part of the maps above.

    Parameters
    ----------
    board : Board
        The books.
    node : int
        The mapped node.
    width : int
        How many children.

    Returns
    -------
    Family
        The children.
    """
    family = board.grow(node, width)
    for edge in board.plan.nodes[node].ins:
        if edge.mapped and edge.flattened and _parts(board, edge) is not None:
            family.elements[edge] = _table(board, edge)
        above = board.families.get(edge.upstream)
        if above is None or not edge.mapped or edge.flattened:
            if not _is_plain(board, edge):
                # One that is no plain success is the driver's to weigh: no child may go ahead of its verdict.
                for child in board.children(node):
                    board.unsent[child] += 1
            continue
        for place in range(width):
            up = above.base + place
            if board.states[up].is_finished():
                if board.states[up].__class__ is not Success:
                    board.unsent[family.base + place] += 1
            else:
                board.unmet[family.base + place] += 1
                board.unsent[family.base + place] += not board.sent[up]
    return family


def _is_plain(board: Board, edge: PlanEdge) -> bool:
    family = board.families.get(edge.upstream)
    if family is not None and isinstance(board.states[edge.upstream], Mapped):
        return not family.unsent
    return board.states[edge.upstream].__class__ is Success


def _length(board: Board, edge: PlanEdge) -> int | str:
    """Return the length that an edge maps over, or why there is none."""
    up = edge.upstream
    node = board.plan.nodes[up]
    state = board.states[up]
    if isinstance(state, Mapped) and up in board.families:
        return sum(_spans(board, edge)) if edge.flattened else board.families[up].width
    if state.__class__ is not Success:
        return f"it ended {type(state).__name__}: {state.message}"
    if node.kind == "value":
        found = Measure(node.length, node.flat_length, node.unmappable)
    elif node.kind == "collection":
        flat = sum(_spans(board, edge)) if edge.flattened and node.unmappable is None else None
        found = Measure(node.length, flat, node.unmappable)
    else:
        found = board.measures.get(up, Measure(unmappable="its length is not known"))
    length = found.flat_length if edge.flattened else found.length
    return length if length is not None else found.unmappable or "its value has no length"


def _parts(board: Board, edge: PlanEdge) -> Iterator[int] | None:
    """Return the runs whose values, one behind the other, a flattened edge maps over; None for one value."""
    up = edge.upstream
    if up in board.families:
        return iter(board.children(up))
    node = board.plan.nodes[up]
    if node.kind != "collection" or board.states[up].__class__ is not Success:
        return None
    return (run for member in node.ins for run in board.children(member.upstream) or (member.upstream,))


def _spans(board: Board, edge: PlanEdge) -> Iterator[int]:
    """Yield how many elements each part contributes; a part without a length, or no plain success, is one."""
    for part in _parts(board, edge) or ():
        length = _part_length(board, part)
        yield 1 if length is None else length


def _part_length(board: Board, part: int) -> int | None:
    if board.states[part].__class__ is not Success:
        return None
    if part < len(board.plan.nodes) and board.plan.nodes[part].kind == "value":
        return board.plan.nodes[part].length
    measure = board.measures.get(part)
    return None if measure is None else measure.length


def _table(board: Board, edge: PlanEdge) -> tuple[array[int], array[int]]:
    """Return, for each child, the part that it takes its element from and the place in it."""
    parts, places = array("i"), array("i")
    for part in _parts(board, edge) or ():
        length = _part_length(board, part)
        for place in (_PART_ITSELF,) if length is None else range(length):
            parts.append(part)
            places.append(place)
    return parts, places
