"""A wall clock that is set back holds up no timer of Dask for long."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Final

from prefectlite.worker.timers import look_after

DAY: Final = 86400.0


def set_back(cluster, client, until):
    """Leave timers as a clock leaves them that is set back by a day: they wait for the time of before."""
    stream = client.scheduler_comm
    until(lambda: stream.next_deadline is None)  # else it would have something to send

    async def act():
        stream.next_deadline = time.time() + DAY
        for one in client._periodic_callbacks.values():
            one._next_timeout += DAY
            one.io_loop.remove_timeout(one._timeout)
            one._timeout = one.io_loop.add_timeout(one._next_timeout, one._run)

    cluster.sync(act)


def test_what_waits_for_a_time_that_was_goes_on(near, near_cluster, until, monkeypatch):
    beats, heartbeat = threading.Semaphore(0), near._periodic_callbacks["heartbeat"]
    monkeypatch.setattr(heartbeat, "callback", beats.release)
    monkeypatch.setattr(heartbeat, "callback_time", 10)
    set_back(near_cluster, near, until)
    future = near.submit(sum, [1, 2], pure=False)
    assert not beats.acquire(timeout=0.1)
    assert future.status == "pending"
    assert look_after(near._periodic_callbacks.values())
    assert future.result(20) == 3
    assert beats.acquire(timeout=20)
    until(lambda: not look_after(near._periodic_callbacks.values()))


def test_what_is_being_called_just_now_is_called_again_in_its_time(near, near_cluster, until, monkeypatch):
    one, calls, again = near._periodic_callbacks["heartbeat"], [], []
    go_on = asyncio.Event()

    async def call():
        calls.append(1)
        if len(calls) == 1:
            one._next_timeout += DAY
            await go_on.wait()

    async def begin():
        one.stop()
        one.start()
        monkeypatch.setattr(one, "start", lambda: again.append(1))

    async def end():
        go_on.set()

    monkeypatch.setattr(one, "callback", call)
    monkeypatch.setattr(one, "callback_time", 10)
    near_cluster.sync(begin)
    until(lambda: calls)
    assert look_after([one])
    near_cluster.sync(end)
    until(lambda: len(calls) > 5)
    assert not again, "it would be called twice as often"


def test_timers_that_wait_as_they_should_are_left_alone(near):
    assert not look_after(near._periodic_callbacks.values())
    assert not look_after([])
