"""The results, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.engine.results import constant_result, local_result, prefect_result, secret_result
from prefectlite.results import ConstantResult, LocalResult, PrefectResult, SecretResult

__all__ = [
    "ConstantResult",
    "LocalResult",
    "PrefectResult",
    "SecretResult",
    "constant_result",
    "local_result",
    "prefect_result",
    "secret_result",
]
