"""Where values are: on the workers, not in the driver; after the end, where they can still be read."""

from __future__ import annotations

import gc
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

from prefectlite import DaskExecutor, Flow, task, unmapped
from prefectlite.errors import ResultUnavailable

pytestmark = pytest.mark.cluster

OWN = {"n_workers": 2, "threads_per_worker": 1}


def count(values):
    return len(values)


class Tripwire:
    """A value that notes each process in which it is unpickled."""

    def __init__(self, log, payload=b""):
        self.log = log
        self.payload = payload

    def __reduce__(self):
        return _tripped, (self.log, self.payload)


def _tripped(log, payload):
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return Tripwire(log, payload)


def keys_of(cluster):
    return [key for key in list(cluster.scheduler.tasks) if isinstance(key, tuple) and len(key) == 5]


def gone(cluster):
    deadline = time.monotonic() + 10
    while keys_of(cluster) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not keys_of(cluster)


def test_a_value_between_tasks_never_enters_the_driver(client, tmp_path):
    log = str(tmp_path / "log")

    def make(n):
        return Tripwire(log, os.urandom(100_000))

    def look(one, two):
        return os.getpid(), len(one.payload) + len(two.payload)

    with Flow("placement") as flow:
        one, two = task(make, name="one")(1), task(make, name="two")(2)
        end = task(look)(one, two)
    state = flow.run(executor=DaskExecutor(client))

    pid, nbytes = state.result[end].result
    assert nbytes == 200_000
    assert pid != os.getpid()
    trips = (tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else []
    assert str(os.getpid()) not in trips


def test_thousands_of_finished_runs_leave_no_key_on_the_scheduler(client, dask_cluster):
    with Flow("wide") as flow:
        mapped = task(lambda x: x).map(list(range(1_000)))
        end = task(count)(mapped)
    state = flow.run(executor=DaskExecutor(client))

    assert state.result[end].result == 1_000
    del state
    gc.collect()
    assert gone(dask_cluster)
    assert not client.futures


def test_a_large_result_stays_on_a_borrowed_cluster_as_long_as_its_state(client, dask_cluster):
    with Flow("large") as flow:
        end = task(lambda: np.arange(100_000), name="make")()
    state = flow.run(executor=DaskExecutor(client))

    assert len(keys_of(dask_cluster)) == 1
    assert state.result[end].result.sum() == np.arange(100_000).sum()
    del state
    gc.collect()
    assert gone(dask_cluster)


def test_a_large_result_outlives_an_own_cluster_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    log = str(tmp_path / "log")

    def make():
        return Tripwire(log, os.urandom(50_000))

    with Flow("spool") as flow:
        end = task(make)()
        child = task(lambda x: np.full(5_000, x), name="child").map([1, 2, 3])
    state = flow.run(executor=DaskExecutor(cluster_kwargs=OWN))

    assert not Path(log).exists(), "the value passed through a process on its way to the disk"
    assert list(tmp_path.glob("prefectlite-*"))
    assert len(state.result[end].result.payload) == 50_000
    assert [child.result[0] for child in state.result[child].map_states] == [1, 2, 3]
    del state
    gc.collect()
    assert not list(tmp_path.glob("prefectlite-*"))


def test_results_over_the_limit_are_released_and_say_so():
    with Flow("limit") as flow:
        small = task(lambda: np.zeros(10_000), name="small")()
        large = task(lambda: np.zeros(100_000), name="large")()
    state = flow.run(executor=DaskExecutor(cluster_kwargs=OWN, keep_limit=200_000))

    assert len(state.result[small].result) == 10_000
    with pytest.raises(ResultUnavailable, match="keep_limit"):
        _ = state.result[large].result


def test_a_released_result_says_what_to_set(client):
    with Flow("released") as flow:
        first = task(lambda: np.zeros(50_000), name="first")()
        end = task(count)(first)
    state = flow.run(executor=DaskExecutor(client))

    assert state.result[end].result == 50_000
    with pytest.raises(ResultUnavailable, match="keep_result=True"):
        _ = state.result[first].result


def test_a_large_constant_travels_once_and_arrives(client):
    table = np.arange(200_000)

    with Flow("constant") as flow:
        seen = task(lambda x, t: int(t[x]), name="look").map([1, 2, 3], t=pickle_once(table))
    state = flow.run(executor=DaskExecutor(client))

    assert state.result[seen].result == [1, 2, 3]


def pickle_once(value):
    from prefectlite import unmapped

    assert pickle.dumps(value)
    return unmapped(value)


def lies_here(n):
    """Return whether this worker holds an array of this number."""
    from distributed import get_worker

    held = [one for slots in list(get_worker().data.values()) for one in getattr(slots, "wrappers", ())]
    arrays = [one.value for one in held if isinstance(getattr(one, "value", None), np.ndarray)]
    return n in [array[0] for array in arrays]


def test_a_large_value_that_one_run_alone_needs_is_gone_once_that_has_succeeded(tmp_path):
    @task
    def made(n):
        return np.full(50_000, n)

    @task(max_retries=1)
    def raised(x):
        if x[0] == 3 and not (tmp_path / "failed").exists():
            (tmp_path / "failed").touch()
            raise ValueError("once")
        return x + 100

    @task
    def looked(x):
        return int(x[0]), lies_here(x[0] - 100)

    numbers = list(range(8))
    with Flow("consumed") as flow:
        seen = looked.map(raised.map(made.map(numbers)))

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        state = flow.run(executor=DaskExecutor(client))

    found = state.result[seen].result
    assert [number for number, _ in found] == [n + 100 for n in numbers]
    # What is tried again reads it again; then it is the driver that lets go.
    assert not any(is_here for number, is_here in found if number != 103)
    assert (tmp_path / "failed").exists()


@pytest.mark.parametrize(
    ("around", "words"),
    [
        (lambda future: future, "is a Dask future"),
        (lambda future: [future], "holds a Dask future"),
        (lambda future: {"a": (1, {"b": future})}, "holds a Dask future"),
        (lambda future: unmapped([future]), "holds a Dask future"),
    ],
    ids=["itself", "list", "deep", "unmapped"],
)
def test_a_dask_future_as_a_constant_is_refused_by_name(client, around, words):
    same = task(lambda x, y=0: x, name="same")
    value = around(client.submit(sum, [1, 2]))
    with Flow("futures") as flow:
        told = same.map(value, [1]) if isinstance(value, unmapped) else same(value)

    state = flow.run(executor=DaskExecutor(client))

    said = state.result[told].map_states[0] if isinstance(value, unmapped) else state.result[told]
    assert f"its argument 'x' {words}" in said.message
    assert "`result()`" in said.message


def test_a_result_on_a_cluster_that_has_ended_says_so(borrowed):
    with Flow("large") as flow:
        made = task(lambda: bytes(100_000), name="make")()
    state = flow.run(executor=DaskExecutor(borrowed))

    borrowed.close()

    with pytest.raises(ResultUnavailable, match=r"the client was closed or restarted.*stored"):
        _ = state.result[made].result
