"""What a program hears of its task runs: start, lines, end, in this order; and a start while the body runs."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest

from prefectlite import Flow, context, get_logger, task

TASKS = "prefectlite.TaskRunner"


@task(max_retries=1)
def speaks(x: int) -> None:
    get_logger("speaks").info("first")
    get_logger("speaks").info("second")
    if context.attempt == 1:
        raise ValueError("no")


@task(state_handlers=[lambda task, old, new: None])
def is_watched() -> None:
    get_logger("speaks").info("watched")


def test_a_start_is_told_once_before_the_lines_of_its_body_and_the_end_behind_them(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Flow("spoken") as flow:
        speaks.map([1, 2])
        is_watched()
        speaks(3)

    world.run(flow)

    heard: dict[str, list[str]] = {}
    for record in caplog.records:
        if hasattr(record, "task_run"):
            text = record.getMessage().partition(": ")[2].partition(".")[0]
            heard.setdefault(record.task_run, []).append(
                text if record.name == TASKS else record.getMessage()
            )
    attempt = ["Running", "first", "second"]
    for run in ("speaks-1[0]", "speaks-1[1]", "speaks-2"):
        assert heard[run] == [*attempt, "Failed", "Retrying", *attempt, "Success"]
    assert heard["is_watched-1"] == ["Running", "watched", "Success"]
    (first,) = [one for one in caplog.records if getattr(one, "task_run", "") == "is_watched-1"][:1]
    assert abs(first.created % 1 * 1000 - first.msecs) < 1


def test_a_body_that_says_nothing_is_told_to_run_while_it_runs(
    world: Any, place: str, tmp_path: Path
) -> None:
    if place == "submits-processes":
        pytest.skip("nothing is heard of it before it has ended")

    @task
    def waits(until: Path) -> bool:
        late = time.monotonic() + 20
        while not until.exists() and time.monotonic() < late:
            time.sleep(0.01)
        return until.exists()

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Running" in record.getMessage():
                (tmp_path / "told").touch()

    with Flow("silent") as flow:
        waited = waits(tmp_path / "told")
    logger, notes = logging.getLogger(TASKS), Notes()
    logger.addHandler(notes)
    logger.setLevel(logging.INFO)
    try:
        state = world.run(flow)
    finally:
        logger.removeHandler(notes)
        logger.setLevel(logging.NOTSET)
    assert state.result[waited].result
