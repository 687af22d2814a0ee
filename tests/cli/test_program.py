"""The program in processes of its own: what it prints, and its exit status."""

from __future__ import annotations

import json

import pytest

import prefectlite

FLOW = """
    import logging
    from prefectlite import Flow, Parameter, task, triggers

    @task(log_stdout=True)
    def greet(name: str, times: int) -> str:
        logging.getLogger("greeter").warning("greeting %s", name)
        print("hello from the body")
        return ", ".join(["hello " + name] * times)

    @task
    def divide(x):
        return 1 / x

    with Flow("greeting") as greeting:
        greet(Parameter("name", type=str), Parameter("times", default=1, type=int))

    with Flow("trouble") as trouble:
        divide.map([0, 1, 0])

    if __name__ == "__main__":
        raise RuntimeError("this block is for python, not for prefectlite run")
"""


def test_a_flow_of_a_file_runs_with_typed_parameters(shell):
    shell.write("flows.py", FLOW)
    shell.write("p.json", json.dumps({"name": "file", "times": 2}))
    done = shell.run(
        "run", "flows.py", "--flow", "greeting", "--param-file", "p.json", "-p", "name=Ada", "--local"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "hello Ada, hello Ada\n"
    assert "greeting ended Success" in done.stderr
    assert "WARNING greeting · greet-1 · attempt 1 | greeting Ada" in done.stderr
    assert "stdout  greeting · greet-1 · attempt 1 | hello from the body" in done.stderr


def test_a_failed_flow_shows_failures_first_with_the_users_lines_and_exits_with_1(shell):
    shell.write("flows.py", FLOW)
    done = shell.run("run", "flows.py", "--flow", "trouble", "--local")
    assert done.returncode == 1
    assert done.stdout == ""
    told = done.stderr[done.stderr.index("trouble ended Failed") :]
    assert "Failed  divide-1[0], divide-1[2]\n  ZeroDivisionError: division by zero\n" in told
    assert "return 1 / x" in told
    assert "worker/attempt.py" not in told
    assert told.index("ZeroDivisionError") < told.index("1 Success")


def test_the_log_level_says_which_records_show(shell):
    shell.write("flows.py", FLOW)
    done = shell.run(
        "run", "flows.py", "--flow", "greeting", "-p", "name=Ada", "--local", "--log-level", "error"
    )
    assert done.returncode == 0
    assert "greeting Ada" not in done.stderr


def test_a_module_is_run_by_its_name(shell):
    shell.write("shop.py", FLOW)
    done = shell.run("run", "-m", "shop", "--flow", "greeting", "-p", "name=Ada", "--local")
    assert done.stdout == "hello Ada\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gone.py"], ["'gone.py' is not there", "-m"]),
        (["flows.py"], ["holds 2 flows: 'greeting', 'trouble'", "--flow NAME"]),
        (["flows.py", "--flow", "x"], ["no flow named 'x'", "'greeting', 'trouble'"]),
        (["flows.py", "--flow", "greeting"], ["'name'", "greeting"]),
        (["flows.py", "--flow", "greeting", "-p", "nam=x"], ["'nam'", "name"]),
        (["flows.py", "--flow", "greeting", "-p", "name=x", "-p", "times=many"], ["'times'", "'many'"]),
        (["flows.py", "--flow", "greeting", "-p", "name"], ["-p 'name'", "name=value"]),
        (["flows.py", "--param-file", "gone.json"], ["holds 2 flows"]),
        (["flows.py", "--flow", "greeting", "--param-file", "gone.json"], ["'gone.json'", "cannot be read"]),
        (["flows.py", "-m", "shop"], ["FILE (flows.py) and -m (shop) exclude each other"]),
        (["flows.py", "--local", "--workers", "2"], ["--workers and --local exclude each other"]),
        (["flows.py", "--workers", "0"], ["--workers", "0"]),
        (["flows.py", "--log-level", "loud"], ["--log-level", "loud"]),
        pytest.param(
            ["flows.py", "--flow", "trouble", "--address", "tcp://127.0.0.1:1"],
            ["tcp://127.0.0.1:1"],
            marks=pytest.mark.slow,  # it waits for an answer
        ),
        (["flows.py", "--flow", "trouble", "--address", "localhost"], ["'localhost'", "tcp://host:8786"]),
        (
            ["flows.py", "--flow", "trouble", "--address", "http://127.0.0.1:8787/status"],
            ["dashboard", "tcp://"],
        ),
        (["flows.py", "--flow", "trouble", "--scheduler-file", "gone.json"], ["gone.json"]),
        (["empty.py"], ["holds no flow", "with Flow('name')"]),
        (["broken.py"], ["broken.py", "line 2, in f", "KeyError: 'a'"]),
        (["cyclic.py"], ["cycle"]),
        (["outside.py"], ["'one'", "flow"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_run_as_asked_is_said_in_a_paragraph_and_exits_with_2(arguments, says, shell):
    shell.write("flows.py", FLOW)
    shell.write("empty.py", "x = 1")
    shell.write("broken.py", "def f():\n    return {}['a']\n\nf()\n")
    shell.write("outside.py", "from prefectlite import task\n\n@task\ndef one():\n    return 1\n\none()\n")
    shell.write(
        "cyclic.py",
        """
        from prefectlite import Flow, Task
        a, b = Task("a"), Task("b")
        with Flow("circle") as flow:
            a.set_upstream(b)
            b.set_upstream(a)
        """,
    )
    done = shell.run("run", *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    for text in says:
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert "site-packages" not in done.stderr
    assert "prefectlite/" not in done.stderr.replace(str(shell.folder), "")


def test_debug_shows_where_an_error_arose(shell):
    done = shell.run("run", "gone.py", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "loading.py" in done.stderr


def test_help_teaches_with_examples(shell):
    done = shell.run("run", "--help")
    assert done.returncode == 0
    assert "prefectlite run etl.py -p date=2026-11-22" in done.stdout
    assert "130  it was interrupted by Ctrl-C" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "prefectlite run --help" in shell.run("--help").stdout


def test_the_version_is_the_packages(shell):
    done = shell.run("--version")
    assert done.stdout == f"prefectlite {prefectlite.__version__}\n"


@pytest.mark.cluster
def test_a_local_cluster_runs_functions_of_a_file_that_its_workers_never_saw(shell):
    shell.write(
        "elsewhere.py",
        """
        import os
        from prefectlite import Flow, task

        SCALE = 10

        def scaled(x):
            return x * SCALE

        class Point:
            def __init__(self, x):
                self.x = x

        @task
        def point(x):
            return Point(scaled(x))

        @task
        def add_up(points, driver):
            assert os.getpid() != driver
            return sum(point.x for point in points)

        with Flow("elsewhere") as flow:
            add_up(point.map([1, 2, 3]), os.getpid())
        """,
    )
    done = shell.run("run", "elsewhere.py", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "60\n"
    assert "dashboard http://" in done.stderr


PAUSING = """
    from prefectlite import Flow, pause_task, task

    @task
    def approve(x):
        pause_task(f"look at {x}")
        return x

    with Flow("approval") as flow:
        approve.map([1, 2])
"""


def test_a_flow_that_is_left_with_paused_tasks_exits_with_75_where_nobody_can_approve_them(shell):
    shell.write("flows.py", PAUSING)
    done = shell.run("run", "flows.py", "--local")
    assert done.returncode == 75, done.stderr
    assert done.stdout == ""
    assert "approval ended Running" in done.stderr
    assert "2 Paused" in done.stderr
    assert "approve-1[1] waits for an approval: look at 2" in done.stderr
