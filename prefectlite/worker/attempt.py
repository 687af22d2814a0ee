"""One attempt: unwrap inputs, run the body, catch everything, say how it went. Knows no plan, no Dask.

A worker decides nothing. An attempt whose inputs are no plain successes holds; one that ends otherwise than
as a plain success says so in its report, and the driver's rules decide what becomes of it.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prefectlite.core.context import idempotency_key, push
from prefectlite.errors import SerializationError
from prefectlite.lowering.elements import flat_length_of, length_of
from prefectlite.lowering.envelope import Envelope
from prefectlite.lowering.spec import Spec
from prefectlite.lowering.wrappers import Done, Packed, Succeeded
from prefectlite.results.serializers import weigh
from prefectlite.states.keys import RunKey
from prefectlite.states.report import Report
from prefectlite.states.signals import ENDRUN, RETRY, Signal
from prefectlite.states.state import (
    Cancelled,
    Crashed,
    Failed,
    Looped,
    Retrying,
    Scheduled,
    State,
    Success,
)
from prefectlite.worker.failures import (
    described,
    failure,
    fit_for_driver,
    fit_to_travel,
    is_retryable,
    traceback_text,
)
from prefectlite.worker.inputs import all_plain, make
from prefectlite.worker.logs import Capture, Sink, current
from prefectlite.worker.opened import OpenFlow, OpenTask, open_flow, open_task
from prefectlite.worker.prints import captured
from prefectlite.worker.upstreams import UpstreamStates


class Interruption(KeyboardInterrupt):
    """Raised inside a body by a Ctrl-C that the driver has taken: the run is called off, nothing crashed."""


@dataclass(frozen=True, slots=True)
class Here:
    """Where attempts run.

    Parameters
    ----------
    where : str
        The worker's address, or ``"local"``.
    pickles : bool
        Whether values must be pickled to get to their readers.
    sink : callable or None
        Takes batches of log lines; None captures nothing.
    """

    where: str
    pickles: bool = True
    sink: Sink | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went.

    Parameters
    ----------
    report : Report or None
        What it says of itself; None when it held before its body, since an input was no plain success.
    wrapper : Succeeded, Done or None
        What stands for it on the cluster; None when it holds: it is no plain success.
    is_final : bool
        Whether no other attempt is likely to follow. The driver decides that; what stands on the cluster
        until then depends on it.
    """

    report: Report | None
    wrapper: Succeeded | Done | None = None
    is_final: bool = True


#: An attempt that stopped before its body.
HELD = Outcome(None, is_final=False)


def perform_packed(
    flow: bytes | Packed, task: bytes | Packed, spec: bytes, values: Sequence[Any], here: Here
) -> Outcome:
    """Run an attempt from what its shipment carried.

    Parameters
    ----------
    flow, task : bytes or Packed
        The flow run's facts and the task, as in the shipment's blobs.
    spec : bytes
        The pickled spec.
    values : sequence
        What lies under the keys that the shipment needs, in order.
    here : Here
        Where it runs.

    Returns
    -------
    Outcome
        Never an exception: what cannot be opened here fails its own run.
    """
    if not all_plain(values):
        return HELD
    started = time.time()
    try:
        told = Spec._make(pickle.loads(spec))
        opened = open_flow(flow), open_task(task)
    except BaseException as error:
        why = f"{type(error).__name__}: {error}"
        text = (
            f"What this run was sent with cannot be opened at {here.where} ({why}). Install on the workers "
            "the modules that the task needs, in the same version."
        )
        state = Failed(text, SerializationError(text), traceback=traceback_text(error))
        return Outcome(Report(state, started, time.time(), where=here.where, retryable=False))
    return perform(*opened, told, values, here)


def perform(flow: OpenFlow, task: OpenTask, spec: Spec, values: Sequence[Any], here: Here) -> Outcome:
    """Run an attempt.

    Parameters
    ----------
    flow : OpenFlow
        The flow run's facts.
    task : OpenTask
        The task.
    spec : Spec
        What this attempt is told.
    values : sequence
        What lies under the keys that it needs, in order.
    here : Here
        Where it runs.

    Returns
    -------
    Outcome
        Whatever the body does: return, raise, exit, return what cannot travel. Only an ``Interruption`` that
        comes between the body and its report goes through.
    """
    if not all_plain(values):
        return HELD
    limit = flow.facts.inline_limit
    started = time.time()
    what, message = "", None
    try:
        arguments = spec.given
        if spec.recipes:
            arguments = dict(arguments)
            for name, recipe in spec.recipes:
                what = f"Its argument {name!r} could not be made: "
                arguments[name] = make(recipe, values)
            what = ""
        try:
            # A copy of its own: what the body sets in it, and blocks that it leaves open, end with it.
            value = copy_context().run(_run_body, flow, task, spec, arguments, values, here)
        except Signal as signal:
            if type(signal.state) is not Success:
                return _signalled(task.envelope, spec, signal, started, limit, here)
            value, message = signal.state.result, signal.state.message
        return _returned(spec, value, message, started, limit, here)
    except Interruption:
        return Outcome(called_off(started, here))
    except (SystemExit, KeyboardInterrupt) as error:
        text = f"The body tried to end its process with {described(error)}"
        crash = Crashed(text, cause="exited", traceback=traceback_text(error))
        return Outcome(Report(crash, started, time.time(), where=here.where))
    except BaseException as error:
        retryable, note = is_retryable(task.envelope.retry_on, error)
        failed = failure(error, limit=limit if here.pickles else None, note=note, what=what)
        return Outcome(
            Report(failed, started, time.time(), retryable=retryable, where=here.where),
            is_final=not retryable or spec.attempt > task.envelope.max_retries,
        )


def called_off(started: float, here: Here) -> Report:
    """Return the report of an attempt that an ``Interruption`` ended.

    Parameters
    ----------
    started : float
        Seconds since the epoch.
    here : Here
        Where it ran.

    Returns
    -------
    Report
        ``Cancelled``, whatever the retry rule would say.
    """
    state = Cancelled("Interrupted by Ctrl-C while its body ran.")
    return Report(state, started, time.time(), where=here.where, forced=True)


def _run_body(
    flow: OpenFlow,
    task: OpenTask,
    spec: Spec,
    arguments: Mapping[str, Any],
    values: Sequence[Any],
    here: Here,
) -> Any:
    envelope, facts = task.envelope, flow.facts
    key = RunKey(spec.slug, spec.map_index, spec.loop)
    name, text = envelope.name, str(key)
    push(
        {
            **flow.context,
            "parameters": dict(facts.parameters),
            "task_name": name,
            "task_full_name": name if spec.map_index is None else f"{name}[{spec.map_index}]",
            "task_slug": spec.slug,
            "task_id": spec.slug,
            "task_run_id": f"{facts.run_id}/{text}",
            "task_tags": envelope.tags,
            "map_index": spec.map_index,
            "task_run_count": spec.attempt,
            "attempt": spec.attempt,
            "idempotency_key": idempotency_key(facts.run_id, key),
            "upstream_states": UpstreamStates(spec.upstreams, values),
            "logger": task.logger,
        },
        fresh=True,
    )
    if here.sink is None:
        return envelope.run(**arguments)
    capture = Capture(facts.flow_name, text, spec.attempt, here.where, facts.log_level, here.sink)
    current.set(capture)
    try:
        if not envelope.log_stdout:
            return envelope.run(**arguments)
        with captured(capture):
            return envelope.run(**arguments)
    finally:
        capture.flush()


def _returned(spec: Spec, value: Any, message: str | None, started: float, limit: int, here: Here) -> Outcome:
    """Say that the body succeeded, unless its value cannot travel to its readers."""
    ended = time.time()
    length, flat_length, unmappable = _measured(value, spec.measure)
    try:
        # What nobody reads goes nowhere, so it may be anything.
        weight = weigh(value, limit, prove=here.pickles and not spec.drop_value)
    except SerializationError as error:
        state = _unpicklable(spec, value, error)
        return Outcome(Report(state, started, ended, where=here.where, retryable=False))
    report = Report(
        None,
        started,
        ended,
        weight.inline,
        weight.nbytes,
        length,
        flat_length,
        unmappable,
        where=here.where,
        message=message,
    )
    if spec.drop_value:
        return Outcome(report, Done(started, ended, spec.attempt))
    return Outcome(report, Succeeded(value, started, ended, spec.attempt))


def _measured(value: Any, measure: tuple[str, ...]) -> tuple[int | None, int | None, str | None]:
    if not measure:
        return None, None, None
    try:
        length = length_of(value) if "length" in measure else None
        flat_length = flat_length_of(value) if "flat" in measure else None
    except Exception as error:  # a class of the user's own says how long it is
        why = f"its length could not be read ({type(error).__name__}: {error})"
        return None, None, f"{why}; make it a list, or wrap it in unmapped(...)"
    return (
        length if isinstance(length, int) else None,
        flat_length if isinstance(flat_length, int) else None,
        next((why for why in (length, flat_length) if isinstance(why, str)), None),
    )


def _unpicklable(spec: Spec, value: Any, error: SerializationError) -> Failed:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    mend = "list(...) of it" if kind == "generator" else "what it is made from"
    text = (
        f"Task {spec.slug!r} returned an object of type {kind}, which cannot be pickled ({error}), "
        f"so its readers cannot get it; return {mend} instead."
    )
    return Failed(text, SerializationError(text))


def _signalled(
    envelope: Envelope, spec: Spec, signal: Signal, started: float, limit: int, here: Here
) -> Outcome:
    """Report the state that a body asked for."""
    state, ended = fit_for_driver(signal.state, pickles=False), time.time()
    retryable = True
    forced = isinstance(signal, ENDRUN | RETRY)
    if isinstance(state, Failed):
        retryable, note = is_retryable(envelope.retry_on, signal)
        state = _failed_by(signal, state, note, limit if here.pickles else None)
    elif isinstance(state, Scheduled):
        state = _scheduled(state, spec, ended)
    elif isinstance(state, Looped):
        state = state.replace(loop_count=spec.loop)
    if here.pickles:
        state = fit_for_driver(state, pickles=True)
    return Outcome(
        Report(state, started, ended, retryable=retryable, where=here.where, forced=forced),
        is_final=not isinstance(state, Scheduled),
    )


def _failed_by(signal: Signal, state: Failed, note: str, limit: int | None) -> State:
    text = state.traceback or traceback_text(signal)
    changes: dict[str, Any] = {"traceback": text}
    if note:
        changes["message"] = f"{state.message or ''}{note}"
    result = state.result if state.has_result else signal
    # ENDRUN's state is taken as it is.
    if isinstance(result, BaseException) and not (result is signal and isinstance(signal, ENDRUN)):
        changes["result"] = fit_to_travel(result, text, limit)
    return state.replace(**changes)


def _scheduled(state: Scheduled, spec: Spec, now: float) -> State:
    changes: dict[str, Any] = {}
    start = state.start_time
    if start is not None and start.tzinfo is None:
        changes["start_time"] = start.replace(tzinfo=UTC)
    if isinstance(state, Retrying):
        changes["run_count"] = spec.attempt
        if start is None:
            changes["start_time"] = datetime.fromtimestamp(now, UTC)
    return state.replace(**changes) if changes else state
