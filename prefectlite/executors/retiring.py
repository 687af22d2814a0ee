"""Workers that are retired finish what they have begun. Knows Dask's retirement; knows no report.

Dask moves the values of a worker that leaves in good order, and lets it go while bodies still run there; it
would run those again elsewhere. Here it waits for them, and moves what they made as well.
"""

from __future__ import annotations

import time
from typing import Any, Final

from distributed.active_memory_manager import RetireWorker

from prefectlite.worker.wire import MARK

#: How long a worker that is retired may take for what it has begun, in seconds.
PATIENCE: Final = 60.0
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
        if plugin is None or state is None or policy.no_recipients:
            return bool(original(policy))
        if plugin.seals.must_stay(policy):
            return False
        if policy not in manager.policies and any(
            len(task.who_has or ()) < 2 and plugin.is_ours(task.key) for task in state.has_what
        ):
            # It had found nothing to move, while bodies still ran.
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
    """

    __slots__ = ("begun", "heartbeat", "is_settled", "policy", "since")

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.since = time.monotonic()
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


def stays(age: float, running: bool, others: int) -> bool:
    """Return whether a worker that is retired should stay for now.

    Parameters
    ----------
    age : float
        For how long its retirement has been under way, in seconds.
    running : bool
        Whether bodies run there, or may do so.
    others : int
        How many workers stay.

    Returns
    -------
    bool
        Not when all workers leave: then the cluster is shut down, and nobody waits.

    Examples
    --------
    >>> stays(1.0, running=True, others=2)
    True
    >>> stays(100.0, running=True, others=2)
    False
    """
    return running and others > 0 and age <= PATIENCE
