"""Every trigger against an independent, naive reading of the reference's table."""

import math
import pickle
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.errors import DefinitionError, DefinitionTypeError, TaskError
from prefectlite.rules import triggers
from prefectlite.rules.tally import Tally
from prefectlite.rules.triggers import Trigger
from prefectlite.rules.verdict import Become, Proceed
from prefectlite.states import (
    Cached,
    Cancelled,
    Crashed,
    Failed,
    Mapped,
    Paused,
    Pending,
    Skipped,
    State,
    Success,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
)
from prefectlite.states.signals import PAUSE, SKIP, TRIGGERFAIL, Signal

BUILTIN = (
    triggers.all_successful,
    triggers.all_failed,
    triggers.all_finished,
    triggers.any_successful,
    triggers.any_failed,
    triggers.not_all_skipped,
    triggers.manual_only,
    triggers.some_failed(),
    triggers.some_failed(at_least=1, at_most=0.5),
    triggers.some_successful(at_most=2),
    triggers.some_successful(at_least=1.0),
)

ENDS = (Success, Cached, Skipped, Failed, TimedOut, TriggerFailed, ValidationFailed, Crashed, Cancelled)
ends = st.sampled_from(ENDS).map(lambda cls: cls())
# As users know them: direct upstreams, each a plain end or a map of ends.
upstreams = st.lists(ends | st.lists(ends, max_size=4).map(lambda c: Mapped(map_states=c)), max_size=6)
bounds = st.none() | st.integers(0, 8) | st.floats(0, 1) | st.integers(0, 100).map(lambda n: n / 100)


def outcome(trigger: Trigger, states: Sequence[State]) -> type[State] | None:
    """The class of state that the trigger orders; None if it lets the run go on."""
    verdict = trigger.decide(Tally.of(states))
    return type(verdict.state) if isinstance(verdict, Become) else None


def expand(states: list[State]) -> list[State]:
    out: list[State] = []
    for state in states:
        out.extend(state.map_states if isinstance(state, Mapped) else [state])
    return out


SIGNALS: dict[type[State], type[Signal]] = {TriggerFailed: TRIGGERFAIL, Skipped: SKIP, Paused: PAUSE}
NAIVE: dict[str, Callable[[list[State]], bool]] = {
    "all_successful": lambda s: all(x.is_successful() for x in s),
    "all_failed": lambda s: all(x.is_failed() for x in s),
    "all_finished": lambda s: all(x.is_finished() for x in s),
    "any_successful": lambda s: any(x.is_successful() for x in s),
    "any_failed": lambda s: any(x.is_failed() for x in s),
}


@pytest.mark.parametrize("name", NAIVE)
@given(states=upstreams)
def test_all_and_any_triggers_pass_as_all_and_any_do(name: str, states: list[State]) -> None:
    passes = not states or NAIVE[name](expand(states))
    assert outcome(getattr(triggers, name), states) == (None if passes else TriggerFailed)


@given(states=upstreams)
def test_not_all_skipped_skips_when_all_are_and_else_asks_for_success(states: list[State]) -> None:
    leaves = expand(states)
    if all(leaf.is_skipped() for leaf in leaves):
        expected: type[State] | None = Skipped
    elif all(leaf.is_successful() for leaf in leaves):
        expected = None
    else:
        expected = TriggerFailed
    assert outcome(triggers.not_all_skipped, states) == expected


@given(states=upstreams)
def test_manual_only_pauses_whatever_the_upstreams_did(states: list[State]) -> None:
    assert outcome(triggers.manual_only, states) == Paused


def within(low: Any, high: Any, count: int, total: int) -> bool:
    """The table's ``lo <= count <= hi``, with fractions as they are written in decimal."""

    def number(bound: Any) -> Decimal:
        return Decimal(bound) if type(bound) is int else Decimal(repr(bound)) * total

    return (low is None or number(low) <= count) and (high is None or count <= number(high))


@pytest.mark.parametrize(
    ("factory", "counts"),
    [
        (triggers.some_failed, lambda leaf: leaf.is_failed()),
        (triggers.some_successful, lambda leaf: leaf.is_successful()),
    ],
)
@given(states=upstreams, low=bounds, high=bounds)
def test_some_triggers_compare_a_count_with_their_bounds(
    factory: Any, counts: Any, states: list[State], low: Any, high: Any
) -> None:
    if type(low) is type(high) and low is not None and low > high:
        with pytest.raises(DefinitionError, match="can never pass"):
            factory(low, high)
        return
    leaves = expand(states)
    passes = not states or within(low, high, sum(map(counts, leaves)), len(leaves))
    assert outcome(factory(low, high), states) == (None if passes else TriggerFailed)


@pytest.mark.parametrize(
    ("trigger", "without_upstreams", "with_an_empty_map"),
    [
        (triggers.all_successful, None, None),
        (triggers.all_failed, None, None),
        (triggers.all_finished, None, None),
        (triggers.always_run, None, None),
        (triggers.any_successful, None, TriggerFailed),
        (triggers.any_failed, None, TriggerFailed),
        (triggers.some_failed(at_least=1), None, TriggerFailed),
        (triggers.some_successful(at_least=1), None, TriggerFailed),
        (triggers.some_successful(at_least=0.5), None, None),
        (triggers.some_successful(at_most=0), None, None),
        (triggers.not_all_skipped, Skipped, Skipped),
        (triggers.manual_only, Paused, Paused),
    ],
    ids=lambda value: repr(value) if isinstance(value, Trigger) else None,
)
def test_the_columns_for_no_upstreams_and_for_an_empty_map_hold(
    trigger: Trigger, without_upstreams: Any, with_an_empty_map: Any
) -> None:
    assert outcome(trigger, []) == without_upstreams
    assert outcome(trigger, [Mapped()]) == with_an_empty_map


def test_an_int_counts_and_a_float_is_a_fraction() -> None:
    one_of_three = [Success(), Failed(), Failed()]
    assert outcome(triggers.some_successful(at_least=1), one_of_three) is None
    assert outcome(triggers.some_successful(at_least=1.0), one_of_three) is TriggerFailed


@pytest.mark.parametrize("hundredths", range(101))
def test_a_fraction_of_a_hundred_means_the_number_that_it_reads_as(hundredths: int) -> None:
    share = hundredths / 100
    exact = Tally(total=100, finished=100, successful=hundredths, failed=100 - hundredths)
    assert isinstance(triggers.some_successful(at_least=share, at_most=share).decide(exact), Proceed)


def test_a_cancelled_upstream_is_neither_a_success_nor_a_failure() -> None:
    assert outcome(triggers.all_successful, [Cancelled()]) is TriggerFailed
    assert outcome(triggers.any_failed, [Cancelled()]) is TriggerFailed
    assert outcome(triggers.all_finished, [Cancelled()]) is None


def test_an_upstream_that_has_not_ended_stops_even_all_finished() -> None:
    verdict = triggers.all_finished.decide(Tally.of([Success(), Pending()]))
    assert isinstance(verdict, Become)
    assert "1 did not end" in str(verdict.state.message)


def test_the_same_state_object_twice_counts_twice() -> None:
    failed = Failed()
    assert outcome(triggers.some_failed(at_least=2), [failed, failed]) is None


def test_always_run_is_all_finished() -> None:
    assert triggers.always_run is triggers.all_finished


def test_a_trigger_has_the_name_of_a_function() -> None:
    assert (triggers.any_failed.__name__, type(triggers.any_failed).__name__) == ("any_failed", "_Counting")


def test_only_all_successful_may_be_lowered_ahead() -> None:
    assert [t.name for t in BUILTIN if t.lowers_ahead] == ["all_successful"]


@pytest.mark.parametrize("trigger", BUILTIN, ids=repr)
def test_a_trigger_survives_pickling_as_an_equal_with_the_same_hash(trigger: Trigger) -> None:
    copy = pickle.loads(pickle.dumps(trigger))
    assert copy == trigger
    assert hash(copy) == hash(trigger)
    assert len(set(BUILTIN)) == len(BUILTIN)


def test_a_trigger_is_immutable() -> None:
    with pytest.raises(AttributeError):
        triggers.all_failed.name = "mine"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("trigger", "states", "text"),
    [
        (
            triggers.all_successful,
            [Success(), Skipped(), Failed(), Cancelled()],
            (
                "Trigger all_successful asks that all upstreams succeed, "
                "but of 4: 2 succeeded (1 of them skipped), 1 failed, 1 ended otherwise."
            ),
        ),
        (
            triggers.any_failed,
            [Mapped()],
            "Trigger any_failed asks that at least 1 of the upstreams fail, but there are none.",
        ),
        (
            triggers.some_failed(at_least=1, at_most=0.5),
            [Failed()],
            (
                "Trigger some_failed(at_least=1, at_most=0.5) asks that at least 1 and at most 50 % of the "
                "upstreams fail, but of 1: 0 succeeded, 1 failed."
            ),
        ),
        (
            triggers.not_all_skipped,
            [Failed()],
            "Trigger not_all_skipped asks that all upstreams succeed, but of 1: 0 succeeded, 1 failed.",
        ),
        (
            triggers.not_all_skipped,
            [Skipped(), Skipped()],
            "Trigger not_all_skipped skips the run: all of its 2 upstreams were skipped.",
        ),
        (triggers.not_all_skipped, [], "Trigger not_all_skipped skips the run: it has no upstreams."),
        (triggers.manual_only, [], "Trigger manual_only waits for approval."),
    ],
)
def test_a_refusal_says_what_was_asked_and_what_was_found(
    trigger: Trigger, states: list[State], text: str
) -> None:
    verdict = trigger.decide(Tally.of(states))
    assert isinstance(verdict, Become)
    assert verdict.state.message == verdict.why.text == text
    assert verdict.why.rule == "trigger"


def test_a_reason_carries_the_counts_that_were_read() -> None:
    verdict = triggers.all_finished.decide(Tally.of([Success(), Skipped(), Failed()]))
    assert isinstance(verdict, Proceed)
    assert dict(verdict.why.read) == {
        "upstreams": "3",
        "finished": "3",
        "successful": "2",
        "failed": "1",
        "skipped": "1",
    }
    assert verdict.why.text == "Trigger all_finished passed: of 3: 2 succeeded (1 of them skipped), 1 failed."


def test_a_trigger_failed_state_holds_an_exception_for_a_downstream_that_runs_all_the_same() -> None:
    verdict = triggers.all_successful.decide(Tally.of([Failed()]))
    assert isinstance(verdict, Become)
    assert isinstance(verdict.state.result, TaskError)
    assert verdict.state.result.type_name == "TriggerFailed"


@given(states=upstreams)
def test_called_with_a_mapping_a_trigger_answers_as_in_prefect_1(states: list[State]) -> None:
    edges = dict(enumerate(states))
    for trigger in BUILTIN:
        ordered = outcome(trigger, states)
        if ordered is None:
            assert trigger(edges) is True
        else:
            with pytest.raises(SIGNALS[ordered]) as caught:
                trigger(edges)
            assert type(caught.value.state) is ordered
            assert caught.value.state.message == str(caught.value)


@pytest.mark.parametrize("given", [3, [Success()], {"load": 3}])
def test_called_with_something_else_a_trigger_says_what_it_takes(given: Any) -> None:
    with pytest.raises(
        DefinitionTypeError, match=r"any_failed was called with .*; give the upstreams' states"
    ):
        triggers.any_failed(given)


@pytest.mark.parametrize("factory", [triggers.some_failed, triggers.some_successful])
@pytest.mark.parametrize("key", ["at_least", "at_most"])
class TestBounds:
    @pytest.mark.parametrize("bad", [-1, -0.1, 1.5, 3.0, math.nan, math.inf, Fraction(3, 2)])
    def test_a_number_out_of_range_is_refused(self, factory: Any, key: str, bad: Any) -> None:
        with pytest.raises(DefinitionError, match=rf"{factory.__name__}\({key}="):
            factory(**{key: bad})

    @pytest.mark.parametrize("bad", [True, False, "1", [1], 1j])
    def test_what_is_no_number_is_refused(self, factory: Any, key: str, bad: Any) -> None:
        with pytest.raises(DefinitionTypeError, match=rf"not a {type(bad).__name__}"):
            factory(**{key: bad})

    def test_a_float_above_one_is_told_how_to_be_a_count(self, factory: Any, key: str) -> None:
        with pytest.raises(DefinitionError, match="for a count, give the int 3"):
            factory(**{key: 3.0})

    def test_numbers_of_numpy_and_fractions_are_taken_for_what_they_are(self, factory: Any, key: str) -> None:
        assert factory(**{key: np.int64(1)}) == factory(**{key: 1})
        assert factory(**{key: np.float64(0.5)}) == factory(**{key: Fraction(1, 2)}) == factory(**{key: 0.5})
