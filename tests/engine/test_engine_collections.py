"""Lists of tasks that map: each child reads its members in its own place, and holds them until it is read."""

from __future__ import annotations

from typing import Any

from prefectlite.engine.inputs import FromCollection, FromRun, FromValue
from prefectlite.rules.triggers import all_finished
from prefectlite.states.state import Failed, Skipped
from tests.engine.plans import Bench, listed, maps, reads, task, value


def bench(width: int = 2, **policy: Any) -> Bench:
    return Bench(
        value("x", length=width),
        task("w"),
        task("m", maps("x")),
        listed("l", maps("m"), maps("x", "item"), reads("w")),
        task("r", maps("l"), **policy),
    )


def test_a_child_of_a_mapped_list_is_put_together_from_its_own_members() -> None:
    flow = bench()
    flow.start()
    flow.succeed("w")
    flow.succeed("m[0]")

    sent = flow.succeed("m[1]").submit("r[1]")

    assert flow.states("l", "l[0]", "l[1]") == ["Mapped", "Success", "Success"]
    [argument] = sent.arguments
    assert argument.source == FromCollection(3, (FromRun(6, 1), FromValue(0, 1), FromRun(1, 1)))


def test_a_mapped_list_fails_and_skips_child_by_child() -> None:
    flow = bench(3)
    flow.start()
    flow.succeed("w")
    flow.report("m[0]", Failed("no"))
    flow.report("m[1]", Skipped("no"))
    flow.succeed("m[2]")
    flow.succeed("r[2]")

    assert flow.states("l[0]", "l[1]", "l[2]") == ["TriggerFailed", "Skipped", "Success"]
    assert flow.states("r[0]", "r[1]", "r[2]") == ["TriggerFailed", "Skipped", "Success"]


def test_the_members_of_a_mapped_list_stay_until_its_readers_are_final() -> None:
    flow = bench()
    flow.start()
    flow.succeed("w")
    flow.succeed("m[0]")
    flow.succeed("m[1]")
    assert {"w.1", "m[0].1", "m[1].1"} <= set(flow.live())

    assert "release m[0].1" in flow.succeed("r[0]").acts
    last = flow.succeed("r[1]")
    assert {"release m[1].1", "release w.1"} <= set(last.acts)


def test_a_reader_that_is_tried_again_finds_the_members_of_a_mapped_list() -> None:
    flow = bench(1, trigger=all_finished)
    flow.start()
    flow.succeed("w")
    flow.report("m[0]", Failed("no"))

    assert flow.states("l[0]") == ["TriggerFailed"]
    assert "w.1" in flow.live()
    assert "release w.1" in flow.succeed("r[0]").acts


def test_a_mapped_list_that_nobody_reads_lets_its_members_go() -> None:
    flow = Bench(value("x", length=2), task("m", maps("x")), listed("l", maps("m")), task("z"))
    flow.start()
    flow.succeed("m[0]")
    flow.succeed("m[1]")

    assert flow.states("l[0]", "l[1]") == ["Success", "Success"]


def test_many_children_of_a_mapped_list_go_through_together() -> None:
    flow = bench(40)
    flow.start()
    flow.succeed("w")
    for place in range(40):
        flow.succeed(f"m[{place}]")
    for place in range(40):
        flow.succeed(f"r[{place}]")

    assert flow.engine.ended
    assert flow.engine.counts() == {"Success": 81}


def test_an_empty_mapped_list_has_empty_readers() -> None:
    flow = bench(0)
    flow.start()
    flow.succeed("w")

    assert flow.states("l", "r") == ["Mapped", "Mapped"]
    assert flow.engine.ended


def test_a_mapped_list_that_is_read_whole_is_a_list_of_lists() -> None:
    flow = Bench(
        value("x", length=2), task("m", maps("x")), listed("l", maps("x"), maps("m")), task("r", "l")
    )
    flow.start()
    flow.succeed("m[0]")
    flow.succeed("m[1]")

    assert flow.sources("r") == "[l(x[0], m[0].1), l(x[1], m[1].1)]"
    assert flow.succeed("r").acts[-1] == "end Success"


def test_a_mapped_list_without_a_width_is_its_exception() -> None:
    flow = Bench(
        value("x", length=2),
        value("y", length=3),
        listed("l", maps("x"), maps("y")),
        task("r", "l", trigger=all_finished),
    )
    flow.start()

    assert flow.states("l") == ["Failed"]
    assert flow.sources("r") == "driver l"
