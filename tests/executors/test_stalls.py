"""Attempts that never get their inputs are given to other workers, and then given up."""

from __future__ import annotations

import asyncio

import pytest
from dask._task_spec import Task
from distributed import Client, LocalCluster
from distributed.stealing import WorkStealing

from prefectlite import DaskExecutor, Flow, task
from prefectlite.errors import DefinitionError
from prefectlite.executors import watch
from prefectlite.executors.stalls import FRESH, SLOWEST, Wait, Waits
from prefectlite.states import Crashed, Success, TriggerFailed

ROUTE = "0123abcd"
INPUT = ("etl.make-1-0123abcd", -1, 1, 1, 1)
KEY = ("etl.read-1-0123abcd", -1, 1, 1, 1)


def looks(*rounds):
    """Look at one attempt at several times; return at which it was found to be stalled, and how often."""
    waits, found = Waits(), []
    for now, wait in rounds:
        found += [(now, times) for _, times in waits.look({} if wait is None else {"a": wait}, now, 60.0)]
    return found


FREE = Wait("w", True, 0)
BUSY = FREE._replace(can_begin=False)
ELSEWHERE = FREE._replace(worker="v")
LARGE = FREE._replace(nbytes=100 * SLOWEST)


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ([(0, FREE), (60, FREE)], []),
        ([(0, FREE), (61, FREE)], [(61, 1)]),
        ([(0, FREE), (61, FREE), (121, FREE), (122, FREE)], [(61, 1), (122, 2)]),
        ([(0, FREE), (50, BUSY), (61, FREE), (110, FREE), (111, FREE)], [(111, 1)]),
        ([(0, BUSY), (100, BUSY), (200, BUSY)], []),
        ([(0, FREE), (50, None), (61, FREE), (110, FREE)], []),
        ([(0, FREE), (50, ELSEWHERE), (61, ELSEWHERE), (111, ELSEWHERE)], [(111, 1)]),
        ([(0, FREE), (61, FREE), (62, ELSEWHERE), (123, ELSEWHERE)], [(61, 1), (123, 2)]),
        ([(0, FREE), (61, FREE), (62, None), (63, FREE), (124, FREE)], [(61, 1), (124, 1)]),
        ([(0, LARGE), (61, LARGE), (160, LARGE), (161, LARGE)], [(161, 1)]),
    ],
)
def test_who_lacks_inputs_for_too_long_where_a_thread_is_free_is_stalled(rounds, expected):
    assert looks(*rounds) == expected


def value():
    return "value"


def read(value, gate=None):
    return value


async def never(*_, **__):
    await asyncio.sleep(3600)


async def cut_off(b, monkeypatch, **options):
    """Let a task wait on a worker that cannot fetch what it reads."""
    holder, victim = await b.worker(), await b.worker()
    monkeypatch.setattr(victim, "gather_dep", never)
    await b.open()
    graph = {INPUT: Task(INPUT, value)}
    [made] = b.client.get(graph, [INPUT], sync=False, workers=[holder.address])
    assert await made == "value"
    future = b.client.submit(read, made, key=KEY, workers=[victim.address], **options)
    await b.until(lambda: KEY in b.scheduler.tasks and b.scheduler.tasks[KEY].processing_on is not None)
    assert b.scheduler.tasks[KEY].processing_on.address == victim.address
    return holder, victim, future, made


def test_a_stalled_task_is_given_to_the_worker_that_has_its_inputs(bench, monkeypatch):
    async def test(b):
        holder, _, future, _made = await cut_off(b, monkeypatch, allow_other_workers=True)
        b.scheduler.extensions["stealing"] = WorkStealing(b.scheduler)
        assert b.plugin.stalls(ROUTE, 0.02) == []
        await asyncio.sleep(0.05)
        assert b.plugin.stalls(ROUTE, 0.02) == []
        assert await future == "value"
        assert b.scheduler.workers[holder.address] in b.scheduler.tasks[KEY].who_has

    bench(test)


def test_one_that_no_other_worker_may_have_is_given_up_saying_who_cannot_be_reached(bench, monkeypatch):
    async def test(b):
        holder, victim, _future, _made = await cut_off(b, monkeypatch)
        assert b.plugin.stalls(ROUTE, 0.02) == []
        await asyncio.sleep(0.05)
        [(key, text)] = b.plugin.stalls(ROUTE, 0.02)
        assert key == KEY
        assert f"worker {victim.address}" in text
        assert f"from {holder.address}." in text
        assert b.plugin.stalls("ffffffff", 0.02) == []

    bench(test)


def test_one_that_was_moved_in_vain_is_given_up(bench, monkeypatch):
    async def test(b):
        _, victim, _future, _made = await cut_off(b, monkeypatch, allow_other_workers=True)
        b.scheduler.extensions["stealing"] = WorkStealing(b.scheduler)
        monkeypatch.setattr(victim, "handle_stimulus", lambda *_: None)  # it does not give the task back
        found = []
        for _ in range(3):
            found += b.plugin.stalls(ROUTE, 0.02)
            await asyncio.sleep(0.05)
        [(key, text)] = found
        assert key == KEY
        assert "another worker" in text
        monkeypatch.undo()

    bench(test)


def test_one_behind_a_long_body_and_one_on_a_silent_worker_are_not_stalled(bench, gate, monkeypatch):
    async def test(b):
        _, victim, _future, _made = await cut_off(b, monkeypatch)
        state = b.scheduler.workers[victim.address]
        long = b.client.submit(gate.wait, key="long", workers=[victim.address])
        await b.until(gate.is_reached)
        await b.until(lambda: state.executing)
        for _ in range(3):
            assert b.plugin.stalls(ROUTE, 0.02) == []
            await asyncio.sleep(0.05)
        gate.open()
        await long
        await b.until(lambda: not state.executing)
        victim.periodic_callbacks["heartbeat"].stop()
        state.last_seen -= 2 * FRESH
        for _ in range(3):
            assert b.plugin.stalls(ROUTE, 0.02) == []
            await asyncio.sleep(0.05)

    bench(test)


@pytest.mark.cluster
def test_a_flow_whose_inputs_cannot_be_fetched_ends_and_says_why(monkeypatch):
    monkeypatch.setattr(watch, "EVERY", 0.1)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        here, there = cluster.workers.values()
        monkeypatch.setattr(there, "gather_dep", never)
        with Flow("apart") as flow:
            made = task(lambda: b"x" * 1000, name="make", workers=here.address)()
            end = task(lambda value: len(value), name="read", workers=there.address)(made)
            after = task(lambda x: x, name="after")(end)
        found = flow.run(executor=DaskExecutor(client, stall_timeout=0.3)).result

    assert isinstance(found[made], Success)
    assert isinstance(found[end], Crashed)
    assert found[end].cause == "input-unreachable"
    assert here.address in found[end].message
    assert isinstance(found[after], TriggerFailed)


@pytest.mark.parametrize("value", [0, -1, "60", True, float("nan")])
def test_a_limit_that_is_no_time_is_refused(value):
    with pytest.raises(DefinitionError, match="stall_timeout"):
        DaskExecutor(stall_timeout=value)
