"""The result that is never stored, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.results import SecretResult

__all__ = ["SecretResult"]
