"""One suite for all places to run: each test here gets each of them in turn."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefectlite import DaskExecutor, Flow, LocalExecutor
from prefectlite.executors.submitting import as_place
from prefectlite.states import Mapped, State
from tests.contract.submitting import Calls, Threads
from tests.docs.pages import definitions_of

#: Read here, before any body runs: Python 3.11 counts the depth of what it parses for all threads together, so that
#: a thread of an earlier test, which tells its traceback just then, can fail it.
PARTS = definitions_of("docs/parts.md")
#: The last are executors of a user's own: one that builds on ``AttemptSession``, and such as Prefect 1 had.
OWN = ("own-threads", "submits-calls", "submits-threads", "submits-processes")
PLACES = (
    "local",
    "dask-processes",
    # Bundles run in threads there, too.
    *[pytest.param(name, marks=pytest.mark.slow) for name in ("dask-threads", "dask-bundles", *OWN)],
)


@pytest.fixture(scope="session")
def thread_client() -> Iterator[Any]:
    """A client of a cluster whose scheduler and workers are threads of this process."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=False
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def process_client(dask_cluster: Any) -> Iterator[Any]:
    """A client of the shared cluster of worker processes."""
    from distributed import Client

    with Client(dask_cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture(scope="session")
def pool_of_processes() -> Iterator[Any]:
    """The executor with processes of ``docs/parts.md``, whose pool lasts from test to test."""
    # A fork of this process, in which threads run, might take along locks that nobody would release.
    server = multiprocessing.get_context("forkserver")
    executor = PARTS["ProcessesExecutor"](2, mp_context=server)
    with executor.start():
        # What a daemon starts is one, and no test is asked why it is still there.
        first = threading.Thread(target=executor.pool.submit, args=(int,), daemon=True)
        first.start()
        first.join()
        executor.start = contextlib.nullcontext
        yield executor


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """The name of the place that the test runs at."""
    return str(request.param)


@pytest.fixture
def pickles(place: str) -> bool:
    """Whether what goes from task to task must be pickled there."""
    return place.startswith("dask") or place == "submits-processes"


@pytest.fixture
def is_alone(place: str) -> bool:
    """Whether bodies run there in the thread that drives the flow run, one at a time."""
    return place in ("local", "submits-calls")


@pytest.fixture
def is_deaf(place: str) -> bool:
    """Whether a body there goes on after a cancel, since the thread that drives the flow run is not ours."""
    return place == "submits-calls"


@pytest.fixture
def is_elsewhere(place: str) -> bool:
    """Whether bodies run there in other processes."""
    return place.endswith("-processes")


@pytest.fixture
def executor(place: str, request: pytest.FixtureRequest) -> Any:
    """An executor for the place."""
    if place == "local":
        return LocalExecutor()
    if place == "submits-calls":
        return Calls()
    if place == "submits-threads":
        return Threads()
    if place == "submits-processes":
        return request.getfixturevalue("pool_of_processes")
    if place == "own-threads":
        return PARTS["ThreadsExecutor"](2)
    kind = "process_client" if place == "dask-processes" else "thread_client"
    return DaskExecutor(request.getfixturevalue(kind), bundle_size=7 if place == "dask-bundles" else None)


@pytest.fixture
def ends_bodies(place: str) -> bool:
    """Whether a cancel ends bodies there while they run."""
    return place not in ("local", "submits-calls", "submits-processes")


class World:
    """Runs flows at one place, and counts how often bodies ran, in whatever process."""

    def __init__(self, executor: Any, folder: Path) -> None:
        self.executor = executor
        self.place = as_place(executor)
        self._folder = folder

    @property
    def ran(self) -> Callable[[str], None]:
        """A function for task bodies: notes that the body of that name ran."""
        folder = str(self._folder)

        def ran(name: str) -> None:
            # A file per run: appending from several processes may lose notes.
            import os
            import tempfile

            handle, _ = tempfile.mkstemp(prefix=f"{name}+", dir=folder)
            os.close(handle)

        return ran

    def runs(self) -> dict[str, int]:
        """How often each body ran so far."""
        return dict(Counter(path.name.partition("+")[0] for path in self._folder.iterdir()))

    def run(self, flow: Flow, **options: Any) -> State:
        return flow.run(executor=self.executor, **options)

    def outcome(self, flow: Flow, **options: Any) -> tuple[str, dict[str, Any]]:
        """Run, and return the flow's class and what each task came to, by slug."""
        state = self.run(flow, **options)
        return type(state).__name__, {flow.slugs[task]: came_to(one) for task, one in state.result.items()}


def came_to(state: State) -> Any:
    """Return a success's value, a list for a map, and otherwise the state's class with the error's, if any."""
    if isinstance(state, Mapped):
        return [came_to(child) for child in state.map_states]
    if type(state).__name__ == "Success":
        return state.result
    held = state.result
    name = type(state).__name__
    return f"{name}({type(held).__name__})" if isinstance(held, BaseException) else name


@pytest.fixture
def world(executor: Any, tmp_path: Path) -> World:
    """The place to run and the notes of the bodies."""
    return World(executor, tmp_path)
