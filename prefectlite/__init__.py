"""A workflow engine without a server: flows of Python functions, with rules, on Dask."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "task": "core.task",
    "Task": "core.task",
    "Flow": "flow",
    "flow": "flow",
    "FlowRun": "flow",
    "Parameter": "core.parameter",
    "Edge": "core.edge",
    "mapped": "core.annotations",
    "unmapped": "core.annotations",
    "flatten": "core.annotations",
    "context": "core.context",
    "tags": "core.context",
    "DaskExecutor": "executors.dask",
    "LocalExecutor": "executors.local",
}
_MODULES = {"triggers": "rules.triggers", "signals": "states.signals", "states": "states", "errors": "errors"}
__all__ = [*_HOMES, *_MODULES]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"prefectlite.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module 'prefectlite' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"prefectlite.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
