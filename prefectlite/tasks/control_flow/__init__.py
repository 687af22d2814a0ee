"""Branches that are taken or skipped, and how they come together again. Knows tasks and signals."""

from __future__ import annotations

from prefectlite.tasks.control_flow.apply_map import apply_map
from prefectlite.tasks.control_flow.case import case
from prefectlite.tasks.control_flow.conditional import ifelse, merge, switch
from prefectlite.tasks.control_flow.filter import FilterTask

__all__ = ["FilterTask", "apply_map", "case", "ifelse", "merge", "switch"]
