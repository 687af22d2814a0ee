"""The base of executors of one's own, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.executors.submitting import Executor

__all__ = ["Executor"]
