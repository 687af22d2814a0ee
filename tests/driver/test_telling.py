"""Of which task runs it is told what becomes of them: of so many a second, to their end; and of the rest in numbers."""

from __future__ import annotations

import math
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.driver.telling import PERIOD, SAVED, Allowance, Telling
from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.rules.verdict import Reason
from prefectlite.states import Pending, Retrying, Running, State, Success
from prefectlite.states.keys import RunKey

WHY = Reason("event", "a test")


def change(run: int, new: State, slug: str = "load-1") -> Transition:
    return Transition(0.0, run, RunKey(slug) if run >= 0 else RunKey(""), 1, Pending(), new, WHY)


def many(runs: range, new: State) -> TransitionMany:
    return TransitionMany([0.0] * len(runs), runs, "map-1", 0, 1, Pending(), new, WHY)


def told(
    telling: Telling, *changes: Transition | TransitionMany | TransitionEach, now: float = 0.0
) -> list[tuple[int, str]]:
    each = chain.from_iterable(
        [one] if isinstance(one, Transition) else one for one in telling.chosen(changes, now)
    )
    return [(one.run, type(one.new).__name__) for one in each]


def each(*runs: int, new: State | None = None) -> TransitionEach:
    """Of separate tasks that landed together; the one with the number 1 is no news."""
    keys, count = [RunKey("n" if run == 1 else "load-1") for run in runs], len(runs)
    return TransitionEach([0.0] * count, runs, keys, [1] * count, Pending(), new or Success(), [WHY] * count)


def telling(per_second: float = 0.2) -> Telling:
    return Telling(per_second, {"load-1", "map-1"})


@given(st.floats(0, 100), st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50)), max_size=30))
def test_an_allowance_is_never_exceeded(per_second: float, steps: list[tuple[float, int]]) -> None:
    allowance, now, taken = Allowance(per_second), 0.0, 0
    for pause, wanted in steps:
        now += pause
        taken += sum(allowance.take(now) for _ in range(wanted))
        assert taken <= (SAVED + now) * per_second + 1e-6


def test_an_allowance_that_is_used_up_grows_again_as_far_as_it_is_saved() -> None:
    allowance = Allowance(1)
    assert [allowance.take(0.0) for _ in range(11)] == [True] * 10 + [False]
    assert [allowance.take(now) for now in (0.5, 1.0, 1.5, 0.0)] == [False, True, False, False]
    assert [allowance.take(1000.0) for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.parametrize(("per_second", "through"), [(0, 0), (math.inf, 1000)])
def test_an_allowance_may_be_none_or_have_no_end(per_second: float, through: int) -> None:
    allowance = Allowance(per_second)
    assert sum(allowance.take(now / 100) for now in range(1000)) == through


def test_a_run_is_told_to_its_end_once_it_has_begun_to_be() -> None:
    some = telling()
    assert told(some, *(change(run, Running()) for run in range(4))) == [(0, "Running"), (1, "Running")]
    assert told(some, *(change(run, Success()) for run in range(4))) == [(0, "Success"), (1, "Success")]
    # Later there is room again; what was left out before is told from then on.
    assert told(some, change(2, Retrying()), now=5.0) == [(2, "Retrying")]
    assert told(some, change(3, Success()), change(2, Success()), now=5.0) == [(2, "Success")]


def test_a_start_that_is_told_when_the_body_is_heard_is_not_told_again() -> None:
    some = telling()
    assert [some.begins(1, "load-1", 0.0) for _ in range(2)] == [True, False]
    assert told(some, change(1, Running()), change(1, Retrying())) == [(1, "Retrying")]
    assert some.begins(1, "load-1", 0.0)
    assert some.begins(10, "map-1", 0.0)
    assert told(some, many(range(10, 12), Running()), many(range(10, 12), Success())) == [(10, "Success")]
    # What is no news is none when it is heard, and neither is what there is no room for.
    assert not some.begins(3, "n", 100.0)
    assert not some.begins(4, "load-1", 0.0)


def test_a_start_that_was_told_is_not_told_again_when_the_body_is_heard() -> None:
    some = telling()
    assert told(some, change(1, Running()), many(range(10, 12), Running())) == [
        (1, "Running"),
        (10, "Running"),
    ]
    assert not some.begins(1, "load-1", 0.0)
    assert not some.begins(10, "map-1", 0.0)


def test_of_many_the_first_are_told_and_those_that_are_known() -> None:
    some = telling()
    assert told(some, many(range(10, 1_000_000), Running())) == [(10, "Running"), (11, "Running")]
    assert told(some, many(range(11, 14), Success()), many(range(10, 11), Success())) == [
        (11, "Success"),
        (10, "Success"),
    ]
    assert told(some, many(range(14, 16), Success()), now=5.0) == [(14, "Success")]


def test_of_separate_tasks_that_landed_together_some_are_no_news() -> None:
    some = telling()
    assert told(some, change(4, Running())) == [(4, "Running")]
    assert told(some, each(1, 2, 3, 4, 5)) == [(2, "Success"), (4, "Success")]
    assert told(some, each(1, 2, 3), now=5.0) == [(2, "Success")]


def test_where_all_are_told_those_of_many_stay_together() -> None:
    every = telling(math.inf)
    groups = [many(range(10, 1000), Running()), each(2, 3, new=Running()), many(range(10, 1000), Success())]
    assert list(every.chosen(groups, 0.0)) == groups
    silent = TransitionMany([0.0], range(5, 6), "n", 0, 1, Pending(), Success(), WHY)
    assert told(every, silent, each(1, 2, 3)) == [(2, "Success"), (3, "Success")]


def test_where_all_are_told_a_start_is_told_once_too() -> None:
    every = telling(math.inf)
    assert every.begins(11, "map-1", 0.0)
    assert told(every, many(range(10, 13), Running())) == [(10, "Running"), (12, "Running")]
    assert not any(every.begins(run, "map-1", 0.0) for run in (10, 11, 12))
    assert told(every, many(range(10, 13), Retrying())) == [(run, "Retrying") for run in (10, 11, 12)]
    # Another attempt begins.
    assert every.begins(2, "load-1", 0.0)
    assert every.begins(11, "map-1", 0.0)
    assert told(every, each(1, 2, 3, new=Running())) == [(3, "Running")]
    assert told(every, many(range(11, 12), Running()), many(range(11, 12), Success())) == [(11, "Success")]


def test_the_flow_is_always_told_and_what_only_carries_a_value_never() -> None:
    none = telling(0.0)
    assert told(none, change(-1, Running()), change(3, Running())) == [(-1, "Running")]
    some = telling(math.inf)
    assert told(some, change(1, Success(), "n"), change(2, Success())) == [(2, "Success")]


def test_numbers_are_due_where_something_was_left_out_now_and_then_and_at_the_end() -> None:
    some = telling()
    assert told(some, change(1, Success())) == [(1, "Success")]
    assert not some.sum_is_due(100.0, at_last=True)
    told(some, many(range(10), Success()), now=100.0)
    assert some.sum_is_due(100.0)
    told(some, many(range(10, 20), Success()), now=101.0)
    assert not some.sum_is_due(101.0)
    assert some.sum_is_due(100.0 + PERIOD)
    assert not some.sum_is_due(200.0, at_last=True)
    told(some, many(range(20, 90), Success()), now=200.0)
    assert some.sum_is_due(201.0, at_last=True)
