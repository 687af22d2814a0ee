"""What travels together: everything once, nothing in a circle, each need where it lies."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefectlite.lowering.berths import Berths
from prefectlite.lowering.bundles import Bundle, Packer
from prefectlite.lowering.keys import COMPANY, held_back
from prefectlite.lowering.order import AnyShipment
from prefectlite.lowering.pace import AIM, FIRST, MEMORY, MOST, SHARES, VALUE_LIMIT, Pace, most_together
from prefectlite.lowering.parts import PLAIN, READ, SELF, WHOLE, Block, Member
from prefectlite.lowering.shipment import BlockShipment, Shipment
from tests.lowering.shipments import BLOBS, block, key_of, keys_of, places, runs_of, shipment, turns

A_CONSTANT = ("f.shared-00000000", 0, 0, 0, 0)


class Dock:
    """A packer, and the books that it keeps."""

    def __init__(self, bundle_size: int | None = None, threads: int = 2) -> None:
        self.pace = Pace(bundle_size, lambda: threads)
        self.berths = Berths()
        self.packer = Packer(self.pace, self.berths)

    def pack(self, *shipments: AnyShipment) -> list[Shipment | Bundle]:
        return self.packer.pack(shipments)


def parts_of(bundle: Shipment | Bundle) -> tuple[Member | Block, ...]:
    assert isinstance(bundle, Bundle)
    parts: tuple[Member | Block, ...] = pickle.loads(bundle.payload)
    return parts


def sent(packed: list[Shipment | Bundle]) -> list[range]:
    """The runs of each shipment, in order of sending."""
    return [
        runs_of(each) for one in packed for each in (one.shipments if isinstance(one, Bundle) else (one,))
    ]


def check(dock: Dock, packed: list[Shipment | Bundle], up: set[Any]) -> None:
    """Whether a turn can run, and whether each of its attempts finds what it needs."""
    waiting = {one.key: one for one in packed}
    assert len(waiting) == len(packed)
    assert up.isdisjoint(waiting)
    for one in packed:
        needs = one.needs if isinstance(one, Bundle) else keys_needed(dock, one)
        assert up.issuperset(needs), (
            "what is needed is sent behind what needs it, or both wait for each other"
        )
        up.add(one.key)
        if isinstance(one, Bundle):
            check_bundle(dock, one)


def keys_needed(dock: Dock, one: Shipment) -> list[Any]:
    found: list[Any] = []
    for need in one.needs:
        if len(need) == 3:
            for key, slot, _ in dock.berths.stretches(need):
                assert slot == WHOLE, "what reads a slot must be told of it, so it cannot travel alone"
                found.append(key)
        else:
            found.append(need)
    return found


def lying(dock: Dock, need: Any) -> list[Any]:
    """Key and slot of each value of a need, by the books."""
    if len(need) != 3:
        return [(need, WHOLE)]
    run, submission, count = need
    return [dock.berths.find(one, submission) for one in range(run, run + count)]


def check_bundle(dock: Dock, bundle: Bundle) -> None:
    assert len(set(bundle.needs)) == len(bundle.needs)
    assert bundle.key not in bundle.needs
    assert len({id(one.annotations) for one in bundle.shipments}) == 1
    assert bundle.annotations is bundle.shipments[0].annotations
    slot = 0
    for one, part in zip(bundle.shipments, parts_of(bundle), strict=True):
        assert bundle.tasks[part.task] is one.task
        assert places(part.reads, bundle.needs, bundle.key) == [
            at for n in one.needs for at in lying(dock, n)
        ]
        stretches = list(part.reads)
        if isinstance(one, Shipment):
            assert isinstance(part, Member)
            assert (part.key, part.spec) == (one.key, one.spec)
        else:
            assert isinstance(part, Block)
            assert (part.slug, part.first, part.count) == (one.slug, one.first, len(one.runs))
            for (name, kind, what), (told_name, told_kind, told) in zip(
                one.columns, part.columns, strict=True
            ):
                assert (name, kind) == (told_name, told_kind)
                if kind == READ:
                    assert places(told, bundle.needs, bundle.key) == lying(dock, what)
                    stretches += told
                else:
                    assert told == what
        for place, first, count in stretches:
            assert place != SELF or first + count <= slot, "only earlier slots can be read"
        for run in runs_of(one):
            assert dock.berths.find(run, one.submission) == (bundle.key, slot)
            slot += 1


class TestLaw:
    @given(turns(), st.sampled_from([None, 1, 2, 3, 7, 1000]), st.integers(0, 3), st.booleans())
    def test_everything_is_sent_once_and_finds_its_needs_and_nothing_waits_for_itself(
        self, found: list[list[AnyShipment]], size: int | None, threads: int, timed: bool
    ) -> None:
        dock = Dock(size, threads)
        if timed:
            for blob, seconds in zip(BLOBS, (0.0, 0.03, 1.0), strict=True):
                dock.pace.note(blob.digest, seconds, 0)
        up: set[Any] = set()
        names: list[Any] = []
        for turn in found:
            packed = dock.packer.pack(turn)
            check(dock, packed, up)
            names += [
                key
                for one in packed
                for each in (one.shipments if isinstance(one, Bundle) else (one,))
                for key in keys_of(each)
            ]
            runs = [run for one in sent(packed) for run in one]
            assert sorted(runs) == [run for one in turn for run in runs_of(one)]

    @given(turns(alone=True), st.integers(2, 6))
    def test_attempts_by_themselves_keep_to_the_size(self, found: list[list[AnyShipment]], size: int) -> None:
        dock = Dock(size)
        for turn in found:
            for one in dock.packer.pack(turn):
                if isinstance(one, Bundle):
                    assert sum(each.most is None for each in one.shipments) <= size

    @given(turns(), st.sampled_from([None, 1, 2, 1000]))
    def test_no_bundle_holds_more_of_a_task_than_it_says(
        self, found: list[list[AnyShipment]], size: int | None
    ) -> None:
        dock = Dock(size)
        for turn in found:
            for one in dock.packer.pack(turn):
                if not isinstance(one, Bundle):
                    continue
                counts: Counter[str] = Counter()
                for each in one.shipments:
                    counts[each.task.digest] += len(runs_of(each))
                for each in one.shipments:
                    assert each.most is None or counts[each.task.digest] <= each.most
                if any(each.most == 1 for each in one.shipments) or size == 1:
                    assert counts.total() == 1


class TestSingles:
    def test_attempts_travel_together_and_what_asks_for_another_place_apart(self) -> None:
        dock = Dock(10)
        packed = dock.pack(shipment(0), shipment(1), shipment(2, note=1))
        (bundle,) = [one for one in packed if isinstance(one, Bundle)]
        assert [one.run for one in packed if isinstance(one, Shipment)] == [2]
        assert parts_of(bundle) == (Member(key_of(0), 0, b"spec 0", ()), Member(key_of(1), 0, b"spec 1", ()))
        assert bundle.key[:5] == key_of(0)
        assert bundle.tasks == (BLOBS[0],)

    def test_a_chain_travels_as_one_and_reads_its_own_slots(self) -> None:
        dock = Dock()
        (bundle,) = dock.pack(*[shipment(n, ((n - 1, 1, 1),) if n else (), n % 2) for n in range(4)])
        assert isinstance(bundle, Bundle)
        assert bundle.needs == ()
        assert [part.reads for part in parts_of(bundle)] == [(), *[((SELF, n, 1),) for n in range(3)]]
        assert [part.task for part in parts_of(bundle)] == [0, 1, 0, 1]
        assert bundle.tasks == (BLOBS[0], BLOBS[1])

    def test_a_size_of_one_leaves_shipments_as_they_are(self) -> None:
        found = [shipment(n, ((n - 1, 1, 1), A_CONSTANT) if n else ()) for n in range(5)]
        dock = Dock(1)
        assert dock.pack(*found) == found
        assert dock.berths.find(4, 1) == (key_of(4), WHOLE)

    def test_a_reader_of_many_is_told_of_stretches(self) -> None:
        dock = Dock(100)
        (first,) = dock.pack(*map(shipment, range(50)))
        (reader,) = dock.pack(shipment(60, ((0, 1, 20), A_CONSTANT, (20, 1, 30)), blob=1))
        assert isinstance(reader, Bundle)  # alone, but it must be told of slots
        (part,) = parts_of(reader)
        assert part.reads == ((0, 0, 20), (1, WHOLE, 1), (0, 20, 30))
        assert reader.needs == (first.key, A_CONSTANT)
        (neighbours,) = dock.pack(shipment(61, ((0, 1, 20), (20, 1, 30))))
        (part,) = parts_of(neighbours)
        assert part.reads == ((0, 0, 50),), "stretches that go on are one"

    def test_a_value_that_was_sent_again_is_found_where_it_lies_now(self) -> None:
        dock = Dock(2)
        (bundle,) = dock.pack(shipment(0), shipment(1))
        assert dock.berths.find(1, 1) == (bundle.key, 1)
        (again,) = dock.pack(shipment(1), shipment(2))
        assert dock.berths.find(1, 1) == (again.key, 0)
        assert again.key != bundle.key

    def test_what_was_taken_back_in_its_own_turn_still_finds_what_it_was_to_read(self) -> None:
        dock = Dock(10)
        (first,) = dock.pack(block(range(10, 20)))
        again = block(range(10, 20))._replace(attempt=2, submission=2)
        taken_back = shipment(1, ((10, 1, 10),))
        reader = shipment(2, ((10, 2, 10),))
        packed = {runs_of(one.shipments[0]).start: one for one in dock.pack(taken_back, again, reader)}
        assert packed[1].needs == (first.key,)
        assert packed[2].needs == (packed[10].key,)

    def test_a_task_with_large_values_is_not_bundled(self) -> None:
        dock = Dock()
        dock.pace.note(BLOBS[0].digest, 0.0, VALUE_LIMIT + 1)
        assert dock.pack(shipment(0), shipment(1)) == [shipment(0), shipment(1)]


class TestBlocks:
    def test_a_block_is_cut_into_even_bundles(self) -> None:
        dock = Dock(4)
        packed = dock.pack(block(range(10, 20), (A_CONSTANT,), (("x", PLAIN, range(10)),)))
        assert sent(packed) == [range(10, 13), range(13, 16), range(16, 20)]
        for one, start in zip(packed, (0, 3, 6), strict=True):
            (part,) = parts_of(one)
            assert isinstance(part, Block)
            assert part.first == start
            assert part.columns[0][2] == range(start, start + part.count)
            assert one.key[:5] == keys_of(block(range(10, 20)))[start]
            assert one.needs == (A_CONSTANT,)
            assert part.reads == ((0, WHOLE, 1),)
        assert dock.berths.find(17, 1) == (packed[2].key, 1)

    def test_children_that_read_each_other_in_pairs_travel_in_one_bundle(self) -> None:
        dock = Dock(6)
        packed = dock.pack(
            block(range(9)),
            block(range(9, 18), columns=(("x", READ, (0, 1, 9)),), blob=1),
            block(range(18, 27), columns=(("x", READ, (9, 1, 9)), ("y", READ, (0, 1, 9))), blob=2),
        )
        assert len(packed) == 5  # of 2 children each, as near as can be, since 3 tasks run for each
        for one in packed:
            above, middle, below = parts_of(one)
            width = above.count
            assert one.needs == ()
            assert middle.columns == (("x", READ, ((SELF, 0, width),)),)  # type: ignore[union-attr]
            assert below.columns == (  # type: ignore[union-attr]
                ("x", READ, ((SELF, width, width),)),
                ("y", READ, ((SELF, 0, width),)),
            )
            assert [part.task for part in (above, middle, below)] == [0, 1, 2]

    def test_children_that_read_a_part_or_all_of_a_map_travel_by_themselves(self) -> None:
        dock = Dock(100)
        packed = dock.pack(
            block(range(4)),
            block(range(4, 6), columns=(("x", READ, (1, 1, 2)),)),
            block(range(6, 10), needs=((0, 1, 4),)),
        )
        assert sent(packed) == [range(4), range(4, 6), range(6, 10)]
        first, shorter, all_of_it = packed
        (part,) = parts_of(shorter)
        assert part.columns == (("x", READ, ((0, 1, 2),)),)  # type: ignore[union-attr]
        assert shorter.needs == all_of_it.needs == (first.key,)
        (part,) = parts_of(all_of_it)
        assert part.reads == ((0, 0, 4),)

    def test_children_that_read_a_map_one_by_one_and_as_a_whole_travel_behind_it(self) -> None:
        dock = Dock(2)
        both = block(range(4, 8), needs=((0, 1, 4),), columns=(("x", READ, (0, 1, 4)),))
        assert sent(dock.pack(block(range(4)), both)) == [range(2), range(2, 4), range(4, 6), range(6, 8)]

    def test_children_that_read_two_maps_travel_behind_both(self) -> None:
        dock = Dock(100)
        packed = dock.pack(
            block(range(4)),
            block(range(4, 8)),
            block(range(8, 12), columns=(("x", READ, (0, 1, 4)), ("y", READ, (4, 1, 4)))),
        )
        assert sent(packed) == [range(4), range(4, 8), range(8, 12)]
        assert packed[2].needs == (packed[0].key, packed[1].key)

    def test_children_that_ask_for_another_place_travel_apart(self) -> None:
        dock = Dock(100)
        packed = dock.pack(block(range(4)), block(range(4, 8), columns=(("x", READ, (0, 1, 4)),), note=1))
        assert sent(packed) == [range(4), range(4, 8)]
        assert [one.annotations for one in packed] == [None, {"priority": 1}]

    def test_what_reads_a_block_is_packed_behind_it_and_apart_from_what_the_block_reads(self) -> None:
        dock = Dock(100)
        packed = dock.pack(
            shipment(0),
            block(range(1, 5), needs=((0, 1, 1),)),
            shipment(5, ((1, 1, 4),)),
            shipment(6, ((5, 1, 1),)),
            shipment(7),
        )
        assert [[run for one in sent([each]) for run in one] for each in packed] == [
            [0, 7],
            [1, 2, 3, 4],
            [5, 6],
        ]

    def test_a_block_that_reads_what_reads_a_block_comes_last(self) -> None:
        """Children that cannot go as a block, between two maps that can: they were read before they were sent."""
        dock = Dock(2)
        middle = [shipment(4 + n, ((n, 1, 1),)) for n in range(4)]
        packed = dock.pack(block(range(4)), *middle, block(range(8, 12), columns=(("x", READ, (4, 1, 4)),)))
        check(dock, packed, set())
        assert sent(packed)[:2] == [range(2), range(2, 4)]
        assert sent(packed)[-2:] == [range(8, 10), range(10, 12)]


class TestMost:
    """Tasks that say how many of their attempts may share a bundle."""

    def test_a_block_is_cut_by_the_number_of_its_task_and_not_by_time(self) -> None:
        for dock in (Dock(None), Dock(7)):
            dock.pace.note(BLOBS[0].digest, 10.0, 10)
            assert sent(dock.pack(block(range(20), most=10))) == [range(10), range(10, 20)]

    def test_the_executor_may_switch_bundles_off(self) -> None:
        found = [shipment(n, most=100) for n in range(3)]
        assert Dock(1).pack(*found) == found
        assert sent(Dock(1).pack(block(range(3), most=100))) == [range(1), range(1, 2), range(2, 3)]

    def test_the_least_number_in_a_line_of_maps_counts_for_each(self) -> None:
        def line(*mosts: int | None) -> list[BlockShipment]:
            found = [block(range(12), blob=0, most=mosts[0])]
            for number, most in enumerate(mosts[1:], 1):
                reads = (("x", READ, (12 * number - 12, 1, 12)),)
                found.append(block(range(12 * number, 12 * number + 12), (), reads, number, most=most))
            return found

        for size, mosts, width in (
            (None, (4, 6), 4),
            (None, (6, None), 2),  # the other decides by time: there are four bundles for each of two threads
            (8, (6, None), 6),
            (8, (6, None, None), 4),
            (8, (100, None), 6),  # evenly
        ):
            bundles = Dock(size).pack(*line(*mosts))
            assert {len(runs) for runs in sent(bundles)} == {width}, mosts
            assert {len(parts_of(one)) for one in bundles} == {len(mosts)}

    def test_a_map_that_travels_alone_does_so_between_others(self) -> None:
        dock = Dock(100)
        packed = dock.pack(
            block(range(3)),
            block(range(3, 6), columns=(("x", READ, (0, 1, 3)),), blob=1, most=1),
            block(range(6, 9), columns=(("x", READ, (3, 1, 3)),), blob=2),
        )
        check(dock, packed, set())
        assert sent(packed) == [range(3), range(3, 4), range(4, 5), range(5, 6), range(6, 9)]

    def test_calls_travel_by_the_number_of_their_task(self) -> None:
        dock = Dock(None, threads=8)
        packed = dock.pack(*[shipment(n, most=7) for n in range(24)])
        assert [len(one.shipments) for one in packed if isinstance(one, Bundle)] == [7, 7, 7, 3]

    def test_large_values_travel_alone_whatever_their_task_says(self) -> None:
        dock = Dock()
        dock.pace.note(BLOBS[0].digest, 0.0, VALUE_LIMIT + 1)
        assert len(dock.pack(shipment(0, most=9), shipment(1, most=9))) == 2
        assert len(dock.pack(block(range(2, 6), most=9))) == 4

    def test_a_setting_of_a_user_s_is_a_number_or_unsaid(self) -> None:
        assert [most_together(one) for one in ("auto", None, 1, 7)] == [None, 1, 1, 7]  # type: ignore[arg-type]


class TestPart:
    COLUMNS = (
        ("plain", PLAIN, range(100, 110)),
        ("packed", 1, [bytes([n]) for n in range(10)]),
        ("read", READ, (50, 1, 10)),
        ("item", 3, (0, 5)),
        ("flat", 4, (1, 7)),
    )

    def test_each_column_is_cut_at_the_same_places(self) -> None:
        whole = block(range(10, 20), columns=self.COLUMNS)
        part = whole.part(3, 5)
        assert (part.runs, part.first) == (range(13, 15), 3)
        assert part.columns == (
            ("plain", PLAIN, range(103, 105)),
            ("packed", 1, [b"\x03", b"\x04"]),
            ("read", READ, (53, 1, 2)),
            ("item", 3, (0, 8)),
            ("flat", 4, (1, 10)),
        )
        assert keys_of(part) == keys_of(whole)[3:5]

    def test_all_of_it_is_the_same_object(self) -> None:
        whole = block(range(10, 20), columns=self.COLUMNS)
        assert whole.part(0, 10) is whole

    @given(st.lists(st.integers(0, 10), min_size=4, max_size=4).map(sorted))
    def test_a_part_of_a_part_is_a_part(self, cuts: list[int]) -> None:
        a, b, c, d = cuts
        whole = block(range(10, 20), columns=self.COLUMNS)
        assert whole.part(a, d).part(b - a, c - a) == whole.part(b, c)
        assert isinstance(whole, BlockShipment)


class TestPace:
    def test_a_given_size_is_kept(self) -> None:
        pace = Pace(7, lambda: 2)
        pace.note("a", 10.0, 10)
        assert pace.size(["a"], 1000) == 7
        assert pace.size(["a", "b", "c"], 1000) == 2
        assert pace.size(["a"] * 8, 1000) == 1

    def test_large_values_travel_alone_whatever_size_is_given(self) -> None:
        pace = Pace(7, lambda: 2)
        pace.note("a", 0.0, VALUE_LIMIT + 1)
        assert pace.size(["a"], 1000) == pace.size(["b", "a"], 1000) == 1
        assert pace.size(["b"], 1000) == 7

    def test_what_was_learned_in_one_run_is_known_in_the_next_and_the_oldest_goes(self) -> None:
        seconds: dict[str, float] = {}
        first = Pace(None, lambda: 2, seconds)
        for number in range(MEMORY + 1):
            first.note(str(number), 1.0, 10)
        second = Pace(None, lambda: 2, seconds)
        assert second.is_known
        assert (second.seconds("0"), second.seconds("1"), second.seconds(str(MEMORY))) == (None, 1.0, 1.0)

    def test_an_unknown_task_is_tried_in_small_shares(self) -> None:
        assert Pace(None, lambda: 2).size(["a"], 10_000) == FIRST
        assert Pace(None, lambda: 2).size(["a"], 16) == 16 // (2 * SHARES)
        assert Pace(None, lambda: 0).size(["a"], 1) == 1

    def test_a_bundle_takes_about_as_long_as_is_aimed_at(self) -> None:
        pace = Pace(None, lambda: 2)
        pace.note("a", 0.01, 10)
        assert pace.size(["a"], 10_000) == round(AIM / 0.01)
        assert pace.size(["a", "a"], 10_000) == round(AIM / 0.02), "both run for each child"
        pace.note("b", 1.0, 10)
        assert pace.size(["b"], 10_000) == 1
        pace.note("c", 0.0, 10)
        assert pace.size(["c"], 1_000_000) == MOST

    def test_what_turns_slow_counts_at_once_and_what_turns_fast_by_and_by(self) -> None:
        pace = Pace(None, lambda: 2)
        pace.note("a", 0.001, 10)
        pace.note("a", 1.0, 10)
        assert pace.size(["a"], 10_000) == 1
        for _ in range(100):
            pace.note("a", 0.001, 10)
        assert pace.size(["a"], 10_000) > 10

    def test_what_makes_large_values_travels_alone(self) -> None:
        pace = Pace(None, lambda: 2)
        pace.note("a", 0.0, VALUE_LIMIT + 1)
        assert pace.size(["a"], 10_000) == 1
        assert pace.size(["b"], 10_000) > 1

    def test_many_that_ended_together_weigh_as_much_as_one_by_one(self) -> None:
        paces = [Pace(None, lambda: 1) for _ in range(2)]
        for pace in paces:
            pace.note("a", 0.01, 10)
        paces[0].note("a", 0.001, 10, 20)
        for _ in range(20):
            paces[1].note("a", 0.001, 10)
        one, other = (pace.seconds("a") for pace in paces)
        assert one is not None
        assert other is not None
        assert abs(one - other) < 1e-9
        assert paces[0].is_known
        assert not Pace(None, lambda: 1).is_known

    def test_a_clock_that_was_set_back_is_no_news(self) -> None:
        pace = Pace(None, lambda: 1)
        pace.note("a", -5.0, 10)
        assert pace.size(["a"], 10_000) == MOST


class TestMaps:
    """Of one task, each over the one before: a bundle runs it more than once for each child."""

    def test_a_task_counts_as_often_as_it_runs(self) -> None:
        dock = Dock(1000)
        packed = dock.pack(*_chain(3, most=7, width=10))
        counts = [sum(len(runs_of(one)) for one in each.shipments) for each in packed]  # type: ignore[union-attr]
        assert max(counts) == 6
        assert sum(counts) == 30

    def test_one_that_may_not_run_as_often_is_cut_off(self) -> None:
        packed = Dock(1000).pack(*_chain(5, most=2, width=4))
        counts = [sum(len(runs_of(one)) for one in each.shipments) for each in packed]  # type: ignore[union-attr]
        assert max(counts) == 2
        assert sum(counts) == 20


def _chain(count: int, most: int, width: int) -> list[BlockShipment]:
    return [
        block(
            range(at * width, (at + 1) * width),
            columns=(("x", READ, ((at - 1) * width, 1, width)),) if at else (),
            most=most,
        )
        for at in range(count)
    ]


class TestLongBodies:
    """Dask hands them out one by one, as workers get free; a queue at each worker would leave some idle."""

    def test_children_and_calls_that_take_long_share_a_group(self) -> None:
        dock = Dock()
        dock.pace.note("a", AIM, 10)
        packed = dock.pack(block(range(8, 48)), *[shipment(run) for run in range(8)])
        assert {one.key[0] for one in packed} == {"f.m-8-0-00000000", "f.t-0-00000000"}
        assert len(packed) == 48 == len({one.key for one in packed})

    def test_what_reads_them_finds_them_under_their_new_names(self) -> None:
        dock = Dock()
        dock.pace.note("a", AIM, 10)
        check(dock, dock.pack(*[shipment(run) for run in range(8)], shipment(8, ((0, 1, 8),), 1)), set())

    def test_short_ones_keep_out_of_the_queue(self) -> None:
        dock = Dock(bundle_size=1)
        dock.pace.note("a", AIM * 0.9, 10)
        packed = dock.pack(block(range(8, 48)), *[shipment(run) for run in range(8)])
        assert max(Counter(one.key[0] for one in packed).values()) == COMPANY

    def test_a_name_without_a_number_is_a_group_of_its_own(self) -> None:
        assert held_back("etl.load-01234567") == "etl.load-01234567"
