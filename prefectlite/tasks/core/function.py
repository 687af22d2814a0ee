"""The task that is made from a function, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.core.task import FunctionTask

__all__ = ["FunctionTask"]
