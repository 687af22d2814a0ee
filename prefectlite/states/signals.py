"""Signals: how a task body says which state it wants. Knows states only."""

from __future__ import annotations

from typing import Any, ClassVar

from prefectlite.states import state as s
from prefectlite.states.meta import unwrapped

__all__ = [
    "ENDRUN",
    "FAIL",
    "LOOP",
    "PAUSE",
    "RETRY",
    "SKIP",
    "SUCCESS",
    "TRIGGERFAIL",
    "VALIDATIONFAIL",
    "Signal",
    "StateSignal",
    "signal_from_state",
]


class Signal(BaseException):
    """The base of the signals; a user's ``except Exception`` lets them through.

    Parameters
    ----------
    state : State
        What is asked for; of a state that wraps another, that other one.

    Raises
    ------
    TypeError
        When it is no state.
    """

    def __init__(self, state: s.State) -> None:
        name = type(self).__name__
        if not isinstance(state, s.State):
            raise TypeError(
                f"{name} was given {state!r}, which is no state; pass the state in which the run is to end, "
                f'as in {name}(Failed("why")).'
            )
        super().__init__(*(() if state.message is None else (state.message,)))
        self.state = unwrapped(state)

    def anew(self) -> Signal:
        """Return the signal as if it were made here and now.

        Returns
        -------
        Signal
            Itself: its state was given to it.
        """
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as class and state."""
        return _rebuild, (type(self), self.state)


class StateSignal(Signal):
    """The base of the signals that make a state of one class; one of your own says which.

    Parameters
    ----------
    message : str or None
        The state's message.
    **attributes : object
        What else the state's constructor takes (``result=``, ``start_time=`` ...).
    """

    state_class: ClassVar[type[s.State]] = s.State

    def __init__(self, message: str | None = None, **attributes: Any) -> None:
        BaseException.__init__(self, *(() if message is None else (message,)))
        self._given = message, attributes
        self.state = unwrapped(self.state_class(message, **attributes))

    def anew(self) -> Signal:
        """Return the signal as if it were made here and now; one that was not made in this process as it is.

        Returns
        -------
        Signal
            With another state, which takes anew what it was not told.
        """
        if not hasattr(self, "_given"):
            return self
        message, attributes = self._given
        return _rebuild(type(self), unwrapped(self.state_class(message, **attributes)))


def _rebuild(cls: type[Signal], state: s.State) -> Signal:
    signal = cls.__new__(cls)
    BaseException.__init__(signal, *(() if state.message is None else (state.message,)))
    signal.state = state
    return signal


class FAIL(StateSignal):
    """End the run as ``Failed``; the retry rule weighs it like an exception."""

    state_class = s.Failed


class TRIGGERFAIL(FAIL):
    """Refuse the run: it ends as ``TriggerFailed``."""

    state_class = s.TriggerFailed


class VALIDATIONFAIL(FAIL):
    """End the run as ``ValidationFailed``."""

    state_class = s.ValidationFailed


class SUCCESS(StateSignal):
    """End the run as ``Success``, with ``result=`` as its value."""

    state_class = s.Success


class RETRY(StateSignal):
    """Run again at ``start_time``, also when no retries are left."""

    state_class = s.Retrying


class SKIP(StateSignal):
    """End the run as ``Skipped``."""

    state_class = s.Skipped


class PAUSE(StateSignal):
    """Wait for approval, or until ``start_time``."""

    state_class = s.Paused


class LOOP(StateSignal):
    """End this iteration and start the next one, which finds ``result=`` in its context.

    Parameters
    ----------
    message : str or None
        The state's message.
    **attributes : object
        As for ``StateSignal``; ``result`` is by default the text of the signal.
    """

    state_class = s.Looped

    def __init__(self, message: str | None = None, **attributes: Any) -> None:
        attributes.setdefault("result", repr(self))
        super().__init__(message, **attributes)


class ENDRUN(Signal):
    """End the run in exactly the state that is given; nothing else is weighed."""


def signal_from_state(state: s.State) -> type[StateSignal]:
    """Return the signal class that makes states of the class of ``state``.

    Parameters
    ----------
    state : State
        An example of the wanted class.

    Returns
    -------
    type
        The signal class.

    Raises
    ------
    ValueError
        When no signal makes that class of state.
    """
    # Breadth first, in order of definition: a user's own signal never takes the place of a built-in one.
    waiting: list[type[StateSignal]] = StateSignal.__subclasses__()
    for found in waiting:
        if found.state_class is type(state):
            return found
        waiting.extend(found.__subclasses__())
    raise ValueError(f"No signal makes a state of class {type(state).__name__}; raise ENDRUN(state) instead.")
