"""Failures that look alike are made once, and no two that differ are taken for one another."""

from __future__ import annotations

import pickle

import pytest

from prefectlite.errors import TaskError
from prefectlite.masking import hide
from prefectlite.states.report import Report
from prefectlite.worker import failures, wire
from prefectlite.worker.failures import failure, traceback_text
from prefectlite.worker.wire import ALIKE, HELD, OTHER, encode, grouped

LIMIT = 8192
KEY = ("etl.load-1-0123abcd", 0, 1, 1, 1)


class Loud(Exception):
    def __init__(self, word):
        super().__init__(word)
        self.word = word


class Vague(Exception):
    """Its text says more than it is pickled with."""

    def __init__(self, word=""):
        super().__init__()
        self.word = word

    def __str__(self):
        return self.word

    def __reduce__(self):
        return Vague, ()


def raised(body, *arguments):
    try:
        body(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("it did not raise")


def loud(word):
    raise Loud(word)


def elsewhere(word):
    raise Loud(word)


def vague(word):
    raise Vague(word)


def either(flag):
    return (1 / flag) if flag > 1 else (flag / 0)


def in_a_handler():
    try:
        loud("first")
    except Loud:
        raise Loud("second")  # noqa: B904  # what was being handled is the point


def because():
    raise Loud("second") from Loud("first")


def misspelt():
    return unknown_name  # noqa: F821


def grouped_ones():
    raise ExceptionGroup("both", [raised(loud, "a"), raised(loud, "b")])


def noted(note):
    error = Loud("x")
    error.add_note(note)
    raise error


def test_failures_that_look_alike_share_their_look_and_have_exceptions_of_their_own():
    one, look = failure(raised(loud, "x"), limit=LIMIT)
    two, same = failure(raised(loud, "x"), limit=LIMIT)

    assert look is not None
    assert same is look
    assert (one.message, one.traceback) == (two.message, two.traceback)
    assert one.result is not two.result
    assert one.message == "Unexpected error: Loud: x"
    assert "in loud" in one.traceback


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ((loud, "x"), (loud, "y")),
        ((loud, "x"), (elsewhere, "x")),
        ((vague, "x"), (vague, "y")),
        ((noted, "x"), (noted, "y")),
    ],
)
def test_failures_that_differ_in_type_text_place_or_notes_look_different(one, two):
    first, second = raised(*one), raised(*two)
    a, look = failure(first, limit=LIMIT)
    b, other = failure(second, limit=LIMIT)

    assert None is not look is not other
    assert (a.traceback, b.traceback) == (traceback_text(first), traceback_text(second))


@pytest.mark.parametrize("body", [in_a_handler, because, misspelt, grouped_ones])
def test_failures_whose_text_hangs_on_others_are_looked_at_one_by_one(body):
    error = raised(body)
    state, look = failure(error, limit=LIMIT)

    assert look is None
    assert state.traceback == traceback_text(error)


def test_large_and_deep_ones_are_not_remembered():
    def deep(left):
        return deep(left - 1) if left else loud("x")

    assert failure(raised(loud, "x" * 4096), limit=LIMIT)[1] is None
    assert failure(raised(deep, 60), limit=LIMIT)[1] is None


def test_in_this_process_each_keeps_its_own_traceback():
    error = raised(loud, "x")
    state, look = failure(error, limit=None)

    assert look is None
    assert state.result is error
    assert error.__traceback__ is not None


def test_what_cannot_travel_has_a_stand_in_each_time():
    class Local(Exception):
        def __reduce__(self):
            raise TypeError("no")

    def body():
        raise Local("x")

    states = [failure(raised(body), limit=LIMIT)[0] for _ in range(2)]
    assert [type(one.result) for one in states] == [TaskError, TaskError]


def test_one_over_the_limit_has_a_stand_in_each_time():
    found = [failure(raised(loud, "x"), limit=10) for _ in range(2)]

    assert [type(state.result) for state, _ in found] == [TaskError, TaskError]
    assert found[0][1] is found[1][1]
    assert found[0][1].fits is False


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(failures, "_looks", {})
    for word in range(200):
        failure(raised(loud, str(word)), limit=LIMIT)

    assert len(failures._looks) <= failures._MOST_LOOKS


def test_neighbours_that_were_encoded_alike_are_told_in_one_item():
    state, _ = failure(raised(loud, "x"), limit=LIMIT)
    first = encode(KEY, Report(state, 1.0, 2.0))
    like = [wire.like(first, KEY, at, at + 1.0) for at in (3.0, 5.0)]
    apart = encode(KEY, Report(state, 7.0, 8.0))

    assert first[2] is like[0][2]
    assert [one[5:] for one in like] == [(3.0, 4.0), (5.0, 6.0)]
    told = grouped([(0, (HELD, KEY)), (1, first), (2, like[0]), (3, apart), (5, like[1])])
    assert [(slot, item[0]) for slot, item in told] == [(0, HELD), (1, ALIKE), (3, OTHER), (5, OTHER)]
    assert told[1][1] == (ALIKE, 2, first[2], "Failed", state.message)
    assert pickle.loads(first[2]).started == 0.0


def test_an_exception_that_holds_a_secret_without_saying_it_is_kept_by_its_stand_in():
    error = raised(_holds)
    assert type(failure(error, limit=None)[0].result) is Quiet

    hide("held-hush-7a1")

    state, _ = failure(error, limit=None)
    assert isinstance(state.result, TaskError)
    assert "held-hush-7a1" not in f"{vars(state.result)}{state.traceback}"


class Quiet(Exception):
    def __init__(self, secret):
        super().__init__("quiet")
        self.secret = secret


def _holds():
    raise Quiet("held-hush-7a1")
