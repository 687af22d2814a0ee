"""Flows in files: what goes through, what is warned of, what is refused."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from prefectlite import Flow, Parameter, set_temporary_config, task
from prefectlite.core.graph import FlowGraph
from prefectlite.errors import FlowLoadError, SerializationError
from prefectlite.lowering import flowfile


@task
def inc(x: Any) -> Any:
    return x + 1


def build() -> Flow:
    with Flow("etl") as flow:
        inc([inc(Parameter("n", default=1, type=int)), 2])
    return flow


def test_a_flow_comes_back_with_slugs_edges_and_parameters(tmp_path: Path) -> None:
    flow = build()

    path = flow.save(tmp_path / "deep" / "etl.flow")
    twin = Flow.load(path)

    assert path == str(tmp_path / "deep" / "etl.flow")
    assert type(twin) is Flow
    assert list(twin.slugs.values()) == list(flow.slugs.values())
    assert twin.check_parameters({"n": "5"}) == {"n": 5}
    assert twin.slugs[inc(1, flow=twin)] == "inc-3"


def test_saving_again_replaces_the_file_as_a_whole_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "f"
    build().save(path)
    Flow("other").save(path)

    assert Flow.load(path).name == "other"
    flow = build()
    flow.add_task(inc.copy(name="stuck", state_handlers=[threading.Lock().acquire]))
    with pytest.raises(SerializationError, match="lock"):
        flow.save(path)
    assert Flow.load(path).name == "other"
    assert list(tmp_path.iterdir()) == [path]


def test_a_flow_that_is_saved_without_a_path_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with set_temporary_config({"home_dir": str(tmp_path / "home")}):
        path = Flow("Day / one").save()
        assert Flow("***").save() == str(tmp_path / "home" / "flows" / "flow.prefectlite")

        assert path == str(tmp_path / "home" / "flows" / "day-one.prefectlite")
        assert Flow.load("Day / one").name == "Day / one"
        Flow("here").save(fpath="day-one")
        assert Flow.load(fpath="day-one").name == "here"


def test_a_write_that_fails_leaves_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()

    with pytest.raises(OSError, match="taken"):
        build().save(tmp_path / "taken")
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]


def test_another_version_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = flowfile._versions()
    monkeypatch.setattr(flowfile, "_versions", lambda: {**here, "prefectlite": "0.0.9"})
    path = build().save(tmp_path / "f")
    monkeypatch.undo()

    with pytest.warns(UserWarning, match=r"other versions \(prefectlite 0\.0\.9, here .*save it again"):
        assert Flow.load(path).name == "etl"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read: No such file or directory; give the path that flow.save"),
        (b"print('a flow')", "was not written by flow.save"),
        (flowfile._HEADER, "cannot be read here: EOFError"),
        (
            flowfile._HEADER + pickle.dumps(flowfile._versions()) + b"cnowhere\nflow\n.",
            "No module named 'nowhere'",
        ),
        (flowfile._HEADER + pickle.dumps(flowfile._versions()) + pickle.dumps(3), "holds a int, not a Flow"),
        (flowfile._HEADER + pickle.dumps(flowfile._versions()) + pickle.dumps(FlowGraph("f")), "not a Flow"),
    ],
)
def test_what_holds_no_flow_is_refused(tmp_path: Path, content: bytes | None, text: str) -> None:
    path = tmp_path / "f"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(FlowLoadError, match=text) as refused:
        Flow.load(path)
    assert isinstance(refused.value, FileNotFoundError) == (content is None)
