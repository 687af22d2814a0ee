"""Where the acceptance flows run: in this process, and on Dask in several forms."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite import DaskExecutor, LocalDaskExecutor, LocalExecutor
from tests.cli.conftest import shell

__all__ = ["executor", "shell"]

PLACES = [
    "local",
    pytest.param("dask", marks=pytest.mark.cluster),
    pytest.param("dask-alone", marks=[pytest.mark.cluster, pytest.mark.slow]),
    pytest.param("dask-threads", marks=[pytest.mark.cluster, pytest.mark.slow]),
]


@pytest.fixture(params=PLACES)
def executor(request: pytest.FixtureRequest) -> Any:
    """Each place in turn."""
    if request.param == "local":
        return LocalExecutor()
    if request.param == "dask-threads":
        return LocalDaskExecutor("threads", num_workers=2)
    client = request.getfixturevalue("client")
    return DaskExecutor(client, bundle_size=None if request.param == "dask-alone" else "auto")
