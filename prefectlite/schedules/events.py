"""What a schedule gives: a start, and the parameters that go with it. Knows no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from prefectlite.kinds import check_kind
from prefectlite.moments import pendular
from prefectlite.schedules.moments import aware

if TYPE_CHECKING:
    from pendulum import DateTime

#: What to give instead of parameters without names.
PARAMETERS: Final = "give a dict of parameters: parameter_defaults={'city': 'Bergen'}."


class ClockEvent:
    """A start that a clock asks for; compared by its moment, and with a datetime too.

    Parameters
    ----------
    start_time : datetime
        When; UTC if it has no zone. Read, it is pendulum's.
    parameter_defaults : mapping of str to object, or None
        Values for the flow's parameters, which go over those that were given.
    labels : sequence of str or None
        What Prefect 1's agents went by; kept for flows that were written for it, and read by nobody here.

    Raises
    ------
    DefinitionTypeError
        When the start is no datetime, or the parameters have no names.
    """

    __slots__ = ("labels", "parameter_defaults", "wall")

    def __init__(
        self,
        start_time: datetime,
        parameter_defaults: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        check_kind("A ClockEvent", "parameter_defaults", parameter_defaults, Mapping | None, PARAMETERS)
        #: The start as its zone's wall clock shows it.
        self.wall = aware(start_time, "start_time of a ClockEvent")
        self.parameter_defaults: Mapping[str, Any] = parameter_defaults or {}
        self.labels = labels

    @property
    def start_time(self) -> DateTime:
        """When."""
        return pendular(self.wall)

    @property
    def moment(self) -> datetime:
        """The start in UTC, in which moments compare as they should."""
        return self.wall.astimezone(UTC)

    def __repr__(self) -> str:
        """Return the start, and the names of the parameters, since their values may be secret."""
        names = ", ".join(self.parameter_defaults)
        return f"<ClockEvent: {self.wall.isoformat(' ')}{names and f' with {names}'}>"

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same start with the same parameters, or that moment."""
        if isinstance(other, datetime):
            # Python finds no two times of different zones equal where one of them comes twice.
            return other.utcoffset() is not None and self.moment == other.astimezone(UTC)
        if not isinstance(other, ClockEvent):
            return NotImplemented
        return (
            self.moment == other.moment
            and self.parameter_defaults == other.parameter_defaults
            and self.labels == other.labels
        )

    def __hash__(self) -> int:
        """Return the hash of the moment.

        It is that of an equal datetime, too, but for the second of two equal times of its zone: Python gives
        that the hash of the first.
        """
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
