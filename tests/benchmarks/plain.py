"""The work in plain Dask, in the forms a careful user would choose. Knows Dask; knows nothing of ours."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from dask._task_spec import List, Task, TaskRef
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from distributed import Client

from tests.benchmarks.bodies import (
    add,
    added,
    array,
    block,
    corners,
    inc,
    looked_up,
    passed_on,
    pause,
    plus_one,
    size,
    spin,
    total,
)
from tests.benchmarks.patterns import Pattern

Work = Callable[[], Any]


def _bulk(client: Client, layer: dict[Hashable, Task], last: Hashable, expected: Any) -> Work:
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


def diamond_map(client: Client, layers: int, width: int) -> Work:
    def work() -> None:
        row = client.map(inc, [0] * width, pure=False)
        for _ in range(1, layers):
            row = client.map(add, row, row[1:] + row[:1], pure=False)
        found = client.submit(total, row, pure=False).result()
        assert found == width * 2 ** (layers - 1), found

    return work


def tree(client: Client, leaves: int) -> Work:
    name = f"add-{uuid.uuid4().hex}"
    layer: dict[Hashable, Task] = {(name, 0, i): Task((name, 0, i), inc, i) for i in range(leaves)}
    last = _pairwise(layer, name, [(name, 0, i) for i in range(leaves)], add)
    return _bulk(client, layer, last, sum(range(1, leaves + 1)))


def tree_map(client: Client, leaves: int) -> Work:
    def work() -> None:
        row = client.map(inc, range(leaves), pure=False)
        while len(row) > 1:
            row = client.map(add, row[::2], row[1::2], pure=False)
        found = row[0].result()
        assert found == sum(range(1, leaves + 1)), found

    return work


def _pairwise(
    layer: dict[Hashable, Task], name: str, row: list[Hashable], function: Callable[..., Any]
) -> Hashable:
    """Put a binary tree of ``function(x, y)`` over a row into the layer, and return the key of its root."""
    level = 0
    while len(row) > 1:
        level += 1
        above: list[Hashable] = []
        for i in range(0, len(row) - 1, 2):
            key = (name, level, i // 2)
            layer[key] = Task(key, function, TaskRef(row[i]), TaskRef(row[i + 1]))
            above.append(key)
        row = above + row[len(row) // 2 * 2 :]
    return row[0]


def pauses_map(client: Client, seconds: Sequence[float]) -> Work:
    def work() -> None:
        futures = client.map(pause, seconds, pure=False)
        found = client.submit(total, futures, pure=False).result()
        assert found == len(seconds), found

    return work


def pattern(client: Client, what: Pattern, micros: float) -> Work:
    name = f"spin-{uuid.uuid4().hex}"
    layer: dict[Hashable, Task] = {}
    unread: list[TaskRef] = []
    for step, reads in enumerate(what.steps):
        for point, points in enumerate(reads):
            key = (name, step, point)
            layer[key] = Task(key, spin, micros, *[TaskRef((name, step - 1, j)) for j in points])
        unread += [TaskRef((name, step, j)) for j in what.unread[step]]
    last = (name, len(what.steps), 0)
    layer[last] = Task(last, total, List(*unread))
    return _bulk(client, layer, last, what.expected)


def blocks(client: Client, steps: int, nbytes: int) -> Work:
    name = f"block-{uuid.uuid4().hex}"
    layer: dict[Hashable, Task] = {(name, 0): Task((name, 0), block, nbytes)}
    for i in range(1, steps):
        layer[(name, i)] = Task((name, i), passed_on, TaskRef((name, i - 1)))
    last = (name, steps)
    layer[last] = Task(last, size, TaskRef((name, steps - 1)))
    return _bulk(client, layer, last, nbytes)


def shared(client: Client, children: int, data: bytes | int) -> Work:
    """Each child reads the block by its key: one that a task makes, or one that the client scatters."""

    def work() -> None:
        if isinstance(data, int):
            read = client.submit(block, data, pure=False)
        else:
            read = client.scatter(data, hash=False)
        futures = client.map(looked_up, range(children), data=read, pure=False)
        found = client.submit(total, futures, pure=False).result()
        assert found == children * ord("x"), found

    return work


def _added(x: Any, y: Any) -> Any:
    return added([x, y])


def arrays(client: Client, count: int, nbytes: int) -> Work:
    """One graph; the sum goes as a binary tree, and nothing but its root is held."""
    name = f"array-{uuid.uuid4().hex}"
    layer: dict[Hashable, Task] = {}
    row: list[Hashable] = []
    for i in range(count):
        made, grown = ("made-" + name, i), ("grown-" + name, i)
        layer[made] = Task(made, array, i, nbytes)
        layer[grown] = Task(grown, plus_one, TaskRef(made))
        row.append(grown)
    root, last = _pairwise(layer, name, row, _added), ("corners-" + name, 0)
    layer[last] = Task(last, corners, TaskRef(root))
    expected = sum(range(1, count + 1))
    return _bulk(client, layer, last, (nbytes // 8 * 8, expected, expected))


def arrays_staged(client: Client, count: int, nbytes: int) -> Work:
    """Stage by stage with ``client.map``; the sum goes as a binary tree, and a stage is let go of with the next."""

    def work() -> None:
        row = client.map(array, range(count), [nbytes] * count, pure=False)
        row = client.map(plus_one, row, pure=False)
        while len(row) > 1:
            row = client.map(_added, row[:-1:2], row[1::2], pure=False) + row[len(row) // 2 * 2 :]
        found = client.submit(corners, row[0], pure=False).result()
        expected = sum(range(1, count + 1))
        assert found == (nbytes // 8 * 8, expected, expected), found

    return work
