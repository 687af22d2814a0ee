"""A worker's thread that has left Dask's pool, and has more to do. Knows that pool; knows no tasks."""

from __future__ import annotations

from collections.abc import Callable


def staying() -> Callable[[], None]:
    """Return what to call in this thread before the next body of a bundle.

    A body may call Dask's ``secede``, so that another task has its place while it waits. The next one comes
    when there is a place again, and may do the same.

    Returns
    -------
    callable
        It takes nothing, and waits for a place if the last body has left without coming back.
    """
    from distributed.threadpoolexecutor import rejoin, thread_state

    def stay() -> None:
        if not getattr(thread_state, "proceed", True):
            rejoin()

    return stay
