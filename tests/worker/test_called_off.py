"""What is called off does not begin any more, wherever it was when that was said."""

from __future__ import annotations

import pickle
import threading
import time

import pytest
from dask._task_spec import Task

from prefectlite.lowering.envelope import FlowFacts
from prefectlite.lowering.parts import PLAIN
from prefectlite.lowering.spec import Spec
from prefectlite.lowering.wrappers import Hold, Slots, Succeeded
from prefectlite.worker.bundle import run_bundle, run_bundle_by_topic
from prefectlite.worker.desk import desk_of
from prefectlite.worker.entry import (
    interrupt_attempts,
    run_attempt,
    run_attempt_by_topic,
    run_beside,
    run_beside_by_topic,
)
from tests.worker.conftest import SLUG, TIMEOUT, block, envelope

ENTRIES = [
    run_attempt,
    run_attempt_by_topic,
    run_beside,
    run_beside_by_topic,
    run_bundle,
    run_bundle_by_topic,
]
BEGUN = []
OVER = threading.Event()


def linger(x):
    BEGUN.append(x)
    until = time.monotonic() + TIMEOUT
    while not OVER.is_set():
        assert time.monotonic() < until
        time.sleep(0.001)
    return x


@pytest.fixture(autouse=True)
def _afresh():
    BEGUN.clear()
    OVER.clear()
    yield
    OVER.set()


def task_of(route, x, entry=run_attempt):
    """Return an attempt, or a bundle of one, of a flow run."""
    flow = pickle.dumps(FlowFacts(route * 4, "etl"))
    body = pickle.dumps(envelope(linger))
    if entry in (run_bundle, run_bundle_by_topic):
        key = (f"etl.double-0-{route}", 0, 1, 1, 1, x)
        part = block(1, first=x, columns=[("x", PLAIN, [x])], prefix=f"etl.double-1-{route}")
        return Task(key, entry, pickle.dumps((part,)), 1, flow, body)
    key = (f"etl.double-0-{route}", x, 1, 1, 1)
    spec = Spec(SLUG, x, 1, 1, {"x": x}, (), (), False, ())
    return Task(key, entry, flow, body, pickle.dumps(tuple(spec)))


def send(site, *tasks):
    return site.client.get({one.key: one for one in tasks}, [one.key for one in tasks], sync=False)


def test_the_tasks_here_run_when_nobody_calls_them_off(site):
    OVER.set()
    for number, entry in enumerate(ENTRIES):
        [future] = send(site, task_of("5e0d0000", number, entry))
        assert isinstance(future.result(TIMEOUT), Slots | Succeeded)
    assert sorted(BEGUN) == list(range(len(ENTRIES)))


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_arrives_after_its_flow_run_was_called_off_does_not_begin(site, entry):
    route = f"0ff0{ENTRIES.index(entry):04x}"
    OVER.set()
    interrupt_attempts(route, dask_worker=site.worker)
    [future] = send(site, task_of(route, 1, entry))

    with pytest.raises(Hold):
        future.result(TIMEOUT)
    assert not BEGUN
    assert not desk_of(site.worker)._active


@pytest.mark.parametrize("is_kept", [False, True])
def test_what_waits_behind_an_interrupted_body_does_not_begin_either(site, is_kept):
    """The scheduler's word that nobody wants it any more may come later than the room for it."""
    route = f"0ff1000{is_kept:d}"
    tasks = [task_of(route, number) for number in range(4)]
    futures = send(site, *tasks[:2])
    site.wait(lambda: len(BEGUN) == 2)
    futures += send(site, *tasks[2:])
    site.wait(lambda: all(one.key in site.worker.state.tasks for one in tasks))
    others = send(site, task_of(f"0ff2000{is_kept:d}", 9))
    site.wait(lambda: others[0].key in site.worker.state.tasks)
    wanted = frozenset({tasks[3].key} if is_kept else ())
    assert list(site.client.run(interrupt_attempts, route, wanted).values()) == [2]
    OVER.set()

    for future in futures[: 3 if is_kept else 4]:
        with pytest.raises(Hold):
            future.result(TIMEOUT)
    assert others[0].result(TIMEOUT).value == 9
    assert not is_kept or futures[3].result(TIMEOUT).value == 3
    assert set(BEGUN) == {0, 1, 9} | ({3} if is_kept else set())
    # What is sent from here on, to clean up, begins.
    [later] = send(site, task_of(route, 7))
    assert later.result(TIMEOUT).value == 7


def test_what_was_let_go_of_does_not_begin_though_it_is_sent_here_only_now(site):
    """Dask keeps some tasks back, and may hand them out before it hears of it."""
    OVER.set()
    gone, later = task_of("0ff40000", 1), task_of("0ff40000", 2)
    site.client.run(interrupt_attempts, "0ff40000", frozenset(), frozenset({gone.key}))

    with pytest.raises(Hold):
        send(site, gone)[0].result(TIMEOUT)
    assert send(site, later)[0].result(TIMEOUT).value == 2
    assert BEGUN == [2]


def test_what_was_dropped_is_forgotten_with_its_task(site):
    desk = desk_of(site.worker)
    futures = send(site, *[task_of("0ff30000", number) for number in range(3)])
    site.wait(lambda: len(BEGUN) == 2)
    site.wait(lambda: len(desk._active) == 2)
    site.client.run(interrupt_attempts, "0ff30000", frozenset())
    keys = {one.key for one in futures}
    assert keys <= desk._dropped
    for one in futures:
        one.release()
    site.wait(lambda: keys.isdisjoint(site.worker.state.tasks))
    site.client.run(interrupt_attempts, "0ff40000", frozenset())
    assert keys.isdisjoint(desk._dropped)
