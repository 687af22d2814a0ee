"""A secret, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.core.secrets import Secret

__all__ = ["Secret"]
