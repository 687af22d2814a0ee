"""Values that are lost while much goes on: readers wait, go on or are refused by what is known, and none runs twice."""

from __future__ import annotations

from array import array

import pytest

from prefectlite.engine.events import (
    AttemptCrashed,
    AttemptFinished,
    CallsFinished,
    RangeFinished,
    ResultLost,
)
from prefectlite.engine.instructions import Submit
from prefectlite.rules.crash import MOST_RECOMPUTED
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import all_finished, manual_only
from prefectlite.states.report import Report, Reports, Results
from prefectlite.states.state import Failed, Skipped
from tests.engine.plans import Bench, follows, listed, maps, pairs, reads, task, value


def test_a_run_that_would_go_ahead_waits_when_it_would_read_what_is_lost() -> None:
    bench = Bench(task("a"), task("z", retry=RetryPolicy(1)), task("b", "a", "z"))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    turn = bench.fail("z")
    assert turn.acts == ["release z.1", "release b.1", "submit z #2.2"]
    bench.fail("z")
    assert bench.states() == ["Success", "Failed", "TriggerFailed"]


def test_a_run_whose_upstream_is_made_again_is_decided_when_it_is_back() -> None:
    bench = Bench(task("a", max_crashes=1), task("z"), task("b", "a"), task("c", follows("a"), follows("z")))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    bench.hold("b")
    assert bench.states("a") == ["Retrying"]
    assert bench.succeed("z").acts == ["release z.1"]
    assert bench.succeed("a").acts == ["submit b #1.2", "submit c"]


def test_a_map_whose_upstream_is_made_again_unfolds_when_it_is_back() -> None:
    bench = Bench(
        value("v", length=2),
        task("a", maps("v"), max_crashes=1),
        task("z"),
        task("b", "a"),
        listed("l", maps("v"), reads("a")),
        task("c", maps("l"), follows("z")),
    )
    bench.start()
    bench.succeed("a[0]")
    bench.succeed("a[1]")
    bench.lose("a[1]")
    bench.hold("b")
    bench.succeed("z")
    assert bench.states("c") == ["Pending"]
    bench.succeed("a[1]")
    assert bench.states("c") == ["Mapped"]
    for name in ("b", "c[0]", "c[1]"):
        bench.succeed(name)
    assert bench.engine.ended


def test_a_loss_is_known_also_while_state_handlers_are_asked_about_the_success() -> None:
    bench = Bench(task("a", handled=True, max_crashes=1), task("b", "a"))
    bench.start()
    bench.agree("a")
    bench.succeed("a")
    bench.lose("a")
    assert "a Crashed > Retrying" not in bench.agree("a").moves
    assert bench.agree("a").acts == ["ask a handlers Retrying > Running"]


def test_a_loss_is_known_also_while_the_report_waits_for_those_of_its_upstreams() -> None:
    bench = Bench(task("x"), task("a", "x"), task("b", "a", trigger=all_finished))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    turn = bench.succeed("x")
    assert "a Success > Crashed" in turn.moves
    assert bench.sources("b") == "driver a"


def test_elements_of_a_value_that_is_lost_for_good_are_its_exception() -> None:
    bench = Bench(task("a"), task("b", maps("a"), trigger=all_finished), window=1)
    bench.start()
    bench.succeed("a", length=2)
    bench.lose("a")
    bench.hold("b[0]")
    assert bench.sources("b[0]") == "driver a"


def test_children_that_start_again_together_are_given_the_exception_of_what_they_map_over() -> None:
    bench = Bench(
        task("a"),
        task("b", maps("a"), maps("a", "flat", flat=True), trigger=all_finished, retry=RetryPolicy(1)),
    )
    bench.start()
    bench.succeed("a", length=2, flat_length=2)
    bench.lose("a")
    bench.hold("b[0]")
    bench.hold("b[1]")
    said = Report(Failed("boom", ValueError("boom")), 1.0, 2.0)
    reports = Reports(array("d", (1.0, 1.0)), array("d", (2.0, 2.0)), Results(array("q"), b""), "w1", said)
    turn = bench.handle(RangeFinished(9.0, bench.run("b[0]"), 2, reports))
    assert turn.acts[-2:] == ["submit b[0] #2.3", "submit b[1] #2.3"]
    for child in ("b[0]", "b[1]"):
        assert {bench.sources(child, key) for key in ("a", "flat")} == {"driver a"}


def test_a_map_whose_input_is_lost_while_its_handlers_are_asked_has_no_width() -> None:
    bench = Bench(task("a"), task("b", "a"), task("m", maps("a"), handled=True))
    bench.start()
    bench.succeed("a", length=2)
    bench.lose("a")
    bench.hold("b")
    assert bench.agree("m").acts == ["ask m handlers Pending > Failed"]
    bench.agree("m")
    assert bench.states("a", "b", "m") == ["Crashed", "TriggerFailed", "Failed"]


def test_a_map_whose_input_is_made_again_while_its_handlers_are_asked_unfolds_when_it_is_back() -> None:
    bench = Bench(task("a", max_crashes=1), task("b", "a"), task("m", maps("a"), handled=True))
    bench.start()
    bench.succeed("a", length=2)
    bench.lose("a")
    bench.hold("b")
    assert bench.agree("m").words == []
    assert bench.succeed("a", length=2).acts == ["submit b #1.2", "ask m handlers Pending > Mapped"]
    bench.agree("m")
    assert bench.states("m", "m[0]", "m[1]") == ["Mapped", "Pending", "Pending"]


def test_children_of_a_map_do_not_wait_for_ever_for_one_that_was_made_again_when_they_came_to_be() -> None:
    bench = Bench(
        value("v", length=2),
        task("a", maps("v"), max_crashes=1),
        task("b", "a"),
        task("m", maps("a"), handled=True),
    )
    bench.start()
    bench.succeed("a[0]")
    bench.succeed("a[1]")
    bench.lose("a[1]")
    bench.hold("b")
    bench.agree("m")
    bench.succeed("a[1]")
    bench.agree("m")
    for name in ("m[0]", "m[1]"):
        bench.agree(name)
        bench.succeed(name)
        bench.agree(name)
    bench.succeed("b")
    assert bench.engine.flow_state.is_successful()


def test_an_approved_run_is_not_paused_again_for_what_it_lost() -> None:
    bench = Bench(task("a"), task("b", "a", trigger=manual_only))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    turn = bench.approve("b")
    assert "submit b" in turn.acts
    assert bench.sources("b") == "driver a"


def test_what_is_made_again_keeps_what_it_reads_until_it_is_back() -> None:
    bench = Bench(task("x"), task("a", "x", idempotent=True), task("b", "a"), task("y", "x"))
    bench.start()
    bench.succeed("x")
    bench.succeed("a")
    bench.lose("a")
    bench.hold("b")
    assert "release x.1" not in bench.succeed("y").acts
    bench.crash("a")
    assert "release x.1" in bench.succeed("a").acts
    bench.succeed("b")
    assert bench.live() == ["b.2", "y.1"]


def test_what_is_made_again_keeps_what_it_reads_also_if_that_is_made_again_first() -> None:
    bench = Bench(
        *(task("z", max_crashes=1), task("x", "z", max_crashes=1), task("a", "x", max_crashes=1)),
        *(task("b", "a"), task("y", "x"), task("w", "z")),
    )
    bench.start()
    for name in ("z", "x", "a"):
        bench.succeed(name)
    for name in ("z", "x", "a"):
        bench.lose(name)
    bench.hold("y")
    bench.hold("b")
    bench.succeed("z")
    assert bench.succeed("x").acts == ["submit y #1.2", "submit a #2.2"]
    assert bench.succeed("y").acts == []
    assert bench.succeed("a").acts == ["release x.2", "submit b #1.2"]


def test_what_is_made_again_and_lost_its_input_meanwhile_is_decided_anew() -> None:
    bench = Bench(task("x"), task("a", "x", idempotent=True), task("b", "a"), task("c", "a"), task("y", "x"))
    bench.start()
    bench.succeed("x")
    bench.succeed("a")
    bench.lose("x")
    bench.lose("a")
    bench.hold("b")
    assert bench.states("x", "a") == ["Crashed", "TriggerFailed"]


def test_what_is_made_again_after_its_input_was_lost_is_decided_anew() -> None:
    bench = Bench(
        value("v", length=2),
        task("x"),
        task("a", maps("v"), reads("x"), max_crashes=1),
        task("b", maps("a")),
        task("y", "x"),
    )
    bench.start()
    bench.succeed("x")
    bench.succeed("a[0]")
    bench.lose("x")
    bench.hold("y")
    assert bench.states("x", "y") == ["Crashed", "TriggerFailed"]
    bench.lose("a[0]")
    bench.hold("b[0]")
    assert bench.states("a[0]", "b[0]") == ["TriggerFailed", "TriggerFailed"]


def test_a_crash_of_the_body_is_no_loss() -> None:
    bench = Bench(task("a", idempotent=True, max_crashes=1))
    bench.start()
    bench.crash("a", cause="exited")
    for _ in range(MOST_RECOMPUTED):
        assert bench.crash("a").moves[-1] == "a Crashed > Retrying"
    assert bench.crash("a").acts[-1] == "end Failed"


def test_nobody_goes_ahead_behind_a_list_of_lists_whose_member_was_lost() -> None:
    bench = Bench(
        task("x"),
        task("y", retry=RetryPolicy(1)),
        listed("l", "x"),
        task("w", "l"),
        listed("k", "l", "y"),
        task("b", "k"),
    )
    bench.start()
    bench.succeed("x")
    bench.lose("x")
    bench.hold("w")
    assert bench.states("x", "l", "w") == ["Crashed", "Crashed", "TriggerFailed"]
    assert bench.fail("y").acts == ["release y.1", "release b.1", "submit y #2.2"]
    bench.succeed("y")
    assert bench.states("k", "b") == ["TriggerFailed", "TriggerFailed"]


def test_a_list_that_was_no_success_in_the_making_is_none_without_a_lost_member() -> None:
    bench = Bench(task("x"), task("y", handled=True), listed("l", "x", "y"), task("w", "x"), task("b", "l"))
    bench.start()
    bench.agree("y")
    bench.succeed("x")
    bench.lose("x")
    bench.hold("w")
    bench.succeed("y")
    assert bench.agree("y").moves[-3:-1] == ["l Pending > TriggerFailed", "b Pending > TriggerFailed"]


@pytest.mark.parametrize("loses_first", [True, False])
def test_a_list_over_a_list_that_was_skipped_bears_the_loss_of_a_member_of_that(loses_first: bool) -> None:
    bench = Bench(
        *(task("x"), task("s"), listed("l", "x", "s"), task("y")),
        *(
            listed("k", "l", "y", skip_on_upstream_skip=False),
            task("w", "x"),
            task("b", "k", trigger=all_finished),
        ),
    )
    bench.start()
    bench.succeed("x")
    bench.report("s", Skipped("Not today."))
    bench.lose("x")
    for name in ("w", "y") if loses_first else ("y", "w"):
        bench.succeed("y") if name == "y" else bench.hold("w")
    assert bench.states("x", "l", "k") == ["Crashed", "Skipped", "Success"]
    assert bench.sources("b") == "k(l(driver x, driver s), y.1)"


@pytest.mark.parametrize("bears_it", [True, False])
def test_a_list_goes_by_its_rules_when_a_member_that_is_made_again_skips_itself(bears_it: bool) -> None:
    bench = Bench(
        task("x", max_crashes=1),
        listed("l", "x", skip_on_upstream_skip=not bears_it),
        task("w", "x"),
        task("b", "l"),
    )
    bench.start()
    bench.succeed("x")
    bench.lose("x")
    bench.hold("w")
    bench.report("x", Skipped("Not today."))
    assert bench.states("x", "l") == ["Skipped", "Success" if bears_it else "Crashed"]
    bench.hold("b")
    assert bench.states("b") == ["Pending" if bears_it else "TriggerFailed"]


@pytest.mark.parametrize("made", [True, False])
def test_a_cancel_that_cleans_up_ends_what_is_made_again(made: bool) -> None:
    bench = Bench(
        task("s"),
        task("c", "s", cleans_up=True),
        value("v", length=2),
        task("a", maps("v"), max_crashes=1),
        task("b", pairs("a"), max_crashes=1),
        task("d", "a"),
    )
    bench.start()
    if made:
        bench.succeed("s")
    bench.succeed("a[0]")
    bench.succeed("a[1]")
    bench.lose("a[1]")
    bench.hold("d")
    bench.cancel()
    assert bench.states("a[0]", "a[1]", "d") == ["Success", "Cancelled", "Cancelled"]


def test_a_reduce_that_may_have_had_a_lost_value_is_taken_back_with_what_fails() -> None:
    bench = Bench(
        value("v", length=2), task("a", maps("v"), retry=RetryPolicy(1)), task("b", "a"), task("d", maps("a"))
    )
    bench.start()
    bench.succeed("a[0]")
    bench.lose("a[0]")
    bench.hold("d[0]")
    assert bench.states("a[0]", "b") == ["Crashed", "Pending"]
    assert "release b.1" in bench.fail("a[1]").acts


def test_a_late_report_does_not_take_the_place_of_one_that_waits() -> None:
    bench = Bench(task("x"), task("a", "x"))
    bench.start()
    run = bench.run("a")
    bench.handle(AttemptCrashed(1.0, run, 1, "worker-lost", "Its worker was lost."))
    bench.handle(AttemptFinished(2.0, run, 1, Report(None, 0.5, 1.5)))
    bench.succeed("x")
    assert bench.states("a") == ["Crashed"]


def test_a_loss_of_what_was_let_go_of_says_nothing() -> None:
    bench = Bench(task("a"), task("b", "a"), task("z"))
    bench.start()
    bench.succeed("a")
    bench.succeed("b")
    assert bench.handle(ResultLost(9.0, bench.run("a"), 1, "late")).words == []
    assert not bench.engine.board.lost


def test_a_cleanup_that_is_made_again_goes_at_once_when_its_reader_was_cancelled() -> None:
    bench = Bench(task("s"), task("c", "s", cleans_up=True, idempotent=True), task("b", "c"), task("y", "s"))
    bench.start()
    bench.succeed("s")
    bench.succeed("c")
    bench.lose("c")
    bench.hold("b")
    bench.cancel()
    assert bench.states("c", "b") == ["Retrying", "Cancelled"]
    assert "release c.2" in bench.succeed("c").acts
    assert bench.engine.ended


def test_a_loss_of_what_is_stored_is_none_also_while_its_state_is_not_known() -> None:
    bench = Bench(task("x"), task("a", "x"), task("b", "a", trigger=all_finished))
    bench.start()
    bench.succeed("a", location="stored/a")
    bench.lose("a")
    turn = bench.succeed("x")
    assert bench.states("a") == ["Success"]
    assert "submit b" in turn.acts
    assert bench.sources("b") == "driver a"


def test_what_came_with_its_report_is_not_lost() -> None:
    bench = Bench(task("x"), task("a", "x", max_crashes=1), task("b", "a", "x"))
    bench.start()
    bench.succeed("x", inline=b"1")
    bench.succeed("a", inline=b"2")
    bench.lose("a")
    bench.lose("x")
    assert bench.hold("b").acts == ["release b.1", "submit b #1.2"]
    assert bench.sources("b", "a") == "driver a"
    assert bench.sources("b", "x") == "driver x"
    bench.succeed("b")
    assert bench.states() == ["Success", "Success", "Success"]


def test_what_came_with_the_reports_of_many_is_not_lost() -> None:
    bench = Bench(task("l"), task("a", maps("l")), task("b", maps("a")), task("x"), task("y"), task("z", "x"))
    bench.start()
    bench.succeed("l", length=2)
    reports = Reports(
        array("d", (1.0, 1.0)), array("d", (2.0, 2.0)), Results(array("i", (1, 1)), b"12"), "w1"
    )
    bench.handle(RangeFinished(9.0, bench.run("a[0]"), 1, reports))
    runs, submissions = array("q", map(bench.run, "xy")), array("q", map(bench.last, "xy"))
    bench.handle(CallsFinished(9.0, runs, submissions, reports))
    bench.lose("a[1]")
    bench.lose("x")
    assert bench.hold("b[1]").acts == ["release b[1].1", "submit b[1] #1.2"]
    assert bench.hold("z").acts == ["release z.1", "submit z #1.2"]
    assert [bench.sources("b[1]", "a"), bench.sources("z", "x")] == ["driver a[1]", "driver x"]


def test_a_reader_of_much_that_is_stored_bears_the_loss_of_one_after_the_other() -> None:
    names = [f"a{place}" for place in range(6)]
    bench = Bench(*(task(name) for name in names), task("b", *names))
    bench.start()
    for name in names:
        bench.succeed(name, location=f"stored/{name}")
    for name in names:
        bench.lose(name)
        bench.hold("b")
    assert bench.last("b") == 7
    bench.succeed("b")
    assert bench.states("b") == ["Success"]


def test_what_is_made_again_reads_what_is_stored_of_its_inputs() -> None:
    bench = Bench(task("x"), task("a", "x", max_crashes=1), task("b", "a"))
    bench.start()
    bench.succeed("x", location="stored/x")
    assert "release x.1" in bench.succeed("a").acts
    bench.lose("a")
    assert "submit a #2.2" in bench.hold("b").acts
    assert bench.sources("a") == "driver x"
    bench.succeed("a")
    bench.succeed("b")
    assert bench.states() == ["Success", "Success", "Success"]


def test_a_run_goes_ahead_that_reads_what_turned_out_to_be_stored() -> None:
    bench = Bench(task("x"), task("a", "x"), task("z", retry=RetryPolicy(1)), task("b", "a", "z"))
    bench.start()
    bench.succeed("a", location="stored/a")
    bench.lose("a")
    assert "release a.1" in bench.succeed("x").acts
    assert bench.fail("z").acts == ["release z.1", "release b.1", "submit z #2.2", "submit b ahead #1.2"]
    assert bench.sources("b", "a") == "driver a"


def test_a_run_that_did_not_go_ahead_for_a_loss_goes_when_that_turns_out_to_be_none() -> None:
    bench = Bench(
        task("x"), task("a", "x"), task("z", retry=RetryPolicy(1)), listed("l", "a"), task("b", "l", "z")
    )
    bench.start()
    bench.succeed("a", location="stored/a")
    bench.lose("a")
    assert bench.fail("z").acts == ["release z.1", "release b.1", "submit z #2.2"]
    assert bench.succeed("x").acts == ["release a.1", "release x.1", "submit b ahead #1.2"]
    assert bench.sources("b", "l") == "l(driver a)"


def test_nobody_follows_what_is_known_to_have_succeeded_and_is_gone() -> None:
    bench = Bench(task("x"), task("a", "x"), task("z", retry=RetryPolicy(1)), task("b", "z", follows("a")))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    sent = [one for one in bench.fail("z") if isinstance(one, Submit) and one.key.slug == "b"]
    assert [(one.ahead, one.after) for one in sent] == [(True, ())]


def test_a_reader_of_many_that_are_made_again_comes_up_once_when_the_last_is_back() -> None:
    many = 16
    bench = Bench(value("v", length=many), task("a", maps("v"), max_crashes=1), task("b", reads("a")))
    bench.start()
    children = [f"a[{place}]" for place in range(many)]
    for child in children:
        bench.succeed(child)
    for child in children:
        bench.lose(child)
    bench.hold("b")
    losses = bench.engine._conduct.losses
    waiting = []
    for child in children:
        bench.succeed(child)
        waiting.append(sum(len(those) for those in losses._waiting.values()))
    assert waiting == list(range(many - 1, -1, -1))
    bench.succeed("b")
    assert bench.engine.ended
