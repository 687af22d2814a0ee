"""Whole programs, run in fresh processes: imports, cold starts, and what must not feel a warm cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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

LOCAL = """
import gc, json, time
from prefectlite import Flow, LocalExecutor, task
from tests.benchmarks import bodies

inc, total = task(bodies.inc), task(bodies.total)
def once(tasks):
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    with Flow("fan-out") as flow:
        end = total([inc(i) for i in range(tasks)])
    state = flow.run(executor=LocalExecutor())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert state.result[end].result == sum(range(1, tasks + 1))
    return {{"wall": wall, "cpu": cpu}}

once(10)
print(json.dumps(once({tasks})))
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


def run(source: str, where: Path) -> dict[str, Any]:
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
        timeout=600,
        stdin=subprocess.DEVNULL,
    )
    process = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"A program of the benchmark failed:\n{done.stderr}")
    printed: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    return {**printed, "process": process}
