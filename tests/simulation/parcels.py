"""Submissions on their way through the virtual cluster, and what must hold of them. Knows no rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from prefectlite.engine.inputs import FromCollection, FromMany, FromRun, Source
from prefectlite.engine.instructions import Submit
from tests.simulation.case import Ending
from tests.simulation.oracle import Name

#: Waiting for inputs, ready for a slot, in its body, ended as a plain success, ended otherwise or held.
Status: TypeAlias = Literal["waiting", "ready", "running", "done", "over"]
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
    #: Where its body runs and its value lies; -1 before it starts.
    worker: int = -1
    #: Whether its outcome has reached the driver; whether its value is gone; whether the driver was told so.
    is_heard: bool = False
    lost: bool = False
    is_missed: bool = False
    #: Whether its body runs on, on a worker that was given up.
    is_cut_off: bool = False

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
