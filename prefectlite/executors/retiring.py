"""Workers that are retired finish what they have begun. Knows Dask's retirement; knows no report.

Dask moves the values of a worker that leaves in good order, and lets it go while bodies still run there; it
would run those again elsewhere. Here it waits for them, and moves what they made as well. One that leaves by
itself, as its lifetime is over, goes whatever Dask finds, so it waits for that though no other is there.
"""

from __future__ import annotations

import time
from typing import Any, Final

from distributed.active_memory_manager import RetireWorker

from prefectlite.worker.wire import MARK

#: How long a worker that is retired may take for what it has begun, in seconds.
PATIENCE: Final = 60.0
#: How long one that leaves by itself waits for another to take its values, in seconds; one may be starting.
TAKING_OVER: Final = 5.0
#: Dask's name for the retirement of a worker that leaves by itself (2024.12 to 2026.8).
BY_ITSELF: Final = "worker-close-gracefully"
#: How long a worker may take to hear that it should begin nothing more, in seconds.
HEARING: Final = 0.2


def install() -> None:
    """Let the retirements of this process's schedulers wait for bodies; once is enough."""
    if not hasattr(RetireWorker.done, "waits_for_bodies"):
        RetireWorker.done = _patient(RetireWorker.done)


def _patient(original: Any) -> Any:
    def done(policy: Any) -> bool:
        manager, address = policy.manager, policy.address
        plugin = manager.scheduler.plugins.get(MARK)
        state = manager.scheduler.workers.get(address)
        if plugin is None or state is None or state.actors:
            return bool(original(policy))
        found = plugin.seals.retirement(policy)
        if found.is_by_itself:
            policy.no_recipients = False  # else it would be told to go on, and goes all the same
        elif policy.no_recipients:
            return bool(original(policy))
        if plugin.seals.must_stay(found):
            return False
        if policy not in manager.policies and any(
            len(task.who_has or ()) < 2 and plugin.is_ours(task.key) for task in state.has_what
        ):
            if found.is_by_itself and not manager.scheduler.running:
                return bool(found.has_waited())
            # It had found nothing to move, while bodies still ran, or nobody to take it.
            manager.add_policy(policy)
            manager.run_once()
            return False
        return bool(original(policy))

    done.waits_for_bodies = True  # type: ignore[attr-defined]
    return done


class Retirement:
    """The retirement of one worker.

    Parameters
    ----------
    policy : distributed.active_memory_manager.RetireWorker
        Dask's word for it.
    is_by_itself : bool
        Whether the worker asked for it, and goes whatever comes of it.
    """

    __slots__ = (
        "_alone_since",
        "begun",
        "has_asked_back",
        "heartbeat",
        "is_by_itself",
        "is_settled",
        "policy",
        "since",
    )

    def __init__(self, policy: Any, is_by_itself: bool) -> None:
        self.policy = policy
        self.is_by_itself = is_by_itself
        self.since = time.monotonic()
        self._alone_since: float | None = None
        #: Whether others were given what had not begun.
        self.has_asked_back = False
        #: The keys of what runs there.
        self.begun: list[Any] = []
        #: When the worker was first heard after it had been told, in seconds since the epoch.
        self.heartbeat = 0.0
        #: Whether nothing more begins there.
        self.is_settled = False

    @property
    def age(self) -> float:
        """For how long it has been under way, in seconds."""
        return time.monotonic() - self.since

    def has_waited(self) -> bool:
        """Return whether it has waited for another worker for long enough, from the first question on."""
        now = time.monotonic()
        if self._alone_since is None:
            self._alone_since = now
        return now - self._alone_since > TAKING_OVER


def stays(age: float, running: bool, is_awaited: bool) -> bool:
    """Return whether a worker that is retired should stay for now.

    Parameters
    ----------
    age : float
        For how long its retirement has been under way, in seconds.
    running : bool
        Whether bodies run there, or may do so.
    is_awaited : bool
        Whether somebody waits for them: not when all workers are sent away, which shuts the cluster down.

    Returns
    -------
    bool
        False when its time is over as well.

    Examples
    --------
    >>> stays(1.0, running=True, is_awaited=True)
    True
    >>> stays(100.0, running=True, is_awaited=True)
    False
    """
    return running and is_awaited and age <= PATIENCE
