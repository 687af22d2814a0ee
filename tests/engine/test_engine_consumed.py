"""Children that a reader has read for good: let go of before it is final, and not needed to send it again."""

from __future__ import annotations

import pytest

from prefectlite.engine.events import InputsConsumed
from prefectlite.errors import EngineError
from prefectlite.rules.retry import RetryPolicy
from prefectlite.states.state import Failed, Skipped
from tests.engine.plans import Bench, Spec, Turn, listed, maps, reads, task, value

XS = value("xs", length=4)
EACH = task("each", maps("xs"))


def bench_of(*below: Spec, each: Spec = EACH) -> Bench:
    bench = Bench(XS, each, *below)
    bench.start()
    return bench


def consume(
    bench: Bench, name: str, first: int, count: int = 1, of: str = "each", submission: int = 0
) -> Turn:
    bench.now += 1
    run, child = bench.run(name), bench.run(f"{of}[{first}]")
    return bench.handle(InputsConsumed(bench.now, run, submission or bench.last(name), child, count))


def succeed(bench: Bench, *places: int) -> None:
    for place in places:
        bench.succeed(f"each[{place}]")


def test_what_is_consumed_goes_at_once() -> None:
    bench = bench_of(task("sum", "each"))
    succeed(bench, 0, 1)
    assert consume(bench, "sum", 0, 2).acts == ["release each[0].1", "release each[1].1"]
    succeed(bench, 2, 3)
    assert bench.succeed("sum").acts == ["release each[2].1", "release each[3].1", "end Success"]


def test_what_is_consumed_before_its_own_report_came_goes_with_it() -> None:
    bench = bench_of(task("sum", "each"))
    assert consume(bench, "sum", 0, 2).acts == []
    assert bench.succeed("each[0]").acts == ["release each[0].1"]


def test_nothing_is_given_back_twice() -> None:
    bench = bench_of(task("sum", "each"))
    succeed(bench, 0, 1, 2, 3)
    assert consume(bench, "sum", 1).acts == ["release each[1].1"]
    assert consume(bench, "sum", 0, 4).acts == ["release each[0].1", "release each[2].1", "release each[3].1"]
    assert consume(bench, "sum", 0, 4).acts == []
    assert bench.succeed("sum").acts == ["end Success"]


def test_what_others_read_stays() -> None:
    bench = bench_of(task("sum", "each"), task("other", "each"))
    succeed(bench, 0, 1, 2, 3)
    assert consume(bench, "sum", 0, 4).acts == []
    assert bench.succeed("other").acts == [f"release each[{place}].1" for place in range(4)]
    assert bench.succeed("sum").acts == ["end Success"]


def test_a_reader_that_is_sent_again_does_not_need_what_it_consumed() -> None:
    each = task("each", maps("xs"), retry=RetryPolicy(1))
    bench = bench_of(task("sum", "each"), each=each)
    succeed(bench, 0, 1)
    consume(bench, "sum", 0, 2)
    assert "release sum.1" in bench.fail("each[2]").acts
    succeed(bench, 2, 3)
    assert bench.last("sum") == 2
    assert bench.sources("sum") == "[each[0].1, each[1].1, each[2].2, each[3].1]"
    assert bench.succeed("sum").acts == ["release each[2].2", "release each[3].1", "end Success"]


def test_a_reader_that_held_does_not_need_it_either() -> None:
    bench = bench_of(task("sum", "each"))
    succeed(bench, 0, 1, 2, 3)
    consume(bench, "sum", 0, 4)
    assert bench.hold("sum").acts == ["release sum.1", "submit sum #1.2"]
    assert bench.sources("sum") == "[each[0].1, each[1].1, each[2].1, each[3].1]"
    assert bench.succeed("sum").acts == ["end Success"]


@pytest.mark.parametrize("end", [Failed("no"), Skipped("no")])
def test_a_child_that_fails_for_good_ends_the_reader(end: Failed | Skipped) -> None:
    bench = bench_of(task("sum", "each"))
    succeed(bench, 0, 1)
    consume(bench, "sum", 0, 2)
    bench.report("each[2]", end)
    assert bench.succeed("each[3]").acts[-2:] == [
        "release each[3].1",
        "end " + ("Success", "Failed")[isinstance(end, Failed)],
    ]


@pytest.mark.parametrize("policy", [{"retry": RetryPolicy(1)}, {"max_crashes": 1}, {"handled": True}])
def test_a_reader_that_may_start_afresh_keeps_its_claims(policy: dict[str, object]) -> None:
    bench = bench_of(task("sum", "each", **policy))
    succeed(bench, 0, 1, 2, 3)
    if "handled" in policy:
        bench.agree("sum")
    assert consume(bench, "sum", 0, 4).acts == []


def test_the_last_attempt_gives_back() -> None:
    bench = bench_of(task("sum", "each", retry=RetryPolicy(1), max_crashes=1))
    succeed(bench, 0, 1, 2, 3)
    bench.fail("sum")
    bench.fire("sum") if bench.engine.board.timers else None
    bench.crash("sum")
    assert len(consume(bench, "sum", 0, 4).acts) == 4


def test_a_stale_word_changes_nothing() -> None:
    bench = bench_of(task("sum", "each"))
    succeed(bench, 0, 1, 2, 3)
    bench.hold("sum")
    assert consume(bench, "sum", 0, 4, submission=1).acts == []


def test_a_word_about_what_was_never_sent_is_refused() -> None:
    bench = bench_of(task("sum", "each"))
    with pytest.raises(EngineError, match="never made"):
        consume(bench, "sum", 0, submission=7)


@pytest.mark.parametrize(
    "below",
    [
        task("sum", reads("each", "x"), reads("each", "y")),
        task("sum", maps("each", flat=True), reads("each", "y")),
        task("sum", "xs"),
    ],
)
def test_who_reads_a_map_otherwise_keeps_its_claims(below: Spec) -> None:
    bench = bench_of(below)
    for place in range(4):
        bench.succeed(f"each[{place}]", length=1)
    name = "sum[0]" if bench.engine.children(bench.run("sum")) else "sum"
    assert consume(bench, name, 0, 4).acts == []


def test_what_lies_in_a_list_stays() -> None:
    bench = Bench(task("a"), task("b"), listed("both", "a", "b"), task("sum", "both"))
    bench.start()
    bench.succeed("a")
    bench.now += 1
    assert bench.handle(InputsConsumed(bench.now, bench.run("sum"), 1, bench.run("a"), 1)).acts == []


def test_of_two_maps_only_the_first_is_given_back() -> None:
    bench = bench_of(task("more", maps("xs")), task("sum", "each", "more"))
    succeed(bench, 0, 1, 2, 3)
    assert len(consume(bench, "sum", 0, 4).acts) == 4
    for place in range(4):
        bench.succeed(f"more[{place}]")
    assert consume(bench, "sum", 0, 4, of="more").acts == []
    assert bench.succeed("sum").acts == [f"release more[{place}].1" for place in range(4)] + ["end Success"]


def test_a_cancel_forgets_it() -> None:
    bench = bench_of(task("sum", "each"))
    succeed(bench, 0)
    consume(bench, "sum", 0)
    assert bench.cancel().acts[-1] == "end Cancelled"
