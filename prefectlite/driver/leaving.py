"""A flow run that only an approval lets go on: is it left, waited for, asked about? Decides no rule."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from prefectlite.driver.approval import Approver
from prefectlite.engine.engine import Engine
from prefectlite.printable import label
from prefectlite.states.keys import RunKey
from prefectlite.states.state import State

_logger = logging.getLogger(__name__)

_NAMED: Final = 5  # paused task runs that a text names


class LeftRun(Protocol):
    """What must be known of the flow run, and can be asked of it."""

    @property
    def flow_name(self) -> str:
        """The flow's name."""
        ...

    def paused(self) -> Mapping[RunKey, State]:
        """Return the task runs that are paused."""
        ...

    def resume(self, key: RunKey, why: str) -> bool:
        """Let the paused task run ``key`` go on, for the reason ``why``; return whether the run was left."""
        ...

    def cancel(self, why: str) -> bool:
        """End the run, for the reason ``why``; return whether it was left."""
        ...


class Leaving:
    """Decides, in the driving thread, whether a run is left as it is.

    Parameters
    ----------
    is_quiet : callable
        Returns whether nothing has come in that the run has not looked at.
    waits : bool
        Whether it waits for ``resume`` from elsewhere.
    ask : callable or None
        Says which of the paused task runs are approved.
    """

    def __init__(self, is_quiet: Callable[[], bool], *, waits: bool, ask: Approver | None) -> None:
        self._is_quiet = is_quiet
        self._waits = waits
        self._ask = ask
        self._told: State | None = None
        #: Whether somebody is being asked; Ctrl-C then is the answer.
        self.is_asking = False

    def may_leave(self, run: LeftRun, state: State) -> bool:
        """Return whether to leave a run, which only an approval lets go on.

        Parameters
        ----------
        run : LeftRun
            The run.
        state : State
            The flow's; the same one as long as nothing went on.

        Returns
        -------
        bool
            False as well when something came in meanwhile.
        """
        if self._waits and state is not self._told:
            self._told = state
            names = ", ".join([label(str(key)) for key in run.paused()][:_NAMED])
            _logger.warning("Flow %r waits for run.resume(...) of what is paused: %s.", run.flow_name, names)
        if self._ask is not None and self._is_quiet():
            self._put(run, self._ask)
        # Once the program is at its end, nobody is left who could resume anything.
        waits = self._waits and threading.main_thread().is_alive()
        return self._is_quiet() and not waits

    def _put(self, run: LeftRun, ask: Approver) -> None:
        approved: Collection[RunKey] = ()
        self.is_asking = True
        try:
            approved = ask(run.flow_name, run.paused())
        except KeyboardInterrupt:
            run.cancel("interrupted by Ctrl-C")
        finally:
            self.is_asking = False
        for key in approved:
            with contextlib.suppress(ValueError):  # it went on while we asked
                run.resume(key, "approved at the prompt")


def runs_to_resume(engine: Engine | None, key: RunKey, flow_name: str) -> list[int]:
    """Return which runs an approval is for.

    Parameters
    ----------
    engine : Engine or None
        None before the flow run has begun.
    key : RunKey
        A run's name; a map's name means all of its children that are paused.
    flow_name : str
        For error texts.

    Returns
    -------
    list of int
        Numbers of paused runs, at least one.

    Raises
    ------
    ValueError
        When none is paused.
    """
    if not key.slug:
        raise ValueError(
            f"Flow {flow_name!r} itself is never paused; name a task run: run.resume('approve-1')."
        )
    number = None if engine is None else engine.run_of(key)
    if engine is None or number is None:
        raise ValueError(f"Task run {key} of flow {flow_name!r} has not begun, so it is not paused.")
    wanted = {number, *engine.children(number)}
    if found := [run for run in engine.paused() if run in wanted]:
        return found
    names = ", ".join(str(engine.key(run)) for run in engine.paused()[:_NAMED])
    now = type(engine.state(number)).__name__
    raise ValueError(
        f"Task run {key} of flow {flow_name!r} is {now}, not paused, so it cannot be resumed; "
        f"{f'paused are {names}' if names else 'nothing is paused'}."
    )
