"""Times to wait. Knows numbers of attempts; knows no tasks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from prefectlite.errors import DefinitionError

__all__ = ["retry_delay"]


def retry_delay(
    interval: timedelta | None = None,
    *,
    exponential_backoff: bool = False,
    max_delay: timedelta | None = timedelta(hours=2),
    **units: float,
) -> Callable[[int], timedelta]:
    """Return how long to wait before the next attempt, as a function of the attempt that failed.

    Parameters
    ----------
    interval : timedelta or None
        The time to wait.
    exponential_backoff : bool
        Whether it is doubled for each attempt from the third on.
    max_delay : timedelta or None
        The longest time to wait; None for no bound.
    **units : float
        The interval as ``timedelta`` takes it, instead: ``minutes=1``.

    Returns
    -------
    callable
        For ``@task(max_retries=..., retry_delay=...)``.

    Raises
    ------
    DefinitionError
        When the interval is given in neither way, or in both.

    Examples
    --------
    >>> delay = retry_delay(minutes=1, exponential_backoff=True)
    >>> [delay(attempt).total_seconds() for attempt in (1, 2, 3, 4)]
    [60.0, 60.0, 120.0, 240.0]
    """
    if (interval is None) is not bool(units):
        raise DefinitionError(
            f"retry_delay was given interval={interval!r} and {units or 'no units'}; give one of the two: "
            "retry_delay(timedelta(minutes=1)), or retry_delay(minutes=1)."
        )
    first = timedelta(**units) if interval is None else interval

    def delay_after(attempt: int) -> timedelta:
        delay = first * 2 ** max(0, attempt - 2) if exponential_backoff else first
        return delay if max_delay is None else min(delay, max_delay)

    return delay_after
