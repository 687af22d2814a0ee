"""Values: each is let go exactly when its last reader is final, and kept where somebody may still ask for it."""

from __future__ import annotations

import pytest

from prefectlite.engine.events import AttemptFinished
from prefectlite.engine.instructions import Release, ReleaseMany
from prefectlite.rules.retry import RetryPolicy
from prefectlite.states.report import Report
from prefectlite.states.state import Failed, Skipped, State
from tests.engine.plans import Bench, follows, listed, maps, reads, task, value

BOOM = Failed("boom", ValueError())


def test_a_value_goes_with_its_last_reader() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", "a"))
    bench.start()
    bench.succeed("a")
    assert bench.succeed("b").acts == []
    assert bench.succeed("c").acts == ["release a.1", "end Success"]
    assert bench.live() == ["b.1", "c.1"]


@pytest.mark.parametrize("end", [BOOM, Skipped("no")])
def test_a_reader_that_ends_otherwise_is_final_too(end: State) -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.succeed("a")
    assert bench.report("b", end).acts[:2] == ["release b.1", "release a.1"]


def test_a_reader_that_may_be_tried_again_still_needs_the_value() -> None:
    bench = Bench(task("a"), task("b", "a", retry=RetryPolicy(1, (5.0,))))
    bench.start()
    bench.succeed("a")
    assert bench.fail("b").acts == ["release b.1", "timer b at 7"]
    assert bench.live() == ["a.1"]
    bench.fire("b")
    assert bench.succeed("b").acts == ["release a.1", "end Success"]


def test_a_reader_that_never_runs_lets_go_as_well() -> None:
    bench = Bench(task("a"), task("z"), task("b", "a", follows("z")))
    bench.start()
    bench.succeed("a")
    assert bench.fail("z").acts == ["release z.1", "release b.1", "release a.1", "end Failed"]


def test_a_reader_that_reads_a_value_twice_is_one_reader_of_each_argument() -> None:
    bench = Bench(task("a"), task("b", reads("a", "x"), reads("a", "y")))
    bench.start()
    bench.succeed("a")
    assert bench.succeed("b").acts == ["release a.1", "end Success"]


def test_a_value_that_nobody_reads_goes_at_once() -> None:
    bench = Bench(task("a"), task("b", follows("a")))
    bench.start()
    assert bench.succeed("a").acts == ["release a.1"]


def test_a_follower_is_no_reader() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", follows("a")))
    bench.start()
    assert bench.succeed("a").acts == ["submit c"]
    assert bench.succeed("b").acts == ["release a.1"]


def test_terminal_reference_and_asked_for_values_are_kept_until_the_flow_has_ended() -> None:
    bench = Bench(
        task("ref"),
        task("asked", keep_result=True),
        task("plain"),
        task("end", "ref", "asked", "plain"),
        reference=("ref", "end"),
    )
    bench.drive()
    assert bench.live() == ["ref.1", "asked.1", "end.1"]
    assert bench.engine.kept() == [(0, 1, 2), (3, 1, 1)], "first run, submission, how many"


def test_what_must_not_be_kept_is_released_although_it_is_terminal_or_a_reference() -> None:
    bench = Bench(
        task("secret", keep_result=None),
        task("end", keep_result=None),
        task("b", "secret"),
        reference=("secret", "b"),
    )
    bench.drive()
    assert bench.live() == ["b.1"]
    assert bench.engine.kept() == [(2, 1, 1)]


def test_a_failed_task_keeps_no_value() -> None:
    bench = Bench(task("a", keep_result=True))
    bench.drive({"a": BOOM})
    assert bench.engine.kept() == []


# Lists


def test_members_stay_until_the_readers_of_their_list_are_final() -> None:
    bench = Bench(task("a"), task("b"), listed("l", "a", "b"), task("c", "l"), task("d", "l"))
    bench.start()
    bench.succeed("a")
    assert bench.succeed("b").acts == []
    assert bench.succeed("c").acts == []
    assert bench.succeed("d").acts == ["release a.1", "release b.1", "end Success"]


def test_members_of_a_list_in_a_list_stay_until_the_outer_one_is_read() -> None:
    bench = Bench(task("a"), listed("l", "a"), listed("ll", "l"), task("c", "ll"))
    bench.start()
    bench.succeed("a")
    assert bench.states("ll") == ["Success"]
    assert bench.succeed("c").acts == ["release a.1", "end Success"]


def test_many_members_that_stand_side_by_side_go_as_one() -> None:
    slugs = [f"a{i}" for i in range(40)]
    bench = Bench(*map(task, slugs), listed("l", *slugs), task("b", "l"))
    bench.start()
    for slug in slugs:
        bench.succeed(slug)
    assert _released_by(bench, "b") == [ReleaseMany(range(40), 1)]


def test_members_that_are_read_elsewhere_or_twice_or_stand_apart_go_one_by_one() -> None:
    slugs = [f"a{i}" for i in range(40)]
    bench = Bench(
        *map(task, slugs[:30]),
        task("z"),
        *map(task, slugs[30:]),
        listed("l", *slugs, "a3"),
        task("b", "l", "z"),
        task("c", "a20"),
    )
    bench.start()
    for slug in (*slugs, "z"):
        bench.succeed(slug)
    found = _released_by(bench, "b")
    assert sorted(found) == [
        Release(bench.run(slug), 1) for slug in sorted({*slugs, "z"} - {"a20"}, key=bench.run)
    ]
    assert bench.succeed("c").acts == ["release a20.1", "end Success"]


def _released_by(bench: Bench, reader: str) -> list[Release | ReleaseMany]:
    """What goes, as it is said, when a reader succeeds."""
    report = Report(None, 98.0, 99.0)
    found = bench.engine.handle(AttemptFinished(99.0, bench.run(reader), bench.last(reader), report))
    bench.engine.audit()
    return [one for one in found if isinstance(one, Release | ReleaseMany)]


def test_a_list_that_ends_a_flow_keeps_its_members() -> None:
    bench = Bench(task("a"), task("b"), listed("l", "a", "b"))
    bench.drive()
    assert bench.live() == ["a.1", "b.1"]


def test_a_list_that_nobody_reads_lets_its_members_go() -> None:
    bench = Bench(task("a"), listed("l", "a"), task("c", follows("l")))
    bench.start()
    assert bench.succeed("a").acts == ["release a.1", "submit c"]


def test_a_list_that_was_refused_still_waits_for_its_readers() -> None:
    bench = Bench(
        task("a"), task("b"), listed("l", "a", "b"), task("c", "l"), task("z"), task("d", "l", follows("z"))
    )
    bench.start()
    bench.succeed("a")
    assert bench.fail("b").acts == ["release b.1", "release c.1", "release d.1"]
    assert bench.live() == ["a.1", "z.1"]
    assert bench.succeed("z").acts == ["release z.1", "release a.1", "end Failed"]


def test_a_member_that_is_read_directly_too_stays_for_both() -> None:
    bench = Bench(task("a"), listed("l", "a"), task("c", "l"), task("d", "a"))
    bench.start()
    bench.succeed("a")
    assert bench.succeed("c").acts == []
    assert bench.succeed("d").acts == ["release a.1", "end Success"]


# Maps


def test_a_map_of_a_map_lets_go_child_by_child() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("m")))
    bench.start()
    bench.succeed("m[0]")
    bench.succeed("m[1]")
    assert bench.succeed("n[1]").acts == ["release m[1].1"]
    assert bench.succeed("n[0]").acts == ["release m[0].1", "end Success"]


def test_a_reduce_lets_go_of_all_children_at_its_end() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("r", "m"))
    bench.start()
    bench.succeed("m[0]")
    bench.succeed("m[1]")
    assert bench.succeed("r").acts == ["release m[0].1", "release m[1].1", "end Success"]


def test_children_that_a_map_and_a_reduce_read_stay_for_both() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("m")), task("r", "m"))
    bench.start()
    bench.succeed("m[0]")
    bench.succeed("m[1]")
    assert bench.succeed("n[0]").acts == []
    assert bench.succeed("r").acts == ["release m[0].1"]
    assert bench.succeed("n[1]").acts == ["release m[1].1", "end Success"]


def test_a_value_that_children_share_stays_until_the_last_of_them() -> None:
    bench = Bench(task("a"), task("b"), task("m", maps("a"), reads("b")))
    bench.start()
    bench.succeed("a", length=2)
    bench.succeed("b")
    bench.succeed("m[0]")
    assert bench.succeed("m[1]").acts == ["release a.1", "release b.1", "end Success"]


def test_an_empty_map_lets_go_of_what_it_mapped_over() -> None:
    bench = Bench(task("a"), task("m", maps("a")), task("r", "m"))
    bench.start()
    assert bench.succeed("a", length=0).acts == ["release a.1", "submit r"]


def test_a_map_without_a_width_lets_go_of_what_it_mapped_over() -> None:
    bench = Bench(task("a"), task("m", maps("a")))
    bench.start()
    assert bench.succeed("a", unmappable="is a set").acts == ["release a.1", "end Failed"]


def test_a_shorter_map_below_has_no_use_for_the_children_beyond_its_end() -> None:
    bench = Bench(
        value("x", length=3),
        value("y", length=1),
        task("m", maps("x")),
        task("n", maps("m"), maps("y"), map_lengths="shortest"),
    )
    bench.start()
    assert bench.succeed("m[1]").acts == ["release m[1].1"]
    bench.succeed("m[0]")
    bench.succeed("n[0]")
    assert bench.turn.acts == ["release m[0].1"]
    assert bench.succeed("m[2]").acts == ["release m[2].1", "end Success"]


def test_children_beyond_the_end_of_a_shorter_map_that_comes_late_go_when_it_comes() -> None:
    bench = Bench(
        value("x", length=2),
        task("m", maps("x")),
        task("y"),
        task("n", maps("m"), maps("y"), map_lengths="shortest"),
    )
    bench.start()
    bench.succeed("m[0]")
    assert bench.succeed("m[1]").acts == []
    assert bench.succeed("y", length=1).acts == ["release m[1].1", "submit n[0]"]


def test_a_map_that_failed_to_unfold_below_lets_go_of_all_children_above() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("y"), task("n", maps("m"), maps("y")))
    bench.start()
    bench.succeed("m[0]")
    assert bench.succeed("y", length=1).acts == ["release m[0].1", "release y.1"]
    assert bench.succeed("m[1]").acts == ["release m[1].1", "end Failed"]


def test_a_flattened_map_needs_all_values_until_its_end() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("m", flat=True)))
    bench.start()
    bench.succeed("m[0]", length=1)
    bench.succeed("m[1]", length=1)
    assert bench.succeed("n[0]").acts == []
    assert bench.succeed("n[1]").acts == ["release m[0].1", "release m[1].1", "end Success"]


def test_a_map_over_a_list_lets_its_members_go_at_its_end() -> None:
    bench = Bench(task("a"), task("b"), listed("l", "a", "b"), task("m", maps("l")))
    bench.start()
    bench.succeed("a")
    bench.succeed("b")
    assert bench.succeed("m[0]").acts == []
    assert bench.succeed("m[1]").acts == ["release a.1", "release b.1", "end Success"]


def test_children_in_a_list_stay_until_the_list_is_read() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), listed("l", "m"), task("c", "l"))
    bench.start()
    bench.succeed("m[0]")
    bench.succeed("m[1]")
    assert bench.succeed("c").acts == ["release m[0].1", "release m[1].1", "end Success"]


def test_a_terminal_map_keeps_its_childrens_values() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")))
    bench.drive()
    assert bench.live() == ["m[0].1", "m[1].1"]


def test_nothing_is_released_twice_and_nothing_that_is_read_is_released() -> None:
    bench = Bench(
        value("x", length=3),
        task("a"),
        task("m", maps("x"), reads("a"), retry=RetryPolicy(1)),
        task("n", maps("m")),
        listed("l", "n", "a"),
        task("r", "l"),
        task("s", "m", "r"),
    )
    bench.drive({"m[1]#1": BOOM})
    released = [one for one in bench.log.acts if one.startswith("release")]
    assert len(released) == len(set(released))
    assert bench.live() == ["s.2"]
