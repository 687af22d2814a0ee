"""What stands under Dask keys: it travels as one piece, and weighs what its value weighs."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from dask.sizeof import sizeof

from prefectlite.lowering.wrappers import (
    Done,
    Hold,
    Noted,
    NotedDone,
    Packed,
    Slots,
    Succeeded,
    Unreadable,
    open_literal,
    open_shelf,
)
from prefectlite.worker.inputs import all_plain


def test_a_success_keeps_value_and_times_through_pickle() -> None:
    there = pickle.loads(pickle.dumps(Succeeded([1, 2], 1.0, 2.0, 3)))
    assert (there.value, there.started, there.ended, there.attempt) == ([1, 2], 1.0, 2.0, 3)


def test_an_array_inside_travels_out_of_band() -> None:
    buffers: list[pickle.PickleBuffer] = []
    payload = pickle.dumps(Succeeded(np.zeros(100_000)), protocol=5, buffer_callback=buffers.append)
    assert len(payload) < 1000
    assert len(buffers) == 1
    assert pickle.loads(payload, buffers=buffers).value.sum() == 0


@pytest.mark.parametrize(
    "wrappers",
    [
        [],
        [Succeeded(place, 1.0 + place, 2.0 + place, 1) for place in range(3)],
        [Succeeded("first", 1.0, 2.0, 1), Succeeded(None, 3.0, 4.5, 2)],
        [Succeeded([1], 1.0, 2.0, 1), Done(3.0, 4.0, 2), Noted({}, 5.0, 6.0, 1, ("cached",))],
    ],
)
def test_slots_travel_whole_whatever_is_in_them(wrappers: list[Succeeded]) -> None:
    there = pickle.loads(pickle.dumps(Slots(wrappers, 12)))
    assert (type(there), there.nbytes) == (Slots, 12)
    assert [one.__reduce__() for one in there.wrappers] == [one.__reduce__() for one in wrappers]


def test_an_array_in_a_slot_travels_out_of_band() -> None:
    buffers: list[pickle.PickleBuffer] = []
    slots = Slots([Succeeded(np.zeros(100_000)), Succeeded(1)])
    payload = pickle.dumps(slots, protocol=5, buffer_callback=buffers.append)
    assert len(payload) < 1000
    assert pickle.loads(payload, buffers=buffers).wrappers[0].value.sum() == 0


@pytest.mark.parametrize("thing", [Done(1.0, 2.0, 3), Packed(b"abc"), Unreadable("why"), Hold()])
def test_the_others_travel_too(thing: object) -> None:
    there = pickle.loads(pickle.dumps(thing))
    assert type(there) is type(thing)
    for name in getattr(type(thing), "__slots__", ()):
        assert getattr(there, name) == getattr(thing, name)


def test_a_hold_is_small_and_carries_nothing() -> None:
    assert len(pickle.dumps(Hold())) < 200  # distributed, once imported, pickles exceptions at greater length
    assert Hold().args == ()


def test_dask_weighs_what_is_inside() -> None:
    assert sizeof(Succeeded(np.zeros(1_000_000))) > 8_000_000
    assert sizeof(Packed(b"x" * 10_000)) > 10_000
    assert sizeof(Done()) < 200


def test_without_dask_the_size_is_pythons_own() -> None:
    code = (
        "import sys; from prefectlite.lowering.wrappers import Succeeded; "
        "assert sys.getsizeof(Succeeded('x' * 5000)) > 5000; assert 'dask' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_literal_is_opened_where_it_is_made() -> None:
    opened = open_literal(pickle.dumps({"a": 1}))
    assert isinstance(opened, Succeeded)
    assert opened.value == {"a": 1}


def test_a_literal_that_cannot_be_opened_says_why_instead_of_raising() -> None:
    closed = open_literal(b"no pickle")
    assert isinstance(closed, Unreadable)
    assert closed.text.startswith("UnpicklingError: ")


def test_what_is_told_beside_a_value_travels_with_it() -> None:
    told = ("It was found.", "there")
    for wrapper in (Noted([1], 1.0, 2.0, 3, told), NotedDone(1.0, 2.0, 3, told)):
        again = pickle.loads(pickle.dumps(wrapper))
        assert type(again) is type(wrapper)
        assert (again.started, again.ended, again.attempt, again.told) == (1.0, 2.0, 3, told)
        assert all_plain([again])


def _breaks() -> None:
    raise ModuleNotFoundError("No module named 'elsewhere'")


class _Elsewhere:
    def __reduce__(self) -> tuple[Any, ...]:
        return _breaks, ()


def test_one_value_on_a_shelf_that_cannot_be_unpickled_takes_no_other_along() -> None:
    told = [(1.0, 2.0, 1, pickle.dumps("first")), (1.0, 2.0, 1, pickle.dumps(_Elsewhere())), None]
    first, second, third = open_shelf(pickle.dumps(told)).wrappers

    assert (type(first), first.value, third) == (Succeeded, "first", None)
    assert isinstance(second, Unreadable)
    assert "elsewhere" in second.text
