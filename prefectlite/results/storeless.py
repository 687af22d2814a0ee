"""Results without a store: the value is a constant, or stands in its location. Knows no file."""

from __future__ import annotations

from typing import Any, Self

from prefectlite.errors import ResultError
from prefectlite.results.formats import JSONSerializer
from prefectlite.results.result import Location, Result


class ConstantResult(Result):
    """A value that is always there, and stored nowhere.

    Parameters
    ----------
    value : object
        The value.

    Examples
    --------
    >>> ConstantResult(value=5).read("anywhere").value
    5
    """

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)

    def read(self, location: str) -> Self:
        """Return the constant.

        Parameters
        ----------
        location : str
            Not looked at.

        Returns
        -------
        Result
            Itself.
        """
        return self

    def write(self, value: Any, /, **kwargs: Any) -> Self:
        """Refuse.

        Parameters
        ----------
        value : object
            Not looked at.
        **kwargs : object
            Not looked at.

        Returns
        -------
        Result
            Never.

        Raises
        ------
        ResultError
            Always: a constant is not stored.
        """
        raise ResultError("A ConstantResult cannot be written; use LocalResult(dir=...) to store values.")

    def exists(self, location: Location, /, **kwargs: Any) -> bool:
        """Return True: a constant is always there.

        Parameters
        ----------
        location : str or callable
            Not looked at.
        **kwargs : object
            Not looked at.

        Returns
        -------
        bool
            True.
        """
        return True


class PrefectResult(Result):
    """A small value whose location is its own JSON text: it is stored wherever the location is written down.

    Parameters
    ----------
    value : object
        The value.
    location : str or None
        A JSON text.

    Examples
    --------
    >>> PrefectResult().write([1, None]).location
    '[1, null]'
    >>> PrefectResult().read("[1, null]").value
    [1, None]
    """

    def __init__(self, value: Any = None, location: str | None = None) -> None:
        super().__init__(value, location, JSONSerializer())

    def read(self, location: str) -> Self:
        """Read a value.

        Parameters
        ----------
        location : str
            Its JSON text.

        Returns
        -------
        Result
            A copy, with that value and location.

        Raises
        ------
        ValueError
            When it is no JSON text.
        """
        return self._found(self.serializer.deserialize(location.encode()), location)

    def write(self, value: Any, /, **kwargs: Any) -> Self:
        """Write a value as JSON.

        Parameters
        ----------
        value : object
            The value.
        **kwargs : object
            Not looked at.

        Returns
        -------
        Result
            A copy, with that value and, as its location, its text.

        Raises
        ------
        TypeError
            When JSON has no form for it.
        """
        return self._found(value, self.serializer.serialize(value).decode())

    def exists(self, location: Location, /, **kwargs: Any) -> bool:
        """Return whether a location is the text of a value.

        Parameters
        ----------
        location : str or callable
            The text, or what it is made by.
        **kwargs : object
            What it is made from.

        Returns
        -------
        bool
            Whether it is JSON.
        """
        try:
            self.read(location if isinstance(location, str) else location(**kwargs))
        except ValueError:
            return False
        return True
