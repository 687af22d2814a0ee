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
