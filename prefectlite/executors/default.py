"""The place where a flow runs that says none: what the settings name. Knows executors and settings."""

from __future__ import annotations

from contextlib import suppress

from prefectlite.errors import ExecutorError
from prefectlite.executors.cluster import import_object
from prefectlite.executors.dask import DaskExecutor, LocalDaskExecutor
from prefectlite.executors.local import LocalExecutor
from prefectlite.executors.protocol import Executor
from prefectlite.settings import current


def default_executor() -> Executor:
    """Return a new executor of the kind that the setting ``executor`` names.

    Returns
    -------
    Executor
        ``DaskExecutor()`` unless somebody set another.

    Raises
    ------
    ConfigError
        When the settings cannot be read.
    """
    name = current().executor
    if name == "dask":
        return DaskExecutor()
    if name == "local":
        return LocalExecutor()
    if name == "threads":
        return LocalDaskExecutor("threads")
    if name == "processes":
        return LocalDaskExecutor("processes")
    # What is no class of executors, a DaskExecutor can tell, or refuses when it starts.
    with suppress(ExecutorError):
        found = import_object(name)
        if isinstance(found, type) and issubclass(found, Executor):
            return found()
    return DaskExecutor(name)
