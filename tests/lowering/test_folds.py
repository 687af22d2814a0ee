"""An associative reduce as a tree: every value once and in order, from few keys at a time, parts reused."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite import Flow, flatten, task, unmapped
from prefectlite.errors import EngineError
from prefectlite.lowering.berths import Berths
from prefectlite.lowering.bundles import Bundle, Packer
from prefectlite.lowering.folds import ARITY, ARITY_OF_LARGE, Sums, homes_of
from prefectlite.lowering.keys import is_part
from prefectlite.lowering.pace import Pace
from prefectlite.lowering.parts import PLAIN, READ, WHOLE, Member
from prefectlite.lowering.shipment import Fold, Shipment
from prefectlite.lowering.spec import NEEDS, Spec
from tests.lowering.shipments import block, key_of, shipment

SHARED = ("f.shared-00000000", 0, 0, 0, 0)


def reduce_of(number: int, *spans: tuple[int, int, int], shared: tuple[Any, ...] = ()) -> Shipment:
    count = len(shared) + sum(count for _, _, count in spans)
    recipes = (("xs", (NEEDS, range(len(shared), count), None, False)), ("k", (0, 0, None, False)))
    spec = Spec("sum", None, 1, 1, {"by": 1}, recipes, (), True, ("length",))
    one = shipment(number, (*shared, *spans))
    return one._replace(fold=Fold(spec, "xs", shared, spans))


class Yard:
    """A packer, and values that lie somewhere."""

    def __init__(self, *homes: int) -> None:
        self.berths = Berths()
        self.sums = Sums()
        self.packer = Packer(Pace(1, lambda: 2), self.berths, sums=self.sums)
        self.values: dict[Any, list[Any]] = {}
        run = 0
        for number, count in enumerate(homes):
            key: Any = (*key_of(number), 1)
            if count == 0:
                key = key_of(number)
                self.berths.put(run, 1, key)
                self.values[key] = [run]
            elif number % 2:
                self.berths.put_row(range(run, run + count), 1, key, 0)
                self.values[key] = list(range(run, run + count))
            else:
                for slot in range(count):
                    self.berths.put(run + slot, 1, key, slot)
                self.values[key] = list(range(run, run + count))
            run += count or 1
        self.count = run

    def pack(self, one: Shipment) -> list[Bundle]:
        packed = self.packer.pack([one])
        assert all(isinstance(each, Bundle) for each in packed)
        return packed  # type: ignore[return-value]

    def call(self, bundle: Bundle) -> list[int]:
        """Return what a call that joins lists makes of what it reads."""
        (member,) = pickle.loads(bundle.payload)
        assert isinstance(member, Member)
        found: list[Any] = []
        for place, slot, count in member.reads:
            value = self.values.get(bundle.needs[place], ["shared"])
            found += value[:1] if slot == WHOLE else value[slot : slot + count]
        spec = Spec._make(pickle.loads(member.spec))
        recipe = dict(spec.recipes)["xs"]
        start = recipe[1].start
        assert recipe == (NEEDS, range(start, len(found)), None, False)
        assert found[:start] == ["shared"] * start
        assert (spec.drop_value, spec.measure) == ((False, ()) if bundle.covers else (True, ("length",)))
        assert is_part(bundle.key) == bool(bundle.covers)
        flat = list(_flat(found[start:]))
        self.values[bundle.key] = [flat]
        return flat


def _flat(values: list[Any]) -> Iterator[int]:
    for one in values:
        if isinstance(one, list):
            yield from _flat(one)
        else:
            yield one


def runs(covers: tuple[tuple[int, int, int], ...]) -> list[int]:
    return [run for first, _, count in covers for run in range(first, first + count)]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.booleans())
def test_a_tree_reads_every_value_once_and_in_order(homes: list[int], has_shared: bool) -> None:
    yard = Yard(*homes)
    shared = (SHARED,) if has_shared else ()
    packed = yard.pack(reduce_of(999, (0, 1, yard.count), shared=shared))
    made = set(yard.values) | set(shared)
    taken: list[int] = []
    for one in packed:
        assert made.issuperset(one.needs)
        assert len(set(one.needs) - set(shared)) <= ARITY
        made.add(one.key)
        found = yard.call(one)
        if one.covers:
            assert found == runs(one.covers)
            taken += runs(one.took)
    assert yard.call(packed[-1]) == list(range(yard.count))
    assert [bool(one.covers) for one in packed] == [True] * (len(packed) - 1) + [False]
    assert (len(packed) == 1) == (len(homes) <= ARITY)
    assert len(taken) == len(set(taken))
    assert yard.berths.find(999, 1) == (packed[-1].key, 0)


@given(st.data(), st.lists(st.integers(0, 3), min_size=20, max_size=150))
def test_what_came_of_parts_stands_for_what_they_read(data: st.DataObject, homes: list[int]) -> None:
    yard = Yard(*homes)
    one = reduce_of(999, (0, 1, yard.count))
    for _ in range(3):
        packed = yard.pack(one)
        # As many as have ended, all before those that read them.
        ended = data.draw(st.integers(0, len(packed) - 1))
        for part in packed[:ended]:
            assert yard.call(part) == runs(part.covers)
            yard.sums.put(999, part.key, part.covers)
        known = yard.sums.of(999)
        for key, covers in known.items():
            for run in runs(covers):
                yard.berths.forget(run, 1)
                yard.berths.forget_row(range(run, run + 1), 1)
            assert yard.sums.run_of(key) == 999
    packed = yard.pack(one)
    for part in packed:
        found = yard.call(part)
    assert found == list(range(yard.count))


def test_parts_of_a_larger_part_are_needed_no_more() -> None:
    sums = Sums()
    assert sums.put(1, "a", ((0, 1, 2),)) == []
    assert sums.put(1, "b", ((2, 1, 2),)) == []
    assert sums.put(1, "c", ((0, 1, 2), (2, 1, 2))) == ["a", "b"]
    assert sums.put(1, "b", ((2, 1, 2),)) == ["b"]
    assert sums.put(2, "d", ((0, 1, 2),)) == []
    assert list(sums.of(1)) == ["c"]
    sums.forget(1, "c")
    assert dict(sums.of(1)) == {}
    assert sums.run_of("c") is None
    assert sums.drop(2) == ["d"]
    assert sums.drop(2) == []


def test_a_value_that_lies_nowhere_is_an_error() -> None:
    fold = reduce_of(9, (0, 1, 3)).fold
    assert fold is not None
    with pytest.raises(EngineError, match="never sent"):
        homes_of(fold, Berths(), {})
    with pytest.raises(EngineError, match="lies nowhere"):
        homes_of(fold, Berths(), {"a": ((1, 1, 1),)})  # type: ignore[dict-item]


def test_a_part_of_other_values_is_not_taken() -> None:
    yard = Yard(*[0] * 20)
    yard.sums.put(999, ("old", 0, 0, 0, 0), ((0, 2, 3),))
    yard.sums.put(999, ("odd", 0, 0, 0, 0), ((1, 1, 2), (9, 1, 1)))
    assert yard.call(yard.pack(reduce_of(999, (0, 1, 20)))[0]) == list(range(6))


@pytest.mark.parametrize("read_first", [True, False])
def test_what_reads_a_tree_is_sent_behind_it(read_first: bool) -> None:
    yard = Yard(*[0] * 20)
    reader = shipment(1000, ((999, 1, 1),))
    beside = shipment(1001, ((0, 1, 1),))
    packed = yard.packer.pack([beside, reduce_of(999, (0, 1, 20)), reader])
    keys = [one.key for one in packed]
    assert len(keys) == 6
    assert keys.index(yard.berths.find(999, 1)[0]) < keys.index(packed[-1].key)  # type: ignore[index]


def test_only_parts_go_before_others() -> None:
    yard = Yard(*[0] * 40)
    one = reduce_of(999, (0, 1, 40))
    for notes in (None, {"priority": 3, "workers": ["a"]}):
        packed = yard.pack(one._replace(annotations=notes))
        first, last = packed[0].annotations, packed[-1].annotations
        assert first == {**(notes or {}), "priority": (notes or {}).get("priority", 0) + 1}
        assert all(part.annotations is first for part in packed[:-1])
        assert last is notes


# What can be a tree at all


def total(xs: list[int], by: int = 0) -> int:
    return sum(xs) + by


def lowered(bench: Any, flow: Flow, end: Any) -> Shipment:
    made = bench(flow)
    found = made.start()
    (one,) = [each for each in found.shipments if isinstance(each, Shipment) and each.run == made.number(end)]
    return one


def test_a_whole_map_can(bench: Any) -> None:
    with Flow("map") as flow:
        made = task(lambda n: n, name="made").map(list(range(20)))
        end = task(total, associative=True)(made, 3)
    fold = lowered(bench, flow, end).fold
    assert fold is not None
    assert (fold.argument, fold.shared, fold.spans) == ("xs", (), ((fold.spans[0][0], 1, 20),))


def test_a_list_of_tasks_can(bench: Any) -> None:
    with Flow("list") as flow:
        end = task(total, associative=True)([task(lambda n: n, name="made")(n) for n in range(20)])
    fold = lowered(bench, flow, end).fold
    assert fold is not None
    assert len(fold.spans) == 20


def test_a_large_constant_has_the_first_position(bench: Any) -> None:
    with Flow("large") as flow:
        made = task(lambda n: n, name="made").map(list(range(20)))
        end = task(total, associative=True)(made, by=b"x" * 100_000)
    one = lowered(bench, flow, end)
    assert one.fold is not None
    assert one.fold.shared == one.needs[:1]


@pytest.mark.parametrize(
    "kind", ["off", "twice", "flat", "tuple", "two", "after", "known", "of maps", "same", "stored"]
)
def test_the_others_cannot(kind: str, bench: Any) -> None:
    with Flow("no") as flow:
        made = task(lambda n: n, name="made").map(list(range(20)))
        one = task(lambda n: n, name="one")(1)
        added = task(total, associative=kind != "off")
        match kind:
            case "off":
                end = added(made)
            case "twice":
                end = added(made, made)
            case "flat":
                end = added(flatten(made))
            case "tuple":
                end = added((one, one))
            case "two":
                end = added(made, one)
            case "after":
                end = added(made, upstream_tasks=[task(lambda: None, name="first")()])
            case "known":
                end = added([one, 5])
            case "of maps":
                end = added([made, one])
            case "same":
                end = added([one, one])
            case "stored":  # one value of all inputs is stored, and no part of it
                end = added(made, task_args={"target": "total"})
    assert lowered(bench, flow, end).fold is None


def test_children_that_reduce_cannot(bench: Any) -> None:
    with Flow("children") as flow:
        made = task(lambda n: n, name="made").map(list(range(20)))
        task(total, associative=True).map(unmapped(made), [1, 2])
    found = bench(flow, singly=True).start()
    assert all(getattr(one, "fold", None) is None for one in found.shipments)


def test_in_this_process_nothing_can(bench: Any) -> None:
    with Flow("here") as flow:
        end = task(total, associative=True)(task(lambda n: n, name="made").map(list(range(20))))
    made = bench(flow, pickles=False, singly=True)
    (one,) = [each for each in made.start().shipments if each.run == made.number(end)]
    assert one.fold is None
    assert isinstance(one.live, Spec)


# Large values


def test_large_values_and_what_is_made_from_them_go_by_twos_and_alone() -> None:
    pace = Pace(None, lambda: 2)
    packer = Packer(pace, Berths())
    pace.note("a", 0.01, 10**6)
    made = block(range(40), columns=(("y", PLAIN, list(range(40))),), blob=0)
    after = block(range(40, 80), columns=(("x", READ, (0, 1, 40)),), blob=1)
    packed = packer.pack([made, after, reduce_of(99, (40, 1, 40))])

    sizes = [sum(len(getattr(part, "runs", (1,))) for part in one.shipments) for one in packed]  # type: ignore[union-attr]
    assert sizes == [1] * len(packed)
    parts = [one for one in packed if is_part(one.key)]
    assert max(len(one.needs) for one in packed[80:]) == ARITY_OF_LARGE  # type: ignore[union-attr]
    assert len(parts) == 38
    # One group, which Dask hands out in order.
    assert len({one.key[0] for one in packed[:40]}) == 1
    assert len({one.key[0] for one in packed[40:80]}) > 1


def test_what_is_made_from_large_values_and_is_small_travels_together_once_that_is_known() -> None:
    pace = Pace(None, lambda: 2)
    packer = Packer(pace, Berths())
    pace.note("a", 0.01, 10**6)
    made = block(range(40), columns=(("y", PLAIN, list(range(40))),), blob=0)
    packer.pack([made, block(range(40, 80), columns=(("x", READ, (0, 1, 40)),), blob=1)])
    pace.note("b", 0.0001, 10)
    packed = packer.pack([block(range(80, 120), columns=(("x", READ, (40, 1, 40)),), blob=2)])
    assert len(packed) < 40


@pytest.mark.parametrize(
    ("is_known", "keeps_step", "expected"),
    [(False, True, [10] * 8 + [1, 1]), (True, True, [10] * 8), (False, False, [10] * 8)],
)
def test_the_last_values_that_a_tree_is_going_to_read_are_made_first_and_alone(
    is_known: bool, keeps_step: bool, expected: list[int]
) -> None:
    # The tree itself may be sent much later.
    pace = Pace(None, lambda: 2)
    if is_known:
        pace.note("a", 0.0001, 10)
    children = range(82 if keeps_step and not is_known else 80)
    made = block(children, columns=(("y", PLAIN, list(children)),), blob=0)._replace(keeps_step=keeps_step)
    packed = Packer(pace, Berths()).pack([made])

    assert [len(one.shipments[0].runs) for one in packed] == expected  # type: ignore[union-attr]
    assert [one.annotations for one in packed] == [
        {"priority": 1} if size == 1 else None for size in expected
    ]


def test_only_a_first_few_go_ahead_though_more_are_sent_before_one_has_ended() -> None:
    packer = Packer(Pace(None, lambda: 2), Berths())
    children = range(80)
    made = block(children, columns=(("y", PLAIN, list(children)),), blob=0)._replace(keeps_step=True)
    packed = packer.pack([made.part(0, 40)]), packer.pack([made.part(40, 80)])
    assert [[one.annotations is not None for one in some].count(True) for some in packed] == [2, 0]
