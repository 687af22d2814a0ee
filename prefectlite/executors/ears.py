"""Who hears what comes to a client: one ear, however many flow runs it drives. Knows no items."""

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
        #: Whether the scheduler counts the client among those who hear the topic.
        self.is_subscribed = False

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


# One for each client, however many runs it drives.
_ears: weakref.WeakKeyDictionary[Any, Ear] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def attend(client: Any) -> Ear:
    """Let a client hear what comes to it by its name.

    Dask finds fault with what comes to a client that does not listen, and the scheduler may speak to one as
    soon as it knows of the run.

    Parameters
    ----------
    client : distributed.Client
        The client.

    Returns
    -------
    Ear
        Its ear, which passes on nothing before somebody listens.
    """
    with _guard:
        ear = _ears.get(client)
        if ear is None:
            ear = _ears[client] = Ear()
        client._event_handlers.setdefault(MARK, ear)
        return ear


def listen(client: Any, route: str, listener: Listener, *, by_name: bool) -> None:
    """Let a flow run hear what comes to a client for it.

    Parameters
    ----------
    client : distributed.Client
        The client.
    route : str
        From ``wire.route_of``.
    listener : Listener
        Who hears it.
    by_name : bool
        Whether the client is told by its name, so that the scheduler need not know of a subscription. One
        that is sent would go ahead of the first graph, and Dask sends a client's messages 10 ms apart.
    """
    ear = attend(client)
    with _guard:
        if not by_name and not ear.is_subscribed:
            client.subscribe_topic(MARK, ear)
            ear.is_subscribed = True
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
        if ear is None or ear.listeners.pop(route, None) is None or ear.listeners or not ear.is_subscribed:
            return
        ear.is_subscribed = False
        if client.status == "running":
            with contextlib.suppress(Exception):
                client.unsubscribe_topic(MARK)
