"""The flow, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.flow import Flow

__all__ = ["Flow"]
