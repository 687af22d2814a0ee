"""Task runs that ask for what no worker has: they wait, and say for what."""

from __future__ import annotations

import logging
import time

import dask
import pytest
from distributed import Client, LocalCluster, Worker, get_worker

from prefectlite import DaskExecutor, Flow, task

pytestmark = pytest.mark.cluster


@pytest.fixture
def bare():
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def add_worker(client, **options):
    async def start():
        return await Worker(client.cluster.scheduler_address, nthreads=1, **options)

    return client.cluster.sync(start)


def until(question):
    deadline = time.monotonic() + 20
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_cluster_without_workers_is_told_of_once_until_one_comes(caplog):
    with Flow("early") as flow:
        one = task(lambda: 1, name="one")()
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        with caplog.at_level(logging.WARNING, "prefectlite"):
            run = flow.start(executor=DaskExecutor(client, stall_timeout=0.1))
            until(lambda: "LocalCluster has no workers" in caplog.text)
            assert run.explain(one).endswith("It waits for a worker; there is none now.")
            time.sleep(2.5)
        worker = add_worker(client)
        state = run.wait(30)
        client.cluster.sync(worker.close)

    assert caplog.text.count("has no workers") == 1
    assert state.result[one].result == 1


@pytest.mark.parametrize(
    ("asks", "has", "words"),
    [
        ({"resources": {"GPU": 2}}, {"resources": {"GPU": 4}}, "the resources GPU=2"),
        ({"workers": ["big"]}, {"name": "big"}, "the name or address big"),
    ],
)
def test_a_task_run_that_no_worker_can_take_says_so_until_one_comes(bare, caplog, asks, has, words):
    with Flow("demanding") as flow:
        easy = task(lambda: 1, name="easy")()
        hard = task(lambda x: x + 1, name="hard", **asks)(easy)
    with caplog.at_level(logging.WARNING, "prefectlite"):
        run = flow.start(executor=DaskExecutor(bare))
        until(lambda: words in run.explain(hard))
    assert f"No worker has {words}" in caplog.text
    assert "demanding.hard" in caplog.text
    assert words not in run.explain(easy)
    assert words in run._run.description
    worker = add_worker(bare, **has)
    state = run.wait(30)
    told = run.explain(hard)
    bare.cluster.sync(worker.close)

    assert state.result[hard].result == 2
    assert words not in told
    assert words not in run._run.description


@pytest.mark.parametrize("bundle_size", [None, "auto"])
@pytest.mark.parametrize("begins", ["run", "start"])
def test_what_dask_annotate_says_holds_for_all_task_runs_of_a_run(borrowed, begins, bundle_size):
    def where(_):
        time.sleep(0.05)
        return get_worker().address

    with Flow("annotated") as flow:
        first = task(where).map(range(12))
        second = task(where).map(first)
    asked = list(borrowed.scheduler_info()["workers"])[1]
    executor = DaskExecutor(borrowed, bundle_size=bundle_size)
    with dask.annotate(workers=[asked]):
        state = flow.run(executor=executor) if begins == "run" else flow.start(executor=executor).wait(60)
    assert state.result[first].result == state.result[second].result == [asked] * 12


def test_a_tasks_own_wish_comes_before_dask_annotate(borrowed):
    one, other = borrowed.scheduler_info()["workers"]

    def where():
        return get_worker().address

    with Flow("annotated") as flow:
        own, all_the_others = task(where, workers=[one])(), task(where, name="else")()
    with dask.annotate(workers=[other]):
        state = flow.run(executor=DaskExecutor(borrowed))
    assert (state.result[own].result, state.result[all_the_others].result) == (one, other)


@pytest.mark.parametrize("bundle_size", [None, "auto"])
def test_dask_is_not_told_to_run_anything_again(borrowed, tmp_path, bundle_size):
    def fails():
        with (tmp_path / "began").open("a") as file:
            file.write("x")
        raise ValueError

    with Flow("annotated") as flow:
        once = task(fails)()
        alone = task(fails, name="alone", idempotent=False)()
    with dask.annotate(retries=3):
        state = flow.run(executor=DaskExecutor(borrowed, bundle_size=bundle_size))
    assert state.result[once].is_failed()
    assert state.result[alone].is_failed()
    assert (tmp_path / "began").read_text() == "xx"
