"""Who hears what comes to a client: one subscription, however many flow runs it drives. Knows no items."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

from prefectlite.worker.wire import MARK, Item


class Listener(Protocol):
    """A flow run that is told of."""

    def hear(self, items: Sequence[Item]) -> None:
        """Take what workers and scheduler say.

        Parameters
        ----------
        items : sequence of tuple
            In order.
        """
        ...


class Ear:
    """What one client hears, passed on to the runs that it drives."""

    def __init__(self) -> None:
        self.listeners: dict[str, Listener] = {}

    def __call__(self, event: tuple[float, tuple[str, Sequence[Item]]]) -> None:
        """Pass on what came to the flow run that it is about.

        Parameters
        ----------
        event : (float, (str, sequence of tuple))
            As Dask hands it over: a time, then the route and the items.
        """
        route, items = event[1]
        listener = self.listeners.get(route)
        if listener is not None:
            listener.hear(items)


# One subscription for each client, however many runs it drives: a topic, once named, stays on the scheduler
# for ever.
_ears: weakref.WeakKeyDictionary[Any, Ear] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def listen(client: Any, route: str, listener: Listener) -> None:
    """Let a flow run hear what comes to a client for it.

    Parameters
    ----------
    client : distributed.Client
        The client.
    route : str
        From ``wire.route_of``.
    listener : Listener
        Who hears it.
    """
    with _guard:
        ear = _ears.get(client)
        if ear is None:
            ear = _ears[client] = Ear()
        if not ear.listeners:
            client.subscribe_topic(MARK, ear)
        ear.listeners[route] = listener


def unlisten(client: Any, route: str) -> None:
    """Let a flow run hear nothing more.

    Parameters
    ----------
    client : distributed.Client
        The client.
    route : str
        As it was named to ``listen``.
    """
    with _guard:
        ear = _ears.get(client)
        if ear is None or ear.listeners.pop(route, None) is None or ear.listeners:
            return
        if client.status == "running":
            with contextlib.suppress(Exception):
                client.unsubscribe_topic(MARK)
