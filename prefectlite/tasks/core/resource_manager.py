"""Resource managers, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.tasks.resource_manager import ResourceManager, resource_manager

__all__ = ["ResourceManager", "resource_manager"]
