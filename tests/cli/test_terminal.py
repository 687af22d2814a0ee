"""The program in a terminal of its own: progress that moves, and Ctrl-C."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pty = pytest.importorskip("pty")

# Becomes the program, with a new terminal as its controlling one, so that Ctrl-C reaches it as a signal.
LAUNCH = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)
for fd in range(3):
    os.dup2(int(sys.argv[1]), fd)
os.execv(sys.executable, [sys.executable, "-m", "prefectlite.cli", *sys.argv[2:]])
"""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
PATIENCE = 90.0  # seconds; reached only when something is broken


class Terminal:
    """A program at a terminal: what it showed so far, and a keyboard."""

    def __init__(self, shell, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        environment = {**shell.environment, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(slave), *arguments],
            cwd=shell.folder,
            env=environment,
            pass_fds=(slave,),
        )
        os.close(slave)
        self.raw = ""

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.raw)

    def read_until(self, pattern: str) -> None:
        """Wait until the screen has shown a text; fail when the program ends first."""
        self._read(lambda: re.search(pattern, self.text) is not None)
        assert re.search(pattern, self.text), self.text

    def wait_for(self, path: Path) -> None:
        """Wait until the program has made a file; fail when it ends first."""
        self._read(path.exists)
        assert path.exists(), self.text

    def read_to_end(self) -> int:
        self._read(lambda: False)
        return self.process.wait(PATIENCE)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def press_ctrl_c(self) -> None:
        os.write(self._master, b"\x03")

    def press_ctrl_c_until(self, pattern: str) -> None:
        """Press it, and once more each second, until the screen has shown a text."""
        pressed = 0.0

        def shown() -> bool:
            nonlocal pressed
            if time.monotonic() - pressed > 1:
                pressed = time.monotonic()
                self.press_ctrl_c()
            return re.search(pattern, self.text) is not None

        self._read(shown)

    def processes(self) -> list[psutil.Process]:
        """All processes of the terminal's session, however deep."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    def left_behind(self) -> list[psutil.Process]:
        """What of them does not end by itself; multiprocessing's own tracker does, once its parent has."""
        _, left = psutil.wait_procs(self.processes(), timeout=5)
        return left

    def close(self) -> None:
        for process in self.processes():
            process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        os.close(self._master)

    def _read(self, enough) -> None:
        deadline = time.monotonic() + PATIENCE
        while not enough():
            ready, _, _ = select.select([self._master], [], [], 0.05)
            assert time.monotonic() < deadline, f"it did not come; so far: {self.text}"
            if not ready:
                continue
            try:
                data = os.read(self._master, 65536)
            except OSError:  # how Linux says that nobody holds the other end
                return
            if not data:
                return
            self.raw += data.decode(errors="replace")


@pytest.fixture
def at_terminal(shell) -> Iterator[object]:
    opened = []

    def start(*arguments: str) -> Terminal:
        opened.append(Terminal(shell, *arguments))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


WAITING = """
    import time
    from pathlib import Path
    from prefectlite import Flow, Parameter, task

    @task(log_stdout=True)
    def wait(number, folder):
        print("begun", number)
        (Path(folder) / "begun").touch()
        while not (Path(folder) / "go").exists():
            time.sleep(0.02)
        return number

    @task
    def add(numbers):
        return sum(numbers)

    with Flow("waiting") as flow:
        add(wait.map([1, 2, 3], [FOLDER] * 3))
"""


def waiting_in(shell) -> None:
    shell.write("waiting.py", WAITING.replace("FOLDER", repr(str(shell.folder))))


@pytest.mark.cluster
def test_progress_moves_in_a_terminal_with_counts_logs_and_the_dashboards_address(shell, at_terminal):
    waiting_in(shell)
    terminal = at_terminal("run", "waiting.py", "--workers", "1")
    terminal.read_until(r"waiting · wait-1\[\d\] · attempt 1 \| begun \d")
    terminal.read_until(r"waiting +━+ +0/\d")
    terminal.read_until(r"http://127\.0\.0\.1:\d+")
    (shell.folder / "go").touch()
    status = terminal.read_to_end()
    assert status == 0, terminal.text
    assert "waiting ended Success" in terminal.text
    assert terminal.text.rstrip().endswith("\n6")
    # The cursor is hidden while the bar moves, and given back.
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h") == 1
    assert terminal.left_behind() == []


@pytest.mark.cluster
@pytest.mark.parametrize("place", [["--workers", "2"], ["--local"]], ids=["cluster", "local"])
def test_ctrl_c_cancels_the_run_and_leaves_no_process(place, shell, at_terminal):
    waiting_in(shell)
    terminal = at_terminal("run", "waiting.py", *place)
    terminal.wait_for(shell.folder / "begun")
    terminal.press_ctrl_c()
    status = terminal.read_to_end()
    assert status == 130, terminal.text
    assert "waiting ended Cancelled" in terminal.text
    assert "Cancelled" in terminal.text
    assert "Traceback" not in terminal.text, terminal.text
    assert terminal.left_behind() == []


@pytest.mark.cluster
@pytest.mark.slow
def test_ctrl_c_while_the_cluster_starts_leaves_no_process(shell, at_terminal):
    waiting_in(shell)
    terminal = at_terminal("run", "waiting.py", "--workers", "2")
    terminal.read_until("waiting")
    terminal.press_ctrl_c()
    status = terminal.read_to_end()
    assert status == 130, terminal.text
    assert "Traceback" not in terminal.text, terminal.text
    assert terminal.left_behind() == []


PAUSING = """
    from prefectlite import Flow, pause_task, task

    @task
    def approve(x):
        pause_task(f"look at {x}")
        return x

    with Flow("approval") as flow:
        approve.map([1, 2])
"""


@pytest.mark.parametrize("options", [("--local",), ("--workers", "1")])
def test_paused_tasks_are_asked_about_at_the_terminal(shell, at_terminal, options):
    shell.write("flows.py", PAUSING)
    terminal = at_terminal("run", "flows.py", *options)
    terminal.read_until(r"approve-1\[0\] is paused: look at 1")
    terminal.type("y\n")
    terminal.read_until(r"approve-1\[1\] is paused: look at 2")
    terminal.type("n\n")
    # Asked again once nothing else goes on.
    terminal.read_until(r"(?s)look at 2.*approve-1\[1\] is paused: look at 2")
    terminal.type("yes\n")
    assert terminal.read_to_end() == 0
    assert "approval ended Success" in terminal.text


def test_ctrl_c_at_the_question_ends_the_run(shell, at_terminal):
    shell.write("flows.py", PAUSING)
    terminal = at_terminal("run", "flows.py", "--local")
    terminal.read_until(r"look at 1")
    # Python's own input() may miss one that comes before it begins to wait.
    terminal.press_ctrl_c_until(r"ended Cancelled")
    assert terminal.read_to_end() == 130
    assert "approval ended Cancelled" in terminal.text
    assert terminal.text.count("approval begins") == 1


def test_a_terminal_that_asked_for_no_waiting_is_not_asked(shell, at_terminal):
    shell.write("flows.py", PAUSING)
    terminal = at_terminal("run", "flows.py", "--local", "--no-wait")
    assert terminal.read_to_end() == 75
    assert "Resume it?" not in terminal.text
