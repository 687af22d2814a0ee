"""Tells drivers what became of attempts that were lost. Knows losses; decides nothing.

What stands in for a lost attempt needs a thread of another worker, which may have long bodies to run first,
and there may be no other worker. So the scheduler plugin says by itself what it knows, within seconds:
it waits a moment for the nanny's word of how the worker ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from prefectlite.executors.exits import Exits
from prefectlite.worker.losses import Loss, told_of_loss
from prefectlite.worker.wire import Item, route_of

#: How long to wait for a worker, in seconds, where none is left: a cluster that is closed ends them first,
#: and then the scheduler, whose end says more.
CLOSING: Final = 2.0


class Verdicts:
    """What is told of Dask tasks that were lost.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose tasks.
    exits : Exits
        Where it is known how workers ended.
    say : callable
        Passes items on to the driver of a flow run, by its route.
    """

    def __init__(self, scheduler: Any, exits: Exits, say: Callable[[str, Sequence[Item]], None]) -> None:
        self._scheduler = scheduler
        self._exits = exits
        self._say = say
        self._waiting: set[asyncio.Task[None]] = set()
        self._arrival = asyncio.Event()

    def tell(self, key: Any, loss: Loss) -> None:
        """Tell of a Dask task, as soon as it is known how its worker ended, if somebody may know that.

        Parameters
        ----------
        key : tuple
            The Dask task.
        loss : Loss
            What was lost.
        """
        if self._scheduler.workers and not loss.who:
            self._say(route_of(key), told_of_loss(key, loss, None))
            return
        task = asyncio.get_running_loop().create_task(self._tell_later(key, loss))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _tell_later(self, key: Any, loss: Loss) -> None:
        found = await self._exits.of(loss.who) if loss.who else None
        if not self._scheduler.workers:
            # What a worker that comes then finds missing must not be heard of before.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrival.wait(), CLOSING)
        self._say(route_of(key), told_of_loss(key, loss, found))

    def worker_came(self) -> None:
        """Tell at once what waits to be told, since the cluster is not about to close."""
        self._arrival.set()
        self._arrival.clear()

    def stop(self) -> None:
        """Tell nothing more."""
        for task in list(self._waiting):
            task.cancel()
