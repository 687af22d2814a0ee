"""Runs a flow at the times of its schedule. Knows runs and starts; how a run is made, its caller says."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from prefectlite.core.graph import FlowGraph
from prefectlite.driver.lastresort import heard
from prefectlite.driver.run import GRACE, Run
from prefectlite.driver.timetable import (
    CatchUp,
    Timepiece,
    as_timepiece,
    check_catch_up,
    due_starts,
    shown,
    wait_until,
)
from prefectlite.errors import DefinitionError
from prefectlite.moments import plainly
from prefectlite.schedules.events import ClockEvent
from prefectlite.states.state import Scheduled, State

_logger = logging.getLogger(__name__)

#: Makes a run of parameters, for the start that it was scheduled for.
MakeRun: TypeAlias = Callable[[Mapping[str, Any], ClockEvent | None], Run]


class Service:
    """Starts a flow at the times of its schedule, until there are no more.

    Parameters
    ----------
    graph : FlowGraph
        The flow; its ``schedule`` says when.
    given : mapping of str to object
        Values for its parameters; those of a clock go over them.
    make_run : callable
        Takes parameters and a start, and returns a run that has not begun; also called at once for each
        clock, to see whether what it says fits.
    timepiece : Timepiece or None
        What time it is; by default, the machine's.
    catch_up : {"skip", "latest", "all"}
        Which starts are made up for that passed while they could not be taken.
    max_instances : int
        How many runs may go on at the same time.
    tell : callable or None
        Takes sentences about what comes next and how runs ended; by default, they are logged.

    Raises
    ------
    DefinitionTypeError
        When a task of the flow lacks an argument, or its schedule or the timepiece is something else.
    DefinitionError
        When the flow has no schedule, or one that is over, or an option makes no sense.
    ParameterError
        When the parameters of any start do not fit.
    ContextError
        When the context of its runs does not.
    """

    def __init__(
        self,
        graph: FlowGraph,
        given: Mapping[str, Any],
        make_run: MakeRun,
        *,
        timepiece: Timepiece | None = None,
        catch_up: CatchUp = "skip",
        max_instances: int = 1,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        check_catch_up(catch_up)
        given_number: object = max_instances
        if type(given_number) is not int or given_number < 1:
            raise DefinitionError(
                f"max_instances={max_instances!r} is no number of runs; give 1, so that no two of flow "
                f"{graph.name!r} overlap, or more."
            )
        schedule = graph.schedule
        if schedule is None:
            raise DefinitionError(
                f"Flow {graph.name!r} has no schedule, so nobody knows when to run it; write "
                f"Flow({graph.name!r}, schedule=IntervalSchedule(interval=timedelta(hours=1)))."
            )
        piece = as_timepiece(timepiece, graph.name)
        now = piece.now()
        for clock in schedule.clocks:  # what does not fit is said now, and not at three in the morning
            make_run(given, ClockEvent(now, clock.parameter_defaults))
        self._flow_name = graph.name
        self._given = given
        self._make_run = make_run
        self._tell = partial(_log, graph.name) if tell is None else tell
        self._max = max_instances
        coming = schedule.events(now)
        first = next(coming, None)
        if first is None:
            raise DefinitionError(
                f"Flow {graph.name!r} has no more scheduled runs: its schedule gives no start after "
                f"{shown(now)}; look at its end_date and filters, or run it with run_on_schedule=False."
            )
        self._starts = due_starts(chain((first,), coming), piece, catch_up, self._tell)
        self._ended: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._running: list[Run] = []

    def follow(self, begin: MakeRun | None = None) -> State:
        """Run at each start in this thread, as ``flow.run`` does.

        Parameters
        ----------
        begin : callable or None
            Makes the first run, if that is not as all others.

        Returns
        -------
        State
            How the last run ended.

        Raises
        ------
        ExecutorError
            When the place to run cannot be reached; no further run starts then.
        KeyboardInterrupt
            After Ctrl-C, once everything has ended.
        """
        make_run = begin or self._make_run
        for event in self._starts:
            state = make_run(self._given, event).drive()
            make_run = self._make_run
        return state

    def serve(self) -> dict[str, int]:
        """Run at each start, whatever becomes of the others.

        Returns
        -------
        dict of str to int
            How many runs ended in which class of state.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, once everything has ended.
        """
        try:
            for event in self._starts:
                run = self._run_for(event)
                if self._max == 1:
                    self._drive(run, event)
                else:
                    self._drive_beside(run, event)
            self._wait_for(0)
        except BaseException as error:
            by_user = isinstance(error, KeyboardInterrupt)
            self._cancel("interrupted by Ctrl-C" if by_user else f"serving broke off: {error!r}")
            raise
        return dict(self._ended)

    def _run_for(self, event: ClockEvent) -> Run:
        return self._make_run(self._given, event)

    def _drive(self, run: Run, event: ClockEvent) -> None:
        what = f"the run for {shown(event.wall)}"
        try:
            state = run.drive()
        except Exception as error:
            self._count("Failed")
            self._tell(f"{what} could not be driven: {error}")
            _logger.debug("Flow %r: %s could not be driven.", self._flow_name, what, exc_info=True)
        else:
            self._count(type(state).__name__)
            self._tell(f"{what} ended {type(state).__name__}: {state.message or 'without a message.'}")

    def _count(self, name: str) -> None:
        with self._changed:
            self._ended[name] += 1

    def _drive_beside(self, run: Run, event: ClockEvent) -> None:
        self._wait_for(self._max - 1)
        with self._changed:
            self._running.append(run)

        def drive() -> None:
            try:
                self._drive(run, event)
            finally:
                with self._changed:
                    self._running.remove(run)
                    self._changed.notify_all()

        threading.Thread(target=drive, name=f"prefectlite-{self._flow_name}").start()

    def _wait_for(self, at_most: int) -> None:
        """Wait until no more runs than that go on."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._running) <= at_most)

    def _cancel(self, why: str) -> None:
        with self._changed:
            for run in self._running:
                run.cancel(why)
            self._changed.wait_for(lambda: not self._running, GRACE)


def drive_from(state: State, make_run: Callable[[ClockEvent | None], Run], timepiece: Timepiece) -> State:
    """Run a flow once, from a state: when its time has come, or not at all if it has ended.

    Parameters
    ----------
    state : State
        What the run begins with.
    make_run : callable
        Takes the start that the run was scheduled for, and returns a run that has not begun.
    timepiece : Timepiece
        What time it is, and how to wait.

    Returns
    -------
    State
        How it ended; a final ``state`` itself.

    Raises
    ------
    ExecutorError
        When the place to run cannot be reached.
    KeyboardInterrupt
        After Ctrl-C, once everything has ended.
    """
    moment: datetime | None = plainly(state, "start_time") if isinstance(state, Scheduled) else None
    start = None if moment is None else ClockEvent(moment)
    run = make_run(start)  # what does not fit is said before it is waited for
    if state.is_finished():
        return state
    if start is not None:
        wait_until(start.moment, start.wall, timepiece, partial(_log, run.flow_name))
    return run.drive()


def _log(flow_name: str, text: str) -> None:
    with heard():
        _logger.info("Flow %r: %s", flow_name, text)
