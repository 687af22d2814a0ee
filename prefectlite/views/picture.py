"""A flow drawn as boxes and arrows, in the colours of its states. Knows the graph; runs nothing.

What is drawn is data first; graphviz makes a picture of it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import Task
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.states.children import count_by_class
from prefectlite.states.state import Failed, Mapped, State
from prefectlite.views.printable import printable

#: A map of more children than these is one box, which counts them: no eye finds its way among more.
MOST_CHILDREN: Final = 50
_HALF_CLEAR: Final = "80"


@dataclass(frozen=True, slots=True)
class Box:
    """A task, or a child of a map.

    Parameters
    ----------
    name : str
        What arrows call it.
    label : str
        What it says.
    is_map : bool
        Whether it stands for a map.
    color : str
        Of its state, hexadecimal; empty without one.
    """

    name: str
    label: str
    is_map: bool = False
    color: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge, or what it means for one child.

    Parameters
    ----------
    tail, head : str
        Boxes, by name.
    label : str
        The argument that gets the value; empty where only the order counts.
    is_mapped : bool
        Whether the value is handed over item by item.
    """

    tail: str
    head: str
    label: str = ""
    is_mapped: bool = False


@dataclass(slots=True)
class Picture:
    """What is drawn of a flow.

    Parameters
    ----------
    flow_name : str
        The flow's name.
    boxes : list of Box
        In an order in which tasks may run.
    arrows : list of Arrow
        In the order of the boxes that they lead to.
    """

    flow_name: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)


def picture_of(flow: FlowGraph, flow_state: State | None = None) -> Picture:
    """Return what is drawn of a flow.

    Parameters
    ----------
    flow : FlowGraph
        The flow.
    flow_state : State or None
        Of a run of it: boxes have the colours of their tasks' states, and children of maps are boxes of their
        own, up to 50 a map; a larger map is one box that counts them.

    Returns
    -------
    Picture
        Boxes and arrows.

    Raises
    ------
    DefinitionError
        When the state is of another flow.
    DefinitionTypeError
        When it is no state.
    """
    states = _states(flow, flow_state)
    drawn = Picture(flow.name)
    boxes: dict[Task, list[Box]] = {}
    for number, task in enumerate(flow):
        boxes[task] = _boxes(f"n{number}", task.name, flow.is_mapped(task), states.get(task))
        drawn.boxes += boxes[task]
    for task in flow:
        for edge in flow.edges_to(task):
            tails, heads = boxes[edge.upstream], boxes[edge.downstream]
            by_pairs = edge.mapped and not edge.flattened and len(tails) == len(heads)
            pairs = (
                zip(tails, heads, strict=True)
                if by_pairs
                else ((tail, head) for tail in tails for head in heads)
            )
            drawn.arrows += [Arrow(tail.name, head.name, edge.key or "", edge.mapped) for tail, head in pairs]
    return drawn


def draw(picture: Picture, *, horizontal: bool = False) -> Any:
    """Return a picture as a graph that notebooks show.

    Parameters
    ----------
    picture : Picture
        What to draw.
    horizontal : bool
        Whether it goes from left to right instead of from top to bottom.

    Returns
    -------
    graphviz.Digraph
        The graph; its ``source`` is in the language DOT.

    Raises
    ------
    ImportError
        When the library graphviz is not installed.
    """
    graphviz = _graphviz()
    graph = graphviz.Digraph(picture.flow_name, graph_attr={"rankdir": "LR"} if horizontal else {})
    for box in picture.boxes:
        filled = {"style": "filled", "fillcolor": _half_clear(box.color)} if box.color else {}
        shape = {"shape": "box"} if box.is_map else {}
        graph.node(box.name, graphviz.escape(printable(box.label)), **shape, **filled)
    for arrow in picture.arrows:
        dashed = {"style": "dashed"} if arrow.is_mapped else {}
        graph.edge(arrow.tail, arrow.head, graphviz.escape(arrow.label) if arrow.label else None, **dashed)
    return graph


def render(graph: Any, filename: str | os.PathLike[str] | None, format: str | None) -> str:  # noqa: A002
    """Write a graph as a picture, or show it in the machine's viewer.

    Parameters
    ----------
    graph : graphviz.Digraph
        From ``draw``.
    filename : str, path or None
        Where to write; None shows it.
    format : str or None
        ``"svg"``, ``"png"``, ``"pdf"`` ...; by default what the file's name ends with, else ``"pdf"``.

    Returns
    -------
    str
        The file's path.

    Raises
    ------
    DefinitionError
        When the format is none that graphviz knows.
    DefinitionTypeError
        When ``filename`` is no path.
    ImportError
        When the program graphviz is not installed.
    """
    graphviz = _graphviz()
    given: object = filename
    if not isinstance(given, str | os.PathLike | None) or given == "":
        raise DefinitionTypeError(f"filename={filename!r} is no path; give one: filename='flow.svg'.")
    if format is not None and format not in tuple(graphviz.FORMATS):
        raise DefinitionError(f"format={format!r} is no format of graphviz; write 'svg', 'png' or 'pdf'.")
    shown = filename is None
    path = Path(tempfile.mkdtemp(prefix="prefectlite-")) / "flow" if filename is None else Path(filename)
    if format is None:
        format = path.suffix[1:]  # noqa: A001
        format = format if format in graphviz.FORMATS else "pdf"  # noqa: A001
    if path.suffix != f".{format}":
        path = path.with_name(f"{path.name}.{format}")
    try:
        return str(graph.render(outfile=path, format=format, view=shown, cleanup=True))
    except graphviz.ExecutableNotFound as error:
        raise ImportError(
            f"The picture {str(path)!r} cannot be drawn, since graphviz's program 'dot' is not on the PATH; "
            "install it (apt install graphviz, brew install graphviz, conda install graphviz)."
        ) from error


def _states(flow: FlowGraph, flow_state: State | None) -> Mapping[Task, State]:
    if flow_state is None:
        return {}
    if not isinstance(flow_state, State):
        raise DefinitionTypeError(
            f"Flow {flow.name!r} cannot be drawn with flow_state={flow_state!r}, which is no State; pass "
            "what flow.run(...) returned."
        )
    found = flow_state.result
    if not isinstance(found, Mapping):
        return {}  # it failed before any of its tasks had a state
    if found and not any(task in found for task in flow.tasks):
        raise DefinitionError(
            f"Flow {flow.name!r} cannot be drawn with a state that knows none of its tasks; pass what a run "
            "of this very flow returned."
        )
    return found


def _boxes(name: str, label: str, is_map: bool, state: State | None) -> list[Box]:
    color = "" if state is None else state.color
    if not is_map:
        return [Box(name, label, color=color)]
    label_of_all = f"{label} <map>"
    children = state.map_states if isinstance(state, Mapped) else ()
    if len(children) > MOST_CHILDREN:
        counts = count_by_class(children)
        told = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
        failed = any(child.is_failed() for child in children)
        return [Box(name, f"{label_of_all}\n{told}", True, Failed.color if failed else color)]
    if not children:
        return [Box(name, label_of_all, True, color)]
    return [
        Box(f"{name}_{index}", f"{label}[{index}]", True, child.color) for index, child in enumerate(children)
    ]


def _half_clear(color: str) -> str:
    digits = color[1:] if len(color) > 4 else "".join(2 * digit for digit in color[1:])
    return f"#{digits}{_HALF_CLEAR}"


def _graphviz() -> Any:
    # Few flows are drawn, and it needs a program of its own.
    try:
        import graphviz
    except ImportError as error:
        raise ImportError(
            "To draw a flow, prefectlite needs graphviz: pip install 'prefectlite[draw]', and the program "
            "itself (apt install graphviz, brew install graphviz, conda install graphviz)."
        ) from error
    return graphviz
