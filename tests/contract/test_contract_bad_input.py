"""Bad input: what the constructors and calls of the reference refuse, and what they say of it.

Each error names the thing, the value and the mend. What options of tasks and flows may be is listed in
``tests/core``; the calls that rows show are refused there are not repeated here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from prefectlite import (
    DaskExecutor,
    Edge,
    EnvVarSecret,
    FilterTask,
    Flow,
    LocalDaskExecutor,
    LocalExecutor,
    Parameter,
    Secret,
    Task,
    apply_map,
    cache_validators,
    callback_factory,
    case,
    config,
    context,
    defaults_from_attrs,
    flow,
    pause_task,
    resource_manager,
    set_temporary_config,
    signals,
    switch,
    tags,
    task,
    triggers,
)
from prefectlite.notifications import EmailNotifier
from prefectlite.results import FolderStore, FsspecStore, LocalResult, PrefectResult, Result
from prefectlite.schedules import CronSchedule, IntervalSchedule, adjustments, clocks, filters
from prefectlite.serializers import CompressedSerializer, JSONSerializer
from prefectlite.states import Cached, Failed, Mapped, Pending, Retrying, Scheduled
from prefectlite.tasks.control_flow.conditional import Merge
from prefectlite.tasks.shell import ShellTask
from prefectlite.testing import simulate


@task
def inc(x: Any) -> Any:
    return x + 1


class Mark(Task):
    def run(self) -> None: ...


with Flow("built") as BUILT:
    INCREASED = inc(Parameter("n", default=1))
EMPTY = Flow("empty")
DAY = timedelta(days=1)


def inside(act: Callable[[Flow], Any]) -> Callable[[], Any]:
    """Do something in an open flow."""

    def acts() -> Any:
        with Flow("open") as opened:
            return act(opened)

    return acts


def run(**options: Any) -> Any:
    return BUILT.run(**{"executor": LocalExecutor(), **options})


def starred(*args: Any) -> None: ...
def reserving(flow: Any) -> None: ...


#: What is done, the error that it was in Prefect 1, and what the message must hold: thing, value, mend.
Bad = tuple[Callable[[], Any], type[Exception], tuple[str, ...]]

TASKS: dict[str, Bad] = {
    "task of no function": (lambda: task(3), TypeError, ("not from 3", "write @task above a function")),  # type: ignore[call-overload]
    "task with *args": (lambda: task(starred), ValueError, ("'starred'", "*args", "take a list instead")),
    "task with a reserved argument": (
        lambda: task(reserving),
        ValueError,
        ("'reserving'", "'flow'", "give it another name"),
    ),
    **{
        f"task with {factory.__name__} uncalled": (
            lambda factory=factory: Mark(trigger=factory),
            ValueError,
            ("'Mark'", "trigger=", f"call it, {factory.__name__}(at_least=1)"),
        )
        for factory in (triggers.some_failed, triggers.some_successful)
    },
    "copy with an unknown attribute": (
        lambda: inc.copy(colour=3),
        AttributeError,
        ("'inc'", "'colour'", "the options are max_retries"),
    ),
    "tags of a text": (lambda: tags(3).__enter__(), TypeError, ("tags(...)", "3", "write tags=['nightly'")),  # type: ignore[arg-type]
    "tags of a list": (lambda: tags(["a"]).__enter__(), TypeError, ("tags(...)", "['a']", "a list of texts")),  # type: ignore[arg-type]
    "defaults_from_attrs of no argument": (
        lambda: defaults_from_attrs("z")(Mark.run),
        TypeError,
        ("Mark.run", "'z'", "add z=None"),
    ),
    "pause_task with a wrong duration": (
        lambda: pause_task("m", duration="x"),  # type: ignore[arg-type]
        TypeError,
        ("pause_task", "'x'", "give a timedelta or seconds"),
    ),
    "callback_factory without a function": (
        lambda: callback_factory(3, bool),  # type: ignore[arg-type]
        TypeError,
        ("callback_factory", "fn=3", "give a function that takes the task or flow and its state"),
    ),
    "callback_factory without a check": (
        lambda: callback_factory(print, 3),  # type: ignore[arg-type]
        TypeError,
        ("callback_factory", "check=3", "give a function that takes a state"),
    ),
    "ShellTask without variables": (
        lambda: ShellTask(env=3),
        TypeError,
        ("'ShellTask'", "env=3", "env={'NAME'"),
    ),  # type: ignore[arg-type]
    "FilterTask without a function": (
        lambda: FilterTask(filter_func=3),  # type: ignore[arg-type]
        TypeError,
        ("FilterTask", "filter_func=3", "give a function of one argument"),
    ),
    "Merge that would be skipped": (
        lambda: Merge(skip_on_upstream_skip=True),
        ValueError,
        ("Merge", "skip_on_upstream_skip=True", "leave the option away"),
    ),
    "resource_manager of no class": (
        lambda: resource_manager(3),  # type: ignore[call-overload]
        TypeError,
        ("not from 3", "write @resource_manager above one"),
    ),
    "retry_on of no types": (
        lambda: Mark(retry_on=[[]]),  # type: ignore[list-item]
        TypeError,
        ("'Mark'", "retry_on=[[]]", "retry_on=(OSError, TimeoutError)"),
    ),
    "defaults_from_attrs of no name": (
        lambda: defaults_from_attrs([])(Mark.run),  # type: ignore[arg-type]
        TypeError,
        ("Mark.run", "[]", "correct the name"),
    ),
    "defaults_from_attrs on no method": (
        lambda: defaults_from_attrs("x")(3),  # type: ignore[arg-type]
        TypeError,
        ("defaults_from_attrs was put on 3", "put it on a method run"),
    ),
    "partial_inputs_only of names by place": (
        lambda: cache_validators.partial_inputs_only(["x"]),
        TypeError,
        ("partial_inputs_only was given ['x']", "partial_inputs_only(validate_on=['x'])"),
    ),
    "partial_parameters_only of a number": (
        lambda: cache_validators.partial_parameters_only(validate_on=3),  # type: ignore[arg-type]
        TypeError,
        ("partial_parameters_only has validate_on=3", "validate_on=['x']"),
    ),
    "partial_inputs_only of no names": (
        lambda: cache_validators.partial_inputs_only(validate_on=[[]]),  # type: ignore[list-item]
        TypeError,
        ("partial_inputs_only has validate_on=[[]]", "give a list of names"),
    ),
}

CALLS: dict[str, Bad] = {
    "call without an argument": (inside(lambda _: inc()), TypeError, ("'inc'", "'x'", "pass it in the call")),  # type: ignore[call-arg]
    "call with an unknown argument": (
        inside(lambda _: inc(1, z=3)),
        TypeError,
        ("'inc'", "'z'", "correct the name"),
    ),  # type: ignore[call-arg]
    "call with too many": (
        inside(lambda _: inc(1, 2)),
        TypeError,
        ("'inc'", "2 arguments", "give at most 1"),
    ),  # type: ignore[call-arg]
    "call outside a flow": (lambda: inc(1), ValueError, ("'inc'", "outside a flow", "inc.run(...)")),
    "call with no flow": (lambda: inc(1, flow=3), TypeError, ("'inc'", "flow=3", "pass a Flow")),  # type: ignore[call-arg]
    "call with a wrong task_args": (
        inside(lambda _: inc(1, task_args=3)),  # type: ignore[call-arg]
        TypeError,
        ("'inc'", "task_args=3", "write task_args={'max_retries': 2}"),
    ),
    "call with one upstream task": (
        inside(lambda _: inc(1, upstream_tasks=INCREASED)),  # type: ignore[call-arg]
        TypeError,
        ("'inc'", "upstream_tasks=<FunctionTask: inc>", "write upstream_tasks=[...]"),
    ),
    "bind outside a flow": (lambda: inc.copy().bind(1), ValueError, ("'inc'", "call it inside `with Flow")),
    "map of a number": (
        inside(lambda _: inc.map(3)),
        TypeError,
        ("'inc'", "'x'", "int", "pass a list, or wrap it"),
    ),
    "set_upstream outside a flow": (
        lambda: inc.copy().set_upstream(INCREASED),
        ValueError,
        ("'inc'", "outside a flow", "call it inside `with Flow"),
    ),
    "set_downstream of a value": (
        inside(lambda _: Mark().set_downstream(3)),
        TypeError,
        ("3 is no task", "'open'", "put @task above the function"),
    ),
    "set_dependencies without names": (
        inside(lambda _: inc.copy().set_dependencies(keyword_tasks=[1])),  # type: ignore[arg-type]
        TypeError,
        ("'inc'", "keyword_tasks=[1]", "write keyword_tasks={'x': task}"),
    ),
    "set_dependencies of one downstream": (
        inside(lambda _: Mark().set_dependencies(downstream_tasks=INCREASED)),
        TypeError,
        ("'Mark'", "downstream_tasks=<FunctionTask", "write downstream_tasks=[...]"),
    ),
    "taken apart without nout": (inside(lambda _: tuple(inc(1))), TypeError, ("'inc'", "give @task(nout=2)")),
    "pipe into no task": (
        inside(lambda _: inc(1).pipe(3)),
        TypeError,
        ("<FunctionTask: inc>", "3", "a.pipe(b)"),
    ),  # type: ignore[arg-type]
    "pipe with self": (inside(lambda _: inc(1).pipe(inc, self=3)), ValueError, ("'self'", "leave it out")),
    "edge to itself": (lambda: Edge(INCREASED, INCREASED), ValueError, ("'inc'", "call it once more")),
    "edge with a wrong key": (
        lambda: Edge(1, INCREASED, key="no name"),
        ValueError,
        ("'1'", "'inc'", "key='no name'", "give the name of an argument"),
    ),
    "case of a task": (
        inside(lambda _: case(inc(1), inc(2))),
        TypeError,
        ("<FunctionTask: inc>", "write case(<that task>, True)"),
    ),
    "switch without a mapping": (
        inside(lambda _: switch(inc(1), [1])),  # type: ignore[arg-type]
        TypeError,
        ("switch", "cases=[1]", "{'a': task_a"),
    ),
    "apply_map of no function": (
        inside(lambda _: apply_map(3, [1])),  # type: ignore[arg-type]
        TypeError,
        ("apply_map", "3", "pass a function that calls tasks"),
    ),
    "apply_map over a number": (
        inside(lambda _: apply_map(inc, 3)),
        TypeError,
        ("apply_map(inc, ...)", "argument 1", "int", "pass a list"),
    ),
    "apply_map in no flow": (
        lambda: apply_map(inc, [1], flow=3),  # type: ignore[arg-type]
        TypeError,
        ("apply_map(inc, ...)", "flow=3", "pass a Flow"),
    ),
    "edge with a key that is no name": (
        lambda: Edge(1, INCREASED, key=3),  # type: ignore[arg-type]
        ValueError,
        ("'1'", "'inc'", "key=3", "give the name of an argument"),
    ),
    "add_edge with a key that is no name": (
        inside(lambda opened: opened.add_edge(1, inc.copy(), key=[])),  # type: ignore[arg-type]
        ValueError,
        ("from 1 to 'inc'", "key=[]", "give the name of an argument"),
    ),
    "add_edge with a key that is no argument": (
        inside(lambda opened: opened.add_edge(1, inc.copy(), key="y")),
        TypeError,
        ("'inc'", "'y' is no argument of it", "correct the name"),
    ),
}

FLOWS: dict[str, Bad] = {
    "flow without a name": (lambda: Flow(""), ValueError, ("name=''", "give a text")),
    "flow with a wrong schedule": (
        lambda: Flow("f", schedule=3),
        TypeError,
        ("'f'", "schedule=3", "CronSchedule("),
    ),  # type: ignore[arg-type]
    "tasks with a tag that is a text": (
        lambda: BUILT.get_tasks(tags="x"),
        TypeError,
        ("get_tasks(...) has tags='x'", "write tags=['nightly'"),
    ),
    "tasks of no class": (
        lambda: BUILT.get_tasks(task_type=3),  # type: ignore[arg-type]
        TypeError,
        ("task_type=3", "give a class of tasks"),
    ),
    "flow of no tasks": (lambda: Flow("f", tasks=3), TypeError, ("'f'", "tasks=3", "write tasks=[...]")),  # type: ignore[arg-type]
    "flow of no task": (lambda: Flow("f", tasks=[3]), TypeError, ("3 is no task", "'f'", "put @task above")),  # type: ignore[list-item]
    "flow of no edge": (lambda: Flow("f", edges=[3]), TypeError, ("'f'", "3", "write Edge(upstream")),  # type: ignore[list-item]
    "flow with a foreign reference task": (
        lambda: Flow("f", reference_tasks=[INCREASED]),
        ValueError,
        ("<FunctionTask: inc>", "'f'", "use what the call returned"),
    ),
    "set_reference_tasks of one": (
        lambda: EMPTY.set_reference_tasks(INCREASED),  # type: ignore[arg-type]
        TypeError,
        ("'empty'", "<FunctionTask: inc>", "write reference_tasks=[...]"),
    ),
    "query of a foreign task": (
        lambda: EMPTY.upstream_tasks(INCREASED),
        ValueError,
        ("<FunctionTask: inc>", "'empty'", "use what the call returned"),
    ),
    "update with no flow": (lambda: EMPTY.update(3), TypeError, ("'empty'", "3", "pass a Flow")),  # type: ignore[arg-type]
    "replace of a foreign task": (
        lambda: EMPTY.replace(INCREASED, Mark()),
        ValueError,
        ("<FunctionTask: inc>", "'empty'", "use what the call returned"),
    ),
    "add_task of no task": (
        lambda: Flow("f").add_task(3),
        TypeError,
        ("3 is no task", "'f'", "put @task above"),
    ),  # type: ignore[arg-type]
    "edge to a parameter": (
        inside(lambda opened: opened.add_edge(1, Parameter("p"))),
        ValueError,
        ("<Parameter: p>", "wait for 1", "let the tasks that use it wait"),
    ),
    "cycle": (
        inside(lambda _: (first := Mark()).set_upstream(Mark().set_upstream(first))),
        ValueError,
        ("'Mark-1'", "'Mark-2'", "'open'", "remove one of the two"),
    ),
    "flow of a file that is not there": (
        lambda: Flow.load("/gone.flow"),
        Exception,
        ("'/gone.flow'", "give the path that flow.save(...) returned"),
    ),
    "@flow of no function": (lambda: flow(3), TypeError, ("3", "write @flow")),  # type: ignore[call-overload]
    "parameter without a name": (lambda: Parameter(""), ValueError, ("parameter", "''", "give a text")),
    "parameter that may be required": (
        lambda: Parameter("p", required=3),  # type: ignore[arg-type]
        TypeError,
        ("'p'", "required=3", "give True, False, or None"),
    ),
    "parameter with a wrong default": (
        lambda: Parameter("p", default="x", type=int),
        ValueError,
        ("'p'", "'x'", "int", "Give a value of that type"),
    ),
    "copy of a parameter": (lambda: Parameter("p").copy(), TypeError, ("'p'", "copy(name='...')")),
    "map of a parameter": (inside(lambda _: Parameter("p").map([1])), TypeError, ("'p'", "task.map(p)")),
    "binding of a parameter": (
        inside(lambda _: Parameter("p").bind(1)),
        TypeError,
        ("'p'", "takes no input", "flow.run(p=...)"),
    ),
    "parameter twice": (
        inside(lambda opened: [opened.add_task(Parameter("p")) for _ in "ab"]),
        ValueError,
        ("'open'", "'p'", "make it once"),
    ),
    "call of a parameter with a value": (
        inside(lambda _: Parameter("p")(3)),
        TypeError,
        ("'p'", "flow=3", "pass a Flow"),
    ),  # type: ignore[arg-type]
    "tasks of a slug that is a list": (
        lambda: BUILT.get_tasks(slug=[]),  # type: ignore[arg-type]
        TypeError,
        ("get_tasks(...) has slug=[]", "slug='load-1'"),
    ),
    "sorted tasks from a number": (
        lambda: BUILT.sorted_tasks(3),  # type: ignore[arg-type]
        TypeError,
        ("'built'", "root_tasks=3", "write root_tasks=[...]"),
    ),
    "sorted tasks from no task": (
        lambda: BUILT.sorted_tasks([[]]),  # type: ignore[list-item]
        ValueError,
        ("[] is not in flow 'built'", "use what the call returned"),
    ),
    "query of a list": (
        lambda: BUILT.upstream_tasks([]),  # type: ignore[arg-type]
        ValueError,
        ("[] is not in flow 'built'", "use what the call returned"),
    ),
    "set_reference_tasks of a list in a list": (
        lambda: EMPTY.set_reference_tasks([[]]),  # type: ignore[list-item]
        ValueError,
        ("[] is not in flow 'empty'", "use what the call returned"),
    ),
    "flow saved nowhere": (lambda: BUILT.save(3), TypeError, ("saved to 3", "'etl.flow'")),  # type: ignore[arg-type]
    "flow of no file": (lambda: Flow.load(3), TypeError, ("read from 3", "'etl.flow'")),  # type: ignore[arg-type]
    "@flow of a class without a signature": (
        lambda: flow(int),  # type: ignore[call-overload]
        TypeError,
        ("'int'", "<class 'int'>", "put @flow on a function"),
    ),
    "picture in no file": (
        lambda: BUILT.visualize(filename=3),  # type: ignore[arg-type]
        TypeError,
        ("filename=3", "filename='flow.svg'"),
    ),
    "picture in no format": (
        lambda: BUILT.visualize(filename="x", format=[]),  # type: ignore[arg-type]
        ValueError,
        ("format=[]", "write 'svg'"),
    ),
}

RUNS: dict[str, Bad] = {
    "run of an open flow": (
        inside(lambda opened: opened.run()),
        RuntimeError,
        ("'open'", "`with` block", "behind the block"),
    ),
    "run with an unknown parameter": (
        lambda: run(parameters={"z": 1}),
        ValueError,
        ("'built'", "'z'", "its parameters are n"),
    ),
    "run with an unknown keyword": (
        lambda: run(z=1),
        TypeError,
        ("'built'", "'z'", "its parameters are n"),
    ),
    "run with no names": (lambda: run(parameters=3), ValueError, ("'built'", "parameters=3", "pass a dict")),
    "run with nothing": (lambda: run(parameters=""), ValueError, ("'built'", "parameters=''", "pass a dict")),
    "run with a nameless context": (
        lambda: run(context=3),
        ValueError,
        ("'built'", "context=3", "pass a dict"),
    ),
    "run in no place": (
        lambda: run(executor=3),
        TypeError,
        ("'built'", "executor=3", "pass LocalExecutor()"),
    ),
    "run in a class": (
        lambda: run(executor=LocalExecutor),
        TypeError,
        ("'built'", "LocalExecutor'>", "LocalExecutor()"),
    ),
    **{
        f"run with {name}": (
            lambda name=name, value=value: run(**{name: value}),
            ValueError,
            ("'built'", f"{name}={value!r}", mend),
        )
        for name, value, mend in [
            ("return_tasks", [], "the states of all tasks; leave it away"),
            ("runner_cls", 3, "give state_handlers=[...] to the tasks"),
            ("flow_run_id", "x", "context.flow_run_id; leave it away"),
            ("flow_run_name", "x", "context.flow_run_name; leave it away"),
        ]
    },
    "run from no state": (
        lambda: run(state=3),
        TypeError,
        ("'built'", "state=3", "no parameter of that name; pass a state"),
    ),
    "run with contexts of no tasks": (
        lambda: run(task_contexts=3),
        ValueError,
        ("'built'", "task_contexts=3", "{task: {'region': 'north'}}"),
    ),
    "run with a context that has no names": (
        lambda: run(task_contexts={INCREASED: 3}),
        ValueError,
        ("'built'", ": 3}", "{task: {'region': 'north'}}"),
    ),
    "run with a context of a foreign task": (
        lambda: run(task_contexts={inc: {}}),
        ValueError,
        ("'built'", "inc", "what the call of a task returned"),
    ),
    "run with a context that says what is ours": (
        lambda: run(task_contexts={INCREASED: {"attempt": 7}}),
        ValueError,
        ("'built'", "{'attempt': ...}", "choose another name"),
    ),
    "start with an unknown parameter": (
        lambda: BUILT.start(z=1),
        ValueError,
        ("'built'", "'z'", "its parameters are n"),
    ),
    "serve without a schedule": (lambda: BUILT.serve(), ValueError, ("'built'", "schedule")),
    "serve by no clock": (
        lambda: Flow("served", schedule=IntervalSchedule(interval=DAY)).serve(clock=3),  # type: ignore[arg-type]
        TypeError,
        ("'served'", "clock=3", "now() and sleep(seconds)"),
    ),
    "simulate at no time": (
        lambda: simulate(BUILT, clock=math.nan),
        TypeError,
        ("clock=nan", "seconds since the epoch"),
    ),
}

STATES: dict[str, Bad] = {
    "a start that is no moment": (
        lambda: Scheduled(start_time="x"),
        TypeError,
        ("Scheduled", "str", "pass a datetime"),
    ),  # type: ignore[arg-type]
    "a context that is a moment": (
        lambda: Cached("later", None, datetime(2030, 1, 1)),  # type: ignore[arg-type]  # noqa: DTZ001
        TypeError,
        ("Cached: context is a datetime", "by name"),
    ),
    "children that are no list": (
        lambda: Mapped(map_states=3),  # type: ignore[arg-type]
        TypeError,
        ("Mapped: map_states is a int (3)", "pass a list of states"),
    ),
    "children that are no states": (
        lambda: Mapped(map_states="x"),  # type: ignore[arg-type]
        TypeError,
        ("Mapped: one of map_states is a str ('x')", "pass states only"),
    ),
    "children that nobody counts": (
        lambda: Mapped(n_map_states="x"),  # type: ignore[arg-type]
        TypeError,
        ("Mapped: n_map_states is a str ('x')", "pass a whole number"),
    ),
    "tokens without names": (
        lambda: Cached(hashed_inputs=3),  # type: ignore[arg-type]
        TypeError,
        ("Cached: hashed_inputs is a int (3)", "pass a dict"),
    ),
    "parameters without names": (
        lambda: Cached(cached_parameters="x"),  # type: ignore[arg-type]
        TypeError,
        ("Cached: cached_parameters is a str ('x')", "pass a dict"),
    ),
    "an expiration that is no moment": (
        lambda: Cached(cached_result_expiration=3),  # type: ignore[arg-type]
        TypeError,
        ("Cached: cached_result_expiration is a int (3)", "pass a datetime"),
    ),
    "attempts that nobody counts": (
        lambda: Retrying(run_count="x"),  # type: ignore[arg-type]
        TypeError,
        ("Retrying: run_count is a str ('x')", "pass a whole number"),
    ),
    "a loop that nobody counts": (
        lambda: signals.LOOP(loop_count="x"),
        TypeError,
        ("Looped: loop_count is a str ('x')", "pass a whole number"),
    ),
    "ENDRUN without a state": (lambda: signals.ENDRUN(3), TypeError, ("ENDRUN", "3", "pass the state")),  # type: ignore[arg-type]
    "a signal of no state": (
        lambda: signals.signal_from_state(Pending()),
        ValueError,
        ("Pending", "raise ENDRUN(state) instead"),
    ),
    "a signal with a wrong start": (
        lambda: signals.RETRY(start_time="x"),
        TypeError,
        ("Retrying", "str", "pass a datetime"),
    ),
    "a bound that is no number": (
        lambda: triggers.some_failed(at_least="x"),  # type: ignore[arg-type]
        TypeError,
        ("some_failed(at_least='x')", "an int (a count)"),
    ),
    "a bound below none": (
        lambda: triggers.some_successful(at_most=-1),
        ValueError,
        ("some_successful(at_most=-1)", "give 0 or more"),
    ),
    "a name that the context lacks": (
        lambda: context.nowhere,
        AttributeError,
        ("'nowhere'", "context.get('nowhere')"),
    ),
    "a context whose method is set": (
        lambda: setattr(context, "update", 1),
        AttributeError,
        ("'update'", "write context['update'] = ..."),
    ),
    "a context's value that is removed and not there": (
        lambda: delattr(context, "nowhere"),
        AttributeError,
        ("'nowhere'", "context.get('nowhere')"),
    ),
    "a context without names": (lambda: context(3), ValueError, ("3", "write context(name=value)")),  # type: ignore[arg-type]
    "temporary settings without names": (
        lambda: set_temporary_config("x").__enter__(),  # type: ignore[arg-type]
        ValueError,
        ("set_temporary_config", "'x'", "give keys and values"),
    ),
    "a setting that there is not": (
        lambda: config.no_workers,  # type: ignore[attr-defined]
        AttributeError,
        ("'no_workers'", "did you mean n_workers?"),
    ),
    "a temporary setting that cannot be": (
        lambda: set_temporary_config({"n_workers": "x"}).__enter__(),
        ValueError,
        ("n_workers", "'x'", "Mend the value"),
    ),
    "a secret that is not there": (lambda: Secret("zz").get(), ValueError, ("'zz'", "context={'secrets'")),
    "a secret while a flow is built": (inside(lambda _: Secret("zz").get()), ValueError, ("'zz'",)),
    "a variable that is not there": (
        lambda: EnvVarSecret("PREFECTLITE_NONE", raise_if_missing=True).run(),
        ValueError,
        ("'PREFECTLITE_NONE'", "set it for the workers"),
    ),
    "a secret that would be kept": (
        lambda: EnvVarSecret("A", result=3),
        ValueError,
        ("'A'", "result=3", "remove result"),
    ),  # type: ignore[call-arg]
    "a variable of no name": (
        lambda: EnvVarSecret("A").run(3),
        ValueError,
        ("'A'", "3", "EnvVarSecret('DB_"),
    ),  # type: ignore[arg-type]
}

SCHEDULES: dict[str, Bad] = {
    "a cron that is none": (lambda: CronSchedule("x"), ValueError, ("cron='x'", "'30 9 * * mon-fri'")),
    "a time of day that is none": (
        lambda: filters.at_time("9:30"),  # type: ignore[arg-type]
        TypeError,
        ("'9:30'", "give a time of day"),
    ),
    "an interval that leads nowhere": (
        lambda: IntervalSchedule(interval=timedelta(0)),
        ValueError,
        ("interval=datetime.timedelta(0)", "give more than zero"),
    ),
    "a clock whose parameters have no names": (
        lambda: IntervalSchedule(interval=DAY, parameter_defaults=3),  # type: ignore[arg-type]
        TypeError,
        ("IntervalClock has parameter_defaults=3", "parameter_defaults={'city': 'Bergen'}"),
    ),
    "a base clock whose parameters are a text": (
        lambda: clocks.Clock(parameter_defaults="x"),  # type: ignore[arg-type]
        TypeError,
        ("Clock has parameter_defaults='x'", "give a dict of parameters"),
    ),
    "dates that are no list": (
        lambda: clocks.DatesClock(3),  # type: ignore[arg-type]
        TypeError,
        ("DatesClock has dates=3", "dates=[...]"),
    ),
    "an event at no moment": (
        lambda: clocks.ClockEvent(3),  # type: ignore[arg-type]
        TypeError,
        ("start_time of a ClockEvent is 3", "write datetime("),
    ),
    **{
        f"the next {n!r} starts": (
            lambda n=n: IntervalSchedule(interval=DAY).next(n),
            kind,
            (f"Schedule.next(...) has n={n!r}", mend),
        )
        for n, kind, mend in [
            (-1, ValueError, "give 0 or more"),
            (1.5, TypeError, "give a whole number of starts"),
            ("x", TypeError, "give a whole number of starts"),
            (None, TypeError, "give a whole number of starts"),
        ]
    },
    "an adjustment by a number": (
        lambda: adjustments.add(3),  # type: ignore[arg-type]
        TypeError,
        ("add(...) has interval=3", "timedelta(hours=2)"),
    ),
}

RESULTS: dict[str, Bad] = {
    "a folder that is a number": (
        lambda: LocalResult(dir=3),  # type: ignore[arg-type]
        TypeError,
        ("LocalResult: dir=3", "give its path"),
    ),
    "a store in bytes": (
        lambda: FolderStore(b"x"),  # type: ignore[arg-type]
        TypeError,
        ("FolderStore: folder=b'x'", "give its path"),
    ),
    "a URL that is a number": (
        lambda: FsspecStore(3),  # type: ignore[arg-type]
        TypeError,
        ("FsspecStore: url=3", "'s3://bucket/results'"),
    ),
    "a location that is a number": (
        lambda: Result(location=3),  # type: ignore[arg-type]
        TypeError,
        ("Result has location=3", "give a template such as"),
    ),
    "a class of serializers": (
        lambda: LocalResult("results", serializer=JSONSerializer),  # type: ignore[arg-type]
        TypeError,
        ("LocalResult has serializer=<class", "JSONSerializer()"),
    ),
    "a store that is none": (
        lambda: Result(store=3),  # type: ignore[arg-type]
        TypeError,
        ("Result has store=3", "FolderStore('results')"),
    ),
    "what is read at a number": (
        lambda: LocalResult("results").read(3),  # type: ignore[arg-type]
        ValueError,
        ("The location 3", "FolderStore(", "is no text", "'2026/rows.pkl'"),
    ),
    "what exists at a number": (
        lambda: LocalResult("results").exists(3),  # type: ignore[arg-type]
        ValueError,
        ("The location 3 is no text", "a function that returns one"),
    ),
    "what is read of a text that is no JSON": (
        lambda: PrefectResult().read("x"),
        ValueError,
        ("The location 'x' of a PrefectResult", "such as '[1, null]'"),
    ),
    "a number that is compressed": (
        lambda: CompressedSerializer(3),  # type: ignore[arg-type]
        TypeError,
        ("CompressedSerializer has serializer=3", "JSONSerializer()"),
    ),
    "a compression by no names": (
        lambda: CompressedSerializer(JSONSerializer(), compress_kwargs=3),  # type: ignore[arg-type]
        TypeError,
        ("CompressedSerializer has compress_kwargs=3", "give a dict"),
    ),
}

EXECUTORS: dict[str, Bad] = {
    "DaskExecutor of a number": (
        lambda: DaskExecutor(3),
        TypeError,
        ("DaskExecutor", "3 of type int", "pass a scheduler's"),
    ),
    "DaskExecutor with wrong arguments": (
        lambda: DaskExecutor(cluster_kwargs=3),  # type: ignore[arg-type]
        TypeError,
        ("cluster_kwargs=3", "must be a dict"),
    ),
    "DaskExecutor with two targets": (
        lambda: DaskExecutor(address="tcp://h:1", cluster_class="a.B"),
        ValueError,
        ("address and cluster_class", "give one of them"),
    ),
    "DaskExecutor with a wrong report": (
        lambda: DaskExecutor(performance_report_path=3),  # type: ignore[arg-type]
        TypeError,
        ("performance_report_path=3", "pass 'report.html'"),
    ),
    "DaskExecutor of no class": (
        lambda: run(executor=DaskExecutor("no.such.Cluster")),
        Exception,
        ("'no.such.Cluster'", "Pass an address such as"),
    ),
    "LocalDaskExecutor of something else": (
        lambda: LocalDaskExecutor("synchronous"),  # type: ignore[arg-type]
        ValueError,
        ("scheduler='synchronous'", "LocalExecutor()"),
    ),
    "LocalDaskExecutor without workers": (
        lambda: LocalDaskExecutor(num_workers=0),
        ValueError,
        ("num_workers=0", "pass a whole number from 1 on"),
    ),
    "LocalDaskExecutor of a list": (
        lambda: LocalDaskExecutor([]),  # type: ignore[arg-type]
        ValueError,
        ("scheduler=[]", "'threads' or 'processes'"),
    ),
    "mail over nothing": (
        lambda: EmailNotifier(security=[]),  # type: ignore[arg-type]
        ValueError,
        ("EmailNotifier", "[]", "give 'starttls'"),
    ),
}


def refused(bad: Bad) -> None:
    act, kind, texts = bad
    with pytest.raises(kind) as caught:
        act()
    said = str(caught.value)
    assert [text for text in texts if text not in said] == [], said


@pytest.mark.parametrize("what", TASKS)
def test_constructors_of_tasks_refuse_with_name_value_and_mend(what: str) -> None:
    refused(TASKS[what])


@pytest.mark.parametrize("what", CALLS)
def test_calls_of_tasks_refuse_with_name_value_and_mend(what: str) -> None:
    refused(CALLS[what])


@pytest.mark.parametrize("what", FLOWS)
def test_flows_and_parameters_refuse_with_name_value_and_mend(what: str) -> None:
    refused(FLOWS[what])


@pytest.mark.parametrize("what", RUNS)
def test_runs_refuse_with_name_value_and_mend(what: str) -> None:
    refused(RUNS[what])


@pytest.mark.parametrize("what", STATES)
def test_states_and_settings_refuse_with_name_value_and_mend(what: str) -> None:
    refused(STATES[what])


@pytest.mark.parametrize("what", SCHEDULES)
def test_schedules_refuse_with_name_value_and_mend(what: str) -> None:
    refused(SCHEDULES[what])


@pytest.mark.parametrize("what", RESULTS)
def test_results_refuse_with_name_value_and_mend(what: str) -> None:
    refused(RESULTS[what])


@pytest.mark.parametrize("what", EXECUTORS)
def test_executors_refuse_with_name_value_and_mend(what: str) -> None:
    refused(EXECUTORS[what])


def test_a_parameter_may_bear_a_name_that_flow_run_had_in_prefect_1() -> None:
    with Flow("named") as flow:
        read = inc(Parameter("state"))

    assert flow.run(state=1, executor=LocalExecutor()).result[read].result == 2


def test_a_run_may_be_given_none_for_what_flow_run_had_in_prefect_1() -> None:
    state = run(flow_run_id=None, flow_run_name=None, runner_cls=None)
    assert state.result[INCREASED].result == 2


def test_what_is_refused_in_a_body_is_its_failure() -> None:
    @task
    def wrong() -> None:
        raise signals.ENDRUN(3)  # type: ignore[arg-type]

    with Flow("body") as flow:
        failed = wrong()

    state = flow.run(executor=LocalExecutor())

    assert type(state.result[failed]) is Failed
    assert "pass the state" in str(state.result[failed].result)
