"""Flows that bodies run: on the cluster that the body is on, and in processes that may start none."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from distributed.threadpoolexecutor import ThreadPoolExecutor as DaskPool

from prefectlite import DaskExecutor, Flow, LocalExecutor, task
from prefectlite.errors import ExecutorError
from prefectlite.executors import default
from prefectlite.executors.aside import step_aside
from prefectlite.executors.cluster import start_cluster
from prefectlite.executors.default import default_executor
from prefectlite.executors.reach import borrow_client


def run_inner(address):
    with Flow("inner") as inner:
        total = task(lambda x: x + 2, name="add")(task(lambda: 1, name="one")())
    return inner.run(executor=DaskExecutor(address)).result[total].result


def test_bodies_in_all_slots_run_flows_on_their_own_cluster(near):
    with Flow("outer") as outer:
        totals = task(lambda x: run_inner(x) + run_inner(x), name="run").map([near.scheduler.address] * 3)
    state = outer.start(executor=DaskExecutor(near)).wait(20)

    assert [child.result for child in state.result[totals].map_states] == [6, 6, 6]


def test_who_runs_no_task_does_not_step_aside():
    assert step_aside() is None
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(step_aside).result() is None
    with DaskPool(1) as pool:
        assert pool.submit(step_aside).result() is None


def test_a_body_that_has_stepped_aside_takes_its_slot_back_once(near):
    def aside_twice():
        first, second = step_aside(), step_aside()
        first()
        return second

    assert near.submit(aside_twice).result(10) is None


def test_a_flow_that_names_no_place_runs_where_no_cluster_can_start(monkeypatch):
    monkeypatch.setattr(default, "is_daemon", lambda: True)
    monkeypatch.setattr(default, "active_client", lambda: None)
    assert isinstance(default_executor(), LocalExecutor)


def test_a_cluster_of_processes_is_refused_in_a_process_that_may_start_none(monkeypatch):
    monkeypatch.setattr("prefectlite.executors.cluster.is_daemon", lambda: True)
    with pytest.raises(ExecutorError, match="LocalExecutor"):
        start_cluster(None, {}, {}, 1, {})


@pytest.mark.parametrize("status", ["newly-created", "connecting"])
def test_a_client_that_another_thread_has_just_opened_is_waited_for(near, monkeypatch, status):
    monkeypatch.setattr(near, "status", status)
    threading.Timer(0.05, setattr, (near, "status", "running")).start()
    assert borrow_client(near).client is near


STARTS = """
import threading
from prefectlite import Flow, task
from prefectlite.executors import LocalDaskExecutor

with Flow("f") as flow:
    task(lambda: 1, name="one")()
place = LocalDaskExecutor("threads", num_workers=1)
threads = [threading.Thread(target=lambda: print(flow.run(executor=place))) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.slow
def test_threads_may_start_the_first_clusters_of_a_program_at_once():
    done = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True, timeout=60)
    assert done.stdout.count("<Success") == 6, done.stderr
