from __future__ import annotations

from prefectlite.states.state import State, Success
from prefectlite.views.counts import class_named, done_and_total, in_reading_order, one_line, style_of


class Approved(Success):
    """A user's own state."""

    __slots__ = ()
    color = "#0f0"


def test_what_happens_now_comes_first_and_what_waits_comes_last():
    counts = {"Pending": 5, "Success": 3, "Failed": 1, "Running": 2, "Skipped": 0}
    assert in_reading_order(counts) == [("Running", 2), ("Failed", 1), ("Success", 3), ("Pending", 5)]


def test_users_own_classes_stand_between_failures_and_waiting_runs():
    assert [name for name, _ in in_reading_order({"Pending": 1, "Approved": 1, "Failed": 1})] == [
        "Failed",
        "Approved",
        "Pending",
    ]


def test_final_states_count_as_done_users_own_included_and_looped_ones_not():
    counts = {"Success": 3, "Failed": 1, "Approved": 2, "Looped": 7, "Retrying": 4, "NeverHeardOf": 1}
    assert done_and_total(counts) == (6, 18)


def test_no_counts_read_as_nothing_yet():
    assert one_line({}) == "nothing yet"
    assert one_line({"Success": 1204, "Running": 3, "Failed": 1}) == "3 Running, 1 Failed, 1,204 Success"


def test_a_style_is_a_full_colour_and_failures_are_bold():
    assert style_of("Success") == "#28a745"
    assert style_of("TriggerFailed") == "bold #ff5131"
    assert style_of("Approved") == "#00ff00"
    assert style_of("NeverHeardOf") == State.color


def test_an_unknown_name_is_a_plain_state():
    assert class_named("Approved") is Approved
    assert class_named("NeverHeardOf") is State
