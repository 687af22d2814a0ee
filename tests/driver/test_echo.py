"""What a program says of its flow runs where nobody set up logging, as in Prefect 1, and where somebody did."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, Parameter, get_logger, mapped, set_temporary_config, task
from prefectlite.driver.echo import Echo
from prefectlite.driver.lastresort import EAR, LastResort, is_set_up
from prefectlite.driver.observer import Changes
from prefectlite.engine.transitions import TransitionEach, TransitionMany
from prefectlite.rules.verdict import Reason
from prefectlite.settings import LoggingSettings
from prefectlite.states import Pending, RunKey, Running, Success

HERE = LocalExecutor()
#: As Prefect 1 had it, but for the time.
FORMER = "%(levelname)s - %(name)s | %(message)s"


@contextmanager
def plain(**settings: Any) -> Iterator[None]:
    """A program that has set up nothing; pytest's handlers are there anew in each test."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        with set_temporary_config(
            {"logging.format": FORMER, **{f"logging.{name}": value for name, value in settings.items()}}
        ):
            yield
    finally:
        root.handlers = handlers


@task
def inc(x: int) -> int:
    return x + 1


def tells(task: Any, old: Any, new: Any) -> None:
    task.logger.info("now %s", type(new).__name__)
    logging.getLogger("mine").info("nobody hears of this, as ever")


def greets(task: Any, old: Any, new: Any) -> None:
    if new.is_successful():
        task.logger.info("greeted")


@task(log_stdout=True, state_handlers=[greets])
def prints() -> None:
    print("printed")
    get_logger("prints").info("logged")


@task(state_handlers=[tells], max_retries=1)
def fails() -> None:
    get_logger("fails").info("about to")
    raise ValueError("no")


class TestPlain:
    def test_start_and_end_of_flow_and_tasks_are_on_standard_output(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Flow("etl") as flow:
            inc(inc.map([Parameter("n", default=1)])[0])
        with plain():
            flow.run(executor=HERE)
        said = capsys.readouterr()
        assert said.err == ""
        lines = said.out.splitlines()
        assert (
            lines[0] == "INFO - prefectlite.FlowRunner | Flow run etl: Running. The flow run is in progress."
        )
        assert lines[-1] == (
            "INFO - prefectlite.FlowRunner | Flow run etl: Success. All reference tasks succeeded."
        )
        assert [line for line in lines if "inc-1" in line] == [
            "INFO - prefectlite.TaskRunner | Task run inc-1: Mapped. The map unfolded into 1 children.",
            "INFO - prefectlite.TaskRunner | Task run inc-1[0]: Running. A worker runs its body.",
            "INFO - prefectlite.TaskRunner | Task run inc-1[0]: Success. The body returned.",
        ]
        assert [line.partition(" | ")[2].partition(": Success.")[0] for line in lines[1:3]] == [
            "Task run n",
            "Task run List-1",
        ]

    def test_so_is_what_bodies_and_handlers_log_and_each_line_once(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Flow("etl") as flow:
            fails()
        with plain():
            flow.run(executor=HERE)
        lines = capsys.readouterr().out.splitlines()
        # Lines of bodies and of the driver come from different threads.
        assert sorted(line.partition(" - ")[2].partition(". ")[0] for line in lines[1:-1]) == [
            "prefectlite.TaskRunner | Task run fails-1: Failed",
            "prefectlite.TaskRunner | Task run fails-1: Failed",
            "prefectlite.TaskRunner | Task run fails-1: Retrying",
            "prefectlite.TaskRunner | Task run fails-1: Running",
            "prefectlite.TaskRunner | Task run fails-1: Running",
            "prefectlite.fails | about to",
            "prefectlite.fails | about to",
            "prefectlite.fails | now Failed",
            "prefectlite.fails | now Failed",
            "prefectlite.fails | now Retrying",
            "prefectlite.fails | now Running",
            "prefectlite.fails | now Running",
        ]

    @pytest.mark.parametrize("named", ["logging.level", "the tree", "the logger"])
    def test_less_is_said_as_in_prefect_1(self, named: str, capsys: pytest.CaptureFixture[str]) -> None:
        loggers = {"the tree": "prefectlite", "the logger": "prefectlite.TaskRunner"}
        logger = logging.getLogger(loggers.get(named, "none"))
        logger.setLevel(logging.WARNING)
        try:
            with Flow("etl") as flow:
                inc(1)
            with plain(level="WARNING" if named == "logging.level" else "INFO"):
                flow.run(executor=HERE)
        finally:
            logger.setLevel(logging.NOTSET)
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize(
        ("named", "level", "heard"),
        [
            ("logging.level", "INFO", 1),
            ("logging.level", "WARNING", 0),
            ("prefectlite.TaskRunner", "WARNING", 0),
            ("prefectlite.prints", "WARNING", 1),
        ],
    )
    def test_prints_are_lines_of_the_task_runners_logger_and_of_its_level(
        self, named: str, level: str, heard: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logger = logging.getLogger(named)
        logger.setLevel(level)
        try:
            with Flow("etl") as flow:
                prints()
            with plain(level=level if named == "logging.level" else "INFO"):
                flow.run(executor=HERE)
        finally:
            logger.setLevel(logging.NOTSET)
        assert capsys.readouterr().out.count("INFO - prefectlite.TaskRunner | printed\n") == heard

    def test_an_attempt_that_failed_is_an_error_and_one_that_a_trigger_refused_is_not(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Flow("etl") as flow:
            inc(fails())
        with plain():
            flow.run(executor=HERE)
        told = [line.partition(". ")[0] for line in capsys.readouterr().out.splitlines()]
        assert [line for line in told if line.endswith("Failed") and "TaskRunner" in line] == [
            "ERROR - prefectlite.TaskRunner | Task run fails-1: Failed",
            "ERROR - prefectlite.TaskRunner | Task run fails-1: Failed",
            "INFO - prefectlite.TaskRunner | Task run inc-1: TriggerFailed",
        ]

    @pytest.mark.parametrize("form", [FORMER, f"{FORMER}%(msecs).0s"])
    def test_of_many_each_start_and_end_is_told(self, form: str, capsys: pytest.CaptureFixture[str]) -> None:
        with Flow("etl") as flow:
            inc.map(["no", *range(500)])
        with plain(format=form):
            flow.run(executor=HERE)
        before = "prefectlite.TaskRunner | Task run inc-1"
        lines = capsys.readouterr().out.splitlines()
        told = sorted(line for line in lines if f"{before}[" in line and "[0]" not in line)
        assert told == sorted(
            f"INFO - {before}[{place}]: {what}"
            for place in range(1, 501)
            for what in ("Running. A worker runs its body.", "Success. The body returned.")
        )
        assert [line.partition(". ")[0] for line in lines if "[0]" in line] == [
            f"INFO - {before}[0]: Running",
            f"ERROR - {before}[0]: Failed",
        ]

    def test_of_many_the_first_are_told_and_then_their_numbers(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Flow("etl") as flow:
            inc.map(list(range(5000)))
        with plain(runs_per_second=0.401):
            flow.run(executor=HERE)
        lines = capsys.readouterr().out.splitlines()
        assert len([line for line in lines if "TaskRunner" in line]) < 20
        assert lines[-2] == (
            "INFO - prefectlite.FlowRunner | Flow run etl: 5,000 Success. There are too many task runs to tell of "
            "each (logging.runs_per_second is 0.401)."
        )

    def test_logging_is_afterwards_as_it_was(self) -> None:
        with Flow("etl") as flow:
            inc(1)
        tree = logging.getLogger("prefectlite")
        with plain():
            before = tree.level, list(tree.handlers)
            flow.run(executor=HERE)
            assert (tree.level, tree.handlers) == before
            assert not is_set_up(tree)

    def test_of_two_runs_at_a_time_the_second_hears_on(self, capsys: pytest.CaptureFixture[str]) -> None:
        first, second = LastResort(LoggingSettings()), LastResort(LoggingSettings())
        tree = logging.getLogger("prefectlite")
        with plain():
            EAR.listen(first)
            EAR.listen(second)
            tree.info("both")
            EAR.leave(first)
            tree.info("second")
            EAR.leave(second)
            tree.info("none")
        assert [line.partition("| ")[2] for line in capsys.readouterr().out.splitlines()] == [
            "both",
            "second",
        ]
        assert tree.level == logging.NOTSET

    def test_default_lines_say_whose_they_are(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Flow("etl") as flow:
            fails()
            prints.map(upstream_tasks=[mapped([1])])
        with plain(format=LoggingSettings().format):
            flow.run(executor=HERE)
        whose = [line[9:].partition(" | ")[0] for line in capsys.readouterr().out.splitlines()]
        assert sorted(set(whose)) == [
            "ERROR   etl",
            "INFO    etl",
            "INFO    etl · fails-1 · attempt 1",
            "INFO    etl · fails-1 · attempt 2",
            "INFO    etl · prints-1",
            "INFO    etl · prints-1[0] · attempt 1",
        ]

    @pytest.mark.parametrize("kind", ["closed", "none"])
    def test_a_standard_output_that_is_gone_harms_no_run(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = io.StringIO()
        gone.close()
        monkeypatch.setattr(sys, "stdout", gone if kind == "closed" else None)
        with Flow("etl") as flow:
            fails()
        with plain():
            assert flow.run(executor=HERE).is_failed()

    def test_what_a_terminal_cannot_write_is_escaped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
        with Flow("prüfen") as flow:
            inc(1)
        with plain():
            flow.run(executor=HERE)
        assert b"Flow run pr\\xfcfen: Running" in written.getvalue()


def test_what_a_body_leaves_behind_logs_no_start_after_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    go, threads = threading.Event(), []

    @task
    def leaves() -> None:
        def late() -> None:
            go.wait(10)
            get_logger("leaves").info("late")

        threads.append(threading.Thread(target=copy_context().run, args=(late,)))
        threads[0].start()

    def lets_go(flow: Flow, old: Any, new: Any) -> None:
        if new.is_finished():
            go.set()
            threads[0].join()

    with Flow("etl", state_handlers=[lets_go]) as flow:
        leaves()
    with plain():
        flow.run(executor=HERE)
    told = [line.partition(" | ")[2].partition(". ")[0] for line in capsys.readouterr().out.splitlines()]
    assert [line for line in told if "leaves" in line or line == "late"] == [
        "Task run leaves-1: Running",
        "Task run leaves-1: Success",
        "late",
    ]


def test_a_body_in_a_process_of_its_own_is_told_to_run_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Notes(io.StringIO):
        def write(self, text: str) -> int:
            if "waits-1: Running" in text:
                (tmp_path / "told").touch()
            return super().write(text)

    @task(isolate=True)
    def waits(until: Path) -> bool:
        late = time.monotonic() + 20
        while not until.exists() and time.monotonic() < late:
            time.sleep(0.01)
        return until.exists()

    monkeypatch.setattr(sys, "stdout", Notes())
    with Flow("etl") as flow:
        waited = waits(tmp_path / "told")
    with plain():
        assert flow.run(executor=HERE).result[waited].result


def test_a_body_that_runs_long_after_many_short_ones_is_told_to_run_while_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, many = threading.Event(), 2000

    class Notes(io.StringIO):
        def write(self, text: str) -> int:
            if f"waits-1[{many}]: Running" in text:
                told.set()
            return super().write(text)

    @task
    def waits(x: int) -> bool:
        return x < many or told.wait(20)

    monkeypatch.setattr(sys, "stdout", Notes())
    with Flow("etl") as flow:
        waited = waits.map(list(range(many + 1)))
    with plain():
        assert all(flow.run(executor=HERE).result[waited].result)


#: What bodies write as soon as they begin, in whatever way, and whether lines wait for each other meanwhile.
WRITES = """
import logging, sys, threading
from prefectlite import Flow, LocalExecutor, get_logger, task

own = logging.getLogger("own")
own.addHandler(logging.StreamHandler(sys.stderr))
own.propagate = False
ways = [print, lambda text: print(text, file=sys.stderr), own.warning, get_logger("own").warning]

@task
def says(x):
    if x % 50 < len(ways):
        ways[x % 50](f"<{x}>")
    return "prefectlite-outlet" in [one.name for one in threading.enumerate()]

with Flow("etl") as flow:
    said = says.map(list(range(1500)))
print("crowd" if any(flow.run(executor=LocalExecutor()).result[said].result) else "no crowd")
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_of_many_short_bodies_each_is_told_to_run_before_what_it_writes(unbuffered: str) -> None:
    lines = written_by(WRITES, PYTHONUNBUFFERED=unbuffered)
    said = [line.partition("<")[2].partition(">")[0] for line in lines if "<" in line]
    assert len(said) == 1500 // 50 * 4
    places = {line: place for place, line in enumerate(line.partition(" | ")[2] or line for line in lines)}
    for number in said:
        started = places[f"Task run says-1[{number}]: Running. A worker runs its body."]
        assert started < places[f"<{number}>"], number
    assert lines[-1] == "crowd"


def test_where_no_start_is_told_nothing_waits() -> None:
    assert written_by(WRITES, PREFECTLITE_LOGGING_LEVEL="ERROR")[-1] == "no crowd"


def written_by(program: str, **environment: str) -> list[str]:
    """Return the lines of a program, of both its streams as they come."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("form", ["%(message)s", "%(message)s%(msecs).0s"])
def test_those_that_ended_together_are_told_one_by_one(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    class View:
        run_id, flow_name, slugs = "0123", "etl", {inc: "inc-1"}

    why, keys = Reason("event", "a test"), [RunKey("inc-1"), RunKey("no-news-1")]
    with plain(format=form):
        echo = Echo()
        echo.started(View())  # type: ignore[arg-type]
        groups = (
            TransitionEach([1.0, 2.0], [1, 2], keys, [1, 1], Pending(), Running("Off."), [why, why]),
            TransitionMany([3.0, 4.0], range(5, 7), "inc-1", 8, 1, Running(), Success("On."), why),
        )
        echo.turn(Changes(groups), {})
        echo.ended(Success("All."))
    assert capsys.readouterr().out.splitlines() == [
        "Task run inc-1: Running. Off.",
        "Task run inc-1[8]: Success. On.",
        "Task run inc-1[9]: Success. On.",
        "Flow run etl: Success. All.",
    ]


def test_who_reads_standard_output_slowly_keeps_nobody_from_looking_at_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stuck, go = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            if "Success" in text:
                stuck.set()
                go.wait(10)
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Slow())
    with Flow("etl") as flow:
        inc.map([1, 2, 3])
    with plain():
        run = flow.start(executor=HERE)
        try:
            assert stuck.wait(10)
            assert run.counts() == {"Success": 3}
        finally:
            go.set()
        assert run.wait(10).is_successful()


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_who_sets_up_logging_gets_each_line_once_and_as_he_wants_it(
    level: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(out)
    monkeypatch.setattr(root, "handlers", [handler])
    before = root.level
    root.setLevel(level)
    try:
        with Flow("etl") as flow:
            inc(1)
        flow.run(executor=HERE)
    finally:
        root.setLevel(before)
    assert capsys.readouterr().out == ""
    assert [line.partition(". ")[0] for line in out.getvalue().splitlines()] == (
        []
        if level == logging.WARNING
        else [
            "Flow run etl: Running",
            "Task run inc-1: Running",
            "Task run inc-1: Success",
            "Flow run etl: Success",
        ]
    )


def test_a_handler_of_prefectlites_own_logger_hears_all_with_names_as_in_prefect_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(name)s %(flow_name)s | %(message)s"))
    tree = get_logger()
    tree.addHandler(handler)
    try:
        with Flow("etl") as flow:
            prints()
        with plain():
            flow.run(executor=HERE)
    finally:
        tree.removeHandler(handler)
    assert capsys.readouterr().out == ""
    assert sorted(line.partition(". ")[0] for line in out.getvalue().splitlines()) == [
        "prefectlite.FlowRunner etl | Flow run etl: Running",
        "prefectlite.FlowRunner etl | Flow run etl: Success",
        "prefectlite.TaskRunner etl | Task run prints-1: Running",
        "prefectlite.TaskRunner etl | Task run prints-1: Success",
        "prefectlite.TaskRunner etl | printed",
        "prefectlite.prints etl | greeted",
        "prefectlite.prints etl | logged",
    ]
    assert tree.level == logging.NOTSET
    assert not handler.filters
