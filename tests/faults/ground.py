"""Where a fault is provoked: a folder, a count of starts that no framework keeps, and clusters of real processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from distributed import Client, LocalCluster

from prefectlite import DaskExecutor

ROOT = Path(__file__).parents[2]
#: How long anything may take that has no limit of its own, in seconds.
PATIENCE = 120.0


class Starts:
    """What bodies wrote down when they began, from whatever process: a line each, on the disk before they go on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, name: object) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            # One small write at the end of a file is never torn apart.
            os.write(handle, f"{name} {os.getpid()}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def count(self) -> Counter[str]:
        """Return how often each body began."""
        return Counter(line[0] for line in self.lines())

    def pids(self, name: object) -> list[int]:
        """Return the processes in which a body began."""
        return [int(pid) for found, pid in self.lines() if found == str(name)]

    def wait_for(self, name: object, count: int = 1) -> int:
        """Wait until a body has begun so often; return the process of its last start."""
        until(lambda: len(self.pids(name)) >= count, f"{name} to begin")
        return self.pids(name)[count - 1]

    def once(self, *names: object) -> None:
        """Assert that just these bodies began, each once."""
        found = self.count()
        twice = {name: count for name, count in found.items() if count > 1}
        assert not twice, f"began more than once: {twice}"
        wanted = {str(name) for name in names}
        assert set(found) == wanted, (
            f"began wrongly: {sorted(set(found) - wanted)[:5]}, never began: {sorted(wanted - set(found))[:5]}"
        )


class Ground:
    """Where one row runs.

    Parameters
    ----------
    folder : Path
        Empty, and the row's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.starts = Starts(folder / "starts")

    def own(self, count: int = 2, **options: Any) -> DaskExecutor:
        """Return an executor that starts worker processes of one thread each for its run."""
        kwargs = {"n_workers": count, "threads_per_worker": 1, **options.pop("cluster_kwargs", {})}
        return DaskExecutor(cluster_kwargs=kwargs, **options)

    @contextlib.contextmanager
    def borrowed(self, count: int = 2, **options: Any) -> Iterator[Client]:
        """Start a cluster as a user would; one whose processes prefectlite has not started."""
        options = {"dashboard_address": ":0", "silence_logs": 50, "memory_limit": 0, **options}
        with (
            LocalCluster(n_workers=count, threads_per_worker=1, **options) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            client.wait_for_workers(count)
            yield client

    @contextlib.contextmanager
    def bare(self, count: int, **options: Any) -> Iterator[Client]:
        """Start a scheduler and worker processes of one thread each that nobody starts again when they end."""
        with (
            LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50, **options) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address,
                       "--no-nanny", "--no-dashboard", "--nthreads", "1", "--memory-limit", "0"]  # fmt: skip
            quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            workers = [
                subprocess.Popen(command, cwd=self.folder, env=environment, **quiet) for _ in range(count)
            ]
            try:
                client.wait_for_workers(count, timeout=PATIENCE)
                yield client
            finally:
                for one in workers:
                    one.kill()
                    one.wait(10)

    def program(self, source: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a program that can import the tests; its lines begin at the margin."""
        path = self.folder / "program.py"
        path.write_text(textwrap.dedent(source))
        environment = {
            **os.environ,
            **options.pop("env", {}),
            "PYTHONPATH": str(ROOT),
            "FOLDER": str(self.folder),
        }
        return subprocess.Popen(
            [sys.executable, str(path), *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def said(self, source: str, *arguments: str, seconds: float = 120, **options: Any) -> str:
        """Run a program to its end and return what it printed."""
        program = self.program(source, *arguments, **options)
        try:
            out, err = program.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            for one in family(program.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            program.kill()
            program.communicate()
            raise AssertionError(f"no end within {seconds:g} s") from None
        assert program.returncode == 0, f"status {program.returncode}: {err[-1500:]}"
        return out


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition; ``what`` says for what."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.02)


def family(pid: int) -> list[psutil.Process]:
    """Return the living processes that a process has started, and theirs."""
    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [one for one in found if is_alive(one)]


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process is there and no mere entry in the table of processes."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def named(state: object) -> str:
    """Return a state's class, and the cause if it has one."""
    cause = getattr(state, "cause", None)
    return f"{type(state).__name__}({cause})" if cause else type(state).__name__
