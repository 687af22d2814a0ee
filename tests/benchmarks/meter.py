"""Wall, CPU, memory and moved bytes of one piece of work on a warm cluster. Knows Dask; knows no flows."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psutil
from distributed import Client, LocalCluster


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed run: seconds on the clock, CPU seconds of driver and scheduler, and of the workers."""

    wall: float
    driver: float
    workers: float

    @property
    def cpu(self) -> float:
        return self.driver + self.workers


@dataclass(frozen=True, slots=True)
class Summary:
    """The median of some samples and how far they lie apart, as min and max over the median."""

    wall: float
    cpu: float
    driver: float
    workers: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: list[Sample]) -> Summary:
        wall = statistics.median(one.wall for one in samples)
        return cls(
            wall,
            statistics.median(one.cpu for one in samples),
            statistics.median(one.driver for one in samples),
            statistics.median(one.workers for one in samples),
            min(one.wall for one in samples) / wall,
            max(one.wall for one in samples) / wall,
        )


class Bench:
    """A warm cluster of worker processes with one thread each, and the means to measure on it.

    The scheduler runs in this process, so "driver" counts both; they share one machine anyway.

    Parameters
    ----------
    workers : int, optional
        How many.
    apart : bool, optional
        Whether this process keeps to one core and all workers to another; else the system decides.
    """

    def __init__(self, workers: int = 2, apart: bool = False) -> None:
        #: How many cores the workers can keep busy.
        self.cores = 1 if apart else workers
        self._before = _two_cores() if apart else None
        with _deaf():
            self.cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0"
            )
        self.client = Client(self.cluster)
        self.client.wait_for_workers(workers, timeout=60)
        if self._before is not None:
            own, theirs = sorted(self._before)[:2]
            self.client.run(_keep_to, {theirs})
            _keep_to({own})
        self.default_saturation: float = self.cluster.scheduler.WORKER_SATURATION
        #: Of each shape of work, what was found out about the ways to do it: seconds a task, the fastest first.
        self.qualified: dict[str, dict[str, float]] = {}

    def close(self) -> None:
        self.client.close()
        self.cluster.close()
        if self._before is not None:
            _keep_to(self._before)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def worker_addresses(self) -> list[str]:
        return sorted(self.client.scheduler_info()["workers"])

    def settle(self, saturation: float) -> None:
        """Wait until the scheduler holds no task, then set how many tasks it sends ahead to a worker."""
        gc.collect()
        deadline = time.monotonic() + 60
        while self.cluster.scheduler.tasks and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.cluster.scheduler.tasks:
            raise RuntimeError(
                f"{len(self.cluster.scheduler.tasks)} tasks of the last run are still on the scheduler."
            )
        self.cluster.scheduler.WORKER_SATURATION = saturation

    def measure(self, work: Callable[[], Any], saturation: float) -> Sample:
        self.settle(saturation)
        workers = self._worker_cpu()
        driver, wall = time.process_time(), time.perf_counter()
        kept = work()
        wall, driver = time.perf_counter() - wall, time.process_time() - driver
        workers = self._worker_cpu() - workers
        del kept
        return Sample(wall, driver, workers)

    def _worker_cpu(self) -> float:
        return sum(self.client.run(time.process_time).values())

    def moved(self, work: Callable[[], Any]) -> int:
        """Return the bytes of task data that workers sent to anyone while ``work`` ran."""
        self.settle(self.default_saturation)
        before = sum(self.client.run(_sent).values())
        kept = work()
        after = sum(self.client.run(_sent).values())
        del kept
        return int(after - before)

    def shipped(self, work: Callable[[], Any]) -> int:
        """Return the bytes that reached workers while ``work`` ran: from each other, and in the scheduler's messages."""
        comms = self.cluster.scheduler.stream_comms
        before = sum(comm.byte_count for comm in comms.values())
        moved = self.moved(work)
        return moved + sum(comm.byte_count for comm in comms.values()) - before

    def rise(self, work: Callable[[], Any]) -> int:
        """Return how far the driver's resident memory rose above its start while ``work`` ran, in bytes."""
        return self.peaks(work)[0]

    def peaks(self, work: Callable[[], Any]) -> tuple[int, int]:
        """Return how far the resident memory of the driver, and of the workers together, rose meanwhile, in bytes."""
        self.settle(self.default_saturation)
        groups = [[psutil.Process()], [psutil.Process(pid) for pid in self.client.run(os.getpid).values()]]
        before = [_resident(one) for one in groups]
        peaks, done = list(before), threading.Event()

        def look() -> None:
            peaks[:] = [max(peak, _resident(group)) for peak, group in zip(peaks, groups, strict=True)]

        def watch() -> None:
            while not done.wait(0.005):
                look()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            kept = work()
        finally:
            done.set()
            watcher.join()
        look()
        del kept
        driver, workers = (int(peak - start) for peak, start in zip(peaks, before, strict=True))
        return driver, workers

    def probe(self) -> Probe:
        """Return what watches the event loop that scheduler and client share, and how much is on the scheduler."""
        return Probe(self.cluster.loop.asyncio_loop, lambda: len(self.cluster.scheduler.tasks))


def _two_cores() -> set[int]:
    """Return the cores that this process may use, at least two."""
    if not hasattr(os, "sched_setaffinity"):
        raise RuntimeError("Processes keep to a core on Linux alone; leave this row out.")
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        raise RuntimeError("Driver and workers need a core each, and there is one; leave this row out.")
    return cores


def _keep_to(cores: set[int]) -> None:
    """Have this process use some cores alone, with all threads that it has and will have."""
    for thread in psutil.Process().threads():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, cores)


@contextmanager
def _deaf() -> Iterator[None]:
    """Keep a Ctrl-C from the processes that start meanwhile: a terminal sends it to all, and the driver acts on it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Probe:
    """What an event loop went through while the block ran.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop.
    count : callable, optional
        Something that is counted each time the loop comes around.
    every : float, optional
        Seconds from one look to the next.

    Attributes
    ----------
    longest : float
        For how many seconds the loop did not come around, at worst.
    most : int
        The largest count.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, count: Callable[[], int] = lambda: 0, every: float = 0.01
    ) -> None:
        self.loop = loop
        self.longest = 0.0
        self.most = 0
        self._count = count
        self._every = every
        self._begun = threading.Event()
        self._done = False

    async def _watch(self) -> None:
        self._begun.set()
        while not self._done:
            begun = time.perf_counter()
            await asyncio.sleep(self._every)
            self.longest = max(self.longest, time.perf_counter() - begun - self._every)
            self.most = max(self.most, self._count())

    def __enter__(self) -> Self:
        self._watching = asyncio.run_coroutine_threadsafe(self._watch(), self.loop)
        # What blocks the loop before the first look would not be seen.
        self._begun.wait(timeout=120)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done = True
        # A loop that is blocked now is waited for, and counts.
        self._watching.result(timeout=120)


def _resident(processes: list[psutil.Process]) -> int:
    return sum(one.memory_info().rss for one in processes)


def _sent(dask_worker: Any) -> int:
    return int(dask_worker.transfer_outgoing_bytes_total)
