"""What every test stands on: quiet settings, one shared cluster, and a look at what a test leaves behind."""

from __future__ import annotations

import importlib
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts this in the background ignores Ctrl-C for it, and so for the programs that tests press it in.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

# Processes that tests start inherit these: colours, widths and a developer's own Dask settings would
# otherwise decide what a test sees.
os.environ.setdefault("NO_COLOR", "1")
os.environ["COLUMNS"] = "120"
for name in [name for name in os.environ if name.startswith(("DASK_", "PREFECTLITE_"))]:
    del os.environ[name]
os.environ["PREFECTLITE_CONFIG"] = os.devnull

# A shared two-core machine makes any deadline a coin toss; what is slow is caught by pytest's timeout.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def _dask_draws_elsewhere() -> None:
    """Give Dask a generator of its own.

    Its event loops weigh messages by samples, in whatever test, and Hypothesis refuses a test in which
    somebody draws from the shared generator.
    """
    own = random.Random()
    for name in ("dask.sizeof", "distributed.comm.core", "distributed.scheduler", "distributed.utils_comm"):
        importlib.import_module(name).random = own  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def dask_cluster() -> Iterator[LocalCluster]:
    """A plain Dask cluster of two worker processes with one thread each, shared by the session."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=False
    ) as cluster:
        yield cluster


@pytest.fixture
def client(dask_cluster: LocalCluster) -> Iterator[Client]:
    """The shared cluster's active client; it is closed again after the test."""
    from distributed import Client

    with Client(dask_cluster) as active:
        active.wait_for_workers(2, timeout=60)
        yield active


@pytest.fixture(autouse=True)
def _keeps_no_secrets() -> Iterator[None]:
    """Forget after each test which texts were secret in it: they may be anything in another."""
    yield
    masking: Any = sys.modules.get("prefectlite.masking")
    if masking is not None:
        masking.KNOWN.clear()
        masking._order.longest_first = ()


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    """What is logged under ``prefectlite``, of all levels.

    Pytest's own handler lets less through while a cluster of threads, which outlives a test, brings lines.
    """
    found: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    logger = logging.getLogger("prefectlite")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture(autouse=True)
def _leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves an open Dask client, or a thread that keeps the interpreter alive."""
    # Fixtures of wider scope are set up before this one, and those of a test are torn down before it,
    # so what is new at the end is the test's own.
    threads, clients = _live_threads(), _open_clients()
    yield
    deadline = time.monotonic() + 5
    while (left := (_live_threads() - threads) | (_open_clients() - clients)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, f"This was left running: {sorted(map(repr, left))}"


def _live_threads() -> set[Any]:
    # Pools of Dask and asyncio that live as long as the process.
    pools = ("Dask-Offload", "asyncio_")
    return {one for one in threading.enumerate() if not one.daemon and not one.name.startswith(pools)}


def _open_clients() -> set[Any]:
    distributed: Any = sys.modules.get("distributed")
    found = () if distributed is None else distributed.client._global_clients.values()
    return {one for one in found if one.status == "running"}
