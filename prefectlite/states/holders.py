"""What holds the value of a state: a reference to it, or a ``Result`` around it. Knows neither.

As in Prefect 1, a state that is given a ``Result`` has the value in it, and ``state._result`` is one. Those
are of a room above, which says how one is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

from prefectlite.states.asked import Asked

if TYPE_CHECKING:
    from prefectlite.states.value import StateValue


class Holder:
    """What a state holds in the place of its value."""

    __slots__ = ()

    if TYPE_CHECKING:
        #: The value; a reference fetches it.
        value: Any
        #: The name under which the value is stored, if one is known.
        location: Any


class AnyResult(Holder):
    """The base of ``Result``."""

    __slots__ = ()

    if TYPE_CHECKING:

        def read(self, location: str) -> Holder: ...  # noqa: D102  # told in Result


class AsItIs(Holder):
    """Holds a value that is a ``Result`` itself, and is not to be opened.

    Parameters
    ----------
    value : object
        The value.
    """

    __slots__ = ("value",)
    location = None

    def __init__(self, value: Any) -> None:
        self.value = value


def value_of(held: Any) -> Any:
    """Return the value of what a state holds.

    Parameters
    ----------
    held : object
        A holder, or the value itself.

    Returns
    -------
    object
        The value, fetched from wherever it lies.
    """
    # Not isinstance: that asks the value, which may be of a class of the user's.
    return held.value if issubclass(type(held), Holder) else held


def is_result(held: Any) -> TypeGuard[AnyResult]:
    """Return whether something is a ``Result``.

    Parameters
    ----------
    held : object
        Anything.

    Returns
    -------
    bool
        Whether it has a value and a location, and can read.
    """
    return issubclass(type(held), AnyResult)


def holding(value: Any) -> Any:
    """Return what a state is given that is to have a value, whatever that is.

    Parameters
    ----------
    value : object
        Perhaps a ``Result``, which a body returned as its value.

    Returns
    -------
    object
        The value, or what holds it.
    """
    return AsItIs(value) if is_result(value) else value


#: Makes the ``Result`` of a state.
ResultMaker: TypeAlias = "Callable[[StateValue], Holder]"


#: Makes the ``Result`` of a state, whose value is fetched when that is looked at.
RESULT_MAKER: Final[Asked[ResultMaker]] = Asked(lambda state: AsItIs(state.result))


def result_of(state: StateValue) -> Holder:
    """Return the ``Result`` of a state that was given none.

    Parameters
    ----------
    state : State
        Any state.

    Returns
    -------
    Holder
        A ``Result``, once there are such.
    """
    return RESULT_MAKER.who(state)
