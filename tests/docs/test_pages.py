"""The pages under ``docs``: their Python runs, and their examples of replaceable parts keep the contracts."""

from __future__ import annotations

import ast
import json
import logging
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from prefectlite import DaskExecutor, Flow, LocalExecutor, signals, task
from prefectlite.cli.tls import instructions
from prefectlite.executors import Executor as OfPrefect1
from prefectlite.executors.protocol import Executor, RunBrief
from prefectlite.results import Result
from prefectlite.serializers import CompressedSerializer
from prefectlite.states import Failed, Mapped, State
from prefectlite.states.json import state_from_json, state_to_json
from tests.docs.pages import FENCE, ROOT, definitions_of, python_of
from tests.docs.test_readme import run_script

pytest_plugins = ["pytester"]
PARTS = "docs/parts.md"


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    """The classes and functions of the page on replaceable parts."""
    return definitions_of(PARTS)


def test_the_page_on_parts_runs_as_a_script(tmp_path: Path) -> None:
    done = run_script((ROOT / PARTS).read_text(encoding="utf-8"), tmp_path)

    assert done.returncode == 0, done.stderr


def test_the_page_on_security_runs_as_a_script_and_shows_what_the_program_prints(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    told = instructions(Path("/home/me/cluster-tls"), "10.0.0.5", datetime.now(UTC))
    commands = [
        line.strip() for line in told.splitlines() if line.strip().startswith(("dask ", "prefectlite "))
    ]

    done = run_script(text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert len(commands) == 3
    assert [one for one in commands if one not in text.splitlines()] == []


def test_the_page_on_testing_passes_as_a_test_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(python_of((ROOT / "docs" / "testing.md").read_text(encoding="utf-8")))

    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=5)


def test_no_example_of_a_part_takes_more_than_forty_lines() -> None:
    text = (ROOT / PARTS).read_text(encoding="utf-8")
    blocks = [ast.parse(block[1]).body for block in FENCE.finditer(text)]
    defined = [
        sum(
            (one.end_lineno or 0) - one.lineno + 1
            for one in block
            if isinstance(one, ast.ClassDef | ast.FunctionDef)
        )
        for block in blocks
    ]

    assert len(defined) == 9
    assert max(defined) <= 40


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in readme] == []


@pytest.mark.parametrize(
    ("ends", "runs"), [("sss", True), ("ssf", True), ("sff", False), ("skf", True), ("", False)]
)
def test_the_trigger_counts_children_one_by_one(parts: dict[str, Any], ends: str, runs: bool) -> None:
    @task
    def child(end: str) -> str:
        if end == "f":
            raise ValueError
        if end == "k":
            raise signals.SKIP
        return end

    @task(trigger=parts["most_successful"], skip_on_upstream_skip=False)
    def judged(ends: Any) -> None: ...

    with Flow("judged") as flow:
        last = judged(child.map(list(ends)))

    state = flow.run(executor=LocalExecutor()).result[last]
    assert type(state).__name__ == ("Success" if runs else "TriggerFailed")


def test_the_state_subclass_is_honoured_by_predicates_json_and_maps(
    parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: type[State] = parts["Rejected"]
    state = kind("no", result=ValueError("x"))

    assert (state.is_failed(), state.is_finished(), state.is_successful()) == (True, True, False)
    assert type(state.replace(message="other")) is kind
    assert isinstance(Mapped(map_states=[state]).map_states[0], Failed)
    # JSON finds a class by its module and name, which a page does not have.
    with_home = type("Rejected", (kind,), {"__module__": __name__, "__qualname__": "Rejected"})
    monkeypatch.setitem(globals(), "Rejected", with_home)
    back = state_from_json(state_to_json(with_home("no")))
    assert type(back) is with_home
    assert back.message == "no"


@pytest.mark.cluster
def test_state_subclass_log_sink_and_serialized_value_work_across_processes(
    parts: dict[str, Any], client: Any, tmp_path: Path
) -> None:
    kind = parts["Rejected"]

    @task
    def rejects() -> None:
        raise signals.ENDRUN(kind("looked at"))

    @task(trigger=parts["rejected_only"])
    def asks(x: Any) -> str:
        return "asked"

    @task(log_stdout=True)
    def speaks(text: Any) -> tuple[str, int]:
        print("spoken")
        return type(text).__name__, len(text)

    @task(keep_result=True)
    def writes(text: Any) -> Any:
        return text

    with Flow("parts") as flow:
        rejected = rejects()
        asked = asks(rejected)
        written = writes(parts["Text"]("word " * 100_000))
        spoken = speaks(written)

    logger, sink = logging.getLogger("prefectlite.TaskRunner"), parts["JsonLines"](tmp_path / "lines")
    logger.addHandler(sink)
    level, logger.level = logger.level, logging.INFO
    try:
        result = flow.run(executor=DaskExecutor(client)).result
    finally:
        logger.removeHandler(sink)
        logger.level = level

    assert type(result[rejected]).__name__ == "Rejected"
    assert result[asked].result == "asked"
    assert result[spoken].result == ("Text", 500_000)
    [payload] = result[written].result.__reduce__()[1]
    assert len(payload) < 2_000
    assert type(result[written].result).__name__ == "Text"
    lines = [json.loads(one) for one in (tmp_path / "lines").read_text().splitlines()]
    told = [(line["flow"], line["task"]) for line in lines if line["message"] == "spoken"]
    assert told == [("parts", "speaks-1")]


def test_the_serializer_brings_back_what_it_was_given_and_is_equal_to_its_like(parts: dict[str, Any]) -> None:
    kind = parts["CSVSerializer"]
    rows = [["a", "b;c"], ['"', "d\ne"]]

    for serializer in (kind(), kind(";"), CompressedSerializer(kind())):
        assert serializer.deserialize(serializer.serialize(rows)) == rows
    assert kind() == kind(",") != kind(";")


@pytest.mark.cluster
def test_serializer_and_store_work_across_processes(
    parts: dict[str, Any], client: Any, tmp_path: Path
) -> None:
    store = parts["SQLiteStore"](tmp_path / "db")
    kept = Result(store=store, location="{x}", serializer=parts["CSVSerializer"]())

    @task(cache_for=60, result=kept)
    def rows(x: str) -> list[list[str]]:
        return [[x]]

    with Flow("stored") as flow:
        many = rows.map(["a", "b"])

    for _ in range(2):
        state = flow.run(executor=DaskExecutor(client)).result[many]
        assert state.result == [[["a"]], [["b"]]]
    assert [child.message.startswith("The value that ") for child in state.map_states] == [True, True]
    assert store.read("b").strip() == b"b"


def test_the_executor_is_one_and_says_where_it_runs(parts: dict[str, Any]) -> None:
    executor = parts["ThreadsExecutor"](1)
    session = executor.open(RunBrief("0" * 32, "f"), print, print)
    try:
        assert isinstance(executor, Executor)
        assert session.description == "threads of this process"
    finally:
        session.close(())


def test_the_executor_of_prefect_1_survives_pickling_while_nothing_runs_there(parts: dict[str, Any]) -> None:
    executor = parts["ProcessesExecutor"](2, max_tasks_per_child=1)
    with executor.start():
        pass
    again = pickle.loads(cloudpickle.dumps(executor))

    assert isinstance(executor, OfPrefect1)
    assert vars(again) == vars(executor) == {"count": 2, "options": {"max_tasks_per_child": 1}, "pool": None}
