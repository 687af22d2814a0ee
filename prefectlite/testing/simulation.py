"""Runs a flow in virtual time, and shows who ran when. Knows assembly; decides nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from prefectlite.core.base import AnyTask
from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import Task
from prefectlite.driver.echo import Echo
from prefectlite.driver.given import check_named, given_parameters
from prefectlite.driver.run import Run
from prefectlite.engine.transitions import Transition
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import check_kind
from prefectlite.states.keys import RunKey
from prefectlite.states.state import State
from prefectlite.testing.clock import VirtualClock
from prefectlite.testing.names import runs_named
from prefectlite.testing.outcomes import Course, Outcomes, Script, runs, seconds_of
from prefectlite.testing.place import VirtualExecutor
from prefectlite.views.explain import explain

_REAL: Final = runs()
_A_TIME: Final = "give a datetime, or seconds since the epoch."


@dataclass(frozen=True, slots=True)
class Moment:
    """A change of a task run's state, or of the flow's.

    Parameters
    ----------
    at : float
        Seconds of virtual time since the flow run began.
    run : str
        The task run's name, ``"load-1"`` or ``"load-1[3]"``; empty for the flow.
    attempt : int
        The attempt that it belongs to, counted from 1; 0 before the first.
    state : State
        The new state.
    why : str
        The rule or event that caused it, in a sentence.
    """

    at: float
    run: str
    attempt: int
    state: State
    why: str

    def __str__(self) -> str:
        """Return a line: when, who, which attempt, what, why."""
        who = self.run or "the flow"
        attempt = f"attempt {self.attempt}" if self.attempt else ""
        return f"{self.at:>10.1f} s  {who:<24} {attempt:<11} {type(self.state).__name__:<14} {self.why}"


@dataclass(frozen=True, slots=True)
class Ran:
    """One attempt that ran.

    Parameters
    ----------
    run : str
        The task run's name.
    attempt : int
        Counted from 1.
    began, ended : float
        Seconds of virtual time since the flow run began.
    state : State
        What it ended in; a rule may have made another state of it at the same moment.
    """

    run: str
    attempt: int
    began: float
    ended: float
    state: State


class Simulation:
    """What became of a flow in virtual time.

    Parameters
    ----------
    flow : FlowGraph
        The flow.
    run : Run
        Its run, which is over.
    state : State
        How the flow ended.
    start : float
        When it began, in seconds since the epoch.
    """

    def __init__(self, flow: FlowGraph, run: Run, state: State, start: float) -> None:
        self._flow = flow
        self._run = run
        #: How the flow ended; ``state.result[task]`` is the State of a task, as of ``flow.run``.
        self.state = state
        #: Every change of a state in order of time.
        self.timeline: tuple[Moment, ...] = tuple(_moments(run, start))

    def __getitem__(self, task: AnyTask) -> State:
        """Return the State of a task, by what its call in the flow returned, or by its slug or name."""
        if not isinstance(task, Task) or task not in self.state.result:
            [(slug, index), *others] = runs_named(self._flow, task)
            if others:
                raise DefinitionError(
                    f"{task!r} is the name of several tasks: "
                    f"{', '.join([slug, *[other for other, _ in others]])}; ask for one of them."
                )
            [task] = [one for one, its in self._flow.slugs.items() if its == slug]
            if index is not None:
                child: State = self.state.result[task].map_states[index]
                return child
        found: State = self.state.result[task]
        return found

    def __str__(self) -> str:
        """Return the timeline as lines of text."""
        return "\n".join([f"{self.state!r}", *map(str, self.timeline)])

    def __repr__(self) -> str:
        """Return flow, state and duration."""
        return f"<Simulation of {self._flow.name!r}: {type(self.state).__name__} after {self.seconds:g} s>"

    @property
    def flow_name(self) -> str:
        """The flow's name."""
        return self._run.flow_name

    @property
    def seconds(self) -> float:
        """How many seconds of virtual time the flow run took."""
        return max((moment.at for moment in self.timeline), default=0.0)

    def states(self, task: AnyTask) -> list[str]:
        """Return what a task went through, by the names of its states' classes.

        Parameters
        ----------
        task : Task or str
            As of ``attempts``; the children of a map come one after the other.

        Returns
        -------
        list of str
            From the first state after ``Pending`` on.
        """
        return [
            type(moment.state).__name__
            for run in runs_named(self._flow, task)
            for moment in sorted(self._of([run]), key=_by_child)
        ]

    def attempts(self, task: AnyTask | None = None) -> list[Ran]:
        """Return which attempts ran, and when.

        Parameters
        ----------
        task : Task, str or None
            What its call in the flow returned, a slug, a name, or a child of a map (``"load-1[3]"``); None
            asks for all.

        Returns
        -------
        list of Ran
            By the time at which they began; children of a map that began together, by their index.

        Raises
        ------
        DefinitionError
            When the flow has no such task.
        """
        asked = None if task is None else runs_named(self._flow, task)
        began: dict[str, float] = {}
        found: list[Ran] = []
        for moment in self._of(asked):
            if moment.state.is_running():
                began[moment.run] = moment.at
            elif (since := began.pop(moment.run, None)) is not None:
                found.append(Ran(moment.run, moment.attempt, since, moment.at, moment.state))
        return sorted(found, key=lambda one: (one.began, *_by_child(one)))

    def explain(self, task: AnyTask | None = None) -> str:
        """Tell in plain words what happened to a task run, or to the flow, and why.

        Parameters
        ----------
        task : Task, str or None
            As of ``attempts``; None asks about the flow.

        Returns
        -------
        str
            Lines of text.
        """
        keys = [RunKey("")] if task is None else [RunKey(*run) for run in runs_named(self._flow, task)]
        return "\n".join([explain(self._run.journal, key, self._flow.name) for key in keys])

    def _of(self, asked: list[tuple[str, int | None]] | None) -> Iterator[Moment]:
        for moment in self.timeline:
            key = RunKey.parse(moment.run) if moment.run else RunKey("")
            if asked is None:
                if key.slug:
                    yield moment
            elif any(key.slug == slug and index in (None, key.index) for slug, index in asked):
                yield moment


def simulate(
    flow: FlowGraph,
    parameters: Mapping[str, Any] | None = None,
    *,
    outcomes: Outcomes | None = None,
    default: Course = _REAL,
    takes: float | timedelta = 0.0,
    workers: int | None = None,
    clock: datetime | float | None = None,
    until: float | timedelta | None = None,
    context: Mapping[str, Any] | None = None,
) -> Simulation:
    """Run a flow in virtual time: the true rules, in milliseconds, with whatever outcomes a test needs.

    Everything runs in this process and this thread. Time passes only while nothing can be done: a retry after
    ten minutes comes at once, and ten minutes later. Triggers, state handlers and other callbacks of the flow
    are called as in any run.

    Parameters
    ----------
    flow : Flow
        What to run.
    parameters : mapping of str to object, or None
        Values for the flow's parameters.
    outcomes : mapping or None
        What tasks come to, instead of running: by what a call in the flow returned, a slug (``"load-1"``), a
        name (``"load"``), or a child of a map (``"load-1[3]"``, which goes before its map). Each is
        ``returns(value)``, ``raises(error)``, ``crashes()``, ``runs()`` or ``runs(function)``, an exception,
        or a list of such: one for each attempt, and the last repeats.
    default : Injected, exception or list of such
        The outcome of all other tasks; by default, their bodies run. ``returns(None)`` runs none, but for
        operators, items of values and control flow, which always run.
    takes : float or timedelta
        How many seconds of virtual time an attempt takes for which nothing else is said.
    workers : int or None
        How many attempts run at once; None does not limit them.
    clock : datetime, float or None
        The virtual time at the start; by default, now. Bodies that look at a clock see the real one.
    until : float, timedelta or None
        After how much virtual time the run is called off.
    context : mapping of str to object, or None
        What the context of tasks and callbacks holds more, as of ``flow.run``.

    Returns
    -------
    Simulation
        The flow's State and a timeline.

    Raises
    ------
    DefinitionError
        When ``outcomes`` names a task that the flow has not, or a duration is none.
    DefinitionTypeError
        When something is no outcome, or no time.
    ParameterError
        When a parameter is unknown, missing or of the wrong type.

    Examples
    --------
    >>> from prefectlite import Flow, task
    >>> from prefectlite.testing import returns, simulate
    >>> @task(max_retries=2, retry_delay=600)
    ... def load():
    ...     raise NotImplementedError("talks to a server")
    >>> with Flow("daily") as flow:
    ...     loaded = load()
    >>> run = simulate(flow, outcomes={load: [ConnectionError("down"), returns([1, 2])]})
    >>> run[loaded].result, run.seconds
    ([1, 2], 600.0)
    >>> run.states(loaded)
    ['Running', 'Failed', 'Retrying', 'Running', 'Success']
    """
    given: object = flow
    if not isinstance(given, FlowGraph):
        raise DefinitionTypeError(
            f"simulate was given {given!r}, which is no flow; give it what Flow(...) made."
        )
    if workers is not None and not (type(workers) is int and workers > 0):
        raise DefinitionError(f"workers={workers!r} cannot work; give 1 or more, or None for no limit.")
    start = _start(clock)
    end = math.inf if until is None else start + seconds_of(until, "until")
    time_ = VirtualClock(start, end)
    script = Script(flow, {} if outcomes is None else outcomes, default)
    place = VirtualExecutor(script, time_, seconds_of(takes, "takes"), workers)
    check_named(flow, context)
    values = given_parameters(flow, "simulate", parameters, {})
    run = Run(flow, values, place, observers=(Echo(tells=False),), clock=time_, context=context)
    return Simulation(flow, run, run.drive(), start)


def _start(clock: datetime | float | None) -> float:
    if clock is None:
        return time.time()
    if isinstance(clock, datetime):
        if clock.tzinfo is None:
            raise DefinitionError(
                f"clock={clock!r} does not say in which zone; write datetime(..., tzinfo=UTC)."
            )
        return clock.timestamp()
    check_kind("simulate(...)", "clock", clock, int | float, _A_TIME)
    try:
        datetime.fromtimestamp(clock, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise DefinitionTypeError(
            f"simulate(...) has clock={clock!r}, which is no time ({error}); {_A_TIME}"
        ) from None
    return float(clock)


def _moments(run: Run, start: float) -> Iterator[Moment]:
    changes = [entry for entry in run.journal.entries() if isinstance(entry, Transition)]
    # What is told of children together is in the journal in their order, and not in that of time.
    for one in sorted(changes, key=lambda change: change.time):
        # A float's distance to the epoch is good for a tenth of a microsecond.
        at = round(one.time - start, 6)
        name = str(one.key) if one.key.slug else ""
        yield Moment(at, name, one.attempt, one.new, one.why.text)


def _by_child(moment: Moment | Ran) -> tuple[int, int]:
    key = RunKey.parse(moment.run)
    return (-1 if key.index is None else key.index, key.loop)
