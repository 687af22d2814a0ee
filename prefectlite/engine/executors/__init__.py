"""The executors, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.engine.executors import dask, local
from prefectlite.executors import DaskExecutor, Executor, LocalDaskExecutor, LocalExecutor

__all__ = ["DaskExecutor", "Executor", "LocalDaskExecutor", "LocalExecutor", "dask", "local"]
