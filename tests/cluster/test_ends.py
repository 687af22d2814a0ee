"""How runs end before their time: called off, interrupted, killed; and what processes are left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from prefectlite import DaskExecutor, Flow, ResourceManager, task
from prefectlite.executors import futures, link
from prefectlite.executors.cluster import ask_workers
from prefectlite.executors.dask import LocalDaskExecutor
from prefectlite.states import Cancelled, Running
from tests.faults.ground import until

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
OWN = {"n_workers": 2, "threads_per_worker": 1}


def spin(path):
    try:
        # In here: it may be interrupted as soon as it has said so, before the next line of Python.
        with Path(path).open("a") as file:
            file.write("started\n")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.01)
    finally:
        with Path(path).open("a") as file:
            file.write("ended\n")


def count(log, word):
    return log.read_text().count(word) if log.exists() else 0


def run_another(client):
    with Flow("next") as following:
        task(lambda x: x, name="one").map(range(4))
    assert following.run(executor=DaskExecutor(client)).is_successful()


def nap(seconds):
    time.sleep(seconds)


def processes():
    return {one.pid for one in psutil.Process().children(recursive=True) if is_spawned(one)}


def is_spawned(process):
    try:
        return process.status() != "zombie" and "spawn_main" in str(process.cmdline())
    except psutil.NoSuchProcess:  # helpers come and go while processes start
        return False


def running(run, node):
    until(lambda: isinstance(run.states()[node], Running), f"{node!r} to run")


def test_cancel_interrupts_bodies_on_a_borrowed_cluster_which_then_runs_the_next_flow(
    client, dask_cluster, tmp_path
):
    log = tmp_path / "log"
    with Flow("endless") as flow:
        bodies = [task(spin)(str(log)) for _ in range(4)]
    run = flow.start(executor=DaskExecutor(client))
    until(lambda: count(log, "started") >= 2, "two bodies")
    started = time.monotonic()
    run.cancel()
    state = run.wait(20)

    assert isinstance(state, Cancelled)
    assert all(isinstance(state.result[body], Cancelled) for body in bodies)
    with Flow("next") as following:
        end = task(lambda: 1, name="one")()
    assert following.run(executor=DaskExecutor(client)).result[end].result == 1
    assert time.monotonic() - started < 10, "the slots were not free"
    assert log.read_text().count("ended") == log.read_text().count("started") == 2
    assert not [key for key in dask_cluster.scheduler.tasks if "endless" in str(key)]


class Slow:
    """Cleans up, slowly, where Python has nobody to hand an exception to."""

    def __init__(self, path):
        self.path = path

    def __del__(self):
        Path(self.path).touch()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.01)


def spin_after_a_destructor(path):
    Slow(f"{path}.destructor")
    spin(path)


def test_cancel_interrupts_a_body_though_a_destructor_loses_the_interruption(client, tmp_path):
    log = tmp_path / "log"
    with Flow("destructors") as flow:
        task(spin_after_a_destructor)(str(log))
    run = flow.start(executor=DaskExecutor(client))
    until((tmp_path / "log.destructor").exists, "the destructor")
    started = time.monotonic()
    run.cancel()

    assert isinstance(run.wait(20), Cancelled)
    run_another(client)
    until(lambda: count(log, "ended"), "a free slot", 10)
    assert time.monotonic() - started < 10, "the slot was not free"


class Scratch:
    def __init__(self, path):
        self.path = path

    def setup(self):
        return self.path

    def cleanup(self, resource):
        with Path(resource).open("a") as file:
            file.write("cleaned\n")


@pytest.mark.parametrize("has_to_clean_up", [False, True])
def test_what_waits_at_a_worker_does_not_begin_after_a_cancel_though_dask_hears_of_it_late(
    client, tmp_path, monkeypatch, has_to_clean_up
):
    release = futures._release
    late = []
    monkeypatch.setattr(futures, "_release", lambda *what: client.loop.call_later(0.5, end, what))

    def end(what):
        release(*what)
        late.append(what)

    log = tmp_path / "log"
    with Flow("queued") as flow, contextlib.ExitStack() as stack:
        upstreams = [stack.enter_context(ResourceManager(Scratch)(str(log)))] if has_to_clean_up else []
        for _ in range(4):
            task(spin)(str(log), upstream_tasks=upstreams)
    run = flow.start(executor=DaskExecutor(client))
    until(lambda: count(log, "started") >= 2, "two bodies")
    started = time.monotonic()
    run.cancel()

    assert isinstance(run.wait(20), Cancelled)
    run_another(client)
    until(lambda: late, "Dask's word")
    assert time.monotonic() - started < 10, "the slots were not free"
    counts = {word: count(log, word) for word in ("started", "ended", "cleaned")}
    assert counts == {"started": 2, "ended": 2, "cleaned": int(has_to_clean_up)}


def test_a_body_that_the_cancel_did_not_reach_is_interrupted_at_the_end_of_the_run(
    client, tmp_path, monkeypatch
):
    """As at a worker that came just then, and was given what Dask did not know to be let go of."""
    log, asked = tmp_path / "log", []

    def ask_but_once(*what, **how):
        asked.append(what)
        return {} if len(asked) == 1 else ask_workers(*what, **how)

    monkeypatch.setattr(link, "ask_workers", ask_but_once)
    with Flow("late") as flow:
        body = task(spin)(str(log))
    run = flow.start(executor=DaskExecutor(client))
    running(run, body)
    run.cancel()

    assert isinstance(run.wait(20), Cancelled)
    assert len(asked) == 2
    until(lambda: count(log, "ended"), "a free slot", 10)


def test_cancel_leaves_other_runs_on_the_same_cluster_alone(client, tmp_path):
    with Flow("victim") as victim:
        body = task(spin)(str(tmp_path / "victim"))
    with Flow("bystander") as bystander:
        other = task(nap)(1.5)
    first = victim.start(executor=DaskExecutor(client))
    second = bystander.start(executor=DaskExecutor(client))
    running(first, body)
    running(second, other)
    first.cancel()

    assert isinstance(first.wait(20), Cancelled)
    assert second.wait(20).is_successful()


def test_cancel_ends_the_processes_of_an_own_cluster_whatever_they_do():
    before = processes()
    with Flow("stuck") as flow:
        stuck = task(nap, name="stuck")(600)
    run = flow.start(executor=DaskExecutor(cluster_kwargs=OWN))
    running(run, stuck)
    assert len(processes() - before) >= 2
    started = time.monotonic()
    run.cancel()

    assert isinstance(run.wait(20), Cancelled)
    assert time.monotonic() - started < 5
    assert not processes() - before


def test_cancel_cleans_up_on_an_own_cluster_before_its_processes_end(tmp_path, caplog):
    before, log = processes(), tmp_path / "log"

    class Scratch:
        def setup(self):
            return os.getpid()

        def cleanup(self, resource):
            with log.open("a") as file:
                file.write(f"cleaned {resource}\n")

    with Flow("stuck") as flow, ResourceManager(Scratch)() as scratch:
        task(spin)(str(log), upstream_tasks=[scratch])
    run = flow.start(executor=DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 1}))
    until(log.exists, "the body")
    run.cancel()
    state = run.wait(20)

    assert isinstance(state, Cancelled)
    assert log.read_text() == f"started\nended\ncleaned {state.result[scratch].result}\n"
    assert not processes() - before
    assert "What it has made is cleaned up first" in caplog.text


def test_cancel_before_the_cluster_is_up_ends_too():
    with Flow("early") as flow:
        task(lambda: 1, name="one")()
    run = flow.start(executor=DaskExecutor(cluster_kwargs=OWN))
    run.cancel()

    assert run.wait(30) is not None


def test_cancel_interrupts_threads_of_this_process(tmp_path):
    with Flow("threads") as flow:
        body = task(spin)(str(tmp_path / "log"))
    run = flow.start(executor=LocalDaskExecutor("threads", num_workers=1))
    running(run, body)
    run.cancel()

    assert isinstance(run.wait(20), Cancelled)


SCRIPT = """
import os, sys, time
print("imported", os.getpid())
from prefectlite import DaskExecutor, Flow, task

class Mine(Exception):
    pass

@task
def where():
    return os.getpid()

@task
def boom():
    raise Mine("from the script")

@task
def die():
    time.sleep(0.5)  # until those that ran here before have been heard
    os._exit(1)

with Flow("bare") as flow:
    dead = die()
    here = where(upstream_tasks=[])
    bad = boom()
state = flow.run(executor=DaskExecutor(n_workers=1))
assert state.result[here].result != os.getpid()
assert isinstance(state.result[bad].result, Mine), state.result[bad].result
assert type(state.result[dead]).__name__ == "Crashed", state.result[dead]
print("done")
"""


@pytest.mark.parametrize("how", ["file", pytest.param("module", marks=pytest.mark.slow)])
def test_a_script_without_a_guard_runs_once_also_when_a_worker_is_restarted(tmp_path, how):
    (tmp_path / "bare_script.py").write_text(SCRIPT)
    command = ["bare_script.py"] if how == "file" else ["-m", "bare_script"]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("imported") == 1
    assert done.stdout.endswith("done\n")
    assert "Traceback" not in done.stderr


def is_worker(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return is_spawned(process) and len(process.net_connections()) > 2
    return False


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_no_process_is_left_when_the_driver_is_interrupted_or_killed(tmp_path, sent):
    source = """
        import sys, time
        from prefectlite import DaskExecutor, Flow, task
        with Flow("long") as flow:
            task(lambda: time.sleep(600), name="nap")()
        flow.run(executor=DaskExecutor(n_workers=1))
    """
    (tmp_path / "long.py").write_text(textwrap.dedent(source))
    driver = subprocess.Popen(
        [sys.executable, "long.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    workers = []
    deadline = time.monotonic() + 60
    while not workers and time.monotonic() < deadline:
        time.sleep(0.1)
        workers = [one for one in psutil.Process(driver.pid).children(recursive=True) if is_worker(one)]
    time.sleep(0.5)
    driver.send_signal(sent)
    driver.communicate(timeout=30)
    _, alive = psutil.wait_procs(workers, timeout=10)

    assert workers
    assert not alive
    assert driver.returncode != 0


def solve(path):
    program = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path(path).write_text(str(program.pid))
    program.wait()


@pytest.mark.parametrize("isolate", [False, True])
def test_a_cancel_on_an_own_cluster_ends_the_programs_of_bodies(tmp_path, isolate):
    told = tmp_path / "program"
    with Flow("solver") as flow:
        task(solve, isolate=isolate)(str(told))

    run = flow.start(executor=DaskExecutor(n_workers=1))
    until(lambda: told.exists() and told.read_text(), "the program to start")
    program = psutil.Process(int(told.read_text()))
    run.cancel()
    state = run.wait()
    _, alive = psutil.wait_procs([program], timeout=10)

    assert isinstance(state, Cancelled)
    assert not alive


def stopped_by_ctrl_c(seconds):
    program = subprocess.Popen(["sleep", seconds])
    program.send_signal(signal.SIGINT)
    return program.wait()


def test_a_body_on_an_own_cluster_stops_its_program_by_ctrl_c():
    with Flow("solver") as flow:
        code = task(stopped_by_ctrl_c)("20")

    state = flow.run(executor=DaskExecutor(n_workers=1))

    assert state.result[code].result == -signal.SIGINT


def test_programs_of_bodies_ignore_ctrl_c_where_the_driver_was_told_to():
    with Flow("nohup") as flow:
        code = task(stopped_by_ctrl_c)("0.5")

    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        state = flow.run(executor=DaskExecutor(n_workers=1))
    finally:
        signal.signal(signal.SIGINT, former)

    assert state.result[code].result == 0


def script(tmp_path, source):
    """Start a program as the shell of a terminal does."""
    (tmp_path / "script.py").write_text(textwrap.dedent(source))
    return subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PREFECTLITE_LOGGING_LEVEL": "CRITICAL"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("size", [{"n_workers": 1}, {"adapt_kwargs": {"minimum": 1, "maximum": 1}}])
def test_ctrl_c_at_a_terminal_reaches_bodies_programs_and_no_worker_dies_of_it(tmp_path, size):
    source = f"""
        import os, signal, subprocess
        from prefectlite import DaskExecutor, Flow, task

        @task
        def solve():
            worker = os.getpid()
            os.kill(worker, signal.SIGINT)
            program = subprocess.Popen(["sleep", "600"])
            print("program", program.pid, flush=True)
            program.wait()
            raise RuntimeError(f"ended by {{program.returncode}}")

        def tell(flow, old, new):
            print(type(new).__name__, flush=True)

        with Flow("long", state_handlers=[tell]) as flow:
            solve()
        flow.run(executor=DaskExecutor(**{size!r}))
    """
    driver = script(tmp_path, source)
    try:
        assert driver.stdout.readline() == "Running\n"
        program = driver.stdout.readline().removeprefix("program ")
        relatives = psutil.Process(driver.pid).children(recursive=True)
        os.killpg(driver.pid, signal.SIGINT)
        out, err = driver.communicate(timeout=30)
        _, alive = psutil.wait_procs(relatives, timeout=10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)

    assert int(program) in {one.pid for one in relatives}
    assert not alive
    assert out == "Cancelled\n"
    # The driver's own Ctrl-C ends it as it ends any program; nothing else fails.
    assert err.count("Traceback") <= 1
    assert "distributed" not in err


def test_ctrl_c_that_is_not_meant_for_a_run_spares_the_programs_of_its_bodies(tmp_path):
    source = """
        import subprocess, time
        from prefectlite import DaskExecutor, Flow, task

        @task
        def solve():
            program = subprocess.Popen(["sleep", "2"])
            print("begun", flush=True)
            return program.wait()

        with Flow("background") as flow:
            code = solve()
        run = flow.start(executor=DaskExecutor(n_workers=1))
        try:
            time.sleep(600)  # another cell of the notebook
        except KeyboardInterrupt:
            print(run.wait().result[code].result)
    """
    driver = script(tmp_path, source)
    assert driver.stdout.readline() == "begun\n"
    os.killpg(driver.pid, signal.SIGINT)
    out, err = driver.communicate(timeout=60)

    assert (out, err) == ("0\n", "")


STARTED = """
    import sys, time
    from prefectlite import DaskExecutor, Flow, LocalExecutor, task

    @task
    def nap(seconds):
        print("body", flush=True)
        for _ in range(int(seconds * 100)):
            time.sleep(0.01)

    def tell(flow, old, new):
        print(type(new).__name__, flush=True)

    with Flow("started", state_handlers=[tell]) as flow:
        nap({seconds})
    flow.start(executor=DaskExecutor(n_workers=1))
"""


def test_a_script_that_ends_with_start_has_its_flow_run_to_the_end(tmp_path):
    driver = script(tmp_path, STARTED.format(seconds=0.1))
    out, err = driver.communicate(timeout=60)

    assert (out, err, driver.returncode) == ("Running\nbody\nSuccess\n", "", 0)


def test_ctrl_c_cancels_a_run_that_a_script_has_left_behind(tmp_path):
    driver = script(tmp_path, STARTED.format(seconds=60))
    assert driver.stdout.readline() == "Running\n"
    assert driver.stdout.readline() == "body\n"
    os.killpg(driver.pid, signal.SIGINT)
    out, err = driver.communicate(timeout=30)

    assert (out, err) == ("Cancelled\n", "")


def open_marks():
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(entry.readlink()))
    return sum("prefectlite-begun" in link for link in links)


def test_runs_on_own_clusters_leave_no_file_open():
    with Flow("files") as flow:
        task(lambda x: x, name="same").map([1, 2])

    before = open_marks()
    assert flow.run(executor=DaskExecutor(cluster_kwargs=OWN)).is_successful()

    assert open_marks() == before
