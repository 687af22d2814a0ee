"""The table of faults: the rows of all files, in order."""

from __future__ import annotations

from tests.faults import bodies, busy, ends, networks, races, workers
from tests.faults.row import ROWS

__all__ = ["ROWS", "bodies", "busy", "ends", "networks", "races", "workers"]
