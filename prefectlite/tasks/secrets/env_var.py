"""The secret of an environment variable, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.tasks.secrets import EnvVarSecret

__all__ = ["EnvVarSecret"]
