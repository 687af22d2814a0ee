"""What a program hears of its task runs: start, lines, end, in this order; and a start while the body runs."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest

from prefectlite import Flow, Task, context, get_logger, task

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


@pytest.mark.parametrize("options", [{}, {"timeout": 60}, {"isolate": True}])
@pytest.mark.parametrize("log_stdout", [False, True])
def test_handlers_of_a_program_hear_each_line_of_a_body_once(
    world: Any, options: dict[str, Any], log_stdout: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    @task(log_stdout=log_stdout, **options)
    def says() -> None:
        context.logger.info("said by the task")
        logging.getLogger("mine").warning("said by mine")
        print("said by print")

    with Flow("heard") as flow:
        says()
    world.run(flow)

    said = [one for one in caplog.records if one.getMessage().startswith("said by")]
    assert {one.task_run for one in said} == {"says-1"}  # type: ignore[attr-defined]
    printed = ["said by print"] if log_stdout else []
    assert [one.getMessage() for one in said] == ["said by the task", "said by mine", *printed]


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


def logger_name(**names: Any) -> str:
    return str(names["logger"].name)


class Named(Task):
    def run(self, x: int) -> tuple[str, str]:
        context.logger.info("logged")
        self.logger.info("logged by the task")
        print("printed")
        assert context.logger is context["logger"]
        assert context.get("task_run_name", context.logger.name) == context.logger.name
        return context.logger.name, self.logger.name


@task
def kept(after: Any) -> list[str]:
    return [name for name in logging.Logger.manager.loggerDict if name.startswith("prefectlite.m[")]


def notes(task: Any, old: Any, new: Any) -> None:
    if new.is_successful() and not new.is_mapped():
        context.logger.info("noted")


def test_a_child_of_a_map_has_a_logger_of_its_own_and_prints_are_the_task_runners(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Flow("named") as flow:
        m, one = (
            Named("m", log_stdout=True, state_handlers=[notes], task_run_name=logger_name),
            Named("one", log_stdout=True),
        )
        many, lone = m.map([1, 2]), one(3)
        left = kept(many)

    result = world.run(flow).result

    assert result[many].result == [
        ("prefectlite.m[0]", "prefectlite.m"),
        ("prefectlite.m[1]", "prefectlite.m"),
    ]
    assert result[lone].result == ("prefectlite.one", "prefectlite.one")
    texts = {"logged", "logged by the task", "printed", "noted"}
    heard = [record for record in caplog.records if record.getMessage() in texts]
    assert sorted((one.name, one.getMessage(), one.task_run) for one in heard) == sorted(  # type: ignore[attr-defined]
        [
            *(
                (f"prefectlite.{name}", text, f"m-1[{x}]")
                for x in (0, 1)
                for name, text in (
                    (f"m[{x}]", "logged"),
                    ("m", "logged by the task"),
                    ("TaskRunner", "printed"),
                    (f"m[{x}]", "noted"),
                )
            ),
            ("prefectlite.one", "logged", "one-1"),
            ("prefectlite.one", "logged by the task", "one-1"),
            ("prefectlite.TaskRunner", "printed", "one-1"),
        ]
    )
    assert kept.run(None) == result[left].result == []


def test_what_a_program_set_for_a_childs_logger_counts(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    heard: list[str] = []

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(f"{record.name}: {record.getMessage()}")

    task_own, first, second = (
        logging.getLogger(f"prefectlite.set_up{place}") for place in ("", "[0]", "[1]")
    )
    for logger in (task_own, first):
        logger.addHandler(Notes())
    second.setLevel(logging.ERROR)

    @task(name="set_up")
    def speaks(x: int) -> None:
        context.logger.info("row %d", x)

    try:
        with Flow("named") as flow:
            speaks.map([1, 2, 3])
        world.run(flow)
    finally:
        for logger in (task_own, first, second):
            del logging.Logger.manager.loggerDict[logger.name]
    assert heard == ["prefectlite.set_up[0]: row 1"]
    told = {one.getMessage() for one in caplog.records if one.name.startswith("prefectlite.set_up")}
    assert told == {"row 1", "row 3"}
