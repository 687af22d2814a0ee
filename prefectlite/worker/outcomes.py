"""How an attempt went, and what the value of a body that succeeded comes to. Knows no plan, no Dask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from prefectlite.errors import SerializationError
from prefectlite.lowering.elements import flat_length_of, length_of
from prefectlite.lowering.wrappers import Done, Noted, NotedDone, Succeeded, Veiled
from prefectlite.masking import KNOWN, hide, is_secret, mask, secrets_in
from prefectlite.results.serializers import dumps, small_dumps, weigh
from prefectlite.states.report import Report
from prefectlite.states.state import Failed, Looped, Success
from prefectlite.worker.around import Kind
from prefectlite.worker.failures import Look, described
from prefectlite.worker.wire import told_of


class Outcome(NamedTuple):
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
    look : Look or None
        Reports of one attempt kind with the same look, and the same facts, are pickled to the same bytes.
    """

    report: Report | None
    wrapper: Succeeded | Done | None = None
    is_final: bool = True
    look: Look | None = None


#: An attempt that stopped before its body.
HELD = Outcome(None, is_final=False)


def returned(
    kind: Kind,
    value: Any,
    success: Success | None,
    started: float,
    ended: float,
    *,
    forced: bool = False,
) -> Outcome:
    """Return the outcome of an attempt whose body succeeded.

    Parameters
    ----------
    kind : Kind
        What attempt.
    value : object
        What the body returned.
    success : Success or None
        The state that it asked for, without the value, if that is more than a plain success.
    started, ended : float
        Seconds since the epoch.
    forced : bool
        As of ``Report``.

    Returns
    -------
    Outcome
        A plain success; a failure when the value cannot travel to its readers.
    """
    is_bare = success is None and not forced
    if is_bare and not (kind.measure or KNOWN):
        inline = small_dumps(value)
        if inline is not None and len(inline) <= kind.inline_limit:
            # As most are: small, plain and nobody's secret.
            report = Report(None, started, ended, inline, len(inline), where=kind.here.where)
            if kind.drop_value:
                return Outcome(report, Done(started, ended, kind.attempt))
            return Outcome(report, Succeeded(value, started, ended, kind.attempt))
    length = flat_length = unmappable = None
    if kind.measure:
        length, flat_length, unmappable = measured(value, kind.measure)
    try:
        # What nobody reads goes nowhere, so it may be anything.
        weight = weigh(value, kind.inline_limit, prove=kind.here.pickles and not kind.drop_value)
    except SerializationError as error:
        state = _unpicklable(kind, _RETURNED, value, error)
        return Outcome(Report(state, started, ended, where=kind.here.where, retryable=False))
    inline = weight.inline
    secrets: tuple[str, ...] = ()
    is_veiled = kind.task.envelope.is_secret or is_secret(value)
    if is_veiled:
        inline, secrets = None, hide(value)
    elif KNOWN and inline is not None:
        secrets = secrets_in(inline)
        if secrets:
            inline, is_veiled = None, True
    report = Report(
        None,
        started,
        ended,
        inline,
        weight.nbytes,
        length,
        flat_length,
        unmappable,
        where=kind.here.where,
        success=success,
        forced=forced,
    )
    wrapper: Succeeded | Done
    if kind.drop_value:
        wrapper = Done(started, ended, kind.attempt)
    elif is_veiled:
        wrapper = Veiled(value, started, ended, kind.attempt, secrets)
    else:
        wrapper = Succeeded(value, started, ended, kind.attempt)
    return Outcome(report, wrapper) if is_bare else with_news(report, wrapper)


def with_news(report: Report, wrapper: Succeeded | Done, *, drops: bool = False) -> Outcome:
    """Return the outcome of a success of which there is more to tell than its value and times.

    Parameters
    ----------
    report : Report
        What it says of itself.
    wrapper : Succeeded or Done
        What would stand for it if it were a plain one.
    drops : bool
        Whether its value is no longer needed.

    Returns
    -------
    Outcome
        Whoever gets the value can tell as much, unless a secret stands in it.
    """
    told, attempt = told_of(report), wrapper.attempt
    if drops or isinstance(wrapper, Done):
        return Outcome(report, NotedDone(report.started, report.ended, attempt, told))
    if isinstance(wrapper, Veiled):
        return Outcome(report, wrapper)
    return Outcome(report, Noted(wrapper.value, report.started, report.ended, attempt, told))


def measured(value: Any, measure: Sequence[str]) -> tuple[int | None, int | None, str | None]:
    """Return what maps downstream must know of a value.

    Parameters
    ----------
    value : object
        Any value.
    measure : sequence of str
        What is asked: ``"length"``, and ``"flat"`` for the length after one level of unnesting. Either may
        read each element of the value, so nothing else is looked at.

    Returns
    -------
    (int or None, int or None, str or None)
        Both, and why the value cannot be mapped over, if so.
    """
    try:
        length = length_of(value) if "length" in measure else None
        flat_length = flat_length_of(value) if "flat" in measure else None
    except Exception as error:  # a class of the user's own says how long it is
        why = f"its length could not be read ({described(error)})"
        return None, None, f"{why}; make it a list, or wrap it in unmapped(...)"
    return (
        length if isinstance(length, int) else None,
        flat_length if isinstance(flat_length, int) else None,
        next((why for why in (length, flat_length) if isinstance(why, str)), None),
    )


def handed_on(kind: Kind, lap: Looped) -> Looped | Failed:
    """Return an iteration's end that cannot travel as it is, without what nobody needs.

    Parameters
    ----------
    kind : Kind
        What attempt.
    lap : Looped
        How the iteration ended.

    Returns
    -------
    Looped or Failed
        A failure where it is the result that cannot be pickled, as the next iteration needs it.
    """
    try:
        dumps(lap.result)
    except SerializationError as error:
        return _unpicklable(kind, _HANDED_ON, lap.result, error)
    return lap.replace(context=None)


def _unpicklable(kind: Kind, what: str, value: Any, error: SerializationError) -> Failed:
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    mend = "list(...) of it" if name == "generator" else "what it is made from"
    said = what.format(name=name, error=error, mend=mend)
    text = mask(f"Task {kind.task.envelope.name!r} {said}")
    return Failed(text, SerializationError(text))


_RETURNED: Final = (
    "returned an object of type {name}, which cannot be pickled ({error}), so its readers cannot get it; "
    "return {mend} instead."
)
_HANDED_ON: Final = (
    "hands an object of type {name} to its next iteration, which cannot be pickled ({error}); "
    "hand on {mend} instead."
)
