"""A session's life around its cluster: what comes early waits, what fails is told, what is kept is found."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from prefectlite.errors import ExecutorError, ResultUnavailable
from prefectlite.executors import session as sessions
from prefectlite.executors.cluster import Place
from prefectlite.executors.protocol import RunBrief
from prefectlite.executors.session import DaskSession
from prefectlite.lowering.wrappers import Done, Succeeded

BRIEF = RunBrief("0" * 32, "flow")


class FakeLink:
    has_plugin = True

    def __init__(self, place, brief, deliver, deliver_logs, plugin_allowed):
        self.place = place
        self.sent, self.released = [], []
        self.nbytes = {}
        self.futures = SimpleNamespace(
            get=lambda parcel: place.values.get(parcel), release_all=lambda but=(): None
        )

    def submit(self, lowered):
        self.sent.append(lowered)

    def release(self, parcels):
        self.released += parcels

    def is_needed(self, parcel):
        return True

    def cancel(self):
        self.sent.append("cancel")

    def close(self, keep):
        self.kept = list(keep)


class FakeWatch:
    def __init__(self, link):
        self.link = link

    def start(self): ...
    def stop(self): ...


class FakePlace(Place):
    values: dict

    def __init__(self, cluster=None):
        client = SimpleNamespace(dashboard_link="http://127.0.0.1:1/status", status="running")
        super().__init__(client, "Fake", True, cluster)
        self.values = {}
        self.closed = []

    def settle(self): ...

    def close(self, force=False):
        self.closed.append(force)


class Future:
    def __init__(self, value=None, status="finished", error=None):
        self.value, self.status, self.error, self.key = value, status, error, ("k", -1, 1, 1, 1)

    def result(self):
        if self.error is not None:
            raise self.error
        return self.value


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    found = {"link": FakeLink, "watch": FakeWatch}
    monkeypatch.setattr(sessions, "import_object", lambda path: found[path.split(".")[-1].split(":")[0]])


@pytest.fixture
def delivered():
    return []


@pytest.fixture
def session(delivered):
    return DaskSession(BRIEF, delivered.append, lambda lines: None, keep_limit=100)


def started(session, make):
    session.start(make)
    session._starter.join(10)


def test_what_is_submitted_before_the_cluster_is_up_is_sent_in_order(session):
    go, place = threading.Event(), FakePlace()

    def make():
        assert go.wait(10)
        return place

    session.start(make)
    session.submit("one")
    session.release([(1, 1)])
    session.submit("two")
    assert "starting" in session.description
    assert session.dashboard_link is None
    go.set()
    session._starter.join(10)
    session.submit("three")

    assert session._link.sent == ["one", "two", "three"]
    assert session._link.released == [(1, 1)]
    assert session.description == "Fake"
    assert session.dashboard_link.endswith("/status")


@pytest.mark.parametrize("error", [ExecutorError("no such place"), RuntimeError("no such place")])
def test_a_place_that_cannot_start_wakes_the_driver_and_is_raised_by_the_next_call(session, delivered, error):
    def make():
        raise error

    started(session, make)

    assert delivered == [()]
    with pytest.raises(ExecutorError, match="no such place"):
        session.work(0.1)
    with pytest.raises(ExecutorError, match="no such place"):
        session.submit("one")
    session.release([(1, 1)])
    session.close([])


def test_a_cancel_before_the_cluster_is_up_sends_nothing(session):
    go, place = threading.Event(), FakePlace()

    def make():
        assert go.wait(10)
        return place

    session.start(make)
    session.submit("one")
    session.cancel("enough")
    session.submit("two")
    go.set()
    session.close([(1, 1)])
    session.close([(1, 1)])

    assert session._link.sent == []
    assert place.closed == [False]
    assert not session.work(0.1)


def test_a_cluster_whose_link_fails_is_closed(session, monkeypatch, delivered):
    def fail(*_):
        raise ExecutorError("taken")

    monkeypatch.setattr(sessions, "import_object", lambda path: fail)
    place = FakePlace(cluster=SimpleNamespace())
    started(session, lambda: place)
    session.close([])

    assert place.closed == [True]
    assert delivered == [()]


def test_a_failure_after_the_end_is_nobody_s(session, delivered):
    session.close([])
    started(session, lambda: pytest.fail("it is over"))

    assert delivered == []


def test_the_plugin_s_absence_is_described(session):
    session.attach(FakePlace())
    session._link.has_plugin = False

    assert session.description == "Fake, reports by topic"


@pytest.mark.parametrize(
    ("future", "expected"),
    [
        (None, "keep_result=True"),
        (Future(status="error"), "future is error"),
        (Future(status="cancelled"), "future is cancelled"),
        (Future(Done()), "dropped where it was made"),
        (Future(error=OSError("gone")), "could not be fetched"),
    ],
)
def test_a_result_that_is_gone_says_why(session, future, expected):
    place = FakePlace()
    place.values = {(1, 1): future}
    session.attach(place)

    with pytest.raises(ResultUnavailable, match=expected):
        session.fetch(1, 1)


def test_a_result_is_unwrapped(session):
    place = FakePlace()
    place.values = {(1, 1): Future(Succeeded(7))}
    session.attach(place)

    assert session.fetch(1, 1) == 7


def test_results_of_a_cluster_elsewhere_end_with_it_and_that_is_said(session, caplog, monkeypatch):
    monkeypatch.setattr(FakePlace, "is_local", False, raising=False)
    place = FakePlace(cluster=SimpleNamespace())
    place.values = {(1, 1): Future(Succeeded(7))}
    session.attach(place)
    session.close([(1, 1), (2, 1)])

    assert "ended with the cluster" in caplog.text
    place.values.clear()
    with pytest.raises(ResultUnavailable, match="ended"):
        session.fetch(1, 1)


def test_results_that_workers_cannot_write_down_are_told(session, caplog, monkeypatch):
    monkeypatch.setattr(FakePlace, "is_local", True, raising=False)
    monkeypatch.setattr(sessions, "ask_workers", lambda *_, **__: {})
    place = FakePlace(cluster=SimpleNamespace())
    place.values = {(1, 1): Future(Succeeded(7))}
    session.attach(place)
    session.close([(1, 1)])
    session.drop()

    assert "could not be written" in caplog.text


def test_a_spool_that_somebody_removed_is_told(session):
    session._spooled[1, 1] = ("/nowhere/at/all", 0, 1)

    with pytest.raises(ResultUnavailable, match="is gone"):
        session.fetch(1, 1)


def test_an_interrupt_touches_no_worker(session):
    assert session.interrupt() is None
