"""What drivers are told, on its way: gathered a moment, sent together. Knows the scheduler; reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from prefectlite.executors.stalls import Waits
from prefectlite.worker.wire import MARK, Item

#: How long reports wait for company, in seconds; the first after a silence does not wait.
FLUSH_EVERY: Final = 0.005
#: How long they wait in a crowd, where each delivery costs more than what it carries.
FLUSH_CROWD_EVERY: Final = 0.025
#: How long they wait while what comes next was lowered ahead, so that the work does not wait for the driver.
FLUSH_AHEAD_EVERY: Final = 0.05
#: How many reports in one delivery make a crowd.
CROWD: Final = 8
#: How many reports leave at once at the latest.
FLUSH_AT: Final = 256


class Route:
    """The stream of one flow run.

    Parameters
    ----------
    name : str
        From ``wire.route_of``.
    client : str
        The identity of the driver's client.
    shares_disk : bool
        Whether what its attempts begin is noted where workers share the scheduler's machine, to be read
        after a worker's death.
    """

    __slots__ = ("client", "items", "name", "shares_disk", "waits")

    def __init__(self, name: str, client: str, shares_disk: bool) -> None:
        self.name = name
        self.client = client
        self.shares_disk = shares_disk
        self.items: list[Item] = []
        self.waits = Waits()


class Streams:
    """Sends what is posted to the drivers of flow runs.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose clients they are.
    routes : mapping of str to Route
        The streams that are open; whoever opens and ends them changes it.
    """

    def __init__(self, scheduler: Any, routes: Mapping[str, Route]) -> None:
        self._scheduler = scheduler
        self._routes = routes
        self._timer: Any = None
        self._last_flush = 0.0
        self._due = 0.0
        self._patience = FLUSH_EVERY

    def post(self, route: Route, items: Sequence[Item], is_urgent: bool = True) -> None:
        """Send a driver something, soon.

        Parameters
        ----------
        route : Route
            Its stream.
        items : sequence of tuple
            What it is to hear, in order.
        is_urgent : bool
            Whether it can go on by it.
        """
        route.items.extend(items)
        if len(route.items) >= FLUSH_AT:
            self._send(route)
            return
        due = self._last_flush + (self._patience if is_urgent else FLUSH_AHEAD_EVERY)
        if self._timer is not None:
            if due >= self._due:
                return
            self._timer.cancel()
        loop = self._scheduler.loop.asyncio_loop
        self._due = due
        self._timer = loop.call_later(max(due - loop.time(), 0.0), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._last_flush = self._scheduler.loop.asyncio_loop.time()
        count = 0
        for route in self._routes.values():
            if route.items:
                count += len(route.items)
                self._send(route)
        self._patience = FLUSH_CROWD_EVERY if count >= CROWD else FLUSH_EVERY

    def _send(self, route: Route) -> None:
        items, route.items = route.items, []
        event = (0.0, (route.name, items))
        self._scheduler.report({"op": "event", "topic": MARK, "event": event}, client=route.client)
