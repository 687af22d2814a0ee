"""Junk for every argument of every public call: what is refused is refused in our words, the rest is listed.

The rows of ``test_contract_bad_input.py`` say what the words are; this sweep minds that no call is left out.
"""

from __future__ import annotations

import contextlib
import inspect
import linecache
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import prefectlite
from prefectlite import (
    Flow,
    LocalExecutor,
    Parameter,
    Secret,
    context,
    defaults_from_attrs,
    flow,
    resource_manager,
    set_temporary_config,
    signals,
    states,
    task,
)
from prefectlite.kinds import shown
from prefectlite.results import FolderStore, FsspecStore, LocalResult, Result
from prefectlite.schedules import IntervalSchedule, adjustments, clocks, filters
from prefectlite.serializers import DateTimeSerializer, JSONSerializer, PandasSerializer, PickleSerializer

ROOMS = "signals triggers states schedules results serializers cache_validators notifications testing"
ROOMS += " schedules.clocks schedules.filters schedules.adjustments tasks.secrets tasks.shell tasks.templates"
DAY, NOON = timedelta(days=1), datetime(2030, 1, 1, 12)  # noqa: DTZ001  # without a zone, as people write it

#: A call of users, by name: takes a flow, and returns what is called.
Door = tuple[str, Callable[[Flow], Callable[..., Any]]]


@task
def inc(x: Any = 1) -> Any:
    return x


class Resource:
    def setup(self) -> None: ...
    def cleanup(self, resource: Any) -> None: ...


with Flow("another") as ANOTHER:
    FOREIGN = inc(1)
#: The first is what nobody asks for, who does not take everything.
JUNK: tuple[Any, ...] = (object(), 3, -1, 0.5, math.nan, 10**30, "x", "", b"", None, [], {3: 3}, lambda: 0)
JUNK += (Resource, FOREIGN, ANOTHER, states.Success(), NOON)

#: Public names that are no calls of users: what flows, runs and simulations return, what users derive from, and
#: what is tried below in another way.
NO_CALLS = "FlowRun Injected Moment NoResultType Notice Ran Renderer Report ResultRef RunKey Simulation Store"
NO_CALLS += " Trigger ValueSource config task flow defaults_from_attrs resource_manager IntervalSchedule"
#: What rooms of ours call, for tasks, workers and the command line; and what needs a schedule, or graphviz.
INNER = (
    "add_collection bind checker for_worker next_slug note_copied note_made note_used operate parse take_over"
)
INNER += " draw erase holds redraw take_out set_constant drop_constant rename serve visualize"
#: Arguments that take whatever there is, by the reason; some of one call alone.
TAKES_ANYTHING = {
    "a value of any kind": "result value default obj x other PrefectResult(value)",
    "a value stands for the task that gives it": "upstream_task downstream_task condition case(task) merge(tasks)"
    " FunctionTask.set_upstream(task) Flow.replace(new)",
    "a flag goes by its truth, as elsewhere in Python": "mapped flattened validate merge_parameters validate_dir"
    " merge_reference_tasks include_self names_only return_events return_all log_stderr raise_if_missing login"
    " raise_on_error day_or debug plugin watch_worker_status progress run_on_schedule wait_for_approval"
    " disable_cancellation_event include_secret_names",
    "its text counts, as in Prefect 1": "message username password get_logger(name)",
    "kept for flows that were written for Prefect 1; nobody reads it": "labels",
    "values by names of the user's own": "kwargs values FsspecStore(options)",
    "a name of the user's own, as in any dict": "Context.setdefault(name)",
    "says no to whatever it is asked about, as in Prefect 1": "never_use(state) never_use(inputs) never_use(parameters)",
    "asks whether it is there": "Flow.number(task) Context.get(name)",
    "read where it is used, and refused there": "Flow(executor) @flow(executor) Flow.run(clock) Parameter(type)"
    " Edge(flow) as_task(flow) partial_inputs_only(inputs) partial_inputs_only(parameters)"
    " partial_parameters_only(inputs) partial_parameters_only(parameters)",
}
#: Calls that let through what others raise, by whose words they are.
SPEAKS_ITSELF = {
    "the user's function, which is called": "FunctionTask.pipe(task) Parameter.pipe(task)",
    "the format, of bytes that are none of its": "JSONSerializer.deserialize(value) PickleSerializer.deserialize(value)"
    " DateTimeSerializer.deserialize(value) PandasSerializer.deserialize(value)",
    "Python's, as of any mapping that is asked for a list": "Context.get(name) Context.setdefault(name)",
}


def doors(run: Any) -> Iterator[Door]:
    """Return every call; what a decorator or maker returns is called as well."""
    yield from public(prefectlite)
    for room in ROOMS.split():
        yield from public(__import__(f"prefectlite.{room}", fromlist=["x"]))
    yield from methods(Flow, lambda built: built)
    yield from methods(Parameter, lambda built: built.get_tasks(slug="n")[0])
    things: list[Any] = [run, inc, states.Success(), states.Mapped(), context, Result(), clocks.Clock()]
    things += [FolderStore("store"), LocalResult("store"), FsspecStore("memory://x")]
    things += [
        IntervalSchedule(interval=DAY),
        JSONSerializer(),
        PickleSerializer(),
        DateTimeSerializer(),
        PandasSerializer("csv"),
    ]
    for thing in things:
        yield from methods(type(thing), lambda _, thing=thing: thing)
    for made in (filters.on_date(1, 1), filters.at_time(time(9)), filters.between_datetimes(NOON, NOON)):
        yield "a filter", lambda _, made=made: made
    yield "add()", lambda _: adjustments.add(DAY)
    yield "IntervalSchedule", lambda _: partial(IntervalSchedule, interval=DAY)
    yield "a call", lambda _: inc
    yield "a resource", lambda _: resource_manager(Resource)
    yield "context[]", lambda _: context.__getitem__
    yield "@task", lambda _: applied(task, inc.run)
    yield "@flow", lambda _: applied(flow, inc.run)
    yield "@resource_manager", lambda _: applied(resource_manager, Resource)
    yield "@defaults_from_attrs", lambda _: lambda *names: defaults_from_attrs(*names)(inc.run)


def public(room: ModuleType) -> Iterator[Door]:
    for name in getattr(room, "__all__", dir(room)):
        found = getattr(room, name)
        is_its_own = hasattr(room, "__all__") or getattr(found, "__module__", "") == room.__name__
        if callable(found) and is_its_own and name not in NO_CALLS.split() and name[0] != "_":
            yield name, lambda _, found=found: found


def methods(owner: type, thing: Callable[[Flow], Any]) -> Iterator[Door]:
    for name in dir(owner):
        if name[0] != "_" and name not in INNER.split() and inspect.isroutine(getattr(owner, name)):
            yield f"{owner.__name__}.{name}", lambda built, name=name: getattr(thing(built), name)


def applied(decorator: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def call(**options: Any) -> Any:
        return decorator(**options)(function)

    _, *others = inspect.signature(decorator).parameters.values()
    call.__signature__ = inspect.Signature(others)  # type: ignore[attr-defined]
    return call


def named(names: str, value: Any) -> dict[str, Any]:
    return dict.fromkeys(names.split(), value)


#: What calls need beside junk, by the names of their arguments.
GOOD = named("value other obj n month day day_of_week start_month start_day end_month end_day x", 1)
GOOD |= named("name text key location folder path", "x")
GOOD |= named("inputs parameters upstream_states given", {}) | named("start_time dt found start end", NOON)
GOOD |= {"func": inc, "fn": print, "check": bool, "error": OSError, "resource_class": Resource, "states": []}
GOOD |= {"settings": {"n_workers": 1}, "state": states.Cached(), "cron": "@daily", "rrule_obj": "FREQ=DAILY"}
GOOD |= {
    "interval": DAY,
    "clocks": [clocks.IntervalClock(DAY)],
    "dates": [NOON],
    "t": time(9),
    "content": b"",
}
GOOD |= {"url": "memory://x", "secret_task": Secret("s"), "serializer": JSONSerializer(), "file_type": "csv"}


def world(call: str = "") -> tuple[Flow, dict[str, Any]]:
    """Return a flow, and what a call needs beside junk."""
    with Flow("built") as built:
        used = inc(Parameter("n", default=1))
    own = named("task old true_task false_task downstream_task condition new", used)
    own |= {"flow": built, "cases": {1: used}, "tasks": [used], "upstream_task": inc.copy()}
    times = named("start end", time(9)) if call == "between_times" else {}
    return built, GOOD | own | times


def tried(call: Callable[..., Any], argument: str, junk: Any, good: dict[str, Any]) -> None:
    taken, by_name, parameters = [], {}, inspect.signature(call).parameters
    by_place = parameters[argument].kind is inspect.Parameter.VAR_POSITIONAL
    for name, one in parameters.items():
        is_open = one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        if name == argument or (one.default is one.empty and not is_open):
            given = junk if name == argument else good[name]
            if by_place or one.kind is one.POSITIONAL_ONLY:
                taken.append(given)
            else:
                by_name["colour" if is_open else name] = given
    made = call(*taken, **by_name)
    if inspect.isgenerator(made):
        next(made, None)
    elif hasattr(made, "__exit__") and not isinstance(made, Flow):
        with made:
            pass


def is_ours(error: BaseException, words: Iterable[str]) -> bool:
    """Return whether a statement of ours raised it, and its text holds one of the words."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    assert at is not None
    file = at.tb_frame.f_code.co_filename
    statement = linecache.getline(file, at.tb_lineno).strip()
    is_raised = Path(prefectlite.__file__).parent in Path(file).parents and statement.startswith("raise ")
    return is_raised and any(word in str(error) for word in words)


def words_for(call: str, argument: str, junk: Any) -> Iterator[str]:
    """Return what an error may name: the call, the argument, what it was given, or what earlier junk did."""
    yield from (*call.split("."), argument, "argument", "'colour'", "in flow 'built'", "of flow 'built'")
    yield from (shown(junk)[:20], type(junk).__name__, str(getattr(junk, "name", "nothing")))
    if isinstance(junk, dict | Flow):
        yield from map(shown, junk)


def sweep(junk: tuple[Any, ...]) -> tuple[list[str], set[str]]:
    """Return what went wrong, and which entries of the tables hold."""
    built, _ = world()
    run = built.start(executor=LocalExecutor())
    run.wait()
    wrong: list[str] = []
    held: set[str] = set()
    for call, door in doors(run):
        for argument in inspect.signature(door(built)).parameters:
            flow, good = world(call)
            for one in junk:
                said = "it is taken"
                table = TAKES_ANYTHING
                try:
                    with contextlib.nullcontext() if call.startswith(("Flow", "simulate")) else flow:
                        tried(door(flow), argument, one, good)
                except BaseException as error:
                    if isinstance(error, signals.Signal) or is_ours(error, words_for(call, argument, one)):
                        continue
                    said = f"{type(error).__name__}: {error}"
                    table = SPEAKS_ITSELF
                else:
                    if one is not JUNK[0]:
                        continue
                reasons = {argument, f"{call}({argument})"} & set(" ".join(table.values()).split())
                held |= reasons
                if not reasons:
                    wrong.append(f"{call}({argument}={shown(one):.40}): {said}")
    return wrong, held


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with set_temporary_config({"executor": "local"}):
        yield


@pytest.mark.filterwarnings("ignore")
def test_what_nobody_asks_for_is_taken_only_where_the_reason_is_listed() -> None:
    wrong, held = sweep(JUNK[:1])

    assert "\n".join(wrong) == ""
    assert held == set(" ".join(TAKES_ANYTHING.values()).split())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_junk_is_refused_in_our_words_but_where_the_reason_is_listed() -> None:
    wrong, held = sweep(JUNK)

    assert "\n".join(wrong) == ""
    assert held == set(" ".join((*TAKES_ANYTHING.values(), *SPEAKS_ITSELF.values())).split())
