"""Helpers under the paths that they had in Prefect 1. What is not defined in them lies in the rooms below.

They come when they are first used, as attributes too: ``prefectlite.utilities.logging.get_logger()``.
"""

from __future__ import annotations

from prefectlite.late import late_names

__getattr__ = late_names(
    __name__,
    {
        name: f"{__name__}.{name}"
        for name in (
            "collections",
            "configuration",
            "context",
            "datetimes",
            "debug",
            "diagnostics",
            "edges",
            "importtools",
            "logging",
            "notifications",
            "serialization",
            "tasks",
        )
    },
)
