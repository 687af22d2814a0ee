"""Tasks that come with the house: control flow, resource managers, secrets. Knows the core; knows no cluster.

They are made as users make theirs, and need nothing that a user's own could not have.
"""

from __future__ import annotations

from prefectlite.core.base import Task
from prefectlite.late import late_names
from prefectlite.tasks import control_flow, resource_manager, secrets

__all__ = ["Task", "control_flow", "resource_manager", "secrets"]

__getattr__ = late_names(
    __name__, {name: f"{__name__}.{name}" for name in ("core", "files", "shell", "templates")}
)
