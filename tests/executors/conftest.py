"""Real Dask in this process: a cluster of one worker, and a bench whose scheduler is looked at from its own loop."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from prefectlite.worker.wire import MARK, WORKER

ROUTE = "0123abcd"
TIMEOUT = 20.0


class Gate:
    """What bodies wait at until the test, in the same process, lets them through; it travels as its number."""

    _all: weakref.WeakValueDictionary[int, Gate] = weakref.WeakValueDictionary()

    def __init__(self) -> None:
        self._reached = threading.Semaphore(0)
        self._opened = threading.Event()
        self._all[id(self)] = self

    def __reduce__(self) -> tuple[Any, ...]:
        return _gate, (id(self),)

    def wait(self) -> None:
        """Wait; called by bodies."""
        self._reached.release()
        assert self._opened.wait(TIMEOUT)

    def is_reached(self) -> bool:
        """Whether one more body has come here."""
        return self._reached.acquire(blocking=False)

    def open(self) -> None:
        self._opened.set()


def _gate(number: int) -> Gate:
    return Gate._all[number]


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that no body is left waiting at."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture(autouse=True, scope="module")
def _logging_as_before() -> Iterator[None]:
    """Let go of the log records: workers of this process have no rest, and some bodies begin by hand."""
    yield
    from prefectlite.worker import desk as desks

    for desk in list(desks._desks.values()):
        desk._active.clear()
    desks.rest_all()


@pytest.fixture(scope="module")
def near_cluster() -> Iterator[Any]:
    """A cluster whose only worker, with two threads, lives in this process; values travel as bytes all the same."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp://",
        dashboard_address=":0",
        silence_logs=False,
    ) as cluster:
        yield cluster


@pytest.fixture
def near(near_cluster: Any, near_worker: Any, gate: Gate, until: Callable[..., None]) -> Iterator[Any]:
    """A client of that cluster, which has forgotten the keys of the test before."""
    from distributed import Client

    with Client(near_cluster, set_as_default=False) as client:
        yield client
        gate.open()
    until(lambda: not near_cluster.scheduler.tasks and not near_worker.state.tasks)


@pytest.fixture
def near_worker(near_cluster: Any) -> Any:
    """The worker of that cluster."""
    return near_cluster.workers[0]


@pytest.fixture
def cluster_of(gate: Gate) -> Iterator[Callable[..., Any]]:
    """Makes a client of a cluster that the test may break: ``cluster_of(n_workers, **options)``."""
    from distributed import Client, LocalCluster

    made: list[Any] = []

    def make(n_workers: int = 1, **options: Any) -> Any:
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            dashboard_address=":0",
            silence_logs=False,
            **options,
        )
        made.append(cluster)
        client = Client(cluster, set_as_default=False)
        made.append(client)
        return client

    yield make
    gate.open()
    for one in reversed(made):
        one.close()


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    """Waits until a question is answered with yes."""

    def wait(question: Callable[[], Any]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not question():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    return wait


class Bench:
    """A real scheduler with our plugin, its workers and a client that listens, all in one event loop.

    Parameters
    ----------
    scheduler, plugin, client : object
        Real ones; the client is asynchronous.
    folder : path
        Where workers have their directories.
    stack : AsyncExitStack
        Closes the workers.
    """

    def __init__(self, scheduler: Any, plugin: Any, client: Any, folder: Path, stack: AsyncExitStack) -> None:
        self.scheduler, self.plugin, self.client = scheduler, plugin, client
        self.heard: list[list[Any]] = []
        #: The workers that it heard of, and whether they came.
        self.workers: list[tuple[str, bool]] = []
        self.folder, self._stack = folder, stack
        client.subscribe_topic(MARK, self._hear)

    def _hear(self, event: Any) -> None:
        route, items = event[1]
        assert route == ROUTE
        self.workers += [item[1:] for item in items if item[0] == WORKER]
        if reports := [item for item in items if item[0] != WORKER]:
            self.heard.append(reports)

    @property
    def items(self) -> list[Any]:
        """What the driver heard, whatever deliveries it came in."""
        return [item for items in self.heard for item in items]

    async def open(self, client: Any = None, **options: Any) -> str:
        client = client or self.client
        return str(await client.scheduler.prefectlite_open(client=client.id, route=ROUTE, **options))

    async def worker(self, **options: Any) -> Any:
        from distributed import Worker

        options = {"nthreads": 1, "local_directory": str(self.folder), **options}
        return await self._stack.enter_async_context(Worker(self.scheduler.address, **options))

    async def lose(self, worker: Any) -> None:
        """Let a worker end, unexpected by the scheduler, while its bodies go on."""
        await worker.close(executor_wait=False)
        await self.until(lambda: worker.address not in self.scheduler.workers)

    async def until(self, question: Callable[[], Any]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not question():
            assert time.monotonic() < deadline, self.heard
            await asyncio.sleep(0.002)


@pytest.fixture
def bench(tmp_path: Path, gate: Gate) -> Callable[..., None]:
    """Runs an asynchronous test with a bench."""
    import dask
    from distributed import Client, Scheduler

    from prefectlite.executors.plugin import ReportPlugin

    def run(test: Callable[[Bench], Awaitable[None]]) -> None:
        async def main() -> None:
            async with (
                Scheduler(port=0, host="127.0.0.1", dashboard=False, dashboard_address=":0") as scheduler,
                Client(scheduler.address, asynchronous=True, set_as_default=False) as client,
                AsyncExitStack() as stack,
            ):
                plugin = ReportPlugin()
                await plugin.start(scheduler)
                bench = Bench(scheduler, plugin, client, tmp_path, stack)
                await bench.until(lambda: client.id in scheduler._broker._topics[MARK].subscribers)
                try:
                    await test(bench)
                finally:
                    gate.open()  # workers that close wait for their bodies

        # What a test sends to a worker stays there, and is not kept back on the scheduler.
        with dask.config.set(
            {"distributed.scheduler.work-stealing": False, "distributed.scheduler.worker-saturation": "inf"}
        ):
            asyncio.run(main())

    return run
