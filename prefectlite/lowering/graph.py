"""A turn's shipments as one Dask graph. Knows Dask's graph words; knows no client and no worker code.

What a graph carries is bytes and keys, so that nothing of the user's is unpickled on the scheduler, and no
function that it cannot import takes the whole graph down. A ``HighLevelGraph`` is handed over two to three
times faster than a bare dict (which Dask hashes task by task) and carries annotations by layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dask._task_spec import Task, TaskRef
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

from prefectlite.lowering.bundles import Bundle
from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.lowering.shipment import Blob, Literal, Shipment
from prefectlite.lowering.wrappers import Packed, open_literal


def build_graph(
    packed: Sequence[Shipment | Bundle],
    shared: Sequence[Literal],
    entry: Callable[..., Any],
    bundle_entry: Callable[..., Any],
) -> tuple[HighLevelGraph, list[DataKey | BundleKey]]:
    """Return a Dask graph of a turn's shipments and shared literals.

    Parameters
    ----------
    packed : sequence of Shipment or Bundle
        What is sent.
    shared : sequence of Literal
        New shared data that they need.
    entry : callable
        What a worker calls: ``entry(flow, task, spec, *values)``, where ``flow`` and ``task`` are the bytes
        of the shipment's blobs, or ``Packed`` ones where they travelled under a key of their own.
    bundle_entry : callable
        The same for a bundle, with its payload for a spec.

    Returns
    -------
    (HighLevelGraph, list of tuple)
        The graph and its keys: literals first, then what is sent, in order.
    """
    layers: dict[str, dict[Any, Task]] = {}
    annotations: dict[str, Mapping[str, Any] | None] = {}
    keys: list[DataKey | BundleKey] = []
    if shared:
        literals = layers[shared[0].key[0]] = {}
        for literal in shared:
            literals[literal.key] = literal_task(literal)
            keys.append(literal.key)
    names: dict[int, str] = {}
    for shipment in packed:
        key = shipment.key
        # One layer per set of annotations: ten thousand calls of a task have as many slugs, and a layer costs
        # about as much as a task. Keys, not layers, are what the dashboard groups by.
        mark = id(shipment.annotations)
        name = names.get(mark)
        if name is None:
            name = names[mark] = key[0]
            layers[name] = {}
            annotations[name] = shipment.annotations
        refs = [TaskRef(need) for need in shipment.needs]
        flow, task = _content(shipment.flow), _content(shipment.task)
        if isinstance(shipment, Bundle):
            layers[name][key] = Task(key, bundle_entry, flow, task, shipment.payload, *refs)
        else:
            layers[name][key] = Task(key, entry, flow, task, shipment.spec, *refs)
        keys.append(key)
    made = {
        name: MaterializedLayer(layer, annotations=dict(annotations.get(name) or {}))
        for name, layer in layers.items()
    }
    return HighLevelGraph(made, {name: set() for name in made}), keys


def literal_task(literal: Literal) -> Task:
    """Return the Dask task that puts a shared literal on a worker.

    Parameters
    ----------
    literal : Literal
        A large constant, task or set of parameters.

    Returns
    -------
    Task
        A constant's task opens it, so that it is unpickled once where it is made; others stay bytes.
    """
    return Task(literal.key, open_literal if literal.kind == "value" else Packed, literal.payload)


def _content(blob: Blob) -> bytes | TaskRef:
    return blob.payload if blob.key is None else TaskRef(blob.key)
