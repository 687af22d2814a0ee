"""Recall: what was sent ahead of a run that is no plain success comes back, and is decided afresh."""

from __future__ import annotations

import pytest

from prefectlite.engine.ahead import MAX_IN_VAIN
from prefectlite.engine.inputs import Argument, FromCollection, FromDriver, FromRun
from prefectlite.rules.retry import RetryPolicy
from prefectlite.states.state import Crashed, Failed, Paused, Retrying, Skipped, State, Success
from tests.engine.plans import Bench, In, follows, listed, maps, reads, task, value

RETRIES = RetryPolicy(max_retries=2, delays=(10.0,))


class OwnSuccess(Success):
    """A user's own kind of success."""

    __slots__ = ()


def test_a_failure_takes_back_all_that_was_sent_after_it() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", "b"))
    bench.start()
    turn = bench.fail("a")
    assert turn.acts == ["release a.1", "release b.1", "release c.1", "end Failed"]
    assert turn.moves[2:4] == ["b Pending > TriggerFailed", "c Pending > TriggerFailed"]


def test_a_retry_takes_back_what_was_sent_and_sends_it_again_under_a_new_submission() -> None:
    bench = Bench(task("a", retry=RETRIES), task("b", "a"), task("c", "b"))
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "release b.1", "release c.1", "timer a at 11"]
    assert bench.states() == ["Retrying", "Pending", "Pending"]
    turn = bench.fire("a")
    assert turn.acts == ["submit a #2.2", "submit b ahead #1.2", "submit c ahead #1.2"]
    assert turn.submit("c").arguments == (Argument("b", FromRun(1, 2)),)


def test_attempts_count_starts_and_not_submissions() -> None:
    bench = Bench(task("a", retry=RETRIES), task("b", "a", retry=RETRIES))
    bench.start()
    bench.fail("a")
    assert bench.engine.attempt(1) == 0
    bench.fire("a")
    bench.fail("a")
    bench.fire("a")
    assert bench.turn.acts == ["submit a #3.3", "submit b ahead #1.3"]
    bench.succeed("a")
    bench.fail("b")
    assert bench.fire("b").acts == ["submit b #2.4"]


def test_a_wide_reduce_is_sent_ahead_only_once_and_what_is_behind_it_again() -> None:
    wide = MAX_IN_VAIN
    once = RetryPolicy(max_retries=1)
    bench = Bench(
        value("v", length=wide), task("m", maps("v"), retry=once), task("sum", "m"), task("x", "sum")
    )
    bench.start()
    acts = [act for child in range(wide) for act in bench.fail(f"m[{child}]").acts]
    assert [act for act in acts if "ahead" in act] == []
    turn = [bench.succeed(f"m[{child}]") for child in range(wide)][-1]
    assert [act for act in turn.acts if act.startswith("submit")] == [
        "submit sum #1.2",
        "submit x ahead #1.2",
    ]


def test_a_run_with_few_inputs_is_sent_ahead_until_so_many_were_sent_in_vain() -> None:
    often = RetryPolicy(max_retries=MAX_IN_VAIN + 1)
    bench = Bench(task("a", retry=often), task("b", "a"))
    bench.start()
    acts = [bench.fail("a").acts[-1] for _ in range(MAX_IN_VAIN)]
    assert acts[:-1] == [f"submit b ahead #1.{n}" for n in range(2, MAX_IN_VAIN + 1)]
    assert acts[-1] == f"submit a #{MAX_IN_VAIN + 1}.{MAX_IN_VAIN + 1}"
    assert bench.succeed("a").acts[0] == f"submit b #1.{MAX_IN_VAIN + 1}"


def test_a_collection_counts_as_its_members() -> None:
    often = RetryPolicy(max_retries=3)
    names = [f"a{n}" for n in range(MAX_IN_VAIN)]
    flow = [task(name, retry=often) for name in names]
    bench = Bench(*flow, listed("l", *names), task("b", "l"))
    assert "submit b ahead" in bench.start().acts
    assert [act for act in bench.fail("a0").acts if "submit b" in act] == []


def test_a_run_that_was_taken_back_shows_nothing_of_it_in_its_history() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    assert bench.fail("a").move("b", "TriggerFailed").attempt == 0
    bench = Bench(task("a"), task("b", "a"), window=1)  # never sent ahead
    bench.start()
    assert bench.fail("a").move("b", "TriggerFailed").attempt == 0


def test_the_old_submissions_reports_are_stale() -> None:
    bench = Bench(task("a", retry=RETRIES), task("b", "a"))
    bench.start()
    bench.fail("a")
    assert bench.hold("b", submission=1).words == []
    bench.fire("a")
    assert bench.hold("b", submission=1).words == []
    assert bench.report("b", None, submission=1).words == []
    assert bench.crash("b", submission=1).words == []
    assert bench.observe("b", submission=1).words == []


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        (Failed("boom", ValueError()), "TriggerFailed"),
        (Crashed("gone", cause="exited"), "TriggerFailed"),
        (Skipped("not today"), "Skipped"),
    ],
)
def test_whatever_is_no_plain_success_takes_back_its_readers(state: State, becomes: str) -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    assert bench.report("a", state).acts[:2] == ["release a.1", "release b.1"]
    assert bench.states("b") == [becomes]


@pytest.mark.parametrize("state", [OwnSuccess("mine", 5), Success("given", 5)])
def test_a_success_that_came_as_a_state_sends_its_readers_again_with_the_drivers_value(state: State) -> None:
    # The value went into the state, so the worker's own is no longer what readers should get.
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    turn = bench.report("a", state)
    assert turn.acts == ["release a.1", "release b.1", "submit b #1.2"]
    assert turn.submit("b").arguments == (Argument("a", FromDriver(0)),)
    assert bench.succeed("b").acts == ["end Success"]


@pytest.mark.parametrize("signal", [Retrying("again"), Paused("wait")])
def test_a_wait_that_the_body_asked_for_takes_back_its_readers(signal: State) -> None:
    bench = Bench(task("a"), task("b", "a"), task("z"))
    bench.start()
    assert bench.report("a", signal, forced=True).acts[:2] == ["release a.1", "release b.1"]


def test_a_crash_takes_back_its_readers() -> None:
    bench = Bench(task("a", max_crashes=1), task("b", "a"))
    bench.start()
    assert bench.crash("a").acts == ["release a.1", "release b.1", "submit a #2.2", "submit b ahead #1.2"]


def test_a_refused_attempt_takes_back_its_readers() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    assert bench.refuse("a", TypeError("no pickle")).acts == ["release a.1", "release b.1", "end Failed"]


def test_a_hold_without_a_cause_takes_back_its_readers_too() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    assert bench.hold("a").acts == ["release a.1", "release b.1", "submit a #1.2", "submit b ahead #1.2"]


def test_a_diamond_is_taken_back_once() -> None:
    bench = Bench(task("a", retry=RETRIES), task("b", "a"), task("c", "a"), task("d", "b", "c"))
    assert bench.start().acts == ["submit a", "submit b ahead", "submit c ahead", "submit d ahead"]
    acts = bench.fail("a").acts
    assert sorted(acts) == ["release a.1", "release b.1", "release c.1", "release d.1", "timer a at 11"]
    again = bench.fire("a").acts
    assert sorted(again) == [
        "submit a #2.2",
        "submit b ahead #1.2",
        "submit c ahead #1.2",
        "submit d ahead #1.2",
    ]


def test_two_failures_above_one_reader_take_it_back_once() -> None:
    bench = Bench(task("a", retry=RETRIES), task("b", retry=RETRIES), task("c", "a", "b"))
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "release c.1", "timer a at 11"]
    assert bench.fail("b").acts == ["release b.1", "timer b at 12"]
    assert bench.fire("a").acts == ["submit a #2.2"]  # b is not under way
    assert bench.fire("b").acts == ["submit b #2.2", "submit c ahead #1.2"]


def test_only_what_hangs_on_the_failure_comes_back() -> None:
    bench = Bench(task("a"), task("b"), task("ra", "a"), task("rb", "b"))
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "release ra.1"]
    assert bench.states() == ["Failed", "Pending", "TriggerFailed", "Pending"]


def test_recall_goes_through_collections() -> None:
    bench = Bench(
        task("a", retry=RETRIES), task("b"), listed("l", "a", "b"), listed("ll", "l"), task("c", "ll")
    )
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "release c.1", "timer a at 11"]
    turn = bench.fire("a")
    assert turn.acts == ["submit a #2.2", "submit c ahead #1.2"]
    assert turn.submit("c").arguments == (
        Argument("ll", FromCollection(3, (FromCollection(2, (FromRun(0, 2), FromRun(1, 1))),))),
    )


def test_a_collection_that_lost_a_member_is_marked_again_only_when_all_are_back() -> None:
    bench = Bench(task("a", retry=RETRIES), task("b", retry=RETRIES), listed("l", "a", "b"), task("c", "l"))
    bench.start()
    assert bench.fail("a").acts == ["release a.1", "release c.1", "timer a at 11"]
    bench.fail("b")
    assert bench.fire("b").acts == ["submit b #2.2"]
    assert bench.fire("a").acts == ["submit a #2.2", "submit c ahead #1.2"]


def test_a_failed_child_takes_back_its_own_line_and_the_reduce() -> None:
    bench = Bench(
        value("x", length=3), task("m", maps("x"), retry=RETRIES), task("n", maps("m")), task("r", "n")
    )
    bench.start()
    assert "submit r ahead" in bench.turn.acts
    assert bench.fail("m[1]").acts == ["release m[1].1", "release n[1].1", "release r.1", "timer m[1] at 11"]
    turn = bench.fire("m[1]")
    assert turn.acts == ["submit m[1] #2.2", "submit n[1] ahead #1.2", "submit r ahead #1.2"]


def test_a_second_failing_child_finds_the_reduce_gone_already() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x"), retry=RETRIES), task("r", "m"))
    bench.start()
    assert bench.fail("m[0]").acts == ["release m[0].1", "release r.1", "timer m[0] at 11"]
    assert bench.fail("m[1]").acts == ["release m[1].1", "timer m[1] at 12"]
    assert bench.fire("m[0]").acts == ["submit m[0] #2.2"]
    assert bench.fire("m[1]").acts == ["submit m[1] #2.2", "submit r ahead #1.2"]


def test_a_child_that_fails_for_good_refuses_its_line_and_the_reduce() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("m")), task("r", "n"))
    log = bench.drive({"m[0]": Failed("boom")})
    assert bench.states("m[0]", "m[1]", "n[0]", "n[1]", "r") == [
        "Failed",
        "Success",
        "TriggerFailed",
        "Success",
        "TriggerFailed",
    ]
    assert log.why("n[0]", "TriggerFailed").read[-1] == ("m[0]", "Failed")
    assert log.why("r", "TriggerFailed").read[-1] == ("n[0]", "Failed")


def test_a_shorter_map_below_is_not_looked_for_beyond_its_end() -> None:
    bench = Bench(
        value("x", length=3),
        value("y", length=1),
        task("m", maps("x"), retry=RETRIES),
        task("n", maps("m"), maps("y"), map_lengths="shortest"),
    )
    bench.start()
    assert bench.fail("m[2]").acts == ["release m[2].1", "timer m[2] at 11"]
    assert bench.fail("m[0]").acts == ["release m[0].1", "release n[0].1", "timer m[0] at 12"]


def test_a_run_that_has_not_gone_ahead_yet_does_not_go_after_a_failure() -> None:
    bench = Bench(task("a", retry=RETRIES), task("b"), task("c", "a", "b"), window=1)
    assert bench.start().acts == ["submit a"]
    assert bench.fail("a").acts == ["release a.1", "timer a at 11", "submit b"]
    assert bench.succeed("b").acts == []
    assert bench.fire("a").acts == ["submit a #2.2"]
    assert bench.succeed("a").acts == ["submit c"]


@pytest.mark.parametrize("edge", [reads("a"), follows("a")])
def test_recall_goes_over_edges_with_and_without_a_value(edge: In) -> None:
    bench = Bench(task("a", retry=RETRIES), task("b", edge))
    assert bench.start().acts == ["submit a", "submit b ahead"]
    assert bench.fail("a").acts == ["release a.1", "release b.1", "timer a at 11"]


def test_a_reader_that_already_reported_is_taken_back_all_the_same() -> None:
    # It cannot have run on a failed upstream, so what it says is the echo of another attempt.
    bench = Bench(task("a", retry=RETRIES), task("b", "a"))
    bench.start()
    assert bench.succeed("b").words == []
    assert bench.fail("a").acts == ["release a.1", "release b.1", "timer a at 12"]
    assert bench.fire("a").acts == ["submit a #2.2", "submit b ahead #1.2"]
    assert bench.succeed("a").moves == ["a Retrying > Running", "a Running > Success"]


def test_a_child_of_two_maps_goes_ahead_when_both_of_its_upstreams_are_back() -> None:
    bench = Bench(
        value("x", length=1),
        task("m", maps("x"), retry=RETRIES),
        task("k", maps("x"), retry=RETRIES),
        task("n", maps("m"), maps("k")),
    )
    assert bench.start().acts == ["submit k[0]", "submit m[0]", "submit n[0] ahead"]
    assert bench.fail("m[0]").acts == ["release m[0].1", "release n[0].1", "timer m[0] at 11"]
    assert bench.fail("k[0]").acts == ["release k[0].1", "timer k[0] at 12"]
    assert bench.fire("m[0]").acts == ["submit m[0] #2.2"]
    assert bench.fire("k[0]").acts == ["submit k[0] #2.2", "submit n[0] ahead #1.2"]
