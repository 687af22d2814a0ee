"""Dask futures of one flow run, held and let go in batches. Knows the client; knows no reports."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from prefectlite.executors.protocol import Parcel
from prefectlite.lowering.keys import BundleKey


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
        self._by_parcel: dict[Parcel, Any] = {}
        #: How many of a bundle's attempts are held.
        self._shares: dict[BundleKey, int] = {}
        self._shared: list[Any] = []

    def hold(self, parcels: Sequence[Parcel], futures: Sequence[Any]) -> None:
        """Hold the futures of attempts.

        Parameters
        ----------
        parcels : sequence of (int, int)
            Run and submission.
        futures : sequence of distributed.Future
            Theirs, in the same order.
        """
        with self._lock:
            let_go = self._take(parcels)  # what a bundle sent back
            self._by_parcel.update(zip(parcels, futures, strict=True))
        self._let_go(let_go)

    def hold_bundle(self, parcels: Sequence[Parcel], future: Any) -> None:
        """Hold the future of a bundle for each of its attempts.

        Parameters
        ----------
        parcels : sequence of (int, int)
            Run and submission of its members.
        future : distributed.Future
            The bundle's.
        """
        with self._lock:
            let_go = self._take(parcels)  # what was sent back travels in another bundle now
            self._by_parcel.update((parcel, future) for parcel in parcels)
            self._shares[future.key] = len(parcels)
        self._let_go(let_go)

    def share(self, futures: Iterable[Any]) -> None:
        """Hold futures that live as long as the flow run.

        Parameters
        ----------
        futures : iterable of distributed.Future
            Of shared constants and tasks.
        """
        with self._lock:
            self._shared.extend(futures)

    def get(self, parcel: Parcel) -> Any:
        """Return an attempt's future.

        Parameters
        ----------
        parcel : (int, int)
            Run and submission.

        Returns
        -------
        distributed.Future or None
            None when it was let go.
        """
        return self._by_parcel.get(parcel)

    def release(self, parcels: Iterable[Parcel]) -> None:
        """Let go of attempts; a bundle stays until all of its attempts were let go of.

        Parameters
        ----------
        parcels : iterable of (int, int)
            Run and submission.
        """
        with self._lock:
            futures = self._take(parcels)
        self._let_go(futures)

    def _take(self, parcels: Iterable[Parcel]) -> list[Any]:
        """Return the futures that nobody holds any more."""
        futures: list[Any] = []
        for parcel in parcels:
            future = self._by_parcel.pop(parcel, None)
            if future is None:
                continue
            left = self._shares.get(future.key, 1) - 1
            if left:
                self._shares[future.key] = left
                continue
            self._shares.pop(future.key, None)
            futures.append(future)
        return futures

    def release_all(self, but: Iterable[Parcel] = ()) -> None:
        """Let go of everything but some.

        Parameters
        ----------
        but : iterable of (int, int)
            What stays held.
        """
        with self._lock:
            kept = {parcel: self._by_parcel[parcel] for parcel in but if parcel in self._by_parcel}
            futures = [*self._take([one for one in self._by_parcel if one not in kept]), *self._shared]
            self._shared = []
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
