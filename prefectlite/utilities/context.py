"""The context, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.core.context import Context, context

__all__ = ["Context", "context"]
