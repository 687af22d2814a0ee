"""What helps to find an error, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.core.context import raise_on_exception
from prefectlite.lowering.journey import is_serializable

__all__ = ["is_serializable", "raise_on_exception"]
