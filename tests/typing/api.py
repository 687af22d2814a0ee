"""What type checkers make of the public calls. Checked by mypy in ``test_typing``; never run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from pendulum import DateTime

from prefectlite import (
    DaskExecutor,
    DateTimeParameter,
    Edge,
    EnvVarSecret,
    FilterTask,
    Flow,
    FlowRun,
    LocalExecutor,
    Parameter,
    ResourceManager,
    Secret,
    Task,
    apply_map,
    as_task,
    callback_factory,
    case,
    config,
    context,
    defaults_from_attrs,
    flatten,
    flow,
    ifelse,
    mapped,
    merge,
    pause_task,
    raise_on_exception,
    resource_manager,
    set_temporary_config,
    switch,
    tags,
    task,
    triggers,
    unmapped,
)
from prefectlite.cache_validators import all_inputs, partial_inputs_only
from prefectlite.core.contents import FlowEdges, FlowTasks
from prefectlite.core.in_place import OptionList, OptionSet
from prefectlite.core.parameter import DateTimeParameter as FormerDateTimeParameter
from prefectlite.core.sets import OrderedSet
from prefectlite.core.task import FunctionTask
from prefectlite.driver.timetable import WALL_CLOCK
from prefectlite.engine.signals import SKIP as FORMER_SKIP
from prefectlite.engine.state import Success as FormerSuccess
from prefectlite.executors import Executor
from prefectlite.notifications import SlackNotifier, email_notifier, slack_notifier
from prefectlite.results import FsspecStore, LocalResult, Result, SecretResult
from prefectlite.schedules import CronSchedule, Schedule, clocks
from prefectlite.serializers import CompressedSerializer, JSONSerializer
from prefectlite.signals import SKIP
from prefectlite.states import Cached, Failed, Queued, Resume, RunKey, Scheduled, State
from prefectlite.tasks.files import Glob, Zip
from prefectlite.tasks.shell import ShellTask
from prefectlite.testing import Ran, Simulation, crashes, returns, runs, simulate
from prefectlite.triggers import all_finished
from prefectlite.utilities.collections import DotDict, flatten_seq, merge_dicts
from prefectlite.utilities.datetimes import retry_delay
from prefectlite.utilities.tasks import task as former_task


@task
def inc(x: int, by: int = 1) -> int:
    return x + by


@task(
    name="words",
    max_retries=3,
    retry_delay=timedelta(seconds=1),
    retry_on=OSError,
    tags=["text"],
    timeout=1.5,
)
def words(text: str) -> list[str]:
    return text.split()


@task()
def show(value: object) -> None: ...


@task
def count(texts: list[str]) -> int:
    return len(texts)


@task
def total(numbers: list[int], *, start: int = 0) -> int:
    return sum(numbers, start)


class Scale(Task):
    def __init__(self, factor: float, **options: Any) -> None:
        self.factor = factor
        super().__init__(**options)

    @defaults_from_attrs("factor")
    def run(self, x: float, factor: float = 1) -> float:
        return factor * x


@task
def pair() -> tuple[int, str]:
    return 1, "a"


# The decorator keeps the signature, with and without options.
takes_int: Callable[[int], int] = inc
assert_type(inc.run(1, by=2), int)
assert_type(words.run("a b"), list[str])
made: FunctionTask[[str], list[str]] = words
assert_type(inc.name, str)
assert_type(inc.max_retries, int)
assert_type(inc.tags, OptionSet[str])
assert_type(inc.state_handlers, OptionList[Callable[..., Any]])
assert_type(inc.copy(max_retries=3).run(1), int)
assert_type(task(inc.run)(1), int)


@task
async def fetch(url: str) -> bytes:
    return url.encode()


@task(max_retries=3)
async def fetch_again(url: str) -> bytes:
    return url.encode()


with Flow("etl", executor=LocalExecutor()) as etl:
    assert_type(etl, Flow)

    # The call of an async task gives what it is awaited for.
    assert_type(fetch("a"), bytes)
    assert_type(fetch_again("a"), bytes)
    assert_type(fetch.map(["a"]), list[bytes])

    # A call gives what the function returns, so that calls can be put into each other.
    one = inc(1)
    assert_type(one, int)
    assert_type(inc(one, by=inc(2)), int)
    assert_type(count(words("a b")), int)
    done = show(one)
    assert_type(done, None)

    # The extras of a call.
    assert_type(inc(1, upstream_tasks=[one, done]), int)
    assert_type(inc(1, task_args={"max_retries": 2, "retry_delay": [1, 2.5], "isolate": True}), int)
    assert_type(inc(1, flow=etl), int)
    assert_type(inc([1, 2], mapped=True), list[int])

    # Maps give lists, and what is annotated fits everywhere.
    many = inc.map([1, 2, 3], by=unmapped(one))
    assert_type(many, list[int])
    assert_type(total(many, start=one), int)
    assert_type(total([inc(1), 2, inc(3)]), int)
    assert_type(inc.map(flatten([[1], [2]]), upstream_tasks=[many], task_args={"name": "each"}), list[int])
    assert_type(inc(mapped([1, 2]), by=3), int)

    # Parameters fit every argument; in a function under @flow they are their annotated types.
    limit = Parameter("limit", default=3, type=int)
    assert_type(inc(limit), int)
    assert_type(words(limit), list[str])
    assert_type(limit.parse("3"), Any)

    # Class tasks: their calls are not checked, their results fit everywhere.
    scale = Scale(2.0, max_retries=1)
    assert_type(scale.run(1.0), float)
    assert_type(scale.factor, float)
    assert_type(scale(1.0), Any)
    assert_type(inc(scale(1.0)), int)
    assert_type(scale.bind(1.0), Scale)
    assert_type(scale.copy(factor=3.0), Scale)
    assert_type(scale.set_upstream(one), Scale)
    assert_type(scale.set_downstream(Scale(1)), Scale)

    # Expressions: of values where the types are known, of anything where they are not.
    number, word = pair()
    assert_type(number, int)
    assert_type(word, str)
    assert_type(one + number, int)
    assert_type(many[0], int)
    assert_type(scale(1.0) + 1, Any)
    assert_type(scale + 1, Any)
    assert_type(scale > scale, Any)
    assert_type(scale["key"], Any)
    assert_type(limit + 1, Any)
    assert_type(scale | Scale(1), Any)
    assert_type(scale.pipe(inc), Any)
    assert_type(scale.is_equal(3), Any)
    since = DateTimeParameter("since", default="2026-01-31")
    show(since)
    # Branches, and maps of functions that call tasks.
    with case(one, 1):
        assert_type(inc(one), int)
    switch(one, {1: inc(1), 2: words("a b")})
    ifelse(one, inc(1), None)
    assert_type(merge(inc(1), 5), Any)
    assert_type(inc(merge(inc(1), 5)), int)
    assert_type(FilterTask(lambda x: x > 1, name="large")([1, 2]), Any)
    assert_type(apply_map(lambda x, by: inc(x, by), [1, 2], by=unmapped(1)), Any)

assert_type(etl.add_edge(one, many, key="x"), Edge)
assert_type(etl.add_task(scale), Task)
assert_type(etl.sorted_tasks([one]), tuple[Task, ...])
assert_type(etl.tasks, FlowTasks)
assert_type(etl.edges, FlowEdges)
etl.tasks.add(one)
etl.tasks.remove(one)
assert_type(etl.constants[one]["x"], Any)
assert_type(etl.edges_to(one), OrderedSet[Edge])
assert_type(etl.root_tasks(), OrderedSet[Task])
assert_type(etl.slugs[one], str)
assert_type(etl.check_parameters({"limit": 3}), dict[str, Any])
etl.set_reference_tasks([one, many])
assert_type(etl.chain(one, many), list[Edge])
assert_type(etl.copy(), Flow)
assert_type(etl.update(etl.copy(), merge_parameters=True), None)
assert_type(etl.replace(one, 3), None)
assert_type(etl.all_upstream_edges(), dict[Task, OrderedSet[Edge]])
assert_type(etl.parameter_schema(), dict[str, Any])
assert_type(etl.save("etl.flow"), str)
assert_type(Flow.load("etl.flow"), Flow)
assert_type(etl.diagnostics(), str)
assert_type(as_task([1]), Task)
assert_type(scale.inputs(), dict[str, dict[str, Any]])
assert_type(Edge(one, many, "x").upstream_task, Task)

assert_type(context.parameters, Any)
assert_type(context.get("map_index"), Any | None)
with context(city="Bergen"), tags("nightly"):
    pass


class Scratch:
    def setup(self) -> str:
        return "/tmp/x"

    def cleanup(self, resource: str) -> None: ...


# mypy does not see what a decorator makes of a class; called, it is understood.
Folder = resource_manager(Scratch)
assert_type(Folder, ResourceManager)
made_manager: ResourceManager = resource_manager(name="named", setup_task_kwargs={"max_retries": 1})(dict)
with Flow("resource"), Folder() as folder:
    assert_type(words(folder), list[str])


@task(trigger=triggers.some_failed(at_least=1), skip_on_upstream_skip=False)
def alarm() -> None: ...


@task(trigger=all_finished)
def last() -> None:
    raise SKIP("nothing to do")


@flow
def traced(start: int, text: str = "a b") -> None:
    inc(start, by=count(words(text)))


assert_type(traced, Flow)
state = etl.run(limit=3, executor=DaskExecutor())
assert_type(state, State)
assert_type(state.result[one].result, Any)
assert_type(etl.run(limit=3, run_on_schedule=False, executor=LocalExecutor(), clock=WALL_CLOCK), State)
assert_type(
    etl.run(state=Scheduled(), task_states=state.result, task_contexts={one: {"region": "north"}}), State
)


class Calls(Executor):
    def submit(self, fn: Callable[..., Any], *args: Any, extra_context: Any = None, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    def wait(self, futures: Any) -> Any:
        return futures


assert_type(etl.run(limit=3, executor=Calls()), State)
assert_type(etl.serve(limit=3, catch_up="latest", max_instances=2), dict[str, int])
run = traced.start(start=1, task_states={one: Resume()}, task_contexts={one: {}})
assert_type(run, FlowRun)
assert_type(run.wait(timeout=1.5), State)
assert_type(run.explain(), str)
assert_type(run.paused(), dict[RunKey, State])
run.resume(one)
run.resume("count-1[3]")
with raise_on_exception():
    etl.run(wait_for_approval=False)
pause_task("look at it", duration=60)

assert_type(config.results.inline_limit, int)
assert_type(config.executor, str)
assert_type(config.dask.address, str | None)
assert_type(config.flows.run_on_schedule, bool)
assert_type(config.shop.region, Any)  # a section of one's own
config.n_workers = 3
config.update({"tasks": {"max_retries": 1}}, debug=True)
config.context.region = config.context["region"] = "north"
config.secrets["PW"] = context.secrets.PW = "a secret"
assert_type(config.to_dict(), dict[str, Any])
with set_temporary_config({"executor": "local"}) as settings, context(config=settings):
    assert_type(settings.n_workers, int | None)
    etl.run(context={"region": "north"}, progress=None)
words(Secret("TEXT"))
words(EnvVarSecret("TEXT", cast=str, raise_if_missing=True))


simulation = simulate(
    traced,
    {"start": 1},
    outcomes={"inc-1": [OSError("x"), returns(2)], one: crashes(takes=3)},
    takes=timedelta(minutes=1),
    default=runs(takes=1),
)
assert_type(simulation, Simulation)
assert_type(simulation[one], State)
assert_type(simulation.attempts("inc-1"), list[Ran])
assert_type(simulation.timeline[0].state, State)
assert_type(ShellTask("true", env={"A": "1"}, max_retries=2).run(), str | list[str] | None)


nine = CronSchedule("0 9 * * *")
assert_type(nine, Schedule)
assert_type(nine.next(3), list[DateTime])
assert_type(Scheduled(start_time=datetime.now(UTC)).start_time, DateTime | None)
assert_type(nine.next(3, return_events=True), list[clocks.ClockEvent])
assert_type(Flow("nightly", schedule=nine), Flow)
assert_type(slack_notifier(only_states=[Failed]), SlackNotifier)
assert_type(slack_notifier(one, state, state), State)


@task(state_handlers=[email_notifier(to="me@example.org")])
def told() -> None: ...


@flow(schedule=nine)
def daily() -> None: ...


async def awaited() -> State:
    return await run


def watch(flow: Flow, old: State, new: State) -> State | None: ...


limited = Flow("limited", state_handlers=[watch], max_concurrency=4, tag_concurrency={"db": 2})
limited.on_failure = lambda flow, state: print(flow, state)
assert_type(limited.max_concurrency, int | None)
assert_type(limited.tag_concurrency, dict[str, int])
tell = callback_factory(lambda obj, state: print(obj), lambda state: state.is_failed())
assert_type(tell, Callable[[Any, State, State], State])
words.copy(max_concurrency=2, state_handlers=[tell])


@flow(name="both", state_handlers=[tell], max_concurrency=1)
def both() -> None:
    inc(1)


assert_type(Queued(state=Failed("why")).state, State | None)
assert_type(Failed.children(), list[type[Failed]])
assert_type(Failed.parents(names_only=True), list[str])


def even(state: Cached, inputs: dict[str, Any], parameters: dict[str, Any]) -> bool:
    return bool(inputs["x"] % 2 == 0 and all_inputs(state, inputs, parameters))


stored = LocalResult("results", location="{x}.json", serializer=CompressedSerializer(JSONSerializer()))
assert_type(stored.write(1, x=2), LocalResult)
assert_type(stored.read("2.json").value, Any)
assert_type(stored.exists("{x}.json", x=2), bool)
assert_type(SecretResult(Secret("DB_PASSWORD")).read("DB_PASSWORD"), SecretResult)
assert_type(Flow("stored", result=Result(store=FsspecStore("memory://results"))).result, Result | None)
words.copy(cache_for=timedelta(days=1), cache_validator=even, cache_key="words")
words.copy(cache_for=60, cache_validator=partial_inputs_only(validate_on=["text"]), checkpoint=False)
words.copy(target=lambda x, **_: f"{x}.pkl", result=stored)


@task(target="{x}.pkl", result=stored, cache_for=timedelta(hours=1), cache_validator=all_inputs)
def kept(x: int) -> int:
    return x


assert_type(kept.cache_for, timedelta | None)

assert_type(FORMER_SKIP("why"), SKIP)
assert_type(FormerSuccess("why").is_finished(), bool)
assert_type(FormerDateTimeParameter("since"), DateTimeParameter)
assert_type(DotDict(rows=3).rows, Any)
assert_type(merge_dicts(DotDict(a=1), {"b": 2}), DotDict)
assert_type(list(flatten_seq([1, [2]])), list[Any])
words.copy(max_retries=3, retry_delay=retry_delay(minutes=1, exponential_backoff=True))
Zip(["a.csv", "b.csv"], "both.zip", compression_method="lzma", max_retries=1, retry_delay=1)
Glob("data", name="files")


@former_task(max_retries=1)
def ported(x: int) -> int:
    return x


assert_type(ported(1), int)
