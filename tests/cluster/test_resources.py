"""Task runs that ask for what no worker has: they wait, and say for what."""

from __future__ import annotations

import logging
import time

import pytest
from distributed import Client, LocalCluster, Worker

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
