"""Lowering ahead: which runs are submitted before their upstreams have ended, and which never are."""

from __future__ import annotations

import pytest

from prefectlite.engine.inputs import Argument, FromCollection, FromMany, FromRun, FromSpan
from prefectlite.rules.triggers import (
    all_failed,
    all_finished,
    any_failed,
    any_successful,
    manual_only,
    not_all_skipped,
    some_failed,
)
from tests.engine.plans import Bench, In, follows, listed, maps, pairs, reads, task, value


def test_a_chain_is_submitted_ahead_in_one_turn() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", "b"))
    assert bench.start().acts == ["submit a", "submit b ahead", "submit c ahead"]
    assert bench.turn.submit("c").arguments == (Argument("b", FromRun(1, 1)),)
    assert bench.succeed("a").acts == []
    assert bench.succeed("b").acts == ["release a.1"]
    assert bench.succeed("c").acts == ["release b.1", "end Success"]


def test_a_run_ahead_is_pending_until_its_worker_is_heard_of() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    assert bench.states() == ["Pending", "Pending"]
    bench.succeed("a")
    turn = bench.succeed("b")
    assert turn.moves[:2] == ["b Pending > Running", "b Running > Success"]
    assert turn.why("b", "Running").text == "Trigger all_successful passed: every upstream was successful."
    assert turn.why("b", "Running").read == (("upstream edges", "1"),)


def test_a_run_with_a_final_upstream_is_not_ahead() -> None:
    bench = Bench(task("a"), task("b", "a"), window=1)
    bench.start()
    assert bench.succeed("a").acts == ["submit b"]


def test_one_upstream_in_flight_and_one_final_go_together() -> None:
    bench = Bench(task("a"), task("b"), task("c", "a", "b"), window=2)
    assert bench.start().acts == ["submit a", "submit b"]
    assert bench.succeed("a").acts == ["submit c ahead"]
    assert bench.turn.submit("c").arguments == (Argument("a", FromRun(0, 1)), Argument("b", FromRun(1, 1)))


def test_a_run_does_not_go_before_all_its_upstreams_are_in_flight() -> None:
    bench = Bench(task("a"), task("h", handled=True), task("b", "h"), task("c", "a", "b"))
    assert bench.start().acts == ["submit a", "ask h handlers Pending > Running"]


# Over edges that move no value


@pytest.mark.parametrize("reason", ["read", "terminal", "reference", "keep_result"])
def test_an_edge_without_a_value_is_not_gone_over_while_the_upstream_keeps_its_value(reason: str) -> None:
    # A Dask dependency would move the value to the reader, which does not want it.
    kept = {"keep_result": True} if reason == "keep_result" else {}
    specs = [task("a", **kept), task("b", follows("a"))]
    if reason == "read":
        specs.append(task("c", "a"))
    bench = Bench(*specs, reference=("a",) if reason in ("terminal", "reference") else None)
    turn = bench.start()
    assert turn.submit("a").drop_value is False
    assert "submit b ahead" not in turn.acts
    turn = bench.succeed("a")
    assert "submit b" in turn.acts
    assert turn.submit("b").after == ()
    assert turn.submit("b").arguments == ()


def test_an_edge_without_a_value_is_gone_over_when_the_upstream_drops_its_value() -> None:
    bench = Bench(task("a"), task("b", follows("a")), task("c", follows("b")))
    turn = bench.start()
    assert turn.acts == ["submit a", "submit b ahead", "submit c ahead"]
    assert [turn.submit(name).drop_value for name in "abc"] == [True, True, False]  # c is terminal
    assert turn.submit("b").after == (FromRun(0, 1),)
    assert turn.submit("c").after == (FromRun(1, 1),)


def test_what_is_over_needs_no_following() -> None:
    bench = Bench(task("a"), task("b"), task("c", follows("a"), follows("b")), window=2)
    bench.start()
    turn = bench.succeed("a")
    assert turn.acts == ["release a.1", "submit c ahead"]
    assert turn.submit("c").after == (FromRun(1, 1),)


def test_an_edge_without_a_value_from_a_constant_holds_nobody_back() -> None:
    bench = Bench(value("x"), task("a"), task("b", "a", follows("x")))
    assert bench.start().acts == ["submit a", "submit b ahead"]
    assert bench.turn.submit("b").after == ()


def test_an_edge_without_a_value_from_a_map_follows_all_its_children() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("b", follows("m")))
    turn = bench.start()
    assert turn.acts == ["submit m[0]", "submit m[1]", "submit b ahead"]
    assert turn.submit("b").after == (FromRun(3, 1), FromRun(4, 1))
    assert turn.submit("m[0]").drop_value is True


def test_a_paired_edge_without_a_value_follows_its_own_child_alone() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("x"), pairs("m")))
    turn = bench.start()
    assert turn.submit("n[1]").after == (FromRun(bench.run("m[1]"), 1),)
    assert turn.submit("n[1]").ahead is True


def test_one_edge_that_keeps_a_value_holds_back_a_run_whatever_the_others_do() -> None:
    bench = Bench(task("a"), task("b", keep_result=True), task("c", reads("a"), follows("b")))
    assert bench.start().acts == ["submit a", "submit b"]
    assert bench.succeed("a").acts == []
    assert bench.succeed("b").acts == ["submit c"]


# Who never goes ahead


@pytest.mark.parametrize(
    "trigger",
    [
        all_failed,
        all_finished,
        any_failed,
        any_successful,
        not_all_skipped,
        manual_only,
        some_failed(1),
        None,
    ],
)
def test_only_the_default_trigger_lowers_ahead(trigger: object) -> None:
    bench = Bench(task("a"), task("b", "a", trigger=trigger))
    assert bench.start().acts == ["submit a"]


def test_a_task_with_state_handlers_does_not_go_ahead() -> None:
    bench = Bench(task("a"), task("b", "a", handled=True))
    assert bench.start().acts == ["submit a"]
    assert bench.succeed("a").acts == ["ask b handlers Pending > Running"]


def test_nobody_goes_ahead_of_a_task_with_state_handlers() -> None:
    bench = Bench(task("a", handled=True), task("b", "a"), task("c", "b"))
    bench.start()
    assert bench.agree("a").acts == ["submit a"]
    bench.succeed("a")
    assert bench.agree("a").acts == ["submit b", "submit c ahead"]


def test_on_failure_replaces_nothing_and_so_holds_nobody_back() -> None:
    bench = Bench(task("a", on_failure=True), task("b", "a", on_failure=True))
    assert bench.start().acts == ["submit a", "submit b ahead"]


def test_a_task_that_runs_after_skipped_upstreams_may_go_ahead() -> None:
    bench = Bench(task("a"), task("b", "a", skip_on_upstream_skip=False))
    assert bench.start().acts == ["submit a", "submit b ahead"]


def test_a_map_does_not_unfold_before_its_width_is_known() -> None:
    bench = Bench(task("a"), task("m", maps("a")))
    assert bench.start().acts == ["submit a"]
    assert bench.succeed("a", length=1).acts == ["submit m[0]"]
    assert bench.turn.submit("m[0]").arguments == (Argument("a", FromRun(0, 1, item=0)),)


# Through collections and families


def test_a_reader_of_a_collection_goes_ahead_of_its_members() -> None:
    bench = Bench(task("a"), task("b"), listed("l", "a", "b"), task("c", "l"))
    assert bench.start().acts == ["submit a", "submit b", "submit c ahead"]
    assert bench.turn.submit("c").arguments == (
        Argument("l", FromCollection(2, (FromRun(0, 1), FromRun(1, 1)))),
    )


def test_a_reader_of_a_list_of_lists_goes_ahead() -> None:
    bench = Bench(task("a"), listed("l", "a"), listed("ll", "l"), task("c", "ll"))
    assert bench.start().acts == ["submit a", "submit c ahead"]


def test_a_collection_is_no_more_trusted_than_its_members() -> None:
    bench = Bench(task("a"), task("h", handled=True), listed("l", "a", "h"), task("c", "l"))
    bench.start()
    bench.agree("h")
    assert "submit c ahead" not in bench.log.acts


def test_a_collection_without_members_is_there_at_once() -> None:
    bench = Bench(listed("l"), task("c", "l"))
    assert bench.start().words == ["flow Pending > Running", "l Pending > Success", "submit c"]


def test_a_collection_that_is_followed_without_its_value_is_waited_for() -> None:
    bench = Bench(task("a"), listed("l", "a"), task("c", follows("l")))
    assert bench.start().acts == ["submit a"]
    assert bench.succeed("a").acts == ["release a.1", "submit c"]


def test_a_reduce_goes_ahead_of_the_children() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("r", reads("m", "rows", flat=True)))
    assert bench.start().acts == ["submit m[0]", "submit m[1]", "submit r ahead"]
    assert bench.turn.submit("r").arguments == (Argument("rows", FromMany((FromSpan(3, 1, 2),), flat=True)),)


def test_a_map_of_a_map_goes_ahead_with_the_children_paired() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("m")))
    turn = bench.start()
    assert turn.acts == ["submit m[0]", "submit m[1]", "submit n[0] ahead", "submit n[1] ahead"]
    assert turn.submit("n[1]").arguments == (Argument("m", FromRun(bench.run("m[1]"), 1)),)


def test_children_go_ahead_of_an_unmapped_input_only_when_their_map_has_unfolded() -> None:
    # The parent waits for all its upstreams, unmapped ones included: the skip rule reads them.
    bench = Bench(value("x", length=1), task("a"), task("m", maps("x"), reads("a")))
    assert bench.start().acts == ["submit a"]
    assert bench.succeed("a").acts == ["submit m[0]"]


@pytest.mark.parametrize("edge", [maps("h"), reads("h")])
def test_readers_of_a_map_with_state_handlers_do_not_go_ahead(edge: In) -> None:
    bench = Bench(value("x", length=1), task("h", maps("x"), handled=True), task("n", edge))
    bench.start()
    bench.agree("h")
    assert bench.agree("h[0]").acts == ["submit h[0]"]
    bench.succeed("h[0]")
    assert bench.agree("h[0]").acts[0].startswith("submit n")


def test_a_map_over_a_finished_map_reads_what_is_there() -> None:
    bench = Bench(
        value("x", length=1),
        task("m", maps("x")),
        task("a"),
        task("n", maps("m"), follows("a")),
        reference=("a", "n"),
    )
    bench.start()
    bench.succeed("m[0]")
    assert bench.succeed("a").acts == ["submit n[0]"]
    assert bench.turn.submit("n[0]").ahead is False


def test_a_reader_that_went_down_with_its_upstream_may_have_begun_and_is_not_tried_anew_uncounted() -> None:
    bench = Bench(task("a", max_crashes=1), task("b", "a", max_crashes=1), task("c", "b"))
    bench.start()
    bench.crash("b")
    bench.crash("a")
    turn = bench.succeed("a")
    assert "submit b #2.2" in turn.acts
    bench.succeed("b")
    bench.succeed("c")
    assert bench.states() == ["Success", "Success", "Success"]


def test_a_reader_that_never_got_its_inputs_is_nobody_s_crash_when_its_upstream_fails() -> None:
    bench = Bench(task("a"), task("b", "a", max_crashes=1))
    bench.start()
    bench.crash("b", cause="input-unreachable")
    bench.fail("a")
    assert bench.states() == ["Failed", "TriggerFailed"]


def test_a_reader_that_may_have_begun_crashes_whatever_becomes_of_its_upstream() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", "b"))
    bench.start()
    bench.crash("b")
    bench.crash("a")
    assert bench.states() == ["Crashed", "Crashed", "TriggerFailed"]
    assert bench.engine.ended
