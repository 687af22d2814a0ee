"""What a Dask worker calls for a bundle: its attempts one after the other, each as if it had come alone."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from typing import Any, Final

from prefectlite.lowering.bundles import WHOLE, Member, Stretch
from prefectlite.lowering.pace import VALUE_LIMIT
from prefectlite.lowering.wrappers import Held, Hold, Packed, Slots
from prefectlite.states.report import Report
from prefectlite.states.state import Crashed
from prefectlite.worker.desk import Active, Desk, desk_of
from prefectlite.worker.entry import Wrapper, attempt_at
from prefectlite.worker.wire import BUNDLE, MARK, RETURNED, Item, encode

#: A bundle that has taken so long, in seconds, begins no further attempt; the rest goes back and is sent
#: anew, to more workers and in smaller bundles.
LONGEST: Final = 0.15


def run_bundle(flow: bytes | Packed, task: bytes | Packed, payload: bytes, *values: Any) -> Slots:
    """Run the attempts of a bundle where the scheduler listens to reports.

    Parameters
    ----------
    flow, task : bytes or Packed
        The flow run's facts and the task.
    payload : bytes
        The pickled ``Member`` tuples.
    *values : object
        What lies under the keys that they need.

    Returns
    -------
    Slots
        One value for each attempt; ``Held`` where there is no plain success, or none yet.

    Raises
    ------
    Hold
        When the flow run is called off.
    """
    return _run(flow, task, payload, values, False)


def run_bundle_by_topic(flow: bytes | Packed, task: bytes | Packed, payload: bytes, *values: Any) -> Slots:
    """Do what ``run_bundle`` does where the scheduler accepts no plugin.

    Parameters
    ----------
    flow, task, payload, *values
        As of ``run_bundle``.

    Returns
    -------
    Slots
        As of ``run_bundle``.

    Raises
    ------
    Hold
        As of ``run_bundle``.
    """
    return _run(flow, task, payload, values, True)


def lose_bundle(cause: str, text: str, ended: float, payload: bytes, begun: tuple[int, ...]) -> Slots:
    """Say of a bundle's attempts that they are lost; stands in for it where bodies would run again.

    Parameters
    ----------
    cause : str
        ``"worker-lost"`` or ``"result-lost"``.
    text : str
        What happened.
    ended : float
        When, in seconds since the epoch.
    payload : bytes
        As of ``run_bundle``.
    begun : tuple of int
        The slots of those that may have begun; the others are sent back.

    Returns
    -------
    Slots
        Nothing but ``Held``.
    """
    from distributed.worker import get_worker

    worker = get_worker()
    desk = desk_of(worker)
    lost = set(begun)
    entries: list[Item] = []
    for slot, (key, _, _) in enumerate(pickle.loads(payload)):
        crash = Report(Crashed(text, cause=cause), ended, ended, where=desk.address)
        entries.append(encode(key, crash) if slot in lost else (RETURNED, key))
    item = (BUNDLE, worker.get_current_task(), desk.address, entries)
    worker.state.tasks[worker.get_current_task()].metadata[MARK] = item
    return Slots([Held(entry) for entry in entries])


def _run(
    flow: bytes | Packed, task: bytes | Packed, payload: bytes, values: Sequence[Any], by_topic: bool
) -> Slots:
    from distributed.worker import get_worker

    worker = get_worker()
    bundle = worker.get_current_task()
    desk = desk_of(worker)
    members: tuple[Member, ...] = pickle.loads(payload)
    wrappers: list[Wrapper] = []
    entries: list[Item] = []
    begun = time.monotonic()
    is_over = False
    for key, spec, stretches in members:
        if is_over:
            back: Item = (RETURNED, key)
            wrappers.append(Held(back))
            entries.append(back)
            continue
        found = attempt_at(desk, key, by_topic, flow, task, spec, _values(values, stretches))
        if found is None:
            raise Hold
        wrapper, entry, nbytes = found
        wrappers.append(wrapper)
        entries.append(entry)
        is_over = nbytes > VALUE_LIMIT or time.monotonic() - begun > LONGEST
    _say(desk, worker, (BUNDLE, bundle, desk.address, entries), by_topic)
    return Slots(wrappers)


def _say(desk: Desk, worker: Any, item: Item, by_topic: bool) -> None:
    if by_topic:
        desk.say(Active(item[1], by_topic), item)
    else:
        worker.state.tasks[item[1]].metadata[MARK] = item


def _values(values: Sequence[Any], stretches: Sequence[Stretch]) -> list[Any]:
    found: list[Any] = []
    for place, first, count in stretches:
        value = values[place]
        if first == WHOLE:
            found.append(value)
        elif type(value) is Slots:
            found.extend(value.wrappers[first : first + count])
        else:
            found.extend([value] * count)  # whatever it is, it is no plain success, and is held for
    return found
