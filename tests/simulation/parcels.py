"""Submissions on their way through the virtual cluster, and what must hold of them. Knows no rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from prefectlite.engine.inputs import FromCollection, FromDriver, FromMany, FromRun, FromValue, Source
from prefectlite.engine.instructions import Submit
from tests.simulation.case import Ending
from tests.simulation.oracle import Name

#: Waiting for inputs that are being made, ready for a slot, on a worker that cannot fetch its inputs, in its
#: body, ended as a plain success, ended otherwise or held.
Status: TypeAlias = Literal["waiting", "ready", "stalled", "running", "done", "over"]
#: What lies where a value was.
GONE: Final = object()


class BrokenPromise(AssertionError):
    """The engine asked for what must not be."""


@dataclass(slots=True)
class Parcel:
    """One submission on its way through the cluster."""

    submit: Submit
    name: Name
    start: int
    ending: Ending
    status: Status = "waiting"
    missing: int = 0
    followers: list[Parcel] = field(default_factory=list)
    leaders: list[Parcel] = field(default_factory=list)
    reads: set[int] = field(default_factory=set)
    folded: set[int] = field(default_factory=set)
    released: bool = False
    value: Any = GONE
    made: Any = None
    #: Where its body is to run, runs and its value lies; -1 while nobody knows.
    worker: int = -1
    #: How often it was stalled without a break, and since when.
    stalls: int = 0
    stalled_at: float = 0.0
    #: Whether its outcome has reached the driver; whether its value is gone; whether the driver was told so.
    is_heard: bool = False
    lost: bool = False
    is_missed: bool = False
    #: The workers that let go of its value, since who was the last to need it succeeded there.
    spent: set[int] = field(default_factory=set)
    #: Whether its body runs on, on a worker that was given up.
    is_cut_off: bool = False

    @property
    def attempt(self) -> tuple[int, int, int]:
        """Its node, its index, and which start of the run it is."""
        return (*self.name, self.start)

    @property
    def is_to_begin(self) -> bool:
        """Whether its body has not begun, and may."""
        return self.status in ("waiting", "ready", "stalled")

    def __str__(self) -> str:
        return f"submission {self.submit.submission} of {self.submit.key} ({self.status})"


def require(condition: bool, text: str) -> None:
    """Raise ``BrokenPromise`` unless a condition holds."""
    if not condition:
        raise BrokenPromise(text)


def leaves(source: Source) -> Iterator[FromRun]:
    """Yield the runs on the cluster that a source reads, one by one."""
    if isinstance(source, FromRun):
        yield source
    elif isinstance(source, FromMany):
        for item in source.singly():
            yield from leaves(item)
    elif isinstance(source, FromCollection):
        for item in source.items:
            yield from leaves(item)


def runs_in(source: Source) -> set[int]:
    """Return the runs whose values a source reads, wherever they lie."""
    match source:
        case FromRun(run) | FromDriver(run):
            return {run}
        case FromMany():
            return {run for one in source.singly() for run in runs_in(one)}
        case FromCollection(_, items):
            return {run for one in items for run in runs_in(one)}
        case FromValue():
            return set()
