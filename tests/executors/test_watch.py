"""What is made of futures whose attempts said nothing."""

from __future__ import annotations

import threading

import distributed
import pytest
from dask._task_spec import Task, TaskRef
from distributed import Client
from packaging.version import Version

from prefectlite.executors.cargo import Cargo
from prefectlite.executors.cluster import Place
from prefectlite.executors.futures import Futures
from prefectlite.executors.watch import Watch
from prefectlite.lowering.shipment import Blob, Shipment
from prefectlite.lowering.wrappers import Done, Hold
from prefectlite.worker.wire import PLAIN

A = ("f.a-1-00000000", -1, 1, 1, 1)
B = ("f.b-1-00000000", -1, 1, 1, 1)


BLOB = Blob("", b"", None, None)


def sent(key):
    return Shipment(key, 0 if key == A else 1, 1, 1, key[0], BLOB, BLOB, b"", ())


class FakeLink:
    """A link with the books of two attempts, B after A."""

    def __init__(self, client, *futures):
        self.client = client
        self.place = Place(client, "here", False)
        self.route = "00000000"
        self.cargo = {A: Cargo(A, (sent(A),), ()), B: Cargo(B, (sent(B),), (A,))}
        self.futures = Futures(client)
        for future in futures:
            self.futures.hold(future)
        self.lost, self.held, self.told, self.gone = [], [], [], set()

    def give_up(self, lost):
        for one in lost:
            self.cargo.pop(one[0], None)
        self.lost += lost

    def hint(self, keys):
        for key in keys:
            self.cargo.pop(key, None)
        self.held += keys

    def hear(self, items):
        self.told += items

    is_slow = False

    def send_again(self):
        pass


def wait(gate, *_):
    gate.wait()


def be_done(*_):
    return Done(1.0, 2.0)


def hold():
    raise Hold


def _burst():
    raise OSError("not here")


class Bomb:
    """What can be packed and cannot be opened."""

    def __dask_tokenize__(self):
        return "bomb"

    def __reduce__(self):
        return _burst, ()


def send(client, first, second=None):
    """Send A, and B that needs it; returns their futures."""
    graph = {A: Task(A, *first)}
    if second is not None:
        graph[B] = Task(B, *second, TaskRef(A))
    return client.get(graph, list(graph), sync=False)


def look(link, times=1):
    watch = Watch(link)
    for _ in range(times):
        watch.look()
    return link


def statuses(futures):
    return [future.status for future in futures]


@pytest.fixture
def erred(until):
    """Makes a link whose two attempts erred; Dask repeats the first one's error to the second."""

    def make(client, first):
        futures = send(client, first, (be_done,))
        until(lambda: statuses(futures) == ["error", "error"])
        return FakeLink(client, *futures)

    return make


def test_pending_futures_and_those_not_made_yet_are_left_alone(near, gate, until):
    futures = send(near, (wait, gate))
    until(gate.is_reached)
    assert statuses(futures) == ["pending"]
    link = look(FakeLink(near, *futures), times=3)

    assert (link.lost, link.held) == ([], [])


def test_a_killed_worker_crashes_its_task_and_holds_what_waited_for_it(cluster_of, gate, until):
    client = cluster_of(1)
    cluster = client.cluster
    cluster.scheduler.allowed_failures = 0
    worker = cluster.workers[0]
    futures = send(client, (wait, gate), (be_done,))
    until(gate.is_reached)
    cluster.sync(worker.close, executor_wait=False)
    until(lambda: statuses(futures) == ["error", "error"])
    assert [type(future.exception()).__name__ for future in futures] == ["KilledWorker"] * 2
    link = look(FakeLink(client, *futures))

    assert [one[:2] for one in link.lost] == [(A, "worker-lost")]
    assert worker.address in link.lost[0][2]
    assert link.held == [B]


def test_an_error_of_dask_crashes_the_first_and_holds_the_rest(near, erred):
    link = look(erred(near, (be_done, Bomb())))

    assert [one[:2] for one in link.lost] == [(A, "not-run")]
    assert "deserialization" in link.lost[0][2]
    assert link.held == [B]


def test_a_held_attempt_is_given_time_for_its_report(near, erred):
    link = look(erred(near, (hold,)))

    assert (link.lost, link.held) == ([], [])


def test_a_held_attempt_whose_report_nobody_remembers_crashes(near, erred):
    link = look(erred(near, (hold,)), times=2)

    assert [one[:2] for one in link.lost] == [(A, "report-lost")]
    assert link.held == [B]


def test_a_bundle_that_erred_because_another_did_is_held_at_the_first_look(near, until):
    key = (*B, 3)
    graph = {A: Task(A, hold), key: Task(key, be_done, TaskRef(A))}
    futures = near.get(graph, list(graph), sync=False)
    until(lambda: statuses(futures) == ["error", "error"])
    link = FakeLink(near, *futures)
    link.cargo = {key: Cargo(key, (sent(B),), (A,))}  # the other was heard of

    assert (look(link).held, link.lost) == ([key], [])


def test_an_overdue_report_is_asked_for(near, near_worker, gate, until):
    futures = send(near, (be_done,), (wait, gate))
    until(gate.is_reached)
    until(lambda: statuses(futures) == ["finished", "pending"])
    link = FakeLink(near, *futures)
    watch = Watch(link)
    watch.look()
    assert link.told == []
    watch.look()

    assert [item[:3] for item in link.told] == [(PLAIN, A, near_worker.address)]
    assert link.told[0][3][:2] == (1.0, 2.0)
    assert link.lost == []


def test_when_nobody_can_be_asked_nothing_is_concluded(cluster_of, erred, until):
    client = cluster_of(1)
    cluster = client.cluster
    link = erred(client, (hold,))
    cluster.sync(cluster.workers[0].close)
    until(lambda: not cluster.scheduler.workers)
    look(link, times=3)

    assert (link.lost, link.held) == ([], [])


def lose_an_input(client, until):
    # What it needs is on the cluster no more when it is sent.
    return client.get({A: Task(A, be_done, TaskRef(B))}, [A], sync=False)


def lose_the_scheduler(client, until):
    futures = send(client, (be_done,))
    scheduler = client.cluster.scheduler
    until(lambda: A in scheduler.tasks)

    async def cut():
        scheduler.client_comms[client.id].abort()

    client.cluster.sync(cut)
    return futures


def restart(client, until):
    futures = send(client, (be_done,))
    client.restart(wait_for_workers=False)
    return futures


def cancel(client, until):
    futures = send(client, (be_done,))
    client.cancel(futures)
    return futures


@pytest.mark.parametrize(
    ("happen", "cause"),
    [
        (lose_an_input, "input-unreachable"),
        (lose_the_scheduler, "scheduler-lost"),
        (restart, "cancelled"),
        (cancel, "cancelled"),
    ],
)
def test_a_cancelled_future_says_why(cluster_of, until, happen, cause):
    client = cluster_of(0)
    futures = happen(client, until)
    until(lambda: statuses(futures) == ["cancelled"])
    link = look(FakeLink(client, *futures))

    if happen is lose_an_input and Version(distributed.__version__) < Version("2025.1"):
        cause = "cancelled"  # these do not say why
    assert [one[:2] for one in link.lost] == [(A, cause)]


def test_a_closed_client_crashes_all_that_is_in_flight(near_cluster, near, gate, until):
    with Client(near_cluster, set_as_default=False) as client:
        futures = send(client, (wait, gate), (be_done,))
        until(gate.is_reached)
    link = look(FakeLink(client, *futures))

    assert [one[:2] for one in link.lost] == [(A, "scheduler-lost"), (B, "scheduler-lost")]


def test_a_look_that_fails_does_not_end_the_watch(near, monkeypatch, caplog):
    link = FakeLink(near)
    link.doubt = threading.Event()
    looks = threading.Semaphore(0)
    watch = Watch(link)

    def fail():
        looks.release()
        raise RuntimeError("no")

    monkeypatch.setattr(watch, "look", fail)
    watch.start()
    for _ in range(2):
        link.doubt.set()
        assert looks.acquire(timeout=10)
    watch.stop()

    assert "could not be looked at" in caplog.text


@pytest.mark.parametrize(("status", "sent"), [("running", 1), ("connecting", 0), ("closed", 0)])
def test_nothing_is_sent_while_the_scheduler_is_looked_for(status, sent):
    class Away:
        pass

    client = Away()
    client.status = status
    link = FakeLink(client)
    calls = []
    link.send_again = lambda: calls.append(1)
    Watch(link).look()
    assert len(calls) == sent
    assert len(link.lost) == (2 if status == "closed" else 0)
