"""The law of state changes: complete, and no wider than the life of a run."""

from itertools import pairwise

import pytest

from prefectlite.states import (
    Cached,
    Cancelled,
    Cancelling,
    ClientFailed,
    Crashed,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Queued,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Submitted,
    Success,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
)
from prefectlite.states.transitions import LAW, builtin_ancestor, may_become

BUILTIN = [c for c in State.children(include_self=True) if c.__module__ == State.__module__]
WAITS = (Pending, Scheduled, Paused, Resume, Retrying)
#: Ends that nothing follows; Success and Cached have one exit of their own.
DEAD_ENDS = (Skipped, Mapped, Cancelled, Finished)


def exits(cls: type[State]) -> set[type[State]]:
    return {new for new in BUILTIN if may_become(cls, new)}


def test_every_class_but_the_base_can_be_reached_from_pending() -> None:
    reached: set[type[State]] = {Pending}
    while more := {new for old in reached for new in exits(old)} - reached:
        reached |= more
    assert reached == set(BUILTIN) - {State}


def test_the_law_speaks_of_built_in_classes_only() -> None:
    names = {cls.__name__ for cls in BUILTIN}
    assert {name for pair in LAW for name in pair} == names - {"State"}


def test_every_row_has_a_reason_in_a_sentence() -> None:
    assert all(reason.endswith(".") and len(reason) > 10 for reason in LAW.values())


def test_the_law_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        LAW["Success", "Running"] = "please"  # type: ignore[index]


def test_nothing_becomes_the_base_and_the_base_becomes_nothing() -> None:
    assert exits(State) == set()
    assert not any(may_become(old, State) for old in BUILTIN)


@pytest.mark.parametrize("wrapper", [Submitted, Queued, ClientFailed])
def test_no_run_is_in_a_state_that_wraps_another(wrapper: type[State]) -> None:
    assert exits(wrapper) == set()
    assert not any(may_become(old, wrapper) for old in BUILTIN)


@pytest.mark.parametrize("end", DEAD_ENDS)
def test_what_has_ended_stays(end: type[State]) -> None:
    assert exits(end) == set()


@pytest.mark.parametrize("end", [Success, Cached])
def test_a_lost_result_is_the_one_exit_of_a_success(end: type[State]) -> None:
    assert exits(end) == {Crashed}


@pytest.mark.parametrize("wait", WAITS)
def test_a_run_that_waits_may_run_end_or_wait_otherwise(wait: type[State]) -> None:
    assert exits(wait) >= {
        Running,
        Success,
        Cached,
        Skipped,
        Mapped,
        Failed,
        TriggerFailed,
        Crashed,
        Cancelled,
    }
    assert exits(wait) >= {Scheduled, Paused, Retrying}
    assert not exits(wait) & {Looped, Cancelling}


def test_only_a_paused_run_is_resumed() -> None:
    assert [old for old in BUILTIN if may_become(old, Resume)] == [Paused]


def test_a_running_body_ends_in_any_way_or_waits_because_it_wants_to() -> None:
    ends = {Success, Cached, Skipped, Failed, TimedOut, TriggerFailed, ValidationFailed, Crashed, Looped}
    ends |= {Cancelled, Finished}
    assert exits(Running) == ends | {Scheduled, Paused, Retrying} | {Cancelling, Running}
    assert exits(Cancelling) == ends | {Scheduled, Paused, Retrying}


def test_a_map_unfolds_before_it_runs() -> None:
    assert {old for old in BUILTIN if may_become(old, Mapped)} == set(WAITS)


@pytest.mark.parametrize("failure", [Failed, TimedOut, ValidationFailed, TriggerFailed, Crashed])
def test_a_failure_is_tried_again_or_ended_otherwise_by_a_handler(failure: type[State]) -> None:
    assert Retrying in exits(failure)
    assert exits(failure) >= {Failed, Success, Skipped, Cancelled}
    assert not exits(failure) & {Pending, Running, Mapped, Looped}


def test_an_iteration_of_a_loop_is_followed_by_the_next() -> None:
    assert exits(Looped) >= {Pending, Running, Failed, Cancelled, Crashed}
    assert not exits(Looped) & {Looped, Mapped}


def test_a_run_does_not_go_back_to_pending_from_its_body_or_from_an_end() -> None:
    assert {old for old in BUILTIN if may_become(old, Pending)} == {
        Scheduled,
        Paused,
        Resume,
        Retrying,
        Looped,
    }


@pytest.mark.parametrize(
    "life",
    [
        [Pending, Running, Success],
        [Pending, Running, Cancelled],
        [Pending, Running, Running],
        [Pending, Mapped],
        [Pending, Success, Crashed, Retrying, Running, Success],
        [Pending, Running, Failed, Retrying, Running, Success],
        [Pending, Running, Failed, Failed],
        [Pending, Running, Crashed, Retrying, Running, Crashed],
        [Pending, Paused, Resume, Pending, Running, Success],
        [Pending, Running, Paused, Resume, Running, Success],
        [Pending, Running, Looped, Running, Looped, Pending, Running, Success],
        [Pending, Running, Retrying, Pending, TriggerFailed],
        [Pending, Running, Cancelling, Cancelled],
    ],
    ids=lambda life: "-".join(cls.__name__ for cls in life),
)
def test_a_life_is_lawful(life: list[type[State]]) -> None:
    for old, new in pairwise(life):
        assert may_become(old, new)


def test_a_users_class_stands_under_the_law_of_its_nearest_built_in_ancestor() -> None:
    class Late(TimedOut):
        pass

    class VeryLate(Late):
        pass

    class Odd(State):
        pass

    assert builtin_ancestor(VeryLate) is TimedOut
    assert builtin_ancestor(TimedOut) is TimedOut
    assert may_become(Running, VeryLate)
    assert may_become(VeryLate, Retrying)
    assert not may_become(VeryLate, Running)
    assert not may_become(Running, Odd)
