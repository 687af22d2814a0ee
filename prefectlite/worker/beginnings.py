"""Who in this process is told at once that a body begins here: who tells of its flow run. Knows no driver.

Of bodies elsewhere that is told with their first line, or once they have run for a while.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeAlias

from prefectlite.states.keys import RunKey

#: Takes a task run, the attempt, counted from 1, and when it began, in seconds since the epoch; called in any
#: thread.
Hearer: TypeAlias = Callable[[RunKey, int, float], None]

#: By the identities of flow runs.
HEARERS: Final[dict[str, Hearer]] = {}
# What a process was forked from tells of its flow runs by itself.
os.register_at_fork(after_in_child=HEARERS.clear)


def announce(run_id: str, key: RunKey, attempt: int, began: float) -> None:
    """Say that a body begins in this process; once said, it may be said again.

    Parameters
    ----------
    run_id : str
        The flow run's identity.
    key : RunKey
        The task run.
    attempt : int
        Counted from 1.
    began : float
        Seconds since the epoch.
    """
    hear = HEARERS.get(run_id)
    if hear is not None:
        hear(key, attempt, began)
