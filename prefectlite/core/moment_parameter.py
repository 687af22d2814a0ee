"""A flow's input that is a moment. Knows parameters; knows no flow run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefectlite.core.parameter import NO_DEFAULT, NoDefault, Parameter
from prefectlite.moments import pendular, plain, read

if TYPE_CHECKING:
    from pendulum import DateTime


class DateTimeParameter(Parameter):
    """A flow's input that is a moment: a datetime, or a text in ISO 8601 that becomes one.

    Its values know their time zone; one that does not say is taken as UTC. Tasks get them as pendulum's:
    ``since.subtract(days=1)``. None is a value too.

    Parameters
    ----------
    name : str
        What callers of the flow say.
    default : datetime, str or None, optional
        The value when none is given.
    required : bool or None
        Whether a value must be given; by default, when there is no ``default``.
    tags : iterable of str or None
        Free labels.

    Raises
    ------
    DefinitionError
        When the name is empty, or the default is no moment.

    Examples
    --------
    >>> since = DateTimeParameter("since", default="2026-01-31T06:00")
    >>> since.default
    datetime.datetime(2026, 1, 31, 6, 0, tzinfo=datetime.timezone.utc)
    """

    __slots__ = ()

    def __init__(
        self,
        name: str,
        default: datetime | str | NoDefault | None = NO_DEFAULT,
        required: bool | None = None,
        tags: Iterable[str] | None = None,
    ) -> None:
        super().__init__(name, default, required, tags, type=datetime | None)

    def run(self) -> DateTime | None:
        """Return the value that the flow run gave.

        Returns
        -------
        pendulum.DateTime or None
            The value from ``context.parameters``, else the default; without either it fails, as others do.
        """
        return self.handed_on(self.validate(super().run()))

    def validate(self, value: Any) -> datetime | None:
        """Return a value as a moment with a zone.

        Parameters
        ----------
        value : object
            A datetime, or a text such as ``"2026-01-31T06:00"``, ``"20260131"`` or ``"2026-01"``.

        Returns
        -------
        datetime or None
            None for None.

        Raises
        ------
        ParameterError
            When it is no moment; the text names parameter and value.
        """
        moment = read(value) if isinstance(value, str) else None
        found: datetime | None = super().validate(value if moment is None else moment)
        return found

    def parse(self, text: str) -> datetime | None:
        """Return the moment that a text on a command line means.

        Parameters
        ----------
        text : str
            What stands after ``name=``.

        Returns
        -------
        datetime or None
            None for ``null``.

        Raises
        ------
        ParameterError
            When it is no moment.
        """
        found: datetime | None = super().parse(text) if read(text) is None else self.validate(text)
        return found

    def handed_on(self, value: datetime | None) -> DateTime | None:
        """Return a moment as tasks get it.

        Parameters
        ----------
        value : datetime or None
            What ``validate`` returned.

        Returns
        -------
        pendulum.DateTime or None
            The same moment.
        """
        return None if value is None else pendular(value)

    def _settled(self, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        moment = plain(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
