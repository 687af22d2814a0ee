"""What must happen next: events in, instructions out. Knows rules; knows neither Dask nor the clock.

Prefect 1 had its states, signals and results under this name; here that name leads to their rooms.
"""

from __future__ import annotations

from prefectlite.late import late_names

__getattr__ = late_names(
    __name__,
    {
        name: f"{__name__}.{name}"
        for name in ("cache_validators", "executors", "result", "results", "serializers", "signals", "state")
    },
)
