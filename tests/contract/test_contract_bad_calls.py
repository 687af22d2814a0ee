"""Bad input, further: filters, triggers, validators, stores and handles that are called with what they cannot take.

The rows are like those of ``test_contract_bad_input.py``, which has the constructors and the calls that build.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any

import pytest

from prefectlite import (
    DaskExecutor,
    EnvVarSecret,
    Flow,
    FlowRun,
    LocalExecutor,
    Parameter,
    ResourceManager,
    as_task,
    cache_validators,
    config,
    context,
    flow,
    pause_task,
    set_temporary_config,
    signals,
    task,
    triggers,
)
from prefectlite.notifications import EmailNotifier, WebhookNotifier
from prefectlite.results import FolderStore, FsspecStore, Result
from prefectlite.schedules import IntervalSchedule, Schedule, adjustments, clocks, filters
from prefectlite.serializers import (
    CompressedSerializer,
    DateTimeSerializer,
    JSONSerializer,
    PandasSerializer,
    PickleSerializer,
)
from prefectlite.states import Cached, Crashed, Failed, Looped, Mapped, Retrying, Success, count_by_class
from prefectlite.tasks.shell import ShellTask
from prefectlite.testing import crashes, runs, simulate
from tests.contract.test_contract_bad_input import Bad, refused

DAY = timedelta(days=1)


@task
def inc(x: Any = 1) -> Any:
    return x


class Resource:
    def cleanup(self, resource: Any) -> None: ...


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("odd")


with Flow("built") as BUILT:
    INCREASED = inc(Parameter("n", default=1))
NO_MOMENT = "which is no datetime; write datetime("


@cache
def run() -> FlowRun:
    return BUILT.start(executor=LocalExecutor())


SCHEDULES: dict[str, Bad] = {
    **{
        f"{name} of no moment": (
            lambda name=name: getattr(filters, name)(3),
            TypeError,
            (f"dt of {name}(...) is 3", NO_MOMENT),
        )
        for name in ("is_weekday", "is_weekend", "is_month_start", "is_month_end", "on_datetime")
    },
    **{
        f"a filter that is asked about no moment: {name}": (
            lambda accepts=accepts: accepts("noon"),
            TypeError,
            ("What a schedule's filter was asked about is 'noon'", NO_MOMENT),
        )
        for name, accepts in {
            "on_date": filters.on_date(1, 1),
            "at_time": filters.at_time(time(9)),
            "between_datetimes": filters.between_datetimes(datetime(2030, 1, 1), datetime(2030, 1, 2)),  # noqa: DTZ001
            "is_day_of_week": filters.is_day_of_week(1),
        }.items()
    },
    "between no moments": (
        lambda: filters.between_datetimes(datetime(2030, 1, 1), 3),  # type: ignore[arg-type]  # noqa: DTZ001
        TypeError,
        ("end of between_datetimes(...) is 3", NO_MOMENT),
    ),
    "a month that no calendar reaches": (
        lambda: filters.on_date(10**30, 1),
        ValueError,
        (f"month {10**30!r} and day 1", "give a month from 1 to 12"),
    ),
    "an adjustment of no moment": (
        lambda: adjustments.add(DAY)(3),  # type: ignore[arg-type]
        TypeError,
        ("What the adjustment add(...) is to move is 3", NO_MOMENT),
    ),
    "the weekday after no moment": (
        lambda: adjustments.next_weekday(3),  # type: ignore[arg-type]
        TypeError,
        ("dt of next_weekday(...) is 3", NO_MOMENT),
    ),
    "an event with parameters that have no names": (
        lambda: clocks.ClockEvent(datetime(2030, 1, 1), 3),  # type: ignore[arg-type]  # noqa: DTZ001
        TypeError,
        ("A ClockEvent has parameter_defaults=3", "give a dict of parameters"),
    ),
    "more starts than a list holds": (
        lambda: IntervalSchedule(interval=DAY).next(10**30),
        ValueError,
        (f"n={10**30!r}", "no more than a list holds"),
    ),
    "a schedule of no clock": (
        lambda: Schedule([3]),  # type: ignore[list-item]
        TypeError,
        ("A Schedule has 3 among its clocks", "give a clock: CronClock("),
    ),
    "a schedule of no adjustment": (
        lambda: Schedule([], adjustments=[3]),  # type: ignore[list-item]
        TypeError,
        ("A Schedule has 3 among its adjustments", "adjustments.next_weekday"),
    ),
}

STATES: dict[str, Bad] = {
    "a state with an attribute of no state": (
        lambda: Success(reslt=3),  # type: ignore[call-arg]
        TypeError,
        ("A Success state", "'reslt'", "did you mean 'result'?"),
    ),
    "a state with an attribute of another": (
        lambda: Crashed(start_time=None),  # type: ignore[call-arg]
        TypeError,
        ("A Crashed state", "'start_time'", "The options are message, result, context, traceback, cause"),
    ),
    "a copy with an attribute of no state": (
        lambda: Retrying().replace(colour=3),
        TypeError,
        ("A Retrying state", "'colour'", "start_time, context, run_count"),
    ),
    "a signal with an attribute of no state": (
        lambda: signals.PAUSE("why", until=3),
        TypeError,
        ("A Paused state", "'until'", "The options are message, result, start_time, context"),
    ),
    "a traceback that is no text": (
        lambda: Failed(traceback=3),  # type: ignore[arg-type]
        TypeError,
        ("Failed: traceback is a int (3)", "pass a text"),
    ),
    "a cause that is no text": (
        lambda: Crashed(cause=3),  # type: ignore[arg-type]
        TypeError,
        ("Crashed: cause is a int (3)", 'pass a short name: "worker-lost"'),
    ),
    "children fewer than none": (
        lambda: Mapped(n_map_states=-1),
        TypeError,
        ("Mapped: n_map_states is a int (-1)", "pass 0 or more"),
    ),
    "iterations fewer than none": (
        lambda: Looped(loop_count=-1),
        TypeError,
        ("Looped: loop_count", "pass 0 or more"),
    ),
    "a value whose repr raises": (
        lambda: Crashed(cause=Odd()),  # type: ignore[arg-type]
        TypeError,
        ("Crashed: cause is a Odd", "whose repr raises RuntimeError", "pass a short name"),
    ),
    "classes of no states": (
        lambda: count_by_class(3),  # type: ignore[arg-type]
        TypeError,
        ("count_by_class(...) has states=3", "give a list of states"),
    ),
    "classes of what is no state": (
        lambda: count_by_class([Success(), 3]),  # type: ignore[list-item]
        TypeError,
        ("count_by_class(...) has a int among its states", "give states only"),
    ),
    "a trigger of no states": (
        lambda: triggers.all_successful(3),  # type: ignore[arg-type]
        TypeError,
        ("The trigger all_successful was called with 3", "{'load': Success()}"),
    ),
    "a trigger of what is no state": (
        lambda: triggers.some_failed(at_least=1)({"load": 3}),  # type: ignore[dict-item]
        TypeError,
        ("The trigger some_failed(at_least=1)", "{'load': 3}", "give the upstreams' states"),
    ),
    "a validator of no cached state": (
        lambda: cache_validators.all_inputs(Success(), {}, {}),  # type: ignore[arg-type]
        TypeError,
        ("all_inputs has state=<Success>", "give the Cached state that was kept"),
    ),
    "a validator of inputs without names": (
        lambda: cache_validators.partial_inputs_only(Cached(), [3], {}, validate_on=["x"]),
        TypeError,
        ("partial_inputs_only has inputs=[3]", "in a dict"),
    ),
}

RESULTS: dict[str, Bad] = {
    "a file of a number": (
        lambda: FolderStore("store").write("x", 3),  # type: ignore[arg-type]
        TypeError,
        ("FolderStore('store') has content=3", "give bytes; Result(store=...).write(value)"),
    ),
    "a file elsewhere of a text": (
        lambda: FsspecStore("memory://bad").write("x", "text"),  # type: ignore[arg-type]
        TypeError,
        ("FsspecStore('memory://bad') has content='text'", "give bytes"),
    ),
    "a value that JSON has no form for": (
        lambda: JSONSerializer().serialize({1, 2}),
        TypeError,
        ("JSONSerializer cannot write a set", "use PickleSerializer()"),
    ),
    "a moment that is a text": (
        lambda: DateTimeSerializer().serialize("noon"),
        TypeError,
        ("DateTimeSerializer has value='noon'", "give a datetime"),
    ),
    "a table that is a list": (
        lambda: PandasSerializer("csv").serialize([1]),
        TypeError,
        ("PandasSerializer(", "a list, which has no to_csv", "give a DataFrame or a Series"),
    ),
    **{
        f"no bytes for {type(serializer).__name__}": (
            lambda serializer=serializer: serializer.deserialize(3),
            TypeError,
            (f"{type(serializer).__name__} has value=3", "give the bytes that serialize(...) returned"),
        )
        for serializer in (
            PickleSerializer(),
            JSONSerializer(),
            DateTimeSerializer(),
            PandasSerializer("csv"),
            CompressedSerializer(JSONSerializer()),
        )
    },
    "a compression that is a list": (
        lambda: CompressedSerializer(JSONSerializer(), format=[]),  # type: ignore[arg-type]
        ValueError,
        ("CompressedSerializer has format=[]", "give one of zlib"),
    ),
    "a compression by no function": (
        lambda: CompressedSerializer(JSONSerializer(), compress=3, decompress=bytes),  # type: ignore[arg-type]
        TypeError,
        ("CompressedSerializer has compress=3", "give a function of bytes"),
    ),
}

AROUND: dict[str, Bad] = {
    "an item that the context lacks": (
        lambda: context["nowhere"],
        KeyError,
        ("'nowhere'", "it holds", "context.get('nowhere')"),
    ),
    "an item of no name": (lambda: context[[]], KeyError, ("The context holds no []", "it holds")),  # type: ignore[index]
    "a setting that is set to what cannot be": (
        lambda: setattr(config, "n_workers", "x"),
        ValueError,
        ("An assignment to config", "n_workers = 'x'", "Mend the value"),
    ),
    "temporary settings of no names": (
        lambda: set_temporary_config({3: 3}).__enter__(),  # type: ignore[dict-item]
        ValueError,
        ("set_temporary_config", "{3: 3}", "give keys and values"),
    ),
    **{
        f"a pause of {duration!r} seconds": (
            lambda duration=duration: pause_task(duration=duration),
            ValueError,
            (
                f"pause_task(...) has duration={duration!r}, which leads to no moment",
                "give a timedelta or seconds",
            ),
        )
        for duration in (math.nan, 1e30)
    },
    "a cast by no function": (
        lambda: EnvVarSecret("PORT", cast="int"),  # type: ignore[arg-type]
        TypeError,
        ("EnvVarSecret 'PORT' has cast='int'", "cast=int"),
    ),
    "a shell by number": (
        lambda: ShellTask(command="ls", shell=3),  # type: ignore[arg-type]
        TypeError,
        ("Task 'ShellTask' has shell=3", "shell='bash'"),
    ),
    "a command that is a list": (
        lambda: ShellTask(command=["ls", "-l"]),  # type: ignore[arg-type]
        TypeError,
        ("Task 'ShellTask' has command=['ls', '-l']", "give a text"),
    ),
    "a resource manager by number": (
        lambda: ResourceManager(Resource, name=3),  # type: ignore[arg-type]
        TypeError,
        ("A resource manager has name=3", "name='cluster'"),
    ),
    "a resource manager with options without names": (
        lambda: ResourceManager(Resource, setup_task_kwargs=3),  # type: ignore[arg-type]
        TypeError,
        ("A resource manager has setup_task_kwargs=3", "setup_task_kwargs={'tags'"),
    ),
    "a port that is a text": (
        lambda: EmailNotifier(port="587"),  # type: ignore[arg-type]
        TypeError,
        ("An EmailNotifier has port='587'", "port=587"),
    ),
    "a formatter that is a text": (
        lambda: WebhookNotifier(formatter="text"),  # type: ignore[arg-type]
        TypeError,
        ("A WebhookNotifier has formatter='text'", "give a function of a Notice"),
    ),
    "a crash for no cause": (
        lambda: crashes(cause=3),  # type: ignore[arg-type]
        TypeError,
        ("crashes(...) has cause=3", "'worker-lost'"),
    ),
    "a body that is none": (lambda: runs(3), TypeError, ("runs(...) has body=3", "give a function")),  # type: ignore[arg-type]
    "a simulation at the end of time": (
        lambda: simulate(BUILT, clock=1e30),
        TypeError,
        ("simulate(...) has clock=1e+30", "seconds since the epoch"),
    ),
    "a cluster of no class": (
        lambda: DaskExecutor(cluster_class=3),
        TypeError,
        ("DaskExecutor has cluster_class=3", "pass a class or its import string"),
    ),
    "fewer bytes than none": (
        lambda: DaskExecutor(keep_limit=-1),
        ValueError,
        ("keep_limit=-1", "from 0 on"),
    ),
}

FLOWS: dict[str, Bad] = {
    "tasks of a name that is a number": (
        lambda: BUILT.get_tasks(name=3),  # type: ignore[arg-type]
        TypeError,
        ("get_tasks(...) has name=3", "name='load'"),
    ),
    "parameters without names": (
        lambda: BUILT.check_parameters(3),  # type: ignore[arg-type]
        TypeError,
        ("Flow 'built' has given=3", "{'limit': 3}"),
    ),
    "a parameter that is a number": (
        lambda: BUILT.run({3: 3}, executor=LocalExecutor()),  # type: ignore[dict-item]
        ValueError,
        ("Flow 'built' has no parameter 3", "its parameters are n"),
    ),
    "@flow by number": (
        lambda: flow(name=3)(lambda: None),  # type: ignore[call-overload]
        TypeError,
        ("name=3", "give a text"),
    ),
    "a flow that is saved nowhere": (lambda: BUILT.save(""), TypeError, ("''", "give one: 'etl.flow'")),
    "options of no names": (
        lambda: inc.map([1], flow=Flow("open"), task_args={3: 3}),  # type: ignore[dict-item]
        AttributeError,
        ("Task 'inc'", "3", "the options are"),
    ),
    "tasks together in no flow": (
        lambda: as_task([INCREASED], flow=3),  # type: ignore[arg-type]
        TypeError,
        ("as_task(...) has flow=3", "pass a Flow"),
    ),
    **{
        f"{name} of a number": (
            lambda name=name: getattr(run(), name)(3),
            TypeError,
            ("The run of flow 'built' has task=3", "'load-1[3]'"),
        )
        for name in ("explain", "history", "resume")
    },
    "the flow itself is resumed": (
        lambda: run().resume(""),
        ValueError,
        ("Flow 'built' itself", "run.resume('approve-1')"),
    ),
    "a wait that is a text": (
        lambda: run().wait("long"),  # type: ignore[arg-type]
        TypeError,
        ("The run of flow 'built' has timeout='long'", "give seconds"),
    ),
}


@pytest.mark.parametrize("what", SCHEDULES)
def test_filters_and_adjustments_refuse_with_name_value_and_mend(what: str) -> None:
    refused(SCHEDULES[what])


@pytest.mark.parametrize("what", STATES)
def test_states_triggers_and_validators_refuse_with_name_value_and_mend(what: str) -> None:
    refused(STATES[what])


@pytest.mark.parametrize("what", RESULTS)
def test_stores_and_serializers_refuse_with_name_value_and_mend(what: str) -> None:
    refused(RESULTS[what])


@pytest.mark.parametrize("what", AROUND)
def test_what_is_around_a_task_refuses_with_name_value_and_mend(what: str) -> None:
    refused(AROUND[what])


@pytest.mark.parametrize("what", FLOWS)
def test_flows_and_their_runs_refuse_with_name_value_and_mend(what: str) -> None:
    refused(FLOWS[what])


@pytest.mark.parametrize("option", ["headers", "proxies"])
def test_what_may_hold_a_secret_is_refused_without_being_shown(option: str) -> None:
    with pytest.raises(TypeError, match=rf"{option} of WebhookNotifier.* give a dict of texts") as caught:
        WebhookNotifier(**{option: "Bearer 1234"})

    assert "1234" not in str(caught.value)


def test_what_no_such_serializer_wrote_is_corrupt(tmp_path: Any) -> None:
    stored = Result(store=FolderStore(tmp_path), location="x")
    stored.write(object)

    with pytest.raises(
        ValueError, match=r"What lies at 'x' of FolderStore.* nothing that JSONSerializer\(\) reads"
    ):
        Result(store=FolderStore(tmp_path), serializer=JSONSerializer()).read("x")


def test_a_moment_without_a_zone_is_moved_too() -> None:
    saturday = datetime(2030, 1, 5, 12)  # noqa: DTZ001

    moved: list[Callable[[datetime], datetime]] = [adjustments.next_weekday, adjustments.add(2 * DAY)]

    assert [f"{move(saturday):%a %d %H:%M %Z}" for move in moved] == ["Mon 07 12:00 UTC"] * 2
