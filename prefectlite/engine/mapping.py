"""How a map unfolds from widths. Knows lengths, not values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prefectlite.engine.board import FINAL, Board
from prefectlite.engine.events import Measure
from prefectlite.engine.families import PART_ITSELF, Elements, Family
from prefectlite.engine.plan import PlanEdge
from prefectlite.rules.verdict import Become
from prefectlite.rules.width import decide_width
from prefectlite.states.state import Mapped, State

# The length of a value that somebody gave without saying how long it is.
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the values that a flattened edge maps over, one behind the other.

    A length of None stands for a part that is an element itself: it has no length, or no value.
    """

    run: int
    length: int | None
    flat: bool = False


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
            family.elements[edge] = _elements(board, edge)
        above = board.families.get(edge.upstream)
        if above is None or not edge.mapped or edge.flattened:
            if not _is_plain(board, edge):
                # One that is no plain success is the driver's to weigh: no child may go ahead of its verdict.
                for child in board.children(node):
                    board.unsent[child] += 1
            continue
        for place in range(width):
            up = above.base + place
            if board.stage[up] == FINAL:
                if not board.states[up].gives_value:
                    board.unsent[family.base + place] += 1
            else:
                board.unmet[family.base + place] += 1
                board.unsent[family.base + place] += not board.sent[up]
    return family


def _is_plain(board: Board, edge: PlanEdge) -> bool:
    family = board.families.get(edge.upstream)
    if family is not None and isinstance(board.states[edge.upstream], Mapped):
        return not family.unsent
    return board.states[edge.upstream].gives_value


def _length(board: Board, edge: PlanEdge) -> int | str:
    """Return the length that an edge maps over, or why there is none."""
    up = edge.upstream
    node = board.plan.nodes[up]
    state = board.states[up]
    if isinstance(state, Mapped) and up in board.families:
        return _flat_width(board, edge) if edge.flattened else board.families[up].width
    if not _has_value(state):
        return f"it ended {type(state).__name__}: {state.message}"
    if node.kind == "value":
        found = Measure(node.length, node.flat_length, node.unmappable)
    elif node.kind == "collection":
        if edge.flattened and node.unmappable is None:
            return _flat_width(board, edge)
        found = Measure(node.length, None, node.unmappable)
    else:
        found = board.measures.get(up, Measure(unmappable="its length is not known"))
    length = found.flat_length if edge.flattened else found.length
    return length if length is not None else found.unmappable or "its value has no length"


def _flat_width(board: Board, edge: PlanEdge) -> int | str:
    width = 0
    for part in _parts(board, edge) or ():
        if part.length == _UNKNOWN:
            return f"the length of {board.key(part.run)} is not known"
        width += 1 if part.length is None else part.length
    return width


def _has_value(state: State) -> bool:
    return state.is_successful() and not state.is_skipped()


def _parts(board: Board, edge: PlanEdge) -> Iterator[_Part] | None:
    """Return the parts that a flattened edge maps over; None when it maps over one value."""
    up = edge.upstream
    if up in board.families:
        return (_Part(run, _part_length(board, run)) for run in board.children(up))
    node = board.plan.nodes[up]
    if node.kind != "collection" or not _has_value(board.states[up]):
        return None
    return (part for member in node.ins for part in _unnested(board, member))


def _unnested(board: Board, member: PlanEdge) -> Iterator[_Part]:
    """Yield what one member of a list becomes when the list is unnested by one level."""
    up = member.upstream
    family = board.families.get(up)
    if family is None and board.plan.nodes[up].kind == "collection":
        for inner in board.plan.nodes[up].ins:
            if member.flattened:
                yield from _unnested(board, inner)
            else:
                yield _Part(inner.upstream, None, inner.flattened)
    elif family is None:
        yield _Part(up, _part_length(board, up, flat=member.flattened), member.flattened)
    else:
        # The member is the list of the children's values, or of their elements if it is flattened itself.
        for child in board.children(up):
            yield _Part(child, _part_length(board, child) if member.flattened else None)


def _part_length(board: Board, part: int, flat: bool = False) -> int | None:
    if not _has_value(board.states[part]):
        return None
    if part < len(board.plan.nodes) and board.plan.nodes[part].kind == "value":
        node = board.plan.nodes[part]
        return node.flat_length if flat else node.length
    measure = board.measures.get(part)
    if measure is None:
        return _UNKNOWN
    return measure.flat_length if flat else measure.length


def _elements(board: Board, edge: PlanEdge) -> Elements:
    """Return, for each child, the part that it takes its element from and the place in it."""
    elements = Elements()
    for part in _parts(board, edge) or ():
        for place in (PART_ITSELF,) if part.length is None else range(part.length):
            elements.runs.append(part.run)
            elements.places.append(place)
            elements.flat.append(part.flat)
    return elements
