"""One attempt: unwrap inputs, run the body, catch everything, say how it went. Knows no plan, no Dask.

A worker decides nothing. An attempt whose inputs are no plain successes holds; one that ends otherwise than
as a plain success says so in its report, and the driver's rules decide what becomes of it.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any, Final

from prefectlite.core.keeping import Keeping
from prefectlite.errors import SerializationError
from prefectlite.lowering.spec import Spec
from prefectlite.lowering.wrappers import Packed, Succeeded
from prefectlite.masking import mask
from prefectlite.results.result import Result
from prefectlite.states.holders import Holder
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
from prefectlite.states.value import NO_RESULT
from prefectlite.worker.around import Around, Kind, Kinds
from prefectlite.worker.failures import (
    described,
    failure,
    fit_for_driver,
    fit_to_travel,
    is_retryable,
    traceback_text,
    unrevealing,
)
from prefectlite.worker.here import Here, Interruption
from prefectlite.worker.inputs import all_plain
from prefectlite.worker.keeping import Found, Keeper
from prefectlite.worker.opened import OpenFlow, OpenTask, open_flow, open_task
from prefectlite.worker.outcomes import HELD, Outcome, handed_on, returned, with_news
from prefectlite.worker.strips import Single, Strip

__all__ = [
    "HELD",
    "Here",
    "Interruption",
    "Outcome",
    "called_off",
    "ended_by",
    "exception_limit",
    "failed",
    "perform",
    "perform_packed",
    "returned",
    "unopened",
]
#: What is said of an attempt that an ``Interruption`` ended.
INTERRUPTED: Final = "Interrupted by Ctrl-C while its body ran."
_UNSTORED: Final = "Its value cannot be stored: "


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
        told = Spec(*pickle.loads(spec))
        opened = open_flow(flow), open_task(task)
    except BaseException as error:
        return unopened(error, started, here.where)
    return perform(*opened, told, values, here)


def unopened(error: BaseException, started: float, where: str) -> Outcome:
    """Return the outcome of an attempt whose flow, task or spec could not be unpickled.

    Parameters
    ----------
    error : BaseException
        What the unpickling raised.
    started : float
        Seconds since the epoch.
    where : str
        The worker's address.

    Returns
    -------
    Outcome
        A failure that no retry would mend.
    """
    why = described(error)
    text = (
        f"What this run was sent with cannot be opened at {where} ({why}). Install on the workers "
        "the modules that the task needs, in the same version."
    )
    state = Failed(text, SerializationError(text), traceback=traceback_text(error))
    return Outcome(Report(state, started, time.time(), where=where, retryable=False))


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
    strip = Single(Kinds(flow, task, here), spec, values)
    try:
        return perform_at(strip, 0)
    finally:
        strip.forget()


def perform_at(strip: Strip, place: int) -> Outcome:
    """Run one attempt of a strip.

    Parameters
    ----------
    strip : Strip
        Attempts that differ in little.
    place : int
        Which of them, counted from 0.

    Returns
    -------
    Outcome
        As of ``perform``.
    """
    if strip.held and place in strip.held:
        return HELD
    kind = strip.kind
    if kind.keeping is not None:
        return _perform_kept(kind.keeping, strip, place)
    return _perform(strip, place)


def _perform(strip: Strip, place: int) -> Outcome:
    kind = strip.kind
    if kind.apart is not None:
        outcome: Outcome = kind.apart(strip, place)
        return outcome
    started = time.time()
    around = Around(kind, None if strip.first is None else strip.first + place, strip, started)
    try:
        arguments = strip.arguments(place)
        # As ``_within`` does it, without its price.
        scope = copy_context()
        scope.run(around.enter)
        around.begin()
        try:
            value = scope.run(kind.run, **arguments)
        finally:
            if around.lines is not None:
                around.leave()
    except BaseException as error:
        return ended_by(kind, error, started, strip.making)
    return _checked(kind, value, started)


def _checked(kind: Kind, value: Any, started: float) -> Outcome:
    try:
        return returned(kind, value, None, started, time.time())
    except BaseException as error:
        return failed(kind, error, started)


def _within(around: Around, call: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    # A copy of its own: what the body sets in it, and blocks that it leaves open, end with it.
    scope = copy_context()
    scope.run(around.enter)
    try:
        return scope.run(call, **arguments)
    finally:
        around.leave()


def _perform_kept(keeping: Keeping, strip: Strip, place: int) -> Outcome:
    """Run an attempt unless its value is there; store what its body returns."""
    kind, started = strip.kind, time.time()
    around = Around(kind, None if strip.first is None else strip.first + place, strip, started)
    try:
        keeper = Keeper(keeping, kind, around.index, around.values, dict(strip.arguments(place)))
        found: Found | None = _within(around, keeper.look, {})
    except BaseException as error:
        return failed(kind, error, started, strip.making or "The place of its value cannot be told: ")
    outcome = _perform(strip, place) if found is None else _checked(kind, found.value, started)
    report, wrapper = outcome.report, outcome.wrapper
    if report is None:
        return outcome
    if found is None and kind.here.is_given_up is not None and kind.here.is_given_up():
        raise Interruption  # the value of another attempt may lie there already
    if isinstance(report.state, Looped):
        try:
            _within(around, keeper.store_lap, {"lap": report.state})
        except BaseException as error:
            return failed(kind, error, started, _UNSTORED)
    if not isinstance(wrapper, Succeeded):
        return outcome
    if found is not None:
        report = report._replace(success=found.state, location=found.location, digest=found.digest)
    else:
        try:
            report = _within(around, keeper.store, {"report": report, "wrapper": wrapper})
        except BaseException as error:
            return failed(kind, error, started, _UNSTORED)
    return with_news(report, wrapper, drops=kind.drops_kept)


def ended_by(kind: Kind, error: BaseException, started: float, making: str = "") -> Outcome:
    """Return the outcome of an attempt whose body raised, or whose arguments could not be made.

    Parameters
    ----------
    kind : Kind
        What attempt.
    error : BaseException
        What ended it.
    started : float
        Seconds since the epoch.
    making : str
        What was being made for it when that was raised; empty for its body.

    Returns
    -------
    Outcome
        What the body asked for, if it raised a signal; else a failure.
    """
    if isinstance(error, Signal) and not making:
        try:
            return _signalled(kind, error, started)
        except BaseException as other:
            return failed(kind, other, started)
    return failed(kind, error, started, making)


def failed(kind: Kind, error: BaseException, started: float, making: str = "") -> Outcome:
    """Return the outcome of an attempt that something ended which is no signal.

    Parameters
    ----------
    kind : Kind
        What attempt.
    error : BaseException
        What ended it.
    started : float
        Seconds since the epoch.
    making : str
        As of ``ended_by``.

    Returns
    -------
    Outcome
        A failure; it crashed, or was called off, where the exception says so.
    """
    where = kind.here.where
    if isinstance(error, Interruption):
        return Outcome(called_off(started, kind.here))
    if isinstance(error, SystemExit | KeyboardInterrupt):
        who = f"{making}the code for it" if making else "The body"
        text = f"{who} tried to end its process with {described(error)}"
        crash = Crashed(text, cause="exited", traceback=traceback_text(error))
        return Outcome(Report(crash, started, time.time(), where=where))
    envelope = kind.task.envelope
    retryable, note = is_retryable(envelope.retry_on, error)
    state, look = failure(error, limit=exception_limit(kind), note=note, what=making)
    return Outcome(
        Report(state, started, time.time(), retryable=retryable, where=where),
        is_final=not retryable or kind.attempt > envelope.max_retries,
        look=None if making else look,
    )


def exception_limit(kind: Kind) -> int | None:
    """Return up to how many bytes an exception travels as itself.

    Parameters
    ----------
    kind : Kind
        What attempt raised it.

    Returns
    -------
    int or None
        None where it need not travel.
    """
    if not kind.here.pickles:
        return None
    limit = kind.here.exception_limit
    return kind.flow.facts.inline_limit if limit is None else limit


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
    state = Cancelled(INTERRUPTED)
    return Report(state, started, time.time(), where=here.where, forced=True)


def _signalled(kind: Kind, signal: Signal, started: float) -> Outcome:
    """Report the state that a body asked for."""
    forced = isinstance(signal, ENDRUN | RETRY)
    state = fit_for_driver(signal.state, pickles=False)
    if state.gives_value:
        # It travels by itself, on every executor, so that its value can go the way of all values.
        told = fit_for_driver(unrevealing(state.replace(result=_place_in(state))), pickles=True)
        if isinstance(told, Success):
            is_plain = type(told) is Success and not (told.message or told.context or told.has_result)
            success = None if is_plain else told
            return returned(kind, state.result, success, started, time.time(), forced=forced)
        state = told
    state, ended = unrevealing(state), time.time()
    retryable = True
    if isinstance(state, Failed):
        retryable, note = is_retryable(kind.task.envelope.retry_on, signal)
        state = _failed_by(signal, state, note, exception_limit(kind))
    elif isinstance(state, Retrying):
        state = state.replace(run_count=kind.attempt)
    elif isinstance(state, Looped):
        state = state.replace(loop_count=kind.loop)
    if kind.here.pickles:
        lap, state = state, fit_for_driver(state, pickles=True)
        if isinstance(lap, Looped) and lap.has_result and not state.has_result:
            # What the next iteration begins with.
            state = handed_on(kind, lap)
            if isinstance(state, Failed):
                return Outcome(Report(state, started, ended, retryable=False, where=kind.here.where))
    return Outcome(
        Report(
            state,
            started,
            ended,
            retryable=retryable,
            where=kind.here.where,
            forced=forced,
            signal=type(signal).__name__,
        ),
        is_final=not isinstance(state, Scheduled),
    )


def _place_in(state: State) -> Holder:
    """Return where the value lies that a state was given, if it says so; without the value."""
    given = state._result
    if (
        isinstance(given, Result)
        and isinstance(given.location, str)
        and mask(given.location) == given.location
    ):
        return given.from_value(None)
    return NO_RESULT


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
