"""The work in plain Dask, in the forms a careful user would choose. Knows Dask; knows nothing of ours."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable
from typing import Any

from dask._task_spec import List, Task, TaskRef
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from distributed import Client

from tests.benchmarks.bodies import add, inc, total

Work = Callable[[], Any]


def _bulk(client: Client, layer: dict[Hashable, Task], last: Hashable, expected: int) -> Work:
    """One graph, handed over as a layer: the cheapest public form (a bare dict is tokenised task by task)."""
    graph = HighLevelGraph({"all": MaterializedLayer(layer)}, {"all": set()})

    def work() -> None:
        found = client.get(graph, last)
        assert found == expected, found

    return work


def wide_graph(client: Client, tasks: int) -> Work:
    # One key group for tasks and reduce: a group that depends on itself is not queued, which is the fastest form.
    name = f"inc-{uuid.uuid4().hex}"
    layer: dict[Hashable, Task] = {(name, i): Task((name, i), inc, i) for i in range(tasks)}
    last = (name, tasks)
    layer[last] = Task(last, total, List(*[TaskRef((name, i)) for i in range(tasks)]))
    return _bulk(client, layer, last, sum(range(1, tasks + 1)))


def wide_map(client: Client, tasks: int) -> Work:
    def work() -> None:
        futures = client.map(inc, range(tasks), pure=False)
        found = client.submit(total, futures, pure=False).result()
        assert found == sum(range(1, tasks + 1)), found

    return work


def chain(client: Client, tasks: int) -> Work:
    name = f"inc-{uuid.uuid4().hex}"
    layer: dict[Hashable, Task] = {(name, 0): Task((name, 0), inc, 0)}
    for i in range(1, tasks):
        layer[(name, i)] = Task((name, i), inc, TaskRef((name, i - 1)))
    return _bulk(client, layer, (name, tasks - 1), tasks)


def diamond(client: Client, layers: int, width: int) -> Work:
    name = f"add-{uuid.uuid4().hex}"
    layer: dict[Hashable, Task] = {(name, 0, j): Task((name, 0, j), inc, 0) for j in range(width)}
    for i in range(1, layers):
        for j in range(width):
            upstreams = TaskRef((name, i - 1, j)), TaskRef((name, i - 1, (j + 1) % width))
            layer[(name, i, j)] = Task((name, i, j), add, *upstreams)
    last = (name, layers, 0)
    layer[last] = Task(last, total, List(*[TaskRef((name, layers - 1, j)) for j in range(width)]))
    return _bulk(client, layer, last, width * 2 ** (layers - 1))
