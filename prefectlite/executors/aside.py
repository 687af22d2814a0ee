"""A body that runs a flow on a cluster steps aside for it. Knows the worker's threads; knows no flow."""

from __future__ import annotations

import sys
from collections.abc import Callable


def step_aside() -> Callable[[], None] | None:
    """Let a worker's slot go to others while the task in this thread waits for what it sends to a cluster.

    Bodies that fill all slots would else wait for ever for what has none left, as Dask's own ``compute``
    would.

    Returns
    -------
    callable or None
        Takes the slot back, when one is free; to be called in this thread. None where no task runs, or it has
        stepped aside already.
    """
    # Without Dask in the process no task of its runs here.
    if "distributed.worker" not in sys.modules:
        return None
    from distributed import rejoin, secede
    from distributed.threadpoolexecutor import thread_state

    if not getattr(thread_state, "proceed", False):
        return None
    try:
        secede()
    except ValueError:  # a thread of a pool that is no worker's
        return None
    come_back: Callable[[], None] = rejoin
    return come_back
