"""The base of results, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.results import Result
from prefectlite.states import NO_RESULT, NoResultType

__all__ = ["NoResult", "NoResultType", "Result"]

NoResult = NO_RESULT
