"""A real worker in this process, to which bundles and lone attempts are sent as the driver would send them."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import cloudpickle
import pytest

from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.keys import data_key, key_prefix
from prefectlite.lowering.parts import Block, Member
from prefectlite.states.keys import RunKey
from prefectlite.states.report import Report
from prefectlite.worker.desk import rest_all
from prefectlite.worker.ledger import Names
from prefectlite.worker.wire import (
    ALIKE,
    BUNDLE,
    GOING,
    HELD,
    LOGS,
    OTHER,
    RETURNED,
    STARTED,
    decode,
    plain_report,
)
from prefectlite.worker.wire import read_bundle as read

RUN = "0123abcd" + "0" * 24
SLUG = "double-1"
PREFIX = key_prefix("etl", SLUG, RUN)
TIMEOUT = 20.0


class Ended(NamedTuple):
    """What came of a bundle: the wrappers, and by slot what was told (a ``Report``, or ``"held"``, ...)."""

    wrappers: list[Any]
    told: dict[int, Any]
    items: list[Any]
    lines: list[Any]


class Site:
    """Sends bundles to a real worker, and listens."""

    def __init__(self, client: Any, worker: Any) -> None:
        from prefectlite.executors.plugin import ReportPlugin

        self.client, self.worker = client, worker
        self.items: list[Any] = []
        self._serial = 0
        client.register_plugin(ReportPlugin())
        client.sync(client.scheduler.prefectlite_open, client=client.id, route=RUN[:8], shares_disk=True)
        client.subscribe_topic("prefectlite", lambda event: self.items.extend(event[1][1]))
        self.wait(lambda: client.id in client.cluster.scheduler._broker._topics["prefectlite"].subscribers)

    def wait(self, question: Any) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not question():
            assert time.monotonic() < deadline, self.items
            time.sleep(0.002)

    def send(
        self, parts: Any, tasks: Any, values: Any = (), limit: int = 8192, by_topic: bool = False
    ) -> Any:
        """Send a bundle; return its key and future."""
        from dask._task_spec import Task, TaskRef

        from prefectlite.worker.bundle import run_bundle, run_bundle_by_topic

        self._serial += 1
        key = (f"etl.double-0-{RUN[:8]}", 0, 1, 1, 1, self._serial)
        graph: dict[Any, Any] = {}
        refs = []
        for place, value in enumerate(values):
            name = (f"etl.value-0-{RUN[:8]}", self._serial * 100 + place, 1, 0, 0)
            graph[name] = Task(name, pickle.loads, cloudpickle.dumps(value))
            refs.append(TaskRef(name))
        graph[key] = Task(
            key,
            run_bundle_by_topic if by_topic else run_bundle,
            cloudpickle.dumps(tuple(parts)),
            len(tasks),
            pickle.dumps(FlowFacts(RUN, "etl", 86400.0, {"p": 1}, 20, limit)),
            *[one if isinstance(one, bytes) else cloudpickle.dumps(one) for one in tasks],
            *refs,
        )
        [future] = self.client.get(graph, [key], sync=False)
        return key, future

    def bundle(self, parts: Any, tasks: Any, values: Any = (), **options: Any) -> Ended:
        """Run a bundle to its end."""
        self.items.clear()
        key, future = self.send(parts, tasks, values, **options)
        wrappers = future.result(TIMEOUT).wrappers
        self.wait(lambda: any(item[0] == BUNDLE and item[1] == key for item in self.items))
        told: dict[int, Any] = {}
        for item in self.items:
            if item[0] == BUNDLE:
                told.update(told_by(item, Names(parts)))
        lines = [line for item in self.items if item[0] == LOGS for line in pickle.loads(item[1])]
        return Ended(wrappers, told, list(self.items), lines)

    def alone(self, spec: Any, task: Any, values: Any = (), limit: int = 8192) -> tuple[Any, Any, list[Any]]:
        """Run an attempt that travels alone; return its wrapper, what it told, and its lines."""
        from dask._task_spec import Task

        from prefectlite.lowering.wrappers import Hold
        from prefectlite.worker.entry import run_attempt

        self.items.clear()
        self._serial += 1
        key = data_key(PREFIX, RunKey(SLUG, spec[1], spec[2]), spec[3], self._serial)
        facts = pickle.dumps(FlowFacts(RUN, "etl", 86400.0, {"p": 1}, 20, limit))
        payload = task if isinstance(task, bytes) else cloudpickle.dumps(task)
        graph = {
            key: Task(
                key, _call, run_attempt, facts, payload, pickle.dumps(tuple(spec)), cloudpickle.dumps(values)
            )
        }
        [future] = self.client.get(graph, [key], sync=False)
        try:
            wrapper = future.result(TIMEOUT)
        except Hold:
            wrapper = None
        self.wait(lambda: any(item[0] not in (LOGS, STARTED) and item[1] == key for item in self.items))
        [item] = [item for item in self.items if item[0] not in (LOGS, STARTED)]
        told: Any = (
            "held"
            if item[0] == HELD
            else decode(item)
            if item[0] == OTHER
            else plain_report(item[3], item[2])
        )
        lines = [line for item in self.items if item[0] == LOGS for line in pickle.loads(item[1])]
        return wrapper, told, lines


def _call(run: Any, flow: bytes, task: bytes, spec: bytes, values: bytes) -> Any:
    return run(flow, task, spec, *pickle.loads(values))


def _apart(report: Any) -> Any:
    """Yield what is told beside the columns, each slot by itself."""
    for slot, entry in report.others:
        if entry[0] != ALIKE:
            yield slot, entry
            continue
        _, count, payload, name, text = entry
        for one in range(slot, slot + count):
            times = report.started[one - report.first], report.ended[one - report.first]
            yield one, (OTHER, None, payload, name, text, *times)


def told_by(item: Any, names: Names) -> dict[int, Any]:
    """Return what a ``BUNDLE`` item says, by slot."""
    report = read(item)
    assert len(report.started) == len(report.ended) == len(report.sizes)
    others = dict(_apart(report))
    assert len(others) >= len(report.others)
    found: dict[int, Any] = {}
    at = 0
    for place, size in enumerate(report.sizes):
        slot = report.first + place
        if size >= 0:
            inline = report.blob[at : at + size]
            at += size
            found[slot] = Report(
                None, report.started[place], report.ended[place], inline, size, where=report.where
            )
            continue
        entry = others.pop(slot)
        if isinstance(entry[0], float):
            found[slot] = plain_report(entry, report.where)
            continue
        kind, key, *_ = entry
        assert key is None or tuple(key) == names.key(slot)
        found[slot] = (
            decode(entry) if kind == OTHER else {HELD: "held", RETURNED: "returned", GOING: "going"}[kind]
        )
    assert at == len(report.blob)
    assert not others
    return found


def block(count: int, *, columns: Any = (), first: int = 0, **facts: Any) -> Block:
    """Return a block of a task's first children."""
    made: dict[str, Any] = {
        "task": 0, "prefix": PREFIX, "slug": SLUG, "first": first, "count": count, "attempt": 2, "submission": 1,
        "given": {}, "recipes": (), "reads": (), "columns": tuple(columns), "upstreams": (), "drop_value": False,
        "measure": (),
    }  # fmt: skip
    return Block(**{**made, **facts})


def member(spec: Any, *, reads: Any = (), task: int = 0) -> Member:
    """Return an attempt that stands on its own."""
    key = data_key(PREFIX, RunKey(SLUG, spec[1], spec[2]), spec[3], 1)
    return Member(
        key, task, spec if isinstance(spec, bytes) else cloudpickle.dumps(tuple(spec)), tuple(reads)
    )


def envelope(body: Any, **facts: Any) -> Envelope:
    return Envelope("double", body, **facts)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp://",
        dashboard_address=":0",
        silence_logs=False,
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def site(cluster: Any) -> Iterator[Site]:
    """A worker of two threads in this process."""
    from distributed import Client

    with Client(cluster, set_as_default=False) as client:
        yield Site(client, cluster.workers[0])
        client.sync(client.scheduler.prefectlite_close, route=RUN[:8])
    rest_all()


class Gate:
    """What bodies wait at until the test lets them through."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.opened.wait(TIMEOUT)
