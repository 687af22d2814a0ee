"""Counting upstream states: children of maps one by one, nothing through a set."""

from hypothesis import given
from hypothesis import strategies as st

from prefectlite.rules.tally import Tally
from prefectlite.states import (
    Cached,
    Cancelled,
    Crashed,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Running,
    Skipped,
    State,
    Success,
    TimedOut,
    TriggerFailed,
)

LEAVES = (
    Success,
    Cached,
    Skipped,
    Failed,
    TimedOut,
    TriggerFailed,
    Crashed,
    Cancelled,
    Looped,
    Pending,
    Paused,
    Running,
    Finished,
)
leaves = st.sampled_from(LEAVES).map(lambda cls: cls())
states = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4).map(lambda c: Mapped(map_states=c)))


def flatten(state: State) -> list[State]:
    """All leaves of a state, as somebody would list them who does not know Tally."""
    if not isinstance(state, Mapped):
        return [state]
    return [leaf for child in state.map_states for leaf in flatten(child)]


@given(st.lists(states, max_size=8))
def test_a_tally_counts_every_leaf_once(upstreams: list[State]) -> None:
    all_leaves = [leaf for state in upstreams for leaf in flatten(state)]
    tally = Tally.of(upstreams)
    assert tally.total == len(all_leaves)
    assert tally.finished == sum(leaf.is_finished() for leaf in all_leaves)
    assert tally.successful == sum(leaf.is_successful() for leaf in all_leaves)
    assert tally.failed == sum(leaf.is_failed() for leaf in all_leaves)
    assert tally.skipped == sum(leaf.is_skipped() for leaf in all_leaves)


@given(st.lists(states, max_size=6), st.lists(states, max_size=6))
def test_merged_tallies_count_what_both_counted(left: list[State], right: list[State]) -> None:
    merged = Tally.of(left)
    merged.merge(Tally.of(right))
    assert merged == Tally.of([*left, *right])


@given(leaves, st.integers(0, 5))
def test_counting_a_state_several_times_is_counting_it_again_and_again(state: State, times: int) -> None:
    at_once = Tally()
    at_once.add(state, times)
    assert at_once == Tally.of([state] * times)


def test_the_same_state_object_counts_each_time_it_is_met() -> None:
    failed = Failed()
    assert Tally.of([failed, failed, Success()]).failed == 2


def test_an_empty_map_is_in_no_count_but_its_own() -> None:
    assert Tally.of([Mapped(), Mapped(map_states=[])]) == Tally(empty_maps=2)


def test_a_map_whose_children_are_elsewhere_counts_as_the_success_that_it_says_it_is() -> None:
    assert Tally.of([Mapped(n_map_states=3)]) == Tally(total=1, finished=1, successful=1)


def test_a_users_own_class_counts_as_its_ancestors_do() -> None:
    class Late(Failed):
        pass

    assert Tally.of([Late()]).failed == 1
