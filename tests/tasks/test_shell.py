"""Commands for shells and other interpreters: values, failures, lines, and the end of what was called off."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from prefectlite import DaskExecutor, Flow, LocalExecutor, Parameter, task
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.states import Cancelled, Failed
from prefectlite.states.signals import FAIL
from prefectlite.tasks import shell as shell_module
from prefectlite.tasks.shell import ShellTask

pytestmark = pytest.mark.usefixtures("no_leftover_processes")


def eventually(true: Any) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_its_value_is_the_last_line_of_output() -> None:
    assert ShellTask("echo first; echo last").run() == "last"
    assert ShellTask("printf 'no newline'").run() == "no newline"
    assert ShellTask("true").run() is None


def test_it_returns_all_lines_when_asked_to() -> None:
    lines = ShellTask("echo one; echo; echo two >&2; echo ü", return_all=True).run()

    assert lines == ["one", "", "two", "ü"]


def test_it_reads_more_than_a_pipe_holds() -> None:
    lines = ShellTask("seq 100000", return_all=True, stream_output=False).run()

    assert isinstance(lines, list)
    assert len(lines) == 100000
    assert lines[-1] == "100000"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert ShellTask(r"printf 'a\377b\r\n'").run() == "a\ufffdb"


def test_a_helper_script_runs_before_the_command_in_the_same_shell() -> None:
    helper = ShellTask(helper_script="greet() { echo hello $1; }")

    assert helper.run(command="greet you") == "hello you"
    with pytest.raises(FAIL):
        ShellTask("false; echo never", helper_script="set -e").run()


def test_variables_are_added_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HERE", "1")
    both = ShellTask('echo "$FROM_HERE $MINE"', env={"MINE": "2"})

    assert both.run() == "1 2"
    assert both.run(env={"MINE": 3}) == "1 3"


def test_a_shell_is_any_program_that_takes_a_file() -> None:
    assert ShellTask("echo $0 | tr -d /a-z-", shell="sh -e").run() is not None
    python = ShellTask("import sys\nprint(sys.flags.isolated)", shell=f"{sys.executable} -I")
    assert python.run() == "1"
    if perl := shutil.which("perl"):
        assert ShellTask('print join("-", 1..3), "\\n";', shell=perl).run() == "1-2-3"


def test_it_does_not_wait_for_input() -> None:
    assert ShellTask("read -r word || echo none").run() == "none"


def test_lines_are_logged_as_they_come_if_that_is_asked_for(lines: list[logging.LogRecord]) -> None:
    ShellTask("echo a; echo b >&2", name="talker", stream_output=True).run()
    ShellTask("echo c", stream_output="debug").run()
    ShellTask("echo d").run()

    assert [(one.name, one.levelname, one.getMessage()) for one in lines] == [
        ("prefectlite.talker", "INFO", "a"),
        ("prefectlite.talker", "INFO", "b"),
        ("prefectlite.ShellTask", "DEBUG", "c"),
    ]


def test_a_failure_names_the_exit_status_and_the_last_lines() -> None:
    with pytest.raises(FAIL) as caught:
        ShellTask("seq 20; exit 3").run()

    assert str(caught.value.state.message) == (
        "The command failed with exit status 3. Its last lines:\n" + "\n".join(map(str, range(11, 21)))
    )
    cause = caught.value.__cause__
    assert isinstance(cause, subprocess.CalledProcessError)
    assert cause.returncode == 3


def test_a_command_that_a_signal_ended_says_which() -> None:
    with pytest.raises(FAIL, match=r"was ended by SIGKILL\. It said nothing"):
        ShellTask("kill -9 $$").run()


@pytest.mark.parametrize("returns_all", [False, True])
def test_the_output_of_a_failure_is_logged_when_asked_for(
    returns_all: bool, lines: list[logging.LogRecord]
) -> None:
    with pytest.raises(FAIL):
        ShellTask("seq 12; exit 1", log_stderr=True, return_all=returns_all, stream_output=False).run()

    [record] = lines
    assert record.levelname == "ERROR"
    assert record.getMessage().splitlines() == [str(n) for n in range(1, 13)]


def test_what_a_command_leaves_running_does_not_hold_it_up() -> None:
    pid = ShellTask("sleep 600 & echo $!").run()

    assert isinstance(pid, str)
    assert not is_gone(int(pid))
    os.kill(int(pid), signal.SIGKILL)


def test_what_a_command_leaves_talking_does_not_hold_it_up() -> None:
    shell = ShellTask("while :; do echo talk; done & echo $!", return_all=True, stream_output=False)
    first = shell.run()

    assert isinstance(first, list)
    [pid] = [int(line) for line in first if line.isdigit()]
    os.kill(pid, signal.SIGKILL)


def test_it_works_beside_more_files_than_select_knows(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("no process may open so many here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert ShellTask("echo hi").run() == "hi"
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_command_goes_on_when_its_guard_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed() -> Any:
        guard = started()
        guard.kill()
        guard.wait()
        return guard

    started = shell_module._guard
    monkeypatch.setattr(shell_module, "_guard", killed)

    assert ShellTask("echo hi").run() == "hi"


def test_an_error_in_the_body_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    def breaks(process: Any) -> Any:
        pids.append(process.pid)
        raise OSError("broken")

    monkeypatch.setattr(shell_module, "_lines", breaks)
    with pytest.raises(OSError, match="broken"):
        ShellTask("sleep 600").run()

    assert is_gone(pids[0])


def test_a_command_may_close_its_output_before_its_end(tmp_path: Path) -> None:
    assert ShellTask(f"exec >&- 2>&-; sleep 0.3; touch {tmp_path}/done").run() is None
    assert (tmp_path / "done").exists()


def test_no_command_is_said_to_be_missing() -> None:
    with pytest.raises(DefinitionTypeError, match="Task 'x' has no command; pass command="):
        ShellTask(name="x").run()


def test_a_shell_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="needs the program 'no-such-shell', which is not there"):
        ShellTask("true", shell="no-such-shell -x").run()


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"shell": " "}, DefinitionError, "shell=' ' names no program"),
        ({"stream_output": "loud"}, DefinitionError, "stream_output='loud' is no level"),
        ({"stream_output": 1.5}, DefinitionError, "stream_output=1.5 is no level"),
        ({"env": ["A=1"]}, DefinitionTypeError, r"env=\['A=1'\]; write env="),
    ],
)
def test_options_that_cannot_work_are_refused(options: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind, match=text):
        ShellTask("true", **options)


def test_no_file_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    name = ShellTask("echo $0").run()

    assert str(name).startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_in_a_flow_it_takes_its_command_from_a_task_and_maps() -> None:
    @task
    def commands(n: int) -> list[str]:
        return [f"echo {one}" for one in range(n)]

    shell = ShellTask(name="shell", stream_output=False)
    with Flow("commands") as flow:
        lines = shell.map(command=commands(Parameter("n", default=3)))
        fails = shell(command="echo before; exit 7")
        again = ShellTask("test -e $FILE || { touch $FILE; exit 1; }", max_retries=1)(
            env={"FILE": Parameter("file")}
        )

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        state = flow.run(file=f"{folder}/x", executor=LocalExecutor())

    assert state.result[lines].result == ["0", "1", "2"]
    assert state.result[again].is_successful()
    failed = state.result[fails]
    assert type(failed) is Failed
    assert failed.message == "The command failed with exit status 7. Its last lines:\nbefore"
    assert failed.result == "before"


@pytest.mark.parametrize(
    ("command", "returns_all", "expected"),
    [("seq 20; exit 3", False, "20"), ("seq 20; exit 3", True, [*map(str, range(1, 21))])],
)
def test_the_output_is_the_result_of_a_failure_too(command: str, returns_all: bool, expected: Any) -> None:
    with Flow("fails") as flow:
        fails = ShellTask(command, return_all=returns_all, stream_output=False)()
        silent = ShellTask("exit 3", return_all=returns_all)()
    state = flow.run(executor=LocalExecutor())

    assert state.result[fails].result == expected
    assert isinstance(state.result[silent].result, subprocess.CalledProcessError)


@pytest.mark.parametrize("manners", ["", "trap '' TERM;"])
def test_ctrl_c_ends_the_whole_process_group(manners: str, tmp_path: Path) -> None:
    with Flow("long") as flow:
        long = ShellTask(f"{manners} sleep 600 & echo $! > {tmp_path}/pid; sleep 601")()

    def press() -> None:
        eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        flow.run(executor=LocalExecutor())
    presser.join()

    assert long is not None
    eventually(lambda: is_gone(int((tmp_path / "pid").read_text())))


@pytest.mark.cluster
def test_on_a_cluster_it_fails_and_is_called_off_as_elsewhere(tmp_path: Path) -> None:
    with Flow("shells") as flow:
        fails = ShellTask("echo before; exit 7")()
        long = ShellTask(f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/pid; sleep 601")(
            upstream_tasks=[ShellTask("echo first")()]
        )

    # The cluster is the run's own: when it is called off, the worker's process is killed, body and all.
    run = flow.start(executor=DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 2}))
    eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    eventually(lambda: isinstance(run.states()[fails], Failed))
    run.cancel()
    state = run.wait(60)

    assert "failed with exit status 7. Its last lines:\nbefore" in str(state.result[fails].message)
    assert isinstance(state.result[long], Cancelled)
    eventually(lambda: is_gone(int((tmp_path / "pid").read_text())))
