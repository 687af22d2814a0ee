"""The cache validators, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.cache_validators import *  # noqa: F403
