"""Who has nothing to do gets what waits elsewhere, and no longer way is gone than needed: on worker processes."""

from __future__ import annotations

import os
import time
from collections import Counter

import dask
import pytest

from prefectlite import DaskExecutor, Flow, context, task
from prefectlite.executors import watch
from prefectlite.executors.sharing import Sharing, _far

pytestmark = pytest.mark.cluster


@pytest.fixture
def moved(monkeypatch):
    """How many bytes each has to fetch that is let go to another worker, beside what Dask does by itself."""
    found, to_move = [], Sharing._to_move

    def noted(self, victim, thief, *arguments, **options):
        tasks = to_move(self, victim, thief, *arguments, **options)
        found.extend(_far(task.dependencies, thief) for task in tasks)
        return tasks

    monkeypatch.setattr(Sharing, "_to_move", noted)
    return found


def counted(state, reads):
    return Counter(state.result[one].result for one in reads)


def napping(count):
    @task
    def nap(x, seconds):
        time.sleep(seconds)
        return os.getpid()

    @task  # of its own: what a nap takes is told by naps alone
    def zero():
        return 0

    with Flow("napping") as flow:
        root = zero()
        return flow, [nap(root, 0.03) for _ in range(count)]


@pytest.fixture
def lent(monkeypatch):
    """The tasks that Dask is told where to place."""
    found, lend = [], Sharing._lend

    def noted(self, task, worker):
        found.append(task)
        lend(self, task, worker)

    monkeypatch.setattr(Sharing, "_lend", noted)
    return found


@pytest.mark.parametrize("bundle_size", [None, 2])
def test_what_reads_one_small_value_is_done_by_all_workers(client, bundle_size, lent, monkeypatch):
    monkeypatch.setattr(Sharing, "_wake", lambda self: None)
    flow, naps = napping(24)

    state = flow.run(executor=DaskExecutor(client, bundle_size=bundle_size))

    # Dask gives them all to the worker that has the root's value, and looks again after a second.
    assert state.is_successful()
    assert len(counted(state, naps)) == 2
    assert lent
    assert not any(one.worker_restrictions or one.loose_restrictions for one in lent)


def test_what_comes_after_the_value_that_it_reads_is_shared_out_too(client, monkeypatch):
    monkeypatch.setattr(Sharing, "_wake", lambda self: None)
    monkeypatch.setattr(Sharing, "came", lambda self, task: None)

    @task(max_retries=1)
    def once(x):
        time.sleep(0.05)
        if context.task_run_count == 1:
            raise ValueError
        return os.getpid()

    @task
    def root():
        return 0

    with Flow("late") as flow:
        zero = root()
        some = [once(zero) for _ in range(2)]
    state = flow.run(executor=DaskExecutor(client, bundle_size=None))

    assert state.is_successful()
    # Where Dask has moved a first attempt, both workers have the value, and it shares them out itself.
    assert len(counted(state, some)) == 2


@pytest.mark.parametrize("bundle_size", [None, 2])
def test_a_worker_without_work_gets_some_of_a_queue(client, bundle_size, moved, monkeypatch):
    monkeypatch.setattr(Sharing, "came", lambda self, task: None)
    flow, naps = napping(24)

    state = flow.run(executor=DaskExecutor(client, bundle_size=bundle_size))

    assert state.is_successful()
    assert len(counted(state, naps)) == 2
    assert moved


def test_what_waits_behind_a_long_body_goes_elsewhere_however_short_it_is(client, tmp_path):
    go = tmp_path / "go"

    @task
    def first(x):
        until = time.monotonic() + 30
        while not x and not go.exists() and time.monotonic() < until:
            time.sleep(0.01)
        return x

    @task
    def read(x):
        return x

    with Flow("behind") as flow:
        for x in range(60):
            read(first(x))
    run = flow.start(executor=DaskExecutor(client, bundle_size=None))
    until = time.monotonic() + 6
    while run.counts().get("Success", 0) < 118 and time.monotonic() < until:
        time.sleep(0.02)
    counts = run.counts()
    go.touch()

    assert run.wait(30).is_successful()
    assert counts["Success"] == 118


def test_who_wants_no_work_stealing_has_none(client, moved, lent):
    flow, _ = napping(12)

    with dask.config.set({"distributed.scheduler.work-stealing": False}):
        state = flow.run(executor=DaskExecutor(client, bundle_size=None))

    assert state.is_successful()
    assert moved == lent == []


def test_what_reads_a_large_value_stays_with_it(client, moved):
    @task
    def made():
        return bytes(50_000_000)

    @task
    def looked(x, seconds):
        time.sleep(seconds)

    with Flow("close to the data") as flow:
        data = made()
        for _ in range(12):
            looked(data, 0.01)

    state = flow.run(executor=DaskExecutor(client, bundle_size=None))

    # Dask itself may copy it, when the machine is slow: then both have it.
    assert state.is_successful()
    assert not any(moved)


def test_bundles_of_large_values_come_back_and_are_sent_anew_though_nobody_is_asked(client, monkeypatch):
    monkeypatch.setattr(watch, "EVERY", 0.1)
    monkeypatch.setattr(watch, "ask_workers", lambda *_, **options: {})

    @task
    def block(n):
        return bytes([n]) * 100_000

    @task
    def next_block(data):
        return bytes([data[0] + 1]) * len(data)

    @task(associative=True)
    def largest(blocks):
        return max(blocks)

    @task
    def first(data):
        return data[0]

    with Flow("blocks") as flow:
        found = first(largest(next_block.map(block.map(list(range(200))))))

    state = flow.run(executor=DaskExecutor(client))

    assert state.result[found].result == 200
