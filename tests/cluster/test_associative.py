"""Associative reduces on real workers: the value of one call, as a tree, with few values at once."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
from distributed import Client, LocalCluster

from prefectlite import DaskExecutor, Flow, Parameter, flatten, signals, task, triggers
from prefectlite.executors import link as links
from prefectlite.states import Crashed, Failed, Skipped, Success

pytestmark = pytest.mark.cluster
SIZES = (None, 7, "auto")


@pytest.fixture(scope="module")
def threads():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=False
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def calls(monkeypatch):
    """How many calls each reduce was cut into."""
    found = []
    honest = links.build_graph

    def build(packed, *rest):
        found.append(sum(bool(getattr(one, "covers", ())) for one in packed))
        return honest(packed, *rest)

    monkeypatch.setattr(links, "build_graph", build)
    return found


def total(xs):
    return sum(xs)


def joined(xs):
    return [one for x in xs for one in x]


def nested(xs):
    return "(" + "".join(xs) + ")"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [1, 2, 9, 100, pytest.param(1000, marks=pytest.mark.slow)])
def test_it_comes_to_the_same_as_one_call(width, size, threads):
    with Flow("same") as flow:
        numbers = task(lambda n: n, name="number").map(list(range(width)))
        lists = task(lambda n: [n], name="list").map(numbers)
        added = task(total, associative=True)(numbers)
        in_order = task(joined, associative=True)(lists)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=size))

    assert state.result[added].result == sum(range(width))
    assert state.result[in_order].result == list(range(width))


def test_many_values_go_as_a_tree_and_few_do_not(threads, calls):
    with Flow("tree") as flow:
        for width in (8, 100):
            task(nested, associative=True)(task(lambda n: f"{n}", name="text").map(list(range(width))))
    state = flow.run(executor=DaskExecutor(threads, bundle_size=None))

    few, many = [state.result[one].result for one in flow.sorted_tasks() if one.name == "nested"]
    assert sorted([few.count("("), many.count("(")]) == [1, 1 + 13 + 2]
    assert sum(calls) == 15


def test_a_list_of_tasks_goes_as_a_tree(threads, calls):
    with Flow("listed") as flow:
        parts = [task(lambda n: [n], name="part")(n) for n in range(30)]
        end = task(joined, associative=True)(parts)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=None))

    assert state.result[end].result == list(range(30))
    assert sum(calls) == 4


def test_other_arguments_that_are_known_go_with_each_call(threads, calls):
    big = np.arange(100_000)

    def weighed(xs, weights, factor, by):
        return sum(xs) * factor + int(weights[0]) + by

    with Flow("others") as flow:
        by = Parameter("by", default=0)
        numbers = task(lambda n: n, name="number").map(list(range(50)))
        end = task(weighed, associative=True)(by=by, xs=numbers, weights=big, factor=1)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=None))

    assert state.result[end].result == sum(range(50))
    assert sum(calls) == 7


def test_what_cannot_go_as_a_tree_is_called_once(threads, calls):
    with Flow("plain") as flow:
        lists = task(lambda n: [n, n], name="list").map(list(range(20)))
        flat = task(total, associative=True)(flatten(lists))
        more = task(lambda: 1, name="one")()
        two = task(lambda xs, more: len(xs) + more, name="two", associative=True)(lists, more)
        mapped = task(lambda x, xs: (x, len(xs)), name="mapped", associative=True).map(lists, lists)
        constant = task(total, associative=True)([1, 2, 3])
    state = flow.run(executor=DaskExecutor(threads, bundle_size=None))

    assert state.result[flat].result == 2 * sum(range(20))
    assert state.result[two].result == 21
    assert state.result[mapped].result[3] == ([3, 3], 2)
    assert state.result[constant].result == 6
    assert sum(calls) == 0


def test_a_reduce_of_a_reduce_and_its_readers(threads):
    with Flow("chain") as flow:
        firsts = [
            task(total, associative=True)(task(lambda n: n, name="number").map(list(range(20))))
            for _ in range(20)
        ]
        end = task(total, associative=True)(firsts)
        after = task(lambda n: n + 1, name="after")(end)
        again = task(lambda n, m: n + m, name="again")(end, after)
    for size in SIZES:
        state = flow.run(executor=DaskExecutor(threads, bundle_size=size))
        assert state.result[again].result == 2 * 20 * 190 + 1


@pytest.mark.parametrize("size", SIZES)
def test_a_call_that_raises_fails_the_reduce(size, threads):
    def picky(xs):
        if 77 in xs:
            raise ValueError("not 77")
        return sum(xs)

    with Flow("picky") as flow:
        numbers = task(lambda n: n, name="number").map(list(range(100)))
        end = task(picky, associative=True)(numbers)
        after = task(lambda n: n, name="after")(end)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=size))

    found = state.result[end]
    assert type(found) is Failed
    assert isinstance(found.result, ValueError)
    assert str(found.result) == "not 77"
    assert type(state.result[after]).__name__ == "TriggerFailed"


def test_a_call_that_skips_ends_the_reduce_and_one_that_succeeds_by_signal_counts(threads):
    def skips(xs):
        raise signals.SKIP("enough")

    def succeeds(xs):
        raise signals.SUCCESS("enough", result=sum(xs))

    with Flow("signals") as flow:
        numbers = task(lambda n: n, name="number").map(list(range(30)))
        skipped = task(skips, associative=True)(numbers)
        succeeded = task(succeeds, associative=True)(numbers)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=None))

    assert type(state.result[skipped]) is Skipped
    assert state.result[skipped].message == "enough"
    assert type(state.result[succeeded]) is Success
    assert state.result[succeeded].result == sum(range(30))


@pytest.mark.parametrize("part", [3, 99])
def test_a_retry_calls_it_on_all_parts_again(part, threads, tmp_path):
    def once(xs):
        mark = tmp_path / "mark"
        if part in xs and not mark.exists():
            mark.touch()
            raise OSError("once")
        return sum(xs)

    with Flow("once") as flow:
        numbers = task(lambda n: n, name="number").map(list(range(100)))
        end = task(once, associative=True, max_retries=1)(numbers)
    run = flow.start(executor=DaskExecutor(threads, bundle_size=None))
    state = run.wait(60)

    assert state.result[end].result == sum(range(100))


@pytest.mark.parametrize("size", SIZES)
def test_children_that_fail_once_are_added_all_the_same(size, threads, tmp_path):
    def number(n):
        mark = tmp_path / f"{n}"
        if n % 30 == 29 and not mark.exists():
            mark.touch()
            time.sleep(0.2)
            raise OSError(n)
        return [n]

    with Flow("children") as flow:
        numbers = task(number, max_retries=1).map(list(range(100)))
        end = task(joined, associative=True)(numbers)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=size))

    assert state.result[end].result == list(range(100))


def test_a_child_that_fails_for_good_leaves_the_reduce_to_its_trigger(threads):
    def number(n):
        if n == 50:
            raise ValueError(n)
        return 1

    def count(xs):
        return sum(x for x in xs if isinstance(x, int))

    with Flow("trigger") as flow:
        numbers = task(number).map(list(range(100)))
        refused = task(total, associative=True)(numbers)
        end = task(count, associative=True, trigger=triggers.all_finished)(numbers)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=None))

    assert type(state.result[refused]).__name__ == "TriggerFailed"
    assert state.result[end].result == 99


@pytest.mark.parametrize("max_crashes", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_worker_lost_in_a_call_crashes_the_reduce(max_crashes, impatient, tmp_path):
    def deadly(xs):
        with (tmp_path / f"{min(xs)} {len(xs)}").open("a") as file:
            file.write(".")
        if 3 in xs and not (tmp_path / "mark").exists():
            (tmp_path / "mark").touch()
            os._exit(1)
        return sum(xs)

    with Flow("deadly") as flow:
        # What begins together with its workers leaves no marks, and there is room for those of a few
        # bundles: the others' results would be lost.
        ready = task(lambda: time.sleep(0.5), name="ready")()
        numbers = task(lambda n: n, name="number").map(list(range(10)), upstream_tasks=[ready])
        end = task(deadly, associative=True, max_crashes=max_crashes)(numbers)
    state = flow.run(executor=DaskExecutor(n_workers=2, bundle_size=None))

    if max_crashes:
        assert state.result[end].result == sum(range(10))
    else:
        assert type(state.result[end]) is Crashed
        assert {path.read_text() for path in tmp_path.iterdir()} == {"", "."}


def alive(name, dask_scheduler):
    return sum(
        task.state == "memory" and isinstance(key, tuple) and f".{name}-" in key[0]
        for key, task in dask_scheduler.tasks.items()
    )


@pytest.mark.parametrize("size", SIZES)
def test_few_values_are_alive_at_once(size, client):
    def array(n):
        time.sleep(0.02)  # so that the driver, whose word frees them, keeps pace
        return np.full(625_000, n, dtype=float)

    with Flow("memory") as flow:
        arrays = task(array).map(list(range(60)))
        end = task(lambda xs: sum(xs[1:], start=xs[0]), name="sum", associative=True)(arrays)
        first = task(lambda xs: int(xs[0]), name="first")(end)
    run = flow.start(executor=DaskExecutor(client, bundle_size=size))
    waits = threading.Thread(target=run.wait, args=(60,))
    waits.start()
    most = 0
    while waits.is_alive():
        most = max(most, client.run_on_scheduler(alive, "array"))
        time.sleep(0.01)  # who asks without a pause starves who is asked
    state = run.wait(1)

    assert state.result[first].result == sum(range(60))
    assert 0 < most < 35


def test_what_was_kept_of_parts_goes_with_the_reduce(client):
    with Flow("parts") as flow:
        arrays = task(lambda n: np.full(100_000, n), name="array").map(list(range(40)))
        end = task(lambda xs: sum(xs[1:], start=xs[0]), name="sum", associative=True)(arrays)
        task(lambda xs: time.sleep(0.5), name="nap")(end)
    run = flow.start(executor=DaskExecutor(client, bundle_size=None))
    found = set()
    while type(run.states()[end]) is not Success:
        time.sleep(0.01)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and found != {(0, 1)}:
        found = {(client.run_on_scheduler(alive, "array"), client.run_on_scheduler(alive, "sum"))}
    run.wait(60)

    assert found == {(0, 1)}
