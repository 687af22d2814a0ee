"""A worker that is retired stays for what it has begun."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from distributed import get_worker

from prefectlite.executors import retiring
from prefectlite.executors.retiring import PATIENCE, stays
from prefectlite.worker.desk import desk_of

KEY = ("etl.load-1-0123abcd", -1, 1, 1, 1)
NEXT = ("etl.load-2-0123abcd", -1, 1, 1, 1)


def begin_and_wait(gate):
    worker = get_worker()
    desk_of(worker).begin(worker.get_current_task(), False)
    gate.wait()
    return worker.address


@pytest.mark.parametrize(
    ("age", "running", "is_awaited", "expected"),
    [
        (0.0, True, True, True),
        (PATIENCE, True, True, True),
        (PATIENCE + 1, True, True, False),
        (0.0, False, True, False),
        (0.0, True, False, False),
    ],
)
def test_it_stays_for_bodies_and_not_for_ever_and_not_when_all_leave(age, running, is_awaited, expected):
    assert stays(age, running, is_awaited) == expected


@pytest.mark.parametrize("has_marks", [True, False])
def test_what_has_begun_ends_there_and_its_value_stays_when_the_worker_leaves(bench, gate, has_marks):
    async def test(b):
        victim, other = await b.worker(), await b.worker()
        if not has_marks:
            shutil.rmtree(victim.local_directory)
        await b.open(shares_disk=True)
        begun = b.client.submit(
            begin_and_wait, gate, key=KEY, workers=[victim.address], allow_other_workers=True
        )
        await b.until(gate.is_reached)
        # It waits behind the first, and for the worker that stays once the first has gone.
        queued = b.client.submit(
            begin_and_wait, gate, key=NEXT, workers=[victim.address], allow_other_workers=True
        )
        await b.until(lambda: NEXT in victim.state.tasks)
        leaving = asyncio.ensure_future(b.scheduler.retire_workers([victim.address]))
        await b.until(lambda: b.scheduler.workers[victim.address].status.name == "closing_gracefully")
        await asyncio.sleep(0.3)
        assert victim.address in b.scheduler.workers
        gate.open()
        assert list(await leaving) == [victim.address]
        assert victim.address not in b.scheduler.workers
        assert await begun == victim.address
        assert await queued == other.address

    bench(test)


def test_the_last_that_leaves_by_itself_stays_for_bodies_and_for_another_that_takes_over(bench, gate):
    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=True)
        begun = b.client.submit(begin_and_wait, gate, key=KEY)
        await b.until(gate.is_reached)
        queued = b.client.submit(begin_and_wait, gate, key=NEXT)
        await b.until(lambda: NEXT in victim.state.tasks)
        leaving = asyncio.ensure_future(victim.close_gracefully())
        await b.until(lambda: b.scheduler.workers[victim.address].status.name == "closing_gracefully")
        await asyncio.sleep(0.3)
        assert victim.address in b.scheduler.workers
        gate.open()
        await b.until(lambda: b.scheduler.tasks[KEY].state == "memory")
        other = await b.worker()
        await leaving
        assert victim.address not in b.scheduler.workers
        assert await begun == victim.address
        assert await queued == other.address

    bench(test)


def test_the_last_that_leaves_by_itself_waits_not_for_long_for_another(bench, gate, monkeypatch):
    monkeypatch.setattr(retiring, "TAKING_OVER", 0.1)
    gate.open()

    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=True)
        await b.client.submit(begin_and_wait, gate, key=KEY)
        begun = b.client.submit(begin_and_wait, gate, key=NEXT)
        await begun
        await asyncio.wait_for(victim.close_gracefully(), 5)
        assert victim.address not in b.scheduler.workers

    bench(test)


def test_the_tasks_of_others_are_left_to_dask(bench, gate):
    async def test(b):
        victim, _ = await b.worker(), await b.worker()
        await b.open(shares_disk=True)
        begun = b.client.submit(gate.wait, key="theirs", workers=[victim.address])
        await b.until(gate.is_reached)
        assert list(await b.scheduler.retire_workers([victim.address])) == [victim.address]
        begun.release()

    bench(test)


def test_only_while_a_flow_runs_names_are_taken_for_addresses(bench):
    async def test(b):
        await b.worker(name="first")
        await b.worker(name="second")
        assert await b.client.scheduler.retire_workers(workers=["first"]) == {}
        await b.open(shares_disk=True)
        assert len(await b.client.scheduler.retire_workers(workers=["first"])) == 1
        assert [one.name for one in b.scheduler.workers.values()] == ["second"]

    bench(test)
