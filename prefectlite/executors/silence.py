"""Workers of our own clusters that give no sign of life: gone, or only busy? Knows processes; knows no task.

A worker says that it is there by a heartbeat, and needs Python's lock for it. A body that keeps the lock, as
C code may, silences a worker with which nothing is wrong, so Dask believes in a silent one for five minutes,
and no longer. But the processes of an own cluster run on this machine, where they can be looked at: one that
is stopped is lost soon, one that works is left alone however long it takes. One that neither is stopped nor
works waits for something with the lock in its hands, for a disk or for ever: nobody can tell, so that one
has the time that Dask gives it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import psutil

from prefectlite.executors.exits import SILENT

_logger = logging.getLogger(__name__)

#: For how long a process may be stopped, in seconds; Dask's worker TTL counts where it is shorter.
LIMIT: Final = 30.0
#: The most that counts between two looks, in seconds: who looks late may have slept as well.
NAP: Final = 5.0
#: The share of a core that is no work: threads that wait for Python's lock ask for it all the time.
IDLE: Final = 0.05
#: How often to look at most, in seconds.
EVERY: Final = 1.0
#: How long a look may take, in seconds.
LOOK_TIMEOUT: Final = 10.0


class Sight(NamedTuple):
    """What is seen of a process.

    Parameters
    ----------
    is_stopped : bool
        Whether somebody has stopped it (SIGSTOP).
    cpu : float
        How long it and what it started have worked so far, in seconds.
    """

    is_stopped: bool
    cpu: float


class Verdict(NamedTuple):
    """What is to be said of a silent worker.

    Parameters
    ----------
    worker : str
        Its address.
    is_lost : bool
        Whether to end it.
    text : str
        What is known of its process, to go on behind a name for it.
    """

    worker: str
    is_lost: bool
    text: str


class _Silence:
    """How long ago a worker was heard last, and for how long it has been stopped or idle, in seconds."""

    __slots__ = ("cpu", "heard", "idle", "silent", "stopped", "told")

    def __init__(self, heard: float) -> None:
        self.heard = heard
        self.silent = self.stopped = self.idle = 0.0
        self.cpu = math.nan
        self.told = False

    def see(self, sight: Sight | None, elapsed: float) -> None:
        self.silent += elapsed
        self.stopped = self.stopped + elapsed if sight is not None and sight.is_stopped else 0.0
        burnt = 0.0 if sight is None else sight.cpu - self.cpu
        self.cpu = math.nan if sight is None else sight.cpu
        self.idle = self.idle + elapsed if burnt < IDLE * elapsed else 0.0  # not at the first look at it


class Silences:
    """How long which workers have been silent, and what that means.

    Parameters
    ----------
    limit : float
        For how many seconds a process may be stopped.
    patience : float
        For how many seconds one may be silent and idle.
    """

    def __init__(self, limit: float, patience: float) -> None:
        self._limit = limit
        self._patience = patience
        self._known: dict[str, _Silence] = {}
        self._looked = math.nan

    def look(
        self, heard: Mapping[str, float], look_at: Callable[[str], Sight | None], now: float
    ) -> list[Verdict]:
        """Take note of who was heard of, and return what is to be said of the others.

        Parameters
        ----------
        heard : mapping of str to float
            When the workers were heard last that are to be looked at, by any clock: only changes count.
        look_at : callable
            Returns what is seen of a worker's process, by address; None when it has none here.
        now : float
            Seconds, by a clock that never goes back.

        Returns
        -------
        list of Verdict
            Once of each that is left alone, however long it is silent.

        Examples
        --------
        >>> silences, seen = Silences(limit=4.0, patience=60.0), Sight(is_stopped=True, cpu=1.0)
        >>> [len(silences.look({"w": 7.5}, lambda worker: seen, now)) for now in (0.0, 3.0, 6.0)]
        [0, 0, 1]
        """
        elapsed = 0.0 if math.isnan(self._looked) else min(now - self._looked, NAP)
        self._looked = now
        known, self._known = self._known, {}
        verdicts = []
        for worker, when in heard.items():
            found = known.get(worker)
            if found is None or found.heard != when:
                self._known[worker] = _Silence(when)
                continue
            self._known[worker] = found
            found.see(look_at(worker), elapsed)
            verdict = self._judge(worker, found)
            if verdict is not None:
                verdicts.append(verdict)
                if verdict.is_lost:
                    del self._known[worker]
        return verdicts

    def _judge(self, worker: str, found: _Silence) -> Verdict | None:
        text = f"gave no sign of life for {found.silent:.0f} s"
        if found.stopped >= self._limit or found.idle >= self._patience:
            text = f"was stopped (by SIGSTOP) and {text}" if found.stopped else f"{text} and did nothing"
            return Verdict(worker, True, f"{text}, so prefectlite ended it.")
        if found.silent < self._limit or found.told:
            return None
        found.told = True
        why = "a body keeps Python's lock, as C code may that does not let go of it"
        if found.idle >= self._limit / 2:
            text += (
                f" and does nothing: {why} while it waits. It is ended after {self._patience:.0f} s of that."
            )
        else:
            text += f", but it is at work: {why}. It is left alone, however long that takes."
        return Verdict(worker, False, text)


class Lookout:
    """Looks at silent workers of an own local cluster, in place of Dask, which would go by the time alone.

    Parameters
    ----------
    cluster : distributed.LocalCluster
        With workers that are processes.
    """

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        ttl = cluster.scheduler.worker_ttl
        if ttl:  # else somebody wants to wait for ever
            cluster.scheduler.worker_ttl = math.inf
        self._silences = Silences(min(LIMIT, ttl), ttl) if ttl else Silences(math.inf, math.inf)
        self._looked = -math.inf

    def look(self) -> None:
        """Look, if that was not done just now; to be called every few seconds, from any thread but Dask's."""
        now = time.monotonic()
        if now - self._looked < EVERY:
            return
        self._looked = now
        # In the event loop of the scheduler: one that has no time for this had none for heartbeats.
        with contextlib.suppress(TimeoutError):
            self._cluster.sync(self._look, callback_timeout=LOOK_TIMEOUT)

    async def _look(self) -> None:
        scheduler = self._cluster.scheduler
        pids = {one.worker_address: getattr(one, "pid", None) for one in self._cluster.workers.values()}
        heard = {
            one.address: one.last_seen for one in scheduler.workers.values() if one.processing or one.has_what
        }
        for worker, is_lost, text in self._silences.look(
            heard, lambda worker: _look_at(pids.get(worker)), time.monotonic()
        ):
            _logger.warning("The process of worker %s %s", worker, text)
            if is_lost:
                told = f"The worker process that had the attempt {text}"
                scheduler.log_event(SILENT, {"worker": worker, "text": told})
                if not _kill(pids.get(worker)):
                    await scheduler.remove_worker(worker, stimulus_id=f"{SILENT}-{time.time()}")


def _look_at(pid: int | None) -> Sight | None:
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        # With what it started: a body may wait for that.
        spent = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
        return Sight(process.status() == psutil.STATUS_STOPPED, sum(map(_total, spent)))
    except psutil.Error:
        return None  # something has ended just now


def _total(spent: Any) -> float:
    return float(spent.user + spent.system + spent.children_user + spent.children_system)


def _kill(pid: int | None) -> bool:
    """Kill a process, so that its nanny starts another; return whether it was there."""
    if pid is None:
        return False
    try:
        psutil.Process(pid).kill()
    except psutil.Error:
        return False
    return True
