"""A session's life around its cluster: what comes early waits, what fails is told, what is kept is found."""

from __future__ import annotations

import threading

import pytest

from prefectlite.errors import ExecutorError, ResultUnavailable
from prefectlite.executors import session as sessions
from prefectlite.executors.cluster import Place
from prefectlite.executors.futures import Futures
from prefectlite.executors.protocol import RunBrief
from prefectlite.executors.session import DaskSession
from prefectlite.lowering.berths import Berths
from prefectlite.lowering.wrappers import Done, Slots, Succeeded

BRIEF = RunBrief("0" * 32, "flow")
KEY = ("f.one-1-00000000", -1, 1, 1, 1)


class FakeLink:
    reservations = ()

    def __init__(self, place, brief, deliver, deliver_logs, plugin_allowed, bundle_size, seconds):
        self.place = place
        self.sent, self.released = [], []
        self.nbytes = {}
        self.unplaced = {}
        self.is_deserted = False
        self.futures = Futures(place.client)
        self.berths = Berths()
        self.must_keep = True
        for number, future in place.values.items():
            self.futures.hold(future)
            self.berths.put(number, 1, future.key)

    def submit(self, lowered):
        self.sent.append(lowered)

    def release(self, spans):
        self.released += spans

    def room(self):
        return 12345

    def is_needed(self, parcel):
        return True

    def cancel(self):
        self.sent.append("cancel")

    def close(self, keep):
        self.futures.release_all(but=keep)


class FakeWatch:
    def __init__(self, link, stall_timeout):
        self.link = link

    def start(self): ...
    def stop(self): ...


class FakePlace(Place):
    """A place that somebody else closes, with the futures that a link would hold there."""

    values: dict

    def __init__(self, client, cluster=None, **values):
        super().__init__(client, "Fake", True, cluster)
        self.values = dict(enumerate(values.values(), 1))
        self.closed = []

    def settle(self): ...

    def close(self, force=False):
        self.closed.append(force)


def return_(value):
    return value


def err():
    raise ValueError("no")


def make_lock():
    return Succeeded(threading.Lock())


def _gone():
    raise OSError("gone")


class Gone:
    """A value that nobody can open."""

    def __reduce__(self):
        return _gone, ()


def make_gone():
    return Succeeded(Gone())


def seven(client):
    return client.submit(return_, Succeeded(7), key=KEY)


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


def test_what_is_submitted_before_the_cluster_is_up_is_sent_in_order(session, near):
    go, place = threading.Event(), FakePlace(near)

    def make():
        assert go.wait(10)
        return place

    session.start(make)
    session.submit("one")
    session.release([(1, 1, 1)])
    session.submit("two")
    assert "starting" in session.description
    assert session.room() == sessions.ROOM
    assert session.dashboard_link is None
    go.set()
    session._starter.join(10)
    session.submit("three")

    assert session._link.sent == ["one", "two", "three"]
    assert session.room() == 12345
    assert session._link.released == [(1, 1, 1)]
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
    session.release([(1, 1, 1)])
    session.close([])


def test_a_cancel_before_the_cluster_is_up_sends_nothing(session, near):
    go, place = threading.Event(), FakePlace(near)

    def make():
        assert go.wait(10)
        return place

    session.start(make)
    session.submit("one")
    session.cancel("enough")
    session.submit("two")
    go.set()
    session.close([(1, 1, 1)])
    session.close([(1, 1, 1)])

    assert session._link.sent == []
    assert place.closed == [True]
    assert not session.work(0.1)


def test_a_cluster_whose_link_fails_is_closed(session, near, monkeypatch, delivered):
    def fail(*_):
        raise ExecutorError("taken")

    monkeypatch.setattr(sessions, "import_object", lambda path: fail)
    place = FakePlace(near, near.cluster)
    started(session, lambda: place)
    session.close([])

    assert place.closed == [True]
    assert delivered == [()]


def test_a_failure_after_the_end_is_nobody_s(session, delivered):
    session.close([])
    started(session, lambda: pytest.fail("it is over"))

    assert delivered == []


def test_what_is_not_promised_is_described(session, near):
    session.attach(FakePlace(near))
    session._link.reservations = ["without this", "and that"]

    assert session.description == "Fake, without this, and that"


def cancelled(client):
    future = seven(client)
    client.cancel([future])
    return future


@pytest.mark.parametrize(
    ("submit", "status", "expected"),
    [
        (lambda client: client.submit(err, key=KEY), "error", "future is error"),
        (cancelled, "cancelled", "client was closed or restarted"),
        (lambda client: client.submit(return_, Done(), key=KEY), "finished", "dropped where it was made"),
        (lambda client: client.submit(make_gone, key=KEY), "finished", "could not be fetched.*gone"),
    ],
)
def test_a_result_that_is_gone_says_why(session, near, until, submit, status, expected):
    future = submit(near)
    until(lambda: future.status == status)
    session.attach(FakePlace(near, one=future))

    with pytest.raises(ResultUnavailable, match=expected):
        session.fetch(1, 1)


def test_a_result_that_nobody_holds_says_what_to_set(session, near):
    session.attach(FakePlace(near))

    with pytest.raises(ResultUnavailable, match="keep_result=True"):
        session.fetch(1, 1)


def test_a_result_is_unwrapped(session, near):
    session.attach(FakePlace(near, one=seven(near)))

    assert session.fetch(1, 1) == 7


def test_results_of_a_cluster_elsewhere_end_with_it_and_that_is_said(
    session, near, until, caplog, monkeypatch
):
    monkeypatch.setattr(FakePlace, "is_local", False, raising=False)
    place = FakePlace(near, near.cluster, one=seven(near))
    session.attach(place)
    session.close([(1, 1, 2)])

    assert "1 results of flow run" in caplog.text
    assert "ended with the cluster" in caplog.text
    place.values.clear()
    until(lambda: KEY not in near.cluster.scheduler.tasks)
    with pytest.raises(ResultUnavailable, match="ended"):
        session.fetch(1, 1)


def test_results_that_workers_cannot_write_down_are_told(session, near, until, caplog):
    futures = {"one": seven(near), "two": near.submit(make_lock, key=(*KEY[:4], 2))}
    until(lambda: all(future.status == "finished" for future in futures.values()))
    place = FakePlace(near, near.cluster, **futures)
    assert place.is_local
    session.attach(place)
    session.close([(1, 1, 2)])

    assert "1 results of flow run" in caplog.text
    assert "could not be written" in caplog.text
    assert session.fetch(1, 1) == 7
    with pytest.raises(ResultUnavailable, match="ended"):
        session.fetch(2, 1)
    session.drop()
    with pytest.raises(ResultUnavailable, match="ended"):
        session.fetch(1, 1)


def test_a_spool_that_somebody_removed_is_told(session):
    session._holdings._spooled[1, 1] = ("/nowhere/at/all", 0, 1)

    with pytest.raises(ResultUnavailable, match="is gone"):
        session.fetch(1, 1)


def test_an_interrupt_touches_no_worker(session):
    assert session.interrupt() is None


BUNDLE = (*KEY, 1)


def bundled(session, client, until):
    """A session that holds a bundle of runs 5 to 7, the second of which left no value."""
    future = client.submit(return_, Slots([Succeeded(1), Done(), Succeeded(3)]), key=BUNDLE)
    until(lambda: future.status == "finished")
    session.attach(FakePlace(client))
    session._link.futures.hold(future, 3)
    session._link.berths.put_row(range(5, 8), 1, BUNDLE, 0)
    return session


def test_a_value_of_a_bundle_is_found_in_its_slot(session, near, until):
    session = bundled(session, near, until)

    assert [session.fetch(run, 1) for run in (5, 7)] == [1, 3]
    with pytest.raises(ResultUnavailable, match="dropped where it was made"):
        session.fetch(6, 1)
    for run, submission in ((8, 1), (5, 2)):
        with pytest.raises(ResultUnavailable, match="keep_result=True"):
            session.fetch(run, submission)


@pytest.mark.parametrize(("keep", "is_kept"), [([(6, 1, 2)], True), ([(8, 1, 2)], False), ([], False)])
def test_a_bundle_stays_while_one_of_its_values_is_kept(session, near, near_cluster, until, keep, is_kept):
    session = bundled(session, near, until)
    session.close(keep)

    if is_kept:
        assert session.fetch(7, 1) == 3
    session.drop()
    until(lambda: BUNDLE not in near_cluster.scheduler.tasks)
    with pytest.raises(ResultUnavailable, match="ended"):
        session.fetch(7, 1)


def test_values_over_the_limit_are_not_kept_and_their_neighbours_are(session, near, until, caplog):
    session = bundled(session, near, until)
    session._link.nbytes = {(5, 1): 60, (7, 1): 60}
    session.close([(5, 1, 3)])

    assert "1 results of flow run" in caplog.text
    assert session._holdings._too_much == {(7, 1)}
    assert session.fetch(5, 1) == 1
