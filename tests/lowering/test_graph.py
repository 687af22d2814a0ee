"""A turn as a Dask graph, run by Dask's own synchronous scheduler."""

from __future__ import annotations

import pickle
from typing import Any

import dask
from dask._task_spec import Task as DaskTask
from dask._task_spec import TaskRef

from prefectlite.core.annotations import unmapped
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import task
from prefectlite.lowering.graph import build_graph
from prefectlite.lowering.wrappers import Packed, Succeeded
from prefectlite.worker.attempt import Here, perform_packed

SEEN: list[tuple[type, type]] = []
KEYS: dict[int, Any] = {}


@task
def inc(x: Any, extra: Any = None) -> Any:
    return x + 1


@task
def total(xs: Any) -> Any:
    return sum(xs)


def entry(flow: Any, packed: Any, spec: bytes, *values: Any) -> Any:
    SEEN.append((type(flow), type(packed)))
    outcome = perform_packed(flow, packed, spec, values, Here("here"))
    assert outcome.report is not None
    assert outcome.report.state is None, outcome.report.state
    return outcome.wrapper


def needs_of(shipment: Any) -> list[Any]:
    """What a shipment that travels alone needs, where all do."""
    return [key for need in shipment.needs for key in ([KEYS[need[0]]] if len(need) == 3 else [need])]


def build(lowered: Any, entry: Any) -> Any:
    KEYS.update({shipment.run: shipment.key for shipment in lowered.shipments})
    return build_graph(lowered.shipments, lowered.literals, entry, print, needs_of)


def computed(graph: Any, keys: list[Any]) -> list[Any]:
    return list(dask.get(graph, keys))


def test_a_turn_is_one_graph_of_bytes_and_keys(bench: Any) -> None:
    with FlowGraph("f") as flow:
        total([inc(i) for i in range(4)])
    lowered = bench(flow).start()
    graph, keys = build(lowered, entry)
    assert keys == [s.key for s in lowered.shipments]
    assert len(graph.layers) == 1
    for node in graph.values():
        assert isinstance(node, DaskTask)
        assert all(isinstance(arg, bytes | TaskRef) for arg in node.args)
    assert [w.value for w in computed(graph, keys)] == [1, 2, 3, 4, 10]


def test_shared_data_stands_under_keys_of_its_own(bench: Any) -> None:
    with FlowGraph("f") as flow:
        p = Parameter("p")
        inc.map([1, 2], extra=unmapped(p))
    lowered = bench(flow, {"p": "x" * 100_000}, singly=True).start()
    graph, keys = build(lowered, entry)
    assert keys[:2] == [literal.key for literal in lowered.literals]
    SEEN.clear()
    opened = computed(graph, keys)
    assert sorted(type(w).__name__ for w in opened[:2]) == ["Packed", "Succeeded"]
    assert [w.value for w in opened[2:]] == [2, 3]
    assert {flow_kind for flow_kind, _ in SEEN} == {Packed}
    assert {task_kind for _, task_kind in SEEN} == {bytes}


def test_one_layer_for_each_set_of_annotations_and_not_for_each_slug(bench: Any) -> None:
    with FlowGraph("f") as flow:
        for i in range(5):
            inc(i)
        for i in range(3):
            inc(i, task_args={"priority": 7})
        inc(total([inc(8, task_args={"priority": 7})]))
    lowered = bench(flow).start()
    graph, keys = build(lowered, entry)
    annotations = [layer.annotations for layer in graph.layers.values()]
    assert annotations == [None, {"priority": 7}]
    # Layers may refer to each other both ways; Dask looks at the keys.
    assert computed(graph, keys)[-1].value == 10


def test_a_graph_pickles_without_anything_of_the_users(bench: Any) -> None:
    class Secret:
        def __reduce__(self) -> Any:
            return _explode, ()

    with FlowGraph("f") as flow:
        inc(1, extra=Secret())
    lowered = bench(flow).start()
    graph, _ = build(lowered, open)
    pickle.loads(pickle.dumps(graph))
    assert isinstance(Succeeded(1), Succeeded)


def _explode() -> None:
    raise AssertionError("unpickled where it should not be")
