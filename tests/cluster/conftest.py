"""What tests of clusters share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from distributed import Client, LocalCluster

from prefectlite.executors import watch


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs look for what was lost five times a second."""
    monkeypatch.setattr(watch, "EVERY", 0.2)


@pytest.fixture
def borrowed(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of a cluster of the test's own: of two workers, or as many as its parameter says."""
    count = getattr(request, "param", 2)
    with (
        LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=":0", silence_logs=50, memory_limit=0
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(count)
        yield client
