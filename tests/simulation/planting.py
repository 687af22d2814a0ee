"""How planted faults are looked for. Knows cases and how they fail; knows no fault."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from tests.simulation.case import Case
from tests.simulation.simulate import SimulationFailed, play

Patch = pytest.MonkeyPatch
Fault: TypeAlias = Callable[[Patch], None]

#: A fault must show within so many seeds; the sound engine must pass the same ones.
BOUND: Final = 600


def is_found(cases: Iterable[Case], audit: bool = True) -> bool:
    """Return whether one of some cases fails, and not by a mistake of the fault's own."""
    try:
        for case in cases:
            play(case, audit=audit)
    except SimulationFailed as failed:
        at_fault = failed.__cause__.__traceback__ if failed.__cause__ else None
        where = Path(traceback.extract_tb(at_fault)[-1].filename).name if at_fault else ""
        assert not where.startswith(("changed.py", "dataclasses.py", "test_planted_")), (
            "the plant itself fails"
        )
        return True
    return False
