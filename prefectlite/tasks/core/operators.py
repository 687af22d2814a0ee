"""Tasks that compute, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.core.operators import *  # noqa: F403
