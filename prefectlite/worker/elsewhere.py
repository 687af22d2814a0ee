"""An attempt that leaves its process: what it is told, and what cannot go. Knows pickles, no process."""

from __future__ import annotations

from prefectlite.errors import SerializationError
from prefectlite.lowering.envelope import by_value_names, dumps
from prefectlite.lowering.spec import VALUE, Spec
from prefectlite.states.report import Report
from prefectlite.states.state import Failed
from prefectlite.worker.around import Kind
from prefectlite.worker.attempt import failed
from prefectlite.worker.failures import described
from prefectlite.worker.outcomes import Outcome
from prefectlite.worker.strips import Strip
from prefectlite.worker.upstreams import UpstreamStates


def told_elsewhere(strip: Strip, place: int) -> Spec:
    """Return what an attempt is told that runs in another process.

    Parameters
    ----------
    strip : Strip
        Attempts that differ in little.
    place : int
        Which of them, counted from 0.

    Returns
    -------
    Spec
        Its arguments are all given, so that it reads nothing by position.

    Raises
    ------
    Exception
        Whatever making the arguments raised; ``strip.making`` then says which it was.
    """
    kind, index = strip.kind, None if strip.first is None else strip.first + place
    return Spec(
        strip.slug,
        index,
        kind.loop,
        kind.attempt,
        strip.arguments(place),
        (),
        tuple(UpstreamStates(*strip.upstreams(index)).told()),
        kind.drop_value,
        kind.measure,
        tuple((name, (VALUE, value, None, False)) for name, value in strip.beside().items()),
    )


def why_not_told(spec: Spec, error: SerializationError) -> str:
    """Return why what an attempt is told cannot be pickled.

    Parameters
    ----------
    spec : Spec
        From ``told_elsewhere``.
    error : SerializationError
        What pickling it raised.

    Returns
    -------
    str
        In words that name the argument, if it is one.
    """
    names = by_value_names()
    for name, value in spec.given.items():
        try:
            dumps(value, names)
        except SerializationError as why:
            return f"its argument {name!r} cannot be pickled to get there ({why})"
    return f"what it is told cannot be pickled to get there ({error})"


def cannot_leave(outcome: Outcome, error: SerializationError) -> Outcome:
    """Return what is told of an attempt whose outcome cannot be pickled.

    Parameters
    ----------
    outcome : Outcome
        How it went; it did not hold.
    error : SerializationError
        What pickling it raised.

    Returns
    -------
    Outcome
        A failure that no retry would mend.
    """
    report = outcome.report
    assert report is not None
    text = f"What the body ended with cannot be pickled ({error}), so that it cannot leave its process."
    return cannot_travel(text, report.started, report.ended, report.where)


def cannot_return(kind: Kind, error: Exception, started: float) -> Outcome:
    """Return the outcome of an attempt whose own cannot be unpickled where it came from.

    Parameters
    ----------
    kind : Kind
        What attempt.
    error : Exception
        What unpickling it raised.
    started : float
        When it began, in seconds since the epoch.

    Returns
    -------
    Outcome
        A failure, which may be tried again.
    """
    text = f"What the body returned cannot be unpickled ({described(error)})."
    return failed(kind, SerializationError(text), started)


def cannot_travel(text: str, started: float, ended: float, where: str) -> Outcome:
    """Return what is told of an attempt that could not be pickled, or its outcome could not.

    Parameters
    ----------
    text : str
        Why, in a sentence.
    started, ended : float
        Seconds since the epoch.
    where : str
        As in ``Report``.

    Returns
    -------
    Outcome
        A failure that no retry would mend.
    """
    state = Failed(text, SerializationError(text))
    return Outcome(Report(state, started, ended, where=where, retryable=False))
