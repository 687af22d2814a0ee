"""How a task body asks for approval. Knows the context and the signal; knows no run."""

from __future__ import annotations

from datetime import timedelta

from prefectlite.core.context import context
from prefectlite.errors import DefinitionError
from prefectlite.kinds import check_kind
from prefectlite.states.signals import PAUSE
from prefectlite.states.surroundings import moment_here


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
    DefinitionTypeError
        When ``duration`` is something else.
    DefinitionError
        When it is longer than calendars are.

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
    mend = "give a timedelta or seconds, or leave it out to wait for an approval."
    check_kind("pause_task(...)", "duration", duration, timedelta | int | float, mend)
    try:
        wait = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
        until = moment_here() + wait
    except (ValueError, OverflowError):
        raise DefinitionError(
            f"pause_task(...) has duration={duration!r}, which leads to no moment; {mend}"
        ) from None
    raise PAUSE(text, start_time=until)
