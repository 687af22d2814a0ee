"""How worker processes ended: told by their nannies, kept at the scheduler for who asks. Decides nothing.

The scheduler sees no more than a connection that broke. A worker that closes says so before; else the nanny,
which started the process, is told by the system how it ended, and passes that on.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from collections import OrderedDict
from typing import Any, Final

from distributed import NannyPlugin, Status

from prefectlite.worker.exits import UNKNOWN, Exit
from prefectlite.worker.wire import MARK

#: How long a nanny may take to tell of an end that the scheduler has noticed, in seconds.
PATIENCE: Final = 2.0
#: The topic of what was ended for its silence: the worker's address, and a text that says so.
SILENT: Final = f"{MARK}-silent"
#: Of how many workers the ends are kept.
MEMORY: Final = 1000


class ExitPlugin(NannyPlugin):  # type: ignore[misc, unused-ignore]
    """Let a nanny tell how its worker's process ended."""

    name = f"{MARK}-exits"

    def setup(self, nanny: Any) -> None:
        """Listen to the ends of a nanny's processes, unless somebody does already.

        Parameters
        ----------
        nanny : distributed.Nanny
            The nanny.
        """
        if getattr(nanny, "tells_exits", False):
            return
        go_on = nanny._on_worker_exit_sync

        def told(code: int) -> None:
            tell_exit(nanny, code)
            go_on(code)

        nanny._on_worker_exit_sync = told
        if nanny.process is not None:
            nanny.process.on_exit = told
        nanny.tells_exits = True


def tell_exit(nanny: Any, code: int) -> None:
    """Tell the scheduler how a nanny's process ended, unless the nanny had told it to.

    Parameters
    ----------
    nanny : distributed.Nanny
        The nanny; its process has just ended.
    code : int
        The exit status, or a signal's number below zero.
    """
    if nanny.status not in (Status.starting, Status.running):
        return

    async def tell() -> None:
        with contextlib.suppress(Exception):  # nobody there listens any more
            await nanny.scheduler.prefectlite_exited(nanny=nanny.address, code=code)

    nanny.loop.add_callback(tell)


class Exits:
    """What nannies told of the processes of their workers.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose workers.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        #: By address, for workers with a nanny: the nanny's, and the code of the end.
        self._codes: OrderedDict[str, tuple[str, asyncio.Future[int]]] = OrderedDict()
        self._asking: set[asyncio.Task[None]] = set()

    def expect(self, worker: str, nanny: str | None) -> None:
        """Ask the nanny of a worker to tell of its end.

        Parameters
        ----------
        worker : str
            The worker's address.
        nanny : str or None
            The nanny's, if it has one.
        """
        if not nanny or worker in self._codes:
            return
        self._codes[worker] = nanny, asyncio.get_running_loop().create_future()
        if len(self._codes) > MEMORY:
            self._codes.popitem(last=False)
        task = asyncio.create_task(self._ask(nanny))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def ready(self) -> None:
        """Wait until the nannies that were asked listen, but not for long."""
        if self._asking:
            await asyncio.wait(self._asking, timeout=PATIENCE)

    async def _ask(self, nanny: str) -> None:
        with contextlib.suppress(Exception):  # then it tells nothing, and nothing is concluded
            plugin = pickle.dumps(ExitPlugin())
            await self._scheduler.rpc(nanny).plugin_add(plugin=plugin, name=ExitPlugin.name)

    def note(self, nanny: str, code: int) -> None:
        """Keep what a nanny tells.

        Parameters
        ----------
        nanny : str
            Its address. It may not know its worker's yet, but has one at a time: the last that came.
        code : int
            As of ``Exit``.
        """
        for whose, found in reversed(self._codes.values()):
            if whose == nanny:
                if not found.done():
                    found.set_result(code)
                return

    async def of(self, worker: str) -> Exit | None:
        """Return how the process of a worker ended, when its nanny has told.

        Parameters
        ----------
        worker : str
            The address of a worker that is gone.

        Returns
        -------
        Exit or None
            None when nobody told of it.
        """
        closed = [one["reason"] for one in self._events(worker) if one.get("action") == "closing-worker"]
        if closed:
            text = f"The worker that had the attempt was closed before the attempt ended ({closed[-1]})."
            return Exit(UNKNOWN, False, text)
        found = self._codes.get(worker)
        if found is None:
            return None
        try:
            code = await asyncio.wait_for(asyncio.shield(found[1]), PATIENCE)
        except TimeoutError:
            return None
        over_limit = any(event.get("worker") == worker for event in self._events("worker-restart-memory"))
        told = [event["text"] for event in self._events(SILENT) if event["worker"] == worker]
        return Exit(code, over_limit, "".join(told[-1:]))

    def _events(self, topic: str) -> list[dict[str, Any]]:
        return [event for _, event in self._scheduler.get_events(topic) if isinstance(event, dict)]
