"""The law of state changes: from which state to which, and why. Knows classes of states, no run, no engine.

Theory
------
A run waits, runs, and ends. What it waits in (``Pending`` and its kin) it may leave for any other wait, for
``Running``, or for an end that needs no body: a rule refuses it, skips it or finds its value known, somebody
calls it off, its map unfolds, or the place where it should run is lost. ``Running`` leaves for every end,
and for a wait that the body itself asked for. It never goes back to plain ``Pending``: a run that was sent
and did not begin its body never left its wait, since holding is no state.

An end is final, with three exceptions. A failed attempt may be tried again, so the failures leave for
``Retrying``. A ``Looped`` iteration is followed by the next one, so it is a wait in the clothes of an end.
And a value may be lost while a reader needs it: ``Success`` leaves for ``Crashed``, which is the one way out
of an end that was final.

A state handler may put another state in the place of the one that it is shown. The law does not see what was
proposed, only what is committed: the old state and what the handlers made of the new one. The rows from
the waits and from ``Running`` are wide enough for that by themselves; those from the failures hold, beside
``Retrying``, what a handler may prefer to one more try. An answer that is not in the law (from ``Running``
back to ``Pending``, say) is an error of the handler.

A flow run walks the same law: ``Pending``, ``Running``, an end; or ``Running`` again when all that is left
of it waits for an approval.

A user's own class stands under the law of its nearest built-in ancestor. ``State`` itself is no state that a
run can be in, and only users' classes derive directly from ``Finished``. Nor is a run in ``Submitted``,
``Queued`` or ``ClientFailed``, which wrap another state: where a user gives one, the wrapped state is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from prefectlite.states.state import (
    Cached,
    Cancelled,
    Cancelling,
    Crashed,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
)

_BUILTIN: Final[tuple[type[State], ...]] = (
    State,
    Pending,
    Scheduled,
    Paused,
    Resume,
    Retrying,
    Running,
    Cancelling,
    Finished,
    Success,
    Cached,
    Mapped,
    Skipped,
    Failed,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
    Crashed,
    Looped,
    Cancelled,
)

_WAITING = (Pending, Scheduled, Paused, Resume, Retrying)
_RUNNING = (Running, Cancelling)
_BROKEN = (Failed, TimedOut, ValidationFailed, TriggerFailed, Crashed)

_Row = tuple[tuple[type[State], ...], tuple[type[State], ...], str]
_ROWS: Final[tuple[_Row, ...]] = (
    # From a wait, or from one iteration of a loop to the next.
    ((*_WAITING, Looped), (Running,), "The body starts, or was sent to start."),
    ((*_WAITING, Looped), (Scheduled, Paused, Retrying), "It must wait: for a time, or for an approval."),
    ((Scheduled, Paused, Resume, Retrying, Looped), (Pending,), "The wait is over; it is decided afresh."),
    ((Paused,), (Resume,), "It was approved."),
    ((*_WAITING, Looped), (Success,), "Its value is known without a body."),
    ((*_WAITING, Looped), (Cached,), "The value of an earlier run is used."),
    ((*_WAITING, Looped), (Skipped,), "An upstream was skipped, or its trigger or a handler skips it."),
    (_WAITING, (Mapped,), "Its map unfolded into children."),
    ((*_WAITING, Looped), (TriggerFailed,), "Its trigger refused it."),
    ((*_WAITING, Looped), (Failed, TimedOut, ValidationFailed), "It failed before its body could start."),
    ((*_WAITING, Looped), (Crashed,), "It was sent and lost before anybody saw it start."),
    ((*_WAITING, Looped), (Cancelled,), "It was called off before it started."),
    ((*_WAITING, Looped), (Finished,), "A handler ended it in a state of the user's own."),
    # From the body.
    ((Running,), (Cancelling,), "It was called off and has not stopped yet."),
    ((Running,), (Running,), "What is left of the flow run waits for an approval."),
    (_RUNNING, (Success, Cached), "The body returned, or its value was found."),
    (_RUNNING, (Skipped,), "The body or a handler skipped it."),
    (_RUNNING, (Failed, TimedOut, ValidationFailed, TriggerFailed), "The body or a handler failed it."),
    (_RUNNING, (Crashed,), "Infrastructure ended the attempt."),
    (_RUNNING, (Looped,), "The iteration is done and another follows."),
    (_RUNNING, (Scheduled, Paused, Retrying), "The body or a handler wants it to wait and start again."),
    (_RUNNING, (Cancelled,), "It was called off."),
    (_RUNNING, (Finished,), "The body or a handler ended it in a state of the user's own."),
    # From a failure that is not yet final.
    (_BROKEN, (Retrying,), "Its retries, or the crashes that it may have, allow one more attempt."),
    (_BROKEN, (Scheduled, Paused), "A handler wants the next attempt at another time."),
    (
        _BROKEN,
        (Failed, TimedOut, ValidationFailed, TriggerFailed, Crashed, Finished),
        "A handler ended it in place of a retry.",
    ),
    (_BROKEN, (Success, Cached, Skipped), "A handler made good a failure in place of a retry."),
    (_BROKEN, (Cancelled,), "It was called off before it was tried again."),
    # From an end that was final.
    ((Success, Cached), (Crashed,), "Its value was lost while a reader needed it."),
)


def _spread(rows: tuple[_Row, ...]) -> dict[tuple[str, str], str]:
    law: dict[tuple[str, str], str] = {}
    for olds, news, reason in rows:
        for old in olds:
            for new in news:
                pair = (old.__name__, new.__name__)
                assert pair not in law, f"{pair} is in two rows"
                law[pair] = reason
    return law


#: The reason of each lawful change, by the names of the built-in classes: from which, to which.
LAW: Final[Mapping[tuple[str, str], str]] = MappingProxyType(_spread(_ROWS))

_known: dict[tuple[type[State], type[State]], bool] = {}


def builtin_ancestor(cls: type[State]) -> type[State]:
    """Return the built-in class under whose law a class of states stands.

    Parameters
    ----------
    cls : type
        A class of states, built-in or a user's.

    Returns
    -------
    type
        The class itself if it is built-in, else its nearest ancestor that is.
    """
    return next(base for base in cls.__mro__ if base in _BUILTIN)


def may_become(old: type[State], new: type[State]) -> bool:
    """Return whether a run may change from a state of one class to a state of another.

    Parameters
    ----------
    old, new : type
        Classes of states; users' own count as their nearest built-in ancestor.

    Returns
    -------
    bool
        Whether the law has the pair.

    Examples
    --------
    >>> may_become(Running, Success), may_become(Success, Running)
    (True, False)
    """
    pair = (old, new)
    answer = _known.get(pair)
    if answer is None:
        named = (builtin_ancestor(old).__name__, builtin_ancestor(new).__name__)
        answer = _known[pair] = named in LAW
    return answer
