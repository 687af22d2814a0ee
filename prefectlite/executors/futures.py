"""Dask futures of one flow run, held and let go in batches. Knows the client; knows no reports."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from typing import Any

from prefectlite.lowering.berths import DaskKey


class Futures:
    """What a flow run holds on its cluster.

    Parameters
    ----------
    client : distributed.Client
        Through which it holds it.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        # Reentrant: a garbage collection in here may be what drops the flow run's state.
        self._lock = threading.RLock()
        self._futures: dict[DaskKey, Any] = {}
        #: How many attempts hold a bundle; one that travels alone has no entry.
        self._shares: dict[DaskKey, int] = {}
        self._shared: list[Any] = []

    def hold(self, future: Any, shares: int = 1) -> None:
        """Hold the future of a Dask task.

        Parameters
        ----------
        future : distributed.Future
            Its future.
        shares : int
            How many attempts it stands for.
        """
        with self._lock:
            self._futures[future.key] = future
            if shares != 1:
                self._shares[future.key] = shares

    def share(self, futures: Iterable[Any]) -> None:
        """Hold futures that live as long as the flow run.

        Parameters
        ----------
        futures : iterable of distributed.Future
            Of shared constants and tasks.
        """
        with self._lock:
            self._shared.extend(futures)

    def get(self, key: DaskKey) -> Any:
        """Return a Dask task's future.

        Parameters
        ----------
        key : tuple
            The Dask task.

        Returns
        -------
        distributed.Future or None
            None when it was let go.
        """
        return self._futures.get(key)

    def give_back(self, shares: Iterable[tuple[DaskKey, int]]) -> None:
        """Let go of attempts; a bundle stays until all of its attempts were let go of.

        Parameters
        ----------
        shares : iterable of (tuple, int)
            Dask tasks, and how many attempts in each.
        """
        futures: list[Any] = []
        with self._lock:
            for key, count in shares:
                future = self._futures.get(key)
                if future is None:
                    continue
                left = self._shares.get(key, 1) - count
                if left > 0:
                    self._shares[key] = left
                    continue
                self._shares.pop(key, None)
                del self._futures[key]
                futures.append(future)
        self._let_go(futures)

    def release_all(self, but: Iterable[DaskKey] = ()) -> None:
        """Let go of everything but some.

        Parameters
        ----------
        but : iterable of tuple
            Dask tasks that stay held.
        """
        with self._lock:
            kept = {key: self._futures[key] for key in but if key in self._futures}
            futures = [one for key, one in self._futures.items() if key not in kept]
            futures += self._shared
            self._futures, self._shared = kept, []
            self._shares.clear()
        self._let_go(futures)

    def _let_go(self, futures: list[Any]) -> None:
        if not futures:
            return
        # A loop that is over has let go of everything.
        with contextlib.suppress(RuntimeError):
            self._client.loop.add_callback(_release, self._client, futures)


def _release(client: Any, futures: list[Any]) -> None:
    """Release futures in the client's loop, with one message for all.

    ``Future.release`` sends a message for each key through two turns of the loop, 60 to 90 microseconds of
    the driver each; with ten thousand that is most of a second.
    """
    try:
        counts, states, lock = client.refcount, client.futures, client._refcount_lock
        keys = []
        with lock:
            for future in futures:
                if future._cleared or future._generation != client.generation:
                    continue
                future._cleared = True
                key = future.key
                counts[key] -= 1
                if counts[key] <= 0:
                    del counts[key]
                    state = states.pop(key, None)
                    if state is not None:
                        state.cancel()
                    keys.append(key)
    except AttributeError:
        # Another release of Dask keeps its books otherwise; then one by one.
        for future in futures:
            future.release()
        return
    if keys and client.status not in ("closed", "closing"):
        client._send_to_scheduler({"op": "client-releases-keys", "keys": keys, "client": client.id})
