"""What tests of flows need: a flow's rules in virtual time, with injected outcomes.

``docs/testing.md`` has examples; the pytest plugin comes with the package.
"""

from __future__ import annotations

from prefectlite.testing.outcomes import Injected, crashes, raises, returns, runs
from prefectlite.testing.simulation import Moment, Ran, Simulation, simulate

__all__ = ["Injected", "Moment", "Ran", "Simulation", "crashes", "raises", "returns", "runs", "simulate"]
