"""Every form of place that ``DaskExecutor`` takes runs a flow, and what it did not start stays up."""

from __future__ import annotations

import asyncio
import json

import pytest
from distributed import Client, LocalCluster, default_client

from prefectlite import DaskExecutor, Flow, task
from prefectlite.executors.dask import LocalDaskExecutor

pytestmark = pytest.mark.cluster


@task
def whoami():
    from distributed import get_worker

    return get_worker().scheduler.address


def where(executor=None):
    """The scheduler on which a one-task flow ran."""
    with Flow("where") as flow:
        asked = whoami()
    state = flow.run(executor=executor)
    assert state.is_successful(), state
    return state.result[asked].result


def test_without_a_target_the_active_client_is_used(client):
    assert where() == client.scheduler.address
    assert default_client() is client
    assert client.status == "running"


def test_a_live_client_stays_open_and_does_not_become_the_default(dask_cluster):
    with Client(dask_cluster, set_as_default=False) as mine:
        assert where(DaskExecutor(mine)) == mine.scheduler.address
        assert mine.status == "running"
        with pytest.raises(ValueError, match="No clients found"):
            default_client()


def test_a_live_cluster_stays_up(dask_cluster):
    executor = DaskExecutor(dask_cluster)

    assert where(executor) == dask_cluster.scheduler_address
    assert where(executor) == dask_cluster.scheduler_address
    assert dask_cluster.status.name == "running"


def test_an_address_is_reached_and_left(dask_cluster):
    before = set(dask_cluster.scheduler.clients)

    assert where(DaskExecutor(dask_cluster.scheduler_address)) == dask_cluster.scheduler_address
    assert set(dask_cluster.scheduler.clients) == before


@pytest.mark.parametrize(("size", "left"), [(10, 0), (100_000, 1)])
def test_a_client_of_ours_stays_only_for_values_that_are_not_here_yet(dask_cluster, size, left):
    with Flow("kept") as flow:
        value = task(lambda: bytes(size), name="make")()
    before = set(dask_cluster.scheduler.clients)
    state = flow.run(executor=DaskExecutor(dask_cluster))
    assert len(set(dask_cluster.scheduler.clients) - before) == left
    assert state.result[value].result == bytes(size)


def test_an_address_without_a_scheme_is_an_address(dask_cluster):
    bare = dask_cluster.scheduler_address.removeprefix("tcp://")

    assert where(DaskExecutor(bare)) == dask_cluster.scheduler_address


@pytest.mark.parametrize("as_target", [True, False])
def test_a_scheduler_file_names_the_scheduler(dask_cluster, tmp_path, as_target):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"type": "Scheduler", "address": dask_cluster.scheduler_address}))
    executor = DaskExecutor(str(file)) if as_target else DaskExecutor(scheduler_file=file)

    assert where(executor) == dask_cluster.scheduler_address


def test_an_asynchronous_client_is_used_from_another_thread(dask_cluster):
    async def main():
        async with Client(dask_cluster.scheduler_address, asynchronous=True, set_as_default=False) as mine:
            return await asyncio.to_thread(where, DaskExecutor(mine)), mine.status

    assert asyncio.run(main()) == (dask_cluster.scheduler_address, "running")


def test_flow_run_works_inside_a_running_event_loop(client):
    async def cell():
        return where()

    assert asyncio.run(cell()) == client.scheduler.address


@pytest.mark.slow
def test_an_import_string_makes_a_cluster_for_each_run_and_closes_it():
    executor = DaskExecutor(
        "distributed.LocalCluster", cluster_kwargs={"n_workers": 1, "threads_per_worker": 1}
    )

    first, second = where(executor), where(executor)

    assert first != second
    assert not LocalCluster._instances or all(
        cluster.status.name == "closed" or cluster.scheduler_address not in (first, second)
        for cluster in LocalCluster._instances
    )


def test_a_factory_with_adapt_makes_an_elastic_cluster():
    def factory(**kwargs):
        return LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0", **kwargs)

    executor = DaskExecutor(
        factory, adapt_kwargs={"minimum": 0, "maximum": 1}, cluster_kwargs={"processes": False}
    )

    assert where(executor).startswith("inproc://")


def test_local_threads_run_in_this_process():
    assert where(LocalDaskExecutor("threads", num_workers=2)).startswith("inproc://")


def test_local_processes_run_beside_it():
    assert where(LocalDaskExecutor("processes", num_workers=1)).startswith("tcp://127.0.0.1")
