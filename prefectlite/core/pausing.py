"""How a task body asks for approval. Knows the context and the signal; knows no run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefectlite.core.context import context
from prefectlite.states.signals import PAUSE


def pause_task(message: str | None = None, duration: timedelta | float | None = None) -> None:
    """Pause the task run that calls this, once: resumed, the whole body runs again and passes.

    Called by a state handler, it pauses the transition. An approval holds for all that follows in the task
    run, retries and iterations of a loop included; where each needs its own, raise ``signals.PAUSE``.

    Parameters
    ----------
    message : str or None
        What is to be approved.
    duration : timedelta, float or None
        After how long (a number means seconds) it goes on by itself; None waits for an approval.

    Raises
    ------
    PAUSE
        Unless a pause of the task run is over.
    TypeError
        When ``duration`` is something else.

    Examples
    --------
    >>> with context(resume=True):
    ...     pause_task("Look at the figures first.")
    """
    if context.get("resume"):
        return
    text = message or "Paused by its own code until it is approved."
    if duration is None:
        raise PAUSE(text)
    if isinstance(duration, bool) or not isinstance(duration, timedelta | int | float):
        raise TypeError(
            f"pause_task was given duration={duration!r}; give a timedelta or seconds, or leave it out to "
            "wait for an approval."
        )
    wait = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
    raise PAUSE(text, start_time=datetime.now(UTC) + wait)
