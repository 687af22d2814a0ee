"""What a schedule gives: a start, and the parameters that go with it. Knows no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from prefectlite.kinds import check_kind
from prefectlite.schedules.moments import aware

#: What to give instead of parameters without names.
PARAMETERS: Final = "give a dict of parameters: parameter_defaults={'city': 'Bergen'}."


@dataclass(frozen=True, slots=True, eq=False)
class ClockEvent:
    """A start that a clock asks for; compared by its moment, and with a datetime too.

    Parameters
    ----------
    start_time : datetime
        When; UTC if it has no zone.
    parameter_defaults : mapping of str to object
        Values for the flow's parameters, which go over those that were given.
    labels : sequence of str or None
        What Prefect 1's agents went by; kept for flows that were written for it, and read by nobody here.

    Raises
    ------
    DefinitionTypeError
        When the start is no datetime, or the parameters have no names.
    """

    start_time: datetime
    parameter_defaults: Mapping[str, Any] = field(default_factory=dict)
    labels: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Give the start a zone."""
        check_kind("A ClockEvent", "parameter_defaults", self.parameter_defaults, Mapping, PARAMETERS)
        object.__setattr__(self, "start_time", aware(self.start_time, "start_time of a ClockEvent"))

    @property
    def moment(self) -> datetime:
        """The start in UTC, in which moments compare as they should."""
        return self.start_time.astimezone(UTC)

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same start with the same parameters, or that moment."""
        if isinstance(other, datetime):
            return self.moment == other
        if not isinstance(other, ClockEvent):
            return NotImplemented
        return (
            self.moment == other.moment
            and self.parameter_defaults == other.parameter_defaults
            and self.labels == other.labels
        )

    def __hash__(self) -> int:
        """Return the hash of the moment."""
        return hash(self.moment)

    def __lt__(self, other: ClockEvent | datetime) -> bool:
        """Return whether it is earlier."""
        if not isinstance(other, ClockEvent | datetime):
            return NotImplemented
        return self.moment < (other.moment if isinstance(other, ClockEvent) else other)

    def __gt__(self, other: ClockEvent | datetime) -> bool:
        """Return whether it is later."""
        if not isinstance(other, ClockEvent | datetime):
            return NotImplemented
        return self.moment > (other.moment if isinstance(other, ClockEvent) else other)
