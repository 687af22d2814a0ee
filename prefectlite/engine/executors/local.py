"""The executor in this process, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.executors import LocalExecutor

__all__ = ["LocalExecutor"]
