"""Workers that die: no body runs twice under one attempt, and no run waits for ever."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster

from prefectlite import DaskExecutor, Flow, task, unmapped
from prefectlite.errors import ResultUnavailable
from prefectlite.executors import retiring
from prefectlite.executors.relics import Relics
from prefectlite.results import LocalResult
from prefectlite.states import Crashed, Failed, Success, TriggerFailed

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("impatient")]


def note(log, text):
    with Path(log).open("a") as file:
        file.write(f"{text} {os.getpid()}\n")


def noted(log, text):
    if not Path(log).exists():
        return []
    return [int(line.split()[1]) for line in Path(log).read_text().splitlines() if line.startswith(text)]


def wait_for(log, text, count=1):
    deadline = time.monotonic() + 40
    while len(noted(log, text)) < count:
        assert time.monotonic() < deadline, Path(log).read_text() if Path(log).exists() else "nothing"
        time.sleep(0.02)
    return noted(log, text)


def test_a_body_whose_worker_is_killed_is_not_begun_again(borrowed, tmp_path):
    log = str(tmp_path / "log")

    def body():
        note(log, "body")
        time.sleep(60)

    with Flow("killed") as flow:
        dead = task(body)()
        after = task(lambda x: x, name="after")(dead)
    run = flow.start(executor=DaskExecutor(borrowed))
    os.kill(wait_for(log, "body")[0], signal.SIGKILL)
    state = run.wait(40)

    assert isinstance(state.result[dead], Crashed)
    assert state.result[dead].cause == "worker-lost"
    assert isinstance(state.result[after], TriggerFailed)
    assert len(noted(log, "body")) == 1


@pytest.mark.parametrize("size", [None, 2])
def test_a_body_that_only_its_dead_worker_could_run_crashes_all_the_same(borrowed, tmp_path, size):
    log = str(tmp_path / "log")

    def body(x):
        note(log, "body")
        time.sleep(60)

    [first, _] = borrowed.scheduler_info()["workers"]
    with Flow("only there") as flow:
        dead = task(body, workers=first).map([1, 2])
    run = flow.start(executor=DaskExecutor(borrowed, bundle_size=size))
    os.kill(wait_for(log, "body")[0], signal.SIGKILL)
    until = time.monotonic() + 30
    while not any(isinstance(one, Crashed) for one in run.states()[dead].map_states):
        assert time.monotonic() < until, run.states()
        time.sleep(0.05)
    run.cancel()
    run.wait(20)

    assert len(noted(log, "body")) == 1


def test_what_a_lost_result_was_made_of_is_not_made_again(borrowed, tmp_path):
    log, gate = str(tmp_path / "log"), tmp_path / "gate"

    def make():
        note(log, "make")
        return np.arange(100_000)

    def double(array):
        note(log, "double")
        return 2 * array

    def stay():
        note(log, "stay")
        while not gate.exists():
            time.sleep(0.02)

    with Flow("chain") as flow:
        doubled, held = task(double)(task(make)()), task(stay)()
        end = task(lambda array, _: array.size, name="end")(doubled, held)
    run = flow.start(executor=DaskExecutor(borrowed, bundle_size=None))
    wait_for(log, "stay")
    wait_for(log, "double")
    while not isinstance(run.states()[doubled], Success):
        time.sleep(0.02)
    [maker] = noted(log, "double")
    os.kill(maker, signal.SIGKILL)
    deadline = time.monotonic() + 40
    while maker in borrowed.run(os.getpid, on_error="ignore").values():
        assert time.monotonic() < deadline
    gate.touch()
    found = run.wait(60).result

    assert found[doubled].cause == "result-lost"
    assert isinstance(found[end], TriggerFailed)
    assert len(noted(log, "make")) == 1


def test_a_small_value_outlives_its_worker_though_nothing_was_kept_beside_that(
    borrowed, tmp_path, monkeypatch
):
    monkeypatch.setattr(Relics, "record_of_ended", lambda *_: None)  # many others have come since
    log, gate = str(tmp_path / "log"), tmp_path / "gate"

    def make():
        note(log, "make")
        return 21

    def stay():
        note(log, "stay")
        while not gate.exists():
            time.sleep(0.02)

    with Flow("small") as flow:
        made, held = task(make)(), task(stay)()
        end = task(lambda x, _: 2 * x, name="end")(made, held)
    run = flow.start(executor=DaskExecutor(borrowed, bundle_size=None))
    wait_for(log, "stay")
    while not isinstance(run.states()[made], Success):
        time.sleep(0.02)
    [maker] = noted(log, "make")
    os.kill(maker, signal.SIGKILL)
    deadline = time.monotonic() + 40
    while maker in borrowed.run(os.getpid, on_error="ignore").values():
        assert time.monotonic() < deadline
    gate.touch()
    found = run.wait(60).result

    assert found[end].result == 42
    assert len(noted(log, "make")) == 1


def retired_under(borrowed, log):
    """Retire the worker that runs a body, while others wait behind it; return how it and their reader ended."""

    def body():
        note(log, "began")
        time.sleep(2)
        return np.arange(100_000)

    def quick(x):
        note(log, f"quick{x} ")
        return x

    with Flow("retired") as flow:
        slow = task(body, priority=1)()
        others = task(quick).map(list(range(20)))
        end = task(lambda array, xs: int(array[-1]) + sum(xs), name="end")(slow, others)
    run = flow.start(executor=DaskExecutor(borrowed, bundle_size=None))
    [pid] = wait_for(log, "began")
    [address] = [where for where, found in borrowed.run(os.getpid).items() if found == pid]
    borrowed.retire_workers([address])
    assert address not in borrowed.scheduler_info()["workers"]
    found = run.wait(60).result
    assert noted(log, "began") == [pid]
    assert all(len(noted(log, f"quick{x} ")) == 1 for x in range(20))
    return found[slow], found[end]


def test_a_worker_that_is_retired_finishes_what_it_has_begun_and_leaves_its_values(borrowed, tmp_path):
    slow, end = retired_under(borrowed, str(tmp_path / "log"))

    assert isinstance(slow, Success)
    assert end.result == 99_999 + sum(range(20))


def test_a_body_that_outlasts_the_patience_of_a_retirement_is_not_begun_again(
    borrowed, tmp_path, monkeypatch
):
    monkeypatch.setattr(retiring, "PATIENCE", 0.3)
    slow, end = retired_under(borrowed, str(tmp_path / "log"))

    assert isinstance(slow, Crashed)
    assert slow.cause == "worker-lost"
    assert "retired" in slow.message
    assert isinstance(end, TriggerFailed)


@pytest.mark.slow
def test_a_cluster_that_is_scaled_down_by_hand_loses_nothing(borrowed, tmp_path):
    log = str(tmp_path / "log")

    def body(x):
        note(log, f"body{x} ")
        time.sleep(0.3)
        return x

    with Flow("scaled") as flow:
        bodies = task(body).map(list(range(8)))
    run = flow.start(executor=DaskExecutor(borrowed))
    wait_for(log, "body", 2)
    borrowed.cluster.scale(1)
    found = run.wait(60).result

    assert [one.result for one in found[bodies].map_states] == list(range(8))
    assert all(len(noted(log, f"body{x} ")) == 1 for x in range(8))


def test_max_crashes_is_what_runs_it_again(borrowed, tmp_path):
    log = str(tmp_path / "log")

    def body():
        note(log, "body")
        if len(noted(log, "body")) == 1:
            time.sleep(60)
        return "second"

    with Flow("again") as flow:
        end = task(body, max_crashes=1)()
    run = flow.start(executor=DaskExecutor(borrowed))
    os.kill(wait_for(log, "body")[0], signal.SIGKILL)
    state = run.wait(40)

    assert state.result[end].result == "second"
    assert len(noted(log, "body")) == 2


def test_a_result_that_died_with_its_worker_is_not_made_again(borrowed, tmp_path):
    log, gate = str(tmp_path / "log"), tmp_path / "gate"

    def make():
        note(log, "make")
        return np.zeros(100_000)

    def slow():
        note(log, "slow")
        while not gate.exists():
            time.sleep(0.02)

    def read(value, other):
        note(log, "read")

    with Flow("lost") as flow:
        made, held = task(make)(), task(slow)()
        end = task(read)(made, held)
    run = flow.start(executor=DaskExecutor(borrowed))
    maker, holder = wait_for(log, "make")[0], wait_for(log, "slow")[0]
    while not isinstance(run.states()[made], Success):
        time.sleep(0.02)
    if maker == holder:
        pytest.skip("one worker ran both")
    os.kill(maker, signal.SIGKILL)
    while len(borrowed.scheduler_info()["workers"]) > 1:
        time.sleep(0.01)
    gate.touch()
    state = run.wait(40)

    assert len(noted(log, "make")) == 1
    assert isinstance(state.result[made], Crashed)
    assert state.result[made].cause == "result-lost"
    assert isinstance(state.result[end], TriggerFailed)
    assert not noted(log, "read")


@pytest.mark.slow
@pytest.mark.parametrize("option", ["target", "cache_for"])
def test_a_result_that_was_stored_outlives_its_worker(borrowed, tmp_path, option):
    log, gate = str(tmp_path / "log"), tmp_path / "gate"

    def make():
        note(log, "make")
        return np.ones(100_000)

    def slow():
        note(log, "slow")
        while not gate.exists():
            time.sleep(0.02)

    def read(value, other):
        note(log, "read")
        return int(value.sum())

    stored = {"target": "made.pkl"} if option == "target" else {"cache_for": 60}
    with Flow("stored") as flow:
        made, held = task(make, result=LocalResult(tmp_path / "stored"), **stored)(), task(slow)()
        end = task(read)(made, held)
    run = flow.start(executor=DaskExecutor(borrowed))
    maker, holder = wait_for(log, "make")[0], wait_for(log, "slow")[0]
    while not isinstance(run.states()[made], Success):
        time.sleep(0.02)
    if maker == holder:
        pytest.skip("one worker ran both")
    os.kill(maker, signal.SIGKILL)
    while len(borrowed.scheduler_info()["workers"]) > 1:
        time.sleep(0.01)
    gate.touch()
    state = run.wait(40)

    assert state.is_successful()
    assert state.result[end].result == 100_000
    assert state.result[made].result.sum() == 100_000
    assert (len(noted(log, "make")), len(noted(log, "read"))) == (1, 1)


def test_a_reader_whose_value_is_lost_is_not_given_what_another_child_stored(borrowed, tmp_path):
    log, gate = str(tmp_path / "log"), tmp_path / "gate"

    def make(x):
        note(log, "make")
        return np.full(20_000, x)

    def slow():
        note(log, "slow")
        while not gate.exists():
            time.sleep(0.02)

    def read(value, other):
        return int(value[0])

    stored = LocalResult(tmp_path / "stored", location="{task_name}.pkl")
    with Flow("shared location") as flow:
        held = task(slow)()
        made = task(make, result=stored, bundle_size=3).map([0, 1, 2])
        end = task(read).map(made, unmapped(held))
    run = flow.start(executor=DaskExecutor(borrowed))
    maker, holder = wait_for(log, "make", 3)[0], wait_for(log, "slow")[0]
    while run.counts().get("Success", 0) < 3:
        time.sleep(0.02)
    if maker == holder:
        pytest.skip("one worker ran both")
    os.kill(maker, signal.SIGKILL)
    while len(borrowed.scheduler_info()["workers"]) > 1:
        time.sleep(0.01)
    gate.touch()
    found = run.wait(40).result

    last = int(stored.read("make.pkl").value[0])
    for x, (maker, reader) in enumerate(zip(found[made].map_states, found[end].map_states, strict=True)):
        if x == last:
            assert (reader.result, int(maker.result[0])) == (x, x)
        else:
            assert isinstance(reader, Failed)
            assert "was stored by another run since; put {map_index}" in reader.message
            with pytest.raises(ResultUnavailable, match="by another run since"):
                _ = maker.result


@pytest.mark.parametrize("idempotent", [False, True])
def test_children_whose_values_died_with_their_worker_are_lost_or_made_again(borrowed, tmp_path, idempotent):
    log, gate = str(tmp_path / "log"), tmp_path / "gate"

    def make(x):
        note(log, f"make{x}")
        return np.full(20_000, x)

    def slow():
        note(log, "slow")
        while not gate.exists():
            time.sleep(0.02)

    def read(value, other):
        return int(value[0])

    with Flow("lost") as flow:
        held = task(slow)()
        numbers = list(range(8))
        made = task(make, idempotent=idempotent, bundle_size=8).map(numbers)
        end = task(read).map(made, unmapped(held))
        total = task(lambda xs: sum(map(len, xs)), name="total")(made, upstream_tasks=[held])
    run = flow.start(executor=DaskExecutor(borrowed))
    maker, holder = wait_for(log, "make7")[0], wait_for(log, "slow")[0]
    while run.counts().get("Success", 0) < 8:
        time.sleep(0.02)
    if maker == holder:
        pytest.skip("one worker ran both")
    os.kill(maker, signal.SIGKILL)
    while len(borrowed.scheduler_info()["workers"]) > 1:
        time.sleep(0.01)
    gate.touch()
    found = run.wait(60).result

    if idempotent:
        assert [state.result for state in found[end].map_states] == numbers
        assert found[total].result == 8 * 20_000
        assert all(len(noted(log, f"make{x} ")) == 2 for x in numbers)
    else:
        assert {getattr(state, "cause", None) for state in found[made].map_states} == {"result-lost"}
        assert {type(state) for state in found[end].map_states} == {TriggerFailed}
        assert isinstance(found[total], TriggerFailed)
        assert all(len(noted(log, f"make{x} ")) == 1 for x in numbers)


@pytest.mark.slow
def test_what_had_not_begun_on_a_dead_worker_of_our_own_begins_elsewhere(tmp_path):
    log = str(tmp_path / "log")

    def body(x):
        note(log, f"body{x}")
        if x == 0:
            os._exit(1)
        return x

    with Flow("queue") as flow:
        bodies = task(body).map(list(range(20)))
    executor = DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 1})
    state = flow.run(executor=executor)

    ended = state.result[bodies].map_states
    assert isinstance(ended[0], Crashed)
    # One that ended within the last milliseconds of the process is lost too: it had begun, so it is not run again.
    fine = [x for x in range(20) if isinstance(ended[x], Success)]
    assert len(fine) > 10
    assert all(ended[x].result == x for x in fine)
    assert all(len(noted(log, f"body{x} ")) == 1 for x in range(20))


@pytest.mark.parametrize("whose", ["ours", "cluster", "client"])
def test_a_worker_of_a_local_cluster_that_dies_twice_comes_back(tmp_path, whose):
    """Dask looks a while after the first loss whether it is there, and closed its nanny if it just was not."""
    began = tmp_path / "began"

    def dies(began):
        if not began.exists():
            began.write_text(repr(time.time()))
            os._exit(3)
        left = float(began.read_text()) + 3.9 - time.time()
        if left > 0:
            time.sleep(left)
            os._exit(3)
        return "ended"

    with Flow("twice") as flow:
        once = task(dies, max_crashes=2)(began)
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with contextlib.ExitStack() as closing:
        closing.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "4s"}))
        if whose == "ours":
            executor = DaskExecutor(cluster_kwargs=options)
        else:
            place = cluster = closing.enter_context(LocalCluster(silence_logs=50, **options))
            if whose == "client":
                place = closing.enter_context(Client(cluster, set_as_default=False))
            executor = DaskExecutor(place)
        state = flow.start(executor=executor).wait(60)
    assert state.result[once].result == "ended"
