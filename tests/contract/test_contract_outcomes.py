"""How single tasks end, and what their flow makes of it."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Any

import pytest

from prefectlite import Flow, Parameter, Task, context, signals, task, triggers
from prefectlite.errors import ParameterError
from prefectlite.states import (
    Crashed,
    Failed,
    Finished,
    Retrying,
    Running,
    Skipped,
    Success,
    TriggerFailed,
    ValidationFailed,
)


def test_a_value_flows_from_task_to_task(world: Any) -> None:
    ran = world.ran

    @task
    def one() -> int:
        ran("one")
        return 1

    @task
    def add(x: int, y: int = 10) -> int:
        ran("add")
        return x + y

    with Flow("values") as flow:
        a = one()
        b = add(a)
        c = add(b, y=a)

    assert world.outcome(flow) == ("Success", {"one-1": 1, "add-1": 11, "add-2": 12})
    assert world.runs() == {"one": 1, "add": 2}
    assert flow.tasks == (a, b, c) or set(flow.tasks) == {a, b, c}


def test_a_failure_carries_its_exception_and_traceback_and_fails_what_is_below(world: Any) -> None:
    ran = world.ran

    @task
    def load(x: int) -> int:
        ran("load")
        raise ValueError(f"no {x} here")

    @task
    def use(x: int) -> int:
        ran("use")
        return x

    with Flow("failing") as flow:
        loaded = load(7)
        used = use(loaded)
        last = use(used)

    state = world.run(flow)

    assert type(state) is Failed
    failed = state.result[loaded]
    assert type(failed) is Failed
    assert isinstance(failed.result, ValueError)
    assert failed.result.args == ("no 7 here",)
    assert 'raise ValueError(f"no {x} here")' in (failed.traceback or "")
    assert type(state.result[used]) is TriggerFailed
    assert type(state.result[last]) is TriggerFailed
    assert world.runs() == {"load": 1}


def test_an_empty_flow_succeeds(world: Any) -> None:
    assert world.outcome(Flow("empty")) == ("Success", {})


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (lambda: signals.FAIL("no"), Failed),
        (lambda: signals.SKIP("not today"), Skipped),
        (lambda: signals.SUCCESS("early"), Success),
        (lambda: signals.VALIDATIONFAIL("wrong"), ValidationFailed),
        (lambda: signals.TRIGGERFAIL("refused"), TriggerFailed),
        (lambda: signals.ENDRUN(Failed("over")), Failed),
        (lambda: signals.ENDRUN(Finished("neither")), Finished),
    ],
)
def test_a_signal_in_a_body_says_how_it_ends(world: Any, signal: Any, expected: type) -> None:
    ran = world.ran

    @task
    def body() -> None:
        ran("body")
        raise signal()

    with Flow("signals") as flow:
        raised = body()

    state = world.run(flow).result[raised]

    assert type(state) is expected
    assert state.message == signal().state.message
    assert not isinstance(state.result, signals.SKIP | signals.SUCCESS)
    assert world.runs() == {"body": 1}


def test_a_success_signal_brings_its_result(world: Any) -> None:
    @task
    def body() -> None:
        raise signals.SUCCESS("early", result=[1, 2])

    @task
    def total(values: list[int]) -> int:
        return sum(values)

    with Flow("early") as flow:
        total(body())

    assert world.outcome(flow) == ("Success", {"body-1": [1, 2], "total-1": 3})


def test_a_skipped_task_skips_what_is_below_and_gives_none_to_who_wants_it(world: Any) -> None:
    @task
    def body() -> None:
        raise signals.SKIP("no")

    @task
    def below(x: Any) -> Any:
        return x

    @task(skip_on_upstream_skip=False)
    def anyway(x: Any) -> Any:
        return ("got", x)

    with Flow("skips") as flow:
        skipped = body()
        below(below(skipped))
        anyway(skipped)

    assert world.outcome(flow) == (
        "Success",
        {"body-1": "Skipped", "below-1": "Skipped", "below-2": "Skipped", "anyway-1": ("got", None)},
    )


def test_skip_beats_failure(world: Any) -> None:
    @task
    def skips() -> None:
        raise signals.SKIP

    @task
    def fails() -> None:
        raise ValueError

    @task
    def both(x: Any, y: Any) -> None:
        raise AssertionError

    with Flow("both") as flow:
        last = both(skips(), fails())

    state = world.run(flow)

    assert type(state) is Success
    assert type(state.result[last]) is Skipped
    assert "skips-1" in (state.result[last].message or "")


def test_leaving_the_process_politely_is_a_crash(world: Any) -> None:
    @task
    def leaves() -> None:
        raise SystemExit(3)

    with Flow("exit") as flow:
        left = leaves()

    state = world.run(flow).result[left]

    assert type(state) is Crashed
    assert state.cause == "exited"


def test_a_base_exception_fails_its_task_alone(world: Any) -> None:
    @task
    def odd() -> None:
        class Odd(BaseException):
            pass

        raise Odd("odd")

    with Flow("odd") as flow:
        task_ = odd()

    state = world.run(flow).result[task_]

    assert type(state) is Failed
    assert "odd" in str(state.result) + (state.message or "")


def test_a_parameter_is_checked_and_handed_over(world: Any) -> None:
    @task
    def double(x: int) -> int:
        return 2 * x

    with Flow("parameters") as flow:
        x = Parameter("x", default=1, type=int)
        doubled = double(x)

    assert world.run(flow).result[doubled].result == 2
    state = world.run(flow, x="21")
    assert state.result[doubled].result == 42
    assert state.result[x].result == 21
    with pytest.raises(ParameterError, match="x"):
        world.run(flow, x="many")
    with pytest.raises(ParameterError, match="y"):
        world.run(flow, y=1)


def test_constants_and_collections_reach_the_body(world: Any) -> None:
    @task
    def one() -> int:
        return 1

    @task
    def show(given: Any, also: Any = None) -> Any:
        return given, also

    with Flow("collections") as flow:
        a = one()
        shown = [
            show([a, 2, [a, 3]], also={"k": a, "l": {a}}),
            show((a, "x")),
            show({"plain": [1, 2]}, also="constant"),
        ]

    state = world.run(flow)

    assert [state.result[task_].result for task_ in shown] == [
        ([1, 2, [1, 3]], {"k": 1, "l": {1}}),
        ((1, "x"), None),
        ({"plain": [1, 2]}, "constant"),
    ]


def test_a_collection_with_a_failed_member_hands_over_the_exception_where_the_trigger_lets_it(
    world: Any,
) -> None:
    from prefectlite.rules.triggers import all_finished

    @task
    def one() -> int:
        return 1

    @task
    def fails() -> int:
        raise KeyError("gone")

    @task(trigger=all_finished, skip_on_upstream_skip=False)
    def show(given: Any) -> Any:
        return [type(item).__name__ for item in given]

    with Flow("lenient") as flow:
        shown = show([one(), fails()])

    assert world.run(flow).result[shown].result == ["int", "KeyError"]


def test_a_collection_has_a_value_of_its_own(world: Any) -> None:
    @task
    def one() -> int:
        return 1

    @task(keep_result=True)
    def two() -> int:
        return 2

    @task
    def count(items: list[int]) -> int:
        return len(items)

    with Flow("lists") as flow:
        count([one(), two()])

    state = world.run(flow)
    lists = [state_ for task_, state_ in state.result.items() if task_.is_collection]

    assert [state_.result for state_ in lists] == [[1, 2]]


def test_a_task_class_with_state_of_its_own_runs(world: Any) -> None:
    class Scale(Task):
        def __init__(self, factor: int, **options: Any) -> None:
            self.factor = factor
            super().__init__(**options)

        def run(self, x: int) -> int:
            return x * self.factor

    with Flow("classes") as flow:
        scaled = Scale(3)(Scale(2, name="twice")(5))

    assert world.run(flow).result[scaled].result == 30


@pytest.mark.parametrize("size", ["auto", 3, 1000, None])
def test_how_many_runs_travel_together_changes_no_state(world: Any, size: Any) -> None:
    """SEMANTICS.md 2: states, retries and results stay per run."""
    ran = world.ran

    @task(bundle_size=size, max_retries=1)
    def child(x: int) -> int:
        ran(f"child{x}")
        if x == 2:
            raise signals.SKIP("two")
        if x == 5 or (x == 3 and context.task_run_count == 1):
            raise ValueError(x)
        return x

    class Next(Task):
        def run(self, x: int) -> int:
            return 10 * x

    @task(bundle_size=size, trigger=triggers.all_finished, skip_on_upstream_skip=False)
    def gather(xs: list[Any]) -> list[str]:
        return [repr(x) for x in xs]

    with Flow("together") as flow:
        children = child.map(range(8))
        Next(bundle_size=size).map(children)
        gather(children)
        link = child(10)
        for _ in range(4):
            link = Next(name="link", bundle_size=size)(link)

    shown = ["0", "1", "None", "3", "4", "ValueError(5)", "6", "7"]
    assert world.outcome(flow) == (
        "Failed",
        {
            "Constant[range]-1": range(8),
            "child-1": [0, 1, "Skipped", 3, 4, "Failed(ValueError)", 6, 7],
            "Next-1": [0, 10, "Skipped", 30, 40, "TriggerFailed(TaskError)", 60, 70],
            "gather-1": shown,
            "child-2": 10,
            "link-1": 100,
            "link-2": 1000,
            "link-3": 10_000,
            "link-4": 100_000,
        },
    )
    assert world.runs() == {f"child{x}": 2 if x in (3, 5) else 1 for x in (*range(8), 10)}


def test_none_is_a_value_like_any_other(world: Any) -> None:
    @task
    def nothing() -> None:
        return None

    @task
    def show(x: Any) -> str:
        return repr(x)

    with Flow("none") as flow:
        shown = show(nothing())

    assert world.run(flow).result[shown].result == "None"


def test_a_large_value_is_fetched_when_asked_for(world: Any) -> None:
    @task
    def large() -> bytes:
        return b"x" * 300_000

    @task
    def size(data: bytes) -> int:
        return len(data)

    with Flow("large") as flow:
        data = large(task_args={"keep_result": True})
        size(data)
        last = large()

    state = world.run(flow)

    assert len(state.result[last].result) == 300_000
    assert len(state.result[data].result) == 300_000


@pytest.mark.parametrize("value", ["lock", "generator"])
def test_what_cannot_be_pickled_fails_its_task_where_it_must_travel(
    world: Any, pickles: bool, value: str
) -> None:
    @task
    def makes() -> Any:
        return threading.Lock() if value == "lock" else (n for n in range(3))

    @task
    def names(thing: Any) -> str:
        return type(thing).__name__

    with Flow("unpicklable") as flow:
        made = makes()
        named = names(made)

    state = world.run(flow)

    if not pickles:
        assert type(state) is Success
        assert state.result[named].result == value
    else:
        assert type(state) is Failed
        assert type(state.result[made]) is Failed
        assert value in (state.result[made].message or "") + str(state.result[made].result)
        assert type(state.result[named]) is TriggerFailed


def test_an_argument_that_cannot_be_pickled_fails_its_task_and_no_other(world: Any, pickles: bool) -> None:
    @task
    def names(thing: Any) -> str:
        return type(thing).__name__

    with Flow("unsendable") as flow:
        bad = names(threading.Lock())
        good = names(1)

    state = world.run(flow)

    assert state.result[good].result == "int"
    if not pickles:
        assert state.result[bad].result == "lock"
    else:
        assert type(state.result[bad]) is Failed
        assert "thing" in (state.result[bad].message or "")


def test_an_exception_that_cannot_travel_is_told_by_a_stand_in(world: Any) -> None:
    @task
    def raises() -> None:
        class Odd(Exception):
            def __init__(self, a: int, b: int) -> None:
                super().__init__("short")
                self.lock = threading.Lock()

        raise Odd(1, 2)

    with Flow("odd") as flow:
        raised = raises()

    state = world.run(flow).result[raised]

    assert type(state) is Failed
    assert "short" in str(state.result)
    assert "Odd" in (state.traceback or "")


def test_reference_tasks_decide_the_outcome(world: Any) -> None:
    from prefectlite.rules.triggers import all_finished

    @task
    def fails() -> None:
        raise ValueError

    @task(trigger=all_finished)
    def report(x: Any) -> str:
        return "written"

    with Flow("reference") as flow:
        failed = fails()
        written = report(failed)
        aside = fails()
    flow.set_reference_tasks([written])

    state = world.run(flow)

    assert type(state) is Success
    assert type(state.result[failed]) is Failed
    assert type(state.result[aside]) is Failed
    assert state.result[written].result == "written"

    flow.set_reference_tasks([failed, written])
    assert type(world.run(flow)) is Failed


def test_a_state_of_a_users_own_class_is_honoured(world: Any) -> None:
    @task
    def body() -> None:
        raise signals.ENDRUN(Skipped("own"))

    @task
    def below(x: Any) -> Any:
        return x

    with Flow("own") as flow:
        last = below(body())

    assert type(world.run(flow).result[last]) is Skipped


class TestRetries:
    @pytest.mark.parametrize(
        ("options", "tries", "expected"),
        [
            ({"max_retries": 2}, 3, "Success"),
            ({"max_retries": 2, "retry_delay": 0}, 3, "Success"),
            ({"max_retries": 2, "retry_delay": dt.timedelta(seconds=0.01)}, 3, "Success"),
            ({"max_retries": 2, "retry_delay": [0.01, 0.02]}, 3, "Success"),
            ({"max_retries": 2, "retry_delay": lambda attempt: attempt / 100}, 3, "Success"),
            ({"max_retries": 1}, 2, "Failed"),
            ({"max_retries": 3, "retry_on": ValueError}, 3, "Success"),
            ({"max_retries": 3, "retry_on": [KeyError, ValueError]}, 3, "Success"),
            ({"max_retries": 3, "retry_on": lambda error: "try" in str(error)}, 3, "Success"),
            ({"max_retries": 3, "retry_on": KeyError}, 1, "Failed"),
            ({"max_retries": 3, "retry_on": lambda error: False}, 1, "Failed"),
            ({"max_retries": 3, "retry_delay": lambda attempt: 1 / 0}, 1, "Failed"),
        ],
    )
    def test_a_task_is_tried_as_often_as_its_options_say(
        self, world: Any, options: dict[str, Any], tries: int, expected: str
    ) -> None:
        from prefectlite import context

        ran = world.ran

        @task(**options)
        def flaky() -> int:
            ran("flaky")
            if context.attempt < 3:
                raise ValueError("try again")
            return int(context.task_run_count)

        @task
        def below(x: int) -> int:
            ran("below")
            return x

        with Flow("retries") as flow:
            tried = flaky()
            below(tried)

        state = world.run(flow)

        assert type(state).__name__ == expected
        assert type(state.result[tried]).__name__ == expected
        assert world.runs() == {"flaky": tries} | ({"below": 1} if expected == "Success" else {})

    def test_the_delay_is_kept_and_others_go_on_meanwhile(self, world: Any) -> None:
        from prefectlite import context

        @task(max_retries=1, retry_delay=0.4)
        def flaky() -> float:
            if context.attempt == 1:
                raise ValueError
            return time.time()

        @task
        def other() -> float:
            return time.time()

        with Flow("delays") as flow:
            slow = flaky()
            fast = other()

        state = world.run(flow)

        assert state.result[slow].result - state.result[fast].result > 0.25

    def test_a_retry_reads_what_the_attempt_before_it_read(self, world: Any) -> None:
        ran = world.ran

        @task
        def made() -> list[int]:
            ran("made")
            return [1, 2]

        @task(max_retries=2)
        def read(x: list[int], y: int, z: dict[str, Any]) -> tuple[Any, ...]:
            if context.attempt < 3:
                raise ValueError(context.attempt)
            return x, y, z

        with Flow("inputs") as flow:
            values = made()
            found = read(values, 3, {"of": values})

        assert world.run(flow).result[found].result == ([1, 2], 3, {"of": [1, 2]})
        assert world.runs() == {"made": 1}

    def test_a_retry_signal_retries_without_a_budget(self, world: Any) -> None:
        from prefectlite import context

        ran = world.ran

        @task
        def asks() -> int:
            ran("asks")
            if context.attempt == 1:
                raise signals.RETRY("once more")
            return 5

        with Flow("asked") as flow:
            asked = asks()

        assert world.run(flow).result[asked].result == 5
        assert world.runs() == {"asks": 2}

    def test_what_a_body_ends_with_endrun_is_not_retried(self, world: Any) -> None:
        ran = world.ran

        @task(max_retries=3)
        def ends() -> None:
            ran("ends")
            raise signals.ENDRUN(Failed("over"))

        with Flow("final") as flow:
            ends()

        assert type(world.run(flow)) is Failed
        assert world.runs() == {"ends": 1}

    def test_a_fail_signal_is_retried(self, world: Any) -> None:
        from prefectlite import context

        @task(max_retries=2, retry_on=signals.FAIL)
        def flaky() -> int:
            if context.attempt == 1:
                raise signals.FAIL("not yet")
            return 1

        with Flow("fails") as flow:
            tried = flaky()

        assert world.run(flow).result[tried].result == 1

    def test_only_the_failed_child_is_tried_again(self, world: Any) -> None:
        from prefectlite import context

        ran = world.ran

        @task(max_retries=1)
        def child(x: int) -> int:
            ran(f"child{x}")
            if x == 1 and context.attempt == 1:
                raise ValueError
            return x * context.attempt

        @task
        def total(values: list[int]) -> int:
            return sum(values)

        with Flow("children") as flow:
            children = child.map([0, 1, 2])
            total(children)

        state = world.run(flow)

        assert state.result[children].result == [0, 2, 2]
        assert world.runs() == {"child0": 1, "child1": 2, "child2": 1}

    def test_many_tasks_that_fail_once_all_succeed(self, world: Any) -> None:
        from prefectlite import context

        ran = world.ran

        @task(max_retries=1)
        def flaky(x: int) -> int:
            ran("flaky")
            if context.attempt == 1:
                raise ValueError
            return x

        with Flow("many") as flow:
            tasks = [flaky(n) for n in range(30)]

        state = world.run(flow)

        assert [state.result[one].result for one in tasks] == list(range(30))
        assert world.runs() == {"flaky": 60}


class TestHandlers:
    def test_handlers_see_every_transition_in_order(self, world: Any) -> None:
        from prefectlite import context

        seen: list[tuple[str, str, str]] = []

        def handler(task_: Any, old: Any, new: Any) -> None:
            seen.append((task_.name, type(old).__name__, type(new).__name__))

        @task(state_handlers=[handler], max_retries=1)
        def flaky() -> int:
            if context.attempt == 1:
                raise ValueError
            return 1

        with Flow("seen") as flow:
            flaky()

        assert type(world.run(flow)) is Success
        assert seen == [
            ("flaky", "Pending", "Running"),
            ("flaky", "Running", "Failed"),
            ("flaky", "Failed", "Retrying"),
            ("flaky", "Retrying", "Running"),
            ("flaky", "Running", "Success"),
        ]

    def test_handlers_may_replace_the_state_one_after_the_other(self, world: Any) -> None:
        def first(task_: Any, old: Any, new: Any) -> Any:
            return Success("mended", result=7) if isinstance(new, Failed) else None

        def second(task_: Any, old: Any, new: Any) -> Any:
            return Success("more", result=new.result + 1) if isinstance(new, Success) else None

        @task(state_handlers=[first, second])
        def fails() -> int:
            raise ValueError

        @task
        def below(x: int) -> int:
            return x * 10

        with Flow("mended") as flow:
            mended = fails()
            last = below(mended)

        state = world.run(flow)

        assert type(state) is Success
        assert state.result[mended].result == 8
        assert state.result[mended].message == "more"
        assert state.result[last].result == 80

    def test_a_handler_may_read_the_result(self, world: Any) -> None:
        seen: list[int] = []

        def handler(task_: Any, old: Any, new: Any) -> None:
            if isinstance(new, Success):
                seen.append(len(new.result))

        @task(state_handlers=[handler])
        def large() -> bytes:
            return b"x" * 100_000

        with Flow("reads") as flow:
            large()

        assert type(world.run(flow)) is Success
        assert seen == [100_000]

    def test_a_handler_that_raises_fails_its_task_and_no_other(self, world: Any) -> None:
        def handler(task_: Any, old: Any, new: Any) -> None:
            if isinstance(new, Success):
                raise RuntimeError("handler broke")

        @task(state_handlers=[handler], max_retries=3)
        def one() -> int:
            return 1

        @task
        def two() -> int:
            return 2

        with Flow("broken") as flow:
            broken, whole = one(), two()

        state = world.run(flow)

        assert type(state.result[broken]) is Failed
        assert "handler broke" in (state.result[broken].message or "")
        assert state.result[whole].result == 2

    @pytest.mark.parametrize(
        ("signal", "expected"),
        [
            (signals.SKIP("no"), Skipped),
            (signals.FAIL("no"), Failed),
            (signals.ENDRUN(Finished("no")), Finished),
        ],
    )
    def test_a_signal_in_a_handler_becomes_the_state(self, world: Any, signal: Any, expected: type) -> None:
        ran = world.ran

        def handler(task_: Any, old: Any, new: Any) -> None:
            if isinstance(new, Running):
                raise signal

        @task(state_handlers=[handler])
        def body() -> None:
            ran("body")

        with Flow("refused") as flow:
            refused = body()

        assert type(world.run(flow).result[refused]) is expected
        assert world.runs() == {}

    def test_parent_and_children_of_a_map_call_their_handlers(self, world: Any) -> None:
        seen: list[tuple[str, str]] = []
        lock = threading.Lock()

        def handler(task_: Any, old: Any, new: Any) -> None:
            with lock:
                seen.append((type(old).__name__, type(new).__name__))

        @task(state_handlers=[handler])
        def child(x: int) -> int:
            return x

        with Flow("family") as flow:
            child.map([1, 2])

        assert type(world.run(flow)) is Success
        assert sorted(seen) == [
            ("Pending", "Mapped"),
            ("Pending", "Running"),
            ("Pending", "Running"),
            ("Running", "Success"),
            ("Running", "Success"),
        ]

    def test_on_failure_is_told_of_final_failures_only(self, world: Any) -> None:
        seen: list[tuple[str, str]] = []

        def told(task_: Any, state: Any) -> None:
            seen.append((task_.name, type(state).__name__))

        @task(on_failure=told, max_retries=2)
        def fails() -> None:
            raise ValueError

        @task(on_failure=told)
        def fine() -> int:
            return 1

        @task(on_failure=told)
        def below(x: Any) -> None:
            raise AssertionError

        with Flow("told") as flow:
            below(fails())
            fine()

        assert type(world.run(flow)) is Failed
        assert sorted(seen) == [("below", "TriggerFailed"), ("fails", "Failed")]

    def test_on_failure_that_raises_changes_nothing(self, world: Any) -> None:
        def told(task_: Any, state: Any) -> None:
            raise RuntimeError("told too much")

        @task(on_failure=told)
        def fails() -> None:
            raise ValueError("first")

        with Flow("told") as flow:
            failed = fails()

        assert str(world.run(flow).result[failed].result) == "first"

    def test_a_delay_before_the_next_attempt_is_a_state_with_a_time(self, world: Any) -> None:
        from prefectlite import context

        starts: list[Any] = []

        def handler(task_: Any, old: Any, new: Any) -> None:
            if isinstance(new, Retrying):
                starts.append(new.start_time)

        @task(state_handlers=[handler], max_retries=1, retry_delay=0.05)
        def flaky() -> int:
            if context.attempt == 1:
                raise ValueError
            return 1

        with Flow("times") as flow:
            flaky()
        before = dt.datetime.now(dt.UTC)

        assert type(world.run(flow)) is Success
        assert starts[0] > before + dt.timedelta(seconds=0.05)
