"""Options of the simulation: which seeds, and how many."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation")
    group.addoption("--sim-seed", type=int, default=None, help="replay one seed, and print its trace")
    group.addoption(
        "--sim-kind", default="random", help="of which kind the one seed is, as kinds.py names it"
    )
    group.addoption("--sim-count", type=int, default=None, help="how many seeds to run (default: 2000)")
