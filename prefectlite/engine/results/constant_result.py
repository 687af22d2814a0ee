"""The result that is a constant, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.results import ConstantResult

__all__ = ["ConstantResult"]
