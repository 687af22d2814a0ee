"""Values that are lost: nobody runs twice unless allowed, and who needs one waits or is refused, by its rules."""

from __future__ import annotations

import pytest

from prefectlite.engine.events import ResultLost
from prefectlite.errors import EngineError
from prefectlite.rules.crash import MOST_RECOMPUTED
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import all_finished
from prefectlite.states.state import Cached, Crashed, Failed
from tests.engine.plans import Bench, follows, listed, maps, reads, task, value


def held_up(bench: Bench, made: str, other: str) -> None:
    """The run begins; ``made`` succeeds, is lost, and then ``other`` ends, for which its reader waited."""
    bench.start()
    bench.succeed(made)
    bench.lose(made)
    bench.succeed(other)


def test_a_loss_that_nobody_misses_changes_no_state() -> None:
    bench = Bench(task("a"), task("b"))
    bench.start()
    bench.succeed("a")
    assert bench.lose("a").words == []
    bench.succeed("b")
    assert bench.states() == ["Success", "Success"]
    assert bench.live() == ["a.1", "b.1"]


def test_a_reader_that_has_the_value_already_is_not_disturbed() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    assert bench.succeed("b").acts == ["release a.1", "end Success"]
    assert bench.states() == ["Success", "Success"]


def test_a_success_whose_value_is_missed_crashes_and_its_reader_is_refused() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.succeed("a")
    bench.lose("a", "The worker ended.")
    turn = bench.hold("b")
    assert turn.moves == ["a Success > Crashed", "b Pending > TriggerFailed", "flow Running > Failed"]
    assert turn.acts == ["release b.1", "release a.1", "end Failed"]
    state = bench.state("a")
    assert isinstance(state, Crashed)
    assert (state.cause, state.message) == ("result-lost", "The worker ended.")
    assert turn.why("a", "Crashed").rule == "result-lost"


def test_a_reader_whose_trigger_lets_it_run_gets_the_exception() -> None:
    bench = Bench(task("a"), task("b", "a", trigger=all_finished))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    assert "submit b #1.2" in bench.hold("b").acts
    assert bench.sources("b") == "driver a"


def test_a_reader_that_waits_for_others_finds_out_when_its_turn_comes() -> None:
    bench = Bench(task("a"), task("z", retry=RetryPolicy(1, (0.0,))), task("b", "a", "z"), window=2)
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    assert bench.states("a", "b") == ["Success", "Pending"]
    bench.succeed("z")
    if bench.states("b") == ["Pending"]:
        bench.hold("b")
    assert bench.states() == ["Crashed", "Success", "TriggerFailed"]


def test_a_crash_that_is_allowed_runs_it_again_and_its_readers_wait() -> None:
    bench = Bench(task("a", max_crashes=1), task("b", "a"), task("c", "a"))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    turn = bench.hold("b")
    assert turn.moves == ["a Success > Crashed", "a Crashed > Retrying"]
    assert turn.acts == ["release b.1", "release a.1", "submit a #2.2"]
    assert bench.hold("c").words == ["release c.1"]
    assert bench.observe("a").moves == ["a Retrying > Running"]
    turn = bench.succeed("a")
    assert turn.acts == ["submit b #1.2", "submit c #1.2"]
    assert bench.sources("b") == "a.2"
    bench.succeed("b")
    assert bench.succeed("c").acts == ["release a.2", "end Success"]


def test_a_second_loss_finds_the_budget_used_up() -> None:
    bench = Bench(task("a", max_crashes=1), task("b", "a"))
    bench.start()
    bench.succeed("a")
    for _ in range(2):
        bench.lose("a")
        bench.hold("b")
        if bench.states("a") == ["Retrying"]:
            bench.succeed("a")
    assert bench.states() == ["Crashed", "TriggerFailed"]


def test_idempotent_work_is_done_again_a_few_times_and_no_crash_is_counted() -> None:
    bench = Bench(task("a", idempotent=True), task("b", "a"))
    bench.start()
    bench.succeed("a")
    for _ in range(MOST_RECOMPUTED):
        bench.lose("a")
        assert "a Crashed > Retrying" in bench.hold("b").moves
        bench.succeed("a")
    assert not bench.engine.board.crashes
    bench.lose("a")
    bench.hold("b")
    assert bench.states() == ["Crashed", "TriggerFailed"]


def test_idempotent_work_that_is_lost_under_way_is_done_again() -> None:
    bench = Bench(task("a", idempotent=True))
    bench.start()
    assert bench.crash("a").acts == ["release a.1", "submit a #2.2"]
    assert bench.crash("a", cause="exited").moves[-1] == "flow Running > Failed"


def test_a_run_whose_own_inputs_have_gone_is_not_run_again() -> None:
    bench = Bench(task("x"), task("a", "x", max_crashes=1), task("b", "a"))
    bench.start()
    bench.succeed("x")
    assert "release x.1" in bench.succeed("a").acts
    bench.lose("a")
    bench.hold("b")
    assert bench.states() == ["Success", "Crashed", "TriggerFailed"]
    assert "its own inputs have been let go of" in str(bench.state("a").message)


def test_a_run_whose_inputs_are_still_there_is_run_again() -> None:
    bench = Bench(task("x"), task("a", "x", max_crashes=1), task("b", "a"), task("y", "x"))
    bench.start()
    bench.succeed("x")
    bench.succeed("a")
    bench.lose("a")
    assert "submit a #2.2" in bench.hold("b").acts
    bench.succeed("y")
    bench.succeed("a")
    assert bench.succeed("b").acts[-1] == "end Success"


def test_what_fails_when_it_is_run_again_has_failed() -> None:
    bench = Bench(task("a", max_crashes=1), task("b", "a"))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    bench.hold("b")
    bench.fail("a")
    assert bench.states() == ["Failed", "TriggerFailed"]


def test_what_nobody_reads_any_more_when_it_is_back_is_let_go_of() -> None:
    bench = Bench(task("a", max_crashes=1), task("b", "a"), task("c", "a"))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    bench.hold("b")
    bench.succeed("c")
    bench.succeed("a")
    bench.succeed("b")
    assert bench.live() == ["b.2", "c.1"]


def test_readers_that_end_meanwhile_leave_nothing_to_keep() -> None:
    bench = Bench(task("a", max_crashes=1), task("b", "a"))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    bench.hold("b")
    bench.cancel()
    assert bench.states() == ["Cancelled", "Cancelled"]


def test_state_handlers_are_asked_about_the_attempt_that_follows() -> None:
    bench = Bench(task("a", handled=True, max_crashes=1), task("b", "a"))
    bench.start()
    bench.agree("a")
    bench.succeed("a")
    bench.agree("a")
    bench.lose("a")
    assert "ask a handlers Crashed > Retrying" in bench.hold("b").acts
    assert bench.agree("a").acts == ["ask a handlers Retrying > Running"]
    assert bench.agree("a").acts == ["submit a #2.2"]
    bench.succeed("a")
    assert bench.agree("a").acts == ["submit b #1.2"]
    assert bench.succeed("b").acts[-1] == "end Success"


def test_a_reader_with_handlers_is_not_asked_about_its_start_again() -> None:
    bench = Bench(task("a"), task("b", "a", handled=True, trigger=all_finished))
    bench.start()
    bench.succeed("a")
    bench.agree("b")
    bench.lose("a")
    assert "submit b #1.2" in bench.hold("b").acts


def test_on_failure_is_told() -> None:
    bench = Bench(task("a", on_failure=True), task("b", "a"))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    assert "ask a on_failure" in bench.hold("b").acts
    bench.answer("a")
    assert bench.engine.ended


@pytest.mark.parametrize("crashes", [0, 1])
def test_a_child_of_a_map_is_lost_alone(crashes: int) -> None:
    bench = Bench(
        value("v", length=3),
        task("a", maps("v"), max_crashes=crashes),
        task("b", maps("a")),
        task("c", reads("a")),
    )
    bench.start()
    for place in range(3):
        bench.succeed(f"a[{place}]")
    bench.lose("a[1]")
    turn = bench.hold("b[1]")
    assert bench.states("a[0]", "a[2]") == ["Success", "Success"]
    if crashes:
        assert "submit a[1] #2.2" in turn.acts
        bench.hold("c")
        assert bench.states("c") == ["Pending"]
        assert sorted(bench.succeed("a[1]").acts) == ["submit b[1] #1.2", "submit c #1.2"]
        assert bench.sources("c") == "[a[0].1, a[1].2, a[2].1]"
    else:
        assert bench.states("a[1]", "b[1]") == ["Crashed", "TriggerFailed"]
        bench.hold("c")
        assert bench.states("c") == ["TriggerFailed"]
    bench.succeed("b[0]")
    bench.succeed("b[2]")
    if crashes:
        bench.succeed("b[1]")
        bench.succeed("c")
    assert bench.engine.ended


@pytest.mark.parametrize("crashes", [0, 1])
def test_a_member_of_a_list_takes_the_list_along(crashes: int) -> None:
    bench = Bench(
        task("x", max_crashes=crashes), task("y"), listed("l", "x", "y"), listed("k", "l"), task("b", "k")
    )
    bench.start()
    bench.succeed("x")
    bench.succeed("y")
    bench.lose("x")
    turn = bench.hold("b")
    if crashes:
        assert "submit x #2.2" in turn.acts
        bench.succeed("x")
        assert bench.succeed("b").acts[-1] == "end Success"
    else:
        assert bench.states() == ["Crashed", "Success", "Crashed", "Crashed", "TriggerFailed"]


@pytest.mark.parametrize("crashes", [0, 1])
def test_children_that_all_read_a_lost_value_are_refused_or_wait(crashes: int) -> None:
    bench = Bench(
        value("v", length=2), task("a", max_crashes=crashes), task("b", maps("v"), reads("a")), window=2
    )
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    bench.hold("b[0]")
    bench.hold("b[1]")
    if crashes:
        assert bench.succeed("a").acts == ["submit b[0] #1.2", "submit b[1] #1.2"]
        bench.succeed("b[0]")
        bench.succeed("b[1]")
        assert bench.states("b[0]", "b[1]") == ["Success", "Success"]
    else:
        assert bench.states("a", "b[0]", "b[1]") == ["Crashed", "TriggerFailed", "TriggerFailed"]
    assert bench.engine.ended


def test_a_map_whose_children_are_read_whole_by_children_is_lost_in_part() -> None:
    bench = Bench(value("v", length=2), task("a", maps("v")), task("b", maps("v"), reads("a")))
    bench.start()
    bench.succeed("a[0]")
    bench.succeed("a[1]")
    bench.lose("a[0]")
    bench.lose("a[1]")
    bench.hold("b[0]")
    bench.hold("b[1]")
    assert bench.states("a[0]", "a[1]") == ["Crashed", "Crashed"]
    assert bench.states("b[0]", "b[1]") == ["TriggerFailed", "TriggerFailed"]


def test_members_of_a_list_that_are_lost_together_crash_each() -> None:
    bench = Bench(task("x"), task("y"), listed("l", "x", "y"), task("b", "l"), task("z", follows("x")))
    bench.start()
    bench.succeed("x")
    bench.succeed("y")
    bench.lose("x")
    bench.lose("y")
    bench.hold("b")
    assert bench.states("x", "y", "l", "b") == ["Crashed", "Crashed", "Crashed", "TriggerFailed"]
    bench.succeed("z")
    assert bench.states("z") == ["Success"]


def test_a_loss_is_forgotten_when_the_values_of_a_map_are_let_go_of() -> None:
    bench = Bench(value("v", length=3), task("a", maps("v")), task("c", "a"))
    bench.start()
    for place in range(3):
        bench.succeed(f"a[{place}]")
    bench.lose("a[1]")
    assert bench.succeed("c").acts[-1] == "end Success"
    assert not bench.engine.board.lost


def test_news_of_a_loss_that_comes_late_or_twice_says_nothing() -> None:
    bench = Bench(task("a"), task("f"), task("b", "a", "f"))
    bench.start()
    run = bench.run("a")
    assert bench.lose("a").words == []  # it flies
    bench.succeed("a")
    with pytest.raises(EngineError, match="never made"):
        bench.engine.handle(ResultLost(9.0, run, 7, "?"))
    bench.fail("f")
    assert bench.lose("f").words == []  # it is no success
    assert bench.handle(ResultLost(9.0, run, 1, "late")).words == []


def test_a_failure_to_send_it_again_ends_it() -> None:
    bench = Bench(task("a", max_crashes=1), task("b", "a"))
    bench.start()
    bench.succeed("a")
    bench.lose("a")
    bench.hold("b")
    bench.refuse("a", ValueError("no"))
    assert isinstance(bench.state("a"), Failed)
    assert bench.states("b") == ["TriggerFailed"]


def test_a_reader_on_its_way_is_sent_again_when_what_was_stored_is_all_that_is_left() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.succeed("a", success=Cached("found"), location="stored/a")
    assert bench.lose("a").acts == ["release a.1"]
    assert "submit b #1.2" in bench.hold("b").acts
    assert bench.sources("b") == "driver a"
    bench.succeed("b")
    assert bench.states() == ["Cached", "Success"]
