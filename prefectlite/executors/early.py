"""What a bundle has made that a long body holds up: a Dask task of its own, in the place where it lies.

A Dask task has no value before all of it has ended. What came to the driver with reports is put on the
cluster anew (``wrappers.open_shelf``); larger values should not take that way. Their worker takes them into
its own memory under a new name instead, without a copy, and the scheduler takes note of that as it does of
scattered data. From then on they are values like others: Dask moves them to readers, spills them, lets go of
them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from dask._task_spec import Task
from distributed import Future

from prefectlite.executors.cargo import Cargo
from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.wrappers import Hold, Slots
from prefectlite.worker.wire import EARLY, MARK


class Early(NamedTuple):
    """Values that lie under a name of their own from now on.

    Parameters
    ----------
    cargo : Cargo
        Their bundle, which goes on.
    slots : sequence of int
        Which of it; they have the same places under the new name.
    future : distributed.Future
        The new name; it is held as long as this is.
    """

    cargo: Cargo
    slots: Sequence[int]
    future: Any


class EarlyValues:
    """Asks for what bundles have made, and waits for nothing.

    Parameters
    ----------
    client : distributed.Client
        Through which to ask; its scheduler has our plugin.
    on_ready : callable
        Called in the client's loop when there is something to take.
    """

    def __init__(self, client: Any, on_ready: Callable[[], None]) -> None:
        self._client = client
        self._on_ready = on_ready
        # Filled by the client's loop, emptied by whoever sends.
        self._ready: deque[Early] = deque()
        # The loop itself would not keep them.
        self._asked: set[Any] = set()

    def ask(self, cargo: Cargo, slots: Sequence[int], name: DaskKey) -> None:
        """Ask for values; what cannot be had waits for its bundle, as it would without us.

        Parameters
        ----------
        cargo : Cargo
            The bundle.
        slots : sequence of int
            Which of it; they have ended.
        name : tuple
            The new name.
        """
        loop = self._client.loop.asyncio_loop
        asked = asyncio.run_coroutine_threadsafe(self._ask(cargo, slots, name), loop)
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)

    async def _ask(self, cargo: Cargo, slots: Sequence[int], name: DaskKey) -> None:
        client = self._client
        try:
            ask = getattr(client.scheduler, EARLY)
            is_there = await ask(client=client.id, key=cargo.key, name=name, slots=list(slots))
        except Exception:
            return
        if is_there:
            # Made in any case: it is what lets go of them.
            self._ready.append(Early(cargo, slots, Future(name, client)))
            self._on_ready()

    def take(self) -> Iterator[Early]:
        """Yield what has come since the last time.

        Yields
        ------
        Early
            In the order in which it came.
        """
        with contextlib.suppress(IndexError):
            while True:
                yield self._ready.popleft()

    def forget(self) -> None:
        """Let go of what was not taken."""
        self._ready.clear()


class Hatch:
    """The scheduler's side.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        The scheduler.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    async def hand_over(self, client: str, key: Any, name: Any, slots: Sequence[int]) -> bool:
        """Give values of a bundle that goes on a name of their own.

        Parameters
        ----------
        client : str
            Who holds them from then on.
        key : tuple
            The bundle.
        name : tuple
            The new name.
        slots : sequence of int
            Which of the bundle.

        Returns
        -------
        bool
            Whether they lie there now; False when the bundle has ended, or whoever asked is gone.
        """
        scheduler, key, name = self._scheduler, tuple(key), tuple(name)
        bundle = scheduler.tasks.get(key)
        worker = None if bundle is None else bundle.processing_on
        if worker is None:
            return False
        payload, priority, address = bundle.run_spec.args[0], bundle.priority, worker.address
        nbytes = await getattr(scheduler.rpc(address), EARLY)(key=key, name=name, slots=slots)
        if nbytes is None or scheduler.workers.get(address) is not worker:
            return False
        if client not in scheduler.clients:
            stimulus = f"{MARK}-early-{time.time()}"
            scheduler.worker_send(address, {"op": "free-keys", "keys": [name], "stimulus_id": stimulus})
            return False
        scheduler.update_data(who_has={name: [address]}, nbytes={name: nbytes}, client=client)
        # What nothing can make again, Dask forgets when it is lost, and its readers too. With a spec it is
        # sealed as a bundle is, and its loss told.
        task = scheduler.tasks[name]
        task.run_spec = Task(name, hold_early, payload)
        task.priority = priority
        return True


def hold_early(payload: bytes) -> Slots:
    """Stand for what made values of a bundle that went on; nothing makes them a second time.

    Parameters
    ----------
    payload : bytes
        As of ``run_bundle``.

    Returns
    -------
    Slots
        Never.

    Raises
    ------
    Hold
        Always.
    """
    raise Hold
