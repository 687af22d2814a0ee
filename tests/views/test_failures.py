from __future__ import annotations

import pickle

import pytest

from prefectlite.errors import TaskError
from prefectlite.states.children import ChildStates
from prefectlite.states.keys import RunKey
from prefectlite.states.report import ResultRef
from prefectlite.states.state import Crashed, Failed, Mapped, Success, TriggerFailed
from prefectlite.views.failures import (
    every_run,
    exception_of,
    failed_runs,
    group_failures,
    message_of,
    type_name,
)


class Unspeakable(Exception):
    """Its text cannot be had."""

    def __str__(self):
        raise RuntimeError("no text")


class Leaving(Exception):
    """Its text ends the program."""

    def __str__(self):
        raise SystemExit(3)


def raises_when_loaded():
    raise RuntimeError("cannot be unpickled")


class Unloadable:
    """It cannot be unpickled."""

    def __reduce__(self):
        return raises_when_loaded, ()


def test_a_map_is_seen_as_its_children():
    children = (Success(), Failed("no"))
    states = [("load", Mapped(map_states=children)), ("save", Success()), ("empty", Mapped())]
    assert [str(run) for run, _ in every_run(states)] == ["load[0]", "load[1]", "save", "empty"]


def test_of_a_large_map_only_the_states_of_failures_are_made():
    common, failed = Success(), Failed("no")
    children = ChildStates([common, failed, common, TriggerFailed("no")], common, pytest.fail)
    states = [("load", Mapped(map_states=children)), ("save", failed), ("fine", Success()), ("no", Mapped())]
    assert [str(run) for run, _ in failed_runs(states)] == ["load[1]", "load[3]", "save"]


def test_failures_of_one_task_with_one_type_of_exception_are_one_group():
    error = Failed(
        "bad", ValueError("bad row"), traceback='  File "/me/etl.py", line 3, in load\n    int(row)'
    )
    runs = [(RunKey("load", n), error) for n in range(40)]
    runs.append((RunKey("load", 40), Failed("other", KeyError("x"))))
    group, other = group_failures([*runs, (RunKey("fine"), Success())])
    assert (group.slug, group.state_name, group.error_type, group.count) == (
        "load",
        "Failed",
        "ValueError",
        40,
    )
    assert group.who == "load[0], load[1], load[2] and 37 more like it"
    assert group.messages == ["bad row"]
    assert group.lines == ['  File "/me/etl.py", line 3, in load', "    int(row)"]
    assert (other.error_type, other.count, other.who) == ("KeyError", 1, "load[40]")


@pytest.mark.parametrize(
    ("error", "ending", "kept"),
    [
        (ValueError("bad"), ["ValueError: bad"], []),
        (ValueError("bad\nworse"), ["ValueError: bad", "worse"], []),
        (TaskError("shop.Sold", "out"), ["shop.Sold: out"], []),
        (ValueError("bad"), ["ValueError: bad", "a note"], ["ValueError: bad", "a note"]),
        (ValueError("bad"), ["    x = ValueError: bad"], ["    x = ValueError: bad"]),
        (ValueError("1\n2\n3"), ["2", "3"], ["2", "3"]),
    ],
)
def test_the_end_of_a_traceback_is_left_out_where_the_message_says_the_same(error, ending, kept):
    lines = ['  File "/me/etl.py", line 3, in load', *ending]
    (group,) = group_failures([(RunKey("load"), Failed("bad", error, traceback="\n".join(lines)))])
    assert group.lines == [lines[0], *kept]


def test_messages_that_differ_are_quoted_up_to_three():
    runs = [(RunKey("load", n), Failed("bad", ValueError(f"row {n}"))) for n in range(5)]
    (group,) = group_failures(runs)
    assert group.messages == ["row 0", "row 1", "row 2"]


def test_refused_triggers_come_after_the_code_that_failed():
    runs = [
        (RunKey("after"), TriggerFailed("upstream failed")),
        (RunKey("before"), Failed("no", ValueError("no"))),
    ]
    groups = group_failures(runs)
    assert [group.slug for group in groups] == ["before", "after"]
    assert [group.is_consequence for group in groups] == [False, True]


def test_an_exception_is_only_shown_if_it_is_at_hand():
    inline = ResultRef(RunKey("a"), inline=pickle.dumps(ValueError("x")))
    assert isinstance(exception_of(Failed(result=inline)), ValueError)
    assert exception_of(Failed(result=ResultRef(RunKey("a"), nbytes=10**6))) is None
    assert exception_of(Failed("no result")) is None
    assert exception_of(Failed(result=ResultRef(RunKey("a"), inline=pickle.dumps(Unloadable())))) is None


def test_a_stand_in_goes_by_the_name_of_the_original():
    stand_in = TaskError("shop.errors.OutOfStock", "no apples")
    assert type_name(stand_in) == "OutOfStock"
    assert type_name(None) == ""
    assert message_of(Failed("failed", stand_in), stand_in) == "no apples"


def test_a_failure_without_a_text_of_its_own_says_its_states_message():
    assert message_of(Failed("it broke"), None) == "it broke"
    assert message_of(Crashed(), None) == "ended Crashed"
    assert message_of(Failed("it broke"), Unspeakable()) == "it broke"
    assert message_of(Failed("it broke"), Leaving()) == "it broke"
    assert message_of(Failed(), TaskError("FAIL", "")) == "ended Failed"


def test_an_exception_without_a_text_is_not_named_twice():
    assert message_of(Failed("Unexpected error: ValueError"), ValueError()) == "without a text"
    assert message_of(Failed("Row 3 is bad"), ValueError()) == "Row 3 is bad"
    assert message_of(Failed("Unexpected error: "), None) == "Unexpected error: "


def test_a_long_message_is_cut():
    assert len(message_of(Failed(), ValueError("x" * 1000))) == 400


def test_what_failed_before_the_body_says_what_it_is_and_where_it_came_from():
    error = ValueError("not here")
    chain = "\n\nThe above exception was the direct cause of the following exception:\n\n"
    text = f'  File "a.py", line 1, in f\nKeyError: 3{chain}ValueError: not here'
    state = Failed("Its argument 'row' could not be made: ValueError: not here", error, traceback=text)

    [group] = group_failures([(RunKey("load-1"), state)])

    assert message_of(state, error) == "Its argument 'row' could not be made: not here"
    assert group.lines == ['  File "a.py", line 1, in f', "KeyError: 3"]


def test_the_text_of_a_body_s_exception_is_told_alone():
    error = ValueError("not here")

    assert message_of(Failed("Unexpected error: ValueError: not here", error), error) == "not here"
