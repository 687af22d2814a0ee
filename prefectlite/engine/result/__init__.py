"""The base of results, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.engine.result import base
from prefectlite.engine.result.base import NoResult, NoResultType, Result

__all__ = ["NoResult", "NoResultType", "Result", "base"]
