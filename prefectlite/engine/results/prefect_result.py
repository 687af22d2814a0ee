"""The result that is its own place, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.results import PrefectResult

__all__ = ["PrefectResult"]
