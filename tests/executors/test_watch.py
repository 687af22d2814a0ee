"""What is made of futures whose attempts said nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from prefectlite.executors import watch as watches
from prefectlite.executors.watch import Watch
from prefectlite.lowering.wrappers import Hold

A = ("f.a-1-00000000", -1, 1, 1, 1)
B = ("f.b-1-00000000", -1, 1, 1, 1)


class Future:
    def __init__(self, status, error=None):
        self.status = status
        self._state = SimpleNamespace(exception=error)

    def exception(self):
        return self._state.exception


class FakeLink:
    """A link with the books of two attempts, B after A."""

    def __init__(self, **futures):
        self.client = SimpleNamespace(status="running")
        self.place = SimpleNamespace(name="here")
        self.route = "00000000"
        self.flying = {key: (number, 1) for number, key in enumerate((A, B))}
        self.needs = {B: (A,)}
        self.futures = SimpleNamespace(get=lambda parcel: futures.get("ab"[parcel[0]]))
        self.lost, self.held, self.told = [], [], []

    def give_up(self, lost):
        for one in lost:
            self.flying.pop(one[0], None)
        self.lost += lost

    def hint(self, keys):
        for key in keys:
            self.flying.pop(key, None)
        self.held += keys

    def hear(self, items):
        self.told += items


class KilledWorker(Exception):
    def __init__(self, task):
        self.task = task
        self.last_worker = SimpleNamespace(address="tcp://w:1")


@pytest.fixture(autouse=True)
def nobody_answers(monkeypatch):
    monkeypatch.setattr(watches, "ask_workers", lambda *_, **__: {"tcp://w:1": []})


def look(link, times=1):
    watch = Watch(link)
    for _ in range(times):
        watch.look()
    return link


def test_pending_futures_and_those_not_made_yet_are_left_alone():
    link = look(FakeLink(a=Future("pending")), times=3)

    assert (link.lost, link.held) == ([], [])


def test_a_killed_worker_crashes_its_task_and_holds_what_waited_for_it():
    error = KilledWorker(A)
    link = look(FakeLink(a=Future("error", error), b=Future("error", error)))

    assert [one[:2] for one in link.lost] == [(A, "worker-lost")]
    assert "tcp://w:1" in link.lost[0][2]
    assert link.held == [B]


def test_an_error_of_dask_crashes_the_first_and_holds_the_rest():
    error = RuntimeError("Error during deserialization of the task graph.")
    link = look(FakeLink(a=Future("error", error), b=Future("error", error)))

    assert [one[:2] for one in link.lost] == [(A, "not-run")]
    assert "deserialization" in link.lost[0][2]
    assert link.held == [B]


def test_a_held_attempt_is_given_time_for_its_report():
    link = look(FakeLink(a=Future("error", Hold()), b=Future("error", Hold())))

    assert (link.lost, link.held) == ([], [])


def test_a_held_attempt_whose_report_nobody_remembers_crashes():
    link = look(FakeLink(a=Future("error", Hold()), b=Future("error", Hold())), times=2)

    assert [one[:2] for one in link.lost] == [(A, "report-lost")]
    assert link.held == [B]


def test_an_overdue_report_is_asked_for(monkeypatch):
    monkeypatch.setattr(watches, "ask_workers", lambda *_, **__: {"tcp://w:1": [("said", A)]})
    link = look(FakeLink(a=Future("finished"), b=Future("pending")), times=2)

    assert link.told == [("said", A)]
    assert link.lost == []


def test_when_nobody_can_be_asked_nothing_is_concluded(monkeypatch):
    monkeypatch.setattr(watches, "ask_workers", lambda *_, **__: {})
    link = look(FakeLink(a=Future("error", Hold()), b=Future("error", Hold())), times=3)

    assert (link.lost, link.held) == ([], [])


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("lost dependencies", "input-unreachable"),
        ("scheduler-connection-lost", "scheduler-lost"),
        ("scheduler-restart", "cancelled"),
        (None, "cancelled"),
    ],
)
def test_a_cancelled_future_says_why(reason, cause):
    error = Exception()
    error.reason = reason
    link = look(FakeLink(a=Future("cancelled", error), b=Future("pending")))

    assert [one[:2] for one in link.lost] == [(A, cause)]


def test_a_closed_client_crashes_all_that_is_in_flight():
    link = FakeLink(a=Future("pending"), b=Future("pending"))
    link.client.status = "closed"
    look(link)

    assert [one[:2] for one in link.lost] == [(A, "scheduler-lost"), (B, "scheduler-lost")]


def test_a_look_that_fails_does_not_end_the_watch(monkeypatch, caplog):
    import threading

    link = FakeLink()
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
