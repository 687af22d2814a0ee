"""How many runs of a task travel as one Dask task is the task's to say: each body tells which one it is in."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from distributed import Client, LocalCluster, get_worker

from prefectlite import DaskExecutor, Flow, Task, context, task
from prefectlite.states import Mapped, Success
from prefectlite.worker import active as actives
from prefectlite.worker import bundle

pytestmark = pytest.mark.cluster

#: Task, attempt and Dask task of each body that began.
ran = []


@pytest.fixture(scope="module")
def threads():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=False
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy machine, no bundle gives back what it has not begun."""
    monkeypatch.setattr(bundle, "LONGEST", 60.0)
    monkeypatch.setattr(actives, "LONGEST", 60.0)
    ran.clear()


def body(x=0, y=0):
    key = get_worker().get_current_task()
    ran.append((context.task_name, context.task_run_count, key))
    return (x if isinstance(x, int) else sum(x)) + (y if isinstance(y, int) else sum(y)) + 1


def fails_once(x):
    body(x)
    if context.task_run_count == 1:
        raise OSError(x)
    return x


def naps(x):
    body(x)
    time.sleep(0.06)  # long enough to travel alone, if that were learned
    return x


class Body(Task):
    def run(self, x):
        return body(x)


def together(name="body", attempt=1):
    """How many runs of a task each Dask task held, most first."""
    keys = Counter(key for one, count, key in ran if (one, count) == (name, attempt))
    return sorted(keys.values(), reverse=True)


@pytest.mark.parametrize("size", ["auto", 5, 1000])
def test_children_of_a_map_travel_by_the_number_of_their_task(size, threads):
    with Flow("map") as flow:
        mapped = task(body, bundle_size=8).map(list(range(24)))
    state = flow.run(executor=DaskExecutor(threads, bundle_size=size))

    assert state.result[mapped].result == list(range(1, 25))
    assert together() == [8, 8, 8]


@pytest.mark.parametrize("size", ["auto", 1000])
def test_runs_of_a_task_that_says_none_travel_alone(size, threads):
    with Flow("alone") as flow:
        first = task(body, name="first").map(list(range(24)))
        alone = task(body, name="alone", bundle_size=None).map(first)
        last = task(body, name="last").map(alone)
        calls = [task(body, name="call", bundle_size=None)(n) for n in range(5)]
        link = 0
        for _ in range(5):
            link = task(body, name="link", bundle_size=None)(link)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=size))

    assert state.result[last].result == list(range(3, 27))
    assert [state.result[one].result for one in (*calls, link)] == [1, 2, 3, 4, 5, 5]
    assert together("alone") == [1] * 24
    assert together("call") == together("link") == [1] * 5
    shared = Counter(key for *_, key in ran)
    assert all(shared[key] == 1 for name, _, key in ran if name in ("alone", "call", "link"))
    assert max(together("first")) > 1


@pytest.mark.parametrize("size", [None, 1])
def test_an_executor_without_bundles_wins(size, threads):
    with Flow("off") as flow:
        task(body, name="child", bundle_size=100).map(list(range(10)))
        for n in range(10):
            task(body, name="call", bundle_size=100)(n)
    assert isinstance(flow.run(executor=DaskExecutor(threads, bundle_size=size)), Success)

    assert together("child") == together("call") == [1] * 10


def test_the_number_holds_for_calls_and_for_links_of_a_chain(threads):
    called = task(body, name="call")
    with Flow("calls") as flow:
        for n in range(24):
            called(n, task_args={"bundle_size": 7})
        link = 0
        linked = Body(name="link", bundle_size=2).copy(bundle_size=5)
        for _ in range(20):
            link = linked(link)
    state = flow.run(executor=DaskExecutor(threads))

    assert state.result[link].result == 20
    assert together("call") == [7, 7, 7, 3]
    assert together("link") == [5, 5, 5, 5]


def test_the_number_holds_for_pieces_of_a_graph_and_maps_of_maps(threads):
    leaf, add = task(body, name="leaf", bundle_size=3), task(body, name="add", bundle_size=2)
    with Flow("pieces") as flow:
        level = [leaf(n) for n in range(16)]
        while len(level) > 1:
            level = [add(*level[at : at + 2]) for at in range(0, len(level), 2)]
        first = task(body, name="first", bundle_size=6).map(list(range(24)))
        second = Body(name="second", bundle_size=4).map(first)
        third = task(body, name="third").map(second)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=1000))

    assert state.result[level[0]].result == sum(range(17)) + 15
    assert state.result[third].result == list(range(3, 27))
    assert max(together("leaf")) <= 3
    assert max(together("add")) <= 2
    assert together("first") == together("second") == together("third") == [4] * 6
    assert len({key for name, _, key in ran if name in ("first", "second", "third")}) == 6


def test_the_number_holds_for_what_is_tried_again(threads):
    with Flow("again") as flow:
        mapped = task(fails_once, name="child", bundle_size=3, max_retries=1).map(list(range(12)))
    state = flow.run(executor=DaskExecutor(threads, bundle_size=1000))

    assert state.result[mapped].result == list(range(12))
    assert together("child") == [3] * 4
    again = together("child", attempt=2)
    assert sum(again) == 12
    assert max(again) <= 3


def test_a_number_is_kept_whatever_was_learned(threads):
    executor = DaskExecutor(threads)
    with Flow("learned") as flow:
        task(naps, name="child", bundle_size=4).map(list(range(16)))
    for _ in range(2):
        ran.clear()
        assert isinstance(flow.run(executor=executor), Success)
        assert together("child") == [4] * 4


@pytest.mark.parametrize("most", [None, 4, "auto"])
def test_calls_of_an_associative_reduce_travel_alone_and_what_they_read_by_its_number(most, threads):
    with Flow("fold") as flow:
        numbers = task(body, name="number", bundle_size=2).map(list(range(-1, 59)))
        end = task(body, name="sum", associative=True, bundle_size=most)(numbers)
    state = flow.run(executor=DaskExecutor(threads))

    calls = together("sum")
    assert isinstance(state.result[numbers], Mapped)
    assert state.result[end].result == sum(range(60)) + len(calls)
    assert len(calls) > 1
    assert set(calls) == {1}
    assert together("number") == [2] * 30
