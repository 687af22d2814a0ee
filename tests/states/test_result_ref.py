"""Where a value lies, and who fetches it."""

import pickle
import sys
from typing import Any

import pytest

from prefectlite.errors import ResultUnavailable
from prefectlite.states import Mapped, Report, ResultRef, RunKey, Success

KEY = RunKey("load-1", 3)


class Shelf:
    """A value source that counts how often it is asked."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.asked: list[ResultRef] = []

    def fetch(self, ref: ResultRef) -> Any:
        self.asked.append(ref)
        return self.value


def test_an_inline_value_is_unpickled_without_asking_anybody() -> None:
    shelf = Shelf("elsewhere")
    ref = ResultRef(KEY, inline=pickle.dumps([1, 2]), source=shelf)
    assert ref.fetch() == [1, 2]
    assert shelf.asked == []


def test_another_value_is_asked_of_its_source_and_only_when_it_is_read() -> None:
    shelf = Shelf(42)
    state = Success(result=ResultRef(KEY, 2, source=shelf))
    assert shelf.asked == []
    assert state.result == 42
    assert state.result_ref is not None
    assert shelf.asked == [state.result_ref]


def test_a_loaded_state_holds_its_value_and_a_loaded_map_those_of_its_children() -> None:
    shelf = Shelf(42)
    state = Success("done", ResultRef(KEY, 2, source=shelf))
    many = Mapped(map_states=[state, Success(result=1)], n_map_states=3)

    loaded, children = state.load_result(), many.load_result()
    shelf.value = None

    assert (loaded.message, loaded.result_ref, loaded.result) == ("done", None, 42)
    assert (children.result, children.n_map_states) == ([42, 1], 3)
    assert loaded.load_result() is loaded


def test_a_value_that_no_place_holds_is_refused_with_its_name_and_the_mend() -> None:
    with pytest.raises(ResultUnavailable, match=r"load-1\[3\] \(7 bytes\).*keep_result=True"):
        ResultRef(KEY, nbytes=7).fetch()


class Stubborn:
    """It is pickled, and not made anew."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


def test_a_value_that_cannot_be_opened_is_refused_with_its_name_and_the_reason() -> None:
    with pytest.raises(ResultUnavailable, match=r"load-1\[3\] .*ValueError: invalid literal.*'no number'"):
        ResultRef(KEY, inline=pickle.dumps(Stubborn())).fetch()


def test_the_source_counts_neither_for_equality_nor_for_the_repr() -> None:
    assert ResultRef(KEY, source=Shelf(1)) == ResultRef(KEY)
    assert "Shelf" not in repr(ResultRef(KEY, source=Shelf(1)))
    assert ResultRef(KEY, attempt=2) != ResultRef(KEY)


def test_a_report_survives_pickling() -> None:
    report = Report(None, 1.0, 2.0, inline=b"x", nbytes=1, where="tcp://a:1")
    assert pickle.loads(pickle.dumps(report)) == report


class Leaving:
    """Of a module that ends its program where it cannot work, as here."""

    def __reduce__(self):
        return sys.exit, ("no GPU here",)


def test_a_value_whose_own_code_would_end_the_program_is_unavailable():
    ref = ResultRef(RunKey("load-1"), 1, 10, pickle.dumps(Leaving()))

    with pytest.raises(ResultUnavailable, match="SystemExit: no GPU here"):
        ref.fetch()
