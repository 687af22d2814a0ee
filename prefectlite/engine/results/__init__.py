"""The results, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.results import ConstantResult, LocalResult, PrefectResult, SecretResult

__all__ = ["ConstantResult", "LocalResult", "PrefectResult", "SecretResult"]
