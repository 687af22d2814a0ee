"""Flow runs and executors obey the settings that hold when they start, and arguments before them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefectlite import (
    DaskExecutor,
    Flow,
    LocalDaskExecutor,
    LocalExecutor,
    context,
    set_temporary_config,
    task,
)
from prefectlite.executors.protocol import RunBrief
from prefectlite.schedules import Schedule, clocks

BRIEF = RunBrief("ab" * 16, "etl")


@task
def text() -> str:
    return "x" * 1000


class Recorded:
    """In the place of a session on Dask: notes how it was made, and of what size its cluster would be."""

    def __init__(self, *_: Any, **options: Any) -> None:
        self.options = options
        self.sizes: list[Any] = []

    def start(self, make: Any) -> None:
        self.options["n_workers"] = make()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens an executor and returns what it asked for."""
    module = sys.modules["prefectlite.executors.dask"]
    monkeypatch.setattr(module, "DaskSession", Recorded)
    monkeypatch.setattr(module, "start_cluster", lambda *arguments: arguments[3])
    monkeypatch.setattr(module, "active_client", lambda: None)

    def opened(executor: DaskExecutor) -> Mapping[str, Any]:
        session: Any = executor.open(BRIEF, lambda _: None, lambda _: None)
        return session.options

    return opened


def test_an_executor_takes_from_the_settings_what_it_was_not_given(opened: Any) -> None:
    plain = opened(DaskExecutor())
    assert (plain["keep_limit"], plain["bundle_size"], plain["n_workers"]) == (1024**3, None, None)
    executor = DaskExecutor()
    with set_temporary_config({"results.keep_limit": 5, "bundle_size": 7, "n_workers": 3}):
        told = opened(executor)
        assert (told["keep_limit"], told["bundle_size"], told["n_workers"]) == (5, 7, 3)
        own = opened(DaskExecutor(keep_limit=0, bundle_size=None, n_workers=1))
        assert (own["keep_limit"], own["bundle_size"], own["n_workers"]) == (0, 1, 1)
        assert opened(DaskExecutor(bundle_size="auto"))["bundle_size"] is None
        assert opened(LocalDaskExecutor("threads", 2))["n_workers"] is None
        assert opened(DaskExecutor(cluster_class="some.Cluster"))["n_workers"] is None
    assert plain["stall_timeout"] == 60
    with set_temporary_config({"stall_timeout": 5}):
        assert opened(DaskExecutor())["stall_timeout"] == 5
        assert opened(DaskExecutor(stall_timeout=0.5))["stall_timeout"] == 0.5


def test_a_result_rides_in_its_report_as_far_as_the_settings_let_it() -> None:
    with Flow("etl") as flow:
        made = text()
    with set_temporary_config({"executor": "local"}):
        assert flow.run().result[made].result_ref.nbytes > 1000
        whole = flow.run()
    with set_temporary_config({"executor": "local", "results.inline_limit": 10}):
        cut = flow.run()
    assert len(whole.result[made].result) == len(cut.result[made].result) == 1000


def test_progress_is_shown_when_the_settings_or_the_call_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    with Flow("etl") as flow:
        text()
    shown = []
    for setting, argument in ((False, None), (True, None), (True, False), (False, True)):
        with set_temporary_config({"progress": setting, "executor": "local"}):
            flow.run(progress=argument)
        shown.append("etl" in capsys.readouterr().err)
    assert shown == [False, True, False, True]


@task(log_stdout=True)
def talk() -> None:
    print("hello")
    logging.getLogger("mine").warning("there", extra={"attempt": "own"})


FORMAT = "[%(flow_name)s|%(task_name)s|%(task_slug)s|%(task_run)s|%(attempt)s|%(where)s] %(message)s"


def test_lines_look_as_the_settings_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with Flow("etl") as flow:
        talk()
    with set_temporary_config({"logging.format": FORMAT, "logging.runs_per_second": 0}):
        assert flow.run(executor=LocalExecutor()).is_successful()
    assert capsys.readouterr().out.splitlines() == [
        "[etl|talk|talk-1|talk-1|1|local] hello",
        "[etl|talk|talk-1|talk-1|1|local] there",
    ]


def test_lines_bear_what_the_settings_name_of_the_context(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    @task(timeout=60)
    def apart() -> None:
        logging.getLogger("mine").warning("apart")

    with Flow("etl") as flow:
        talk().set_downstream(apart)
    said = {"logging.format": "%(region)s %(n)r %(flow_run_name).3s %(nix)s %(message)s"}
    with set_temporary_config(
        {
            **said,
            "logging.runs_per_second": 0,
            "logging.log_attributes": "['region', 'n', 'flow_run_name', 'nix']",
        }
    ):
        flow.run(executor=LocalExecutor(), context={"region": "north", "n": 3})
    assert capsys.readouterr().out.splitlines() == [
        "north 3 etl None hello",
        "north 3 etl None there",
        "north 3 etl None apart",
    ]


def test_lines_of_a_maps_child_can_name_its_logger(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    @task
    def one(x: int) -> None:
        logging.getLogger("mine").warning("hello %s", x)

    with Flow("etl") as flow:
        one.map([0, 1])
    said = {"logging.format": "%(logger)s %(message)s", "logging.log_attributes": "['logger']"}
    with set_temporary_config({**said, "logging.runs_per_second": 0}):
        flow.run(executor=LocalExecutor())
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"<\w+ (\S+) \(\w+\)>", r"\1", line) for line in lines] == [
        "prefectlite.one[0] hello 0",
        "prefectlite.one[1] hello 1",
    ]


def test_a_programs_own_handlers_can_name_the_task_too(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(self.format(record))

    handler = Keeps()
    handler.setFormatter(logging.Formatter(FORMAT))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    with Flow("etl") as flow:
        talk()
    assert flow.run(executor=LocalExecutor()).is_successful()
    assert heard == ["[etl|talk|talk-1|talk-1|own|local] there"]


def test_served_runs_have_the_context_that_was_given() -> None:
    heard: list[Any] = []

    @task(state_handlers=[lambda *_: heard.append((context.region, context.today))])
    def noted() -> None: ...

    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    with Flow("etl", schedule=Schedule([clocks.DatesClock([soon])])) as flow:
        noted()
    given = {"region": "north", "date": "2026-03-01"}
    assert flow.serve(executor=LocalExecutor(), context=given) == {"Success": 1}
    assert set(heard) == {("north", "2026-03-01")}
