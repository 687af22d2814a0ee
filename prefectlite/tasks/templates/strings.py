"""The task that fills in a text, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.tasks.templates import StringFormatter

__all__ = ["StringFormatter"]
