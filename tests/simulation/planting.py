"""How planted faults are looked for. Knows cases and how they fail; knows no fault."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from prefectlite.engine.engine import Engine
from prefectlite.engine.instructions import Instruction
from tests.simulation import corners
from tests.simulation.case import Case
from tests.simulation.generate import generate
from tests.simulation.simulate import SimulationFailed, play

Patch = pytest.MonkeyPatch
Fault: TypeAlias = Callable[[Patch], None]

#: A fault must show within so many seeds; the sound engine must pass the same ones.
BOUND: Final = 600


class Planted(dict[str, Fault]):
    """Faults under their functions' names; a decorator that enters them."""

    def __call__(self, fault: Fault) -> Fault:
        """Enter a fault."""
        self[fault.__name__] = fault
        return fault


def edit_instructions(patch: Patch, edit: Callable[[Engine, list[Instruction]], list[Instruction]]) -> None:
    """Let a fault change what the engine says."""
    honest = Engine.handle
    patch.setattr(Engine, "handle", lambda self, event: edit(self, honest(self, event)))


def corners_and_seeds() -> Iterator[Case]:
    """Yield every corner, and the first seeds."""
    yield from corners.cases()
    yield from map(generate, range(BOUND))


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
