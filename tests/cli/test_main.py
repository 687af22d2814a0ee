"""The parts of the program that no user meets often: statuses, its own faults."""

from __future__ import annotations

import pytest

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
    with pytest.raises(RuntimeError, match="a fault"):
        program.main(["run", "--debug"])


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
