"""Settings for a while, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.settings import set_temporary_config

__all__ = ["set_temporary_config"]
