"""The executors on Dask, at the path that Prefect 1 defined them in. Holds nothing itself."""

from prefectlite.executors import DaskExecutor, LocalDaskExecutor

__all__ = ["DaskExecutor", "LocalDaskExecutor"]
