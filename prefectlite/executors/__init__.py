"""Places where flows run. Knows how attempts get there and what comes back; knows no rules.

The names that users import from here come when they are first used: a scheduler that has our plugin, and a
worker, need none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from prefectlite.executors.dask import DaskExecutor, LocalDaskExecutor
    from prefectlite.executors.local import LocalExecutor
    from prefectlite.executors.submitting import Executor

__all__ = ["DaskExecutor", "Executor", "LocalDaskExecutor", "LocalExecutor"]

#: The module of each public name.
_HOMES: Final = {
    "DaskExecutor": "dask",
    "Executor": "submitting",
    "LocalDaskExecutor": "dask",
    "LocalExecutor": "local",
}


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name not in _HOMES:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; its names are {', '.join(__all__)}"
        )
    found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found
