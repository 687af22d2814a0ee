"""Flows as people wrote them for Prefect 1: what their tasks come to, at each place and from the shell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prefectlite import FlowRun
from prefectlite.states import State
from tests.acceptance import etl, release
from tests.acceptance.cases import CASES, Case, sales, shapes, shop
from tests.driver.test_serving import Hourglass

COUNT = re.compile(r"^ *(\d+ [A-Z]\w+)  ", re.MULTILINE)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@each_case
def test_the_states_results_and_effects_are_as_expected_at_each_place(
    case: Case, executor: Any, tmp_path: Path
) -> None:
    parameters = case.make_input(tmp_path)

    state = case.flow.run(parameters, executor=executor, run_on_schedule=False, wait_for_approval=False)

    assert type(state).__name__ == case.ends
    assert shapes(case.flow, state.result) == case.states
    found = {case.flow.slugs[task]: one for task, one in state.result.items()}
    assert {slug: found[slug].result for slug in case.results} == case.results
    assert case.effect(tmp_path) == case.left


def check_program(case: Case, shell: Any, *place: str) -> None:
    (shell.folder / "data").mkdir()
    parameters = case.make_input(shell.folder / "data")
    given = [part for name, value in parameters.items() for part in ("-p", f"{name}={typed(value)}")]

    done = shell.run("run", str(case.file), *given, *place)

    assert done.returncode == case.status, done.stderr
    assert done.stdout == case.stdout
    assert f"{case.flow.name} ended {case.ends}" in done.stderr
    assert COUNT.findall(done.stderr) == case.counts
    assert case.effect(shell.folder / "data") == case.left


@each_case
def test_the_program_exits_and_prints_as_expected(case: Case, shell: Any) -> None:
    check_program(case, shell, "--local")


@pytest.mark.slow
@pytest.mark.cluster
@each_case
def test_the_program_does_the_same_on_worker_processes(case: Case, shell: Any) -> None:
    check_program(case, shell, "--workers", "2")


def test_the_etl_runs_each_morning_for_the_orders_of_that_day(executor: Any, tmp_path: Path) -> None:
    parameters = {**shop(outages=1)(tmp_path), "day": None}
    glass = Hourglass(datetime(2026, 2, 28, 18, tzinfo=UTC))

    state = etl.flow.run(parameters, executor=executor, clock=glass)

    assert state.result[etl.total].result == 19.5
    assert sales(tmp_path) == [(1, 10.0), (3, 5.5), (4, 4.0)]
    assert glass.now() == datetime(2026, 3, 2, 6, tzinfo=UTC)


def test_a_release_goes_on_as_it_is_approved_piece_by_piece(executor: Any, tmp_path: Path) -> None:
    run = release.flow.start(folder=str(tmp_path), executor=executor, wait_for_approval=False)
    assert waiting(run) == [
        "approve-1[0]: publish app-1.0-linux.pkg?",
        "approve-1[1]: publish app-1.0-mac.pkg?",
    ]

    run.resume("approve-1[1]")
    assert waiting(run) == ["approve-1[0]: publish app-1.0-linux.pkg?"]
    assert [path.name for path in tmp_path.glob("*.published")] == ["app-1.0-mac.published"]

    run.resume("approve-1")
    assert [text.partition(":")[0] for text in waiting(run)] == ["announce-1"]

    run.resume(release.announced)
    state = run.wait()
    assert state.is_successful()
    assert state.result[release.announced].result == "new: app-1.0-linux.published, app-1.0-mac.published"
    assert ended(release.flow, state) == {"Success"}


def typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def waiting(run: FlowRun) -> list[str]:
    """Wait until only approvals are missing; return which, and what they ask."""
    assert run.wait(60).is_running()
    return [f"{key}: {state.message}" for key, state in run.paused().items()]


def ended(flow: Any, state: State) -> set[str]:
    told: Iterable[Any] = shapes(flow, state.result).values()
    return {name for one in told for name in ([one] if isinstance(one, str) else one)}
