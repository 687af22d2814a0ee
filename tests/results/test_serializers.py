"""How values become bytes, and what they weigh, without ever copying a large one."""

from __future__ import annotations

import pickle
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

from prefectlite.errors import SerializationError
from prefectlite.results.serializers import dumps, small_dumps, weigh


class Huge:
    """Refuses to be pickled, but only after a lot of bytes."""

    def __reduce__(self) -> Any:
        return (list, (["x" * 100_000, threading.Lock()],))


@pytest.mark.parametrize("value", [1, None, "text", [1, {"a": (2,)}], b"bytes", 1.5, bytearray(b"x")])
def test_a_small_value_rides_inline(value: Any) -> None:
    weight = weigh(value, 8192, prove=True)
    assert weight.inline is not None
    assert pickle.loads(weight.inline) == value
    assert weight.nbytes == len(weight.inline)


def test_what_pickle_refuses_goes_by_value() -> None:
    weight = weigh(lambda x: x + 1, 8192, prove=True)
    assert weight.inline is not None
    assert pickle.loads(weight.inline)(1) == 2
    assert pickle.loads(dumps(lambda: 5))() == 5


OVER: dict[str, Any] = {
    "text": "x" * 9000,
    "bytes": b"x" * 9000,
    "bytearray": bytearray(9000),
    "int": 1 << 100_000,
    "list": [0] * 9000,
    "inside": ["x" * 9000],
}


@pytest.mark.parametrize("prove", [True, False])
@pytest.mark.parametrize("name", OVER)
def test_a_value_over_the_limit_is_not_inline(name: str, prove: bool) -> None:
    value = OVER[name]
    weight = weigh(value, 8192, prove=prove)
    assert weight.inline is None
    assert weight.nbytes > 8192


def test_a_small_array_rides_inline_and_a_large_one_is_only_looked_at() -> None:
    small = weigh(np.arange(10), 8192, prove=True)
    assert small.inline is not None
    assert pickle.loads(small.inline).sum() == 45
    assert weigh(np.zeros(10_000), 8192, prove=True).nbytes == 80_000


def test_large_buffers_inside_are_counted_not_copied() -> None:
    value = {"a": np.zeros(4_000_000), "b": [np.zeros(2_000_000)]}
    tracemalloc.start()
    try:
        weight = weigh(value, 8192, prove=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert weight.inline is None
    assert weight.nbytes > 48_000_000
    assert peak < 4_000_000


def test_an_array_whose_pickle_fills_the_limit_exactly_over_is_not_inline() -> None:
    # Its buffer is within the limit, its whole pickle is not.
    assert weigh([np.zeros(1000, "u1")], 1040, prove=True).inline is None


def test_what_cannot_be_pickled_is_found_out_when_it_must_travel() -> None:
    for value in (threading.Lock(), [object(), (x for x in [1])], Huge()):
        with pytest.raises(SerializationError, match="TypeError: cannot pickle"):
            weigh(value, 8192, prove=True)
    with pytest.raises(SerializationError):
        dumps(threading.Lock())


def test_what_need_not_travel_may_be_anything() -> None:
    weight = weigh(threading.Lock(), 8192, prove=False)
    assert (weight.nbytes, weight.inline) == (0, None)
    assert weigh(Huge(), 8192, prove=False).inline is None


def test_objects_in_arrays_are_pickled_like_others() -> None:
    value = np.array([object(), threading.Lock()] * 3000, dtype=object)
    with pytest.raises(SerializationError):
        weigh(value, 8192, prove=True)


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1, 255, 256, 65535, 65536, -1, 10**30, True, False, None, 0.5, float("inf")),
        *("", "é", "x" * 1024, b"", b"x", [], [1, "a", None], (1, 2.5), {}, {"a": 1}, {1: b"x"}),
    ],
)
def test_what_is_small_and_plain_needs_no_scale(value: Any) -> None:
    payload = small_dumps(value)
    assert payload is not None
    found = pickle.loads(payload)
    assert (found, type(found)) == (value, type(value))
    assert len(payload) <= len(pickle.dumps(value, 5)) + 1


class Int(int):
    """Not quite a number."""


@pytest.mark.parametrize(
    "value",
    [
        *(
            "x" * 1025,
            b"x" * 1025,
            [1] * 17,
            ["x" * 2000],
            [[1]],
            {"a": [1]},
            {1: "x" * 2000},
            {"x" * 2000: 1},
        ),
        *(Int(1), {1}, object, np.float64(1)),
    ],
)
def test_anything_else_does(value: Any) -> None:
    assert small_dumps(value) is None


def _breaks() -> None:
    raise RuntimeError("broken")


class Broken:
    """Can be written, and not be opened."""

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return _breaks, ()


def test_a_small_value_that_cannot_be_opened_again_is_refused_where_it_travels() -> None:
    with pytest.raises(SerializationError, match="not be rebuilt: RuntimeError: broken"):
        weigh([Broken()], 8192, prove=True)
    assert weigh([Broken()], 8192, prove=False).inline is not None
