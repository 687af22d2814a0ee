"""``prefectlite serve`` in a process of its own: it runs, it says what comes, it ends cleanly."""

from __future__ import annotations

import os
import re
import signal
import subprocess

import pytest

from tests.cli.conftest import PROGRAM, Shell

FILE = """
    from datetime import UTC, datetime, timedelta
    from prefectlite import Flow, Parameter, context, task
    from prefectlite.schedules import IntervalSchedule, Schedule, clocks

    NOW = datetime.now(UTC)

    @task
    def say(word):
        print(word, context.scheduled_start_time == {when})
        if word == "fail":
            raise ValueError(word)

    with Flow("said", schedule={schedule}) as flow:
        say(Parameter("word", default="hello"))
"""
TWICE = "Schedule([clocks.DatesClock([NOW + timedelta(seconds=1)]), clocks.DatesClock([NOW + timedelta(seconds=1)], {'word': 'again'})])"
HOURLY = "IntervalSchedule(NOW, timedelta(hours=1))"


@pytest.fixture
def twice(shell: Shell) -> Shell:
    shell.write("said.py", FILE.format(schedule=TWICE, when="NOW + timedelta(seconds=1)"))
    return shell


def test_it_runs_at_each_start_and_ends_with_the_schedule(twice: Shell) -> None:
    done = twice.run("serve", "said.py", "--local")

    assert done.returncode == 0, done.stderr
    assert re.findall(r"(hello|again) (True|False)", done.stdout + done.stderr) == [
        ("hello", "True"),
        ("again", "True"),
    ]
    assert re.search(r"said: the next run starts at \d{4}-", done.stderr)
    assert done.stderr.count("+00:00 ended Success") == 2


def test_run_with_a_schedule_is_serve(twice: Shell) -> None:
    done = twice.run("run", "said.py", "--local", "--schedule", "--quiet", "-p", "word=once")

    assert done.returncode == 0, done.stderr
    assert re.findall(r"(once|again) True", done.stdout) == ["once", "again"]
    assert "said begins" not in done.stderr


def test_its_runs_have_the_context_that_was_given(shell: Shell) -> None:
    body = FILE.format(schedule=TWICE, when="NOW + timedelta(seconds=1)")
    shell.write("said.py", body.replace("print(word,", "print(context.region, context.today, word,"))

    done = shell.run(
        "serve", "said.py", "--local", "--context", "region=north", "--context", "date=2026-03-01"
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["north 2026-03-01 hello True", "north 2026-03-01 again True"]


def test_a_failed_run_ends_nothing_and_shows_in_the_exit_status(twice: Shell) -> None:
    done = twice.run("serve", "said.py", "--local", "-p", "word=fail", "--max-instances", "2")

    assert done.returncode == 1, done.stderr
    assert "ended Failed" in done.stderr
    assert "ended Success" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_it_cleanly(shell: Shell, number: signal.Signals) -> None:
    shell.write("said.py", FILE.format(schedule=HOURLY, when="NOW"))
    served = begun(shell, "said.py")
    assert served.stderr is not None
    assert "said: the next run starts at" in served.stderr.readline()

    os.kill(served.pid, number)
    _, told = served.communicate(timeout=60)

    assert served.returncode == 130
    assert "Traceback" not in told


def test_ctrl_c_ends_the_run_that_goes_on(shell: Shell) -> None:
    shell.write(
        "long.py",
        """
        import sys, time
        from datetime import UTC, datetime, timedelta
        from prefectlite import Flow, task
        from prefectlite.schedules import IntervalSchedule

        @task
        def last():
            sys.stderr.write("began\\n")
            sys.stderr.flush()
            time.sleep(100)

        with Flow("long", schedule=IntervalSchedule(datetime.now(UTC), timedelta(seconds=1))) as flow:
            last()
        """,
    )
    served = begun(shell, "long.py", "--local")
    assert served.stderr is not None
    while "began" not in served.stderr.readline():
        pass

    os.kill(served.pid, signal.SIGINT)
    _, told = served.communicate(timeout=60)

    assert served.returncode == 130
    assert "1 Cancelled" in told
    assert "Traceback" not in told


def begun(shell: Shell, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, "serve", *arguments],
        cwd=shell.folder,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serve"], "Give the FILE that holds the flow"),
        (["serve", "said.py", "-m", "said"], "exclude each other"),
        (["serve", "said.py", "--catch-up", "some"], "'some' is not one of"),
        (["serve", "said.py", "--max-instances", "0"], "0 is not in the range"),
        (["serve", "said.py", "-p", "wrod=x"], "did you mean 'word'"),
        (["serve", "plain.py"], "has no schedule"),
        (["serve", "over.py"], "no more scheduled runs"),
    ],
)
def test_what_cannot_be_served_says_why(twice: Shell, arguments: list[str], told: str) -> None:
    twice.write("plain.py", "from prefectlite import Flow\nflow = Flow('plain')\n")
    over = "Schedule([clocks.DatesClock([NOW - timedelta(1)])])"
    twice.write("over.py", FILE.format(schedule=over, when="NOW"))

    done = twice.run(*arguments)

    assert done.returncode == 2
    assert told in done.stderr
