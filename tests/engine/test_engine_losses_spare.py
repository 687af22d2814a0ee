"""What a lost value is made of stays for as long as it may have to be made again, and no longer."""

from __future__ import annotations

import pytest

from prefectlite.rules.triggers import all_finished
from tests.engine.plans import Bench, maps, reads, task, value


def lost_early(**policy: object) -> Bench:
    """``a`` is made of ``x`` and lost, while ``b``, its only reader, waits for ``z``."""
    bench = Bench(
        task("x"),
        task("a", "x", **policy),
        task("y", "x"),
        task("z"),
        task("b", "a", "z", trigger=all_finished),
    )
    bench.start()
    bench.succeed("x")
    bench.succeed("a")
    bench.lose("a")
    return bench


@pytest.mark.parametrize("policy", [{"max_crashes": 1}, {"idempotent": True}])
def test_what_a_lost_value_is_made_of_stays_until_it_is_made_again(policy: dict[str, object]) -> None:
    bench = lost_early(**policy)
    bench.lose("a", "It is told twice.")
    assert bench.succeed("y").acts == []
    assert bench.states("a") == ["Success"]
    assert bench.succeed("z").acts == ["release a.1", "submit a #2.2"]
    assert bench.succeed("a").acts == ["release x.1", "submit b"]
    assert bench.succeed("b").acts == ["release a.2", "release z.1", "end Success"]


def test_the_inputs_last_reader_may_be_what_the_reader_of_a_lost_value_waited_for() -> None:
    bench = Bench(
        value("v", length=2),
        task("x"),
        task("a", maps("v"), reads("x"), max_crashes=1),
        task("b", "a", trigger=all_finished),
    )
    bench.start()
    bench.succeed("x")
    bench.succeed("a[0]")
    bench.lose("a[0]")
    assert bench.succeed("a[1]").acts == ["release a[0].1", "submit a[0] #2.2"]
    assert "release x.1" in bench.succeed("a[0]").acts
    assert bench.succeed("b").acts[-1] == "end Success"


def test_what_may_not_be_made_again_keeps_nothing() -> None:
    assert lost_early().succeed("y").acts == ["release x.1"]


def test_what_nobody_reads_any_more_keeps_nothing() -> None:
    bench = Bench(task("x"), task("a", "x", max_crashes=1, keep_result=True), task("b", "a"), task("y", "x"))
    bench.start()
    for name in ("x", "a", "b"):
        bench.succeed(name)
    bench.lose("a")
    assert bench.succeed("y").acts == ["release x.1", "end Success"]
    assert bench.live() == ["a.1", "b.1", "y.1"]


def test_what_lacks_an_input_already_keeps_no_other() -> None:
    bench = Bench(
        *(task("w"), task("x"), task("a", "w", "x", max_crashes=1), task("y", "x")),
        *(task("z"), task("b", "a", "z", trigger=all_finished)),
    )
    bench.start()
    bench.succeed("w")
    bench.succeed("x")
    assert bench.succeed("a").acts == ["release w.1"]
    bench.lose("a")
    assert bench.succeed("y").acts == ["release x.1"]


def test_nothing_is_kept_once_the_last_reader_of_a_lost_value_is_final() -> None:
    bench = Bench(task("x"), task("a", "x", max_crashes=1), task("b", "a"), task("y", "x"))
    bench.start()
    bench.succeed("x")
    bench.succeed("a")
    bench.lose("a")
    assert bench.succeed("y").acts == []
    assert bench.succeed("b").acts == ["release a.1", "release x.1", "end Success"]


def test_a_lost_value_that_is_kept_keeps_nothing_beyond_the_end() -> None:
    bench = Bench(task("x"), task("a", "x", max_crashes=1, keep_result=True), task("b", "a"), task("y", "x"))
    bench.start()
    bench.succeed("x")
    bench.succeed("a")
    bench.lose("a")
    bench.succeed("y")
    assert bench.succeed("b").acts == ["release x.1", "end Success"]
    assert bench.live() == ["a.1", "b.1", "y.1"]


def test_what_a_lost_input_is_made_of_stays_for_the_sake_of_a_lost_value() -> None:
    bench = Bench(
        *(
            task("u"),
            task("x", "u", max_crashes=1),
            task("a", "x", max_crashes=1),
            task("y", "x"),
            task("t", "u"),
        ),
        *(task("z"), task("b", "a", "z", trigger=all_finished)),
    )
    bench.start()
    for name in ("u", "x", "a"):
        bench.succeed(name)
    bench.lose("a")
    bench.succeed("y")
    bench.lose("x")
    assert bench.succeed("t").acts == []
    assert bench.succeed("z").acts == ["release a.1", "release x.1", "submit x #2.2"]
    assert bench.succeed("x").acts == ["release u.1", "submit a #2.2"]
    assert bench.succeed("a").acts == ["release x.2", "submit b"]


def test_an_attempt_that_goes_ahead_and_comes_back_keeps_nothing_for_its_loss() -> None:
    bench = Bench(
        *(task("x"), task("s", max_crashes=1), task("a", "x", "s", max_crashes=1), task("b", "a")),
        task("y", "x"),
    )
    bench.start()
    bench.succeed("x")
    bench.succeed("a")
    bench.lose("a")
    bench.crash("s")
    assert bench.states("a") == ["Pending"]
    assert not bench.engine.board.lost


def test_a_cancel_lets_go_of_what_was_kept_for_a_loss() -> None:
    bench = lost_early(max_crashes=1)
    bench.succeed("y")
    assert "release x.1" in bench.cancel().acts
    assert bench.engine.ended
