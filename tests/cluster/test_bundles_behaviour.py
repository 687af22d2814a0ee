"""How bundles behave on worker processes: stragglers, deaths, large inputs, calls off, and many children."""

from __future__ import annotations

import os
import time
from collections import Counter

import numpy as np
import pytest

from prefectlite import DaskExecutor, Flow, context, flatten, signals, task, unmapped
from prefectlite.executors import watch
from prefectlite.states import Cancelled, Crashed, Failed, Mapped, RunKey, Running, Success, TriggerFailed

pytestmark = pytest.mark.cluster
WIDTH = 300
#: Which child goes on for long, and within how many seconds all that does not read it is over; it waits until then.
SLOW, SOON = 137, 8.0


@pytest.fixture
def warm(client):
    """The shared cluster, whose workers have run a bundle before."""
    with Flow("warm") as flow:
        task(lambda x: x, name="warm").map(list(range(20)))
    flow.run(executor=DaskExecutor(client))
    return client


class Notes:
    """What bodies wrote down when they began, from whatever process: a line each."""

    def __init__(self, path):
        self.path = path

    def __call__(self, name):
        # One small write at the end of a file is never torn apart.
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{name}\n".encode())
        os.close(handle)

    def count(self):
        return Counter(self.path.read_text().split()) if self.path.exists() else Counter()


@pytest.fixture
def began(tmp_path):
    return Notes(tmp_path / "began")


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def one_slow(began, go):
    """A task whose one child goes on until there is a file."""

    def first(x):
        began(f"first-{x}")
        end = time.monotonic() + 30
        while x == SLOW and not go.exists() and time.monotonic() < end:
            time.sleep(0.01)
        return x

    return task(first, name="first")


def noted(began, name):
    def body(x):
        began(f"{name}-{x if isinstance(x, int) else 'all'}")
        return x + 1 if isinstance(x, int) else sum(x)

    return task(body, name=name)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ("one reader", "auto"),
        ("two maps", WIDTH),
        ("a line of readers", "auto"),
        ("a line of readers", 40),
        ("a line of readers", WIDTH),
        ("several readers", 40),  # the one that goes on for long is the first of its bundle
        ("readers across", "auto"),
        ("readers across", 40),
    ],
)
def test_one_long_body_holds_only_what_reads_it(shape, size, warm, began, tmp_path):
    go, numbers = tmp_path / "go", list(range(WIDTH))
    with Flow("early") as flow:
        first = one_slow(began, go).map(numbers)
        maps = [first, noted(began, "second").map(numbers if shape == "two maps" else first)]
        if shape == "a line of readers":
            maps += [noted(began, "third").map(maps[-1])]
            maps += [noted(began, "fourth").map(maps[-1])]
        elif shape == "several readers":
            maps += [task(lambda a, b: a + b, name="third").map(first, first)]
        elif shape == "readers across":  # their bundles read those of another size
            calls = [noted(began, "call")(n) for n in numbers]
            maps += [task(lambda a, b, c: a + b - c, name="third").map(maps[-1], calls, numbers)]
        total = noted(began, "total")(maps[-1])
    run = flow.start(executor=DaskExecutor(warm, bundle_size=size))
    if shape == "two maps":
        least = 2 * WIDTH - 1 + 1
    else:
        least = len(maps) * (WIDTH - 1) + (WIDTH if shape == "readers across" else 0)
    try:
        until(lambda: run.counts().get("Success", 0) >= least, SOON, lambda: f"{run.counts()}, not {least}")
    finally:
        go.touch()
    state = run.wait(30)

    assert isinstance(state, Success)
    plus = {"one reader": 1, "two maps": 1, "a line of readers": 3, "several readers": 0, "readers across": 2}
    factor = 2 if shape == "several readers" else 1
    assert state.result[total].result == factor * sum(numbers) + plus[shape] * WIDTH
    assert set(began.count().values()) == {1}
    assert began.count()[f"first-{SLOW}"] == began.count()["total-all"] == 1


@pytest.mark.parametrize("told", ["a length", "a message", "a place"])
def test_one_long_body_does_not_hold_mates_of_which_there_is_more_to_tell(told, warm, began, tmp_path):
    go = tmp_path / "go"

    def first(x):
        began(f"first-{x}")
        end = time.monotonic() + 30
        while x == SLOW and not go.exists() and time.monotonic() < end:
            time.sleep(0.01)
        if told == "a message":
            raise signals.SUCCESS("well done", result=[x])
        return [x]

    kept = {"target": f"{tmp_path}/{{map_index}}"} if told == "a place" else {}
    with Flow("more to tell") as flow:
        mapped = task(first, name="first", **kept).map(list(range(WIDTH)))
        second = task(lambda x: x[0], name="second").map(mapped)
        if told == "a length":
            task(lambda x: x, name="flat").map(flatten(mapped))
    run = flow.start(executor=DaskExecutor(warm, bundle_size=WIDTH))
    least = 2 * (WIDTH - 1)
    try:
        until(lambda: run.counts().get("Success", 0) >= least, SOON, lambda: f"{run.counts()}, not {least}")
    finally:
        go.touch()
    state = run.wait(30)

    assert isinstance(state, Success)
    assert state.result[second].result == list(range(WIDTH))
    assert set(began.count().values()) == {1}
    if told == "a message":
        assert {child.message for child in state.result[mapped].map_states} == {"well done"}


def test_without_the_plugin_a_long_body_loses_nothing(warm, began):
    def long(x):
        began(f"first-{x}")
        time.sleep(1.0 if x == SLOW else 0.0)
        return x

    with Flow("late") as flow:
        first = task(long, name="first").map(list(range(WIDTH)))
        second = noted(began, "second").map(first)
        total = noted(began, "total")(second)
    state = flow.run(executor=DaskExecutor(warm, plugin=False, bundle_size=100))

    assert state.result[total].result == sum(range(1, WIDTH + 1))
    assert began.count() == Counter(
        [*[f"first-{n}" for n in range(WIDTH)], *[f"second-{n}" for n in range(WIDTH)], "total-all"]
    )


@pytest.mark.parametrize("plugin", [True, False])
def test_what_a_slow_bundle_returns_is_run_for_readers_that_were_sent_ahead(plugin, warm, began):
    def first(x):
        began(f"first-{x}")
        time.sleep(0.05)
        return x

    with Flow("returned") as flow:
        mapped = task(first, name="first").map(list(range(24)))
        second = noted(began, "second").map(mapped)
        pairs = task(lambda a, b: (a, b), name="pairs").map(mapped, second)
        total = noted(began, "total")(second)
        count = task(lambda xs: len(xs), name="count")(pairs)
    run = flow.start(executor=DaskExecutor(warm, bundle_size=24, plugin=plugin))
    state = run.wait(60)

    assert state.result[total].result == sum(range(1, 25))
    assert state.result[count].result == 24
    assert state.result[pairs].result == [(n, n + 1) for n in range(24)]
    assert set(began.count().values()) == {1}
    for place in (0, 12, 23):
        told = [
            type(entry.new).__name__
            for entry in run.history(RunKey("second-1", place))
            if hasattr(entry, "new")
        ]
        assert told == ["Running", "Success"]


@pytest.mark.parametrize("size", ["auto", 7, None])
@pytest.mark.parametrize("plugin", [True, False])
def test_a_failure_that_travels_alone_holds_its_readers_and_not_their_mates(plugin, size, warm, began):
    def fails():
        raise ValueError("no")

    with Flow("mates") as flow:
        bad = task(fails, name="bad", priority=1)()  # what differs in priority shares no bundle
        good = [task(lambda n: n, name="good")(n) for n in range(5)]
        readers = [noted(began, "reader")(one) for one in (*good, bad)]
    start = time.monotonic()
    state = flow.run(executor=DaskExecutor(warm, bundle_size=size, plugin=plugin))

    ends = [state.result[one] for one in readers]
    assert [type(one) for one in ends] == [Success] * 5 + [TriggerFailed]
    assert [one.result for one in ends[:5]] == [1, 2, 3, 4, 5]
    assert set(began.count().values()) == {1}
    assert time.monotonic() - start < watch.EVERY


@pytest.mark.parametrize("size", [pytest.param(WIDTH, marks=pytest.mark.slow), "auto"])
def test_a_child_that_ends_its_process_takes_no_other_along(size, began, impatient):
    def body(x):
        began(x)
        if x == WIDTH // 2:
            os._exit(1)
        return x

    with Flow("die") as flow:
        mapped = task(body).map(list(range(WIDTH)))
    own = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    state = flow.run(executor=DaskExecutor(cluster_kwargs=own, bundle_size=size))

    ends = state.result[mapped].map_states
    dead = [place for place, child in enumerate(ends) if not isinstance(child, Success)]
    assert dead == [WIDTH // 2]
    assert isinstance(ends[WIDTH // 2], Crashed)
    assert ends[WIDTH // 2].cause == "exited"
    assert [child.result for child in ends if isinstance(child, Success)] == [
        n for n in range(WIDTH) if n != WIDTH // 2
    ]
    assert began.count() == Counter(map(str, range(WIDTH)))


@pytest.mark.parametrize("size", [*[pytest.param(one, marks=pytest.mark.slow) for one in (None, 10)], "auto"])
def test_small_values_outlive_the_only_worker_and_their_readers_run(size, began, impatient):
    def body(x):
        began(f"body-{x}")
        if x == 99 and context.attempt == 1:
            os._exit(1)
        return x

    with Flow("survive") as flow:
        mapped = task(body, max_crashes=1).map(list(range(100)))
        total = noted(began, "total")(mapped)
    own = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    state = flow.run(executor=DaskExecutor(cluster_kwargs=own, bundle_size=size))

    assert [type(child) for child in state.result[mapped].map_states] == [Success] * 100
    assert state.result[total].result == sum(range(100))
    assert began.count() == Counter([*[f"body-{x}" for x in range(100)], "body-99", "total-all"])


def _sent(dask_worker):
    return int(dask_worker.transfer_outgoing_bytes_total)


class Weighed:
    """An array that counts how often this process pickles it."""

    pickled = 0

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        type(self).pickled += 1
        return _plain, (self.array,)


def _plain(array):
    return array


def test_a_shared_input_travels_once_per_worker(warm, monkeypatch):
    from distributed.comm import tcp

    sent, write = [], tcp.TCP.write

    async def counting(self, *args, **kwargs):
        nbytes = await write(self, *args, **kwargs)
        sent.append(nbytes)
        return nbytes

    monkeypatch.setattr(tcp.TCP, "write", counting)
    monkeypatch.setattr(Weighed, "pickled", 0)
    array = np.arange(2_500_000.0)
    with Flow("shared") as flow:
        sums = task(lambda x, block: float(block[x]), name="sum").map(
            list(range(200)), unmapped(Weighed(array))
        )
    before = sum(warm.run(_sent).values())
    state = flow.run(executor=DaskExecutor(warm))
    moved = sum(warm.run(_sent).values()) - before

    assert state.result[sums].result == [float(n) for n in range(200)]
    assert Weighed.pickled <= 2
    # From here, where the scheduler is too, to the scheduler and on to a worker; from that one to the other.
    assert sum(sent) + moved < 3.1 * array.nbytes
    assert moved < 1.1 * array.nbytes


def test_a_cancel_amid_many_begins_no_further_body(warm, began):
    def body(x):
        began(x)
        time.sleep(0.001)
        return x

    executor = DaskExecutor(warm)
    with Flow("many") as flow:
        mapped = task(body).map(list(range(5000)))
    run = flow.start(executor=executor)
    until(lambda: run.counts().get("Success", 0) >= 500, 20, run.counts)
    run.cancel()
    state = run.wait(30)
    begun = began.count()

    assert isinstance(state, Cancelled)
    ends = Counter(type(child).__name__ for child in state.result[mapped].map_states)
    assert set(ends) == {"Cancelled", "Success"}
    assert 500 <= ends["Success"] <= len(begun) < 5000
    with Flow("next") as after:
        one = task(lambda: 1, name="one")()
        again = task(lambda x: x, name="again").map(list(range(300)))
    end = after.run(executor=executor)
    assert end.result[one].result == 1
    assert end.result[again].result == list(range(300))
    assert began.count() == begun
    assert set(begun.values()) == {1}
    assert not [key for key in warm.futures if key[0].startswith("many.")]


def test_many_children_are_seen_one_by_one(warm):
    with Flow("many") as flow:
        mapped = task(lambda x: x + 1, name="inc").map(list(range(20_000)))
        total = task(lambda xs: sum(xs), name="total")(mapped)
    run = flow.start(executor=DaskExecutor(warm))
    state = run.wait(60)

    assert state.result[total].result == sum(range(1, 20_001))
    children = state.result[mapped].map_states
    assert isinstance(state.result[mapped], Mapped)
    assert len(children) == 20_000
    assert children[12_345].result == 12_346
    assert children[-1].result == 20_000
    assert run.counts() == {"Success": 20_001}
    history = run.history(RunKey("inc-1", 12_345))
    assert [type(getattr(one, "new", one)).__name__ for one in history] == ["Submitted", "Running", "Success"]
    times = [one.time for one in history]
    assert times == sorted(times)
    told = run.explain(RunKey("inc-1", 12_345))
    assert "inc-1[12345]" in told
    assert "Success" in told
    with pytest.raises(KeyError):
        run.explain(RunKey("inc-1", 20_000))


def test_the_long_child_itself_is_seen_running(warm, began, tmp_path):
    with Flow("seen") as flow:
        first = one_slow(began, tmp_path / "go").map(list(range(WIDTH)))
    run = flow.start(executor=DaskExecutor(warm, bundle_size=WIDTH))
    until(lambda: isinstance(run.states()[first].map_states[SLOW], Running), SOON, run.counts)
    run.cancel()
    ends = run.wait(30).result[first].map_states

    assert isinstance(ends[SLOW], Cancelled)


@pytest.mark.parametrize("failing", ["all", "every third", "first half"])
def test_children_that_fail_alike_are_tried_again_and_each_tells_of_it(failing, warm, began):
    fails = {
        "all": lambda x: True,
        "every third": lambda x: x % 3 == 0,
        "first half": lambda x: x < WIDTH // 2,
    }[failing]

    def body(x):
        began(f"child-{x}-{context.attempt}")
        if fails(x) and context.attempt < 3:
            raise ValueError("not yet")
        return x

    with Flow("alike") as flow:
        child = task(body, name="child", max_retries=2).map(list(range(WIDTH)))
        total = noted(began, "total")(child)
    run = flow.start(executor=DaskExecutor(warm, bundle_size=25))
    state = run.wait(60)

    assert isinstance(state, Success)
    assert state.result[total].result == sum(range(WIDTH))
    expected = Counter(
        f"child-{x}-{attempt}" for x in range(WIDTH) for attempt in range(1, 4 if fails(x) else 2)
    )
    expected["total-all"] = 1
    assert began.count() == expected
    once = ["Submitted", "Running"]
    for x in (0, 1, 3, WIDTH - 1):
        history = run.history(RunKey("child-1", x))
        names = [type(getattr(one, "new", one)).__name__ for one in history]
        assert names == (2 * [*once, "Failed", "Retrying"] if fails(x) else []) + [*once, "Success"]
        failures = [one.new for one in history if isinstance(getattr(one, "new", None), Failed)]
        assert all(isinstance(one.result, ValueError) and "in body" in one.traceback for one in failures)
        attempts = [one.attempt for one in history if type(one).__name__ == "Submitted"]
        assert attempts == ([1, 2, 3] if fails(x) else [1])


class Unsized:
    """Something of which nobody can tell how large it is."""

    def __sizeof__(self):
        raise RuntimeError("no size")


def holds_itself():
    value = [1]
    value.append(value)
    return value


@pytest.mark.parametrize("strange", [Unsized, holds_itself])
def test_a_value_of_which_the_size_cannot_be_told_is_a_value_and_its_mates_are_spared(warm, strange):
    def make(x):
        return [strange()] if x == 20 else x

    with Flow("sizes") as flow:
        made = task(make).map(list(range(40)))
        count = task(lambda xs: len(xs), name="count")(made)
        readers = task(lambda x: 1, name="reader").map(made)

    state = flow.run(executor=DaskExecutor(warm))

    assert state.is_successful(), state.result[made].map_states
    assert state.result[count].result == 40
    assert len(state.result[readers].result) == 40


def test_a_body_may_leave_the_pool_of_its_worker_and_its_mates_come_back(warm):
    def ask(x):
        from distributed import get_client, secede

        secede()
        return get_client().submit(lambda y: y + 1, x, pure=False).result()

    with Flow("away") as flow:
        asked = task(ask).map(list(range(30)))

    state = flow.run(executor=DaskExecutor(warm))

    assert state.result[asked].result == list(range(1, 31))
    # One thread each, as before.
    assert warm.run(lambda dask_worker: len(dask_worker.executor._threads)) == dict.fromkeys(
        warm.scheduler_info()["workers"], 1
    )


@pytest.mark.parametrize("size", [None, "auto"])
def test_what_a_body_has_read_is_let_go_of_though_dasks_timers_keep_its_context(warm, size):
    """A client in a body sets timers, which hold the ``contextvars`` context of the body for half a minute."""

    def send(x):
        from distributed import get_client

        return get_client().submit(bytes, 1_000_000 + x, pure=False)

    def read(sent):
        from distributed import worker_client

        with worker_client():
            return len(sent.result())

    def keys(dask_scheduler):
        return [key for key in dask_scheduler.tasks if str(key).startswith("bytes")]

    with Flow("futures") as flow:
        lengths = task(read).map(task(send).map(list(range(6))))
    state = flow.run(executor=DaskExecutor(warm, bundle_size=size))
    assert state.result[lengths].result == [1_000_000 + x for x in range(6)]

    del state
    until(lambda: not warm.run_on_scheduler(keys), 10, lambda: warm.run_on_scheduler(keys))
