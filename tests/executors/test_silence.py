"""Silent workers of own clusters: what is made of what is seen of their processes."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import time

import psutil
import pytest

from prefectlite import DaskExecutor, Flow, task
from prefectlite.executors import silence
from prefectlite.executors.silence import NAP, Lookout, Sight, Silences

W = "tcp://127.0.0.1:1"
STOPPED, IDLE = Sight(True, 7.0), Sight(False, 7.0)


def look(silences, sights, *, step=2.0, heard=None, start=0.0):
    """Look once for each sight, ``step`` seconds apart; return what was said, with the time of each."""
    told = []
    for place, sight in enumerate(sights):
        now = start + place * step
        when = 0.0 if heard is None else heard(now)
        told += [
            (now, found.is_lost, found.text)
            for found in silences.look({W: when}, lambda _, sight=sight: sight, now)
        ]
    return told


def at_work(count, share=1.0, step=2.0):
    return [Sight(False, 7.0 + place * step * share) for place in range(count)]


def test_who_is_heard_of_is_not_looked_at():
    def look_at(worker):
        raise AssertionError(worker)

    silences = Silences(30.0, 300.0)
    for now in range(0, 1000, 2):
        assert silences.look({W: float(now)}, look_at, now) == []


def test_a_stopped_process_is_lost_when_its_time_is_over():
    [(when, is_lost, text)] = look(Silences(30.0, 300.0), [STOPPED] * 17)
    assert (when, is_lost) == (30.0, True)
    assert text == "was stopped (by SIGSTOP) and gave no sign of life for 30 s, so prefectlite ended it."


def test_a_process_that_was_stopped_for_a_while_is_not_lost():
    sights = ([STOPPED] * 10 + at_work(5)) * 8
    assert not any(is_lost for _, is_lost, _ in look(Silences(30.0, 300.0), sights))


@pytest.mark.parametrize("share", [1.0, 0.06])
def test_a_process_that_works_is_left_alone_for_ever_and_that_is_said_once(share):
    [(when, is_lost, text)] = look(Silences(30.0, 300.0), at_work(1000, share))
    assert (when, is_lost) == (30.0, False)
    assert "it is at work" in text


def test_a_process_that_does_nothing_has_the_time_that_dask_gives_it():
    (when, is_lost, text), (late, is_gone, end) = look(Silences(30.0, 300.0), [IDLE] * 160)
    assert (when, is_lost, late, is_gone) == (30.0, False, 302.0, True)
    assert "does nothing" in text
    assert "ended after 300 s" in text
    assert "did nothing" in end


def test_what_asks_for_pythons_lock_now_and_then_does_nothing():
    assert look(Silences(30.0, 300.0), at_work(160, share=0.01))[-1][1]


def test_one_without_a_process_here_is_lost_as_dask_would_have_it():
    assert [one[:2] for one in look(Silences(30.0, 60.0), [None] * 40)] == [(30.0, False), (60.0, True)]


def test_a_heartbeat_lets_all_begin_anew():
    told = look(Silences(30.0, 300.0), [STOPPED] * 100, heard=lambda now: now // 20)
    assert told == []


def test_a_clock_that_is_set_back_changes_nothing():
    told = look(Silences(30.0, 300.0), [STOPPED] * 14, heard=lambda now: 1e9 - now)
    assert told == []


def test_who_looks_late_may_have_slept_as_well():
    told = look(Silences(30.0, 300.0), [STOPPED] * 5, step=3600.0)
    assert told == []
    assert 5 * NAP < 30


def test_what_was_to_be_looked_at_no_more_begins_anew():
    silences = Silences(30.0, 300.0)
    assert look(silences, [STOPPED] * 15) == []
    assert silences.look({}, lambda worker: STOPPED, 30.0) == []
    assert look(silences, [STOPPED] * 15, start=32.0) == []


def test_a_process_is_seen_with_what_it_started():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            while (sight := silence._look_at(process.pid)) is None or sight.cpu < 0.2:
                time.sleep(0.02)
            assert not sight.is_stopped
            parent = psutil.Process(process.pid)
            assert parent.cpu_times().user < 0.2
            parent.suspend()
            while not silence._look_at(process.pid).is_stopped:
                time.sleep(0.02)
        finally:
            for one in [*psutil.Process(process.pid).children(), process]:
                one.kill()
    assert silence._look_at(process.pid) is None
    assert silence._look_at(None) is None
    assert not silence._kill(process.pid)
    assert not silence._kill(None)


def test_who_looks_takes_the_place_of_dasks_own_limit(cluster_of):
    scheduler = cluster_of(0).cluster.scheduler
    for ttl, later, limits in ((300.0, math.inf, (30.0, 300.0)), (2.0, math.inf, (2.0, 2.0)),
                               (None, None, (math.inf, math.inf))):  # fmt: skip
        scheduler.worker_ttl = ttl
        lookout = Lookout(type("OwnCluster", (), {"scheduler": scheduler}))
        assert scheduler.worker_ttl == later
        assert (lookout._silences._limit, lookout._silences._patience) == limits


def test_a_silent_worker_that_has_no_process_here_is_taken_off_the_scheduler(
    cluster_of, gate, until, monkeypatch
):
    client = cluster_of(1)
    cluster = client.cluster
    cluster.scheduler.worker_ttl = 0.01
    monkeypatch.setattr(silence, "EVERY", 0.0)
    lookout = Lookout(cluster)
    lookout.look()
    assert cluster.scheduler.workers, "it has nothing to do"
    client.submit(gate.wait, key="held", pure=False).add_done_callback(id)
    until(gate.is_reached)
    worker = cluster.workers[0]
    worker.loop.add_callback(worker.periodic_callbacks["heartbeat"].stop)
    until(lambda: lookout.look() or not cluster.scheduler.workers)


def test_a_look_that_takes_too_long_is_broken_off_and_none_is_taken_too_soon(cluster_of, monkeypatch):
    monkeypatch.setattr(silence, "LOOK_TIMEOUT", 0.01)
    lookout, looks = Lookout(cluster_of(0).cluster), []

    async def look():
        looks.append(1)
        await asyncio.sleep(60)

    monkeypatch.setattr(lookout, "_look", look)
    lookout.look()
    lookout.look()
    assert looks == [1]


def test_it_is_said_at_the_start_when_silent_workers_of_others_count_as_lost(near, near_cluster, monkeypatch):
    def where(told):
        with Flow("where") as flow:
            task(lambda: None, name="nothing")()
        run = flow.start(executor=DaskExecutor(near))
        run.wait(20)
        assert run._run.description.endswith(told)

    where("silent workers count as lost after 300 s")
    monkeypatch.setattr(near_cluster.scheduler, "worker_ttl", None)
    where("silent workers never count as lost")
