"""How attempts end on real workers, and how the driver learns of it, whatever gets lost on the way."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from distributed import LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin

from prefectlite import DaskExecutor, Flow, Parameter, context, signals, task, triggers
from prefectlite.errors import SerializationError
from prefectlite.executors import link as links
from prefectlite.states import Crashed, Failed, Running, Success, TriggerFailed
from prefectlite.worker.wire import BUNDLE, MARK, OTHER, PLAIN

pytestmark = pytest.mark.cluster

OWN = {"n_workers": 2, "threads_per_worker": 1}


class MyError(Exception):
    pass


def boom():
    raise MyError("no")


def nap(seconds):
    time.sleep(seconds)


def total(values):
    return sum(values)


def kept(values):
    return [value for value in values if not isinstance(value, Exception)]


def test_a_failure_holds_what_was_lowered_ahead_of_it(client):
    with Flow("held") as flow:
        first = task(boom)()
        second = task(lambda x: x, name="second")(first)
        third = task(lambda x: x, name="third")(second)
    state = flow.run(executor=DaskExecutor(client))

    assert isinstance(state.result[first], Failed)
    assert isinstance(state.result[first].result, MyError)
    assert isinstance(state.result[second], TriggerFailed)
    assert isinstance(state.result[third], TriggerFailed)


def test_a_retry_runs_again_with_what_depends_on_it(client, tmp_path):
    def second_time():
        with (tmp_path / "tries").open("a") as file:
            file.write(".")
        if len((tmp_path / "tries").read_text()) < 2:
            raise MyError("first")
        return 1

    with Flow("again") as flow:
        first = task(second_time, max_retries=1)()
        second = task(lambda x: x + 1, name="second")(first)
    state = flow.run(executor=DaskExecutor(client))

    assert state.result[second].result == 2
    assert (tmp_path / "tries").read_text() == ".."


@pytest.mark.parametrize("options", [{"bundle_size": None}, {"bundle_size": 4}])
@pytest.mark.parametrize("limit", [None, 60])
def test_an_iteration_whose_result_cannot_travel_fails_its_run_and_no_other_follows(options, limit, client):
    def page(x):
        if context.get("task_loop_count", 1) == 1:
            raise signals.LOOP(result={"page": x, "lock": threading.Lock()})
        return context.get("task_loop_result")

    with Flow("pages") as flow:
        lone, many = task(page, timeout=limit, max_retries=1)(0), task(page, max_retries=1).map([1, 2])
    found = flow.run(executor=DaskExecutor(client, **options)).result

    for state in (found[lone], *found[many].map_states):
        assert type(state) is Failed
        assert isinstance(state.result, SerializationError)
        assert "hands an object of type dict to its next iteration" in state.message


@pytest.mark.parametrize("size", [None, "auto"])
def test_an_attempt_that_is_tried_again_is_no_error_to_dask(size, client, dask_cluster):
    # An error costs Dask as much as two runs of a small task.
    with Flow("red") as flow:
        task(boom, name="again", max_retries=2)()
        task(boom, name="once")()
        task(boom, name="hopeless", max_retries=2, retry_on=KeyError)()
    finished = []

    class Look(SchedulerPlugin):
        def transition(self, key, start, finish, *args, **kwargs):
            if finish == "memory" and key[0].startswith("red."):
                finished.append((key[0].split("-")[0], key[3]))

    last = [] if size is None else [("red.again", 3), ("red.hopeless", 1), ("red.once", 1)]
    dask_cluster.scheduler.add_plugin(Look(), name="look")
    try:
        state = flow.run(executor=DaskExecutor(client, bundle_size=size))
    finally:
        dask_cluster.scheduler.remove_plugin(name="look")

    assert {type(one).__name__ for one in state.result.values()} == {"Failed"}
    # Where there are bundles, the last is none either: it would err those of its readers' bundle mates too.
    assert sorted(finished) == sorted([("red.again", 1), ("red.again", 2), *last])


@pytest.mark.parametrize("allowed", ["plugin", "topic", "refused"])
def test_reports_arrive_through_the_plugin_and_through_topics(allowed, client, monkeypatch, caplog):
    if allowed == "refused":

        def refuse(*args, **kwargs):
            raise ValueError("pickles are not allowed here")

        monkeypatch.setattr(type(client), "register_plugin", refuse)
    with Flow("channels") as flow:
        good = task(lambda x: x, name="good").map([1, 2, 3])
        bad = task(boom)()
        after = task(lambda x: x, name="after")(bad)
    with caplog.at_level(logging.WARNING, "prefectlite"):
        run = flow.start(executor=DaskExecutor(client, plugin=allowed != "topic"))
        description = run._run.description
        state = run.wait(60)

    assert state.result[good].result == [1, 2, 3]
    assert isinstance(state.result[bad].result, MyError)
    assert isinstance(state.result[after], TriggerFailed)
    assert ("accepts no plugin" in caplog.text) == (allowed == "refused")
    assert ("not promised there: that a body runs once per attempt" in caplog.text) == (allowed == "refused")
    assert ("bodies may run again when workers are lost" in description) == (allowed != "plugin")


def test_lost_reports_are_made_up_for_from_the_futures(client, impatient, monkeypatch):
    hear, dropped = links.Link.hear, []

    def deaf(self, items):
        lost = [item for item in items if item[0] in (PLAIN, OTHER, BUNDLE) and item[1] not in dropped]
        dropped.extend(item[1] for item in lost)
        hear(self, [item for item in items if item not in lost])

    monkeypatch.setattr(links.Link, "hear", deaf)
    with Flow("lost") as flow:
        first = task(lambda: list(range(3)), name="first")()
        mapped = task(lambda x: x * 10, name="mapped").map(first)
        bad = task(boom, max_retries=1)()
        after = task(lambda x: x, name="after")(bad)
    state = flow.run(executor=DaskExecutor(client, bundle_size=None))

    assert len(dropped) == 6
    assert state.result[mapped].result == [0, 10, 20]
    assert isinstance(state.result[bad].result, MyError)
    assert isinstance(state.result[after], TriggerFailed)


def test_a_report_that_nobody_remembers_is_a_crash(client, impatient, monkeypatch):
    hear = links.Link.hear

    def deaf(self, items):
        hear(self, [item for item in items if item[0] != OTHER])

    monkeypatch.setattr(links.Link, "hear", deaf)
    with Flow("forgotten") as flow:
        bad = task(boom)()
        after = task(lambda x: x, name="after")(bad)
    state = flow.run(executor=DaskExecutor(client, bundle_size=None))

    assert isinstance(state.result[bad], Crashed)
    assert state.result[bad].cause == "report-lost"
    assert isinstance(state.result[after], TriggerFailed)


def test_a_body_that_ends_its_worker_crashes_after_one_start_and_the_rest_goes_on(tmp_path, impatient):
    def die():
        with (tmp_path / "starts").open("a") as file:
            file.write(".")
        time.sleep(0.3)  # whoever ran here before has been heard
        os._exit(3)

    with Flow("die") as flow:
        dead = task(die)()
        after = task(lambda x: x, name="after")(dead)
        other = task(lambda: 1, name="other")()
    state = flow.run(executor=DaskExecutor(cluster_kwargs=OWN))

    assert isinstance(state.result[dead], Crashed)
    assert state.result[dead].cause == "exited"
    assert "exit status 3" in state.result[dead].message
    assert isinstance(state.result[after], TriggerFailed)
    assert isinstance(state.result[other], Success)
    assert (tmp_path / "starts").read_text() == "."


def test_a_scheduler_that_goes_away_ends_the_run(impatient):
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0")
    with Flow("gone") as flow:
        slow = task(nap, name="slow")(2)
    run = flow.start(executor=DaskExecutor(cluster.scheduler_address))
    while not isinstance(run.states()[slow], Running):
        time.sleep(0.05)
    cluster.close()
    state = run.wait(60)

    assert isinstance(state.result[slow], Crashed)
    assert state.result[slow].cause == "scheduler-lost"


def test_a_long_attempt_is_seen_running_and_a_short_one_is_not(client):
    seen = []
    hear = links.Link.hear

    def spy(self, items):
        seen.extend(item[0] for item in items)
        hear(self, items)

    links.Link.hear = spy
    try:
        with Flow("long") as flow:
            short = task(lambda: 1, name="short")()
            long = task(nap, name="long")(0.6)
        state = flow.run(executor=DaskExecutor(client))
    finally:
        links.Link.hear = hear

    assert state.is_successful()
    assert short is not long
    assert seen.count(3) == 1


def test_log_lines_and_prints_reach_the_driver_tagged(client):
    class Ears:
        def __init__(self):
            self.lines = []

        def started(self, run): ...
        def turn(self, transitions, counts): ...
        def ended(self, state): ...

        def log(self, lines):
            self.lines += lines

    def speak(x):
        print("printed", x)
        logging.getLogger("mine").warning("logged %s", x)

    from prefectlite.driver.run import Run

    ears = Ears()
    with Flow("talk") as flow:
        task(speak, log_stdout=True).map([7])
    Run(flow, {}, DaskExecutor(client), observers=[ears]).drive()

    said = {(line.logger, line.message, line.run, line.attempt, line.flow) for line in ears.lines}
    assert ("stdout", "printed 7", "speak-1[0]", 1, "talk") in said
    assert ("mine", "logged 7", "speak-1[0]", 1, "talk") in said
    assert {line.where for line in ears.lines} <= set(client.scheduler_info()["workers"])


@pytest.mark.slow
def test_fifty_runs_in_threads_on_one_client_come_to_what_fifty_in_turn_come_to(client):
    def odd(x):
        if x % 3 == 0:
            raise MyError(x)
        return x

    with Flow("threads") as flow:
        start = Parameter("start")
        numbers = task(lambda n: list(range(n, n + 6)), name="numbers")(start)
        odds = task(odd).map(numbers)
        end = task(total, trigger=triggers.any_successful)(task(kept, trigger=triggers.all_finished)(odds))
        never = task(lambda x: x, name="never")(odds)

    def outcome(number):
        state = flow.run(start=number, executor=DaskExecutor(client))
        found = state.result
        children = [(type(child).__name__, str(child.result)) for child in found[odds].map_states]
        return type(state).__name__, found[end].result, children, type(found[never]).__name__

    in_turn = [outcome(number) for number in range(50)]
    with ThreadPoolExecutor(50) as threads:
        at_once = list(threads.map(outcome, range(50)))

    assert at_once == in_turn
    assert in_turn[1] == (
        "Failed",
        1 + 2 + 4 + 5,
        [("Failed" if n % 3 == 0 else "Success", str(n)) for n in range(1, 7)],
        "TriggerFailed",
    )


def test_nothing_of_ours_is_left_on_a_borrowed_scheduler(client, dask_cluster):
    topic = dask_cluster.scheduler._broker._topics[MARK]
    before = topic.count
    with Flow("clean") as flow:
        task(lambda: 1, name="one")()
    state = flow.run(executor=DaskExecutor(client))

    assert state.is_successful()
    assert MARK not in dask_cluster.scheduler.plugins
    assert topic.count == before
    deadline = time.monotonic() + 10  # the client's word is on its way
    while topic.subscribers and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not topic.subscribers


def test_an_exception_that_its_args_cannot_make_arrives_as_itself(client):
    class ApiError(Exception):
        def __init__(self, status, text):
            super().__init__(f"{status}: {text}")
            self.status = status

    def ask():
        raise ApiError(404, "gone")

    def read(answers):
        return [(type(one).__name__, one.status) for one in answers]

    with Flow("api") as flow:
        asked = task(ask, isolate=True)()
        mapped = task(lambda x: ask(), name="each").map([1, 2])
        told = task(read, trigger=triggers.all_finished)([asked])

    state = flow.run(executor=DaskExecutor(client))

    for one in (state.result[asked], *state.result[mapped].map_states):
        assert (type(one.result).__name__, str(one.result), one.result.status) == (
            "ApiError",
            "404: gone",
            404,
        )
    assert state.result[told].result == [("ApiError", 404)]
