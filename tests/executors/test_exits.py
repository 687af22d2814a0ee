"""Nannies tell how the processes of their workers ended."""

from __future__ import annotations

import os
import signal

import pytest
from distributed import Nanny, get_worker

from prefectlite.executors import exits
from prefectlite.executors.exits import ExitPlugin
from prefectlite.worker.desk import desk_of
from prefectlite.worker.exits import Exit, judge_exit

pytestmark = pytest.mark.cluster


def test_a_nanny_tells_how_its_process_ended_unless_it_ended_it_itself(bench, tmp_path):
    async def test(b):
        async def of_the_next(end):
            await b.until(lambda: b.scheduler.workers)
            [worker] = b.scheduler.workers
            await b.plugin.seals.exits.ready()
            await end(worker)
            await b.until(lambda: worker not in b.scheduler.workers)
            return await b.client.scheduler.prefectlite_exit_of(worker=worker)

        async def leave(_):
            b.client.submit(os._exit, 3, key="leave", pure=False).release()
            await b.until(lambda: "leave" not in b.scheduler.tasks)

        async def kill(_):
            os.kill(nanny.pid, signal.SIGKILL)

        async def restart(worker):
            await b.client.restart_workers([worker])

        await b.open(shares_disk=True)
        async with Nanny(
            b.scheduler.address, nthreads=1, local_directory=str(tmp_path), dashboard_address=":0"
        ) as nanny:
            assert await of_the_next(leave) == (3, False, "")
            ExitPlugin().setup(nanny)  # as each of its workers brings about; told once all the same
            assert await of_the_next(kill) == (-signal.SIGKILL, False, "")
            _, _, told = await of_the_next(restart)
            assert told.startswith("The worker that had the attempt was closed before the attempt ended (")

    bench(test)


def test_it_is_noted_how_many_bodies_ran_in_a_process_that_ended(bench, gate):
    keys = [("etl.load-1-0123abcd", index, 1, 1, 1) for index in range(3)]

    def begin(is_over):
        worker = get_worker()
        active = desk_of(worker).begin(worker.get_current_task(), False)
        active.record.word[0] = 1
        if is_over:
            active.record.end()
            desk_of(worker).end(active)
        gate.wait()

    async def test(b):
        victim = await b.worker(nthreads=3)
        await b.open(shares_disk=True)
        begun = [b.client.submit(begin, index == 0, key=key) for index, key in enumerate(keys)]
        for _ in begun:
            await b.until(gate.is_reached)
        await b.lose(victim)
        assert {b.scheduler.tasks[key].run_spec.args[-2:] for key in keys} == {(victim.address, 2)}

    bench(test)


def test_what_the_nanny_ended_for_its_memory_is_told_so(bench):
    async def test(b):
        b.plugin.seals.exits.expect("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
        b.scheduler.log_event("worker-restart-memory", {"worker": "tcp://127.0.0.1:1", "pid": 1, "rss": 1})
        b.plugin.seals.exits.note("tcp://127.0.0.1:2", -15)
        b.plugin.seals.exits.note("tcp://127.0.0.1:2", -9)  # of a process that never became a worker
        assert await b.plugin.seals.exits.of("tcp://127.0.0.1:1") == Exit(-15, True)

    bench(test)


def test_what_was_ended_for_its_silence_is_told_so(bench):
    worker, nanny = "tcp://127.0.0.1:1", "tcp://127.0.0.1:2"

    async def test(b):
        b.plugin.seals.exits.expect(worker, nanny)
        for one in (worker, "tcp://127.0.0.1:3"):
            b.scheduler.log_event(exits.SILENT, {"worker": one, "text": f"{one} was silent"})
        b.plugin.seals.exits.note(nanny, -signal.SIGKILL)
        found = await b.plugin.seals.exits.of(worker)
        assert judge_exit(found, 1) == ("worker-lost", f"{worker} was silent")

    bench(test)


def test_a_worker_that_closes_tells_why(bench):
    async def test(b):
        worker = await b.worker()
        await b.open(shares_disk=True)
        await worker.close(reason="worker-lifetime-reached")
        await b.until(lambda: not b.scheduler.workers)
        text = (
            "The worker that had the attempt was closed before the attempt ended (worker-lifetime-reached)."
        )
        assert judge_exit(await b.plugin.seals.exits.of(worker.address), 1) == ("worker-lost", text)

    bench(test)


def test_who_has_no_nanny_is_not_waited_for_and_a_silent_nanny_not_for_long(bench, monkeypatch):
    monkeypatch.setattr(exits, "PATIENCE", 0.05)
    monkeypatch.setattr(exits, "MEMORY", 2)

    async def test(b):
        found = b.plugin.seals.exits
        found.expect("tcp://127.0.0.1:1", None)
        found.note("tcp://127.0.0.1:1", 3)
        assert await found.of("tcp://127.0.0.1:1") is None
        for number in (2, 3, 4):
            found.expect(f"tcp://127.0.0.1:{number}", "tcp://127.0.0.1:9")
        assert await found.of("tcp://127.0.0.1:4") is None
        assert list(found._codes) == ["tcp://127.0.0.1:3", "tcp://127.0.0.1:4"]

    bench(test)
