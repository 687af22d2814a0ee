"""A turn's shipments as one Dask graph. Knows Dask's graph words; knows no client and no worker code.

What a graph carries is bytes and keys, so that nothing of the user's is unpickled on the scheduler, and no
function that it cannot import takes the whole graph down. A ``HighLevelGraph`` is handed over two to three
times faster than a bare dict (which Dask hashes task by task) and carries annotations by layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from dask._task_spec import Task, TaskRef
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.bundles import Bundle
from prefectlite.lowering.shipment import Blob, Literal, Shipment
from prefectlite.lowering.wrappers import Packed, Slots, Succeeded, Unreadable, open_literal, open_shelf


def build_graph(
    packed: Sequence[Shipment | Bundle],
    shared: Sequence[Literal],
    entry: Callable[..., Any],
    bundle_entry: Callable[..., Any],
    needs_of: Callable[[Shipment], Iterable[DaskKey]],
) -> tuple[HighLevelGraph, list[DaskKey]]:
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
        The same for a bundle: ``entry(payload, count, flow, *tasks, *values)``, where ``count`` is the number
        of tasks.
    needs_of : callable
        Returns the keys that a shipment which travels alone needs, in order of position.

    Returns
    -------
    (HighLevelGraph, list of tuple)
        The graph and its keys: literals first, then what is sent, in order.
    """
    layers: dict[str, dict[Any, Task]] = {}
    annotations: dict[str, Mapping[str, Any] | None] = {}
    keys: list[DaskKey] = []
    if shared:
        literals = layers["shared"] = {}
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
            name = names[mark] = f"{key[0]}-{len(names)}"
            layers[name] = {}
            annotations[name] = shipment.annotations
        refs = map(TaskRef, shipment.needs if isinstance(shipment, Bundle) else needs_of(shipment))
        flow = _content(shipment.flow)
        if isinstance(shipment, Bundle):
            tasks = map(_content, shipment.tasks)
            count = len(shipment.tasks)
            layers[name][key] = Task(key, bundle_entry, shipment.payload, count, flow, *tasks, *refs)
        else:
            layers[name][key] = Task(key, entry, flow, _content(shipment.task), shipment.spec, *refs)
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
    return Task(literal.key, _OPENERS[literal.kind], Packed(literal.payload))


def open_value(packed: Packed) -> Succeeded | Unreadable:
    """Return a large constant from what travelled.

    Parameters
    ----------
    packed : Packed
        It, pickled.

    Returns
    -------
    Succeeded or Unreadable
        As of ``open_literal``.
    """
    return open_literal(packed.payload)


def keep_packed(packed: Packed) -> Packed:
    """Return what travelled; an attempt opens it.

    Parameters
    ----------
    packed : Packed
        A task, or a flow run's facts.

    Returns
    -------
    Packed
        The same.
    """
    return packed


def open_values(packed: Packed) -> Slots:
    """Return values of attempts from what travelled.

    Parameters
    ----------
    packed : Packed
        They, as of ``open_shelf``.

    Returns
    -------
    Slots
        As of ``open_shelf``.
    """
    return open_shelf(packed.payload)


_OPENERS: Final[dict[str, Callable[[Packed], Any]]] = {
    "value": open_value,
    "blob": keep_packed,
    "shelf": open_values,
}


def _content(blob: Blob) -> bytes | TaskRef:
    return blob.payload if blob.key is None else TaskRef(blob.key)
