"""Signals, loops, pauses and users' own states: a row for each rule, with its section of the reference.

A number alone is a section of the description of Prefect 1; ``S4`` is section 4 of our own semantics, where we
differ on purpose.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from prefectlite import (
    Flow,
    context,
    flatten,
    pause_task,
    raise_on_exception,
    signals,
    task,
    triggers,
    unmapped,
)
from prefectlite.states import (
    Cancelled,
    Failed,
    Finished,
    Looped,
    Paused,
    Scheduled,
    Skipped,
    State,
    Success,
)
from tests.contract.rows import Rows

#: Notes that a body of that name ran, in whatever process.
Ran = Callable[[str], None]


class Partial(Success):
    """A user's own kind of success."""

    __slots__ = ()


class Unpaid(Failed):
    """A user's own kind of failure."""

    __slots__ = ()


class NotDue(Skipped):
    """A user's own kind of skip."""

    __slots__ = ()


class Parked(Paused):
    """A user's own kind of pause."""

    __slots__ = ()


class PARTIAL(signals.StateSignal):
    """A user's own signal."""

    state_class = Partial


class UNPAID(signals.FAIL):
    """A user's own kind of FAIL."""

    state_class = Unpaid


class Lap(Looped):
    """A user's own kind of iteration."""

    __slots__ = ()


#: What a row builds: a flow, how it ends, what its tasks come to, how often which body runs.
Shown = tuple[Flow, str, dict[str, Any], dict[str, int]]

row = Rows()


def rule(
    section: str, flow: str, comes_to: dict[str, Any], runs: dict[str, int] | None = None
) -> Callable[[Callable[[Ran], Flow]], Callable[[Ran], Flow]]:
    """Add a row under its function's name; behind the section's number stand the signals that it is about."""
    number, _, subject = section.partition(" ")

    def enter(build: Callable[[Ran], Flow]) -> Callable[[Ran], Flow]:
        def show(ran: Ran) -> Shown:
            return build(ran), flow, comes_to, runs or {}

        row(number, " ".join([*filter(None, [subject]), build.__name__.replace("_", " ")]))(show)
        return build

    return enter


def soon(seconds: float = 0.05) -> dt.datetime:
    """A moment that is not far."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def one_task(body: Callable[[], Any], **options: Any) -> Flow:
    """A flow of one task and a reader of its value."""
    with Flow("one") as flow:
        task(body, name="body", **options)()
    return flow


def with_reader(body: Callable[[], Any], **options: Any) -> Flow:
    """A flow of a task and a task that reads its value."""

    @task(
        trigger=options.pop("trigger", None), skip_on_upstream_skip=options.pop("skip_on_upstream_skip", True)
    )
    def reader(x: Any) -> Any:
        return (type(x).__name__, x) if not isinstance(x, BaseException) else type(x).__name__

    with Flow("two") as flow:
        reader(task(body, name="body", **options)())
    return flow


# Section 8: where each signal leads


@rule("8 FAIL", "Failed", {"body-1": "Failed(TaskError)"}, {"body": 2})
def a_fail_is_weighed_by_the_retry_rule(ran: Ran) -> Flow:
    def body() -> None:
        ran("body")
        raise signals.FAIL("no")

    return one_task(body, max_retries=1)


@rule("8 FAIL, S2 retry_on", "Success", {"body-1": 2}, {"body": 2})
def a_fail_is_retried_where_retry_on_names_it(ran: Ran) -> Flow:
    def body() -> int:
        ran("body")
        if context.task_run_count == 1:
            raise signals.FAIL("not yet")
        return context.task_run_count

    return one_task(body, max_retries=3, retry_on=signals.FAIL)


@rule("8 FAIL", "Success", {"body-1": "Failed(ValueError)", "reader-1": "ValueError"})
def a_fail_with_a_result_hands_that_to_its_readers(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.FAIL("no", result=ValueError("given"))

    return with_reader(body, trigger=triggers.all_finished)


@rule("8 TRIGGERFAIL", "Failed", {"body-1": "TriggerFailed(TaskError)"}, {"body": 3})
def a_triggerfail_of_a_body_is_a_failure_like_others(ran: Ran) -> Flow:
    def body() -> None:
        ran("body")
        raise signals.TRIGGERFAIL("refused")

    return one_task(body, max_retries=2)


@rule("8 VALIDATIONFAIL", "Failed", {"body-1": "ValidationFailed(TaskError)"}, {"body": 3})
def a_validationfail_is_a_failure_like_others(ran: Ran) -> Flow:
    def body() -> None:
        ran("body")
        raise signals.VALIDATIONFAIL("wrong")

    return one_task(body, max_retries=2)


@rule("8 SUCCESS", "Success", {"body-1": [1, 2], "reader-1": ("list", [1, 2])})
def a_success_brings_its_result(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.SUCCESS("early", result=[1, 2])

    return with_reader(body)


@rule("8 SUCCESS, S4", "Success", {"body-1": None, "reader-1": ("NoneType", None)})
def a_success_without_a_result_gives_none_and_not_the_signal(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.SUCCESS

    return with_reader(body)


@rule("8 SKIP", "Success", {"body-1": "Skipped", "reader-1": "Skipped"}, {"body": 1})
def a_skip_ends_the_run_and_skips_its_readers(ran: Ran) -> Flow:
    def body() -> None:
        ran("body")
        raise signals.SKIP("not today")

    return with_reader(body, max_retries=2)


@rule("8 SKIP, S4", "Success", {"body-1": "Skipped", "reader-1": ("NoneType", None)})
def a_skipped_run_gives_none_and_the_class_alone_can_be_raised(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.SKIP

    return with_reader(body, skip_on_upstream_skip=False)


@rule("8 RETRY", "Success", {"body-1": 3}, {"body": 3})
def a_retry_starts_the_run_again_though_no_retries_are_left(ran: Ran) -> Flow:
    def body() -> int:
        ran("body")
        if context.task_run_count < 3:
            raise signals.RETRY("once more")
        return context.task_run_count

    return one_task(body)


@rule("8 RETRY", "Success", {"body-1": True}, {"body": 2})
def a_retry_starts_no_sooner_than_it_asks(ran: Ran) -> Flow:
    wanted = soon(0.2)

    def body() -> bool:
        ran("body")
        if context.task_run_count == 1:
            raise signals.RETRY("later", start_time=wanted)
        return dt.datetime.now(dt.UTC) >= wanted

    return one_task(body)


@rule("8 PAUSE", "Running", {"body-1": "Paused", "reader-1": "Pending", "beside-1": 1}, {"body": 1})
def a_pause_ends_the_run_in_that_state_and_holds_up_only_its_readers(ran: Ran) -> Flow:
    def body() -> None:
        ran("body")
        raise signals.PAUSE("look")

    flow = with_reader(body, max_retries=2)
    with flow:
        task(lambda: 1, name="beside")()
    return flow


@rule("8 PAUSE", "Success", {"body-1": True}, {"body": 2})
def a_pause_with_a_time_goes_on_by_itself_and_is_then_approved(ran: Ran) -> Flow:
    def body() -> bool:
        ran("body")
        if not context.get("resume"):
            raise signals.PAUSE("a moment", start_time=soon())
        return bool(context.resume)

    return one_task(body)


@rule("8 ENDRUN", "Failed", {"body-1": "Failed(TaskError)"}, {"body": 1})
def an_endrun_is_not_retried_though_it_failed(ran: Ran) -> Flow:
    def body() -> None:
        ran("body")
        raise signals.ENDRUN(Failed("over"))

    return one_task(body, max_retries=2)


@rule("8 ENDRUN", "Success", {"body-1": 3, "reader-1": ("int", 3)})
def an_endrun_with_a_success_brings_its_result(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.ENDRUN(Success("done", result=3))

    return with_reader(body)


@rule("8 ENDRUN", "Failed", {"body-1": "Failed(TaskError)"}, {"body": 1})
def what_a_handler_makes_of_an_endrun_with_a_success_is_not_retried(ran: Ran) -> Flow:
    def handler(one: Any, old: State, new: State) -> State:
        return Failed("not so") if new.is_successful() else new

    def body() -> None:
        ran("body")
        raise signals.ENDRUN(Success(result=3))

    return one_task(body, max_retries=2, state_handlers=[handler])


@rule("8 ENDRUN", "Success", {"body-1": "Finished", "reader-1": "TriggerFailed(TaskError)"})
def an_endrun_takes_a_state_that_is_neither_success_nor_failure(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.ENDRUN(Finished("neither"))

    flow = with_reader(body)
    flow.set_reference_tasks([one for one in flow.tasks if one.name == "body"])
    return flow


@rule("8 ENDRUN", "Failed", {"body-1": "Cancelled", "reader-1": "TriggerFailed(TaskError)"})
def an_endrun_may_call_its_run_off(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.ENDRUN(Cancelled("enough"))

    return with_reader(body)


@rule("8", "Success", {"body-1": "Skipped"}, {"body": 1})
def a_signal_passes_through_except_exception(ran: Ran) -> Flow:
    def body() -> str:
        ran("body")
        try:
            raise signals.SKIP("no")
        except Exception:
            return "swallowed"

    return one_task(body)


@rule("8 trigger", "Failed", {"above-1": 1, "body-1": "Failed(TaskError)"})
def a_signal_in_a_trigger_is_final(ran: Ran) -> Flow:
    def refuse(upstream_states: Any) -> bool:
        raise signals.FAIL("the trigger says no")

    def body() -> None:
        ran("body")

    with Flow("trigger") as flow:
        above = task(lambda: 1, name="above")()
        task(body, name="body", trigger=refuse, max_retries=2)(upstream_tasks=[above])
    return flow


@rule("8 state handler", "Success", {"body-1": "Skipped"}, {"body": 1})
def a_signal_in_a_state_handler_becomes_the_new_state(ran: Ran) -> Flow:
    def handler(one: Any, old: State, new: State) -> State:
        if new.is_successful():
            raise signals.SKIP("after all not")
        return new

    def body() -> int:
        ran("body")
        return 1

    return one_task(body, state_handlers=[handler])


@rule("8 state handler", "Running", {"body-1": "Paused"})
def a_pause_in_a_state_handler_holds_up_the_transition(ran: Ran) -> Flow:
    def handler(one: Any, old: State, new: State) -> State:
        if new.is_running():
            pause_task("not yet")
        return new

    def body() -> None:
        ran("body")

    return one_task(body, state_handlers=[handler])


@rule("8 state handler", "Failed", {"body-1": "Failed(TaskError)"}, {"body": 1})
def an_endrun_in_a_state_handler_is_the_end(ran: Ran) -> Flow:
    def handler(one: Any, old: State, new: State) -> State:
        if new.is_successful():
            raise signals.ENDRUN(Failed("not good enough"))
        return new

    def body() -> int:
        ran("body")
        return 1

    return one_task(body, state_handlers=[handler])


# Section 12: iterations


def counting(ran: Ran, until: int) -> Callable[[int], Any]:
    """A body that loops: it adds one to what it was handed, and tells what it saw."""

    def body(x: int = 0) -> Any:
        ran("body")
        seen = context.get("task_loop_result", [(None, x)])
        count = context.get("task_loop_count")
        if (count or 1) < until:
            raise signals.LOOP("once more", result=[*seen, (count, x)])
        return [*seen, (count, x)]

    return body


@rule("12 LOOP", "Success", {"body-1": [(None, 0), (None, 0), (2, 0), (3, 0)]}, {"body": 3})
def iterations_see_their_count_and_what_the_one_before_handed_on(ran: Ran) -> Flow:
    return one_task(counting(ran, 3))


@rule(
    "12 LOOP, 17",
    "Success",
    {
        "body-1": [[(None, x), (None, x), (2, x)] for x in range(3)],
        "total-1": 9,
        "Constant[list]-1": [0, 1, 2],
    },
    {"body": 6},
)
def children_of_a_map_loop_each_by_itself(ran: Ran) -> Flow:
    @task
    def total(parts: list[list[Any]]) -> int:
        return sum(map(len, parts))

    with Flow("mapped") as flow:
        total(task(counting(ran, 2), name="body").map([0, 1, 2]))
    return flow


@rule("12 LOOP", "Success", {"body-1": [1, 1, 2, 2, 1]}, {"body": 5})
def a_failed_iteration_is_tried_again_and_the_budget_counts_for_each(ran: Ran) -> Flow:
    def body() -> Any:
        ran("body")
        seen = [*context.get("task_loop_result", []), context.task_run_count]
        if len(seen) == 1:
            raise signals.LOOP(result=seen)
        if context.task_run_count == 1 and context.task_loop_count in (2, 3):
            raise ValueError("the first attempt of the second and of the third iteration")
        if len(seen) == 2:
            raise signals.LOOP(result=[1, seen[-1] - 1, seen[-1]])
        return [*seen, context.task_loop_count - 2]

    return one_task(body, max_retries=1)


@rule("12 LOOP", "Failed", {"body-1": "Failed(ValueError)"}, {"body": 3})
def an_iteration_without_retries_left_fails_the_run(ran: Ran) -> Flow:
    def body() -> None:
        ran("body")
        if context.get("task_loop_count") is None:
            raise signals.LOOP(result=1)
        raise ValueError(context.task_loop_result)

    return one_task(body, max_retries=1)


@rule("8 LOOP", "Success", {"body-1": "LOOP('once more')"})
def an_iteration_that_hands_on_nothing_hands_on_the_text_of_its_signal(ran: Ran) -> Flow:
    def body() -> Any:
        if context.get("task_loop_count") is None:
            raise signals.LOOP("once more")
        return context.task_loop_result

    return one_task(body)


@rule("12 LOOP", "Success", {"body-1": [300_000, 300_000]}, {"body": 3})
def a_large_value_is_handed_on(ran: Ran) -> Flow:
    def body() -> Any:
        ran("body")
        count, sizes = context.get("task_loop_result", (b"", []))
        if context.get("task_loop_count", 1) < 3:
            raise signals.LOOP(result=(bytes(300_000), [*sizes, len(count)]))
        return [*sizes[1:], len(count)]

    return one_task(body)


@rule("12 LOOP", "Success", {"body-1": 30}, {"body": 30})
def a_loop_may_be_long(ran: Ran) -> Flow:
    def body() -> Any:
        ran("body")
        count = context.get("task_loop_count", 1)
        if count < 30:
            raise signals.LOOP(result=count)
        return count

    return one_task(body)


@rule("12 LOOP, 8 SKIP", "Success", {"body-1": "Skipped", "reader-1": "Skipped"}, {"body": 2})
def an_iteration_may_end_with_any_signal(ran: Ran) -> Flow:
    def body() -> None:
        ran("body")
        if context.get("task_loop_count") is None:
            raise signals.LOOP(result=1)
        raise signals.SKIP("enough")

    return with_reader(body)


# Section 12: times


@rule("7 Scheduled", "Success", {"body-1": True}, {"body": 1})
def a_state_handler_may_put_off_the_start(ran: Ran) -> Flow:
    wanted = soon(0.2)

    def handler(one: Any, old: State, new: State) -> State:
        return Scheduled("later", start_time=wanted) if type(old).__name__ == "Pending" else new

    def body() -> bool:
        ran("body")
        return dt.datetime.now(dt.UTC) >= wanted

    return one_task(body, state_handlers=[handler])


@rule("12 pause_task", "Success", {"body-1": [True, 2]}, {"body": 2})
def a_pause_of_some_seconds_is_over_by_itself_and_fires_once(ran: Ran) -> Flow:
    def body() -> Any:
        ran("body")
        pause_task("a moment", duration=0.05)
        return [context.resume, context.task_run_count]

    return one_task(body)


# Sections 7 and 9: users' own states


@rule("7 predicates, 9", "Success", {"body-1": "Partial", "reader-1": ("int", 5)})
def a_success_of_a_users_own_class_passes_triggers_and_brings_its_result(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.ENDRUN(Partial("half of it", result=5))

    return with_reader(body)


@rule("7 predicates, 9", "Success", {"body-1": "Unpaid(TaskError)", "reader-1": "TaskError"})
def a_failure_of_a_users_own_class_counts_as_one(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.ENDRUN(Unpaid("no money"))

    return with_reader(body, trigger=triggers.any_failed)


@rule("7 predicates, 9", "Success", {"body-1": "NotDue", "reader-1": "Skipped"})
def a_skip_of_a_users_own_class_skips_its_readers(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.ENDRUN(NotDue("next week"))

    return with_reader(body)


@rule("7 predicates, 12", "Running", {"body-1": "Parked", "reader-1": "Pending"})
def a_pause_of_a_users_own_class_waits_for_approval(ran: Ran) -> Flow:
    def body() -> None:
        raise signals.ENDRUN(Parked("ask Ada"))

    return with_reader(body)


@rule("7 predicates, 12", "Success", {"body-1": "handed on"}, {"body": 2})
def an_iteration_of_a_users_own_class_is_followed_by_the_next(ran: Ran) -> Flow:
    def body() -> Any:
        ran("body")
        if context.get("task_loop_count") is None:
            raise signals.ENDRUN(Lap("round", result="handed on"))
        return context.task_loop_result

    return one_task(body)


@rule("8 predicates", "Success", {"body-1": "Partial", "reader-1": ("int", 5)})
def a_signal_of_a_users_own_makes_their_state(ran: Ran) -> Flow:
    def body() -> None:
        raise PARTIAL("half of it", result=5)

    return with_reader(body)


@rule("8 FAIL", "Failed", {"body-1": "Unpaid(TaskError)"}, {"body": 2})
def a_fail_of_a_users_own_is_weighed_by_the_retry_rule(ran: Ran) -> Flow:
    def body() -> None:
        ran("body")
        raise UNPAID("no money")

    return one_task(body, max_retries=1, retry_on=UNPAID)


@rule("9 custom trigger", "Success", {"body-1": "Partial", "reader-1": ("int", 5)})
def a_trigger_of_a_users_own_tells_their_states_apart(ran: Ran) -> Flow:
    def only_partial(upstream_states: Any) -> bool:
        return all(type(state).__name__ == "Partial" for state in upstream_states.values())

    def body() -> None:
        raise signals.ENDRUN(Partial("half of it", result=5))

    return with_reader(body, trigger=only_partial)


@pytest.mark.parametrize("name", row)
def test_row(world: Any, name: str) -> None:
    flow, ends, comes_to, runs = row[name](world.ran)

    assert world.outcome(flow) == (ends, comes_to)
    assert world.runs() == runs


# A success that says more than its value


def test_8_a_success_keeps_class_message_and_context_and_its_value_goes_the_way_of_all(world: Any) -> None:
    seen: list[Any] = []

    def handler(one: Any, old: State, new: State) -> State:
        if new.is_successful():
            seen.append((type(new).__name__, new.message, dict(new.context), new.result))
        return new

    @task
    def load() -> None:
        raise signals.SUCCESS("all of it", result=[2, 1], context={"rows": 2})

    @task
    def cut(x: int) -> None:
        raise PARTIAL(f"a part of {x}", result=[x] * x, context={"of": x})

    @task(state_handlers=[handler])
    def heard() -> None:
        raise PARTIAL("heard", result="x" * 10_000, context={"k": 1})

    @task(trigger=lambda states: [dict(one.context) for one in states.values()] == [{"k": 1}])
    def checked(x: str) -> int:
        return len(x)

    @task
    def double(x: int) -> tuple[int, Any]:
        return 2 * x, context.map_index

    @task
    def gather(xs: Any) -> Any:
        return xs

    @task
    def told(x: list[int]) -> Any:
        state = context.upstream_states["x"]
        return x, state.message, state.context["rows"]

    @task
    def unread() -> None:
        raise PARTIAL("nobody reads it", result=5)

    with Flow("says more") as flow:
        loaded = load()
        cuts = cut.map(loaded)
        doubled = double.map(flatten(cuts))
        gathered = gather(cuts)
        read = told(loaded)
        length = checked(heard())
        quiet = unread()
        task(lambda: 1, name="last")(upstream_tasks=[quiet])

    ended = world.run(flow)
    assert ended.is_successful(), ended.result
    states = ended.result

    def said(state: State) -> Any:
        return type(state), state.message, dict(state.context), state.result

    assert said(states[loaded]) == (Success, "all of it", {"rows": 2}, [2, 1])
    assert [said(one) for one in states[cuts].map_states] == [
        (Partial, "a part of 2", {"of": 2}, [2, 2]),
        (Partial, "a part of 1", {"of": 1}, [1]),
    ]
    assert states[doubled].result == [(4, 0), (4, 1), (2, 2)]
    assert states[gathered].result == [[2, 2], [1]]
    assert states[read].result == ([2, 1], "all of it", 2)
    assert states[length].result == 10_000
    assert seen == [("Partial", "heard", {"k": 1}, "x" * 10_000)]
    assert said(states[quiet])[:2] == (Partial, "nobody reads it")


# What a handle is needed for


def resumed(world: Any, flow: Flow, *names: Any) -> Any:
    """Start a flow, resume what waits, one after the other, and return the handle of the run."""
    run = flow.start(executor=world.executor)
    for name in names:
        assert run.wait().is_running()
        run.resume(name)
    run.wait()
    return run


def test_12_a_task_that_paused_itself_runs_anew_once_it_is_approved(world: Any) -> None:
    ran = world.ran

    @task
    def load() -> bytes:
        ran("load")
        return bytes(20_000)

    @task
    def approve(data: bytes) -> tuple[int, int, bool]:
        ran("approve")
        pause_task("look at it")
        return len(data), context.task_run_count, context.resume

    with Flow("approval") as flow:
        approved = approve(load())

    run = resumed(world, flow, approved)

    assert run.states()[approved].result == (20_000, 2, True)
    assert world.runs() == {"load": 1, "approve": 2}
    moves = [
        (type(one.old).__name__, type(one.new).__name__)
        for one in run.history(approved)
        if hasattr(one, "old")
    ]
    assert moves == [
        ("Pending", "Running"),
        ("Running", "Paused"),
        ("Paused", "Resume"),
        ("Resume", "Running"),
        ("Running", "Success"),
    ]


def test_12_a_manual_task_runs_once_it_is_approved_and_its_trigger_is_not_asked_again(world: Any) -> None:
    ran = world.ran

    @task(trigger=triggers.manual_only)
    def deploy(x: int) -> int:
        ran("deploy")
        return x + context.resume

    with Flow("manual") as flow:
        deployed = deploy(task(lambda: 41, name="build")())

    run = resumed(world, flow, deployed)

    assert run.states()[deployed].result == 42
    assert world.runs() == {"deploy": 1}


def test_8_what_a_state_handler_paused_goes_on_once_it_is_approved(world: Any) -> None:
    ran, resumes = world.ran, []

    def handler(one: Any, old: State, new: State) -> State:
        if new.is_running():
            resumes.append(context.get("resume"))
            pause_task("may it start?")
        return new

    @task(state_handlers=[handler])
    def body() -> int:
        ran("body")
        return 1

    with Flow("handled") as flow:
        held = body()

    run = resumed(world, flow, held)

    assert run.states()[held].result == 1
    assert resumes == [None, True]
    assert world.runs() == {"body": 1}


def test_8_who_runs_after_what_is_cancelled_reads_what_its_state_says(world: Any) -> None:
    @task
    def stop(x: int) -> int:
        if x == 1:
            raise signals.ENDRUN(Cancelled("enough"))
        return x

    @task(trigger=triggers.all_finished)
    def read(x: Any) -> Any:
        return repr(x)

    with Flow("stops") as flow:
        one, each = stop(1), stop.map([1, 2])
        alone, listed, gathered, by_child = read(one), read([one]), read(each), read.map(each)

    result = world.run(flow).result

    assert (result[one].result, result[each].result) == (None, [None, 2])
    assert [result[t].result for t in (alone, listed, gathered)] == ["None", "[None]", "[None, 2]"]
    assert result[by_child].result == ["None", "2"]


def test_18_raise_on_exception_brings_out_what_a_task_raises(world: Any) -> None:
    @task
    def load() -> None:
        raise LookupError("not there")

    with Flow("debug") as flow:
        load()

    with raise_on_exception(), pytest.raises(LookupError, match="not there"):
        world.run(flow)
    assert type(world.run(flow)) is Failed


def test_s5_children_of_a_map_pause_and_are_resumed_one_by_one(world: Any) -> None:
    ran = world.ran

    @task
    def check(x: int, by: str) -> int:
        ran("check")
        if x % 2:
            pause_task(f"{by} must look at {x}")
        return x

    @task
    def after(x: int) -> int:
        ran(f"after_{x}")
        return x

    with Flow("mapped") as flow:
        checked = check.map([0, 1, 2, 3], unmapped("Ada"))
        ended = after.map(checked)

    run = flow.start(executor=world.executor)
    assert run.wait().is_running()
    assert [(str(key), state.message) for key, state in run.paused().items()] == [
        ("check-1[1]", "Ada must look at 1"),
        ("check-1[3]", "Ada must look at 3"),
    ]
    run.resume("check-1[3]")
    assert run.wait().is_running()
    assert [str(key) for key in run.paused()] == ["check-1[1]"]
    assert world.runs() == {"check": 5, "after_0": 1, "after_2": 1, "after_3": 1}
    run.resume(checked)
    assert run.wait().is_successful()
    assert run.states()[ended].result == [0, 1, 2, 3]
    assert world.runs() == {"check": 6, "after_0": 1, "after_1": 1, "after_2": 1, "after_3": 1}


def test_s5_a_run_that_waits_for_approval_goes_on_where_it_is(world: Any) -> None:
    import threading

    paused = threading.Event()

    def tell(one: Any, old: State, new: State) -> State:
        if new.is_scheduled():
            paused.set()
        return new

    @task(state_handlers=[tell])
    def approve() -> bool:
        pause_task("look at it")
        return True

    with Flow("patient") as flow:
        approved = approve()

    run = flow.start(executor=world.executor, wait_for_approval=True)
    assert paused.wait(30)
    with pytest.raises(TimeoutError):
        run.wait(0.05)
    while not run.paused():
        pass
    run.resume(approved)

    assert run.wait(30).is_successful()
    assert run.states()[approved].result is True


def test_s5_an_iteration_is_a_task_run_of_its_own_in_the_journal(world: Any) -> None:
    with Flow("journal") as flow:
        looped = task(counting(world.ran, 3), name="body")()

    run = flow.start(executor=world.executor)
    run.wait()

    ends = [type(run.history(f"body-1{at}")[-1].new).__name__ for at in ("", "@2", "@3")]
    assert ends == ["Looped", "Looped", "Success"]
    assert run.states()[looped].result_ref is None or str(run.states()[looped].result_ref.run) == "body-1@3"
    said = run.explain("body-1@2")
    assert "Iteration 1 raised LOOP; iteration 2 follows." in said
    assert "its iterations are body-1, body-1@2, body-1@3. The last is Success" in run.explain(looped)


def test_12_state_handlers_see_every_attempt_and_every_iteration(world: Any) -> None:
    seen: list[str] = []

    def handler(one: Any, old: State, new: State) -> State:
        seen.append(f"{type(old).__name__} > {type(new).__name__} #{context.get('task_loop_count', 1)}")
        return new

    @task(max_retries=1, state_handlers=[handler])
    def body() -> int:
        if context.get("task_loop_count") is None:
            raise signals.LOOP(result=1)
        if context.task_run_count == 1:
            raise ValueError
        return 1

    with Flow("handlers") as flow:
        body()

    assert world.run(flow).is_successful()
    assert seen == [
        "Pending > Running #1",
        "Running > Looped #1",
        "Pending > Running #2",
        "Running > Failed #2",
        "Failed > Retrying #2",
        "Retrying > Running #2",
        "Running > Success #2",
    ]


def test_12_a_run_below_what_is_paused_stays_pending_and_its_handlers_are_not_called(world: Any) -> None:
    seen: list[str] = []

    @task
    def above() -> None:
        raise signals.PAUSE("look")

    @task(state_handlers=[lambda one, old, new: seen.append(repr(new))])
    def below(x: Any) -> None: ...

    with Flow("below") as flow:
        waits = below(above())

    assert type(world.run(flow).result[waits]).__name__ == "Pending"
    assert seen == []
