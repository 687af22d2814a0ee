"""Children that are submitted together: one shipment for all, or one for each where the user's own stands in it."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from prefectlite.core.annotations import flatten, mapped, unmapped
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import task
from prefectlite.engine.inputs import FromDriver, FromElements, FromValue, Row
from prefectlite.engine.instructions import SubmitMany
from prefectlite.errors import EngineError, SerializationError
from prefectlite.lowering.lower import Lowered
from prefectlite.lowering.parts import FLAT_ITEM, ITEM, OF_COLUMN, PACKED, PLAIN, READ
from prefectlite.lowering.shipment import BlockShipment, Shipment
from prefectlite.lowering.spec import NEED, NEEDS, Spec
from prefectlite.lowering.spec import PACKED as PACKED_ONE
from prefectlite.states.state import Failed, State, Success

LOCK = threading.Lock()


@task
def each(x: Any, extra: Any = None, more: Any = None) -> Any:
    return x


@task
def make(n: Any = 3) -> Any:
    return list(range(n))


@task
def collect(xs: Any) -> Any:
    return xs


@dataclasses.dataclass
class Pair:
    a: Any
    b: Any


class Odd(Failed):
    """A state of the user's."""


class Doubling(list):  # type: ignore[type-arg]
    """Elements that nobody sees who looks at the list itself."""

    def __getitem__(self, place: Any) -> Any:
        return 2 * super().__getitem__(place)


def the_block(lowered: Lowered) -> BlockShipment:
    (one,) = [one for one in lowered.shipments if isinstance(one, BlockShipment)]
    return one


def told(block: BlockShipment) -> list[dict[str, Any]]:
    """What each child is told of its own arguments, in words that do not depend on how it was sent."""
    found: list[dict[str, Any]] = []
    for place in range(len(block.runs)):
        own = {name: ("value", value) for name, value in block.given.items()}
        own |= {name: _word(recipe, block.needs) for name, recipe in block.recipes}
        for name, kind, what in block.columns:
            if kind == PLAIN:
                own[name] = "value", what[place]
            elif kind == PACKED:
                own[name] = "value", pickle.loads(what[place])
            elif kind == READ:
                own[name] = "need", (what[0] + place, what[1], 1), None, False
            else:
                own[name] = "need", _need(block.needs, what[0]), what[1] + place, kind == FLAT_ITEM
        found.append(own)
    return found


def told_alone(shipment: Shipment) -> dict[str, Any]:
    spec = Spec._make(pickle.loads(shipment.spec))
    own = {name: ("value", value) for name, value in spec.given.items()}
    return own | {name: _word(recipe, shipment.needs) for name, recipe in spec.recipes}


def _word(recipe: Any, needs: Any) -> Any:
    op, what, item, flat = recipe
    if op == PACKED_ONE:
        return "value", pickle.loads(what)
    if op == NEED:
        return "need", _need(needs, what), item, flat
    if op == NEEDS:
        return "needs", [_need(needs, place) for place in what], item, flat
    return op, [_word(one, needs) for one in what], item, flat


def _need(needs: Any, place: int) -> Any:
    """The value at a place: a constant's key, or a span of one."""
    for need in needs:
        count = need[2] if len(need) == 3 else 1
        if place < count:
            return (need[0] + place, need[1], 1) if len(need) == 3 else need
        place -= count
    raise AssertionError


def plain() -> FlowGraph:
    with FlowGraph("f") as graph:
        each.map(list(range(100, 110)), extra=unmapped("few"))
    return graph


def packed() -> FlowGraph:
    with FlowGraph("f") as graph:
        each.map([1, "x" * 300, [2]], extra=unmapped([1, 2]), more=[b"", (1,), None])
    return graph


def unnested() -> FlowGraph:
    with FlowGraph("f") as graph:
        each.map(flatten([[1, 2], [3]]), extra=unmapped(flatten([[1], [2]])))
    return graph


def shared() -> FlowGraph:
    with FlowGraph("f") as graph:
        each.map(range(3), extra=unmapped(list(range(10_000, 12_000))), more=unmapped(Parameter("p")))
    return graph


def pairs() -> FlowGraph:
    with FlowGraph("f") as graph:
        above = each.map([1, 2, 3])
        each.map(above, extra=above, more=[4, 5, 6])
    return graph


@pytest.mark.parametrize("flow", [plain, packed, unnested, shared, pairs])
def test_each_child_is_told_what_it_would_be_told_alone(bench: Any, flow: Any) -> None:
    given = {"p": 7} if flow is shared else {}
    blocks = bench(flow(), given).start()
    alone = bench(flow(), given, singly=True).start()

    assert all(isinstance(one, BlockShipment) for one in blocks.shipments)
    assert all(isinstance(one, Shipment) for one in alone.shipments)
    assert [own for block in blocks.shipments for own in told(block)] == [*map(told_alone, alone.shipments)]
    for block in blocks.shipments:
        singles = [one for one in alone.shipments if one.run in block.runs]
        specs = [Spec._make(pickle.loads(one.spec)) for one in singles]
        assert {(one.attempt, one.submission) for one in singles} == {(block.attempt, block.submission)}
        assert [(one.slug, one.map_index) for one in specs] == [
            (block.slug, block.first + place) for place in range(len(block.runs))
        ]
        assert {(one.drop_value, one.measure) for one in specs} == {(block.drop_value, block.measure)}
        assert {one.task.digest for one in singles} == {block.task.digest}
    assert blocks.literals == alone.literals


def test_plain_elements_travel_as_they_are(bench: Any) -> None:
    block = the_block(bench(plain()).start())
    assert block.columns == (("x", PLAIN, list(range(100, 110))),)
    assert block.given == {"extra": "few"}
    assert (block.first, len(block.runs), block.slug) == (0, 10, "each-1")
    assert block.needs == block.recipes == ()


def test_a_range_stays_one(bench: Any) -> None:
    with FlowGraph("f") as graph:
        each.map(range(5, 50_000))
    first, second, *_ = bench(graph).start().shipments
    count = len(first.runs)
    assert first.columns == (("x", PLAIN, range(5, 5 + count)),)
    assert second.columns == (("x", PLAIN, range(5 + count, 5 + count + len(second.runs))),)
    assert (second.first, second.runs.start) == (count, first.runs.stop)


def test_other_elements_travel_as_bytes_of_their_own(bench: Any) -> None:
    (x, more) = the_block(bench(packed()).start()).columns
    assert (x[0], x[1], [*map(pickle.loads, x[2])]) == ("x", PACKED, [1, "x" * 300, [2]])
    assert (more[0], more[1], [*map(pickle.loads, more[2])]) == ("more", PACKED, [b"", (1,), None])


def test_elements_of_an_array_are_found_one_by_one(bench: Any) -> None:
    with FlowGraph("f") as graph:
        each.map(np.arange(3), extra=Doubling([1, 2, 3]), more=(4, 5, 6))
    x, extra, more = the_block(bench(graph).start()).columns
    assert [*map(pickle.loads, x[2])] == [0, 1, 2]
    assert extra == ("extra", PLAIN, [2, 4, 6]), "as each child by itself would find them"
    assert more == ("more", PLAIN, (4, 5, 6))


@pytest.mark.parametrize(("flat", "kind"), [(False, ITEM), (True, FLAT_ITEM)])
def test_elements_of_a_value_on_the_cluster_are_taken_there(bench: Any, flat: bool, kind: int) -> None:
    with FlowGraph("f") as graph:
        above = make()
        each.map(flatten(above) if flat else above)
    rig = bench(graph)
    (up,) = rig.start().shipments
    block = the_block(rig.finish(up.run, length=3, flat_length=3))
    assert block.columns == (("x", kind, (0, 0)),)
    assert block.needs == ((up.run, 1, 1),)
    assert block.upstreams == (("make-1", "x", 0),)


def test_children_of_a_map_read_those_of_another(bench: Any) -> None:
    above, below = bench(pairs()).start().shipments
    assert below.columns == (
        ("x", READ, (above.runs.start, 1, 3)),
        ("extra", READ, (above.runs.start, 1, 3)),
        ("more", PLAIN, [4, 5, 6]),
    )
    assert below.needs == (), "what a column reads needs no place"
    assert {fact for slug, _, fact in below.upstreams if slug == "each-1"} == {(OF_COLUMN, 0), (OF_COLUMN, 1)}
    assert [fact for slug, _, fact in below.upstreams if slug != "each-1"] == [None]


def test_children_that_alone_read_those_of_another_consume_them(bench: Any) -> None:
    with FlowGraph("chain of maps") as flow:
        each.map(each.map(make.map([1, 2, 3])), more=[4, 5, 6])
    assert [one.consumes for one in bench(flow).start().shipments] == [frozenset(), {"x"}, {"x"}]


def test_what_all_children_read_is_named_once(bench: Any) -> None:
    lowered = bench(shared(), {"p": "y" * 3000}).start()
    block = the_block(lowered)
    values = [literal for literal in lowered.literals if literal.kind == "value"]
    assert len(values) == 2
    assert block.needs == tuple(literal.key for literal in values)
    assert [recipe[:2] for _, recipe in block.recipes] == [(NEED, 0), (NEED, 1)]


def test_a_map_as_a_whole_is_a_span(bench: Any) -> None:
    with FlowGraph("f") as graph:
        above = each.map([1, 2, 3])
        each.map([4, 5], extra=unmapped(above))
    rig = bench(graph)
    up = the_block(rig.start())
    lowered = [rig.finish(run) for run in up.runs][-1]
    block = the_block(lowered)
    assert block.needs == ((up.runs.start, 1, 3),)
    assert block.recipes == (("extra", (NEEDS, range(3), None, False)),)
    assert ("each-1", "extra", {"Success": 3}) in block.upstreams


def test_what_is_only_waited_for_is_told_as_a_state(bench: Any) -> None:
    with FlowGraph("f") as graph:
        first = make()
        above, paired = each.map([1, 2]), each.map([1, 2])
        each.map(mapped([4, 5]), upstream_tasks=[unmapped(first), unmapped(above), paired])
    rig = bench(graph)
    rig.start()
    last = rig.number(first)
    for run, _ in rig.engine.live_submissions():
        if run != last:
            rig.finish(run)
    block = the_block(rig.finish(last))
    orders = {(slug, fact and tuple(fact.items())) for slug, key, fact in block.upstreams if key is None}
    assert orders == {("make-1", None), ("each-1", (("Success", 2),)), ("each-2", None)}
    assert block.needs == ()


class TestOneByOne:
    """What cannot go as a block goes as it did."""

    def singles(self, lowered: Lowered) -> list[Shipment]:
        assert all(isinstance(one, Shipment) for one in lowered.shipments)
        return lowered.shipments  # type: ignore[return-value]

    def test_an_element_that_cannot_be_pickled_refuses_its_own_child(self, bench: Any) -> None:
        with FlowGraph("f") as graph:
            each.map([1, LOCK, 3])
        lowered = bench(graph).start()
        assert [told_alone(one) for one in self.singles(lowered)] == [
            {"x": ("value", 1)},
            {"x": ("value", 3)},
        ]
        ((submit, error),) = lowered.refused
        assert submit.key.index == 1
        assert isinstance(error, SerializationError)

    def test_a_constant_that_cannot_be_pickled_refuses_them_all(self, bench: Any) -> None:
        with FlowGraph("f") as graph:
            each.map([1, 2], extra=unmapped(LOCK))
        lowered = bench(graph).start()
        assert self.singles(lowered) == []
        assert [submit.key.index for submit, _ in lowered.refused] == [0, 1]
        assert all("'extra'" in str(error) for _, error in lowered.refused)

    def test_a_function_that_cannot_be_pickled_refuses_them_all(self, bench: Any) -> None:
        held = threading.Lock()

        @task
        def locked(x: int) -> Any:
            return held

        with FlowGraph("f") as graph:
            locked.map([1, 2])
        lowered = bench(graph).start()
        assert self.singles(lowered) == []
        assert len(lowered.refused) == 2

    def test_a_large_element_gets_a_key_of_its_own(self, bench: Any) -> None:
        with FlowGraph("f") as graph:
            each.map([np.zeros(20_000), 1])
        lowered = bench(graph).start()
        large, small = self.singles(lowered)
        (literal,) = lowered.literals
        assert large.needs == (literal.key,)
        assert told_alone(small) == {"x": ("value", 1)}

    def test_elements_up_to_the_limit_travel_together(self, bench: Any) -> None:
        with FlowGraph("f") as graph:
            each.map([b"x" * 60_000, 1])
        assert the_block(bench(graph).start()).columns[0][1] == PACKED

    def test_elements_of_a_collection_are_put_together_for_each(self, bench: Any) -> None:
        with FlowGraph("f") as graph:
            each.map([make(), make()])
        rig = bench(graph)
        shipments = rig.start().shipments
        lowered = [rig.finish(one.run) for one in shipments[:2]][-1] if len(shipments) == 2 else None
        children = self.singles(lowered) if lowered is not None else shipments[2:]
        assert [one.key[1] for one in children] == [0, 1]

    @pytest.mark.parametrize("extra", [lambda a: Pair(a, 1), lambda a: [a, 2], lambda a: {"a": a}])
    def test_a_collection_may_be_of_a_class_of_the_user_s(self, bench: Any, extra: Any) -> None:
        with FlowGraph("f") as graph:
            each.map([1, 2], extra=unmapped(extra(make())))
        rig = bench(graph)
        (up,) = rig.start().shipments
        assert len(self.singles(rig.finish(up.run))) == 2

    def test_a_state_may_be_of_a_class_of_the_user_s(self, bench: Any) -> None:
        with FlowGraph("f") as graph:
            each.map([1, 2], upstream_tasks=[unmapped(make())])
        rig = bench(graph)
        rig.start()
        block = the_block(rig.finish(0))
        node = rig.engine.node_of(block.runs.start)
        (number,) = rig.compiled.values
        x = Row("x", FromElements(FromValue(number), 0))
        submit = SubmitMany(block.runs, node, "each-1", 0, 1, 1, (x,))

        lowered = rig.lowering.lower([submit], lambda run: Odd("mine"))
        assert [told_alone(one) for one in self.singles(lowered)] == [{"x": ("value", n)} for n in (1, 2)]
        told_of = the_block(rig.lowering.lower([submit], lambda run: Failed("plain", ValueError())))
        ((_, _, fact),) = [one for one in told_of.upstreams if one[1] is None]
        assert (type(fact), fact.message, fact.has_result) == (Failed, "plain", False)

    def test_once_something_was_refused_each_is_asked_whether_it_hangs_on_that(self, bench: Any) -> None:
        with FlowGraph("f") as graph:
            above = each.map([1, LOCK, 3])
            each.map(above)
        lowered = bench(graph).start()
        assert [(one.slug, one.key[1]) for one in self.singles(lowered)] == [
            ("each-1", 0),
            ("each-1", 2),
            ("each-2", 0),
            ("each-2", 2),
        ]
        assert len(lowered.refused) == 1


def test_in_this_process_values_go_as_they_are(bench: Any) -> None:
    with FlowGraph("f") as graph:
        each.map([LOCK, [1]])
    block = the_block(bench(graph, pickles=False).start())
    ((_, kind, what),) = block.columns
    assert kind == PLAIN
    assert what[0] is LOCK


def test_an_error_of_the_engine_s_is_no_user_s_failure(bench: Any) -> None:
    rig = bench(plain())
    block = the_block(rig.start())
    node = rig.engine.node_of(block.runs.start)

    def state_of(run: int) -> State:
        raise EngineError("no such run")

    rows = Row("x", FromElements(FromDriver(0), 0)), Row("extra", FromDriver(0))
    with pytest.raises(EngineError, match="no such run"):
        rig.lowering.lower([SubmitMany(block.runs, node, "each-1", 0, 1, 1, rows)], state_of)


def test_elements_of_what_the_driver_knows_are_sent(bench: Any) -> None:
    rig = bench(plain())
    block = the_block(rig.start())
    node = rig.engine.node_of(block.runs.start)
    given = Success("given", [[7], [8, 9]])
    for flat, expected in ((False, [[7], [8, 9]]), (True, [7, 8])):
        rows = Row("x", FromElements(FromDriver(0, None, flat), 0)), Row("extra", FromDriver(0))
        submit = SubmitMany(block.runs[:2], node, "each-1", 0, 1, 1, rows)
        found = told(the_block(rig.lowering.lower([submit], lambda run: given)))
        assert found == [{"x": ("value", x), "extra": ("value", given.result)} for x in expected]
