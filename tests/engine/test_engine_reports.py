"""Reports that come early, twice, late or not at all; holds; sightings; refusals."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from prefectlite.engine.events import AttemptFinished, TimerFired
from prefectlite.results import LocalResult
from prefectlite.rules.retry import RetryPolicy
from prefectlite.states.report import Report
from prefectlite.states.state import Cached, Crashed, Failed, Retrying, Success
from tests.engine.plans import Bench, maps, task, value

# Early: the report of a run overtook that of its upstream


def test_an_early_report_waits_for_those_of_its_upstreams() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", "b"))
    bench.start()
    assert bench.succeed("c").words == []
    assert bench.succeed("b").words == []
    assert bench.succeed("a").words == [
        "a Pending > Running",
        "a Running > Success",
        "b Pending > Running",
        "b Running > Success",
        "release a.1",
        "c Pending > Running",
        "c Running > Success",
        "release b.1",
        "flow Running > Success",
        "end Success",
    ]


def test_an_early_report_keeps_the_workers_times() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.succeed("b", started=0.25)
    turn = bench.succeed("a")
    assert turn.move("b", "Running").time == 0.25
    assert turn.move("b", "Success").time == 1.0


def test_an_early_failure_is_weighed_when_its_time_has_come() -> None:
    bench = Bench(task("a"), task("b", "a", retry=RetryPolicy(1)))
    bench.start()
    assert bench.fail("b").words == []
    assert bench.succeed("a").acts == ["release b.1", "submit b #2.2"]


def test_an_early_crash_is_kept_too() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    assert bench.crash("b").words == []
    assert bench.succeed("a").acts == ["release b.1", "release a.1", "end Failed"]
    assert isinstance(bench.state("b"), Crashed)


def test_an_early_refusal_is_kept_too() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    assert bench.refuse("b", TypeError("no pickle")).words == []
    assert bench.succeed("a").acts == ["release b.1", "release a.1", "end Failed"]


def test_an_early_child_waits_for_its_own_upstream_child() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("m")))
    bench.start()
    bench.succeed("n[1]")
    assert bench.succeed("m[0]").moves == ["m[0] Pending > Running", "m[0] Running > Success"]
    assert bench.succeed("m[1]").moves[-1] == "n[1] Running > Success"


def test_an_early_report_of_a_run_that_is_taken_back_is_forgotten() -> None:
    bench = Bench(task("a", retry=RetryPolicy(1)), task("b", "a"))
    bench.start()
    bench.succeed("b")
    assert bench.fail("a").acts == ["release a.1", "release b.1", "submit a #2.2", "submit b ahead #1.2"]
    assert bench.succeed("a").moves == ["a Retrying > Running", "a Running > Success"]
    assert bench.succeed("b").acts == ["release a.2", "end Success"]


# Doubled and stale


def test_a_doubled_report_changes_nothing() -> None:
    bench = Bench(task("a"), task("b"))
    bench.start()
    bench.succeed("a")
    assert bench.succeed("a").words == []
    assert bench.fail("a").words == []
    assert bench.crash("a").words == []
    assert bench.refuse("a", ValueError()).words == []
    assert bench.hold("a").words == []
    assert bench.observe("a").words == []
    assert bench.states("a") == ["Success"]


def test_a_doubled_early_report_counts_once() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.succeed("b")
    bench.succeed("b")
    assert bench.succeed("a").moves.count("b Running > Success") == 1


def test_a_report_of_an_older_submission_changes_nothing() -> None:
    bench = Bench(task("a", retry=RetryPolicy(1)))
    bench.start()
    bench.fail("a")
    assert bench.fail("a", submission=1).words == []
    assert bench.succeed("a", submission=1).words == []
    assert bench.crash("a", submission=1).words == []
    assert bench.hold("a", submission=1).words == []
    assert bench.observe("a", submission=1).words == []
    assert bench.states() == ["Retrying"]


def test_a_report_on_a_run_that_waits_for_its_handlers_changes_nothing() -> None:
    bench = Bench(task("a", handled=True))
    bench.start()
    bench.agree("a")
    bench.succeed("a")
    assert bench.succeed("a").words == []


def test_a_timer_that_fires_twice_fires_once() -> None:
    bench = Bench(task("a", retry=RetryPolicy(1, (5.0,))))
    bench.start()
    bench.fail("a")
    (timer,) = bench.engine.board.timers
    assert bench.fire("a").acts == ["submit a #2.2"]
    assert bench.handle(TimerFired(7.0, 0, timer)).words == []


# Held


def test_a_hold_before_the_upstreams_are_known_waits_for_them() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    assert bench.hold("b").words == []
    assert bench.hold("b").words == []
    # A plain success after all: the hold has no cause that a rule knows, so it is sent again.
    assert bench.succeed("a").acts == ["release b.1", "submit b #1.2"]
    assert bench.succeed("b").acts == ["release a.1", "end Success"]


def test_a_hold_that_has_its_cause_is_decided_by_the_rules() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.hold("b")
    assert bench.fail("a").acts == ["release a.1", "release b.1", "end Failed"]
    assert bench.states() == ["Failed", "TriggerFailed"]


def test_a_report_beats_a_hold_of_the_same_submission() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.hold("b")
    bench.succeed("b")
    assert bench.succeed("a").moves[-2:] == ["b Running > Success", "flow Running > Success"]


def test_a_run_that_is_held_without_a_cause_is_sent_three_times_more_and_then_crashes() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.succeed("a")
    assert [bench.hold("b").acts for _ in range(3)] == [
        ["release b.1", "submit b #1.2"],
        ["release b.2", "submit b #1.3"],
        ["release b.3", "submit b #1.4"],
    ]
    turn = bench.hold("b")
    assert turn.acts == ["release b.4", "release a.1", "end Failed"]
    assert turn.moves[0] == "b Pending > Crashed"
    state = bench.state("b")
    assert isinstance(state, Crashed)
    assert state.cause == "input-unreachable"
    assert dict(turn.why("b", "Crashed").read) == {"cause": "input-unreachable"}


def test_an_input_that_cannot_be_reached_draws_on_the_crashes() -> None:
    bench = Bench(task("a", max_crashes=1))
    bench.start()
    for _ in range(3):
        bench.hold("a")
    assert bench.hold("a").acts == ["release a.4", "submit a #2.5"]
    assert isinstance(bench.state("a"), Retrying)


@pytest.mark.parametrize("end", ["hold", "fail"])
def test_each_attempt_may_be_held_as_often_as_the_first(end: str) -> None:
    bench = Bench(task("a", max_crashes=1, retry=RetryPolicy(1)))
    bench.start()
    for _ in range(3):
        bench.hold("a")
    getattr(bench, end)("a")
    assert [bench.hold("a").acts[-1] for _ in range(3)] == [f"submit a #2.{one}" for one in (6, 7, 8)]


# Seen to run


def test_a_run_that_is_seen_to_run_is_running() -> None:
    bench = Bench(task("a"))
    bench.start()
    turn = bench.observe("a")
    assert turn.words == ["a Pending > Running"]
    assert turn.move("a", "Running").time == 1.0
    assert turn.why("a", "Running").text == "It has no upstream to wait for."
    assert bench.observe("a").words == []
    assert bench.succeed("a").moves[0] == "a Running > Success"


def test_a_run_ahead_that_is_seen_to_run_early_stays_pending() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    assert bench.observe("b").words == []
    bench.succeed("a")
    assert bench.observe("b").words == ["b Pending > Running"]


def test_a_hold_after_a_sighting_sends_the_run_again_as_it_is() -> None:
    bench = Bench(task("a"))
    bench.start()
    bench.observe("a")
    assert bench.hold("a").words == ["release a.1", "submit a #1.2"]
    assert bench.succeed("a").moves[0] == "a Running > Success"


# Refused


def test_a_run_that_cannot_be_sent_fails_without_a_retry() -> None:
    bench = Bench(task("a", retry=RetryPolicy(3), max_crashes=3))
    bench.start()
    error = TypeError("cannot pickle a lock")
    turn = bench.refuse("a", error)
    assert turn.words == ["release a.1", "a Pending > Failed", "flow Running > Failed", "end Failed"]
    state = bench.state("a")
    assert isinstance(state, Failed)
    assert state.message == "It could not be sent to a worker: cannot pickle a lock"
    assert state.result is error
    assert turn.why("a", "Failed").rule == "lowering"


def test_handlers_hear_of_a_run_that_could_not_be_sent() -> None:
    bench = Bench(task("a", handled=True))
    bench.start()
    bench.agree("a")
    assert bench.refuse("a", TypeError("x")).acts == ["release a.1", "ask a handlers Running > Failed"]


@pytest.mark.parametrize("where", ["", "tcp://10.0.0.1:1234"])
def test_the_worker_of_an_outcome_is_part_of_its_reason(where: str) -> None:
    bench = Bench(task("a"), task("b"))
    bench.start()
    read = bench.succeed("a", where=where).why("a", "Success").read
    assert read == (("worker", where),)
    assert bench.fail("b", where=where).why("b", "Failed").read == (("worker", where),)


def test_a_report_comes_with_the_run_that_it_names() -> None:
    bench = Bench(task("a"), task("b"))
    bench.start()
    turn = bench.handle(AttemptFinished(5.0, 1, 1, Report(None, 3.0, 4.0)))
    assert turn.moves == ["b Pending > Running", "b Running > Success"]
    assert [turn.move("b", new).time for new in ("Running", "Success")] == [3.0, 4.0]


# A value that was found: the run is Cached, and for its readers as good as any success


def test_a_value_that_was_found_makes_its_run_cached_and_its_readers_go_on() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", "b"))
    bench.start()
    expires = datetime(2030, 1, 2, tzinfo=UTC)
    found = Cached("It was there.", cached_result_expiration=expires, hashed_inputs={"x": "c0a8"})
    turn = bench.succeed("a", success=found, inline=b"I1\n.")
    assert turn.words == ["a Pending > Running", "a Running > Cached"]
    assert turn.why("a", "Cached").text == "It was there."
    state = bench.state("a")
    assert isinstance(state, Cached)
    assert (state.message, state.result, state.hashed_inputs) == ("It was there.", 1, {"x": "c0a8"})
    assert state.cached_result_expiration == expires
    assert bench.succeed("b", success=found).acts == ["release a.1"]
    assert bench.succeed("c").acts == ["release b.1", "end Success"]
    assert bench.states() == ["Cached", "Cached", "Success"]


def test_a_result_that_a_body_gave_its_success_goes_on_saying_where_the_value_is() -> None:
    bench = Bench(task("a"))
    bench.start()
    given = LocalResult("results", location="rows.pkl")
    turn = bench.succeed("a", success=Success("mine", result=given), inline=b"I1\n.")
    assert turn.words[1] == "a Running > Success"
    state = bench.state("a")
    assert (state.result, state._result.location) == (1, "rows.pkl")
    assert isinstance(state._result, LocalResult)


def test_where_and_as_which_bytes_a_value_was_stored_is_known_of_its_state() -> None:
    bench = Bench(task("a"))
    bench.start()
    bench.succeed("a", success=Success("stored"), location="rows.pkl", digest="c0a8")
    ref = bench.state("a").result_ref
    assert ref is not None
    assert (ref.location, ref.digest) == ("rows.pkl", "c0a8")


class OwnSuccess(Success):
    """A user's own kind of success."""

    __slots__ = ()


@pytest.mark.parametrize("cls", [Success, OwnSuccess])
def test_a_success_that_says_more_keeps_it_and_its_value_is_read_where_it_lies(cls: type[Success]) -> None:
    bench = Bench(task("a"), task("b", "a"), task("m", maps("a")), task("all", "m"))
    bench.start()
    turn = bench.succeed("a", success=cls(context={"k": 1}), length=1)
    assert turn.words[:2] == ["a Pending > Running", f"a Running > {cls.__name__}"]
    state = bench.state("a")
    assert (type(state), state.message, dict(state.context)) == (cls, "The body returned.", {"k": 1})
    assert (bench.sources("b"), bench.sources("m[0]")) == ("a.1", "a.1[0]")
    bench.succeed("b")
    bench.succeed("m[0]", success=cls("mine"))
    assert bench.sources("all") == "[m[0].1]"
    bench.succeed("all")
    ends = [cls.__name__, "Success", "Mapped", "Success"]
    assert bench.states("a", "b", "m", "all") == ends
    assert bench.states("m[0]") == [cls.__name__]


def test_children_whose_values_were_found_are_read_where_they_lie() -> None:
    bench = Bench(value("v", length=2), task("m", maps("v")), task("n", maps("m")), task("all", "n"))
    bench.start()
    for name in ("m[0]", "m[1]", "n[0]", "n[1]"):
        bench.succeed(name, success=Cached("It was there."))
    assert bench.sources("all") == "[n[0].1, n[1].1]"
    bench.succeed("all")
    assert bench.states("m[0]", "n[1]", "all") == ["Cached", "Cached", "Success"]


def test_a_handler_is_shown_that_a_value_was_found_and_may_replace_it() -> None:
    bench = Bench(task("a", handled=True), task("b", "a"))
    bench.start()
    bench.agree("a")
    turn = bench.succeed("a", success=Cached("It was there."))
    assert isinstance(turn.ask("handlers").new, Cached)
    bench.answer("a", Cached("Another one.", 5))
    assert bench.sources("b") == "driver a"
    bench.succeed("b")
    assert bench.states() == ["Cached", "Success"]
