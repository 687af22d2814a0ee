"""The secrets, at the path that Prefect 1 defined them in. Holds nothing itself."""

from prefectlite.tasks.secrets import PrefectSecret, SecretBase

__all__ = ["PrefectSecret", "SecretBase"]
