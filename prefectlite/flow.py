"""A Flow is a graph that can be run: now, in a thread, at the times of a schedule. Decides nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Never, Unpack, overload

from prefectlite.core.base import AnyTask
from prefectlite.core.context import raises_on_exception
from prefectlite.core.flow_options import ABSENT, FlowOptions, as_handlers
from prefectlite.core.signature import parameters_from_signature
from prefectlite.driver.approval import Aside, Prompt, is_attended, is_notebook
from prefectlite.driver.echo import Echo
from prefectlite.driver.given import (
    check_may_start,
    check_named,
    first_states,
    given_parameters,
    is_left_out,
)
from prefectlite.driver.given_states import GivenStates
from prefectlite.driver.observer import Observer
from prefectlite.driver.run import Run
from prefectlite.driver.service import MakeRun, Service, drive_from
from prefectlite.driver.task_contexts import TaskContexts
from prefectlite.driver.timetable import CatchUp, Timepiece, as_timepiece
from prefectlite.errors import DefinitionTypeError
from prefectlite.executors.default import place_for
from prefectlite.executors.submitting import AnyExecutor
from prefectlite.flow_run import FlowRun, drive_in_thread
from prefectlite.lowering.flowfile import PortableGraph
from prefectlite.schedules.schedules import Schedule
from prefectlite.settings import current as current_settings
from prefectlite.states.state import Pending, State
from prefectlite.views.aftermath import Aftermath
from prefectlite.views.describe import diagnostics
from prefectlite.views.picture import draw, picture_of, render
from prefectlite.views.terminal import terminal_progress


class Flow(PortableGraph):
    """Tasks and the edges between them; a container that one can run.

    Everything about building (``with Flow("etl") as flow:``, ``add_task``, ``add_edge`` ...) is told at
    ``FlowGraph``. A run never changes its flow: the same one can run twice, also at the same time.

    Examples
    --------
    >>> from prefectlite import Flow, LocalExecutor, task
    >>> @task
    ... def double(x):
    ...     return 2 * x
    >>> with Flow("example") as flow:
    ...     twice = double(21)
    >>> state = flow.run(executor=LocalExecutor())
    >>> state.result[twice].result
    42
    """

    if not TYPE_CHECKING:  # which is to find misspelt names

        def __getattr__(self, name: str) -> Never:
            """Say what there is instead of what asked a server."""
            if name in ABSENT:
                raise AttributeError(f"Flow {self.name!r} has no {name}: {ABSENT[name]}.")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def run(
        self,
        /,
        parameters: Mapping[str, Any] | None = None,
        run_on_schedule: bool | None = None,
        *,
        executor: AnyExecutor | None = None,
        clock: Timepiece | None = None,
        progress: bool | None = None,
        context: Mapping[str, Any] | None = None,
        wait_for_approval: bool | None = None,
        state: State | None = None,
        task_states: Mapping[AnyTask, State] | None = None,
        task_contexts: Mapping[AnyTask, Mapping[str, Any]] | None = None,
        task_runner_state_handlers: Sequence[Callable[..., Any]] | None = None,
        **params: Any,
    ) -> State:
        """Run the flow and wait for its end; a flow with a schedule waits for each start and runs then.

        Starts that pass while a run goes on are left out, as in Prefect 1; ``serve`` can make up for them.

        A run that is left with paused tasks alone asks for their approval at the terminal or in the notebook;
        where there is neither, or the answer is no, it returns its ``Running`` state.

        Parameters
        ----------
        parameters : mapping of str to object, or None
            Values for the flow's parameters.
        run_on_schedule : bool or None
            False runs once, now, whatever the flow's schedule says; True follows it if there is one; None as
            the settings say, which is to follow it.
        executor : Executor or None
            Where to run; by default the flow's own executor, else the one of the settings, which is
            ``DaskExecutor()`` unless you set another.
        clock : Timepiece or None
            What time it is for the schedule, and how to wait; by default, the machine's.
        progress : bool or None
            Whether the terminal shows how far the run is; by default as the settings say, which is no.
        context : mapping of str to object, or None
            What ``context`` holds more in tasks and callbacks; a ``date`` in it decides what ``today`` is,
            ``secrets`` go before those of the configuration.
        wait_for_approval : bool or None
            Whether to ask about paused tasks; by default, whether there is a terminal or notebook.
        state : State or None
            The state that the flow run begins with; a schedule is followed after it. One that is
            ``Scheduled`` waits for its time, and what is final is returned as it is: no task runs. States of
            tasks in its result are as ``task_states``, which goes before them. (For a flow with a parameter
            of that name, it is the parameter's value.)
        task_states : mapping of Task to State, or None
            The states that tasks begin with, of an earlier run, say, and the children of a map with theirs;
            of the runs of a schedule, in the first. What is final stays, and its body does not run. What
            waits is gone on from: ``Retrying`` at its time, with the attempts that it has left; ``Paused``
            until it is approved, or its time has come; ``Resume`` is an approval; a loop at its iteration.
            What is ``Cached`` is used if the task's cache agrees. All else begins anew; so do secrets and
            resources that had ended.
        task_contexts : mapping of Task to mapping, or None
            What ``context`` holds more in bodies and callbacks of single tasks, and of all children of a map:
            ``{task: {"region": "north"}}``. It goes before ``context``.
        task_runner_state_handlers : sequence of callable or None
            State handlers for all tasks of this run: each is called, after a task's own, with an object whose
            ``task`` is the task, and the old and the new state, and may return another new state.
        **params : object
            Values for parameters, by name, which go before those of ``parameters``; one that is named like an
            option goes there.

        Returns
        -------
        State
            How the flow ended, the last time, or ``Running`` for one that is left with paused tasks;
            ``state.result[task]`` is the State of a task. ``Pending`` while ``prefectlite run`` reads the
            file that calls it, in which nothing is run.

        Raises
        ------
        ConfigError
            When file or environment say a setting that cannot be.
        ContextError
            When a context has a name that it cannot have, or a date that is none.
        ParameterError
            When a parameter is unknown, missing or of the wrong type.
        DefinitionError
            When the flow's schedule is over, or a task of ``task_states`` or ``task_contexts`` not in it.
        DefinitionTypeError
            When ``executor`` is none, a handler no function, or ``state`` or one of ``task_states`` no state.
        ResultUnavailable
            When the result of a state in ``task_states`` is gone.
        ExecutorError
            When the place to run cannot be reached.
        Exception
            What a task raised, inside ``with raise_on_exception()``.
        RuntimeError
            When the flow is still being built.
        KeyboardInterrupt
            After Ctrl-C, once everything has ended.
        """
        if state is not None and any(one.name == "state" for one in self.parameters()):
            params, state = {**params, "state": state}, None  # as in Prefect 1, its parameters go first
        given = given_parameters(self, "run", parameters, params)
        begins, begun = first_states(self, state, task_states)
        if is_left_out(self, "run"):
            unrun = Pending("Not run: the file was being read.")
            return unrun.replace(result=dict.fromkeys(self.tasks, unrun))
        waits = is_attended() if wait_for_approval is None else wait_for_approval
        with _watchers(progress) as (watchers, aside):
            ask = Prompt(aside=aside) if waits else None
            place = place_for(self.executor if executor is None else executor, self.name)
            make = partial(
                self._maker,
                place,
                lambda: watchers,
                context,
                ask=ask,
                task_contexts=TaskContexts(self, task_contexts),
                raises=raises_on_exception(),
                task_handlers=as_handlers(
                    self.name, "task_runner_state_handlers", task_runner_state_handlers, "of a task runner"
                ),
            )
            begin, make_run = make(given=GivenStates(self, begun), state=begins), make()
            if run_on_schedule is None:
                run_on_schedule = current_settings().flows.run_on_schedule
            schedule = self.schedule if run_on_schedule else None
            if begins is not None:
                piece = as_timepiece(clock, self.name)
                last = drive_from(begins, lambda start: begin(given, start), piece)
                if schedule is None or not schedule.next(1, after=piece.now()):
                    return last
                begin = make_run
            if schedule is None:
                return begin(given, None).drive()
            return Service(self, given, make_run, timepiece=clock).follow(begin)

    def serve(
        self,
        /,
        parameters: Mapping[str, Any] | None = None,
        *,
        executor: AnyExecutor | None = None,
        catch_up: CatchUp = "skip",
        max_instances: int = 1,
        clock: Timepiece | None = None,
        context: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> dict[str, int]:
        """Run the flow at each start of its schedule, until there are no more, or until Ctrl-C.

        Starts are taken from the schedule and not from the runs, so they do not drift. A run that fails, or
        whose place cannot be reached, ends nothing: the next one starts at its time.

        Parameters
        ----------
        parameters : mapping of str to object, or None
            Values for the flow's parameters; those of a schedule's clock go over them.
        executor : Executor or None
            Where to run; by default the flow's own executor, else the one of the settings, which is
            ``DaskExecutor()`` unless you set another.
        catch_up : {"skip", "latest", "all"}
            What becomes of starts that pass while ``max_instances`` runs go on: they are left out, the latest
            of them runs as soon as it can, or all of them do. Those before the call are never made up for.
        max_instances : int
            How many runs may go on at the same time; with one, it is driven in this thread.
        clock : Timepiece or None
            What time it is, and how to wait; by default, the machine's.
        context : mapping of str to object, or None
            What ``context`` holds more in tasks and callbacks; a ``date`` in it decides what ``today`` is,
            ``secrets`` go before those of the configuration.
        **params : object
            Values for parameters, by name, which go before those of ``parameters``; one that is named like an
            option goes there.

        Returns
        -------
        dict of str to int
            How many runs ended in which class of state.

        Raises
        ------
        ContextError
            When a context has a name that it cannot have, or a date that is none.
        ParameterError
            When a parameter is unknown, missing or of the wrong type, at any start.
        DefinitionError
            When the flow has no schedule, or one that is over, or an option makes no sense.
        RuntimeError
            When the flow is still being built.
        KeyboardInterrupt
            After Ctrl-C, once everything has ended.
        """
        given = given_parameters(self, "serve", parameters, params)
        if is_left_out(self, "serve"):
            return {}
        return Service(
            self,
            given,
            self._maker(executor, _listeners, context),
            timepiece=clock,
            catch_up=catch_up,
            max_instances=max_instances,
        ).serve()

    def start(
        self,
        /,
        parameters: Mapping[str, Any] | None = None,
        *,
        executor: AnyExecutor | None = None,
        context: Mapping[str, Any] | None = None,
        wait_for_approval: bool | None = None,
        task_states: Mapping[AnyTask, State] | None = None,
        task_contexts: Mapping[AnyTask, Mapping[str, Any]] | None = None,
        **params: Any,
    ) -> FlowRun:
        """Start the flow in a thread of its own and return at once; its schedule, if any, is not looked at.

        Parameters
        ----------
        parameters : mapping of str to object, or None
            Values for the flow's parameters.
        executor : Executor or None
            Where to run; by default the flow's own executor, else the one of the settings, which is
            ``DaskExecutor()`` unless you set another.
        context : mapping of str to object, or None
            What ``context`` holds more in tasks and callbacks; a ``date`` in it decides what ``today`` is,
            ``secrets`` go before those of the configuration.
        wait_for_approval : bool or None
            Whether a run that is left with paused tasks alone keeps its place and waits for ``resume``; by
            default, whether there is a terminal or notebook. One that does not wait closes its place, and
            goes on at a new one when something is resumed.
        task_states, task_contexts
            As of ``run``.
        **params : object
            Values for parameters, by name, which go before those of ``parameters``; one that is named like an
            option goes there.

        Returns
        -------
        FlowRun
            The handle; results that stay on workers stay as long as it lives.

        Raises
        ------
        ConfigError
            When file or environment say a setting that cannot be.
        ContextError
            When a context has a name that it cannot have, or a date that is none.
        ParameterError
            When a parameter is unknown, missing or of the wrong type.
        DefinitionError
            When a task of ``task_states`` or ``task_contexts`` is not in the flow.
        DefinitionTypeError
            When one of ``task_states`` is no state.
        ResultUnavailable
            When the result of a state in ``task_states`` is gone.
        ExecutorError
            When the place to run cannot be reached; it may also turn up in ``wait``.
        RuntimeError
            When the flow is still being built, or its file only read.
        """
        waits = is_attended() if wait_for_approval is None else wait_for_approval
        given = given_parameters(self, "start", parameters, params)
        check_may_start(self)
        make_run = self._maker(
            executor,
            _listeners,
            context,
            waits=waits,
            given=GivenStates(self, task_states),
            task_contexts=TaskContexts(self, task_contexts),
        )
        run = make_run(given, None)
        drive_in_thread(run)
        return FlowRun(run)

    def diagnostics(self, include_secret_names: bool = False) -> str:
        """Return what a report of a bug should say of the flow and of this machine, without names and values.

        Parameters
        ----------
        include_secret_names : bool
            Whether the names of its secrets are told all the same.

        Returns
        -------
        str
            JSON: versions, platform, and counts of the flow's parts.
        """
        return diagnostics(self, include_secret_names)

    def visualize(
        self,
        flow_state: State | None = None,
        filename: str | os.PathLike[str] | None = None,
        format: str | None = None,  # noqa: A002
        horizontal: bool = False,
    ) -> Any:
        """Draw the flow; needs the extra ``draw`` and the program graphviz.

        A map is a box, and what is handed over item by item a dashed arrow; arrows bear the names of
        arguments. Without a file name, a notebook shows what is returned, and elsewhere a viewer opens.

        Parameters
        ----------
        flow_state : State or None
            What a run returned: tasks are drawn in the colours of their states, and the children of maps one
            by one, up to 50 a map.
        filename : str, path or None
            Where to write the picture.
        format : str or None
            ``"svg"``, ``"png"``, ``"pdf"`` ...; by default what the file's name ends with, else ``"pdf"``.
        horizontal : bool
            Whether it goes from left to right instead of from top to bottom.

        Returns
        -------
        graphviz.Digraph
            The graph.

        Raises
        ------
        DefinitionError
            When the state is of another flow, or the format unknown.
        DefinitionTypeError
            When ``flow_state`` is no state.
        ImportError
            When graphviz, the library or the program, is not installed.
        """
        graph = draw(picture_of(self, flow_state), horizontal=horizontal)
        if filename is not None or not is_notebook():
            render(graph, filename, format)
        return graph

    def _maker(
        self,
        executor: AnyExecutor | None,
        watch: Callable[[], tuple[Observer, ...]],
        context: Mapping[str, Any] | None,
        **options: Any,
    ) -> MakeRun:
        place = place_for(self.executor if executor is None else executor, self.name)
        check_named(self, context)
        return lambda given, start: Run(
            self,
            given,
            place,
            observers=watch(),
            start=start,
            context=context,
            **options,
        )


@overload
def flow(function: Callable[..., object], /) -> Flow: ...


@overload
def flow(
    *,
    name: str | None = None,
    executor: AnyExecutor | None = None,
    schedule: Schedule | None = None,
    **options: Unpack[FlowOptions],
) -> Callable[[Callable[..., object]], Flow]: ...


def flow(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    executor: AnyExecutor | None = None,
    schedule: Schedule | None = None,
    **options: Unpack[FlowOptions],
) -> Flow | Callable[[Callable[..., object]], Flow]:
    """Make a flow of a function: its signature becomes typed Parameters, its body is traced once, now.

    Parameters
    ----------
    function : callable
        Its arguments are the flow's parameters; annotations are their types, defaults their defaults. What it
        returns is not looked at.
    name : str or None
        The flow's name; by default, the function's.
    executor : Executor or None
        Where the flow runs by default.
    schedule : Schedule or None
        When it runs by itself: ``run`` and ``serve`` follow it.
    **options : FlowOptions
        The flow's handlers and limits.

    Returns
    -------
    Flow or callable
        The same as a ``with Flow(...)`` block makes; with options, a decorator that returns it.

    Raises
    ------
    DefinitionTypeError
        When the signature has ``*args``, ``**kwargs`` or positional-only arguments.

    Examples
    --------
    >>> from prefectlite import LocalExecutor, flow, task
    >>> @task
    ... def add(a, b):
    ...     return a + b
    >>> @flow
    ... def total(x: int, y: int = 1):
    ...     add(x, y)
    >>> total.run(x=3, executor=LocalExecutor()).is_successful()
    True
    """
    if function is None:
        return lambda wrapped: _traced(wrapped, name, executor, schedule, options)
    return _traced(function, name, executor, schedule, options)


def _traced(
    function: Callable[..., object],
    name: str | None,
    executor: AnyExecutor | None,
    schedule: Schedule | None,
    options: FlowOptions,
) -> Flow:
    if not callable(function):
        raise DefinitionTypeError(
            f"@flow makes a flow of a function, but was given {function!r}; write @flow or "
            "@flow(name=...) above one."
        )
    own = getattr(function, "__name__", type(function).__name__)
    made = Flow(own if name is None else name, schedule=schedule, **options)
    if executor is not None:
        made.executor = executor
    arguments = parameters_from_signature(function)
    with made:
        for parameter in arguments:
            made.add_task(parameter)
        function(**{parameter.name: parameter for parameter in arguments})
    return made


def _listeners() -> tuple[Observer, ...]:
    """Return who brings a run's words to the program: those of its tasks, and at the end what failed."""
    echo = Echo()
    return (echo,) if raises_on_exception() else (echo, Aftermath(echo.tell))


@contextlib.contextmanager
def _watchers(progress: bool | None) -> Iterator[tuple[tuple[Observer, ...], Aside]]:
    """Yield who watches a run, and what moves aside while somebody is asked at the terminal."""
    if not (current_settings().progress if progress is None else progress):
        yield _listeners(), contextlib.nullcontext
        return
    with terminal_progress() as shown:
        yield (shown,), shown.aside
