"""Who is asked for what only a room above knows: that names itself when it is imported. Knows neither."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Asked(Generic[T]):
    """Whom a room asks that may not import who knows.

    Parameters
    ----------
    who : object
        Who is asked as long as nobody who knows has been named.
    """

    __slots__ = ("who",)

    def __init__(self, who: T) -> None:
        self.who = who

    def fill_in(self, who: T) -> None:
        """Say who knows, in this process.

        Parameters
        ----------
        who : object
            Asked from here on.
        """
        self.who = who
