"""The parts of the program that no user meets often: statuses, its own faults."""

from __future__ import annotations

import json

import pytest

import prefectlite
from prefectlite.cli import main as program
from prefectlite.states.state import Cancelled, Failed, Running, Skipped, Success


@pytest.mark.parametrize(
    ("state", "status"),
    [(Success(), 0), (Skipped(), 0), (Failed(), 1), (Cancelled(), 130), (Running(), 75)],
)
def test_the_exit_status_is_what_the_flow_came_to(state, status):
    assert program.status_of(state) == status


def test_a_fault_of_our_own_is_a_line_and_with_debug_a_traceback(monkeypatch, capsys):
    def breaks(*args):
        raise RuntimeError("a fault")

    monkeypatch.setattr(program, "load_module", breaks)
    assert program.main(["run"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("Error: prefectlite itself failed: RuntimeError: a fault;")
    assert len(told.splitlines()) == 1
    assert program.main(["run", "--debug"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert "in breaks" in told


def test_ctrl_c_before_anything_runs_is_130_too(monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "load_module", interrupted)
    assert program.main(["run"]) == 130


def test_the_arguments_are_those_of_the_process_by_default(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["prefectlite", "--version"])
    assert program.main() == 0
    assert capsys.readouterr().out.startswith("prefectlite ")


def test_an_unknown_command_is_a_usage_error(capsys):
    assert program.main(["rnu"]) == 2
    assert "rnu" in capsys.readouterr().err


FLOWS = """
from prefectlite import Flow, Parameter, task

@task
def inc(x): return x + 1

with Flow("one") as one:
    inc(Parameter("n", default=3, type=int))
with Flow("two") as two:
    inc(1)
"""


def test_describe_shows_a_flow_and_runs_nothing(tmp_path, capsys):
    path = tmp_path / "described_flows.py"
    path.write_text(FLOWS)
    assert program.main(["describe", str(path), "--flow", "one"]) == 0
    shown = capsys.readouterr().out
    assert "Flow 'one': 2 tasks, 1 edge, 1 parameter" in shown
    assert '{"type": "integer", "default": 3}' in shown
    assert "-> inc-1" in shown


def test_describe_writes_json_for_programs(tmp_path, capsys):
    path = tmp_path / "described_again.py"
    path.write_text(FLOWS)
    assert program.main(["describe", str(path), "--flow", "one", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"]["properties"] == {"n": {"type": "integer", "default": 3}}
    assert [one["slug"] for one in told["tasks"]] == ["n", "inc-1"]


def test_describe_refuses_as_run_does(tmp_path, capsys):
    path = tmp_path / "described_thrice.py"
    path.write_text(FLOWS)
    assert program.main(["describe", str(path)]) == 2
    assert "holds 2 flows: 'one', 'two'" in capsys.readouterr().err
    assert program.main(["describe", str(path), "-m", "x"]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert program.main(["describe", str(tmp_path / "none.py"), "--debug"]) == 2
    assert "is not there" in capsys.readouterr().err


SUBMITTED = """
from prefectlite import Flow, task
from prefectlite.executors import Executor

class Own(Executor):
    def submit(self, fn, *args, extra_context=None, **kwargs):
        return fn(*args, **kwargs)
    def wait(self, futures):
        return futures

with Flow("own") as own:
    task(lambda: 1, name="one")()
own.executor = {executor}
"""


def test_a_flow_may_run_on_an_executor_of_its_files_own(tmp_path, capsys):
    path = tmp_path / "own_executor_flows.py"
    path.write_text(SUBMITTED.format(executor="Own()"))
    assert program.main(["run", str(path)]) == 0
    assert "runs on Own" in capsys.readouterr().err
    path = tmp_path / "no_executor_flows.py"
    path.write_text(SUBMITTED.format(executor="Own"))
    assert program.main(["run", str(path)]) == 2
    assert "which is no executor" in capsys.readouterr().err


def test_version_and_diagnostics_tell_of_the_machine_and_of_no_value(capsys):
    assert program.main(["version"]) == 0
    assert capsys.readouterr().out == f"{prefectlite.__version__}\n"

    with prefectlite.set_temporary_config({"results.inline_limit": 4321}):
        assert program.main(["diagnostics"]) == 0
    shown = capsys.readouterr().out
    told = json.loads(shown)
    assert told["versions"]["prefectlite"] == prefectlite.__version__
    assert told["platform"]
    assert told["settings"] == {"results.inline_limit": "set_temporary_config"}
    assert "4321" not in shown


SPEAKING = """
from prefectlite import Flow, task

@task(log_stdout=True)
def speak(): print("a word")

@task
def fail(): raise ValueError("a reason")

with Flow("good") as good:
    speak()
with Flow("bad") as bad:
    speak(), fail()
"""


def test_no_logs_and_quiet_leave_out_what_they_say(tmp_path, capsys):
    path = tmp_path / "speaking_flows.py"
    path.write_text(SPEAKING)

    def shown(*options):
        program.main(["run", str(path), "--local", *options])
        return capsys.readouterr().err

    assert "a word" in shown("-n", "good")
    without = shown("--name", "good", "--no-logs")
    assert "good ended Success" in without
    assert "a word" not in without
    assert shown("--flow", "good", "--quiet") == ""
    failed = shown("-n", "bad", "-q")
    assert failed.startswith("bad ended Failed")
    assert "a reason" in failed
    assert "a word" not in failed
