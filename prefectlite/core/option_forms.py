"""How options are read that are held in another form: as Prefect 1 kept them. Knows no task."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefectlite.core.option_checks import Delay
from prefectlite.core.options import TaskOptions, seconds
from prefectlite.results.result import Result


def retry_delay_of(options: TaskOptions) -> Any:
    """Return the wait before the next attempt.

    Parameters
    ----------
    options : TaskOptions
        A task's.

    Returns
    -------
    timedelta, list of timedelta, callable or None
        A function as it was given.
    """
    held = options.retry_delay
    if isinstance(held, tuple):
        return [_span(one) for one in held]
    return held if held is None or callable(held) else _span(held)


def timeout_of(options: TaskOptions) -> float | None:
    """Return after how long the body is ended.

    Parameters
    ----------
    options : TaskOptions
        A task's.

    Returns
    -------
    float or None
        Seconds; an int where they are whole.
    """
    held = options.timeout
    return int(held) if held is not None and held.is_integer() else held


def cache_for_of(options: TaskOptions) -> timedelta | None:
    """Return for how long a value may be used again.

    Parameters
    ----------
    options : TaskOptions
        A task's.

    Returns
    -------
    timedelta or None
        The longest that there is for what is longer.
    """
    return None if options.cache_for is None else _span(options.cache_for)


def result_of(options: TaskOptions) -> Result | None:
    """Return where and how the value is stored.

    Parameters
    ----------
    options : TaskOptions
        A task's.

    Returns
    -------
    Result or None
        What was given; with a target, a copy whose location is that.
    """
    if options.result is None or options.target is None:
        return options.result
    result = options.result.copy()
    result.location = options.target
    return result


def _span(delay: Delay) -> timedelta:
    if isinstance(delay, timedelta):
        return delay
    try:
        return timedelta(seconds=seconds(delay))
    except OverflowError:
        return timedelta.max
