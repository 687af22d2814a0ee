"""The base of results, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.engine.result import NoResult, NoResultType, Result

__all__ = ["NoResult", "NoResultType", "Result"]
