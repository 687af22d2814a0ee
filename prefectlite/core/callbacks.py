"""State handlers made of simpler functions. Knows states; knows neither tasks nor flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefectlite.kinds import check_kind
from prefectlite.states.state import State


def callback_factory(
    fn: Callable[[Any, State], Any], check: Callable[[State], bool]
) -> Callable[[Any, State, State], State]:
    """Make a state handler that calls a function when the new state passes a check.

    Parameters
    ----------
    fn : callable
        Takes the task or flow, and the new state; what it returns is not looked at.
    check : callable
        Takes the new state; only True calls the function.

    Returns
    -------
    callable
        A state handler, for ``state_handlers`` of a task or flow; it replaces no state.

    Raises
    ------
    DefinitionTypeError
        When one of the two cannot be called.

    Examples
    --------
    >>> from prefectlite import Flow, LocalExecutor, task
    >>> tell = callback_factory(lambda obj, state: print(obj.name, "was skipped"), lambda s: s.is_skipped())
    >>> @task(state_handlers=[tell])
    ... def dull():
    ...     raise signals.SKIP
    >>> from prefectlite import signals
    >>> with Flow("example") as flow:
    ...     skipped = dull()
    >>> flow.run(executor=LocalExecutor()).is_successful()
    dull was skipped
    True
    """
    for name, given, takes in (("fn", fn, "the task or flow and its state"), ("check", check, "a state")):
        check_kind("callback_factory(...)", name, given, Callable, f"give a function that takes {takes}.")

    def handler(obj: Any, old: State, new: State) -> State:
        if check(new) is True:
            fn(obj, new)
        return new

    return handler
