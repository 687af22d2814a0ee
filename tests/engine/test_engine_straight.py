"""The straight path: start, outcomes of plain runs, values, collections, the end, and what can be asked meanwhile."""

from __future__ import annotations

import pickle
from typing import Any

from prefectlite.engine.engine import Engine
from prefectlite.engine.events import RunStarted, TimerFired
from prefectlite.engine.inputs import Argument, FromCollection, FromRun, FromValue
from prefectlite.engine.plan import FlowPlan
from prefectlite.rules.retry import RetryPolicy
from prefectlite.states.keys import RunKey
from prefectlite.states.report import ResultRef
from prefectlite.states.state import Failed, Pending, Success
from tests.engine.plans import Bench, follows, listed, maps, reads, task, value


class Shelf:
    """A place that hands out the run's name for its value."""

    def fetch(self, ref: ResultRef) -> Any:
        return str(ref.run)


def test_the_start_submits_what_has_no_upstream() -> None:
    bench = Bench(task("a"), task("b"))
    assert bench.start().words == ["flow Pending > Running", "submit a", "submit b"]
    assert bench.turn.why("flow", "Running").text == "The flow run began."


def test_a_second_start_changes_nothing() -> None:
    bench = Bench(task("a"))
    bench.start()
    assert bench.start().words == []


def test_a_flow_without_tasks_ends_at_the_start_as_a_success() -> None:
    bench = Bench()
    assert bench.start().words == ["flow Pending > Running", "flow Running > Success", "end Success"]
    assert bench.engine.ended


def test_a_flow_of_constants_ends_at_the_start() -> None:
    bench = Bench(value("x"))
    assert bench.start().words == [
        "flow Pending > Running",
        "x Pending > Success",
        "flow Running > Success",
        "end Success",
    ]
    assert bench.turn.why("x", "Success").text == "Constants and parameters need no run."
    assert bench.state("x").has_result is False  # the lowering knows the value


def test_a_plain_success_is_told_with_the_workers_times_and_ends_the_flow() -> None:
    bench = Bench(task("a"))
    bench.start()
    turn = bench.succeed("a", started=10.25, nbytes=7)
    assert turn.words == [
        "a Pending > Running",
        "a Running > Success",
        "flow Running > Success",
        "end Success",
    ]
    assert turn.move("a", "Running").time == 10.25
    assert turn.move("a", "Success").time == 1.0  # what the report says of the end
    assert turn.move("flow", "Success").time == 1.0
    assert turn.move("a", "Success").run == 0
    assert turn.move("flow", "Success").run == -1
    assert turn.move("flow", "Success").key == RunKey("")
    assert [one.attempt for one in (turn.move("a", "Running"), turn.move("a", "Success"))] == [1, 1]


def test_a_success_says_where_its_value_lies() -> None:
    bench = Bench(task("a"), task("b"), values=Shelf())
    bench.start()
    bench.succeed("a", inline=pickle.dumps(42), nbytes=28)
    assert bench.state("a").result == 42
    ref = bench.state("a").result_ref
    assert ref == ResultRef(RunKey("a"), 1, 28, pickle.dumps(42), submission=1)
    bench.succeed("b")
    assert bench.state("b").result == "b"  # fetched from where values lie


def test_a_failure_fails_the_flow_and_names_the_exception() -> None:
    bench = Bench(task("a"))
    bench.start()
    turn = bench.fail("a", "no disk")
    assert turn.words == [
        "a Pending > Running",
        "release a.1",
        "a Running > Failed",
        "flow Running > Failed",
        "end Failed",
    ]
    assert turn.why("a", "Failed").text == "no disk"
    assert isinstance(bench.state("a").result, ValueError)


def test_an_outcome_without_a_message_is_told_by_its_class() -> None:
    bench = Bench(task("a"))
    bench.start()
    assert bench.report("a", Failed()).why("a", "Failed").text == "The body ended Failed."


def test_reference_tasks_alone_decide_the_flow() -> None:
    bench = Bench(task("a"), task("b"), reference=("b",))
    log = bench.drive({"a": Failed("boom")})
    assert log.acts[-1] == "end Success"
    assert dict(log.why("flow", "Success").read) == {
        "reference": "1",
        "successful": "1",
        "failed": "0",
        "unfinished": "0",
        "cancelled": "False",
    }


def test_the_flow_waits_for_tasks_that_do_not_decide_it() -> None:
    bench = Bench(task("a"), task("b"), reference=("b",))
    bench.start()
    assert bench.succeed("b").words == ["b Pending > Running", "b Running > Success"]
    assert bench.fail("a").acts[-1] == "end Success"


def test_arguments_say_where_values_come_from_and_leave_out_what_moves_none() -> None:
    bench = Bench(
        value("x"),
        task("a"),
        task("c"),
        task("b", reads("x", "n"), reads("a", "rows", flat=True), follows("c")),
    )
    bench.start()
    assert bench.turn.submit("b").arguments == (
        Argument("n", FromValue(0)),
        Argument("rows", FromRun(1, 1, flat=True)),
    )


def test_a_collection_is_decided_on_the_driver_and_put_together_where_it_is_read() -> None:
    bench = Bench(
        value("x"), task("a"), listed("l", reads("x", "0"), reads("a", "1", flat=True)), task("b", "l")
    )
    bench.start()
    assert bench.turn.acts == ["submit a", "submit b ahead"]
    assert bench.turn.submit("b").arguments == (
        Argument("l", FromCollection(2, (FromValue(0), FromRun(1, 1, flat=True)))),
    )
    assert bench.succeed("a").moves == ["a Pending > Running", "a Running > Success", "l Pending > Success"]
    assert "Every member succeeded" in str(bench.state("l").message)


def test_a_collection_of_a_failed_member_is_refused_and_so_is_its_reader() -> None:
    bench = Bench(task("a"), task("c"), listed("l", "a", "c"), task("b", "l"))
    log = bench.drive({"a": Failed("boom")})
    assert bench.states() == ["Failed", "Success", "TriggerFailed", "TriggerFailed"]
    assert ("a", "Failed") in log.why("l", "TriggerFailed").read
    assert ("l", "Failed") in log.why("b", "TriggerFailed").read


def test_nothing_that_comes_after_the_end_matters() -> None:
    bench = Bench(task("a"))
    bench.drive()
    assert bench.succeed("a").words == []
    assert bench.start().words == []
    assert bench.cancel().words == []
    assert bench.engine.flow_state.is_successful()


def test_nothing_begins_before_the_start() -> None:
    bench = Bench(value("x"))
    assert bench.handle(TimerFired(0.0, 0, 1)).words == []
    assert not bench.engine.ended
    assert bench.start().acts == ["end Success"]


def test_counts_are_of_tasks_and_of_the_children_of_maps() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("a"), listed("l", "a"))
    assert bench.engine.counts() == {"Pending": 2}
    bench.start()
    assert bench.engine.counts() == {"Pending": 3}
    bench.fail("m[1]")
    bench.succeed("a")
    assert bench.engine.counts() == {"Pending": 1, "Failed": 1, "Success": 1}


def test_a_flow_without_tasks_counts_nothing() -> None:
    assert Bench(value("x")).engine.counts() == {}


def test_runs_are_found_by_name_and_number() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("a"))
    engine = bench.engine
    assert engine.run_of(RunKey("m", 0)) is None
    assert list(engine.children(1)) == []
    bench.start()
    assert list(engine.runs()) == [0, 1, 2, 3, 4]
    assert [str(engine.key(run)) for run in engine.runs()] == ["x", "m", "a", "m[0]", "m[1]"]
    assert [engine.run_of(engine.key(run)) for run in engine.runs()] == [0, 1, 2, 3, 4]
    assert engine.run_of(RunKey("m", 2)) is None
    assert engine.run_of(RunKey("nobody")) is None
    assert engine.run_of(RunKey("a", 0)) is None
    assert [engine.node_of(run) for run in engine.runs()] == [0, 1, 2, 1, 1]
    assert list(engine.children(1)) == [3, 4]
    assert [engine.attempt(run) for run in engine.runs()] == [0, 0, 1, 1, 1]


def test_the_state_of_a_map_carries_its_childrens() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")))
    bench.start()
    bench.succeed("m[0]")
    state = bench.state("m")
    assert state.is_mapped()
    assert [type(one).__name__ for one in state.map_states] == ["Success", "Pending"]  # type: ignore[attr-defined]
    assert state.n_map_states == 2  # type: ignore[attr-defined]


def test_a_new_engine_waits_for_its_start() -> None:
    engine = Engine(FlowPlan("empty", ()))
    assert isinstance(engine.flow_state, Pending)
    assert not engine.ended
    assert len(engine.handle(RunStarted(0.0))) == 3
    assert isinstance(engine.flow_state, Success)


def test_an_attempt_is_in_flight_from_its_submission_to_its_end() -> None:
    bench = Bench(task("a"), task("b", "a"), task("c", retry=RetryPolicy(1, (0.0,))))
    engine = bench.engine
    c = RunKey("c")
    assert engine.in_flight(c, 1) is None
    bench.start()
    assert engine.in_flight(c, 1) == bench.run("c")
    assert engine.in_flight(c, 2) is None
    assert engine.in_flight(RunKey("c", None, 2), 1) is None
    assert engine.in_flight(RunKey("d"), 1) is None
    bench.observe("c")
    assert engine.in_flight(c, 1) == bench.run("c")
    bench.fail("c")
    assert (engine.in_flight(c, 1), engine.in_flight(c, 2)) == (None, bench.run("c"))
    bench.succeed("c")
    assert engine.in_flight(c, 2) is None
