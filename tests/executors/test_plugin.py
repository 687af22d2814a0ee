"""The scheduler's ear on a real scheduler: what it tells the driver, and what it keeps from running twice."""

from __future__ import annotations

import pickle
import shutil
import threading

import pytest
from dask._task_spec import Task, TaskRef
from distributed import Client, get_worker
from distributed.stealing import WorkStealing

from prefectlite.core.keeping import Keeping
from prefectlite.executors import relics, streams, verdicts
from prefectlite.executors.plugin import ReportPlugin
from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.parts import PLAIN as PLAIN_COLUMN
from prefectlite.lowering.parts import Block, Member
from prefectlite.lowering.spec import Spec
from prefectlite.lowering.wrappers import Done, Held, Hold, Succeeded, open_shelf
from prefectlite.results import LocalResult
from prefectlite.states.signals import LOOP
from prefectlite.states.state import Crashed
from prefectlite.worker import active as actives
from prefectlite.worker import desk as desks
from prefectlite.worker import losses
from prefectlite.worker.bundle import run_bundle
from prefectlite.worker.desk import desk_of
from prefectlite.worker.entry import run_attempt
from prefectlite.worker.ledger import Names
from prefectlite.worker.wire import BUNDLE, ERRED, HELD, MARK, OTHER, PLAIN, SAY, SEALED, decode
from tests.worker.conftest import told_by

ROUTE = "0123abcd"
KEY = ("etl.load-1-0123abcd", -1, 1, 1, 1)
OTHER_KEY = ("etl.other-1-0123abcd", -1, 1, 1, 1)
READER = ("etl.reader-1-0123abcd", -1, 1, 1, 1)
END = ("etl.end-1-0123abcd", -1, 1, 1, 1)
FACTS = (1.0, 2.0)


def wait(gate, *_):
    gate.wait()
    return "waited"


def begin_and_wait(gate):
    worker = get_worker()
    desk_of(worker).begin(worker.get_current_task(), False)
    return wait(gate)


def note(said, **beside):
    worker = get_worker()
    worker.state.tasks[worker.get_current_task()].metadata.update({MARK: said, **beside})


def succeed(*_):
    note(FACTS)


def succeed_with_notes_of_others(*_):
    note(FACTS, theirs=2)


def be_held(*_):
    note((HELD, KEY))


def hold():
    raise Hold


def err():
    raise ValueError("no")


def value(*_):
    return "value"


def plain(key, worker):
    return PLAIN, key, worker.address, FACTS


async def end(b):
    """Let one more attempt end, so that whatever was told before it has been heard."""
    future = b.client.submit(succeed, key=END)
    await b.until(lambda: any(item[:2] == (PLAIN, END) for item in b.items))
    future.release()
    return [item for item in b.items if item[1] != END]


def is_sealed(task):
    return task.run_spec.func is losses.run_lost


def test_a_plugin_that_another_client_brings_goes_on_with_the_books_of_the_first(bench):
    async def test(b):
        worker = await b.worker()
        await b.open(shares_disk=True)
        marks = b.plugin.seals.relics._marks[worker.address]
        b.plugin.end(ROUTE, keeps=True)
        async with Client(b.scheduler.address, asynchronous=True, set_as_default=False) as another:
            await another.register_plugin(ReportPlugin())
            await b.open(another, shares_disk=True)
            brought = b.scheduler.plugins[MARK]
            assert brought is not b.plugin
            assert brought.seals.relics._marks == {worker.address: marks}
            assert brought.is_ours(KEY)
            brought.end(ROUTE)
        assert MARK not in b.scheduler.plugins

    bench(test)


def test_the_plugin_is_on_the_scheduler_only_while_somebody_listens(bench):
    async def test(b):
        worker = await b.worker()
        assert MARK not in b.scheduler.plugins
        async with Client(b.scheduler.address, asynchronous=True, set_as_default=False) as driver:
            assert await b.open(driver) == "open"
            assert await b.open(b.client) == "taken"
            assert b.scheduler.plugins[MARK] is b.plugin
            async with Client(b.scheduler.address, asynchronous=True, set_as_default=False) as another:
                identity = another.id
            await b.until(lambda: identity not in b.scheduler.clients)
            assert b.scheduler.plugins[MARK] is b.plugin
        await b.until(lambda: MARK not in b.scheduler.plugins)
        # Whoever speaks too late is not cut off, and heard by nobody.
        worker.batched_send({"op": SAY, "route": ROUTE, "items": [(HELD, KEY)]})
        assert await b.client.submit(succeed, key=KEY) is None
        assert list(b.scheduler.workers) == [worker.address]
        assert await b.open() == "open"
        assert await b.client.submit(succeed, key=("etl.load-1-89abcdef", -1, 1, 1, 1)) is None
        assert await end(b) == []
        await b.client.scheduler.prefectlite_close(route=ROUTE)
        assert MARK not in b.scheduler.plugins

    bench(test)


def test_what_is_kept_of_a_run_that_is_over_is_not_made_again(bench):
    others = ("etl.load-1-89abcdef", -1, 1, 1, 1)

    async def test(b):
        victim = await b.worker()
        await b.open()
        b.plugin.open(b.client.id, "89abcdef")
        futures = [b.client.submit(value, key=key) for key in (KEY, others)]
        await b.client.gather(futures)
        await b.client.scheduler.prefectlite_close(route=ROUTE, keeps=True)
        assert is_sealed(b.scheduler.tasks[KEY])
        assert not is_sealed(b.scheduler.tasks[others]), "another run of the client goes on"
        await b.client.scheduler.prefectlite_close(route="89abcdef")
        assert MARK not in b.scheduler.plugins
        assert await futures[0] == "value"
        await b.lose(victim)
        await b.worker()
        await b.until(lambda: futures[0].status == "error")
        assert b.items == [], "nobody listens any more"

    bench(test)


@pytest.mark.parametrize("is_over", [False, True])
def test_what_a_lost_result_was_made_of_is_not_made_again_either(bench, gate, is_over):
    async def test(b):
        victim = await b.worker()
        await b.open()
        graph = {OTHER_KEY: Task(OTHER_KEY, body, 1), KEY: Task(KEY, value, TaskRef(OTHER_KEY))}
        [future] = b.client.get(graph, [KEY], sync=False)
        await future
        await b.until(lambda: b.scheduler.tasks[OTHER_KEY].state == "released")
        if is_over:
            await b.client.scheduler.prefectlite_close(route=ROUTE, keeps=True)
        await b.lose(victim)
        await b.worker()
        await b.until(lambda: future.status == "error")
        assert OTHER_KEY not in b.scheduler.tasks
        future.release()
        await b.until(lambda: not b.scheduler.tasks)

    bench(test)
    assert RAN == [1]


def test_what_stands_in_for_a_lost_input_is_forgotten_when_its_reader_is_lost_too(bench):
    async def test(b):
        victim = await b.worker()
        await b.open()
        graph = {OTHER_KEY: Task(OTHER_KEY, value), KEY: Task(KEY, value, TaskRef(OTHER_KEY))}
        made, reader = b.client.get(graph, [OTHER_KEY, KEY], sync=False)
        await reader
        b.scheduler.transitions({OTHER_KEY: "released"}, stimulus_id="as if its worker were gone")
        with pytest.raises(Hold):
            await made
        task = b.scheduler.tasks[OTHER_KEY]
        made.release()
        await b.until(lambda: not task.who_wants)
        assert task.state == "erred"
        await b.lose(victim)
        await b.until(lambda: list(b.scheduler.tasks) == [KEY])

    bench(test)


def test_a_lonely_report_leaves_at_once_and_a_crowd_together(bench):
    async def test(b):
        worker = await b.worker()
        await b.open()
        assert await b.client.submit(succeed, key=KEY) is None
        await b.until(lambda: b.heard)
        assert b.heard == [[plain(KEY, worker)]]
        # In one turn of the loop, so that the worker sends all in one message.
        for number in range(300):
            worker.batched_send({"op": SAY, "route": ROUTE, "items": [(HELD, (KEY[0], number))]})
        await b.until(lambda: len(b.items) == 301)
        assert [len(items) for items in b.heard] == [1, 256, 44]
        assert [item[1][1] for item in b.items[1:]] == list(range(300))

    bench(test)


@pytest.mark.parametrize(
    ("asks", "count"), [({}, 1), ({"workers": ["127.0.0.1"]}, 0), ({"resources": {"GPU": 1}}, 0)]
)
def test_what_waits_behind_a_long_task_is_let_go_of_only_if_any_worker_may_have_it(bench, gate, asks, count):
    async def test(b):
        b.scheduler.extensions["stealing"] = WorkStealing(b.scheduler)  # which takes nothing by itself here
        worker = await b.worker(host="127.0.0.1", resources={"GPU": 1})
        await b.open()
        long = b.client.submit(wait, gate, key=KEY)
        await b.until(gate.is_reached)
        waits = b.client.submit(value, key=OTHER_KEY, **asks)
        await b.until(lambda: OTHER_KEY in worker.state.tasks)
        other = await b.worker(host="127.0.0.2")
        await b.until(lambda: b.scheduler.workers[other.address] in b.scheduler.running)
        assert await b.client.scheduler.prefectlite_relieve(keys=[KEY]) == count
        if count:
            assert await waits == "value"
            assert OTHER_KEY in other.data
        gate.open()
        assert await long == "waited"
        assert await waits == "value"
        assert (OTHER_KEY in worker.data) == (not count)

    bench(test)


def test_after_a_crowd_reports_wait_for_company(bench, monkeypatch):
    monkeypatch.setattr(streams, "FLUSH_CROWD_EVERY", 3600.0)

    async def test(b):
        worker = await b.worker()
        await b.open()

        def say(count):
            items = [(HELD, (KEY[0], number)) for number in range(count)]
            worker.batched_send({"op": SAY, "route": ROUTE, "items": items})

        say(streams.CROWD)
        await b.until(lambda: b.heard)
        for key in (KEY, OTHER_KEY):
            assert await b.client.submit(succeed, key=key) is None
        assert len(b.heard) == 1
        say(streams.FLUSH_AT - 2)
        await b.until(lambda: len(b.heard) == 2)
        assert b.heard[1][:2] == [plain(KEY, worker), plain(OTHER_KEY, worker)]
        assert len(b.heard[1]) == streams.FLUSH_AT

    bench(test)


def test_a_report_whose_reader_was_lowered_ahead_waits_for_company_but_not_behind_urgent_ones(
    bench, monkeypatch, gate
):
    monkeypatch.setattr(streams, "FLUSH_AHEAD_EVERY", 3600.0)

    async def test(b):
        worker = await b.worker(nthreads=2)
        await b.open()
        await end(b)
        graph = {
            KEY: Task(KEY, succeed_with_notes_of_others),
            READER: Task(READER, wait, gate, TaskRef(KEY)),
        }
        futures = b.client.get(graph, [KEY, READER], sync=False)
        await b.until(gate.is_reached)
        await futures[0]
        assert len(b.heard) == 1
        assert b.scheduler.tasks[KEY].metadata == {"theirs": 2}
        other = b.client.submit(succeed, key=OTHER_KEY)
        await b.until(lambda: len(b.heard) == 2)
        assert b.heard[1] == [plain(KEY, worker), plain(OTHER_KEY, worker)]
        other.release()

    bench(test)


def test_a_report_that_is_no_plain_success_is_passed_on_as_it_was_said(bench):
    async def test(b):
        await b.worker()
        await b.open()
        assert await b.client.submit(be_held, key=KEY) is None
        await b.until(lambda: b.items)
        assert b.items == [(HELD, KEY)]

    bench(test)


def test_other_people_s_transitions_are_passed_over(bench, gate):
    keys = ["inc-0123abcd", (1, 2), ("inc-deadbeef", 0), 7]

    async def test(b):
        victim = await b.worker(nthreads=8)
        await b.open()
        # In memory, erred, and lost while it ran.
        done = [b.client.submit(value, key=key) for key in keys]
        await b.client.gather(done)
        for one in done:
            one.release()
        await b.until(lambda: not b.scheduler.tasks)
        for key in keys:
            one = b.client.submit(err, key=key)
            with pytest.raises(ValueError, match="no"):
                await one
            one.release()
        await b.until(lambda: not b.scheduler.tasks)
        lost = [b.client.submit(wait, gate, key=key) for key in keys]
        for _ in keys:
            await b.until(gate.is_reached)
        await b.lose(victim)
        assert not any(is_sealed(task) for task in b.scheduler.tasks.values())
        gate.open()
        await b.worker()
        assert await b.client.gather(lost) == ["waited"] * 4
        assert await end(b) == []

    bench(test)


def test_an_error_is_told_unless_the_attempt_held(bench):
    async def test(b):
        await b.worker()
        await b.open()
        with pytest.raises(Hold):
            await b.client.submit(hold, key=KEY)
        with pytest.raises(ValueError, match="no"):
            await b.client.submit(err, key=OTHER_KEY)
        assert await end(b) == [(ERRED, OTHER_KEY)]

    bench(test)


def test_an_attempt_whose_worker_was_lost_too_often_is_told_as_erred(bench, gate):
    from distributed import KilledWorker

    async def test(b):
        b.scheduler.allowed_failures = 0
        worker = await b.worker()
        await b.open()
        future = b.client.submit(wait, gate, key=KEY)
        await b.until(gate.is_reached)
        await b.lose(worker)
        with pytest.raises(KilledWorker):
            await future
        await b.worker()
        assert await end(b) == [(ERRED, KEY)]

    bench(test)


async def let_go_by_its_last_reader(b, gate):
    await b.worker()
    await b.open()
    graph = {KEY: Task(KEY, value), READER: Task(READER, value, TaskRef(KEY))}
    [reader] = b.client.get(graph, [READER], sync=False)
    await reader
    await b.until(lambda: b.scheduler.tasks[KEY].state == "released")
    return b.scheduler.tasks[KEY], reader


async def lost_while_held(b, gate):
    victim = await b.worker()
    await b.open()
    future = b.client.submit(value, key=KEY)
    await future
    await b.lose(victim)
    return b.scheduler.tasks[KEY], future


async def lost_while_awaited(b, gate):
    victim, bystander = await b.worker(), await b.worker(nthreads=2)
    await b.open()
    made = b.client.submit(value, key=KEY, workers=[victim.address], allow_other_workers=True)
    held = b.client.submit(wait, gate, key=OTHER_KEY, workers=[bystander.address])
    reader = b.client.submit(value, made, held, key=READER)
    await made
    await b.until(gate.is_reached)
    task = b.scheduler.tasks[KEY]
    made.release()
    await b.until(lambda: not task.who_wants)
    await b.lose(victim)
    return task, (held, reader)


async def called_off_while_it_ran(b, gate):
    await b.worker()
    await b.open()
    future = b.client.submit(wait, gate, key=KEY)
    await b.until(gate.is_reached)
    task = b.scheduler.tasks[KEY]
    future.release()
    await b.until(lambda: KEY not in b.scheduler.tasks)
    return task, None


async def lost_while_it_ran(b, gate):
    victim = await b.worker()
    await b.open()
    future = b.client.submit(wait, gate, key=KEY)
    await b.until(gate.is_reached)
    await b.lose(victim)
    return b.scheduler.tasks[KEY], future


async def let_go_while_it_waited(b, gate):
    # Its worker ended before anybody listened, and took its input along.
    victim = await b.worker()
    graph = {OTHER_KEY: Task(OTHER_KEY, value), KEY: Task(KEY, wait, gate, TaskRef(OTHER_KEY))}
    [future] = b.client.get(graph, [KEY], sync=False)
    await b.until(gate.is_reached)
    await b.lose(victim)
    task = b.scheduler.tasks[KEY]
    assert (task.state, task.suspicious) == ("waiting", 1)
    await b.open()
    future.release()
    await b.until(lambda: KEY not in b.scheduler.tasks)
    return task, None


@pytest.mark.parametrize(
    ("happen", "cause"),
    [
        (let_go_by_its_last_reader, None),
        (lost_while_held, "result-lost"),
        (lost_while_awaited, "result-lost"),
        (called_off_while_it_ran, None),
        (lost_while_it_ran, "worker-lost"),
        (let_go_while_it_waited, None),
    ],
)
def test_only_what_may_have_run_is_sealed(bench, gate, happen, cause):
    async def test(b):
        task, _held = await happen(b, gate)
        assert is_sealed(task) == (cause is not None)
        if cause is None:
            return
        # No worker is left that could say so, or none has a thread for it.
        await b.until(lambda: b.items)
        told, sealed = b.items
        assert told[:2] == (OTHER, KEY)
        assert decode(told).state.cause == cause
        assert sealed == (SEALED, KEY, 1, cause, decode(told).state.message)
        # What stands in for it adds nothing, nor does the scheduler tell of its error.
        await b.worker()
        gate.open()
        await b.until(lambda: task.state == "erred")
        assert await end(b) == [told, sealed]

    bench(test)


def test_a_loss_that_leaves_no_worker_is_told_of_as_soon_as_one_comes(bench, gate, monkeypatch):
    monkeypatch.setattr(verdicts, "CLOSING", 3600.0)

    async def test(b):
        task, _held = await lost_while_held(b, gate)
        assert is_sealed(task)
        assert b.items == []
        await b.worker()
        await b.until(lambda: b.items)
        assert [item[:2] for item in b.items] == [(OTHER, KEY), (SEALED, KEY)]

    bench(test)


def test_what_is_sealed_stays_as_it_is_when_its_next_worker_is_lost_as_well(bench, gate):
    async def test(b):
        task, future = await lost_while_it_ran(b, gate)
        sealed = task.run_spec
        # The second worker has its only thread full, so that what is sealed stays with it.
        blocker = b.client.submit(wait, gate, key="blocker", priority=9)
        await b.until(lambda: "blocker" in b.scheduler.tasks)
        second = await b.worker()
        await b.until(gate.is_reached)
        await b.until(lambda: task.state == "processing")
        await b.lose(second)
        assert task.suspicious == 2
        assert task.run_spec is sealed
        blocker.release()
        await b.worker()
        with pytest.raises(Hold):
            await future
        assert [item[:2] for item in await end(b)] == [(OTHER, KEY), (SEALED, KEY)]

    bench(test)


def test_shared_constants_and_forgotten_tasks_are_not_sealed(bench, gate):
    shared = ("etl.shared-0123abcd", 0, 1, 0, 0)

    async def test(b):
        victim = await b.worker()
        await b.open()
        future = b.client.submit(wait, gate, key=shared)
        await b.until(gate.is_reached)
        await b.lose(victim)
        assert b.scheduler.tasks[shared].suspicious == 1
        assert not is_sealed(b.scheduler.tasks[shared])
        gate.open()
        await b.worker()
        assert await future == "waited"
        # Of a task that the scheduler has forgotten; what it said counts all the same.
        b.plugin.transition(KEY, "processing", "released", stimulus_id="")
        b.plugin.transition(KEY, "processing", "memory", metadata={MARK: FACTS}, worker="gone")
        assert await end(b) == [(PLAIN, KEY, "gone", FACTS)]

    bench(test)


def test_values_on_a_shelf_are_made_again(bench):
    told = pickle.dumps([None, (1.0, 2.0, 1, pickle.dumps("kept"))])

    async def test(b):
        victim = await b.worker()
        await b.open()
        [future] = b.client.get({BUNDLED: Task(BUNDLED, open_shelf, told)}, [BUNDLED], sync=False)
        await future
        await b.lose(victim)
        await b.worker()
        assert (await future).wrappers[1].value == "kept"
        assert await end(b) == []
        await b.client.scheduler.prefectlite_close(route=ROUTE, keeps=True)
        assert b.scheduler.tasks[BUNDLED].run_spec.func is open_shelf

    bench(test)


def test_with_marks_only_what_had_begun_is_sealed(bench, gate):
    async def test(b):
        victim, elsewhere = await b.worker(), await b.worker()
        # Its directory is on a disk that cannot be read here.
        shutil.rmtree(elsewhere.local_directory)
        await b.open(shares_disk=True)
        begun = b.client.submit(
            begin_and_wait, gate, key=KEY, workers=[victim.address], allow_other_workers=True
        )
        await b.until(gate.is_reached)
        other = b.client.submit(wait, gate, key=OTHER_KEY, workers=[victim.address], allow_other_workers=True)
        await b.until(lambda: OTHER_KEY in victim.state.tasks)
        tasks = b.scheduler.tasks[KEY], b.scheduler.tasks[OTHER_KEY]
        assert {task.processing_on.address for task in tasks} == {victim.address}
        await b.lose(victim)
        assert is_sealed(tasks[0])
        assert not is_sealed(tasks[1])
        assert tasks[1].suspicious == 0
        gate.open()
        with pytest.raises(Hold):
            await begun
        assert await other == "waited"
        assert [item[:2] for item in await end(b)] == [(OTHER, KEY), (SEALED, KEY)]

    bench(test)


def test_nothing_is_taken_back_while_a_graph_is_on_its_way(bench, gate):
    """It may need what would be taken off, and would be refused as a whole."""

    async def test(b):
        await b.worker()
        await b.open()
        first = b.client.submit(wait, gate, key=OTHER_KEY)
        second = b.client.submit(value, first, key=KEY)
        await b.until(lambda: KEY in b.scheduler.tasks)
        client, late = b.client.id, ("etl.late-1-0123abcd", -1, 1, 1, 1)
        assert b.plugin.recall(client, [KEY], [OTHER_KEY, late]) is None
        assert KEY in b.scheduler.tasks
        assert b.plugin.recall(client, [list(KEY)], [list(OTHER_KEY)]) == [KEY]
        assert KEY not in b.scheduler.tasks
        assert b.plugin.recall(client, [OTHER_KEY]) == [], "it waits for nothing"
        gate.open()
        assert await first == "waited"
        del second

    bench(test)


def test_a_worker_that_comes_later_gets_a_place_for_its_marks_too(bench, gate):
    async def test(b):
        await b.open(shares_disk=True)
        victim = await b.worker()
        future = b.client.submit(begin_and_wait, gate, key=KEY)
        await b.until(gate.is_reached)
        await b.lose(victim)
        assert is_sealed(b.scheduler.tasks[KEY])
        assert future.status == "pending"

    bench(test)


# Bundles

BUNDLED = ("etl.load-0-0123abcd", 0, 1, 1, 1, 1)
FLOW = pickle.dumps(FlowFacts(ROUTE * 4, "etl"))
RAN = []


def body(x, gate=None):
    """Wait when told so, and end in one of several ways."""
    RAN.append(x)
    if gate is not None:
        gate.wait()
    if x == "fail":
        raise ValueError(x)
    if x == "loop":
        raise LOOP(result="lap")
    if isinstance(x, str) and x.startswith("wide"):
        return "x" * 20_000
    return x


def member_of(index, x, gate=None, **facts):
    spec = Spec("load-1", index, 1, 1, {"x": x, "gate": gate}, (), (), False, ())._replace(**facts)
    return Member(("etl.load-1-0-0123abcd", index, 1, 1, 1), 0, pickle.dumps(tuple(spec)), ())


def bundle_of(*parts, key=BUNDLED, values=()):
    payload = pickle.dumps(parts)
    return Task(key, run_bundle, payload, 1, FLOW, pickle.dumps(Envelope("load", body)), *values), Names(
        parts
    )


def told(b, names):
    """What was told of each slot, in words."""
    said = {}
    for item in b.items:
        if item[0] == BUNDLE:
            for slot, one in told_by(item, names).items():
                said.setdefault(slot, []).append(one)
    return {slot: [in_words(one) for one in ends] for slot, ends in said.items()}


def sealed(b):
    """How many slots of each lost bundle were told of, and why the others or the last of them are lost."""
    return [(begun, cause) for kind, _, *rest in b.items if kind == SEALED for begun, cause, _ in [rest]]


def in_words(one):
    if isinstance(one, str):
        return one
    if one.state is None:
        return "inline" if one.inline is not None else "large"
    return one.state.cause if isinstance(one.state, Crashed) else type(one.state).__name__


@pytest.fixture(autouse=True)
def _nothing_ran(monkeypatch):
    RAN.clear()
    monkeypatch.setattr(verdicts, "CLOSING", 0.0)


MANY = [
    member_of(0, 10),
    member_of(1, "fail"),
    member_of(2, 12, drop_value=True),
    member_of(3, "wide"),
    member_of(4, [14], measure=("length",)),
]


@pytest.mark.parametrize("shares_disk", [True, False])
def test_what_a_bundle_had_come_to_before_its_worker_died_is_handed_over(
    bench, gate, shares_disk, monkeypatch
):
    monkeypatch.setattr(actives, "LONGEST", 3600.0)

    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=shares_disk)
        task, names = bundle_of(*MANY, member_of(5, 15, gate), member_of(6, 16), member_of(7, 17))
        [future] = b.client.get({BUNDLED: task}, [BUNDLED], sync=False)
        await b.until(gate.is_reached)
        await b.lose(victim)
        await b.until(lambda: sealed(b))
        if not shares_disk:
            # Nothing is known: each may have run, and the driver knows how many there are.
            assert told(b, names) == {}
            assert sealed(b) == [(None, "worker-lost")]
            return
        said = {
            0: ["inline"],
            1: ["Failed"],
            2: ["inline"],
            3: ["result-lost"],
            4: ["inline"],
            5: ["worker-lost"],
        }
        assert told(b, names) == said
        assert sealed(b) == [(6, "worker-lost")], "the others have not begun"
        await b.worker()
        slots = await future
        gate.open()
        await end(b)
        assert told(b, names) == said
        assert [type(one) for one in slots.wrappers] == [
            Succeeded,
            Held,
            Done,
            Held,
            Succeeded,
            Held,
            Held,
            Held,
        ]
        assert (slots.wrappers[0].value, slots.wrappers[4].value) == (10, [14])

    bench(test)
    # What was told as returned is not begun by a worker that was not dead after all.
    assert RAN[:6] == [10, "fail", 12, "wide", [14], 15]
    assert not shares_disk or len(RAN) == 6


def test_the_keys_of_a_block_are_told_after_its_workers_death(bench, gate, monkeypatch):
    monkeypatch.setattr(actives, "LONGEST", 3600.0)
    part = Block(
        0, "etl.load-1-0123abcd", "load-1", 40, 4, 2, 3, {}, (), (),
        (("x", PLAIN_COLUMN, range(4)), ("gate", PLAIN_COLUMN, [None, None, gate, None])), (), False, (),
    )  # fmt: skip

    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=True)
        task, names = bundle_of(part)
        [future] = b.client.get({BUNDLED: task}, [BUNDLED], sync=False)
        await b.until(gate.is_reached)
        await b.lose(victim)
        await b.worker()
        slots = await future
        await end(b)
        assert told(b, names) == {0: ["inline"], 1: ["inline"], 2: ["worker-lost"]}
        assert sealed(b) == [(3, "worker-lost")]
        assert [one.attempt for one in slots.wrappers[:2]] == [2, 2]

    bench(test)


def test_a_bundle_that_was_cut_before_its_worker_died_tells_all_again(bench, gate):
    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=True)
        task, names = bundle_of(member_of(0, 10), member_of(1, 11, gate), member_of(2, 12))
        [future] = b.client.get({BUNDLED: task}, [BUNDLED], sync=False)
        await b.until(lambda: any(item[0] == BUNDLE for item in b.items))
        await b.lose(victim)
        await b.worker()
        await future
        await end(b)
        assert told(b, names) == {
            0: ["inline", "inline"],
            1: ["going", "worker-lost"],
            2: ["returned"],
        }
        assert sealed(b) == [(2, "worker-lost")]

    bench(test)


def test_a_bundle_that_had_only_been_sent_begins_elsewhere(bench, gate):
    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=True)
        blocker = b.client.submit(wait, gate, key="blocker")
        await b.until(gate.is_reached)
        task, names = bundle_of(member_of(0, 10), member_of(1, 11))
        [future] = b.client.get({BUNDLED: task}, [BUNDLED], sync=False)
        await b.until(lambda: BUNDLED in victim.state.tasks)
        await b.lose(victim)
        blocker.release()
        await b.worker()
        assert [one.value for one in (await future).wrappers] == [10, 11]
        await b.until(lambda: len(told(b, names)) == 2)
        assert told(b, names) == {0: ["inline"], 1: ["inline"]}

    bench(test)


@pytest.mark.parametrize("shares_disk", [True, False])
def test_a_bundle_whose_value_was_lost_is_handed_over_again(bench, gate, shares_disk):
    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=shares_disk)
        task, names = bundle_of(member_of(0, 10), member_of(1, "wide"), member_of(2, "fail"))
        [future] = b.client.get({BUNDLED: task}, [BUNDLED], sync=False)
        await future
        await b.lose(victim)
        await b.worker()
        await b.until(lambda: future.status == "finished" and b.scheduler.tasks[BUNDLED].state == "memory")
        slots = await future
        await end(b)
        again = [["inline"], ["result-lost"], ["Failed"]] if shares_disk else [[]] * 3
        first = ["inline", "large", "Failed"]
        assert told(b, names) == {slot: [first[slot], *again[slot]] for slot in range(3)}
        assert sealed(b) == [(3 if shares_disk else None, "result-lost")]
        assert isinstance(slots.wrappers[0], Succeeded) == shares_disk

    bench(test)


def test_what_stands_in_for_a_lost_attempt_does_not_wait_for_what_was_lost_with_it(bench, gate):
    async def test(b):
        victim = await b.worker()
        await b.open()
        graph = {OTHER_KEY: Task(OTHER_KEY, value), KEY: Task(KEY, wait, gate, TaskRef(OTHER_KEY))}
        made, reader = b.client.get(graph, [OTHER_KEY, KEY], sync=False)
        await b.until(gate.is_reached)
        made.release()
        await b.until(lambda: not b.scheduler.tasks[OTHER_KEY].who_wants)
        await b.lose(victim)
        assert is_sealed(b.scheduler.tasks[KEY])
        assert not b.scheduler.tasks[KEY].dependencies
        await b.worker()
        with pytest.raises(Hold):
            await reader
        await b.until(lambda: list(b.scheduler.tasks) == [KEY])

    bench(test)


@pytest.mark.parametrize("is_over", [False, True])
def test_what_a_bundle_had_read_is_not_made_again_when_what_stands_in_for_it_is_lost_too(
    bench, gate, is_over
):
    async def test(b):
        keeper = await b.worker()
        await b.open(shares_disk=True)
        made = b.client.submit(body, 1, key=KEY)
        await made
        victim = await b.worker()
        task, _ = bundle_of(member_of(0, 10), member_of(1, 11, gate))
        future = b.client.submit(run_bundle, *task.args, made, key=BUNDLED, workers=[victim.address])
        await b.until(gate.is_reached)
        made.release()
        await b.lose(victim)
        await future
        await b.until(lambda: b.scheduler.tasks[KEY].state == "released")
        if is_over:
            await b.client.scheduler.prefectlite_close(route=ROUTE, keeps=True)
        await b.lose(keeper)
        await b.worker()
        await b.until(lambda: b.scheduler.tasks[BUNDLED].state == "memory")
        assert (await future).wrappers[0].value == 10
        assert KEY not in b.scheduler.tasks

    bench(test)
    assert RAN == [1, 10, 11]


@pytest.mark.parametrize("is_bundle", [False, True])
def test_a_kept_value_that_cannot_be_opened_elsewhere_is_told_as_lost(bench, gate, monkeypatch, is_bundle):
    key = BUNDLED if is_bundle else KEY

    def cannot(kept, key):
        return None

    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=True)
        spec = pickle.dumps(tuple(Spec("load-1", None, 1, 1, {"x": 10}, (), (), False, ())))
        alone = Task(KEY, run_attempt, FLOW, pickle.dumps(Envelope("load", body)), spec)
        bundle, _ = bundle_of(member_of(0, 10), member_of(1, 11))
        [future] = b.client.get({key: bundle if is_bundle else alone}, [key], sync=False)
        await future
        monkeypatch.setattr(losses, "revive", cannot)
        await b.lose(victim)
        await b.worker()
        await b.until(lambda: future.status == ("finished" if is_bundle else "error"))
        *_, last = await end(b)
        entries = [one for _, one in last[8]] if is_bundle else [last]
        for one in entries:
            assert decode(one).state.cause == "result-lost"
            assert "cannot be unpickled" in decode(one).state.message

    bench(test)


@pytest.mark.parametrize(("x", "kind"), [(10, PLAIN), ("wide", OTHER), ("fail", OTHER)])
def test_an_attempt_that_had_ended_when_its_worker_died_is_handed_over(bench, gate, x, kind, monkeypatch):
    """Between the end of its body and Dask's word of it."""
    ended = threading.Event()
    entered = desks.Desk.end

    def end_and_wait(desk, active):
        entered(desk, active)
        if active.key == KEY:
            ended.set()
            gate.wait()

    monkeypatch.setattr(desks.Desk, "end", end_and_wait)

    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=True)
        spec = pickle.dumps(tuple(Spec("load-1", None, 1, 1, {"x": x}, (), (), False, ())))
        task = Task(KEY, run_attempt, FLOW, pickle.dumps(Envelope("load", body)), spec)
        [future] = b.client.get({KEY: task}, [KEY], sync=False)
        await b.until(gate.is_reached)
        await b.lose(victim)
        await b.worker()
        if x == 10:
            assert (await future).value == 10
        else:
            with pytest.raises(Hold):
                await future
        items = await end(b)
        assert [item[0] for item in items] == ([PLAIN] if kind == PLAIN else [OTHER, SEALED])
        if x == "wide":
            assert decode(items[0]).state.cause == "result-lost"
        if x == "fail":
            assert "ValueError" in decode(items[0]).state.message

    bench(test)
    assert [x] == RAN


def test_a_retired_workers_bundle_stops_and_is_handed_over(bench, gate, monkeypatch):
    monkeypatch.setattr(actives, "LONGEST", 3600.0)

    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=True)
        task, names = bundle_of(member_of(0, 10), member_of(1, 11, gate), member_of(2, 12))
        [future] = b.client.get({BUNDLED: task}, [BUNDLED], sync=False)
        await b.until(gate.is_reached)
        await b.scheduler.remove_worker(victim.address, stimulus_id="retire-workers-1", expected=True)
        await b.worker()
        await future
        await end(b)
        assert told(b, names) == {0: ["inline"], 1: ["worker-lost"]}
        assert sealed(b) == [(2, "worker-lost")]
        gate.open()

    bench(test)
    assert RAN == [10, 11]


def test_a_worker_that_left_nothing_behind_is_not_believed_to_have_begun_nothing(bench, gate):
    async def test(b):
        victim = await b.worker()
        shutil.rmtree(victim.local_directory)
        await b.open(shares_disk=True)
        task, _ = bundle_of(member_of(0, 10), member_of(1, 11, gate))
        [future] = b.client.get({BUNDLED: task}, [BUNDLED], sync=False)
        await b.until(gate.is_reached)
        await b.lose(victim)
        await b.worker()
        await future
        gate.open()
        assert sealed(b) == [(None, "worker-lost")]

    bench(test)


def test_workers_that_come_and_go_are_told_while_somebody_listens(bench):
    async def test(b):
        await b.worker()
        await b.open(shares_disk=True)
        later = await b.worker()
        await b.lose(later)
        await b.until(lambda: len(b.workers) == 2)
        assert b.workers == [(later.address, True), (later.address, False)]

    bench(test)


def test_marks_are_let_go_of_with_their_worker_and_made_for_one_that_came_unheard(bench, gate):
    async def test(b):
        victim = await b.worker()
        await b.open(shares_disk=True)
        kept = b.plugin.seals.relics._marks
        assert list(kept) == [victim.address]
        await b.lose(victim)
        await b.until(lambda: not kept)
        await b.client.scheduler.prefectlite_close(route=ROUTE)
        later = await b.worker()
        assert not kept
        await b.open(shares_disk=True)
        assert list(kept) == [later.address]
        await b.client.scheduler.prefectlite_close(route=ROUTE)
        await b.lose(later)
        await b.open(shares_disk=True)
        assert not kept

    bench(test)
    assert relics.Relics().of_the_gone(()) is None


def test_a_run_that_leaves_no_marks_is_not_judged_by_those_of_another(bench, gate):
    other = ("etl.load-0-89abcdef", 0, 1, 1, 1)

    async def test(b):
        victim = await b.worker()
        b.plugin.open(b.client.id, "89abcdef", shares_disk=True)
        await b.open()
        begun = [b.client.submit(wait, gate, key=key, workers=[victim.address]) for key in (KEY, other)]
        await b.until(gate.is_reached)
        await b.until(lambda: {KEY, other} <= b.scheduler.tasks.keys())
        tasks = b.scheduler.tasks[KEY], b.scheduler.tasks[other]
        await b.lose(victim)
        assert [is_sealed(task) for task in tasks] == [True, False]
        assert len(begun) == 2

    bench(test)


def test_a_worker_that_was_taken_for_dead_begins_nothing_more(bench):
    async def test(b):
        worker = await b.worker()
        await b.open(shares_disk=True)
        b.plugin.seals.relics._marks[worker.address].stop()
        bundle, _ = bundle_of(member_of(0, 10))
        spec = pickle.dumps(tuple(Spec("load-1", None, 1, 1, {"x": 11}, (), (), False, ())))
        alone = Task(KEY, run_attempt, FLOW, pickle.dumps(Envelope("load", body)), spec)
        for one in b.client.get({BUNDLED: bundle, KEY: alone}, [BUNDLED, KEY], sync=False):
            with pytest.raises(Hold):
                await one
        assert await end(b) == []

    bench(test)
    assert RAN == []


async def take_for_dead(b, worker):
    b.plugin.seals.relics._marks[worker.address].stop()


async def cut_off_from_its_scheduler(b, worker):
    await b.lose(worker)


@pytest.mark.parametrize("is_bundle", [False, True])
@pytest.mark.parametrize(
    ("give_up", "x"), [(take_for_dead, 10), (take_for_dead, "loop"), (cut_off_from_its_scheduler, 10)]
)
def test_a_worker_that_was_given_up_stores_nothing_more(bench, gate, tmp_path, is_bundle, give_up, x):
    keeping = Keeping(LocalResult(tmp_path / "stored", location="{x}"), False, True, None)
    task = pickle.dumps(Envelope("load", body, keeping=keeping))

    async def test(b):
        worker = await b.worker()
        await b.open(shares_disk=True)
        spec = Spec("load-1", 0, 1, 1, {"x": x, "gate": gate}, (), (), False, ())
        if is_bundle:
            key, payload = BUNDLED, pickle.dumps((member_of(0, x, gate), member_of(1, 11)))
            graph = {key: Task(key, run_bundle, payload, 1, FLOW, task)}
        else:
            key, graph = KEY, {KEY: Task(KEY, run_attempt, FLOW, task, pickle.dumps(tuple(spec)))}
        [future] = b.client.get(graph, [key], sync=False)
        await b.until(gate.is_reached)
        await give_up(b, worker)
        gate.open()
        await b.until(lambda: not desk_of(worker)._active)
        future.release()

    bench(test)
    assert [x] == RAN
    assert not (tmp_path / "stored").exists()


@pytest.mark.parametrize(
    ("worker", "is_read"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://10.9.9.1:1", True),
        ("tcp://10.9.9.9:1", False),
        ("tls://host:1", False),
    ],
)
def test_only_workers_on_the_schedulers_machine_leave_marks(worker, is_read, tmp_path):
    found = relics.Relics()
    found.provide(worker, str(tmp_path), 1, "tcp://10.9.9.1:8786")
    assert bool(list(tmp_path.iterdir())) == is_read
    assert (found.of_the_gone(()) is not None) == is_read
