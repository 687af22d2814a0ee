"""Runs that travel together on real workers: each comes to what it would have come to alone."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

from prefectlite import DaskExecutor, Flow, flatten, signals, task, triggers, unmapped
from prefectlite.errors import DefinitionError
from prefectlite.executors import link as links
from prefectlite.executors import relics
from prefectlite.states import Cancelled, Crashed, Mapped, Running
from prefectlite.worker.wire import BUNDLE

pytestmark = pytest.mark.cluster
SIZES = (None, 1, 7, 1000, "auto")


@pytest.fixture(scope="module")
def threads():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=False
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def came_to(state):
    if isinstance(state, Mapped):
        return [came_to(child) for child in state.map_states]
    return type(state).__name__, repr(state.result), state.message


def outcome(flow, client, size):
    run = flow.start(executor=DaskExecutor(client, bundle_size=size))
    state = run.wait(120)
    found = {flow.slugs[one]: came_to(end) for one, end in state.result.items()}
    steps = Counter(
        (str(step.key), type(step.new).__name__)
        for slug in flow.slugs.values()
        for step in run.history(slug)
        if hasattr(step, "new")
    )
    return type(state).__name__, found, steps


def step(x, seed=0):
    """End in one of many ways, the same way each time."""
    how = random.Random(f"{x}{seed}").random()
    if how < 0.1:
        raise ValueError(x)
    if how < 0.2:
        raise signals.SKIP(f"not {x}")
    if how < 0.25:
        raise signals.FAIL(f"no {x}")
    return x + 1 if isinstance(x, int) else x


def total(xs):
    return sum(xs)


def kept(xs):
    return sorted(x for x in xs if isinstance(x, int))


@pytest.mark.parametrize(
    "seed", [*range(3), *[pytest.param(one, marks=pytest.mark.slow) for one in range(3, 6)]]
)
def test_any_size_comes_to_the_same(seed, threads):
    rng = random.Random(seed)
    with Flow("same") as flow:
        numbers = task(lambda n: list(range(n)), name="numbers")(rng.randint(1, 40))
        xs = list(range(rng.randint(1, 40)))
        one = task(step, name="one").map(xs, unmapped(seed))
        two = task(step, name="two", trigger=triggers.all_finished, skip_on_upstream_skip=False).map(one)
        task(lambda a, b: (a, b), name="three", trigger=triggers.any_successful).map(one, two)
        task(kept, name="kept", trigger=triggers.all_finished, skip_on_upstream_skip=False)(two)
        nested = task(lambda n: list(range(n % 4)), name="nested").map(numbers)
        task(step, name="flat").map(flatten(nested))
        calls = [task(step, name="call")(n, seed) for n in range(rng.randint(1, 30))]
        task(kept, name="all_calls", trigger=triggers.all_finished, skip_on_upstream_skip=False)(calls)
    expected = outcome(flow, threads, None)
    for size in SIZES[1:]:
        assert outcome(flow, threads, size) == expected, size


def test_a_run_that_fails_once_is_tried_again_alone(threads, tmp_path):
    def once(x):
        mark = tmp_path / f"{x}"
        mark.write_text(mark.read_text() + "." if mark.exists() else ".")
        if x % 10 == 3 and mark.read_text() == ".":
            raise OSError(x)
        return x

    with Flow("once") as flow:
        mapped = task(once, max_retries=1).map(list(range(40)))
        end = task(total)(mapped)
    state = flow.run(executor=DaskExecutor(threads, bundle_size=20))

    assert state.result[end].result == sum(range(40))
    assert {path.name for path in tmp_path.iterdir() if path.read_text() == ".."} == {"3", "13", "23", "33"}
    assert {path.read_text() for path in tmp_path.iterdir()} == {".", ".."}


def test_what_a_slow_bundle_has_not_begun_goes_to_others(client, tmp_path):
    def nap(x):
        with (tmp_path / f"{x}").open("a") as file:
            file.write(f"{os.getpid()} ")
        time.sleep(0.1)
        return x

    with Flow("slow") as flow:
        mapped = task(nap).map(list(range(12)))
        end = task(total)(mapped)
    state = flow.run(executor=DaskExecutor(client, bundle_size=12))

    assert state.result[end].result == sum(range(12))
    places = [(tmp_path / f"{x}").read_text().split() for x in range(12)]
    assert [len(pids) for pids in places] == [1] * 12


def test_large_values_do_not_share_a_bundle(client):
    with Flow("large") as flow:
        blocks = task(lambda n: np.full(50_000, n), name="block", keep_result=True).map(list(range(6)))
        sums = task(lambda block: int(block.sum()), name="sum").map(blocks)
    state = flow.run(executor=DaskExecutor(client, bundle_size=6))

    assert state.result[sums].result == [50_000 * n for n in range(6)]
    assert [int(block[0]) for block in state.result[blocks].result] == list(range(6))


def test_results_in_a_bundle_outlive_an_own_cluster():
    with Flow("kept") as flow:
        texts = task(lambda n: f"{n}" * 9_000, name="text").map(list(range(1, 6)))
    state = flow.run(executor=DaskExecutor(n_workers=1, bundle_size=5))

    assert [text[0] for text in state.result[texts].result] == list("12345")


def test_only_what_had_begun_on_a_dead_worker_is_lost(tmp_path, impatient):
    log = tmp_path / "log"

    def body(x):
        with log.open("a") as file:
            file.write(f"{x} ")
        if x == 3:
            os._exit(1)
        return x

    with Flow("die") as flow:
        mapped = task(body).map(list(range(8)))
    state = flow.run(
        executor=DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 1}, bundle_size=8)
    )

    ends = [type(child).__name__ for child in state.result[mapped].map_states]
    assert ends[3] == "Crashed"
    assert ends[4:] == ["Success"] * 4
    assert sorted(log.read_text().split()) == [str(n) for n in range(8)]


def test_without_marks_all_of_a_dead_workers_bundle_is_lost_and_nothing_runs_twice(
    tmp_path, impatient, monkeypatch
):
    log = tmp_path / "log"

    def elsewhere(*_, **__):
        raise OSError("The worker's directory is on another machine.")

    monkeypatch.setattr(relics, "Marks", elsewhere)

    def body(x):
        with log.open("a") as file:
            file.write(f"{x} ")
        if x == 3:
            os._exit(1)
        return x

    with Flow("die") as flow:
        mapped = task(body).map(list(range(8)))
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        state = flow.run(executor=DaskExecutor(client, bundle_size=8))

    assert {type(child) for child in state.result[mapped].map_states} == {Crashed}
    assert log.read_text().split() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("plugin", [True, False])
def test_lost_reports_are_made_up_for(plugin, client, impatient, monkeypatch):
    hear, dropped = links.Link.hear, []

    def deaf(self, items):
        lost = [item for item in items if item[0] == BUNDLE and item[1] not in dropped]
        dropped.extend(item[1] for item in lost)
        hear(self, [item for item in items if item not in lost])

    monkeypatch.setattr(links.Link, "hear", deaf)

    def odd(x):
        if x % 2 == 0:
            raise KeyError(x)
        return x

    with Flow("lost") as flow:
        mapped = task(odd).map(list(range(10)))
    state = flow.run(executor=DaskExecutor(client, bundle_size=5, plugin=plugin))

    assert len(dropped) == 2
    assert [came_to(child)[:2] for child in state.result[mapped].map_states] == [
        ("Success", f"{n}") if n % 2 else ("Failed", f"KeyError({n})") for n in range(10)
    ]


@pytest.mark.parametrize("where", ["processes", "threads"])
def test_a_cancel_ends_the_whole_bundle(where, request, tmp_path):
    folder = Path(tmp_path)

    def nap(x):
        (folder / f"{x}").touch()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.01)

    executor = DaskExecutor(
        request.getfixturevalue("client" if where == "processes" else "threads"), bundle_size=50
    )
    with Flow("cancelled") as flow:
        mapped = task(nap).map(list(range(50)))
    run = flow.start(executor=executor)
    deadline = time.monotonic() + 30
    while not any(folder.iterdir()) or not any(
        isinstance(child, Running) for child in run.states()[mapped].map_states
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.cancel()
    state = run.wait(60)

    assert isinstance(state, Cancelled)
    begun = len(list(folder.iterdir()))
    with Flow("next") as after:
        one = task(lambda: 1, name="one")()
    assert after.run(executor=executor).result[one].result == 1
    assert len(list(folder.iterdir())) == begun <= 2  # mates of what runs long go elsewhere


@pytest.mark.parametrize("size", [0, -1, True, 2.5, "many"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(DefinitionError, match="bundle_size"):
        DaskExecutor(bundle_size=size)
