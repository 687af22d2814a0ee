"""A secret, at the path of the module that defined it in Prefect 1. Holds nothing itself."""

from prefectlite.core.secrets import Secret

__all__ = ["Secret"]
