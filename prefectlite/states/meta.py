"""States that wrap another one; a server of Prefect 1 gave them. No run is ever in one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Unpack

from prefectlite.moments import Moment
from prefectlite.states.arguments import zoned
from prefectlite.states.state import Pending, State, _MetaState
from prefectlite.states.surroundings import moment_here
from prefectlite.states.value import NO_RESULT, OldOptions


class ClientFailed(_MetaState):
    """A client could not tell of the state that it wraps."""

    __slots__ = ()
    color = "#eb0000"


class Submitted(_MetaState):
    """The run was handed over to be run."""

    __slots__ = ()
    color = "#ffdf5d"

    def is_submitted(self) -> bool:
        """Return whether the run was handed over to be run: it was."""
        return True


class Queued(_MetaState):
    """The run was handed over, and waits until there is room for it.

    Parameters
    ----------
    message, result
        As for ``State``.
    state : State or None
        The state that it wraps.
    start_time : datetime or None
        As for ``Scheduled``.
    context : mapping or None
        As for ``State``.

    Raises
    ------
    TypeError
        When ``state`` or ``start_time`` is something else.
    """

    __slots__ = ("_start_time",)
    color = "#ffea7f"
    extras = ("state", "start_time")
    start_time = Moment()

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        state: State | None = None,
        start_time: datetime | None = None,
        context: Mapping[str, Any] | None = None,
        **_others: Unpack[OldOptions],
    ) -> None:
        super().__init__(message, result, state, context, **_others)
        at = moment_here() if start_time is None else start_time
        object.__setattr__(self, "start_time", zoned(type(self), at))

    def is_queued(self) -> bool:
        """Return whether the run waits until there is room for it: it does."""
        return True

    def is_scheduled(self) -> bool:
        """Return whether the run waits for a time: it does, as in Prefect 1."""
        return True


def unwrapped(state: State) -> State:
    """Return the state that a run is in if somebody says that it is in this one.

    Parameters
    ----------
    state : State
        Any state.

    Returns
    -------
    State
        What it wraps, ``Pending`` if that is nothing; a state that wraps none itself.

    Examples
    --------
    >>> unwrapped(Submitted(state=Queued(state=Pending("not yet"))))
    <Pending: "not yet">
    """
    if not isinstance(state, _MetaState):
        return state
    return Pending(state.message) if state.state is None else state.state
