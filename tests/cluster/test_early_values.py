"""Values that are too large to come with reports and lie in a bundle that a long body holds up."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections import Counter
from itertools import chain, product

import numpy as np
import pytest

from prefectlite import DaskExecutor, Flow, task, unmapped
from prefectlite.executors.early import hold_early
from prefectlite.states import Cancelled, Success, TriggerFailed

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("impatient")]
#: How many children; which of them goes on for long; of how many bytes their values are.
WIDTH, SLOW, SIZE = 120, 37, 20_000
#: Within how many seconds all is over that does not read the long one; it waits until then.
SOON = 8.0


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def until_all_but_one(run, maps):
    least = maps * (WIDTH - 1)
    until(lambda: run.counts().get("Success", 0) >= least, SOON, lambda: f"{run.counts()}, not {least}")


def making(folder, value):
    """A task whose one child goes on until there is a file; each child notes that it has begun."""

    def make(x):
        with (folder / "began").open("a") as file:
            file.write(f"{x} {os.getpid()}\n")
        end = time.monotonic() + 30
        while x == SLOW and not (folder / "go").exists() and time.monotonic() < end:
            time.sleep(0.01)
        return value(x)

    return task(make, name="make", keep_result=True)


def began(folder):
    return [tuple(map(int, line.split())) for line in (folder / "began").read_text().splitlines()]


def texts(x):
    return bytes([x]) * SIZE


def arrays(x):
    return np.full(SIZE // 8, float(x))


def number(value):
    return int(value[0])


def names_left(client):
    def data(dask_worker):
        return list(dask_worker.data)

    return [*client.cluster.scheduler.tasks, *chain.from_iterable(client.run(data).values())]


@pytest.mark.parametrize(
    ("value", "size"),
    [(texts, "auto"), (arrays, 1000)]
    + [pytest.param(*one, marks=pytest.mark.slow) for one in product((texts, arrays), (7, None))],
)
def test_one_long_body_does_not_hold_the_values_of_its_mates(value, size, client, tmp_path):
    with Flow("early") as flow:
        made = making(tmp_path, value).map(list(range(WIDTH)))
        first = task(number, name="number").map(made)
        second = task(lambda a, b: a + number(b), name="second").map(first, made)
        total = task(lambda xs: sum(xs), name="total")(second)
    run = flow.start(executor=DaskExecutor(client, bundle_size=size))
    try:
        until_all_but_one(run, 3)
    finally:
        (tmp_path / "go").touch()
    state = run.wait(30)

    assert isinstance(state, Success)
    assert state.result[total].result == 2 * sum(range(WIDTH))
    assert [number(child.result) for child in state.result[made].map_states] == list(range(WIDTH))
    assert set(Counter(x for x, _ in began(tmp_path)).values()) == {1}


@pytest.mark.parametrize("cancels", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("borrowed", [3], indirect=True)
def test_what_was_handed_over_is_let_go_of_with_its_run(cancels, borrowed, tmp_path):
    with Flow("let go") as flow:
        made = making(tmp_path, texts).map(list(range(WIDTH)))
        task(number, name="number").map(made)
    run = flow.start(executor=DaskExecutor(borrowed, bundle_size=1000))
    until_all_but_one(run, 2)
    if cancels:
        run.cancel()
    (tmp_path / "go").touch()
    state = run.wait(30)

    assert isinstance(state, Cancelled if cancels else Success)
    if not cancels:
        assert number(state.result[made].map_states[5].result) == 5
    del run, state
    gc.collect()
    until(lambda: not names_left(borrowed), 10, lambda: names_left(borrowed))


def handed_over(client):
    tasks = client.cluster.scheduler.tasks.values()
    return [one.key for one in tasks if one.state == "memory" and one.run_spec.func is hold_early]


@pytest.mark.parametrize("crashes", [pytest.param(0, marks=pytest.mark.slow), 1])
@pytest.mark.parametrize("borrowed", [3], indirect=True)
def test_what_was_handed_over_and_is_lost_is_told_of_like_any_value(crashes, borrowed, tmp_path):
    def wait():
        end = time.monotonic() + 30
        while not (tmp_path / "gate").exists() and time.monotonic() < end:
            time.sleep(0.01)
        return 0

    with Flow("lost") as flow:
        make = making(tmp_path, texts)
        make.max_crashes = crashes
        made = make.map(list(range(WIDTH)))
        late = task(lambda a, b: number(a) + b, name="late").map(made, unmapped(task(wait, name="gate")()))
    run = flow.start(executor=DaskExecutor(borrowed, bundle_size=1000))
    try:
        until(lambda: handed_over(borrowed), SOON, run.counts)
        [where] = [pid for x, pid in began(tmp_path) if x == SLOW]
        os.kill(where, signal.SIGKILL)
    finally:
        (tmp_path / "go").touch()
        (tmp_path / "gate").touch()
    state = run.wait(60)

    lost = {x for x, pid in began(tmp_path)[:WIDTH] if pid == where}
    begun = Counter(x for x, _ in began(tmp_path))
    assert 2 <= len(lost) < WIDTH
    assert SLOW in lost
    assert begun == Counter({x: 1 + (crashes if x in lost else 0) for x in range(WIDTH)})
    ends = state.result[made].map_states
    if crashes:
        assert isinstance(state, Success)
        assert [number(child.result) for child in ends] == list(range(WIDTH))
    else:
        crashed = {x: child for x, child in enumerate(ends) if not isinstance(child, Success)}
        assert set(crashed) == lost
        causes = {x: child.cause for x, child in crashed.items()}
        assert causes == {x: "worker-lost" if x == SLOW else "result-lost" for x in lost}, causes
    for x, child in enumerate(state.result[late].map_states):
        assert isinstance(child, TriggerFailed if x in lost and not crashes else Success)
