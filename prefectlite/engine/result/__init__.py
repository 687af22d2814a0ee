"""The base of results, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.results import Result
from prefectlite.states import NO_RESULT, NoResultType

__all__ = ["NoResult", "NoResultType", "Result"]

NoResult = NO_RESULT
