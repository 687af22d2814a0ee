"""Exceptions keep their words, although distributed has tblib pickle them (see the comments in both doors)."""

from __future__ import annotations

import copyreg
import pickle
from pathlib import Path
from types import TracebackType

import pytest

from prefectlite.lowering import envelope
from prefectlite.results import serializers
from prefectlite.states.state import Failed


def raised_by(act) -> BaseException:
    try:
        act()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


ERRORS = [
    raised_by(lambda: compile("def f(:", "x.py", "exec")),
    raised_by(lambda: b"\xe9".decode()),
    raised_by(lambda: __import__("no_such_module")),
    raised_by(lambda: Path("/no/such/file").read_bytes()),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "dumps", [serializers.dumps, lambda value: envelope.dumps(value, ())], ids=["up", "down"]
)
def test_an_exception_says_the_same_after_the_journey(error, dumps, monkeypatch):
    tblib = pytest.importorskip("tblib.pickling_support")
    for kind in {type(error), *type(error).__mro__[:-2]}:
        monkeypatch.setitem(copyreg.dispatch_table, kind, tblib.pickle_exception)
    monkeypatch.setitem(copyreg.dispatch_table, TracebackType, tblib.pickle_traceback)
    state = pickle.loads(dumps(Failed("no", error)))
    assert type(state.result) is type(error)
    assert str(state.result) == str(error)


class ApiError(Exception):
    """As many write them: what it is told is not what it hands to ``Exception``."""

    def __init__(self, status, *, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class Moved(ApiError):
    pass


class Coded(UnicodeDecodeError):
    """One whose built-in class keeps what it is told in places of its own."""

    def __init__(self, where):
        super().__init__("utf-8", b"\xe9", 0, 1, where)


class Slotted(Exception):
    __slots__ = ("status",)

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


@pytest.fixture
def ways():
    """The ways of pickling that this process knows; what a test adds goes again."""
    before = dict(copyreg.dispatch_table)
    for kind in (ApiError, Moved):
        copyreg.dispatch_table.pop(kind, None)  # tblib's way, if Dask came after them
    serializers._whole.cache_clear()
    yield copyreg.dispatch_table
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(before)
    serializers._whole.cache_clear()


@pytest.mark.parametrize("kind", [ApiError, Moved])
@pytest.mark.parametrize(
    "dumps",
    [serializers.dumps, serializers.dumps_failure, lambda value: envelope.dumps(value, ())],
    ids=["up", "failure", "down"],
)
def test_an_exception_that_its_args_cannot_make_arrives_with_its_attributes(kind, dumps, ways):
    error = kind(404, text="gone")
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(error))

    assert serializers.let_travel(kind)
    error.add_note("a note")
    found = pickle.loads(dumps(Failed("no", error))).result

    assert type(found) is kind
    assert (str(found), found.status, found.args, found.__notes__) == (
        "404: gone",
        404,
        error.args,
        ["a note"],
    )


def test_where_it_arrives_it_can_be_sent_on(ways):
    serializers.let_travel(ApiError)
    payload = serializers.dumps_failure(ApiError(404, text="gone"))
    ways.pop(ApiError)  # as in the process where it comes to
    serializers._whole.cache_clear()

    found = pickle.loads(serializers.dumps(pickle.loads(payload)))

    assert (type(found), found.status) == (ApiError, 404)


@pytest.mark.parametrize("kind", [Coded, Slotted, ValueError])
def test_one_of_which_something_would_be_left_out_does_not_travel_so(kind, ways):
    before = dict(ways)

    assert not serializers.let_travel(kind)
    assert ways == before


class Status(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


def test_an_exception_that_tblib_knew_before_travels_whole_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # As when Dask is imported after its class was made.
    monkeypatch.setitem(copyreg.dispatch_table, Status, lambda error: error.__reduce__())
    serializers.dumps_failure(ValueError())  # what is whole is looked up now, and this is not

    assert serializers.let_travel(Status)
    found = pickle.loads(serializers.dumps_failure(Status(404, "gone")))

    assert (str(found), found.status) == ("404: gone", 404)
