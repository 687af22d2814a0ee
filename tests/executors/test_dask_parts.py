"""The small parts between client, scheduler and workers, one by one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from types import SimpleNamespace

import pytest

from prefectlite.errors import ExecutorError
from prefectlite.executors import reach
from prefectlite.executors.cluster import Place, ask_workers, import_object
from prefectlite.executors.dask import DaskExecutor
from prefectlite.executors.futures import Futures, _release
from prefectlite.executors.plugin import ReportPlugin
from prefectlite.lowering.wrappers import Done, Succeeded
from prefectlite.worker import desk as desks
from prefectlite.worker import entry, spool
from prefectlite.worker.wire import ERRED, MARK, PLAIN

KEY = ("etl.load-1-0123abcd", -1, 1, 1, 1)


class FakeScheduler:
    """What the plugin sees of a scheduler."""

    def __init__(self):
        self.handlers, self.stream_handlers, self.plugins, self.tasks, self.workers = {}, {}, {}, {}, {}
        self.loop = SimpleNamespace(asyncio_loop=asyncio.get_running_loop())
        self.sent = []

    def add_plugin(self, plugin, name):
        self.plugins[name] = plugin

    def remove_plugin(self, name):
        del self.plugins[name]

    def report(self, message, client):
        self.sent.append((client, *message["event"][1]))


def with_plugin(test):
    async def main():
        scheduler, plugin = FakeScheduler(), ReportPlugin()
        await plugin.start(scheduler)
        await test(scheduler, plugin)

    asyncio.run(main())


def finish(plugin, key=KEY, said=(1.0,)):
    plugin.transition(key, "processing", "memory", stimulus_id="", metadata={MARK: said}, worker="w")


def test_the_plugin_is_on_the_scheduler_only_while_somebody_listens():
    async def test(scheduler, plugin):
        assert plugin.open("c", "0123abcd") == "open"
        assert plugin.open("c", "0123abcd") == "taken"
        assert scheduler.plugins == {MARK: plugin}
        plugin.remove_client(scheduler, "another")
        assert scheduler.plugins
        plugin.remove_client(scheduler, "c")
        assert not scheduler.plugins
        assert scheduler.stream_handlers
        finish(plugin)
        plugin.say("0123abcd", [(1,)])

    with_plugin(test)


def test_a_lonely_report_leaves_at_once_and_a_crowd_together():
    async def test(scheduler, plugin):
        plugin.open("c", "0123abcd")
        finish(plugin)
        await asyncio.sleep(0.001)
        assert [len(items) for _, _, items in scheduler.sent] == [1]
        for _ in range(300):
            finish(plugin)
        assert [len(items) for _, _, items in scheduler.sent] == [1, 256]
        await asyncio.sleep(0.1)
        assert [len(items) for _, _, items in scheduler.sent] == [1, 256, 44]

    with_plugin(test)


def test_a_report_whose_reader_was_lowered_ahead_waits_for_company_but_not_behind_urgent_ones():
    async def test(scheduler, plugin):
        plugin.open("c", "0123abcd")
        plugin._last_flush = asyncio.get_running_loop().time()
        scheduler.tasks[KEY] = SimpleNamespace(dependents=[1], metadata={MARK: (1.0,), "theirs": 2})
        finish(plugin)
        await asyncio.sleep(0.02)
        assert not scheduler.sent
        assert scheduler.tasks[KEY].metadata == {"theirs": 2}
        finish(plugin, ("etl.other-1-0123abcd", -1, 1, 1, 1))
        await asyncio.sleep(0.015)
        assert [len(items) for _, _, items in scheduler.sent] == [2]

    with_plugin(test)


def test_other_people_s_transitions_are_passed_over():
    async def test(scheduler, plugin):
        plugin.open("c", "0123abcd")
        for key in ("inc-0123abcd", (1, 2), ("inc-deadbeef", 0), b"x"):
            plugin.transition(key, "processing", "erred", stimulus_id="")
            plugin.transition(key, "processing", "released", stimulus_id="")
            plugin.transition(key, "processing", "memory", stimulus_id="", metadata=None)
        await asyncio.sleep(0.02)
        assert not scheduler.sent

    with_plugin(test)


def test_an_error_is_told_unless_the_attempt_held():
    async def test(scheduler, plugin):
        plugin.open("c", "0123abcd")
        plugin.transition(KEY, "processing", "erred", stimulus_id="", exception_text="Hold()")
        plugin.transition(KEY, "processing", "erred", stimulus_id="", exception_text="KilledWorker()")
        await asyncio.sleep(0.02)
        assert scheduler.sent == [("c", "0123abcd", [(ERRED, KEY)])]

    with_plugin(test)


def task_state(key=KEY, **facts):
    return SimpleNamespace(
        **{"key": key, "run_spec": "body", "who_wants": (), "waiters": (), "suspicious": 0, **facts}
    )


@pytest.mark.parametrize(
    ("start", "facts", "is_sealed"),
    [
        ("memory", {}, False),
        ("memory", {"who_wants": [1]}, True),
        ("memory", {"waiters": [1]}, True),
        ("processing", {}, False),
        ("processing", {"suspicious": 1}, True),
        ("waiting", {"suspicious": 1}, False),
    ],
)
def test_only_what_may_have_run_is_sealed(start, facts, is_sealed):
    async def test(scheduler, plugin):
        plugin.open("c", "0123abcd")
        task = scheduler.tasks[KEY] = task_state(**facts)
        plugin.transition(KEY, start, "released", stimulus_id="")
        assert (task.run_spec != "body") == is_sealed
        sealed = task.run_spec
        plugin.transition(KEY, start, "released", stimulus_id="")
        assert task.run_spec is sealed

    with_plugin(test)


def test_shared_constants_and_forgotten_tasks_are_not_sealed():
    async def test(scheduler, plugin):
        plugin.open("c", "0123abcd")
        shared = ("etl.shared-0123abcd", 0, 1, 0, 0)
        task = scheduler.tasks[shared] = task_state(shared, suspicious=1)
        plugin.transition(shared, "processing", "released", stimulus_id="")
        plugin.transition(KEY, "processing", "released", stimulus_id="")
        assert task.run_spec == "body"

    with_plugin(test)


def test_with_marks_only_what_had_begun_is_sealed(tmp_path):
    async def test(scheduler, plugin):
        scheduler.workers["w"] = SimpleNamespace(local_directory=str(tmp_path))
        scheduler.workers["elsewhere"] = SimpleNamespace(local_directory="/nowhere/at/all")
        plugin.open("c", "0123abcd", shares_disk=True)
        other = ("etl.other-1-0123abcd", -1, 1, 1, 1)
        scheduler.tasks = {key: task_state(key, suspicious=1) for key in (KEY, other)}
        desks.Marks(str(tmp_path)).add(KEY)
        for key in (KEY, other):
            plugin.transition(key, "processing", "released", stimulus_id="")
        assert scheduler.tasks[KEY].run_spec != "body"
        assert scheduler.tasks[other].run_spec == "body"
        assert scheduler.tasks[other].suspicious == 0

    with_plugin(test)


class FakeFuture:
    def __init__(self, key, generation=0):
        self.key, self._generation, self._cleared, self.released = key, generation, False, 0

    def release(self):
        self.released += 1


def fake_client(**facts):
    sent = []
    return SimpleNamespace(
        **{
            "refcount": {"a": 1, "b": 2},
            "futures": {"a": SimpleNamespace(cancel=lambda: None)},
            "_refcount_lock": threading.Lock(),
            "generation": 0,
            "status": "running",
            "id": "c",
            "sent": sent,
            "_send_to_scheduler": sent.append,
            **facts,
        }
    )


def test_futures_are_released_with_one_message_and_only_by_their_last_holder():
    client = fake_client()
    stale = FakeFuture("a", generation=7)
    _release(client, [FakeFuture("a"), FakeFuture("b"), stale])

    assert client.sent == [{"op": "client-releases-keys", "keys": ["a"], "client": "c"}]
    assert client.refcount == {"b": 1}


def test_a_closed_client_is_sent_nothing():
    client = fake_client(status="closed")
    _release(client, [FakeFuture("a")])

    assert client.sent == []


def test_a_client_that_keeps_other_books_releases_one_by_one():
    client = fake_client()
    del client._refcount_lock
    futures = [FakeFuture("a"), FakeFuture("b")]
    _release(client, futures)

    assert [future.released for future in futures] == [1, 1]


def test_letting_go_after_the_client_s_loop_is_over_is_no_error():
    def over(*_):
        raise RuntimeError("IOLoop is closed")

    futures = Futures(SimpleNamespace(loop=SimpleNamespace(add_callback=over)))
    futures.hold([(1, 1)], [FakeFuture("a")])
    futures.release_all()

    assert futures.get((1, 1)) is None


@pytest.mark.parametrize("path", ["nothing", "json.nothing", "no_such_module:Name", ":", ""])
def test_a_string_that_names_nothing_is_explained(path):
    with pytest.raises(ExecutorError, match="cannot be imported"):
        import_object(path)


def test_a_string_names_a_class():
    assert import_object("threading:Lock") is import_object("threading.Lock") is threading.Lock


def test_workers_that_do_not_answer_in_time_are_not_waited_for():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def run(*_, **__):
        await asyncio.sleep(30)

    client = SimpleNamespace(status="running", run=run, loop=SimpleNamespace(asyncio_loop=loop))
    begun = time.monotonic()
    try:
        assert ask_workers(client, print, timeout=0.05) == {}
        client.status = "closed"
        assert ask_workers(client, print, timeout=9) == {}
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ModuleNotFoundError("No module named 'prefectlite'"), "cannot be imported on the scheduler"),
        (("elsewhere", "0.0.1"), "0.0.1 on the scheduler .host elsewhere."),
        (ValueError("pickles are refused"), None),
    ],
)
def test_the_scheduler_s_version_is_asked(monkeypatch, answer, expected):
    def ask(*_):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(reach, "ask_workers", lambda *_, **__: {})
    place = Place(SimpleNamespace(run_on_scheduler=ask), "here", False)
    if expected is None:
        reach.check_versions(place)
        assert place.description == "here, 0 workers"
    else:
        with pytest.raises(ExecutorError, match=expected):
            reach.check_versions(place)


def test_an_executor_shows_how_it_was_made():
    assert repr(DaskExecutor(cluster_kwargs={"n_workers": 1}, adapt_kwargs={"maximum": 2})) == (
        "DaskExecutor(cluster_kwargs={'n_workers': 1}, adapt_kwargs={'maximum': 2})"
    )
    assert repr(DaskExecutor(scheduler_file="s.json")) == "DaskExecutor('s.json')"


class Worker:
    """What a desk sees of a Dask worker."""

    address, id, local_directory = "tcp://w:1", "Worker-1", "/nowhere"

    def __init__(self, **data):
        self.data = data
        self.later, self.sent, self.events = [], [], []
        self.loop = SimpleNamespace(
            add_callback=lambda act, *arguments: act(*arguments),
            call_later=lambda wait, act: self.later.append(act),
        )

    def batched_send(self, message):
        self.sent.append(message)

    def log_event(self, topic, message):
        self.events.append((topic, message))


def test_a_desk_announces_a_long_attempt_once_and_comes_to_rest(monkeypatch):
    worker = Worker()
    desk = desks.desk_of(worker)
    assert desks.desk_of(worker) is desk
    active = desk.begin(KEY, False)
    active.enter()
    monkeypatch.setattr(desks, "LONG", 0.0)
    worker.later.pop()()
    worker.later.pop()()
    assert [message["items"][0][0] for message in worker.sent] == [3]
    active.leave()
    desk.end(active)
    monkeypatch.setattr(desks, "REST", 0.0)
    worker.later.pop()()
    assert not worker.later
    desk.begin(KEY, False)
    assert worker.later


def test_a_desk_whose_worker_is_gone_stops(monkeypatch):
    worker = Worker()
    desk = desks.Desk(worker)
    tick, begun = desk._tick, desk.begin(KEY, False)
    begun.enter()
    monkeypatch.setattr(desks, "LONG", 0.0)
    del worker
    tick()


def test_a_desk_that_cannot_open_a_flow_leaves_it_to_the_attempt():
    desks.Desk(Worker()).capture(b"no pickle")


def test_a_desk_listens_while_attempts_run_and_not_after(tmp_path):
    root = logging.getLogger()
    level, worker = root.level, Worker()
    desk = desks.Desk(worker)
    desk._levels.add(10)
    desks.installation.acquire(10)
    active = desk.begin(KEY, True)
    desk.rest()
    assert root.level == 10
    desk.say(active, (1, 2))
    assert worker.events == [(MARK, ("0123abcd", [(1, 2)]))]
    desk.end(active)
    desk.rest()
    assert root.level == level


def test_a_desk_remembers_the_latest_reports_only(monkeypatch):
    monkeypatch.setattr(desks, "MEMORY", 2)
    desk = desks.Desk(Worker())
    for name in ("a", "b", "c"):
        desk.remember((name, -1, 1, 1, 1), (name,))

    assert [desk.recall((name, -1, 1, 1, 1)) for name in ("a", "b", "c")] == [None, ("b",), ("c",)]


class Endless:
    def __len__(self):
        raise RuntimeError("endless")


@pytest.mark.parametrize(
    ("wrapper", "expected"),
    [
        (Succeeded([[1], [2, 3]], 1.0, 2.0), (2, 3, None)),
        (Succeeded({1}, 1.0, 2.0), (None, None, "a set")),
        (Succeeded(Endless(), 1.0, 2.0), (None, None, None)),
        (Done(1.0, 2.0), (None, None, None)),
    ],
)
def test_a_report_is_told_again_from_the_value(wrapper, expected):
    worker = Worker()
    worker.data[KEY] = wrapper

    [(kind, key, where, facts)] = entry.retell([KEY, ("unknown", -1, 1, 1, 1)], worker)

    assert (kind, key, where) == (PLAIN, KEY, worker.address)
    assert facts[:2] == (1.0, 2.0)
    length, flat, why = facts[4:7]
    assert (length, flat) == expected[:2]
    assert (why or "").startswith(expected[2] or "")


def test_values_that_pickle_refuses_are_written_by_value_or_left_out(tmp_path):
    worker = Worker()
    lock = threading.Lock()
    keys = [(name, -1, 1, 1, 1) for name in ("plain", "lambda", "lock", "done", "missing")]
    worker.data = dict(zip(keys, [Succeeded(1), Succeeded(lambda: 2), Succeeded(lock), Done()], strict=False))

    slots = spool.write_spool(str(tmp_path), keys, worker)

    assert list(slots) == keys[:2]
    assert spool.read_spool(slots[keys[0]]) == 1
    assert spool.read_spool(slots[keys[1]])() == 2
