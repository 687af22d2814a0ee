"""Loggers, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.core.loggers import get_logger

__all__ = ["get_logger"]
