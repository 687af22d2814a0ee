"""Maps: their widths, their children, what is below them, and what an empty one means."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite import Flow, Parameter, flatten, mapped, signals, task, unmapped
from prefectlite.rules import triggers
from prefectlite.states import Failed, Mapped, Skipped, Success, TriggerFailed


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def double(x: int) -> int:
    return 2 * x


@task
def add(x: int, y: int) -> int:
    return x + y


@task
def total(values: list[int]) -> int:
    return sum(values)


def test_a_map_runs_once_per_item_and_a_reduce_gathers_them(world: Any) -> None:
    ran = world.ran

    @task
    def counted(x: int) -> int:
        ran("counted")
        return x + 1

    with Flow("map") as flow:
        children = counted.map(numbers(5))
        reduced = total(children)

    state = world.run(flow)

    assert type(state) is Success
    assert type(state.result[children]) is Mapped
    assert state.result[children].n_map_states == 5
    assert state.result[children].result == [1, 2, 3, 4, 5]
    assert [type(child) for child in state.result[children].map_states] == [Success] * 5
    assert state.result[reduced].result == 15
    assert world.runs() == {"counted": 5}


@pytest.mark.parametrize(
    "build",
    [
        lambda: double.map([0, 1, 2]),
        lambda: double.map((0, 1, 2)),
        lambda: double.map(range(3)),
        lambda: double.map(numbers(3)),
        lambda: double.map([total([0]), 1, 2]),
        lambda: double(mapped([0, 1, 2])),
        lambda: double.map(x=numbers(3)),
        lambda: add.map([0, 1, 2], [0, 1, 2]),
        lambda: add.map(numbers(3), y=[0, 1, 2]),
        lambda: add.map([-1, 1, 3], unmapped(1)),
        lambda: add.map([-3, -1, 1], unmapped(total([1, 2]))),
        lambda: double.map(flatten([[0, 1], [2]])),
        lambda: double.map(flatten([numbers(2), [2]])),
        lambda: double.map(double.map([0, 0.5, 1])),
    ],
)
def test_everything_that_can_be_mapped_over_gives_the_same_children(world: Any, build: Any) -> None:
    with Flow("same") as flow:
        children = build()

    state = world.run(flow)

    assert type(state) is Success, state.result
    assert state.result[children].result == [0, 2, 4]


def test_a_map_over_a_parameter_has_its_width(world: Any) -> None:
    with Flow("width") as flow:
        doubled = double.map(Parameter("xs", default=[1]))

    assert world.run(flow).result[doubled].result == [2]
    assert world.run(flow, xs=[1, 2, 3]).result[doubled].result == [2, 4, 6]


def test_a_map_of_a_map_pairs_the_children(world: Any) -> None:
    ran = world.ran

    @task
    def first(x: int) -> int:
        ran(f"first{x}")
        if x == 1:
            raise ValueError("one")
        if x == 2:
            raise signals.SKIP("two")
        return x

    @task
    def second(x: int) -> int:
        ran(f"second{x}")
        return 10 * x

    with Flow("pairs") as flow:
        above = first.map([0, 1, 2, 3])
        below = second.map(above)

    state = world.run(flow)

    assert [type(child) for child in state.result[above].map_states] == [Success, Failed, Skipped, Success]
    assert [type(child) for child in state.result[below].map_states] == [
        Success,
        TriggerFailed,
        Skipped,
        Success,
    ]
    assert [child.result for child in state.result[below].map_states][::3] == [0, 30]
    assert type(state) is Failed
    assert world.runs() == {"first0": 1, "first1": 1, "first2": 1, "first3": 1, "second0": 1, "second3": 1}


def test_a_tolerant_reduce_gets_exceptions_and_nones_in_index_order(world: Any) -> None:
    @task
    def child(x: int) -> int:
        if x == 1:
            raise ValueError("one")
        if x == 2:
            raise signals.SKIP
        return x

    @task(trigger=triggers.all_finished, skip_on_upstream_skip=False)
    def gather(values: list[Any]) -> list[str]:
        return [repr(value) for value in values]

    with Flow("tolerant") as flow:
        gathered = gather(child.map([0, 1, 2, 3]))

    state = world.run(flow)

    assert type(state) is Success
    assert state.result[gathered].result == ["0", "ValueError('one')", "None", "3"]


@pytest.mark.parametrize(("bad", "expected"), [(ValueError, TriggerFailed), (signals.SKIP, Skipped)])
def test_a_reduce_by_default_follows_its_worst_child(world: Any, bad: Any, expected: type) -> None:
    @task
    def child(x: int) -> int:
        if x == 1:
            raise bad("one")
        return x

    with Flow("worst") as flow:
        reduced = total(child.map([0, 1, 2]))

    assert type(world.run(flow).result[reduced]) is expected


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (triggers.all_successful, "Success"),
        (triggers.all_failed, "Success"),
        (triggers.all_finished, "Success"),
        (triggers.any_successful, "TriggerFailed"),
        (triggers.any_failed, "TriggerFailed"),
        (triggers.not_all_skipped, "Skipped"),
        (triggers.some_successful(at_least=1), "TriggerFailed"),
        (triggers.some_failed(at_most=1), "Success"),
    ],
)
def test_an_empty_map_has_no_children_and_its_reduce_goes_by_its_trigger(
    world: Any, trigger: Any, expected: str
) -> None:
    @task(trigger=trigger)
    def gather(values: list[int]) -> int:
        return len(values)

    with Flow("empty") as flow:
        children = double.map(numbers(0))
        below = double.map(children)
        gathered = gather(below)

    state = world.run(flow)

    assert type(state.result[children]) is Mapped
    assert state.result[children].result == []
    assert state.result[below].n_map_states == 0
    assert type(state.result[gathered]).__name__ == expected
    if expected == "Success":
        assert state.result[gathered].result == 0


def test_unequal_lengths_fail_the_map_and_name_the_inputs(world: Any) -> None:
    ran = world.ran

    @task
    def pair(a: int, b: int) -> int:
        ran("pair")
        return a + b

    with Flow("unequal") as flow:
        paired = pair.map(numbers(3), [1, 2])

    state = world.run(flow)

    assert type(state.result[paired]) is Failed
    message = state.result[paired].message or ""
    assert all(text in message for text in ("'a'", "'b'", "3", "2")), message
    assert world.runs() == {}


def test_unequal_lengths_stop_at_the_shortest_where_the_task_says_so(world: Any) -> None:
    with Flow("shortest") as flow:
        paired = add.map(numbers(3), [1, 2], task_args={"map_lengths": "shortest"})

    assert world.run(flow).result[paired].result == [1, 3]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: {1, 2}, "set"),
        (lambda: {"a": 1}, "dict"),
        (lambda: None, "None"),
        (lambda: 5, "int"),
    ],
)
def test_what_cannot_be_mapped_over_fails_the_map_alone(world: Any, make: Any, word: str) -> None:
    @task
    def makes() -> Any:
        return make()

    @task
    def other() -> int:
        return 1

    with Flow("unmappable") as flow:
        children = double.map(makes())
        fine = other()

    state = world.run(flow)

    assert type(state.result[children]) is Failed
    assert word in (state.result[children].message or "")
    assert state.result[fine].result == 1


def test_a_string_maps_over_its_characters(world: Any) -> None:
    @task
    def word() -> str:
        return "abc"

    @task
    def upper(x: str) -> str:
        return x.upper()

    with Flow("characters") as flow:
        letters = upper.map(word())

    assert world.run(flow).result[letters].result == ["A", "B", "C"]


def test_an_array_maps_over_its_first_axis(world: Any) -> None:
    numpy = pytest.importorskip("numpy")

    @task
    def rows() -> Any:
        import numpy as np

        return np.arange(6).reshape(3, 2)

    @task
    def summed(x: Any) -> int:
        return int(x.sum())

    with Flow("array") as flow:
        sums = summed.map(rows())
        same = summed.map(numpy.arange(6).reshape(3, 2))

    state = world.run(flow)

    assert state.result[sums].result == [1, 5, 9]
    assert state.result[same].result == [1, 5, 9]


def test_flatten_unnests_one_level_of_values_and_of_maps(world: Any) -> None:
    @task
    def nested() -> list[list[int]]:
        return [[1, 2], [], [3]]

    @task
    def spread(x: int) -> list[int]:
        return [x] * x

    with Flow("flat") as flow:
        flat = double.map(flatten(nested()))
        of_map = double.map(flatten(spread.map([1, 0, 2])))
        reduced = total(flatten(spread.map([1, 2, 3])))

    state = world.run(flow)

    assert state.result[flat].result == [2, 4, 6]
    assert state.result[of_map].result == [2, 4, 4]
    assert state.result[reduced].result == 1 + 4 + 9


def test_a_failed_map_source_fails_the_map(world: Any) -> None:
    @task
    def broken() -> list[int]:
        raise ValueError

    with Flow("source") as flow:
        children = double.map(broken())
        below = total(children)

    state = world.run(flow)

    assert state.result[children].is_failed()
    assert type(state.result[below]) is TriggerFailed


def test_a_skipped_map_source_skips_the_map(world: Any) -> None:
    @task
    def nothing() -> list[int]:
        raise signals.SKIP

    with Flow("source") as flow:
        children = double.map(nothing())
        below = total(children)

    state = world.run(flow)

    assert type(state.result[children]) is Skipped
    assert type(state.result[below]) is Skipped


def test_an_unmapped_failure_reaches_every_child(world: Any) -> None:
    @task
    def broken() -> int:
        raise ValueError

    with Flow("unmapped") as flow:
        children = add.map([1, 2], unmapped(broken()))

    state = world.run(flow)

    assert [type(child) for child in state.result[children].map_states] == [TriggerFailed] * 2


def test_upstream_tasks_of_a_map_come_first_and_move_no_value(world: Any) -> None:
    seen = world.ran

    @task
    def first() -> None:
        seen("first")

    @task
    def paired(x: int) -> int:
        seen("paired")
        return x

    with Flow("upstream") as flow:
        above = paired.map([1, 2])
        children = double.map([1, 2], upstream_tasks=[first(), above])

    state = world.run(flow)

    assert state.result[children].result == [2, 4]
    assert world.runs() == {"first": 1, "paired": 2}


def test_children_know_their_index(world: Any) -> None:
    @task
    def index(x: str) -> tuple[Any, str]:
        from prefectlite import context

        return context.map_index, context.task_full_name

    @task
    def alone() -> Any:
        from prefectlite import context

        return context.map_index

    with Flow("index") as flow:
        children = index.map(["a", "b"])
        single = alone()

    state = world.run(flow)

    assert state.result[children].result == [(0, "index[0]"), (1, "index[1]")]
    assert state.result[single].result is None


def test_a_map_with_retries_and_a_custom_trigger_keeps_its_children_apart(world: Any) -> None:
    from prefectlite import context

    ran = world.ran

    def patient(upstream_states: Any) -> bool:
        return all(state.is_finished() for state in upstream_states.values())

    @task(max_retries=1)
    def above(x: int) -> int:
        ran("above")
        if x and context.attempt == 1:
            raise ValueError(x)
        if x == 2:
            raise KeyError(x)
        return x

    @task(trigger=patient)
    def below(x: Any) -> str:
        ran("below")
        return type(x).__name__

    with Flow("apart") as flow:
        last = below.map(above.map([0, 1, 2]))

    assert world.run(flow).result[last].result == ["int", "int", "KeyError"]
    assert world.runs() == {"above": 5, "below": 3}


def test_a_wide_map_of_maps_ends(world: Any) -> None:
    with Flow("wide") as flow:
        last = total(double.map(double.map(numbers(200))))

    assert world.run(flow).result[last].result == 4 * sum(range(200))


def test_a_value_that_a_state_handler_gave_maps_too(world: Any) -> None:
    def mends(task_: Any, old: Any, new: Any) -> Any:
        return Success("mended", result=[1, 2, 3]) if isinstance(new, Failed) else None

    @task(state_handlers=[mends])
    def broken() -> list[int]:
        raise ValueError

    with Flow("given") as flow:
        given = broken()
        doubled = double.map(given)
        summed = total(doubled)

    state = world.run(flow)

    assert state.result[given].result == [1, 2, 3]
    assert state.result[doubled].result == [2, 4, 6]
    assert state.result[summed].result == 12
