"""Whole programs, run in fresh processes: imports, cold starts, and what must not feel a warm cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.pace import Pace

IMPORT = """
import json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
{statement}
print(json.dumps({{"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}}))
"""

COLD_DASK = """
from tests.benchmarks.bodies import inc

if __name__ == "__main__":
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        with Client(cluster) as client:
            assert client.submit(inc, 1).result() == 2
"""

COLD_OURS = """
from prefectlite import DaskExecutor, Flow, task
from tests.benchmarks.bodies import inc

if __name__ == "__main__":
    with Flow("cold") as flow:
        end = task(inc)(1)
    kwargs = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
    state = flow.run(executor=DaskExecutor("distributed.LocalCluster", cluster_kwargs=kwargs))
    assert state.result[end].result == 2
"""

COLD_LOCAL = """
from prefectlite import Flow, LocalExecutor, task
from tests.benchmarks.bodies import inc

with Flow("cold") as flow:
    end = task(inc)(1)
state = flow.run(executor=LocalExecutor())
assert state.result[end].result == 2
"""

#: What the reduce of ``LOCAL`` reads.
CALLS = "[inc(i) for i in range(tasks)]"
CHILDREN = "inc.map(list(range(tasks)))"

LOCAL = """
import gc, json, time
from prefectlite import Flow, LocalExecutor, task
from tests.benchmarks import bodies

inc, total = task(bodies.inc), task(bodies.total)
def once(tasks):
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    with Flow("local") as flow:
        end = total({inputs})
    state = flow.run(executor=LocalExecutor())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert state.result[end].result == sum(range(1, tasks + 1))
    return {{"wall": wall, "cpu": cpu}}

once(10)
print(json.dumps(once({tasks})))
"""

#: Memory of the driver with its scheduler when all children of a map are final and their results still needed,
#: and when the flow run is over and its state held.
FINISHED = """
import gc, json, os, time, tracemalloc

import psutil
from distributed import Client, LocalCluster
from prefectlite import DaskExecutor, Flow, task
from tests.benchmarks import bodies
from tests.benchmarks.meter import Probe

inc, total_once = task(bodies.inc), task(bodies.total_once)

def held():
    gc.collect()
    return tracemalloc.get_traced_memory()[0] if {traced} else psutil.Process().memory_info().rss

def once(client, loop, tasks, gate):
    with Flow("finished") as flow:
        end = total_once(inc.map(range(tasks)), gate)
    before = held()
    with Probe(loop) as probe:
        run = flow.start(executor=DaskExecutor(client, **{options}))
        while run.counts().get("Success", 0) < tasks:
            assert not run.is_over, run
            time.sleep(0.05)
        time.sleep(1)  # messages on their way
    alive = held() - before
    assert not run.is_over, "the reduce ended before it was let go"
    open(gate, "w").close()
    state = run.wait()
    assert state.result[end].result == sum(range(1, tasks + 1))
    return {{"alive": alive, "over": held() - before, "blocked": probe.longest}}

if __name__ == "__main__":
    kwargs = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
    with LocalCluster(**kwargs) as cluster, Client(cluster) as client:
        loop = cluster.loop.asyncio_loop
        once(client, loop, 100, os.path.abspath(f"gate-warm-{{os.getpid()}}"))
        if {traced}:
            tracemalloc.start()
        widths = {widths}
        found = [once(client, loop, tasks, os.path.abspath(f"gate-{{os.getpid()}}-{{tasks}}")) for tasks in widths]
        print(json.dumps({{"found": found}}))
"""

BUILD = """
import gc, json, time, tracemalloc
from prefectlite import Flow, task
from prefectlite.lowering.compile import compile
from tests.benchmarks import bodies

inc = task(bodies.inc)
def build(tasks, links):
    with Flow("build") as flow:
        for first in range(0, tasks, links):
            end = first
            for _ in range(links):
                end = inc(end)
    return flow, compile(flow, {{}})

build(100, 10)
gc.collect()
if {traced}:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = build({tasks}, 100)
    gc.collect()
    print(json.dumps({{"nbytes": tracemalloc.get_traced_memory()[0] - before}}))
else:
    wall, cpu = time.perf_counter(), time.process_time()
    kept = build({tasks}, 100)
    print(json.dumps({{"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}}))
"""


def run(source: str, where: Path, timeout: float = 600) -> dict[str, Any]:
    """Run a program in a fresh interpreter; return what it printed, and the seconds from start to exit as ``process``."""
    path = where / "program.py"
    path.write_text(f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})\n{source}")
    # What pip installs has its bytecode; a machine that keeps Python from writing it would time the compiler.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(where / "bytecode")
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    process = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"A program of the benchmark failed:\n{done.stderr}")
    # Prefectlite says there, too, what becomes of flow and tasks.
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    printed: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return {**printed, "process": process}


def repeated(
    sources: Mapping[str, str], pace: Pace, *, warm: bool = True, most: int | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Run the programs in turn, and return what each printed; a round beforehand warms the machine up."""
    with tempfile.TemporaryDirectory() as where:

        def once(_: int) -> dict[str, dict[str, Any]]:
            return {name: run(source, Path(where)) for name, source in sources.items()}

        if warm:
            once(0)
        rounds = pace.rounds(once, most=most)
    return {name: [one[name] for one in rounds] for name in sources}
