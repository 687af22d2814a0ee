"""What a Dask worker calls: one attempt, and what drivers ask of workers. Knows Dask's worker.

An attempt writes its report into its task's metadata, which rides on the message that Dask sends anyhow. One
that ended for good, and as no plain success, says so in a message of its own and then raises a marker: Dask
shows it as erred, and errs what was lowered ahead of it inside the scheduler.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

from prefectlite.lowering.elements import flat_length_of, length_of
from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.wrappers import Done, Held, Hold, Packed, Slots, Succeeded
from prefectlite.results.serializers import weigh
from prefectlite.states.report import Report
from prefectlite.states.state import Crashed
from prefectlite.worker.attempt import Interruption, Outcome, perform_packed
from prefectlite.worker.desk import Active, Desk, desk_of
from prefectlite.worker.opened import open_flow, open_task
from prefectlite.worker.wire import BUNDLE, HELD, MARK, PLAIN, Item, encode, plain_facts

#: What stands for an attempt on the cluster.
Wrapper: TypeAlias = Succeeded | Done | Held

#: Up to how many pickled bytes a result rides in a report that is told a second time.
RETOLD_LIMIT = 8192


def run_attempt(flow: bytes | Packed, task: bytes | Packed, spec: bytes, *values: Any) -> Wrapper:
    """Run an attempt where the scheduler listens to reports; this is what a Dask task of ours calls.

    Parameters
    ----------
    flow, task : bytes or Packed
        The flow run's facts and the task.
    spec : bytes
        What this attempt is told.
    *values : object
        What lies under the keys that it needs.

    Returns
    -------
    Succeeded, Done or Held
        A plain success, or what is to be tried again.

    Raises
    ------
    Hold
        When the attempt ended otherwise, for good.
    """
    wrapper = _run(flow, task, spec, values, False)
    if wrapper is None:
        raise Hold  # here and not further in: Dask pickles the frames
    return wrapper


def run_attempt_by_topic(flow: bytes | Packed, task: bytes | Packed, spec: bytes, *values: Any) -> Wrapper:
    """Do what ``run_attempt`` does where the scheduler accepts no plugin; reports are events of a Dask topic.

    Parameters
    ----------
    flow, task, spec, *values
        As of ``run_attempt``.

    Returns
    -------
    Succeeded, Done or Held
        As of ``run_attempt``.

    Raises
    ------
    Hold
        As of ``run_attempt``.
    """
    wrapper = _run(flow, task, spec, values, True)
    if wrapper is None:
        raise Hold
    return wrapper


def run_lost(cause: str, text: str, ended: float) -> NoReturn:
    """Say of an attempt that it is lost; the scheduler plugin puts this where its body would run again.

    Parameters
    ----------
    cause : str
        ``"worker-lost"`` or ``"result-lost"``.
    text : str
        What happened.
    ended : float
        When, in seconds since the epoch.

    Raises
    ------
    Hold
        Always.
    """
    from distributed.worker import get_worker

    worker = get_worker()
    desk, key = desk_of(worker), worker.get_current_task()
    report = Report(Crashed(text, cause=cause), ended, ended, where=desk.address)
    active = Active(key, False)
    _say_end(desk, active, encode(key, report))
    raise Hold


def _run(
    flow: bytes | Packed, task: bytes | Packed, spec: bytes, values: Any, by_topic: bool
) -> Wrapper | None:
    """Run an attempt and say how it ended; None when it raises."""
    from distributed.worker import get_worker

    try:
        worker = get_worker()
        key: DataKey = worker.get_current_task()
        desk = desk_of(worker)
        active = desk.begin(key, by_topic)
        outcome = _attempt(desk, active, flow, task, spec, values)
    except Interruption:
        return None
    if outcome is None:
        return None
    report, wrapper = outcome.report, outcome.wrapper
    if wrapper is not None:
        assert report is not None  # what stands for a value on the cluster has a report
        facts = plain_facts(report)
        if by_topic:
            desk.say(active, (PLAIN, key, desk.address, facts))
        else:
            worker.state.tasks[key].metadata[MARK] = facts
        return wrapper
    item: Item = (HELD, key) if report is None else encode(key, report)
    if outcome.is_final:
        _say_end(desk, active, item)
        return None
    if by_topic:
        desk.say(active, item)
    else:
        worker.state.tasks[key].metadata[MARK] = item
    return Held(item)


def attempt_at(
    desk: Desk,
    key: DataKey,
    by_topic: bool,
    flow: bytes | Packed,
    task: bytes | Packed,
    spec: bytes,
    values: Sequence[Any],
) -> tuple[Wrapper, Item, int] | None:
    """Run an attempt of a bundle.

    Parameters
    ----------
    desk : Desk
        The worker's.
    key : tuple
        The attempt's data key.
    by_topic : bool
        Whether what it says goes through a Dask topic.
    flow, task : bytes or Packed
        The flow run's facts and the task.
    spec : bytes
        What this attempt is told.
    values : sequence
        What lies under the keys that it needs.

    Returns
    -------
    (Succeeded, Done or Held, tuple, int) or None
        What stands for it; the facts of a plain success, or else an item; the value's size in bytes. None
        when the flow run is called off.
    """
    try:
        active = desk.begin(key, by_topic)
        if desk.is_called_off(active.route):
            desk.end(active)
            return None
        outcome = _attempt(desk, active, flow, task, spec, values)
    except Interruption:
        return None
    if outcome is None:
        return None
    report = outcome.report
    if outcome.wrapper is not None:
        assert report is not None
        return outcome.wrapper, plain_facts(report), report.nbytes
    item: Item = (HELD, key) if report is None else encode(key, report)
    return Held(item), item, 0


def _attempt(
    desk: Desk, active: Active, flow: bytes | Packed, task: bytes | Packed, spec: bytes, values: Any
) -> Outcome | None:
    """Run an attempt; None when it is called off, so that nobody waits for its report."""
    try:
        return _perform(desk, active, flow, task, spec, values)
    finally:
        desk.end(active)


def _perform(
    desk: Desk, active: Active, flow: bytes | Packed, task: bytes | Packed, spec: bytes, values: Any
) -> Outcome | None:
    outcome: Outcome | None = None
    try:
        _open_early(flow, task)
        desk.capture(flow)
        active.enter()
        outcome = perform_packed(flow, task, spec, values, desk.here(active))
    except Interruption:
        pass
    while True:
        try:
            active.leave()
            return outcome
        except Interruption:
            # Sent while the body returned; there is one for each attempt at most.
            continue


def _open_early(flow: bytes | Packed, task: bytes | Packed) -> None:
    # Imports that opening brings about must not be interrupted half-way: the worker will need the
    # modules again. What fails here will fail in the attempt too, and be said there.
    with contextlib.suppress(BaseException):
        open_flow(flow)
        open_task(task)


def _say_end(desk: Desk, active: Active, item: Item) -> None:
    # The message of a task that raised carries no metadata, and it leaves nothing behind.
    desk.say(active, item)
    desk.remember(active.key, item)


def interrupt_attempts(route: str, dask_worker: Any = None) -> int:
    """Interrupt the bodies of one flow run on this worker; asked by the driver.

    Parameters
    ----------
    route : str
        Which flow run.
    dask_worker : distributed.Worker
        This worker; filled in by Dask.

    Returns
    -------
    int
        How many bodies were interrupted.
    """
    return desk_of(dask_worker).interrupt(route)


def retell(keys: list[DataKey], dask_worker: Any = None) -> list[Item]:
    """Say again what attempts on this worker said; asked by a driver that heard nothing.

    Parameters
    ----------
    keys : list of tuple
        The attempts' data keys.
    dask_worker : distributed.Worker
        This worker; filled in by Dask.

    Returns
    -------
    list of tuple
        Items, for those that are known.
    """
    desk = desk_of(dask_worker)
    found: list[Item] = []
    for key in keys:
        if (item := desk.recall(key)) is not None:
            found.append(item)
        elif key in dask_worker.data:
            wrapper = dask_worker.data[key]
            if isinstance(wrapper, Slots):
                entries = [_entry_of(one, desk.address) for one in wrapper.wrappers]
                found.append((BUNDLE, key, desk.address, entries))
            elif isinstance(wrapper, Held):
                found.append(wrapper.said)
            else:
                found.append((PLAIN, key, desk.address, _entry_of(wrapper, desk.address)))
    return found


def _entry_of(wrapper: Wrapper, where: str) -> Item:
    return wrapper.said if isinstance(wrapper, Held) else plain_facts(_report_of(wrapper, where))


def _report_of(wrapper: Succeeded | Done, where: str) -> Report:
    ended = wrapper.ended or time.time()
    if isinstance(wrapper, Done):
        return Report(None, wrapper.started, ended, where=where)
    value = wrapper.value
    weight = weigh(value, RETOLD_LIMIT, prove=False)
    length: int | str | None
    flat: int | str | None
    try:
        length, flat = length_of(value), flat_length_of(value)
    except Exception:
        length = flat = None
    return Report(
        None,
        wrapper.started,
        ended,
        weight.inline,
        weight.nbytes,
        length if isinstance(length, int) else None,
        flat if isinstance(flat, int) else None,
        length if isinstance(length, str) else None,
        where=where,
    )
