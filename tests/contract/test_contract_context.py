"""What a body reads of its surroundings, the same at every place (reference section 18; SEMANTICS section 3)."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import math
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from prefectlite import (
    DateTimeParameter,
    Flow,
    LocalExecutor,
    Parameter,
    context,
    get_logger,
    mapped,
    pause_task,
    set_temporary_config,
    tags,
    task,
    triggers,
)
from prefectlite.errors import ContextError, SerializationError
from prefectlite.results import LocalResult
from prefectlite.signals import LOOP
from prefectlite.states import Cached


@task
def look(x: int = 0) -> dict[str, Any]:
    held = context.to_dict()
    return {
        **{
            name: value
            for name, value in held.items()
            if isinstance(value, str | int | float | datetime | type(None))
        },
        "names": sorted(held),
        "parameters": dict(context.parameters),
        "task_tags": sorted(context.task_tags),
        "config": context.config.results.inline_limit,
        "time_left": context.time_left(),
        "secrets": len(context.secrets),
        "logger": context.logger.name,
        "extra": context.get("extra"),
    }


def seen(world: Any, **options: Any) -> dict[str, Any]:
    with Flow("etl") as flow:
        flow.add_task(Parameter("p", default=3))
        with tags("a"):
            made = look()
    state = world.run(flow, **options)
    assert state.is_successful(), state.result[made].traceback
    found: dict[str, Any] = state.result[made].result
    return found


def test_the_tags_are_a_set_of_each_bodys_and_each_callbacks_own(executor: Any) -> None:
    heard: list[set[str]] = []

    def handler(told: Any, old: Any, new: Any) -> None:
        heard.append(context.task_tags.copy())
        context.task_tags.add("heard")

    @task(tags=["a"], state_handlers=[handler])
    def look_and_add(x: int) -> list[str]:
        context.task_tags |= {f"b{x}"}
        context.task_tags.add("c")
        return sorted(context.task_tags)

    with Flow("tags") as flow:
        made = look_and_add.map([0, 1, 2])
    state = flow.run(executor=executor)
    assert state.result[made].result == [["a", f"b{x}", "c"] for x in range(3)]
    assert heard
    assert all(tags == {"a"} for tags in heard)


def test_a_body_reads_each_variable_of_prefect_1_and_ours(world: Any) -> None:
    found = seen(world)
    assert set(found["names"]) == {
        "date", "today", "yesterday", "tomorrow", "today_nodash", "yesterday_nodash", "tomorrow_nodash",
        "config", "logger", "caches", "checkpointing", "flow_name", "flow_id", "flow_run_id", "flow_run_name",
        "scheduled_start_time", "parameters", "map_index", "task_name", "task_full_name", "task_slug", "task_id",
        "task_run_id", "task_tags", "task_run_count", "secrets",
        "attempt", "idempotency_key", "time_left", "upstream_states",
    }  # fmt: skip
    run_id = found["flow_run_id"]
    assert (found["flow_name"], found["flow_id"], found["flow_run_name"]) == (
        "etl",
        "etl",
        f"etl-{run_id[:8]}",
    )
    assert (found["task_name"], found["task_full_name"], found["task_slug"]) == ("look", "look", "look-a-1")
    assert (found["task_id"], found["task_run_id"], found["map_index"]) == (
        "look-a-1",
        f"{run_id}/look-a-1",
        None,
    )
    assert (found["task_tags"], found["task_run_count"], found["attempt"]) == (["a"], 1, 1)
    assert (found["parameters"], found["config"], found["logger"]) == ({"p": 3}, 8192, "prefectlite.look")
    assert (found["checkpointing"], found["time_left"], found["secrets"]) == (True, math.inf, 0)
    assert found["date"] == found["scheduled_start_time"]
    assert found["today"] == f"{found['date']:%Y-%m-%d}"


def test_children_of_a_map_know_their_index_and_have_keys_of_their_own(world: Any) -> None:
    with Flow("etl") as flow:
        made = look.map([1, 2, 3])
    children = [child.result for child in world.run(flow).result[made].map_states]
    assert [one["map_index"] for one in children] == [0, 1, 2]
    assert [one["task_full_name"] for one in children] == ["look[0]", "look[1]", "look[2]"]
    assert [one["task_run_id"].partition("/")[2] for one in children] == [
        "look-1[0]",
        "look-1[1]",
        "look-1[2]",
    ]
    assert len({one["idempotency_key"] for one in children}) == 3


def test_a_run_is_called_what_its_task_says(world: Any, place: str, tmp_path: Path) -> None:
    @task(
        task_run_name="{region} {x} [{map_index}]",
        result=LocalResult(str(tmp_path), location="{task_run_name}"),
    )
    def named(x: int) -> str:
        called: str = context.task_run_name
        return called

    @task(task_run_name=lambda x, **names: f"{names['task_name']}: {x}", isolate=place == "local")
    def by_function(x: int) -> str:
        called: str = context.task_run_name
        return called

    @task(task_run_name="{nothing}")
    def badly(x: int) -> int:
        return x

    with Flow("named") as flow:
        Parameter("region", default="north")()
        many, one, bad = named.map([5, 6]), by_function(7), badly(8)
    result = world.run(flow).result

    assert result[many].result == ["north 5 [0]", "north 6 [1]"]
    assert sorted(path.name for path in tmp_path.glob("north*")) == result[many].result
    assert result[one].result == "by_function: 7"
    assert "The task_run_name '{nothing}' cannot be filled in" in str(result[bad].result)


def test_attempts_count_and_share_their_idempotency_key(world: Any) -> None:
    @task(max_retries=2)
    def stubborn() -> Any:
        told = context.attempt, context.task_run_count, context.idempotency_key
        if context.attempt < 3:
            raise ValueError(str(told[2]))
        return told

    with Flow("etl") as flow:
        made = stubborn()
    attempt, count, key = world.run(flow).result[made].result
    assert (attempt, count, len(key)) == (3, 3, 32)


def test_a_date_that_is_given_decides_what_today_is(world: Any) -> None:
    found = seen(world, context={"date": "2026-03-01"})
    assert (found["yesterday"], found["today"], found["tomorrow_nodash"]) == (
        "2026-02-28",
        "2026-03-01",
        "20260302",
    )
    assert found["date"] == datetime(2026, 3, 1, tzinfo=UTC)


def test_what_is_given_shows_and_goes_before_the_configuration(world: Any) -> None:
    with set_temporary_config({"context.extra": "of the configuration", "results.inline_limit": 5000}):
        assert (seen(world)["extra"], seen(world)["config"]) == ("of the configuration", 5000)
        assert seen(world, context={"extra": ["given"]})["extra"] == ["given"]
        with context(extra="around", date="2026-03-01", task_name="a test of the body alone"):
            found = seen(world)
            assert (found["extra"], found["today"], found["task_name"]) == ("around", "2026-03-01", "look")
            assert seen(world, context={"extra": ["given"]})["extra"] == ["given"]
    assert seen(world)["extra"] is None


def test_a_context_that_cannot_be_is_refused_before_anything_runs(world: Any) -> None:
    for given in ({"attempt": 7}, {"flow_run_id": "x"}, {"date": "someday"}):
        with pytest.raises(ContextError, match=f"Flow 'etl' is given context={{{next(iter(given))!r}"):
            seen(world, context=given)


#: What Prefect 1.4.1 shows of what it is given, and what its run says all the same.
SHOWN = {
    "map_index": 7, "task_loop_count": 5, "task_loop_result": "r", "task_run_name": "named", "resume": True,
    "checkpointing": False, "flow_run_name": "nightly", "today": "a day",
}  # fmt: skip
OF_THE_RUN = {
    "flow_name": "etl", "flow_id": "etl", "task_name": "look", "task_slug": "look-a-1", "task_id": "look-a-1",
    "task_run_count": 1, "logger": "prefectlite.look[7]", "task_full_name": "look[7]",
}  # fmt: skip


def test_names_of_prefect_1_that_are_given_show_where_they_did_there(world: Any) -> None:
    given = {**SHOWN, **dict.fromkeys(OF_THE_RUN, "given"), "task_run_id": "x", "task_tags": {"z"}}

    found, again = (seen(world, context=given) for _ in range(2))

    assert {name: found[name] for name in {**SHOWN, **OF_THE_RUN}} == {**SHOWN, **OF_THE_RUN}
    assert (found["task_tags"], found["task_run_id"]) == (["a"], f"{found['flow_run_id']}/look-a-1")
    assert found["idempotency_key"] != again["idempotency_key"]


def test_only_the_context_of_a_task_gives_the_flow_another_name(world: Any) -> None:
    heard: list[Any] = []

    def hears(task: Any, old: Any, new: Any) -> None:
        heard.append((context.flow_name, context.flow_id))

    with Flow("etl") as flow:
        made, many, other = look(task_args={"state_handlers": [hears]}), look.map([1, 2]), look()
    given = {"flow_name": "nightly", "flow_id": "7"}
    result = world.run(
        flow, context=dict.fromkeys(given, "x"), task_contexts=dict.fromkeys([made, many], given)
    ).result

    found = [result[made].result, *result[many].result, result[other].result]
    assert [(one["flow_name"], one["flow_id"]) for one in found] == [("nightly", "7")] * 3 + [("etl", "etl")]
    assert set(heard) == {("nightly", "7")}
    assert {one["task_name"] for one in found} == {"look"}


def test_parameters_that_the_context_is_given_go_before_defaults_alone(world: Any) -> None:
    with Flow("etl") as flow:
        p, q = Parameter("p", default=3), Parameter("q", type=int)
        made, others = look(p), look.map([q])

    def values(**options: Any) -> tuple[Any, ...]:
        result = world.run(flow, **options).result
        return (
            *(result[one].result for one in (p, q)),
            result[made].result["parameters"],
            result[others].result[0]["parameters"],
        )

    of_context = {"p": 9, "q": "7", "more": 1}
    assert values(context={"parameters": of_context}) == (9, 7, *[{"p": 9, "q": 7, "more": 1}] * 2)
    assert values(context={"parameters": of_context}, p=4, q=1)[:3] == (4, 1, {"p": 4, "q": 1, "more": 1})
    assert values(q=1, task_contexts={p: {"parameters": {"p": 8}}, made: {"parameters": {}}}) == (
        8,
        1,
        {},
        {"p": 8, "q": 1},
    )
    with context(parameters={"p": 5}):
        assert values(q=1)[:2] == (5, 1)


def test_a_run_that_is_resumed_from_the_start_pauses_nowhere(world: Any) -> None:
    @task
    def bad() -> None:
        raise ValueError("no")

    @task
    def asks() -> str:
        pause_task("look at it")
        return "went on"

    @task(trigger=triggers.manual_only)
    def waits() -> Any:
        return context.resume

    with Flow("etl") as flow:
        asked, waited = asks(), waits(upstream_tasks=[bad()])
    for options in (
        {"context": {"resume": True}},
        {"task_contexts": {one: {"resume": 1} for one in flow.tasks}},
    ):
        result = world.run(flow, **options).result
        assert (result[asked].result, bool(result[waited].result)) == ("went on", True)


def test_caches_that_are_given_are_looked_into_by_key_or_name(world: Any) -> None:
    hour = timedelta(hours=1)

    def old(value: str) -> list[Cached]:
        return [Cached(result=value, cached_result_expiration=datetime.now(UTC) + hour)]

    @task(cache_for=hour)
    def named() -> str:
        return "new"

    @task(cache_for=hour, cache_key="key")
    def keyed() -> Any:
        context.caches["key"].append("of the body")
        return "new"

    @task
    def unkept() -> Any:
        return {name: len(found) for name, found in context.caches.items()}

    with Flow("etl") as flow:
        many, one, none = named.map(upstream_tasks=[mapped([1, 2])]), keyed(), unkept()
    caches = {"named": old("found"), "key": old("found too"), "keyed": old("wrong"), "unkept": old("wrong")}
    result = world.run(flow, context={"caches": caches}).result

    assert [type(child).__name__ for child in result[many].map_states] == ["Cached", "Cached"]
    assert (result[many].result, result[one].result) == (["found", "found"], "found too")
    assert result[none].result == dict.fromkeys(caches, 1)


def test_with_checkpointing_off_nothing_is_stored_and_what_is_there_is_found(
    world: Any, tmp_path: Path
) -> None:
    @task(result=LocalResult(str(tmp_path), location="result"))
    def stores() -> int:
        return 1

    @task(target="target", result=LocalResult(str(tmp_path)))
    def has_target() -> int:
        return 2

    with Flow("etl") as flow:
        stores()
        there = has_target()
    off = {"checkpointing": False}
    assert world.run(flow, context=off).result[there].result == 2
    assert list(tmp_path.iterdir()) == []

    world.run(flow, context={"checkpointing": True})
    (tmp_path / "result").unlink()
    found = world.run(flow, context=off).result[there]
    assert (type(found).__name__, [path.name for path in tmp_path.glob("[!.]*")]) == ("Cached", ["target"])


def test_a_loop_counts_on_from_what_is_given(world: Any) -> None:
    heard: list[int] = []

    def hears(task: Any, old: Any, new: Any) -> None:
        if new.is_looped():
            heard.append(context.task_loop_count)

    @task(state_handlers=[hears])
    def loops() -> Any:
        count, before = context.get("task_loop_count", 1), context.get("task_loop_result")
        if count < 7:
            raise LOOP(result=(count, before))
        return count, before

    with Flow("etl") as flow:
        made = loops()
    given = {"task_loop_count": 5, "task_loop_result": "r"}
    for options in ({"context": given}, {"task_contexts": {made: given}}):
        assert world.run(flow, **options).result[made].result == (7, (6, (5, "r")))
    assert set(heard) == {5, 6}


def test_settings_that_are_given_show_in_the_context(world: Any) -> None:
    with Flow("etl") as flow:
        one, other = look(), look()
    of_run, of_task = ({"config": {"results": {"inline_limit": limit}}} for limit in (5000, 6000))
    result = world.run(flow, context=of_run, task_contexts={other: of_task}).result

    assert (result[one].result["config"], result[other].result["config"]) == (5000, 6000)
    with set_temporary_config({"results.inline_limit": 7000}):
        saved = context.to_dict()
    assert seen(world, context=saved)["config"] == 7000


def test_what_is_set_around_a_run_shows_too_but_for_its_names(world: Any) -> None:
    with context({**SHOWN, "flow_run_id": "x", "parameters": {"p": 9}, "caches": {}, "attempt": 7}):
        found = seen(world)

    assert {name: found[name] for name in SHOWN} == {**SHOWN, "flow_run_name": found["flow_run_name"]}
    assert found["flow_run_name"] == f"etl-{found['flow_run_id'][:8]}"
    assert (found["parameters"], found["attempt"]) == ({"p": 9}, 1)


def test_a_flow_that_a_body_runs_has_parameters_and_places_of_its_own() -> None:
    @task
    def outer() -> Any:
        with Flow("inner") as inner:
            Parameter("p", default=3)()
            made = look()
        found = inner.run(executor=LocalExecutor()).result[made].result
        return {name: found.get(name) for name in ("parameters", "map_index", "task_loop_count", "resume")}

    with Flow("outer") as flow:
        Parameter("p", default=77)()
        made = outer()
    given = {"parameters": {"p": 78}, "map_index": 3, "task_loop_count": 4, "resume": True}
    assert flow.run(executor=LocalExecutor(), context=given).result[made].result == {
        "parameters": {"p": 3}, "map_index": None, "task_loop_count": None, "resume": True,
    }  # fmt: skip


def test_a_value_that_cannot_travel_is_named_where_it_must(world: Any, place: str, pickles: bool) -> None:
    lock = threading.Lock()
    with Flow("etl") as flow:
        look()
    if not pickles:
        assert world.run(flow, context={"extra": lock}).is_successful()
        return
    why = r"context of flow 'etl' .* its 'extra' cannot be pickled"
    if place == "submits-processes":  # it is not known beforehand that it must
        [state] = world.run(flow, context={"extra": lock}).result.values()
        assert re.search(why, state.message)
        return
    with pytest.raises(SerializationError, match=why):
        world.run(flow, context={"extra": lock})


def test_copied_contexts_carry_it_into_threads(world: Any) -> None:
    @task
    def threaded() -> Any:
        seen: list[Any] = []
        copied = contextvars.copy_context()
        for run in (
            lambda: copied.run(lambda: seen.append(context.get("task_name"))),
            lambda: seen.append(context.get("task_name")),
        ):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        return seen

    with Flow("etl") as flow:
        made = threaded()
    assert world.run(flow).result[made].result == ["threaded", None]


def test_upstream_states_are_there_by_slug_and_argument_without_values(world: Any) -> None:
    @task
    def good() -> int:
        return 1

    @task
    def bad() -> int:
        raise ValueError("no")

    @task(trigger=triggers.all_finished)
    def judge(x: Any, many: Any) -> Any:
        states = context.upstream_states
        told = {name: type(state).__name__ for name, state in states.items()}
        return (
            told,
            states["bad-1"].message,
            states["many"].context["counts"],
            states["x"].context.get("task_run_count"),
            states["x"].has_result,
        )

    with Flow("etl") as flow:
        made = judge(good(), look.map([1, 2]), upstream_tasks=[bad()])
    told, message, counts, count, has_result = world.run(flow).result[made].result
    assert told == {
        "good-1": "Success",
        "look-1": "Mapped",
        "bad-1": "Failed",
        "x": "Success",
        "many": "Mapped",
    }
    assert (message, counts, has_result) == ("Unexpected error: ValueError: no", {"Success": 2}, False)
    assert count in (None, 1)


def test_handlers_and_triggers_see_the_flow_runs_context(world: Any) -> None:
    heard: list[Any] = []

    def handler(*_: Any) -> None:
        heard.append(
            (
                context.today,
                context.extra,
                context.task_run_id,
                context.idempotency_key,
                context.flow_run_name,
            )
        )

    @task(state_handlers=[handler])
    def handled() -> Any:
        return context.idempotency_key, context.flow_run_name

    with Flow("etl") as flow:
        made = handled()
    key, name = world.run(flow, context={"date": "2026-03-01", "extra": 7}).result[made].result
    assert {(today, extra) for today, extra, *_ in heard} == {("2026-03-01", 7)}
    assert {(run.partition("/")[2], told, run_name) for *_, run, told, run_name in heard} == {
        ("handled-1", key, name)
    }


def test_handlers_of_a_flow_have_the_logger_of_what_is_no_tasks(world: Any) -> None:
    heard: list[Any] = []
    flow = Flow("told", state_handlers=[lambda flow, old, new: heard.append(context.logger)])
    flow.add_task(Parameter("p", default=3))

    world.run(flow)
    assert heard == [get_logger()] * 2


@task(max_retries=1)
def scribble(x: int) -> Any:
    found = context.get("mark"), context.flow_name, context.map_index, len(context.caches)
    context["mark"] = context.attempt
    context.update(flow_name="mine", map_index=99, parameters=None, idempotency_key=None)
    context.setdefault("notes", []).append(x)
    context.caches["x"] = context.parameters
    with context(mark="inside", inner=1):
        context.inner += 1
        inner = context.mark, context.inner
    if context.attempt == 1 and x % 2:
        raise ValueError(x)
    return (
        found,
        inner,
        context.mark == context.attempt,
        context.notes,
        context.map_index,
        context.pop("mark"),
    )


def test_what_a_body_sets_lasts_until_its_end_and_no_other_run_sees_it(world: Any) -> None:
    with Flow("etl") as flow:
        many = scribble.map(list(range(5)))
        last = look(upstream_tasks=[many])
    state = world.run(flow)
    assert state.is_successful(), state.result[many].message

    assert state.result[many].result == [
        ((None, "etl", x, 0), ("inside", 2), True, [x], 99, 1 + x % 2) for x in range(5)
    ]
    assert state.result[last].result["flow_name"] == "etl"
    assert not {"mark", "notes"} & set(state.result[last].result["names"])
    assert (set(context), seen(world)["flow_name"]) == ({"config", "logger", "secrets"}, "etl")


def test_what_a_body_overwrites_misleads_nobody(world: Any, place: str, tmp_path: Path) -> None:
    @task(
        max_retries=1,
        timeout=30 if place == "local" else None,
        result=LocalResult(str(tmp_path), location="{task_name}-{map_index}-{x}"),
        log_stdout=True,
    )
    def careless(x: int) -> Any:
        time_left, attempt = context.time_left, context.attempt
        context.clear()
        context.update(task_name="../other", map_index="none", x=-1, resume=True, time_left=None)
        if attempt == 1:
            raise ValueError
        print("printed by", x)
        return 0 < time_left() <= (30 if place == "local" else math.inf), attempt

    @task
    def loops() -> Any:
        count = context.get("task_loop_count", 1)
        context.update(task_loop_count=7, task_loop_result="wrong")
        if count < 3:
            raise LOOP(result=count)
        return count

    with Flow("etl") as flow:
        many, looped = careless.map([5, 6]), loops()
    result = world.run(flow).result

    assert (result[many].result, result[looped].result) == ([(True, 2)] * 2, 3)
    assert {path.name for path in tmp_path.glob("careless-?-?")} == {"careless-0-5", "careless-1-6"}


def test_threads_that_a_body_starts_set_nothing_for_other_runs(world: Any) -> None:
    @task
    def threaded() -> Any:
        def mark() -> None:
            context.mark = 1

        for target in (mark, functools.partial(contextvars.copy_context().run, mark)):
            before = context.get("mark")
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        return before, context.get("mark")

    with Flow("etl") as flow:
        made = threaded()
        flow.add_edge(made, look_later := look())
    result = world.run(flow).result
    assert result[made].result == (None, 1)
    assert "mark" not in result[look_later].result["names"]
    assert "mark" not in context


def test_what_async_bodies_set_stays_apart(world: Any) -> None:
    @task
    async def turns(x: int) -> Any:
        context.mark = x
        await asyncio.sleep(0.01)
        return await asyncio.create_task(asyncio.sleep(0, context.mark))

    with Flow("etl") as flow:
        made = turns.map([1, 2, 3])
    assert world.run(flow).result[made].result == [1, 2, 3]


def test_what_a_script_sets_lasts_and_shows_in_the_runs_that_begin_later(world: Any) -> None:
    try:
        context.extra = "of the script"
        context["date"] = "2026-03-01"
        found = seen(world)
        assert (found["extra"], found["today"]) == ("of the script", "2026-03-01")
        with context(extra="of the block"):
            del context.date
            found = seen(world)
            assert (found["extra"], found["today"] != "2026-03-01") == ("of the block", True)
        assert seen(world, context={"extra": "of the run"})["extra"] == "of the run"
        assert context.pop("extra") == "of the script"
        assert (seen(world)["extra"], seen(world)["today"]) == (None, "2026-03-01")
    finally:
        context.clear()


def test_a_flow_that_a_body_runs_sees_what_the_body_and_its_run_were_given() -> None:
    @task
    def outer(change: bool) -> Any:
        if change:
            context.extra = "of the body"
        with Flow("inner") as inner:
            made = look()
        found = inner.run(executor=LocalExecutor()).result[made].result
        return found["extra"], found["today"], found["secrets"], found["flow_name"], found["map_index"]

    with Flow("outer") as flow:
        made = outer.map([True, False])
    given = {"extra": "of the run", "date": "2026-03-01", "secrets": {"PW": "hush-hush"}}
    state = flow.run(executor=LocalExecutor(), context=given)
    rest = ("2026-03-01", 1, "inner", None)
    assert state.result[made].result == [("of the body", *rest), ("of the run", *rest)]


def test_what_a_callback_sets_ends_with_it(world: Any) -> None:
    found: list[Any] = []

    def first(*_: Any) -> None:
        found.append(context.get("extra"))
        context.extra = context.flow_name = "of a handler"

    def second(*_: Any) -> None:
        found.append((context.get("extra"), context.flow_name))

    with Flow("etl", state_handlers=[first, second]) as flow:
        made = task(look.run, name="look", state_handlers=[first, second])()
    state = world.run(flow)
    assert state.result[made].result["extra"] is None
    assert set(found) == {None, ("of a handler", "of a handler")}


def test_moments_are_pendulums(world: Any, tmp_path: Path) -> None:
    heard: list[Any] = []

    def handler(tracked: Any, old: Any, new: Any) -> None:
        if new.is_retrying():
            heard.append(
                (new.start_time.diff(context.date).in_days(), context.scheduled_start_time.to_date_string())
            )

    @task(
        max_retries=1,
        state_handlers=[handler],
        result=LocalResult(str(tmp_path), location="{date:YYYY}-{date:%m}-{scheduled_start_time.day}"),
    )
    def load(since: Any, until: Any) -> Any:
        if context.attempt == 1:
            raise ValueError
        assert until is None
        return (
            context.scheduled_start_time.subtract(days=1).to_date_string(),
            context["date"].add(hours=1).format("HH:mm"),
            since.start_of("month").to_date_string(),
            since.diff(context.get("date")).in_days(),
        )

    since, until = DateTimeParameter("since"), DateTimeParameter("until", default=None)
    with Flow("etl") as flow:
        made = load(since, until)
    moment = datetime(2026, 3, 1, 6, tzinfo=UTC)
    state = world.run(
        flow, since="2026-02-26T05:00", context={"scheduled_start_time": moment, "date": moment}
    )

    assert state.is_successful(), state.result[made].message
    assert state.result[made].result == ("2026-02-28", "07:00", "2026-02-01", 3)
    assert state.result[since].result.to_date_string() == "2026-02-26"
    assert [told for _, told in heard] == ["2026-03-01"]
    assert (tmp_path / "2026-03-1").exists()


def test_nothing_of_a_run_shines_into_the_next(world: Any) -> None:
    seen(world, context={"extra": 1})
    assert seen(world)["extra"] is None
    assert set(context) == {"config", "logger", "secrets"}
