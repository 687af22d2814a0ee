"""The small parts between client, scheduler and workers, one by one."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import distributed
import pytest
from distributed import Client, LocalCluster, Worker

import prefectlite
from prefectlite import Flow, Task
from prefectlite.errors import ExecutorError
from prefectlite.executors import reach
from prefectlite.executors.cluster import Place, ask_workers, import_object
from prefectlite.executors.dask import DaskExecutor, LocalDaskExecutor
from prefectlite.executors.ears import listen, unlisten
from prefectlite.executors.futures import Futures, _release
from prefectlite.executors.link import Link
from prefectlite.executors.plugin import ReportPlugin
from prefectlite.lowering.envelope import FlowFacts
from prefectlite.lowering.wrappers import Done, Held, Noted, Succeeded
from prefectlite.masking import hide
from prefectlite.states import Cached
from prefectlite.states.report import Report
from prefectlite.worker import desk as desks
from prefectlite.worker import entry, spool
from prefectlite.worker.marks import FILE_NAME, Marks
from prefectlite.worker.wire import HELD, MARK, PLAIN, STARTED, plain_report, told_of

KEY = ("etl.load-1-0123abcd", -1, 1, 1, 1)
OTHER_KEY = ("etl.other-1-0123abcd", -1, 1, 1, 1)


class Endless:
    def __len__(self):
        raise RuntimeError("endless")


def hand_over(value):
    return value


def in_loop(client, act, *arguments):
    async def run():
        return act(*arguments)

    return client.sync(run)


def pending(client, until, *keys):
    """Futures of keys that no worker is there to run."""
    futures = [client.submit(abs, -1, key=key) for key in keys]
    until(lambda: set(client.cluster.scheduler.tasks) >= set(keys))
    return futures


def test_futures_are_released_with_one_message_and_only_by_their_last_holder(cluster_of, until):
    client = cluster_of(0)
    scheduler = client.cluster.scheduler
    [stale] = pending(client, until, "a")
    client.restart(wait_for_workers=False)
    until(lambda: client.generation == 1 and not scheduler.tasks)
    a, b, again, c = pending(client, until, "a", "b", "b", "c")
    in_loop(client, _release, client, [stale, b, a, a, c])
    until(lambda: set(scheduler.tasks) == {"b"})

    assert dict(client.refcount) == {"b": 1}
    assert set(client.futures) == {"b"}
    assert (a.status, again.status, c.status) == ("cancelled", "pending", "cancelled")
    # A message of the client is one stimulus of the scheduler.
    messages = {one[0]: one[4] for one in scheduler.transition_log if one[2] == "forgotten"}
    assert messages["a"] == messages["c"]


def test_a_closed_client_is_sent_nothing(cluster_of, until):
    client = cluster_of(0)
    [future] = pending(client, until, "a")
    client.close()
    _release(client, [future])

    assert not client.refcount
    with pytest.raises(Exception, match=r"[Cc]los"):
        client._send_to_scheduler({"op": "client-releases-keys", "keys": ["a"], "client": client.id})


def test_a_client_that_keeps_other_books_releases_one_by_one(cluster_of, until, monkeypatch):
    client = cluster_of(0)
    futures = pending(client, until, "a", "b", "b")

    def release_without_the_lock():
        with monkeypatch.context() as other:
            other.delattr(client, "_refcount_lock")
            _release(client, futures[:2])

    in_loop(client, release_without_the_lock)
    until(lambda: set(client.cluster.scheduler.tasks) == {"b"})

    assert dict(client.refcount) == {"b": 1}


def test_letting_go_after_the_client_s_loop_is_over_is_no_error():
    async def main():
        async with (
            LocalCluster(
                n_workers=0, processes=False, asynchronous=True, dashboard_address=":0", silence_logs=False
            ) as cluster,
            Client(cluster, asynchronous=True, set_as_default=False) as client,
        ):
            futures = Futures(client)
            futures.hold(client.submit(abs, -1, key=KEY))
            return client, futures

    client, futures = asyncio.run(main())
    assert client.loop.asyncio_loop.is_closed()
    futures.release_all()

    assert futures.get(KEY) is None


def test_a_bundle_stays_until_all_of_its_attempts_were_let_go_of(cluster_of, until):
    client = cluster_of(0)
    scheduler = client.cluster.scheduler
    bundle, alone, shared = pending(client, until, KEY, OTHER_KEY, "shared")
    futures = Futures(client)
    futures.hold(bundle, 5)
    futures.hold(alone)
    futures.share([shared])

    futures.give_back([(KEY, 3), (("unknown", -1, 1, 1, 1), 1)])
    assert futures.get(KEY) is bundle
    futures.give_back([(OTHER_KEY, 1)])
    until(lambda: set(scheduler.tasks) == {KEY, "shared"})
    futures.give_back([(KEY, 1), (KEY, 1)])
    until(lambda: set(scheduler.tasks) == {"shared"})
    assert futures.get(KEY) is futures.get(OTHER_KEY) is None
    futures.give_back([(KEY, 1)])
    futures.release_all()
    until(lambda: not scheduler.tasks)


def test_what_is_kept_outlives_all_else(cluster_of, until):
    client = cluster_of(0)
    scheduler = client.cluster.scheduler
    bundle, alone, shared = pending(client, until, KEY, OTHER_KEY, "shared")
    futures = Futures(client)
    futures.hold(bundle, 5)
    futures.hold(alone)
    futures.share([shared])

    futures.release_all(but=[KEY, ("unknown", -1, 1, 1, 1)])
    until(lambda: set(scheduler.tasks) == {KEY})
    assert futures.get(KEY) is bundle
    futures.release_all()
    until(lambda: not scheduler.tasks)


@pytest.mark.parametrize("path", ["nothing", "json.nothing", "no_such_module:Name", ":", ""])
def test_a_string_that_names_nothing_is_explained(path):
    with pytest.raises(ExecutorError, match="cannot be imported"):
        import_object(path)


def test_a_string_names_a_class():
    assert import_object("threading:Lock") is import_object("threading.Lock") is threading.Lock


async def hang(gate):
    await asyncio.to_thread(gate.wait)


def test_workers_that_do_not_answer_in_time_are_not_waited_for(near, near_cluster, near_worker, gate, until):
    assert ask_workers(near, abs, -1, timeout=9) == {near_worker.address: 1}
    begun = time.monotonic()
    assert ask_workers(near, hang, gate, timeout=0.05) == {}
    until(gate.is_reached)
    with Client(near_cluster, set_as_default=False) as closed:
        pass
    assert ask_workers(closed, abs, -1, timeout=9) == {}
    assert time.monotonic() - begun < 8


@pytest.fixture(scope="module")
def scheduler_elsewhere(tmp_path_factory):
    """A client of a scheduler in a process of its own."""
    file = tmp_path_factory.mktemp("elsewhere") / "scheduler.json"
    options = [
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--dashboard-address",
        ":0",
        "--scheduler-file",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", *options, str(file)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
    )
    try:
        with Client(scheduler_file=str(file), set_as_default=False, timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        ("import sys; sys.modules['prefectlite'] = None", "cannot be imported on the scheduler"),
        ("import prefectlite; prefectlite.__version__ = '0.0.1'", "0.0.1 on the scheduler .host "),
    ],
)
def test_the_scheduler_s_version_is_asked(scheduler_elsewhere, happened, expected):
    place = Place(scheduler_elsewhere, "here", False)
    reach.check_versions(place)
    assert place.description == "here, 0 workers"
    scheduler_elsewhere.run_on_scheduler(exec, happened)
    try:
        with pytest.raises(ExecutorError, match=expected):
            reach.check_versions(place)
    finally:
        scheduler_elsewhere.run_on_scheduler(exec, "import sys; sys.modules.pop('prefectlite')")


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        (
            "import distributed; distributed.__version__ = '2020.1.0'",
            "Dask is 2020.1.0 on the scheduler (host ",
        ),
        ("import sys; sys.version_info = (3, 9, 1)", "Python is 3.9 on the scheduler (host "),
    ],
)
def test_another_dask_or_python_of_the_scheduler_is_warned_of(
    scheduler_elsewhere, caplog, happened, expected
):
    mend = f"import sys, distributed; distributed.__version__ = {distributed.__version__!r}"
    scheduler_elsewhere.run_on_scheduler(exec, happened)
    try:
        with caplog.at_level(logging.WARNING, "prefectlite"):
            reach.check_versions(Place(scheduler_elsewhere, "here", False))
    finally:
        scheduler_elsewhere.run_on_scheduler(exec, f"{mend}; sys.version_info = {tuple(sys.version_info)}")

    assert expected in caplog.text


def test_a_worker_with_another_python_is_refused():
    there = ("far", prefectlite.__version__, "3.9", distributed.__version__)

    with pytest.raises(
        ExecutorError, match=r"Python is 3\.9 on the worker tcp://w .host far.*Use one version"
    ):
        reach._judge({"the worker tcp://w": there})


def test_a_scheduler_that_may_not_be_asked_is_not_asked(cluster_of):
    client = cluster_of(0, blocked_handlers=["run_function"])
    with pytest.raises(ValueError, match="run_function"):
        client.run_on_scheduler(abs, -1)
    place = Place(client, "here", False)
    reach.check_versions(place)
    assert place.description == "here, 0 workers"

    client.cluster.scale(1)
    client.wait_for_workers(1)
    reach.check_versions(place)
    assert place.description == "here, 1 worker"


def test_workers_that_have_said_their_version_are_not_asked_again(cluster_of, until, monkeypatch):
    client = cluster_of(1)
    scheduler = client.cluster.scheduler
    (old,) = scheduler.workers
    asked = []

    def ask(*arguments, workers=None, **options):
        asked.append(workers)
        return ask_workers(*arguments, workers=workers, **options)

    monkeypatch.setattr(reach, "ask_workers", ask)
    place = Place(client, "here", False)
    for _ in range(2):
        reach.check_versions(place)
    client.register_plugin(ReportPlugin())
    reach.check_versions(place)
    assert asked == [[old]]

    client.cluster.scale(2)
    until(lambda: len(scheduler.workers) == 2)
    (new,) = {*scheduler.workers} - {old}
    for _ in range(2):
        reach.check_versions(place)
    assert asked == [[old], [new]]
    assert place.description == "here, 2 workers"


def test_only_workers_of_the_client_s_own_scheduler_are_asked(cluster_of, near):
    place = Place(cluster_of(0), "here", False)
    reach.check_versions(place)
    assert place.description == "here, 0 workers"


def test_the_second_run_on_a_client_asks_no_worker_again(cluster_of, monkeypatch):
    client = cluster_of(1)
    asked = []

    def ask(*arguments, workers=None, **options):
        asked.append(workers)
        return ask_workers(*arguments, workers=workers, **options)

    monkeypatch.setattr(reach, "ask_workers", ask)
    for _ in range(2):
        assert Flow("again", tasks=[Task()]).run(executor=DaskExecutor(client)).is_successful()
    assert asked == [[*client.cluster.scheduler.workers]]


def test_a_worker_of_another_version_is_refused_each_time(cluster_of, monkeypatch):
    client = cluster_of(1)
    client.register_plugin(ReportPlugin())
    place = Place(client, "here", False)
    reach.check_versions(place)
    client.cluster.scale(2)
    client.wait_for_workers(2)
    monkeypatch.setattr(reach, "ask_workers", lambda *_, **__: {"tcp://w": ("host", "0.0.1", "3.9", "")})
    for _ in range(2):
        with pytest.raises(ExecutorError, match=r"0\.0\.1 on the worker tcp://w \(host host\)"):
            reach.check_versions(place)


def test_a_worker_that_could_not_say_its_version_is_asked_again(cluster_of, monkeypatch):
    client = cluster_of(1)
    place = Place(client, "here", False)
    (address,) = client.cluster.scheduler.workers
    asked = []

    def ask(*_, workers, **__):
        asked.append(workers)
        return {address: OSError("no connection")} if len(asked) == 1 else {address: eval(reach._VERSION)}

    monkeypatch.setattr(reach, "ask_workers", ask)
    for _ in range(3):
        reach.check_versions(place)
    assert asked == [[address], [address]]


class Listener:
    def __init__(self):
        self.heard = []

    def hear(self, items):
        self.heard += items


def tell(client, route, word):
    """What our plugin does, which knows its clients."""
    event = {"op": "event", "topic": MARK, "event": (0.0, (route, [word]))}
    in_loop(client, lambda: client.cluster.scheduler.report(event, client=client.id))


def test_a_client_that_is_told_by_its_name_does_not_subscribe(cluster_of, until):
    client = cluster_of(0)
    first, second = Listener(), Listener()
    listen(client, "1", first, by_name=True)
    tell(client, "1", "early")
    until(lambda: first.heard)
    unlisten(client, "1")
    tell(client, "1", "late")
    listen(client, "2", second, by_name=True)
    tell(client, "2", "word")
    until(lambda: second.heard)
    assert (first.heard, second.heard) == (["early"], ["word"])
    assert MARK not in client.cluster.scheduler._broker._topics


def test_a_client_can_hear_before_its_scheduler_knows_of_the_run(near, monkeypatch):
    could_hear, opened = [], Link._open

    def open_late(link):
        could_hear.append(MARK in link.client._event_handlers)
        return opened(link)

    monkeypatch.setattr(Link, "_open", open_late)
    near._event_handlers.pop(MARK, None)
    with prefectlite.Flow("heard") as flow:
        prefectlite.task(lambda: 1, name="one")()

    assert flow.run(executor=DaskExecutor(near)).is_successful()
    assert all(could_hear)


def test_a_client_that_is_told_through_a_topic_subscribes_while_a_run_listens(cluster_of, until):
    client = cluster_of(0)
    topics = client.cluster.scheduler._broker._topics
    beside = Listener()
    listen(client, "0", beside, by_name=True)
    for route in "12":
        one = Listener()
        listen(client, route, one, by_name=False)
        until(lambda: topics[MARK].subscribers == {client.id})
        client.log_event(MARK, (route, ["word"]))
        until(lambda one=one: one.heard)
        unlisten(client, route)
    assert topics[MARK].subscribers
    unlisten(client, "0")
    until(lambda: not topics[MARK].subscribers)


def test_an_executor_shows_how_it_was_made():
    assert repr(DaskExecutor(cluster_kwargs={"n_workers": 1}, adapt_kwargs={"maximum": 2})) == (
        "DaskExecutor(cluster_kwargs={'n_workers': 1}, adapt_kwargs={'maximum': 2})"
    )
    assert repr(DaskExecutor(scheduler_file="s.json")) == "DaskExecutor('s.json')"


def test_an_executors_options_by_position_are_in_the_order_of_prefect_1():
    given = [None, "a.B", {"x": 1}, {"minimum": 1}, {"timeout": 3}, True, "report.html", False, True]
    names = ["cluster_class", "cluster_kwargs", "adapt_kwargs", "client_kwargs", "debug"]
    names += ["performance_report_path", "disable_cancellation_event", "watch_worker_status"]
    by_place, by_name = DaskExecutor(*given), DaskExecutor(**dict(zip(names, given[1:], strict=True)))
    assert vars(by_place) == vars(by_name)
    assert repr(by_place) == "DaskExecutor('a.B', cluster_kwargs={'x': 1}, adapt_kwargs={'minimum': 1})"


def test_a_desk_announces_a_long_attempt_once_and_comes_to_rest(bench, monkeypatch):
    monkeypatch.setattr("prefectlite.worker.active.LONG", 0.0)
    monkeypatch.setattr(desks, "TICK", 0.01)

    async def test(b):
        worker = await b.worker()
        await b.open()
        desk = desks.desk_of(worker)
        assert desks.desk_of(worker) is desk
        first = desk.begin(KEY, False)
        first.enter()
        await b.until(lambda: b.items)
        # One that comes later shows that the desk has looked again.
        second = await asyncio.to_thread(desk.begin, OTHER_KEY, False)
        second.enter()
        await b.until(lambda: len(b.items) > 1)
        for active in (first, second):
            active.leave()
            desk.end(active)
        monkeypatch.setattr(desks, "REST", 0.0)
        await b.until(lambda: not desk._is_awake)
        third = desk.begin(KEY, False)
        third.enter()
        await b.until(lambda: len(b.items) > 2)
        assert b.items == [
            (STARTED, active.key, worker.address, active.started) for active in (first, second, third)
        ]
        third.leave()
        desk.end(third)

    bench(test)


def test_a_desk_whose_worker_is_gone_stops(bench, monkeypatch):
    monkeypatch.setattr("prefectlite.worker.active.LONG", 0.0)

    async def test(b):
        worker = await Worker(b.scheduler.address, nthreads=1, local_directory=str(b.folder))
        desk, watched = desks.Desk(worker), weakref.ref(worker)
        desk.begin(KEY, False).enter()
        await worker.close()
        del worker

        def is_gone():
            gc.collect()
            return watched() is None

        await b.until(is_gone)
        desk._tick()

    bench(test)


def test_a_desk_that_cannot_open_a_flow_leaves_it_to_the_attempt(near_worker):
    level, desk = logging.getLogger().level, desks.Desk(near_worker)
    desk.capture(b"no pickle")

    assert logging.getLogger().level == level


def test_a_desk_listens_while_attempts_run_and_not_after(bench):
    root = logging.getLogger()
    flow = pickle.dumps(FlowFacts("0123abcd" * 4, "etl", log_level=5))

    async def test(b):
        level, desk = root.level, desks.Desk(await b.worker())
        desk.capture(flow)
        desk.capture(flow)
        active = desk.begin(KEY, True)
        desk.rest()
        assert root.level == 5
        desk.say(active.route, active.by_topic, (HELD, KEY))
        await b.until(lambda: b.heard)
        assert b.heard == [[(HELD, KEY)]]
        desk.end(active)
        desk.rest()
        assert root.level == level

    bench(test)


def test_a_desk_that_goes_to_rest_as_an_attempt_begins_tells_of_it(bench, monkeypatch):
    monkeypatch.setattr("prefectlite.worker.active.LONG", 0.0)
    monkeypatch.setattr(desks, "REST", -1.0)

    class Seen(dict):
        """What runs; an attempt begins just after the desk has looked for the first time."""

        def __len__(self):
            found = super().__len__()
            if not begun:
                begun.append(KEY)
                actives.append(made[0].begin(KEY, True))
                actives[0].enter()
            return found

    async def test(b):
        desk = desks.Desk(await b.worker())
        made.append(desk)
        desk._active = Seen()
        desk._is_awake = True
        desk._tick()
        await b.until(lambda: b.heard)
        assert b.heard[0][0][:2] == (STARTED, KEY)
        actives[0].leave()
        desk.end(actives[0])

    begun, actives, made = [], [], []
    bench(test)


def test_threads_that_begin_at_once_share_one_book_of_marks(near_worker):
    """Each with a book of its own, one's death would be told as the other's success."""
    marks = Path(near_worker.local_directory) / FILE_NAME
    had_marks = marks.exists()
    if not had_marks:
        Marks(near_worker.local_directory, threads=2)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            desk, start, begun = desks.Desk(near_worker), threading.Barrier(2), []

            def work(key, desk=desk, start=start, begun=begun):
                start.wait(10)
                active = desk.begin(key, True)
                begun.append(active.begun)
                desk.end(active)

            threads = [threading.Thread(target=work, args=[key]) for key in (KEY, OTHER_KEY)]
            for one in threads:
                one.start()
            for one in threads:
                one.join(10)
            assert desk._marks is not None
            assert len({one.place for one in begun}) == 2
            assert len({one.record.place for one in begun}) == 2
    finally:
        sys.setswitchinterval(interval)
        if not had_marks:
            marks.unlink()


def test_a_desk_remembers_the_latest_reports_only(near, near_worker, monkeypatch):
    monkeypatch.setattr(desks, "MEMORY", 2)
    desk = desks.desk_of(near_worker)
    keys = [(name, -1, 1, 1, 1) for name in ("a", "b", "c")]
    for key in keys:
        desk.remember(key, (key[0],))

    assert [desk.recall(key) for key in keys] == [None, ("b",), ("c",)]
    assert near.run(entry.retell, dict.fromkeys(keys, ())) == {near_worker.address: [("b",), ("c",)]}


@pytest.mark.parametrize(
    ("wrapper", "measure", "expected"),
    [
        (Succeeded([[1], [2, 3]], 1.0, 2.0), ("length", "flat"), (2, 3, None)),
        (Succeeded([[1], [2, 3]], 1.0, 2.0), ("length",), (2, None, None)),
        (Succeeded([[1], [2, 3]], 1.0, 2.0), (), (None, None, None)),
        (Succeeded({1}, 1.0, 2.0), ("length",), (None, None, "a set")),
        (Succeeded(Endless(), 1.0, 2.0), ("flat",), (None, None, "an Endless has no elements")),
        (Done(1.0, 2.0), ("length",), (None, None, None)),
    ],
)
def test_a_report_is_told_again_from_the_value(near, near_worker, until, wrapper, measure, expected):
    future = near.submit(hand_over, wrapper, key=KEY)
    until(lambda: future.status == "finished")

    answers = near.run(entry.retell, {KEY: measure, ("unknown", -1, 1, 1, 1): ()})

    [(kind, key, where, facts)] = answers.pop(near_worker.address)
    assert (kind, key, where, answers) == (PLAIN, KEY, near_worker.address, {})
    assert facts[:2] == (1.0, 2.0)
    length, flat, why = facts[4:7]
    assert (length, flat) == expected[:2]
    assert (why or "").startswith(expected[2] or "")


def test_what_was_found_or_stored_is_told_again_with_its_value(near, near_worker, until):
    report = Report(None, 1.0, 2.0, success=Cached("found"), location="there")
    future = near.submit(hand_over, Noted(1, 1.0, 2.0, 1, told_of(report)), key=KEY)
    until(lambda: future.status == "finished")

    [(_, _, where, facts)] = near.run(entry.retell, {KEY: ()})[near_worker.address]
    again = plain_report(facts, where)
    assert (again.success, again.success.message, again.location) == (Cached("found"), "found", "there")
    assert pickle.loads(again.inline) == 1


def test_what_is_to_be_tried_again_is_told_again_as_it_was_said(near, near_worker, until):
    future = near.submit(hand_over, Held((HELD, KEY)), key=KEY)
    until(lambda: future.status == "finished")

    assert near.run(entry.retell, {KEY: ()}) == {near_worker.address: [(HELD, KEY)]}


def make(kind):
    values = {"plain": 1, "lambda": lambda: 2, "lock": threading.Lock()}
    return Done() if kind == "done" else Succeeded(values[kind])


def test_values_that_pickle_refuses_are_written_by_value_or_left_out(near, near_worker, until, tmp_path):
    keys = [(name, -1, 1, 1, 1) for name in ("plain", "lambda", "lock", "done", "missing")]
    futures = [near.submit(make, key[0], key=key) for key in keys[:-1]]
    until(lambda: all(future.status == "finished" for future in futures))

    slots = near.run(spool.write_spool, str(tmp_path), [(key, -1) for key in keys])[near_worker.address]

    assert list(slots) == [(key, -1) for key in keys[:2]]
    assert spool.read_spool(slots[keys[0], -1]) == 1
    assert spool.read_spool(slots[keys[1], -1])() == 2


def test_a_value_with_a_secret_in_it_is_kept_and_not_written(near, near_worker, until, tmp_path):
    hide("spool-hush-1c9")
    value = {"url": "https://me:spool-hush-1c9@host"}
    future = near.submit(hand_over, Succeeded(value), key=KEY)
    until(lambda: future.status == "finished")

    [slot] = near.run(spool.write_spool, str(tmp_path), [(KEY, -1)])[near_worker.address].values()

    assert spool.read_spool(slot) == value
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b""]


def test_executors_have_what_they_were_given_as_attributes_which_may_be_changed() -> None:
    given: dict[str, Any] = {"cluster_class": "distributed.LocalCluster", "cluster_kwargs": {"n_workers": 2}}
    more: dict[str, Any] = {
        "adapt_kwargs": {"minimum": 1},
        "client_kwargs": {"timeout": 3},
        "watch_worker_status": True,
        "disable_cancellation_event": True,
    }
    executor = DaskExecutor(**given, **more, performance_report_path="report.html")
    for name, value in {**given, **more, "address": None, "performance_report_path": "report.html"}.items():
        assert getattr(executor, name) == value, name
    executor.cluster_kwargs["n_workers"] = 3
    assert "{'n_workers': 3}" in repr(executor)
    assert DaskExecutor("tcp://10.0.0.1:8786").address == "tcp://10.0.0.1:8786"
    assert DaskExecutor(address="tcp://10.0.0.1:8786").address == "tcp://10.0.0.1:8786"
    assert DaskExecutor("a.B").cluster_class == "a.B"
    assert (LocalDaskExecutor().scheduler, LocalDaskExecutor().dask_config) == ("threads", {})
    processes = LocalDaskExecutor("multiprocessing", num_workers=2)
    assert (processes.scheduler, processes.dask_config) == ("processes", {"num_workers": 2})
