"""What a Dask worker calls: one attempt, and what drivers ask of workers. Knows Dask's worker.

An attempt writes its report into its task's metadata, which rides on the message that Dask sends anyhow. One
that ended for good, and as no plain success, says so in a message of its own and then raises a marker: Dask
shows it as erred, and errs what was lowered ahead of it inside the scheduler. Where bundles may read it, it
returns the marker instead: with a bundle, Dask would err those of its attempts too that read something else.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.lowering.wrappers import Done, Held, Hold, Noted, NotedDone, Packed, Slots, Succeeded, Veiled
from prefectlite.results.serializers import weigh
from prefectlite.states.report import Report
from prefectlite.worker.active import Active
from prefectlite.worker.attempt import Interruption, Outcome, perform_packed
from prefectlite.worker.desk import Desk, desk_of
from prefectlite.worker.opened import open_flow, open_task
from prefectlite.worker.outcomes import measured
from prefectlite.worker.revival import Wrapper, keep_said, keep_success
from prefectlite.worker.wire import (
    HELD,
    MARK,
    PLAIN,
    Item,
    encode,
    noted,
    plain_facts,
    told_singly,
)

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


def run_beside(flow: bytes | Packed, task: bytes | Packed, spec: bytes, *values: Any) -> Wrapper:
    """Do what ``run_attempt`` does where bundles may read what comes of it.

    Parameters
    ----------
    flow, task, spec, *values
        As of ``run_attempt``.

    Returns
    -------
    Succeeded, Done or Held
        A plain success, or what holds its readers, and them alone.

    Raises
    ------
    Hold
        When the flow run is called off.
    """
    wrapper = _run(flow, task, spec, values, False, raises=False)
    if wrapper is None:
        raise Hold
    return wrapper


def run_beside_by_topic(flow: bytes | Packed, task: bytes | Packed, spec: bytes, *values: Any) -> Wrapper:
    """Do what ``run_beside`` does where the scheduler accepts no plugin.

    Parameters
    ----------
    flow, task, spec, *values
        As of ``run_attempt``.

    Returns
    -------
    Succeeded, Done or Held
        As of ``run_beside``.

    Raises
    ------
    Hold
        As of ``run_beside``.
    """
    wrapper = _run(flow, task, spec, values, True, raises=False)
    if wrapper is None:
        raise Hold
    return wrapper


def _run(
    flow: bytes | Packed,
    task: bytes | Packed,
    spec: bytes,
    values: Any,
    by_topic: bool,
    *,
    raises: bool = True,
) -> Wrapper | None:
    """Run an attempt and say how it ended; None when it raises."""
    from distributed.worker import get_worker

    worker = get_worker()
    key: DataKey = worker.get_current_task()
    desk = desk_of(worker)
    try:
        active = desk.begin(key, by_topic)
    except Interruption:
        return None
    try:
        record = active.record
        record.word[0] = 1
        outcome = _perform(desk, active, flow, task, spec, values)
        if outcome is None:
            return None  # called off, so that nobody waits for its report
        report = outcome.report
        wrapper: Wrapper | None = outcome.wrapper
        if outcome.wrapper is not None:
            assert report is not None  # what stands for a value on the cluster has a report
            facts = plain_facts(report)
            keep_success(record, outcome.wrapper, facts)
            item: Item = (PLAIN, key, desk.address, facts)
            said = facts
        else:
            said = item = (HELD, key) if report is None else encode(key, report)
            keep_said(record, item)
        record.end()
    finally:
        desk.end(active)
    if wrapper is None:
        if outcome.is_final and raises:
            say_end(desk, active, item)
            return None
        wrapper = Held(item)
    if by_topic:
        desk.say(active.route, active.by_topic, item)
    else:
        worker.state.tasks[key].metadata[MARK] = said
    return wrapper


def _perform(
    desk: Desk, active: Active, flow: bytes | Packed, task: bytes | Packed, spec: bytes, values: Any
) -> Outcome | None:
    open_early(flow, task)
    desk.capture(flow)
    return active.call(lambda: perform_packed(flow, task, spec, values, desk.here(active)))


def open_early(flow: bytes | Packed, *tasks: bytes | Packed) -> None:
    """Open what attempts need before they can be interrupted.

    Imports that opening brings about must not be interrupted half-way: the worker will need the modules
    again. What fails here will fail in the attempts too, and be said there.

    Parameters
    ----------
    flow : bytes or Packed
        The flow run's facts.
    *tasks : bytes or Packed
        The tasks.
    """
    with contextlib.suppress(BaseException):
        open_flow(flow)
        for task in tasks:
            open_task(task)


def say_end(desk: Desk, active: Active, item: Item) -> None:
    """Say how an attempt ended that leaves nothing behind: the message of a task that raised has no metadata.

    Parameters
    ----------
    desk : Desk
        The worker's.
    active : Active
        The attempt.
    item : tuple
        What it says.
    """
    desk.say(active.route, active.by_topic, item)
    desk.remember(active.key, item)


def interrupt_attempts(
    route: str,
    wanted: frozenset[DataKey | BundleKey] | None = None,
    dropped: frozenset[DataKey | BundleKey] = frozenset(),
    dask_worker: Any = None,
) -> int:
    """Interrupt the bodies of one flow run on this worker; asked by the driver.

    Parameters
    ----------
    route : str
        Which flow run.
    wanted : frozenset of tuple or None
        The Dask tasks that go on; None for a flow run that is called off.
    dropped : frozenset of tuple
        Those that do not, wherever they are now.
    dask_worker : distributed.Worker
        This worker; filled in by Dask.

    Returns
    -------
    int
        How many bodies were interrupted.
    """
    return desk_of(dask_worker).interrupt(route, wanted, dropped)


def retell(wanted: Mapping[Any, Sequence[str]], dask_worker: Any = None) -> list[Item]:
    """Say again what attempts on this worker said; asked by a driver that heard nothing.

    Parameters
    ----------
    wanted : mapping of tuple to sequence of str
        By the attempts' data keys, what maps downstream must know of their values.
    dask_worker : distributed.Worker
        This worker; filled in by Dask.

    Returns
    -------
    list of tuple
        Items, for those that are known.
    """
    desk = desk_of(dask_worker)
    found: list[Item] = []
    for key, measure in wanted.items():
        if (item := desk.recall(key)) is not None:
            found.append(item)
        elif key in dask_worker.data:
            wrapper = dask_worker.data[key]
            if isinstance(wrapper, Slots):
                entries = [_entry_of(one, desk.address, measure) for one in wrapper.wrappers]
                found.append(told_singly(key, desk.address, entries))
            elif isinstance(wrapper, Held):
                found.append(wrapper.said)
            else:
                found.append((PLAIN, key, desk.address, _entry_of(wrapper, desk.address, measure)))
    return found


def _entry_of(wrapper: Wrapper, where: str, measure: Sequence[str]) -> Item:
    if isinstance(wrapper, Held):
        return wrapper.said
    report = _report_of(wrapper, where, measure)
    return plain_facts(noted(report, wrapper.told) if isinstance(wrapper, Noted | NotedDone) else report)


def _report_of(wrapper: Succeeded | Done, where: str, measure: Sequence[str]) -> Report:
    ended = wrapper.ended or time.time()
    if isinstance(wrapper, Done):
        return Report(None, wrapper.started, ended, where=where)
    value = wrapper.value
    weight = weigh(value, -1 if isinstance(wrapper, Veiled) else RETOLD_LIMIT, prove=False)
    length, flat, unmappable = measured(value, measure)
    return Report(
        None,
        wrapper.started,
        ended,
        weight.inline,
        weight.nbytes,
        length,
        flat,
        unmappable,
        where=where,
    )
