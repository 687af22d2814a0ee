"""Separate tasks' runs that land together: many in one event, and the same outcome as one by one."""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.engine.events import (
    AttemptFinished,
    AttemptHeld,
    AttemptStarted,
    CallsFinished,
    ResultLost,
    RunStarted,
)
from prefectlite.engine.instructions import Instruction, one_by_one
from prefectlite.engine.landings import DONE, Arrival, Landings
from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.errors import EngineError
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import all_finished
from prefectlite.states.keys import RunKey
from prefectlite.states.report import Report, Reports, Results
from prefectlite.states.state import Failed, Looped, Running, Success
from tests.engine.plans import Bench, Spec, follows, listed, maps, reads, task, value


def reports_of(values: Sequence[Any], at: float = 10.0) -> Reports:
    payloads = [pickle.dumps(one) for one in values]
    started = array("d", [at + place - 0.5 for place in range(len(values))])
    ended = array("d", [at + place for place in range(len(values))])
    return Reports(started, ended, Results(array("q", map(len, payloads)), b"".join(payloads)), "w1")


def landed(
    bench: Bench, *names: str, submission: int = 1, time: float = 100.0, has_copy: bool = True
) -> CallsFinished:
    """Calls whose values are their names, with or without a copy of them here."""
    runs, reports = [bench.run(name) for name in names], reports_of(names)
    if not has_copy:
        reports.results.drop()
    return CallsFinished(time, runs, [submission] * len(runs), reports)


def raw(bench: Bench, event: CallsFinished) -> list[Instruction]:
    found = bench.engine.handle(event)
    bench.engine.audit()
    bench.log.extend(one_by_one(found))
    return found


def started(*specs: Spec, **facts: Any) -> Bench:
    bench = Bench(*specs, **facts)
    bench.handle(RunStarted(0.0))
    return bench


ABC = [task("a"), task("b", "a"), task("c", "a", "b")]


class TestLanding:
    def test_a_small_piece_of_the_graph_lands_as_one(self) -> None:
        bench = started(*ABC)
        found = raw(bench, landed(bench, "a", "b", "c"))
        began, ended = [one for one in found if isinstance(one, TransitionEach)]
        assert not [one for one in found if isinstance(one, Transition) and one.run >= 0]
        assert list(began.runs) == list(ended.runs) == [0, 1, 2]
        assert [str(key) for key in ended.keys] == ["a", "b", "c"]
        assert began.times == [9.5, 10.5, 11.5]
        assert ended.times == [10.0, 11.0, 12.0]
        assert len(began) == 3
        assert bench.states() == ["Success"] * 3
        assert bench.engine.counts() == {"Success": 3}
        assert bench.engine.ended

    def test_one_of_them_is_what_it_would_be_alone(self) -> None:
        bench, alone = started(*ABC), started(*ABC)
        event = landed(bench, "a", "b", "c")
        told = [one for one in one_by_one(raw(bench, event)) if isinstance(one, Transition)]
        same: list[Transition] = []
        for place, run in enumerate(event.runs):
            one = AttemptFinished(event.time, run, 1, event.reports.one(place))
            same += [one for one in alone.handle(one) if isinstance(one, Transition)]
        assert sorted(told[:6], key=lambda one: one.run) == same[:6]
        assert told[6:] == same[6:], "what the flow becomes"
        assert told[3].new == bench.state("a")
        assert bench.state("c").result == "c"

    def test_what_nobody_reads_any_more_is_let_go_of(self) -> None:
        bench = started(*ABC, task("d", "c"))
        assert bench.handle(landed(bench, "a", "b")).acts == []
        assert bench.handle(landed(bench, "c")).acts == ["release a.1", "release b.1"]
        assert bench.live() == ["c.1", "d.1"]

    def test_a_value_without_a_reader_goes_at_once(self) -> None:
        bench = started(task("a"), task("b", follows("a")), reference=("b",))
        assert bench.handle(landed(bench, "a")).acts == ["release a.1"]

    def test_readers_that_wait_for_final_states_come_up(self) -> None:
        bench = started(task("a"), task("b", "a", handled=True))
        assert bench.handle(landed(bench, "a")).acts == ["ask b handlers Pending > Running"]

    def test_the_window_is_filled_anew(self) -> None:
        bench = started(*[task(f"t{place}") for place in range(6)], window=4)
        assert bench.handle(landed(bench, "t0", "t1", "t2")).acts == ["submit t4", "submit t5"]

    def test_nothing_at_all_changes_nothing(self) -> None:
        bench = started(*ABC)
        assert raw(bench, CallsFinished(1.0, [], [], reports_of([]))) == []

    def test_what_comes_a_second_time_is_stale(self) -> None:
        bench = started(*ABC, task("d", "c"))
        bench.handle(landed(bench, "a", "b"))
        assert bench.handle(landed(bench, "b", "c")).moves == [
            "c Pending > Running",
            "c Running > Success",
        ]

    def test_what_was_never_sent_is_no_news(self) -> None:
        bench = started(*ABC)
        before = bench.states()
        with pytest.raises(EngineError, match="submission 2 of run 1"):
            bench.engine.handle(CallsFinished(1.0, [0, 1], [1, 2], reports_of("ab")))
        assert bench.states() == before, "not of the others either"


class TestDifferences:
    """Calls that are not plain are looked at one by one, in their order."""

    def test_a_call_before_its_upstream_waits_for_it(self) -> None:
        bench = started(*ABC)
        assert bench.handle(landed(bench, "b", "c")).moves == []
        bench.handle(landed(bench, "a"))
        assert bench.states() == ["Success"] * 3

    def test_a_call_that_came_too_early_lands_between_others(self) -> None:
        bench = started(*ABC)
        bench.handle(landed(bench, "b"))
        bench.handle(landed(bench, "a", "c"))
        assert bench.states() == ["Success"] * 3

    def test_a_call_with_handlers_is_asked_for(self) -> None:
        bench = started(task("a"), task("b", handled=True), task("c"), task("d", "c"))
        bench.agree("b")
        found = bench.handle(landed(bench, "a", "b", "c"))
        assert found.acts == ["ask b handlers Running > Success"]
        assert bench.states("a", "c") == ["Success", "Success"]

    def test_a_call_that_was_seen_to_run_or_failed_before_keeps_its_story(self) -> None:
        bench = started(task("a", retry=RetryPolicy(1)), task("b"), task("c", "a", "b"))
        bench.fail("a")
        bench.handle(AttemptStarted(5.0, bench.run("b"), 1))
        event = CallsFinished(100.0, [0, 1], [2, 1], reports_of("ab"))
        assert bench.handle(event).moves == [
            "a Retrying > Running",
            "a Running > Success",
            "b Running > Success",
        ]

    def test_a_call_that_looped_lands_by_itself(self) -> None:
        bench = started(task("a"), task("b"))
        bench.report("a", Looped("again", 1, loop_count=1))
        bench.handle(CallsFinished(100.0, [0, 1], [2, 1], reports_of("ab")))
        assert bench.states() == ["Success", "Success"]
        assert bench.engine.key(0).loop == 2

    def test_a_call_that_reads_a_collection_or_a_map_does_too(self) -> None:
        specs = [value("x", length=2), task("m", maps("x")), task("a"), listed("l", "a"), task("r", "m", "l")]
        bench = started(*specs)
        bench.succeed("m[0]")
        bench.succeed("m[1]")
        bench.handle(landed(bench, "a", "r"))
        assert bench.states("a", "r") == ["Success", "Success"]
        assert bench.engine.ended

    def test_a_call_whose_upstream_failed_is_told_why_it_ran(self) -> None:
        bench = started(task("a"), task("b", "a", trigger=all_finished))
        bench.fail("a")
        moved = bench.handle(landed(bench, "b"))
        assert "every upstream was successful" not in moved.why("b", "Running").text

    def test_a_child_of_a_map_is_no_call(self) -> None:
        bench = started(value("x", length=2), task("m", maps("x")), task("r", "m"))
        bench.handle(CallsFinished(9.0, [bench.run("m[1]"), bench.run("m[0]")], [1, 1], reports_of("ab")))
        assert bench.states("m[0]", "m[1]") == ["Success", "Success"]

    def test_a_call_that_is_made_again_for_its_value_does_not_end_twice(self) -> None:
        bench = started(task("a", idempotent=True), task("b", "a", retry=RetryPolicy(1)), task("c", "b"))
        bench.handle(landed(bench, "a", has_copy=False))
        bench.handle(ResultLost(5.0, 0, 1, "gone"))
        bench.fail("b")
        bench.handle(CallsFinished(9.0, [0], [2], reports_of("a")))
        assert bench.state("a").is_successful()
        assert bench.last("b") == 2

    def test_holds_of_what_landed_are_stale(self) -> None:
        bench = started(*ABC, task("d", "c"))
        bench.handle(AttemptHeld(5.0, bench.run("b"), 1))
        bench.handle(landed(bench, "a", "b"))
        assert bench.state("b").is_successful() or bench.last("b") == 2


@st.composite
def flows(draw: st.DrawFn) -> list[Spec]:
    specs: list[Spec] = [value("k")]
    for place in range(draw(st.integers(1, 10))):
        ups = draw(st.lists(st.integers(0, place), max_size=3, unique=True))
        ins = [
            draw(st.sampled_from([reads, follows]))(specs[up].slug) if up else reads("k")
            for up in sorted(ups)
        ]
        policy = draw(st.sampled_from([{}, {}, {"retry": RetryPolicy(1)}, {"trigger": all_finished}]))
        specs.append(task(f"t{place}", *ins, **policy))
    return specs


@given(flows(), st.data())
def test_calls_end_as_the_same_reports_one_by_one(specs: list[Spec], data: st.DataObject) -> None:
    together, alone = Bench(*specs), Bench(*specs)
    for bench in (together, alone):
        bench.start()
    for step in range(12):
        if together.engine.ended:
            break
        flying = [run for run, stage in enumerate(together.engine.board.stage) if stage == 2]
        if not flying:
            break
        some = data.draw(st.lists(st.sampled_from(flying), min_size=1, unique=True))
        submissions = [together.engine.board.submission[run] for run in some]
        if data.draw(st.integers(0, 4)) == 0:
            report = Report(Failed("no"), 1.0, 2.0)
            for bench in (together, alone):
                bench.handle(AttemptFinished(50.0 + step, some[0], submissions[0], report))
            continue
        event = CallsFinished(50.0 + step, some, submissions, reports_of([str(run) for run in some]))
        together.handle(event)
        together.engine.complete(data.draw(st.integers(1, 3)))
        for place, (run, submission) in enumerate(zip(some, submissions, strict=True)):
            alone.handle(AttemptFinished(event.time, run, submission, event.reports.one(place)))
    assert together.states() == alone.states()
    assert together.engine.counts() == alone.engine.counts()
    assert together.live() == alone.live()
    for run in together.engine.runs():
        assert together.engine.state(run) == alone.engine.state(run)
        assert moves(together, run) == moves(alone, run)


def moves(bench: Bench, run: int) -> list[tuple[str, str, str, float]]:
    return [
        (type(one.old).__name__, type(one.new).__name__, one.why.text, one.time)
        for one in bench.log
        if isinstance(one, Transition) and one.run == run
    ]


class TestArrivals:
    def test_a_state_is_looked_up_while_more_come_in(self) -> None:
        arrival = Arrival(reports_of(["x", "y", "z"]), None)
        for place, run in ((0, 7), (2, 4)):
            arrival.runs.append(run)
            arrival.places.append(place)
            arrival.attempts.append(1)
            arrival.submissions.append(3)
            assert arrival.state(run, RunKey("r")).result == "xyz"[place]
        assert arrival.state(7, RunKey("r")).message == DONE

    def test_what_was_let_go_of_is_fetched_from_where_it_lies(self) -> None:
        class Source:
            def fetch(self, ref: Any) -> Any:
                return ("fetched", ref.run, ref.submission)

        arrival = Arrival(reports_of(["x"]), Source(), [5], [0], [1], [2])
        arrival.reports.results.drop()
        assert arrival.state(5, RunKey("r")).result == ("fetched", RunKey("r"), 2)

    def test_books_of_arrivals_can_be_compared(self) -> None:
        one, other = Landings(), Landings()
        one.add_one(3, Arrival(reports_of(["x"]), None, [3], [0], [1], [1]))
        assert one != other
        other.add_one(3, Arrival(reports_of(["x"]), None, [3], [0], [1], [1]))
        assert one == other


class TestCompletion:
    """States are made while nobody waits, and are what they would be at the end."""

    def test_some_at_a_time_until_all_are_made(self) -> None:
        bench, other = started(*ABC, task("d", "c")), started(*ABC, task("d", "c"))
        for one in (bench, other):
            one.handle(landed(one, "a", "b", "c"))
        assert bench.engine.complete(2)
        assert bench.engine.complete(2)
        assert not bench.engine.complete(2)
        assert [bench.engine.state(run) for run in range(3)] == [other.engine.state(run) for run in range(3)]
        assert bench.state("b") is bench.state("b")
        assert bench.state("b").result == "b"

    def test_what_is_no_success_any_more_stays_as_it_is(self) -> None:
        bench = started(task("a"), task("b", "a", retry=RetryPolicy(1)), reference=("b",))
        bench.handle(landed(bench, "a", has_copy=False))
        bench.handle(ResultLost(5.0, 0, 1, "gone"))
        bench.fail("b")
        before = bench.states()
        assert before[0] == "Crashed"
        assert bench.engine.complete(8)
        assert bench.states() == before


def test_many_are_told_one_by_one_to_who_asks() -> None:
    bench = started(*ABC)
    found = [one for one in raw(bench, landed(bench, "a", "b", "c")) if isinstance(one, TransitionEach)]
    assert not any(isinstance(one, TransitionEach | TransitionMany) for one in one_by_one(found))
    assert [type(one.new) for one in one_by_one(found)] == [Running] * 3 + [Success] * 3  # type: ignore[union-attr]
