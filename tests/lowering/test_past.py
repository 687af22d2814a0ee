"""What a shipment tells of pauses and iterations."""

from __future__ import annotations

import pickle
from typing import Any

from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import task
from prefectlite.engine.instructions import NO_PAST, Past
from prefectlite.lowering.past import facts_of_past
from prefectlite.lowering.spec import NEED, PACKED, VALUE
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Cached, Looped


@task
def count(x: int = 0) -> int:
    return x


def looped(bench: Any, result: Any, **settings: Any) -> Any:
    """What is sent for the second iteration of a task, and with what."""
    with FlowGraph("f") as graph:
        count(1)
    desk = bench(graph, **settings)
    desk.start()
    return desk.finish(0, Looped("once more", result))


def test_the_names_are_those_of_prefect_1() -> None:
    key, cached = RunKey("a-1", None, 3), Cached(result=1)
    assert facts_of_past(NO_PAST, key, {}) == {}
    assert facts_of_past(Past(resumed=True), key, {}) == {"resume": True}
    assert facts_of_past(Past(looped=Looped(result="handed on")), key, {}) == {
        "task_loop_count": 3,
        "task_loop_result": "handed on",
    }
    assert facts_of_past(Past(cached=cached), key, {}) == {"caches": {"a-1": [cached]}}
    given = {"caches": {"b": [cached]}, "task_loop_count": 5}
    assert facts_of_past(Past(looped=Looped(), cached=cached), key, given) == {
        "task_loop_count": 4 + key.loop,
        "task_loop_result": None,
        "caches": {"b": [cached], "a-1": [cached]},
    }


def test_a_first_attempt_is_told_nothing(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        count(1)
    (shipment,) = bench(graph).start().shipments
    assert spec_of(shipment).beside == ()


def test_a_plain_value_rides_along(bench: Any, spec_of: Any) -> None:
    (shipment,) = looped(bench, 7).shipments
    spec = spec_of(shipment)
    assert (spec.loop, spec.attempt) == (2, 1)
    assert spec.beside == (
        ("task_loop_count", (VALUE, 2, None, False)),
        ("task_loop_result", (VALUE, 7, None, False)),
    )


def test_a_value_of_the_users_travels_as_bytes_of_its_own(bench: Any, spec_of: Any) -> None:
    (shipment,) = looped(bench, {"k": [1]}).shipments
    _, (_, (op, payload, _, _)) = spec_of(shipment).beside
    assert op == PACKED
    assert pickle.loads(payload) == {"k": [1]}


def test_a_large_value_gets_a_key_of_its_own(bench: Any, spec_of: Any) -> None:
    lowered = looped(bench, bytes(100_000))
    (literal,) = lowered.literals
    (shipment,) = lowered.shipments
    assert shipment.needs == (literal.key,)
    assert spec_of(shipment).beside[1] == ("task_loop_result", (NEED, 0, None, False))


def test_at_another_place_shared_values_have_other_keys(bench: Any) -> None:
    keys = {looped(bench, bytes(100_000), place=place).literals[0].key for place in (1, 2, 3)}
    assert len(keys) == 3


def test_in_this_process_the_value_itself_is_handed_on(bench: Any) -> None:
    value = [1, 2]
    (shipment,) = looped(bench, value, pickles=False).shipments
    assert shipment.live.beside[1][1][1] is value
