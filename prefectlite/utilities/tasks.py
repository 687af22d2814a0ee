"""What makes tasks, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.core.attributes import defaults_from_attrs
from prefectlite.core.collecting import as_task
from prefectlite.core.context import tags
from prefectlite.core.pausing import pause_task
from prefectlite.core.task import task
from prefectlite.tasks.control_flow import apply_map

__all__ = ["apply_map", "as_task", "defaults_from_attrs", "pause_task", "tags", "task"]
