"""The states, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.states import *  # noqa: F403
