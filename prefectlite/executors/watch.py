"""The second look: attempts whose report never came, judged by their futures. Decides no rule.

Reports can be lost, futures can't: a future's status is the record, the report its detail. Every two
seconds, and at once when the scheduler says that something erred, the futures of attempts without a report
are looked at.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from prefectlite.executors.cluster import ask_workers
from prefectlite.executors.link import Link
from prefectlite.executors.silence import Lookout
from prefectlite.lowering.berths import DaskKey
from prefectlite.lowering.keys import is_bundle
from prefectlite.lowering.wrappers import Hold
from prefectlite.worker.entry import retell
from prefectlite.worker.timers import look_after

_logger = logging.getLogger(__name__)

#: How often to look, in seconds.
EVERY: Final = 2.0
#: How often while a bundle is held up by a long body, and others by it.
OFTEN: Final = 0.2
#: How long after the scheduler's word to look, in seconds: Dask's own word to the client is on its way as
#: well.
SOON: Final = 0.02
#: How often to look for attempts that never get their inputs: so many times within the limit, in seconds.
STALL_LOOKS: Final = 5
#: How long the scheduler may take to look for them, in seconds.
STALL_TIMEOUT: Final = 10.0
#: How long to wait for workers to say again what they said, in seconds.
ASK_TIMEOUT: Final = 30.0


class Watch:
    """Look at a link's futures until told to stop.

    Parameters
    ----------
    link : Link
        Whose.
    stall_timeout : float
        For how many seconds an attempt may lack its inputs on a worker that has a thread for it.
    """

    def __init__(self, link: Link, stall_timeout: float = math.inf) -> None:
        self._link = link
        self._stall_timeout = stall_timeout
        self._stalls_looked = time.monotonic()
        self._lookout = Lookout(link.place.cluster) if link.place.can_kill else None
        self._stopped = threading.Event()
        #: Attempts that had ended at the last look already.
        self._ended: set[DaskKey] = set()
        self._crashed: set[DaskKey] = set()
        self._thread = threading.Thread(target=self._run, name="prefectlite-watch", daemon=True)

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; returns when the last look is over."""
        self._stopped.set()
        self._link.doubt.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(5)

    def _run(self) -> None:
        doubt = self._link.doubt
        while not self._stopped.is_set():
            if doubt.wait(OFTEN if self._link.is_slow else EVERY):
                doubt.clear()
                self._stopped.wait(SOON)
            if not self._stopped.is_set():
                try:
                    self.look()
                except Exception:
                    # A watch that dies would leave a run waiting for ever.
                    _logger.exception("The futures of flow run %s could not be looked at.", self._link.route)

    def look(self) -> None:
        """Look once."""
        link = self._link
        look_after(getattr(link.client, "_periodic_callbacks", {}).values())
        if link.client.status == "running":
            link.send_again()
        if link.client.status == "closed":
            text = f"The Dask client of {link.place.name} was closed while the attempt was in flight."
            link.give_up([(key, "scheduler-lost", text) for key in link.cargo.copy()])
            return
        lost: list[tuple[DaskKey, str, str]] = []
        held: list[DaskKey] = []
        ended: set[DaskKey] = set()
        for key in link.cargo.copy():
            future = link.futures.get(key)
            status = None if future is None else future.status
            if status == "finished":
                ended.add(key)
            elif status == "cancelled":
                lost.append((key, *self._cancellation(key)))
            elif status == "error":
                error = future.exception()
                if isinstance(error, Hold):
                    # A bundle raises none of its own, so it never ran; mates of who waits go elsewhere.
                    if is_bundle(key):
                        held.append(key)
                    else:
                        ended.add(key)
                elif self._is_victim(key, error):
                    held.append(key)
                else:
                    self._crashed.add(key)
                    lost.append((key, *_crash(error)))
        link.give_up(lost)
        link.hint(held)
        # A report may still be on its way at the first look; at the second it is overdue.
        overdue = [key for key in ended if key in self._ended and key in link.cargo]
        self._ended = ended
        if overdue:
            self._ask(overdue)
        now = time.monotonic()
        if now - self._stalls_looked > self._stall_timeout / STALL_LOOKS and link.has_plugin and link.cargo:
            self._stalls_looked = now
            self._look_for_stalls()
        if self._lookout is not None:
            self._lookout.look()

    def _look_for_stalls(self) -> None:
        """Let the scheduler look for attempts that never get their inputs; it lets others have them first."""
        link = self._link
        try:
            ask, scheduler = partial(link.client.sync, callback_timeout=STALL_TIMEOUT), link.client.scheduler
            found = ask(scheduler.prefectlite_stalls, route=link.route, timeout=self._stall_timeout)
            workers = ask(scheduler.prefectlite_workers)
        except Exception:
            return  # whatever that means, other looks will tell
        if not workers and not link.is_deserted:
            # Those of a LocalCluster in a notebook, say, end when its kernel is interrupted.
            text = "The cluster %s has no workers; what was sent there waits until one comes."
            _logger.warning(text, link.place.name)
        link.is_deserted = not workers
        link.give_up([(tuple(key), "input-unreachable", text) for key, text in found])

    def _ask(self, keys: Sequence[DaskKey]) -> None:
        """Ask the workers what the attempts in those Dask tasks said."""
        link = self._link
        flying = [(key, link.cargo.get(key)) for key in keys]
        wanted = {key: () if cargo is None else cargo.measure() for key, cargo in flying}
        answers = ask_workers(link.client, retell, wanted, timeout=ASK_TIMEOUT)
        if not answers:
            return  # nobody can be asked now; the next look sees more
        link.hear([item for items in answers.values() for item in items])
        lost: list[tuple[DaskKey, str, str]] = []
        held: list[DaskKey] = []
        for key in keys:
            future = link.futures.get(key) if key in link.cargo else None
            if future is None or future.status != "error":
                continue
            if self._waits(key):
                held.append(key)
            else:
                text = "The attempt ended, but its report was lost, and no worker remembers it."
                lost.append((key, "report-lost", text))
                self._crashed.add(key)
        link.give_up(lost)
        link.hint(held)

    def _is_victim(self, key: DaskKey, error: Any) -> bool:
        """Whether a Dask task erred because another did; Dask repeats the other's exception."""
        culprit = getattr(error, "task", None)
        return (culprit is not None and culprit != key) or self._waits(key)

    def _waits(self, key: DaskKey) -> bool:
        cargo = self._link.cargo.get(key)
        needs = () if cargo is None else cargo.needs
        return any(
            need in self._link.cargo or need in self._crashed or need in self._link.gone for need in needs
        )

    def _cancellation(self, key: DaskKey) -> tuple[str, str]:
        future = self._link.futures.get(key)
        state = getattr(future, "_state", None)
        error = getattr(state, "exception", None)
        reason = str(getattr(error, "reason", None) or "")
        name = self._link.place.name
        if "lost dependencies" in reason:
            return (
                "input-unreachable",
                "A value that the attempt needs was no longer on the cluster when it was sent.",
            )
        if "connection" in reason or self._link.client.status != "running":
            return (
                "scheduler-lost",
                f"The connection to the Dask scheduler of {name} was lost; it may have ended.",
            )
        return (
            "cancelled",
            f"Somebody took the attempt off the cluster {name} ({reason or 'no reason given'}).",
        )


def _crash(error: Any) -> tuple[str, str]:
    name = type(error).__name__
    if name == "KilledWorker":
        worker = getattr(getattr(error, "last_worker", None), "address", "unknown")
        return (
            "worker-lost",
            (
                f"The worker process that ran the attempt ({worker}) ended: the body ended it (os._exit, "
                "a crash in C code), or the system did, for example because memory ran out."
            ),
        )
    return "not-run", f"Dask could not run the attempt: {name}: {error}"
