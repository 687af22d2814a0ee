"""Tasks that stand for values, operators and functions, at the paths that they had in Prefect 1."""

from prefectlite.tasks.core import collections, constants, function, operators, resource_manager

__all__ = ["collections", "constants", "function", "operators", "resource_manager"]
