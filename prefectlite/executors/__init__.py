"""Places where flows run. Knows how attempts get there and what comes back; knows no rules.

The names that users import from here come when they are first used: a scheduler that has our plugin, and a
worker, need none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefectlite.late import late_names

if TYPE_CHECKING:
    from prefectlite.executors.dask import DaskExecutor, LocalDaskExecutor
    from prefectlite.executors.local import LocalExecutor
    from prefectlite.executors.submitting import Executor

__all__ = ["DaskExecutor", "Executor", "LocalDaskExecutor", "LocalExecutor"]

__getattr__ = late_names(
    __name__,
    {
        "DaskExecutor": "prefectlite.executors.dask:DaskExecutor",
        "Executor": "prefectlite.executors.submitting:Executor",
        "LocalDaskExecutor": "prefectlite.executors.dask:LocalDaskExecutor",
        "LocalExecutor": "prefectlite.executors.local:LocalExecutor",
        # As in Prefect 1, attributes without an import of their own.
        "base": "prefectlite.executors.base",
        "dask": "prefectlite.executors.dask",
        "local": "prefectlite.executors.local",
    },
)
