"""The window and the order: how much is in flight at once, and what goes first."""

from __future__ import annotations

from prefectlite.engine.frontier import BREADTH, TOGETHER, Frontier
from prefectlite.rules.retry import RetryPolicy
from prefectlite.states.state import Failed
from tests.engine.plans import Bench, maps, reads, task, value


def test_no_more_than_the_window_is_in_flight() -> None:
    bench = Bench(*[task(f"t{i}") for i in range(5)], window=2)
    assert bench.start().acts == ["submit t0", "submit t1"]
    assert bench.succeed("t0").acts == ["submit t2"]


def test_a_full_window_is_refilled_when_a_quarter_of_it_is_free() -> None:
    bench = Bench(*[task(f"t{i}") for i in range(20)], window=8)
    assert len(bench.start().acts) == 8
    assert bench.succeed("t0").acts == []
    assert bench.succeed("t1").acts == ["submit t8", "submit t9"]
    assert bench.succeed("t2").acts == []
    assert bench.succeed("t3").acts == ["submit t10", "submit t11"]


def test_a_window_that_was_never_full_takes_what_comes_at_once() -> None:
    bench = Bench(task("a", handled=True), task("b"), window=8)
    bench.start()
    assert bench.agree("a").acts == ["submit a"]


def test_a_window_that_was_full_once_takes_what_comes_at_once_when_nothing_was_left_behind() -> None:
    later = RetryPolicy(max_retries=1, delays=(50.0,))
    bench = Bench(*[task(f"t{i}", retry=later) for i in range(8)], window=8)
    bench.start()
    bench.fail("t0")
    bench.fail("t1")  # six in flight, and nobody waits
    assert bench.fire("t0").acts == ["submit t0 #2.2"]
    assert bench.fire("t1").acts == ["submit t1 #2.2"]  # though seven are


def test_a_window_that_ran_dry_starts_again() -> None:
    bench = Bench(*[task(f"t{i}") for i in range(9)], window=4)
    bench.drive()
    assert bench.engine.flow_state.is_successful()
    assert [one for one in bench.log.acts if one.startswith("submit")] == [f"submit t{i}" for i in range(9)]


def test_questions_to_user_code_fill_the_window_too() -> None:
    bench = Bench(*[task(f"t{i}", handled=True) for i in range(4)], window=2)
    assert bench.start().acts == [f"ask t{i} handlers Pending > Running" for i in range(2)]
    assert bench.agree("t0").acts == ["submit t0"]  # and not one question more
    assert bench.succeed("t0").acts == ["ask t0 handlers Running > Success"]
    assert bench.agree("t0").acts == ["ask t2 handlers Pending > Running"]


def test_a_window_of_one_runs_a_chain_step_by_step() -> None:
    bench = Bench(task("a"), task("b", "a"), window=1)
    assert bench.start().acts == ["submit a"]
    assert bench.succeed("a").acts == ["submit b"]


def test_a_chain_goes_before_siblings_where_its_next_link_stands_far_behind_them() -> None:
    many = range(BREADTH + 1)
    bench = Bench(*[task(f"a{i}") for i in many], *[task(f"b{i}", f"a{i}") for i in many], task("c0", "b0"))
    assert bench.start().acts[:5] == [
        "submit a0",
        "submit b0 ahead",
        "submit c0 ahead",
        "submit a1",
        "submit b1 ahead",
    ]


def test_narrow_steps_go_one_after_the_other() -> None:
    bench = Bench(task("a1"), task("a2"), task("b1", "a1"), task("b2", "a2"), task("c1", "b1"))
    assert bench.start().acts == [
        "submit a1",
        "submit a2",
        "submit b1 ahead",
        "submit b2 ahead",
        "submit c1 ahead",
    ]


def test_what_came_up_too_soon_is_pushed_when_it_may_go() -> None:
    bench = Bench(task("a", retry=RetryPolicy(max_retries=1)), task("b", "a"), task("c"))
    assert bench.start().acts == ["submit a", "submit b ahead", "submit c"]
    assert bench.fail("a").acts[-2:] == ["submit a #2.2", "submit b ahead #1.2"]


def test_a_child_is_followed_through_all_maps_before_its_sibling_begins() -> None:
    bench = Bench(
        value("x", length=100), task("m", maps("x")), task("n", maps("m")), task("o", maps("n")), window=6
    )
    assert bench.start().acts == [
        "submit m[0]",
        "submit n[0] ahead",
        "submit o[0] ahead",
        "submit m[1]",
        "submit n[1] ahead",
        "submit o[1] ahead",
    ]
    for name in ("m[0]", "n[0]"):
        bench.succeed(name)
    assert [one for one in bench.turn.acts if one.startswith("submit")] == [
        "submit m[2]",
        "submit n[2] ahead",
    ]


def test_memory_is_bounded_by_the_window_while_a_map_of_a_map_flows_through() -> None:
    bench = Bench(
        value("x", length=60),
        task("m", maps("x")),
        task("n", maps("m")),
        task("z"),
        window=8,
        reference=("z",),
    )
    held = 0
    waiting = [bench.start()]
    while waiting:
        turn = waiting.pop(0)
        for one in turn.acts:
            if one.startswith("submit"):
                waiting.append(bench.succeed(one.split()[1]))
                held = max(held, sum(live.startswith("m[") for live in bench.live()))
    assert bench.engine.flow_state.is_successful()
    assert held <= 16  # twice the window: what is in flight, and what its readers in flight still read


def test_what_can_go_on_goes_before_what_can_begin() -> None:
    retries = RetryPolicy(max_retries=1)
    bench = Bench(task("a", retry=retries), *[task(f"t{i}") for i in range(4)], window=2)
    assert bench.start().acts == ["submit a", "submit t0"]
    assert bench.fail("a").acts == ["release a.1", "submit a #2.2"]


def test_a_wide_reduce_is_sent_when_its_last_child_is() -> None:
    bench = Bench(value("x", length=6), task("m", maps("x")), task("r", "m"), window=4)
    bench.drive()
    submits = [one for one in bench.log.acts if one.startswith("submit")]
    assert submits == [*[f"submit m[{i}]" for i in range(6)], "submit r ahead"]


def test_the_window_never_stalls_when_everything_fails() -> None:
    bench = Bench(
        *[task(f"t{i}") for i in range(9)], task("r", *[reads(f"t{i}") for i in range(9)]), window=4
    )
    bench.drive({f"t{i}": Failed("boom") for i in range(9)})
    assert bench.states() == ["Failed"] * 9 + ["TriggerFailed"]


def test_the_last_that_was_pushed_comes_first() -> None:
    frontier = Frontier(range(3))
    assert frontier.pop() == range(1)
    frontier.push((7, 8))
    frontier.push(range(9, 9))
    frontier.push_many(range(9, 9))
    found = [frontier.pop(10) for _ in range(6)]
    assert found == [range(7, 8), range(8, 9), range(1, 2), range(2, 3), None, None]


def test_what_comes_up_soon_is_what_stands_next() -> None:
    frontier = Frontier(range(BREADTH + 2))
    frontier.pop()
    assert [run for run in range(BREADTH + 5) if frontier.comes_soon(run)] == list(range(1, BREADTH + 1))


def test_children_that_were_pushed_together_come_up_together_as_far_as_there_is_room() -> None:
    frontier = Frontier(range(1))
    frontier.push_many(range(10, 10 + TOGETHER + 5))
    found = [frontier.pop(most) for most in (3, 10**6, 1, 10**6, 10**6)]
    last = 10 + TOGETHER + 5
    assert found == [
        range(10, 13),
        range(13, 13 + TOGETHER),
        range(13 + TOGETHER, 14 + TOGETHER),
        range(14 + TOGETHER, last),
        range(1),
    ]
