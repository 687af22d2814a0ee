"""The task that is a value, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.core.constants import Constant

__all__ = ["Constant"]
