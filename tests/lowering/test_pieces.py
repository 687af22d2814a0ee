"""Cutting a turn: everything once, nothing in a circle, no wait for a neighbour's sake, few Dask tasks."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.lowering.pace import AIM, FIRST, MOST, SHARES
from prefectlite.lowering.pieces import Item, partition

Bundles = list[list[int]]


# Shapes: each takes how long a body lasts, in seconds, or None.


def chain(seconds: float | None, links: int = 1000) -> list[Item]:
    return [Item([place - 1] if place else [], "link", seconds) for place in range(links)]


def fan(seconds: float | None, width: int = 10_000) -> list[Item]:
    return [*[Item([], "child", seconds)] * width, Item(range(width), "reduce", seconds)]


def burst(seconds: float | None, width: int = 100) -> list[Item]:
    readers = [Item([0], "child", seconds)] * width
    return [Item([], "load", seconds), *readers, Item(range(1, width + 1), "reduce", seconds)]


def tree(seconds: float | None, leaves: int = 4096) -> list[Item]:
    items = [Item([], "leaf", seconds)] * leaves
    below = 0
    while len(items) - below > 1:
        end = len(items)
        items += [Item([left, left + 1], "add", seconds) for left in range(below, end, 2)]
        below = end
    return items


def ring(seconds: float | None, layers: int, width: int) -> list[Item]:
    items = [Item([], "cell", seconds)] * width
    for start in range(0, (layers - 1) * width, width):
        items += [Item([start + at, start + (at + 1) % width], "cell", seconds) for at in range(width)]
    return items


def diamond(seconds: float | None) -> list[Item]:
    return ring(seconds, 20, 100)


def stencil(seconds: float | None) -> list[Item]:
    return ring(seconds, 100, 64)


def grid(seconds: float | None, layers: int = 100, width: int = 64) -> list[Item]:
    """A stencil with edges: each cell reads the one above and that one's neighbours."""
    items = [Item([], "cell", seconds)] * width
    for start in range(0, (layers - 1) * width, width):
        for at in range(width):
            items.append(Item(range(start + max(0, at - 1), start + min(width, at + 2)), "cell", seconds))
    return items


def pairs(seconds: float | None, width: int = 1000) -> list[Item]:
    first = [Item([], "clean", seconds)] * width
    return [*first, *[Item([place], "score", seconds) for place in range(width)]]


def chains(seconds: float | None, many: int = 10, links: int = 100) -> list[Item]:
    first = [Item([], "link", seconds)] * many
    return [*first, *[Item([place], "link", seconds) for place in range(many * (links - 1))]]


def comb(seconds: float | None, teeth: int = 100, width: int = 64) -> list[Item]:
    """A chain of which each link is read by many leaves, too."""
    first = [Item([], "tooth", seconds)] * width
    return [
        *first,
        *[Item([place // width * width], "tooth", seconds) for place in range((teeth - 1) * width)],
    ]


SHAPES = [chain, fan, burst, tree, diamond, stencil, pairs, chains, comb]
BODIES = [0.00001, 0.0002, 0.002, 0.05]


# What holds of any cut.


def needed_by(items: Sequence[Item], bundles: Bundles) -> list[set[int]]:
    """Which bundles each bundle reads, having checked that all is there, once, and behind what it needs."""
    bundle_of = {place: number for number, bundle in enumerate(bundles) for place in bundle}
    assert sorted(place for bundle in bundles for place in bundle) == list(range(len(items)))
    ran: set[int] = set()
    for bundle in bundles:
        for place in bundle:
            assert ran.issuperset(items[place].needs)
            ran.add(place)
    return [
        {bundle_of[need] for place in bundle for need in items[place].needs} - {number}
        for number, bundle in enumerate(bundles)
    ]


def levels(items: Sequence[Item], bundles: Bundles) -> int:
    """How many bundles the longest path holds."""
    found: list[int] = []
    for above in needed_by(items, bundles):
        found.append(1 + max([found[other] for other in above], default=0))
    return max(found)


@st.composite
def turns(draw: st.DrawFn) -> list[Item]:
    count = draw(st.integers(1, 40))
    reach = draw(st.sampled_from([1, 3, 40]))  # near needs make chains and stencils, far ones make knots
    times = st.sampled_from(draw(st.sampled_from([[None], BODIES, [None, 0.0, 0.0002, 0.02, 0.03, 1.0]])))
    notes = st.sampled_from(draw(st.sampled_from([[None], [None, "gpu"]])))
    alone = st.sampled_from(draw(st.sampled_from([[False], [False, False, True]])))
    most = st.sampled_from(draw(st.sampled_from([[None], [None, 1, 2, 5]])))
    items: list[Item] = []
    for place in range(count):
        near = st.integers(max(0, place - reach), place - 1) if place else st.nothing()
        needs = draw(st.lists(near, max_size=4)) if place else []
        items.append(
            Item(needs, draw(st.sampled_from("ab")), draw(times), draw(notes), draw(alone), draw(most))
        )
    return items


@given(turns(), st.integers(0, 4), st.sampled_from([None, 1, 2, 7, 1000]), st.sampled_from([1, 3, MOST]))
def test_no_cut_closes_a_circle_or_fills_a_bundle_too_full(
    items: list[Item], threads: int, size: int | None, most: int
) -> None:
    bundles = partition(items, threads, size, most)
    needed_by(items, bundles)  # in the order of the list each bundle follows what it needs: no circle
    assert bundles == partition(items, threads, size, most)
    for bundle in bundles:
        members = [items[place] for place in bundle]
        assert len({item.annotations for item in members}) == 1
        if len(members) == 1:
            continue
        assert not any(item.alone for item in members)
        said = Counter((item.kind, item.most) for item in members if item.most is not None)
        assert all(1 < count_of_most[1] >= count for count_of_most, count in said.items())
        members = [item for item in members if item.most is None]
        if size is not None:
            assert len(members) <= size
            continue
        known = [item.seconds for item in members if item.seconds is not None]
        assert len(members) <= most
        assert len(members) - len(known) <= FIRST
        assert sum(known) <= AIM * 1.001
        assert max(known, default=0) <= AIM / 2


@given(turns(), st.integers(1, 4), st.sampled_from([None, 2, 1000]))
def test_siblings_of_different_tasks_travel_apart(items: list[Item], threads: int, size: int | None) -> None:
    flat = [item._replace(needs=()) for item in items]
    for bundle in partition(flat, threads, size):
        assert len({flat[place].kind for place in bundle}) == 1
        assert bundle == sorted(bundle)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seconds", [None, *BODIES])
def test_each_shape_is_cut_lawfully(
    shape: Callable[[float | None], list[Item]], seconds: float | None
) -> None:
    items = shape(seconds)
    bundles = partition(items, threads=2)
    needed_by(items, bundles)
    assert max(map(len, bundles)) <= (FIRST if seconds is None else MOST)


# What each shape becomes.


def test_an_empty_turn_has_no_bundles() -> None:
    assert partition([], threads=2) == []


@pytest.mark.parametrize(("seconds", "most"), [(None, 12), (0.00001, 2), (0.001, 16)])
def test_a_chain_is_a_handful_of_bundles(seconds: float | None, most: int) -> None:
    bundles = partition(chain(seconds), threads=2)
    assert len(bundles) <= most
    assert [place for bundle in bundles for place in bundle] == list(range(1000))


@pytest.mark.parametrize("shape", SHAPES)
def test_long_bodies_travel_alone(shape: Callable[[float | None], list[Item]]) -> None:
    assert {len(bundle) for bundle in partition(shape(1.0), threads=2)} == {1}


def test_links_that_one_more_reads_in_the_end_travel_together_all_the_same() -> None:
    items = [*chain(None), Item(range(1000), "gather", None)]
    assert len(partition(items, threads=2)) <= 50


@pytest.mark.parametrize(("seconds", "count"), [(None, 10_000 // FIRST), (0.00001, 10), (0.0001, 14)])
def test_a_fan_is_cut_evenly_and_its_reader_waits(seconds: float | None, count: int) -> None:
    bundles = partition(fan(seconds), threads=2)
    assert bundles[-1] == [10_000]
    assert len(bundles) == count + 1
    sizes = [len(bundle) for bundle in bundles[:-1]]
    assert max(sizes) - min(sizes) <= 1


def test_every_thread_gets_its_shares_of_what_nobody_has_timed() -> None:
    bundles = partition(fan(None, 40), threads=4)
    assert len(bundles) == SHARES * 4 + 1
    assert max(map(len, bundles)) == 3


def test_few_short_bodies_are_not_worth_a_second_dask_task() -> None:
    assert len(partition(fan(0.00001, 16), threads=2)) == 1
    assert len(partition([Item([], "a", 0.00001)] * 100, threads=8)) == 1
    assert len(partition([Item([], "a", None)] * 100, threads=8)) == SHARES * 8


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("seconds", [None, 0.00001, 0.0002])
def test_a_tree_falls_into_whole_subtrees(seconds: float | None, threads: int) -> None:
    items = tree(seconds)
    bundles = partition(items, threads)
    needed = needed_by(items, bundles)
    bottom = [bundle for bundle, above in zip(bundles, needed, strict=True) if not above]
    assert len(bottom) >= SHARES * threads or seconds == 0.00001  # 40 ms in all
    assert len(bottom) >= threads
    assert len(bundles) < 200
    assert levels(items, bundles) <= (7 if threads == 8 else 4)


@pytest.mark.parametrize("seconds", [None, 0.00001, 0.0002])
@pytest.mark.parametrize(("layers", "width"), [(20, 100), (100, 64)])
def test_a_stencil_is_cut_across_its_layers(seconds: float | None, layers: int, width: int) -> None:
    items = ring(seconds, layers, width)
    bundles = partition(items, threads=2)
    assert levels(items, bundles) <= layers // 2
    assert len(bundles) <= len(items) / 20


def test_a_stencil_with_no_more_width_than_shares_is_cut_in_layers() -> None:
    items = ring(None, 20, 16)
    assert {len(bundle) for bundle in partition(items, threads=4)} == {1}


@pytest.mark.parametrize("seconds", [None, 0.0002, 0.01])
def test_pairs_of_a_map_of_a_map_stay_together(seconds: float | None) -> None:
    items = pairs(seconds)
    bundles = partition(items, threads=2)
    for bundle in bundles:
        assert bundle == [place for first in bundle if first < 1000 for place in (first, first + 1000)]
    assert len(bundles) >= SHARES * 2


def test_branches_that_nobody_has_timed_stay_apart() -> None:
    items = [Item([], "a"), Item([0], "b"), Item([0], "c"), Item([1, 2], "d")]
    assert partition(items, threads=2) == [[0], [1], [2], [3]]
    assert partition([item._replace(seconds=0.001) for item in items], threads=2) == [[0, 1, 2, 3]]
    assert len(partition([item._replace(seconds=0.03) for item in items], threads=2)) == 4


def test_a_value_that_many_want_does_not_travel_with_some_of_them() -> None:
    assert partition(burst(0.002), threads=2)[0] == [0]
    assert partition(burst(None), threads=2)[0] == [0]
    assert partition(burst(None), threads=2, bundle_size=50)[0] == [0]


def test_links_of_a_chain_travel_together_though_leaves_read_them_too() -> None:
    for seconds in (None, 0.0002):
        cut = partition(comb(seconds, teeth=50), threads=2)
        assert [*range(0, 49 * 64, 64)] in cut  # in the last row all are alike


def test_a_short_chain_does_not_wait_for_a_long_body_that_its_end_reads() -> None:
    items = [Item([], "long", 10.0), Item([], "a", 0.001), Item([1], "b", 0.001), Item([0, 2], "c", 0.001)]
    assert partition(items, threads=2) == [[0], [1, 2], [3]]
    # Nor where a long body stands before it, too, so that all stand at one stage.
    items = [Item([], "long", 10.0), Item([], "b", 0.05), Item([1], "c", 0.001), Item([2, 0], "d", 0.001)]
    assert partition(items, threads=2) == [[0], [1], [2], [3]]


def test_siblings_do_not_wait_for_a_long_body_that_one_of_them_reads() -> None:
    items = [Item([], "long", 10.0), *[Item([], "big", 0.0, alone=True)] * 3]
    items += [Item([place], "a", 0.0) for place in (1, 2, 0, 3)]
    assert [4, 5, 7] in partition(items, threads=2)


def test_a_need_between_annotations_ends_a_bundle() -> None:
    items = [Item([], "a", 0.0), Item([0], "b", 0.0, "gpu"), Item([0, 1], "c", 0.0), Item([2], "d", 0.0)]
    assert partition(items, threads=2) == [[0], [1], [2, 3]]


def test_what_travels_alone_does_so_at_any_size() -> None:
    items = [item._replace(alone=place % 10 == 5) for place, item in enumerate(chain(0.0, 30))]
    for size in (None, 1000):
        bundles = partition(items, threads=2, bundle_size=size)
        assert [bundle for bundle in bundles if len(bundle) == 1] == [[5], [15], [25]]
        assert len(bundles) == 7


@pytest.mark.parametrize("seconds", [None, 1.0])
def test_a_given_size_holds_whatever_is_known(seconds: float | None) -> None:
    assert [len(bundle) for bundle in partition(chain(seconds, 24), 2, 7)] == [7, 7, 7, 3]
    assert [len(bundle) for bundle in partition([Item([], "a", seconds)] * 24, 2, 7)] == [7, 7, 7, 3]
    assert partition(tree(seconds, 4), 2, 1) == [[0], [1], [2], [3], [4], [5], [6]]
    assert len(partition(tree(seconds, 64), 2, 1000)) == 1


def said(items: list[Item], most: int) -> list[Item]:
    return [item._replace(most=most) for item in items]


@pytest.mark.parametrize("size", [None, 3, 1000])
@pytest.mark.parametrize("seconds", [None, 1.0])
def test_what_a_task_says_holds_whatever_is_known_or_given(size: int | None, seconds: float | None) -> None:
    assert [len(bundle) for bundle in partition(said(chain(seconds, 24), 7), 2, size)] == [7, 7, 7, 3]
    assert [len(bundle) for bundle in partition(said([Item([], "a", seconds)] * 24, 7), 2, size)] == [
        7,
        7,
        7,
        3,
    ]
    assert len(partition(said(tree(seconds, 64), 64), 2, size)) == 1  # of 64 leaves, and 63 that add
    assert len(partition(said([Item([], "a", seconds)] * 3000, 3000), 2, size)) == 1
    many = [*said([Item([], "a", seconds)] * 20, 20), Item(range(20), "all", seconds, most=2)]
    assert partition(many, 2, size) == [list(range(21))]


def test_what_says_that_it_travels_alone_does() -> None:
    items = [item._replace(most=1 if place % 10 == 5 else None) for place, item in enumerate(chain(0.0, 30))]
    for size in (None, 1000):
        bundles = partition(items, threads=2, bundle_size=size)
        assert [bundle for bundle in bundles if len(bundle) == 1] == [[5], [15], [25]]
    assert len(partition(said(chain(0.0, 9), 7), 2, 1)) == 9, "off is off"


def test_each_task_counts_by_itself() -> None:
    items = [Item([at - 1] if at else [], "ab"[at % 2], 0.0, most=(2, 100)[at % 2]) for at in range(12)]
    assert partition(items, threads=2) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    items = [item._replace(most=(2, None)[at % 2]) for at, item in enumerate(items)]
    assert partition(items, threads=2) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert partition(items, threads=2, bundle_size=1000) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_mates_that_travel_by_time_do_not_wait_for_what_a_number_brings_along() -> None:
    long = [Item([], "long", 1.0, most=9)] * 3
    items = [
        *long,
        Item([], "a", 0.001),
        Item([0, 3], "b", 0.001),
        Item([1], "c", 0.001),
        Item([5], "d", 0.001),
    ]
    assert sorted(partition(items, threads=2)) == [[0, 1, 2], [3], [4], [5, 6]]


def test_bundles_come_depth_first() -> None:
    bundles = partition(chains(None, many=3, links=2 * FIRST), threads=2)
    assert [bundle[0] % 3 for bundle in bundles] == [0, 0, 1, 1, 2, 2]


# What it buys: a model of two threads, so that the figures are the same on every machine.

DASK_TASK = 0.0007  # seconds that one costs
WAY = 0.006  # seconds from a value to the Dask task that reads it


def makespan(items: Sequence[Item], bundles: Bundles, body: float, threads: int = 2) -> float:
    """Return when the last bundle is done, in seconds, where free threads take the first that is ready."""
    needed = needed_by(items, bundles)
    readers: list[list[int]] = [[] for _ in bundles]
    for number, above in enumerate(needed):
        for other in above:
            readers[other].append(number)
    missing = [len(above) for above in needed]
    there = [0.0] * len(bundles)
    coming = [(0.0, number) for number, count in enumerate(missing) if not count]
    ready: list[int] = []
    free = [0.0] * threads
    while coming or ready:
        now = heapq.heappop(free)
        if not ready:
            now = max(now, coming[0][0])
        while coming and coming[0][0] <= now:
            heapq.heappush(ready, heapq.heappop(coming)[1])
        number = heapq.heappop(ready)
        done = now + DASK_TASK + body * len(bundles[number])
        heapq.heappush(free, done)
        for reader in readers[number]:
            there[reader] = max(there[reader], done + WAY)
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(coming, (there[reader], reader))
    return max(free)


def by_layers(items: Sequence[Item], threads: int = 2) -> Bundles:
    """Items of one depth and kind, as many together as their durations allow."""
    depths: list[int] = []
    rows: dict[tuple[int, object], list[int]] = {}
    for place, item in enumerate(items):
        depths.append(1 + max([depths[need] for need in item.needs], default=-1))
        rows.setdefault((depths[-1], item.kind), []).append(place)
    seconds = items[0].seconds
    fitting = FIRST if seconds is None else int(AIM / max(seconds, AIM / MOST))
    bundles: Bundles = []
    for _, row in sorted(rows.items(), key=lambda one: one[0][0]):
        size = max(1, min(-(-len(row) // (SHARES * threads)), fitting))
        bundles += [row[at : at + size] for at in range(0, len(row), size)]
    return bundles


def deep_first(items: list[Item]) -> list[Item]:
    """The same items, each as soon as what it needs is there."""
    readers: list[list[int]] = [[] for _ in items]
    for place, item in enumerate(items):
        for need in set(item.needs):
            readers[need].append(place)
    missing = [len(set(item.needs)) for item in items]
    stack = [place for place in range(len(items) - 1, -1, -1) if not missing[place]]
    order: dict[int, int] = {}
    while stack:
        place = stack.pop()
        order[place] = len(order)
        for reader in reversed(readers[place]):
            missing[reader] -= 1
            if not missing[reader]:
                stack.append(reader)
    return [items[place]._replace(needs=[order[need] for need in items[place].needs]) for place in order]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("body", BODIES)
def test_a_cut_is_as_good_as_layers_and_as_one_bundle(
    shape: Callable[[float | None], list[Item]], body: float
) -> None:
    items, blind = shape(body), shape(None)
    ours = makespan(items, partition(items, 2), body)
    untimed = makespan(items, partition(blind, 2), body)
    layers = makespan(items, by_layers(items), body)
    one = makespan(items, [list(range(len(items)))], body)
    assert ours <= 1.2 * min(layers, one)
    assert untimed <= 1.1 * makespan(items, by_layers(blind), body)


@pytest.mark.parametrize("shape", [*SHAPES, grid])
@pytest.mark.parametrize("body", BODIES)
def test_the_order_of_a_turn_makes_no_cut_much_worse(
    shape: Callable[[float | None], list[Item]], body: float
) -> None:
    items, deep = shape(body), deep_first(shape(body))
    assert makespan(deep, partition(deep, 2), body) <= 1.2 * makespan(items, partition(items, 2), body)


@pytest.mark.parametrize("shape", [tree, diamond, stencil, chains])
def test_small_bodies_with_needs_gain_most(shape: Callable[[float | None], list[Item]]) -> None:
    items = shape(0.00001)
    ours = makespan(items, partition(items, 2), 0.00001)
    assert ours < 0.75 * makespan(items, by_layers(items), 0.00001)
    assert ours < 0.95 * makespan(items, [list(range(len(items)))], 0.00001)


@given(turns(), st.integers(1, 4))
def test_no_cut_takes_much_longer_than_layers_do(items: list[Item], threads: int) -> None:
    items = [item._replace(seconds=0.002, most=None) for item in items]
    ours = makespan(items, partition(items, threads), 0.002, threads)
    assert ours <= 2 * makespan(items, by_layers(items, threads), 0.002, threads) + AIM


@pytest.mark.parametrize("threads", [2, 4])
def test_a_known_stencil_keeps_all_threads_busy(threads: int) -> None:
    items = grid(0.0002)
    busy = len(items) * 0.0002 / threads
    assert makespan(items, partition(items, threads), 0.0002, threads) <= 1.5 * busy
