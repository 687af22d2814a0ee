"""The serializers of stored values, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.results.formats import *  # noqa: F403
