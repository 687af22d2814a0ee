"""Two orders at once: everything once, nothing in a circle however tiles are cut on, and work for all threads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.lowering.depths import survey
from prefectlite.lowering.forecast import DASK_TASK, LATENCY, forecast
from prefectlite.lowering.tiles import Plane

Needs = list[list[int]]


def plane(needs: Needs, threads: int = 2, second: float = 1.0) -> Plane:
    return Plane(needs, survey(needs)[0], [second] * len(needs), threads)


def stencil(layers: int, width: int) -> Needs:
    needs: Needs = [[]] * width
    for start in range(0, (layers - 1) * width, width):
        needs += [[start + near for near in (at - 1, at, at + 1) if 0 <= near < width] for at in range(width)]
    return needs


@st.composite
def graphs(draw: st.DrawFn) -> Needs:
    count = draw(st.integers(1, 60))
    reach = draw(st.sampled_from([1, 3, 60]))
    return [
        draw(st.lists(st.integers(max(0, place - reach), place - 1), max_size=3)) if place else []
        for place in range(count)
    ]


def closes_no_circle(needs: Needs, bundles: list[list[int]]) -> bool:
    """Whether bundles can be run one after the other, each as a whole and in its order."""
    left, ran = list(bundles), set[int]()
    while left:
        for bundle in left:
            mine = set(ran)
            for place in bundle:
                if not mine.issuperset(needs[place]):
                    break
                mine.add(place)
            else:
                ran = mine
                left.remove(bundle)
                break
        else:
            return False
    return True


@given(graphs(), st.integers(1, 4), st.sampled_from([0.5, 3.0, 20.0]), st.sampled_from([0.0, 2.5]))
def test_no_two_tiles_need_each_other_in_a_circle_however_they_are_cut_on(
    needs: Needs, threads: int, least: float, small: float
) -> None:
    tiles = plane(needs, threads).tiles(least, small)
    assert sorted(place for tile in tiles for place in tile) == list(range(len(needs)))
    assert closes_no_circle(needs, tiles)
    for size in (1, 2, 5):
        cut = [tile[at : at + size] for tile in tiles for at in range(0, len(tile), size)]
        assert closes_no_circle(needs, cut)


def test_chains_fall_into_chains() -> None:
    needs: Needs = [[], [], [], []]
    needs += [[place - 4] for place in range(4, 40)]
    tiles = plane(needs).tiles(least=10.0)
    assert sorted(sorted(tile) for tile in tiles) == [list(range(first, 40, 4)) for first in range(4)]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_stencil_leaves_work_for_all_threads_throughout(threads: int) -> None:
    needs = stencil(64, 64)
    tiles = plane(needs, threads, 0.001).tiles(least=0.03)
    done, _ = forecast(needs, tiles, [0.001] * len(needs), threads)
    assert done < 1.35 * len(needs) * 0.001 / threads


def test_what_is_small_joins_a_neighbour() -> None:
    needs = stencil(20, 20)
    fine, coarse = plane(needs).tiles(10.0), plane(needs).tiles(10.0, small=15.0)
    assert len(coarse) < len(fine)
    assert closes_no_circle(needs, coarse)


def test_a_forecast_counts_work_ways_and_dask_tasks() -> None:
    needs: Needs = [[], [], [0], [0, 1]]
    seconds = [1.0, 2.0, 3.0, 4.0]
    alone, order = forecast(needs, [[0], [1], [2], [3]], seconds, 2)
    assert order == [[1], [0], [3], [2]], "what has the longest way before it goes first"
    assert alone == pytest.approx(2 + 4 + 2 * DASK_TASK + LATENCY)
    assert forecast(needs, [[0, 1, 2, 3]], seconds, 2)[0] == pytest.approx(10 + DASK_TASK)
    assert forecast(needs, [[0], [1], [2], [3]], seconds, 1)[0] == pytest.approx(10 + 4 * DASK_TASK + LATENCY)
