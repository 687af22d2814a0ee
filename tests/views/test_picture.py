"""A flow drawn, before and after it ran; graphviz's program is not needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import graphviz
import pytest

from prefectlite import Flow, LocalExecutor, Parameter, flatten, task, unmapped
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.states import Failed, Mapped, Pending, State, Success, TriggerFailed, ValidationFailed
from prefectlite.views.picture import MOST_CHILDREN, Arrow, Box, Picture, draw, picture_of


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def inverse(x: int, y: Any = None) -> float:
    return 1 / x


@task
def total(xs: list[float]) -> float:
    return sum(xs)


def flow_of(n: int = 2) -> Flow:
    with Flow("drawn") as flow:
        items = numbers(Parameter("n", default=n))
        inverted = inverse.map(items, y=unmapped(3))
        inverse.map(inverted).set_upstream(total(flatten(inverted)))
    return flow


def in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def test_a_flow_is_boxes_and_arrows() -> None:
    drawn = picture_of(flow_of())

    names = {box.label: box.name for box in drawn.boxes}
    assert [box.label for box in drawn.boxes if box.is_map] == ["inverse <map>"] * 2
    assert {box.color for box in drawn.boxes} == {""}
    assert Arrow(names["n"], names["numbers"], "n") in drawn.arrows
    assert [arrow.is_mapped for arrow in drawn.arrows if arrow.tail == names["numbers"]] == [True]
    assert [arrow.label for arrow in drawn.arrows if arrow.tail == names["total"]] == [""]


def test_with_a_state_boxes_have_its_colours_and_children_are_drawn_one_by_one() -> None:
    flow = flow_of()
    drawn = picture_of(flow, flow.run(executor=LocalExecutor()))

    above, below = drawn.boxes[2:4], drawn.boxes[-2:]
    assert [(box.label, box.is_map, box.color) for box in above] == [
        ("inverse[0]", True, Failed.color),
        ("inverse[1]", True, Success.color),
    ]
    assert [box.color for box in below] == [TriggerFailed.color] * 2
    pairs = [(arrow.tail, arrow.head) for arrow in drawn.arrows if arrow.is_mapped]
    assert {pair for pair in pairs if pair[1] in {box.name for box in below}} == {
        (one.name, other.name) for one, other in zip(above, below, strict=True)
    }
    (total_box,) = [box for box in drawn.boxes if box.label == "total"]
    assert [arrow.tail for arrow in drawn.arrows if arrow.head == total_box.name] == [
        one.name for one in above
    ]


def test_many_children_are_counted_in_one_box() -> None:
    flow = flow_of(MOST_CHILDREN + 1)
    drawn = picture_of(flow, flow.run(executor=LocalExecutor()))

    (first, _) = [box for box in drawn.boxes if box.is_map]
    assert first.label == "inverse <map>\n1 Failed, 50 Success"
    assert first.color == Failed.color


def test_a_map_without_children_and_a_run_without_states_are_drawn_as_they_are() -> None:
    flow = flow_of(0)
    drawn = picture_of(flow, flow.run(executor=LocalExecutor()))

    assert [(box.label, box.color) for box in drawn.boxes if box.is_map] == [
        ("inverse <map>", Mapped.color)
    ] * 2
    assert picture_of(flow, Pending()) == picture_of(flow)


def test_it_goes_into_the_language_of_graphviz_whatever_names_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    with Flow("odd") as flow:
        one = task(lambda: 1, name='<b>\\n"a":c')()
        many = inverse.map([1], upstream_tasks=[one])
    state = Success(result={one: ValidationFailed(), many: Mapped(map_states=[Success()])})
    in_a_notebook(monkeypatch)

    source = flow.visualize(state, horizontal=True).source

    assert "rankdir=LR" in source
    assert r'label="&lt;b&gt;' not in source
    assert r"\"a\":c" in source
    assert 'fillcolor="#ff513180"' in source
    assert "shape=box" in source
    assert "style=dashed" in source


def test_a_short_colour_is_made_half_clear_too() -> None:
    assert "#ff880080" in draw(Picture("f", [Box("n", "n", color="#f80")])).source


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def render(graph: Any, **options: Any) -> str:
        found.append(options)
        return str(options["outfile"])

    monkeypatch.setattr(graphviz.Digraph, "render", render)
    return found


@pytest.mark.parametrize(
    ("filename", "kind", "outfile", "expected"),
    [
        ("flow.svg", None, "flow.svg", "svg"),
        ("flow", None, "flow.pdf", "pdf"),
        ("flow", "png", "flow.png", "png"),
        ("flow.v2", None, "flow.v2.pdf", "pdf"),
        (Path("flow.svg"), "png", "flow.svg.png", "png"),
    ],
)
def test_a_file_is_written_in_the_format_that_is_asked_for(
    rendered: list[dict[str, Any]], filename: Any, kind: Any, outfile: str, expected: str
) -> None:
    graph = flow_of().visualize(filename=filename, format=kind)

    assert isinstance(graph, graphviz.Digraph)
    assert rendered == [{"outfile": Path(outfile), "format": expected, "view": False, "cleanup": True}]


def test_without_a_file_a_viewer_opens_and_a_notebook_shows_it(
    rendered: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_of().visualize()
    assert [one["view"] for one in rendered] == [True]

    in_a_notebook(monkeypatch)
    flow_of().visualize()
    assert len(rendered) == 1


def test_what_cannot_be_drawn_is_refused_with_name_value_and_mend() -> None:
    flow, other = flow_of(), flow_of()
    with pytest.raises(DefinitionTypeError, match=r"Flow 'drawn'.*flow_state=3, which is no State; pass"):
        flow.visualize(3)  # type: ignore[arg-type]
    state: State = other.run(executor=LocalExecutor())
    with pytest.raises(DefinitionError, match="a state that knows none of its tasks; pass what a run"):
        flow.visualize(state)
    with pytest.raises(DefinitionError, match="format='jpgg' is no format of graphviz; write 'svg'"):
        flow.visualize(filename="x", format="jpgg")


def test_a_missing_library_or_program_is_named_with_the_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImportError, match="'dot' is not on the PATH; install it"):
        flow_of().visualize(filename=tmp_path / "flow.svg")
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r"pip install 'prefectlite\[draw\]'"):
        flow_of().visualize()


def test_nothing_is_imported_before_a_flow_is_drawn() -> None:
    code = "import sys, prefectlite.flow; assert 'graphviz' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
